"""`railiance lab`: a real Kubernetes cluster on this machine."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from railiance.lab import LabStatus

_LOCAL_PORT = 18080  # where the sample app listens in Stage 1
_name = click.option(
    "--lab", "name", envvar="RAILIANCE_LAB", help="Which lab, where there are several [railiance]."
)


@click.group()
def lab() -> None:
    """Run a real Kubernetes cluster on this machine, with ingress, metrics, storage and a registry."""


@lab.command()
@_name
@click.option(
    "--nodes", type=click.Choice(["1", "3"]), default="1", show_default=True, help="How many nodes."
)
@click.option("--without", type=click.Choice(["prometheus"]), multiple=True, help="Leave an addon out.")
@click.option(
    "--provider",
    type=click.Choice(["auto", "existing", "kind", "native"]),
    default="auto",
    show_default=True,
    help="Where the cluster comes from.",
)
@click.option(
    "--kubeconfig", type=click.Path(path_type=Path, exists=True), help="Use the cluster of this file."
)
@click.option("--context", help="Use this context of the kubeconfig.")
def up(
    name: str | None,
    nodes: str,
    without: tuple[str, ...],
    provider: str,
    kubeconfig: Path | None,
    context: str | None,
) -> None:
    """Have a lab running; may be repeated at any time."""
    from railiance import lab as labs
    from railiance.commands.output import if_interrupted
    from railiance.lab.progress import for_stderr

    if_interrupted(
        "The same command goes on where this one stopped; `railiance lab down` removes what is there."
    )

    found = labs.up(
        name,
        nodes=int(nodes),
        with_prometheus="prometheus" not in without,
        provider=provider,
        kubeconfig=kubeconfig,
        context=context,
        progress=for_stderr(),
    )
    _show(found)


@lab.command()
@_name
def down(name: str | None) -> None:
    """Take the lab down and leave nothing but the cache of builds."""
    from railiance import lab as labs
    from railiance.domain.errors import Broken, Usage
    from railiance.lab.progress import for_stderr

    try:
        left = labs.down(name, progress=for_stderr())
    except Usage as error:
        click.echo(f"{error.message} Nothing to do.")
        return
    if left:
        raise Broken(
            "LAB_REMAINS", f"The lab is down, but this is left: {', '.join(left)}.", "Try `down` again."
        )
    click.echo("The lab is down.")


@lab.command()
@_name
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def status(context: click.Context, name: str | None, as_json: bool) -> None:
    """Tell the state of nodes, addons, processes and addresses; exit status 1 if something is down."""
    from railiance import lab as labs

    found = labs.status(name)
    if as_json:
        click.echo(json.dumps(found.document(), indent=2))
    else:
        _show(found)
    context.exit(0 if found.ready else 1)


@lab.command("load-image")
@_name
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--name", "image_name", metavar="REPOSITORY:TAG", help="Keep the image under this name.")
def load_image(name: str | None, sources: tuple[Path, ...], image_name: str | None) -> None:
    """Put images of archives (docker save) or OCI layout folders into the lab's registry.

    Prints each as repository@digest, ready for `[source] image` and `digest` of an app.toml.
    """
    from railiance import lab as labs

    for source in sources:
        for image in labs.load_image(source, name=name, image_name=image_name):
            click.echo(str(image))


@lab.command("demo-image")
@_name
@click.option("--version", required=True, help="The version that the demo application tells.")
def demo_image(name: str | None, version: str) -> None:
    """Put a version of the demo application into the lab's registry and print repository@digest."""
    from railiance import lab as labs

    click.echo(str(labs.build_demo_image(version, name=name)))


@lab.command("demo-app")
@_name
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--version", default="v1", show_default=True, help="The version that its page tells.")
@click.option(
    "--fail",
    "fail_ratio",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of requests that this version answers with an error, between 0 and 1.",
)
def demo_app(name: str | None, folder: Path, version: str, fail_ratio: float) -> None:
    """Write a sample app's repository into DIR, or its next version, with an image in the lab's registry.

    The folder's name becomes the app's id and namespace; its users ask for the host ID.localhost.
    """
    from railiance import demo_app as sample
    from railiance import lab as labs
    from railiance.lab.layout import cache_root

    app_id = _app_id(folder)
    image = labs.build_demo_image(version, name=name)
    tag = sample.create(
        folder,
        image=image.repository,
        digest=image.digest,
        app_id=app_id,
        namespace=app_id,
        host=f"{app_id}.localhost",
        serve=f"VERSION={shlex.quote(version)} PORT={_LOCAL_PORT} {cache_root() / 'bin' / 'demoapp'}",
        local_url=f"http://127.0.0.1:{_LOCAL_PORT}/readyz",
        env={"FAIL_RATIO": str(fail_ratio)} if fail_ratio else {},
    )
    click.echo(f"{folder} is committed and tagged {tag}; its image is {image}")


def _app_id(folder: Path) -> str:
    """Return the id of the app in a folder: the folder's name, if that may be one."""
    from pydantic import TypeAdapter, ValidationError

    from railiance.domain.errors import Usage
    from railiance_schema.scalars import AppId

    app_id = folder.resolve().name
    try:
        return TypeAdapter(AppId).validate_python(app_id)
    except ValidationError as error:
        message = f"The folder's name becomes the app's id, and {app_id!r} cannot be one."
        raise Usage("APP_ID", message, "Use lower-case letters, digits and hyphens.") from error


def _show(found: LabStatus) -> None:
    """Print a status for a person."""
    word = "ready" if found.ready else "NOT ready"
    click.echo(f"The lab {found.name} ({found.provider}) is {word}.")
    click.echo(
        f"  kubeconfig  {found.kubeconfig}" + (f"  (context {found.context})" if found.context else "")
    )
    for title, value in (
        ("ingress", found.ingress_url),
        ("prometheus", found.prometheus_url),
        ("registry", found.registry),
    ):
        click.echo(f"  {title:<11} {value or 'none'}")
    for note in found.notes:
        click.echo(f"  {note}")
    for title, states in (("nodes", found.nodes), ("addons", found.addons), ("processes", found.processes)):
        down_ones = [part for part, well in states.items() if not well]
        told = f"{len(states) - len(down_ones)} of {len(states)} well"
        click.echo(f"  {title:<11} {told}" + (f"; down: {', '.join(down_ones)}" if down_ones else ""))


if __name__ == "__main__":
    lab()
