"""`make demo`: an application goes Stage 1 -> 2 -> 3 and back on a real cluster, and a bad version is caught.

    python -m railiance.demo [--pause]

Ends with exit code 0 only if everything happened as told. May be repeated: it begins anew each time.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import sys
from pathlib import Path

import click

from railiance import lab as labs
from railiance.adapters import clock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import local_server
from railiance.demo_app.driver import Cli
from railiance.demo_app.screen import Screen
from railiance.demo_app.story import APP, DEVELOPER, Setting, Story
from railiance.domain.errors import Conflict, RailianceError, Unavailable
from railiance.domain.ports import ObjectRef
from railiance.lab import LabStatus, builds
from railiance.lab.progress import for_stderr

_VERSIONS = ("v1", "v2", "v3")
_LABEL = "railiance.dev/demo"
_GONE_WITHIN = 180.0


def demo(screen: Screen) -> bool:
    """Prepare, play the story, sum it up; return whether everything happened as told."""
    started = clock.monotonic()
    screen.heading("the lab: a real cluster on this machine")
    lab = labs.up(progress=for_stderr())
    screen.say(f"Lab {lab.name} ({lab.provider}): {len(lab.nodes)} node(s), gateway {lab.ingress_url}")
    setting = _prepared(lab, screen)
    story = Story(setting, screen)
    try:
        good = story.play()
    finally:
        _sum_up(story, lab, screen)
    minutes = (clock.monotonic() - started) / 60
    text = (
        f"Everything happened as told, in {minutes:.1f} minutes."
        if good
        else "Not everything happened as told."
    )
    screen.say(text, "bold green" if good else "bold red")
    return good


def _prepared(lab: LabStatus, screen: Screen) -> Setting:
    """Clear what an earlier demo left, build the versions, and return where the story takes place."""
    if lab.ingress_url is None:
        message = f"Nobody can tell where the gateway of lab {lab.name} answers."
        raise Unavailable("NO_INGRESS", message, "Use a lab of this machine: `railiance lab up`.")
    screen.say("Clearing what an earlier demo may have left, and building three versions of the app ...")
    folder = _folder()
    _forget_waiting_runs()
    cluster = KubeCluster.connect(lab.kubeconfig, lab.context)
    cluster.delete(_namespace())
    images = {version: labs.build_demo_image(version, name=lab.name) for version in _VERSIONS}
    shutil.rmtree(folder / APP, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _fresh_namespace(cluster)
    return Setting(
        folder=folder,
        ingress_url=lab.ingress_url,
        images={version: (image.repository, image.digest) for version, image in images.items()},
        program=builds.DEMOAPP.folder / "demoapp",
        local_port=_free_port(),
        env=_environment(lab),
    )


def _folder() -> Path:
    """Return the work folder of the demo."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "railiance" / "demo"


def _environment(lab: LabStatus) -> dict[str, str]:
    chosen = {"RAILIANCE_CONTEXT": lab.context} if lab.context else {}
    return {"KUBECONFIG": str(lab.kubeconfig), **chosen}


def _namespace() -> ObjectRef:
    return ObjectRef("v1", "Namespace", "", APP)


def _fresh_namespace(cluster: KubeCluster) -> None:
    """Make the app's namespace, once the one of an earlier demo is gone with all that was in it."""
    deadline = clock.monotonic() + _GONE_WITHIN
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": APP, "labels": {_LABEL: "true"}}}
    while True:
        try:
            cluster.create(body)
        except Conflict as error:
            if clock.monotonic() > deadline:
                message = f"The namespace {APP} of an earlier demo does not go away."
                raise Unavailable("NAMESPACE_STAYS", message, f"kubectl delete namespace {APP}") from error
            clock.sleep(0.5)
        else:
            return


def _forget_waiting_runs() -> None:
    """Cancel the promotions of an earlier demo that still wait for an answer: what they ask for is gone."""
    found = local_server.status()
    if not found.healthy or found.url is None:
        return
    api = PrefectApi(found.url)
    for run in local_server.waiting_runs([f"app:{APP}"]):
        cancelled = {"type": "CANCELLED", "message": "A new demo began."}
        api.post(f"/flow_runs/{run.flow_run_id}/set_state", {"state": cancelled, "force": True})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _sum_up(story: Story, lab: LabStatus, screen: Screen) -> None:
    """Say what happened and what is there now, also after a surprise."""
    screen.heading("what happened")
    screen.table(story.rows)
    screen.heading("what is there now")
    folder, env = story.setting.folder, story.setting.env
    Cli(folder, env).run("status", APP, actor=DEVELOPER, on_line=screen.quote)
    server = local_server.status()
    words = " ".join(f"{name}={shlex.quote(value)}" for name, value in env.items())
    program = Path(sys.executable).with_name("railiance")
    screen.say(f"The page     curl -H 'Host: {story.setting.host}' {story.setting.ingress_url}/")
    screen.say(f"Prefect UI   {(server.url or 'not running').removesuffix('/api')}")
    screen.say(f"Look again   cd {folder} && {words} {program} status {APP}")
    screen.say(f"Take down    {program} lab down --lab {lab.name} && {program} server stop")


def _stopped(screen: Screen) -> None:
    screen.say("")
    screen.say("Stopped. The users are gone; the command that ran was told to stop and to return traffic.")
    screen.say(f"`railiance abort {APP}` in {_folder()} removes a canary that is left, and")
    screen.say("`railiance status` says what is there. `make demo` begins anew and clears the rest.")


@click.command()
@click.option("--pause", is_flag=True, help="Wait for the Enter key before each chapter.")
def main(pause: bool) -> None:
    """Watch an application go to production and back on a real cluster."""
    screen = Screen(pause=pause)
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal is to leave no more behind than Ctrl-C
        signal.signal(number, signal.default_int_handler)
    try:
        good = demo(screen)
    except KeyboardInterrupt:
        _stopped(screen)
        raise SystemExit(130) from None
    except RailianceError as error:
        screen.say(str(error), "bold red")
        raise SystemExit(int(error.exit_status) or 1) from error
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
