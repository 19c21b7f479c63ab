"""A complete application repository in the layout of the contract, for the demo, the tutorial and the tests.

`create` writes it into a folder and commits it; called again with another digest it makes the next version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files
from importlib.resources.abc import Traversable
from pathlib import Path

from railiance.adapters import process
from railiance.demo_app.chart import chart_for

DEMO_STEPS = ((20, "20s"), (50, "20s"))
_RENAMED = {"gitignore": ".gitignore"}  # a file of that name would hide parts of the template itself
_TOKEN = re.compile(r"@([a-z_]+)@")
_GIT = ("git", "-c", "user.name=Hello Developer", "-c", "user.email=developer@example.invalid")
_UNSIGNED = ("-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false", "-c", "core.hooksPath=/dev/null")


def create(
    folder: Path,
    *,
    image: str,
    digest: str,
    host: str = "hello.localhost",
    app_id: str = "hello",
    namespace: str = "hello",
    serve: str | None = None,
    local_url: str = "http://127.0.0.1:8080/readyz",
    provider: str = "traefik",
    gateway: str | None = None,
    criticality: str = "low",
    replicas: int = 1,
    env: Mapping[str, str] | None = None,
    steps: Sequence[tuple[int, str]] = DEMO_STEPS,
    watch: str = "20s",
) -> str:
    """Write the repository into a folder, and commit and tag it as the next version if anything changed.

    The version is the tag `v1`, `v2`, … and the contract's source_revision. Edits by hand in the files that
    it writes are written over.

    Args:
        folder: Where the repository is or shall be.
        image: Repository of the image, without tag.
        digest: Digest of the image (`sha256:` and 64 hexadecimal digits).
        host: Public host of the application.
        app_id: `[app] id`; also the stable helm_release.
        namespace: Namespace of both tracks.
        serve: Command that starts the application locally for Stage 1; it must answer at `local_url`. Without
            one the local health check is optional.
        local_url: Health URL of the local application.
        provider: `traefik` or `gateway-api`.
        gateway: Parent Gateway as `namespace/name`; needed by `gateway-api`.
        criticality: `low`, `medium`, `high` or `critical`. Only a low application has the demo's short bake,
            only a low or medium one the short analysis; the others keep the defaults.
        replicas: Pods of the stable track; from two on they are spread over the nodes.
        env: Environment of the deployed container, for example to give a version a fault.
        steps: Weight in percent and window of each step.
        watch: How long a low app is watched: on the canary at least, and after the promotion.

    Returns:
        The version, for example `v2`; the one already there if nothing changed.

    Raises:
        Unavailable: Git is missing.
        Broken: Git failed.
    """
    settings = {
        "app_id": app_id,
        "namespace": namespace,
        "image": image,
        "digest": digest,
        "host": host,
        "criticality": criticality,
        "provider": provider,
        "local_url": local_url,
        "local_required": json.dumps(serve is not None),
        "serve": "" if serve is None else f"serve = {json.dumps(serve)}\n",
        "gateway": "" if gateway is None else f"gateway = {json.dumps(gateway)}\n",
        "gateway_value": "" if gateway is None else f"    gateway: {json.dumps(gateway)}\n",
        "replicas": str(replicas),
        "spread": json.dumps(replicas > 1),
        "env": json.dumps([{"name": name, "value": value} for name, value in sorted((env or {}).items())]),
        "steps": "\n".join(_step(weight, window) for weight, window in steps),
        "short": _short_times(criticality, watch),
    }
    number = _last_version(folder)
    if number and _holds(folder, _repository(settings, f"v{number}")):
        return f"v{number}"
    version = f"v{number + 1}"
    _write(folder, _repository(settings, version))
    _commit(folder, version)
    return version


def _step(weight: int, window: str) -> str:
    return f'\n[[traffic.steps]]\nweight = {weight}\nwindow = "{window}"'


def _short_times(criticality: str, watch: str) -> str:
    """Return the tables that make a story last minutes; the contract allows them by criticality."""
    text = ""
    if criticality in {"low", "medium"}:
        text += f'\n\n[analysis]\nearliest = "{watch}"\ninterval = "2s"\nsynthetic_path = "/"\npass_rule = "samples"'
    if criticality == "low":
        text += f'\n\n[bake]\nduration = "{watch}"'
    return text


def _repository(settings: Mapping[str, str], version: str) -> dict[str, bytes]:
    """Return all files of the repository, by path."""
    texts = {**settings, "version": version}
    written = {
        _RENAMED.get(path, path): _TOKEN.sub(lambda token: texts[token[1]], text).encode()
        for path, text in _template(package_files(__name__) / "template")
    }
    chart = {f"charts/{texts['app_id']}/{path}": data for path, data in chart_for(texts["app_id"]).items()}
    return {**written, **chart}


def _template(folder: Traversable, prefix: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _template(entry, f"{prefix}{entry.name}/")
        else:
            found.append((f"{prefix}{entry.name}", entry.read_text(encoding="utf-8")))
    return found


def _holds(folder: Path, files: Mapping[str, bytes]) -> bool:
    places = {folder / path: data for path, data in files.items()}
    return all(place.is_file() and place.read_bytes() == data for place, data in places.items())


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)


def _last_version(folder: Path) -> int:
    """Return the number of the newest version tag, or 0 for a folder that is no repository of its own."""
    if not (folder / ".git").exists():
        return 0
    tags = process.run([*_GIT, "tag", "--list", "v*"], cwd=folder).stdout.split()
    return max((int(tag[1:]) for tag in tags if tag[1:].isdigit()), default=0)


def _commit(folder: Path, version: str) -> None:
    git = (*_GIT, *_UNSIGNED)
    if not (folder / ".git").exists():
        process.run([*git, "init", "--quiet", "--initial-branch=main"], cwd=folder)
    process.run([*git, "add", "--all"], cwd=folder)
    # An earlier call may have ended between its commit and its tag.
    if process.run([*git, "status", "--porcelain"], cwd=folder).stdout:
        process.run([*git, "commit", "--quiet", "--message", f"Release {version}"], cwd=folder)
    process.run([*git, "tag", version], cwd=folder)
