"""The local Prefect server and its worker: one each per person, started when needed, outliving the CLI.

Nothing here imports Prefect. All state is in one folder, `$XDG_STATE_HOME/railiance/prefect`:

    server.json worker.json   what was started: pid, its start time, port
    port                      the port chosen first, kept so that links stay valid
    lock                      held while somebody starts or stops them
    prefect.db, storage/      Prefect's own
    *.log                     what they print
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from railiance import project
from railiance.adapters import clock, process
from railiance.adapters.prefect_api import PrefectApi
from railiance.domain.errors import Unavailable

WORK_POOL = "railiance"
_HOST = "127.0.0.1"
_START_TIMEOUT = 180.0  # a new database on a busy machine with two cores was seen to take 40 s
_POLL = 0.2
_LOG_LIMIT = 10_000_000

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Started:
    """A process of ours, as its file tells it."""

    pid: int
    start_time: str
    url: str

    @property
    def alive(self) -> bool:
        """Say whether this very process still runs."""
        return process.alive(self.pid, self.start_time)


def state_folder() -> Path:
    """Return the folder of the local server, made if need be, closed to other people."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    folder = Path(base) / "railiance" / "prefect"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def configured_url() -> str | None:
    """Return the API address that the person chose: in the environment, else in Prefect's active profile."""
    if url := os.environ.get("PREFECT_API_URL"):
        return url.rstrip("/")
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml")
    if not path.is_file():
        return None
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Unavailable(
            "PREFECT_PROFILE", f"Prefect's profiles in {path} cannot be read: {error}"
        ) from error
    name = os.environ.get("PREFECT_PROFILE") or document.get("active", "")
    url = document.get("profiles", {}).get(name, {}).get("PREFECT_API_URL")
    return str(url).rstrip("/") if url else None


def local_server() -> Started | None:
    """Return the local server that was started last and still runs."""
    return _running("server")


def local_worker() -> Started | None:
    """Return the local worker that was started last and still runs."""
    return _running("worker")


def start_server(report: Report) -> str:
    """Return the API address of the local server, started if none runs, once it is healthy.

    Raises:
        Unavailable: It did not become healthy (`PREFECT_NOT_STARTED`); the message names its log.
    """
    running = local_server()
    if running and PrefectApi(running.url).healthy():
        return running.url
    with _locked():
        started = local_server() or _spawn_server(report)
        _wait_healthy(started)
    return started.url


def start_worker(url: str, report: Report) -> Started:
    """Return the local worker of that server, started if none runs."""
    with _locked():
        running = local_worker()
        if running and running.url == url:
            return running
        if running:
            process.end(running.pid, running.start_time)
        report("Starting a Prefect worker, which goes on with a run after an approval")
        name = f"railiance-{socket.gethostname()}"
        arguments = ["worker", "start", "--pool", WORK_POOL, "--type", "process", "--name", name]
        return _spawn("worker", arguments, url, {"PREFECT_WORKER_QUERY_SECONDS": "2"})


def stop() -> list[str]:
    """End the worker and the server that run; return their names."""
    ended = []
    with _locked():
        for name in ("worker", "server"):
            if running := _running(name):
                process.end(running.pid, running.start_time)
                ended.append(name)
            _record(name).unlink(missing_ok=True)
    return ended


def client_environment(url: str, *, local: bool) -> dict[str, str]:
    """Return the variables that a Prefect client needs, before it imports Prefect.

    Args:
        url: The API's address.
        local: Whether that is our own server: then Prefect's home is our state folder, so that nothing of the
            person's own Prefect settings mixes in.
    """
    environment = {
        "PREFECT_API_URL": url,
        "RAILIANCE_PROJECT": str(project.root()),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # What our own code tells of its progress is shown with the run; outside a run nobody keeps it.
        "PREFECT_LOGGING_EXTRA_LOGGERS": "railiance",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    }
    if local:
        environment["PREFECT_HOME"] = str(state_folder())
    return environment


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold one lock file of the state folder; the system frees it when the holder dies."""
    with (state_folder() / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prefect_command(*arguments: str) -> list[str]:
    """Return the argument list of a Prefect command that sees none of the caller's own Prefect settings."""
    foreign = [f"-u{name}" for name in os.environ if name.startswith("PREFECT_")]
    return ["env", *foreign, sys.executable, "-m", "prefect", *arguments]


def _locked() -> Any:
    return locked("lock")


def _running(name: str) -> Started | None:
    try:
        document = json.loads(_record(name).read_text(encoding="utf-8"))
        started = Started(**document)
    except (OSError, ValueError, TypeError):
        return None  # no file, or one that a killed starter left unfinished: nothing that we know runs
    return started if started.alive else None


def _record(name: str) -> Path:
    return state_folder() / f"{name}.json"


def _spawn_server(report: Report) -> Started:
    port = _port()
    report("Starting the local Prefect server (once; about 15 seconds)")
    url = f"http://{_HOST}:{port}/api"
    arguments = ["server", "start", "--host", _HOST, "--port", str(port)]
    # Only its own pages may call it from a browser: whatever else is open there is not to start runs.
    origins = f"http://{_HOST}:{port},http://localhost:{port}"
    return _spawn("server", arguments, url, {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins})


def _spawn(name: str, arguments: list[str], url: str, extra: Mapping[str, str]) -> Started:
    folder = state_folder()
    log = folder / f"{name}.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    environment = {**client_environment(url, local=True), **extra}
    # These `env -u` arguments come first, so what is set here stays.
    settings = [f"{key}={value}" for key, value in environment.items()]
    command = prefect_command(*arguments)
    at = command.index(sys.executable)
    child = process.spawn([*command[:at], *settings, *command[at:]], cwd=project.root(), stdout=log)
    started = Started(child.pid, child.start_time, url)
    temporary = _record(name).with_suffix(".new")
    temporary.write_text(json.dumps({"pid": started.pid, "start_time": started.start_time, "url": url}))
    temporary.replace(_record(name))
    return started


def _wait_healthy(started: Started) -> None:
    api = PrefectApi(started.url)
    deadline = clock.monotonic() + _START_TIMEOUT
    while started.alive and clock.monotonic() < deadline:
        if api.healthy():
            return
        clock.sleep(_POLL)
    log = state_folder() / "server.log"
    what = "does not become healthy" if started.alive else "ended while starting"
    message = f"The local Prefect server {what}. Its log: {log}"
    raise Unavailable(
        "PREFECT_NOT_STARTED", message, "Read the log; then `railiance server stop` and try again."
    )


def _port() -> int:
    """Return the port chosen first if it is free, else another free one, which is kept from now on."""
    path = state_folder() / "port"
    kept = path.read_text().strip() if path.is_file() else ""
    port = int(kept) if kept.isdecimal() and _is_free(int(kept)) else _free_port()
    path.write_text(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
