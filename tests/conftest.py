"""What all tests share: a home of their own, no sockets in unit tests, one Prefect server."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How long one example takes says how busy the machine is, nothing about the rule under test.
settings.register_profile("railiance", deadline=None)
settings.load_profile("railiance")

UNIT = Path(__file__).parent / "unit"
CHECKOUT = Path(__file__).parents[1]
_SETTINGS_OF_THE_PERSON = ("KUBECONFIG", "RAILIANCE_KUBECONFIG", "RAILIANCE_PROJECT")
_home: Path | None = None


def pytest_configure(config: pytest.Config) -> None:
    """Give the session a home of its own, before anything is imported that looks into it."""
    global _home  # noqa: PLW0603 - pytest's hooks have no other place for it
    _home = Path(tempfile.mkdtemp(prefix="railiance-tests-"))
    # Built tools and downloads are dear and the same for everybody: the cache stays the person's.
    os.environ.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))
    os.environ["HOME"] = str(_home)
    for name in ("STATE", "CONFIG", "DATA"):
        os.environ[f"XDG_{name}_HOME"] = str(_home / name.lower())
    for name in [*_SETTINGS_OF_THE_PERSON, *(key for key in os.environ if key.startswith("PREFECT_"))]:
        os.environ.pop(name, None)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if _home is not None:
        shutil.rmtree(_home, ignore_errors=True)


@pytest.fixture(autouse=True)
def _our_loggers_speak() -> None:
    """Undo what other libraries' set-up of logging did to ours: some switch off every logger they find."""
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(logging.WARNING)
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("railiance") and isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(autouse=True)
def _no_sockets_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.path.is_relative_to(UNIT):
        return

    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("a unit test must not use the network", pytrace=True)

    for verb in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, verb, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[str]:
    """Return the API address of the session's Prefect server: the one that the command line would start.

    Flows may be called in this process as well; their logs go to the server's database and a file only.
    """
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_HOME,
        temporary_settings,
    )

    from railiance.commands import local_server
    from railiance.commands.prefect_processes import state_folder

    before = dict(os.environ)
    url = local_server.ensure_server()
    # Without heartbeats a flow ends up to a second sooner.
    settings = {PREFECT_API_URL: url, PREFECT_HOME: state_folder(), PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    try:
        with temporary_settings(settings):
            yield url
    finally:
        local_server.stop(force=True)
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(scope="session")
def trial_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the Prefect project of small flows."""
    folder = tmp_path_factory.mktemp("trial") / "project"
    shutil.copytree(Path(__file__).parent / "contract" / "trial_project", folder)
    definitions = folder / "deployments.yaml"
    text = definitions.read_text().replace("TRIAL_FOLDER", str(folder)).replace("CHECKOUT", str(CHECKOUT))
    definitions.write_text(text)
    return folder


@pytest.fixture(scope="module")
def trial(prefect_server: str, trial_folder: Path) -> Iterator[Path]:
    """Return the folder of the small flows, which the session's server knows while the module's tests run."""
    from railiance import project
    from railiance.commands import local_server

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(project, "root", lambda: trial_folder)
        patch.syspath_prepend(str(trial_folder))
        local_server.ensure_deployments()
        yield trial_folder
