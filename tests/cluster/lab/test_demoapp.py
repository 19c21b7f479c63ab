"""The demo application as a process of this machine: the local target of Stage 1."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator

import pytest
import requests

from railiance.adapters import clock, process
from railiance.lab import builds
from railiance.lab.progress import silent

pytestmark = pytest.mark.cluster  # it needs the lab's Go build


@pytest.fixture
def app() -> Iterator[tuple[str, process.Process]]:
    """Return the address of a running demo application, and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = builds.ensure(builds.DEMOAPP, silent) / "demoapp"
    env = {"PORT": str(port), "VERSION": "v3", "DRAIN_SECONDS": "0.5", "SECRET_WORD": "hidden-in-environment"}
    started = process.spawn([str(binary)], env=env)
    url = f"http://127.0.0.1:{port}"
    deadline = clock.monotonic() + 10
    while not answers(url):
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
    yield url, started
    started.end()


def answers(url: str) -> bool:
    """Say whether anything answers there."""
    try:
        return requests.get(f"{url}/healthz", timeout=2).ok
    except requests.RequestException:
        return False


def counted(url: str, code: int) -> int:
    """Return how many answers of a status code the application has counted."""
    for line in requests.get(f"{url}/metrics", timeout=2).text.splitlines():
        if line.startswith(f'http_requests_total{{code="{code}"}}'):
            return int(line.split()[1])
    pytest.fail(f"no counter of {code}")


def test_it_tells_its_version_and_is_well(app: tuple[str, process.Process]) -> None:
    """Every endpoint answers from the start."""
    url, _ = app
    assert requests.get(url, timeout=2).text == "demoapp v3\n"
    assert requests.get(f"{url}/version", timeout=2).text == "v3\n"
    assert requests.get(f"{url}/readyz", timeout=2).ok
    assert (counted(url, 200), counted(url, 500)) == (1, 0)


def test_faults_are_switched_while_it_runs(app: tuple[str, process.Process]) -> None:
    """Share of failures, delay and readiness change at once, one without the others, and are counted."""
    url, _ = app
    requests.post(f"{url}/fault?fail=1", timeout=2).raise_for_status()
    assert requests.get(url, timeout=2).status_code == 500
    assert counted(url, 500) == 1
    requests.get(f"{url}/fault?fail=0&delay=150ms", timeout=2).raise_for_status()
    answer = requests.get(url, timeout=2)
    assert answer.ok
    assert answer.elapsed.total_seconds() >= 0.15
    requests.get(f"{url}/fault?ready=false", timeout=2).raise_for_status()
    assert requests.get(f"{url}/readyz", timeout=2).status_code == 503
    assert requests.get(f"{url}/healthz", timeout=2).ok


def test_a_share_of_failures_is_a_share(app: tuple[str, process.Process]) -> None:
    """With half of the answers failing, neither all nor none fail."""
    url, _ = app
    requests.get(f"{url}/fault?fail=0.5", timeout=2).raise_for_status()
    with requests.Session() as session:
        failed = sum(session.get(url, timeout=2).status_code == 500 for _ in range(400))
    assert 140 < failed < 260  # six standard deviations


@pytest.mark.parametrize("query", ["fail=2", "fail=NaN", "fail=x", "delay=fast", "ready=maybe", "speed=1"])
def test_an_unreadable_switch_changes_nothing(query: str, app: tuple[str, process.Process]) -> None:
    """A typing error is told and leaves every switch as it was."""
    url, _ = app
    answer = requests.get(f"{url}/fault?ready=false&{query}", timeout=2)
    assert answer.status_code == 400
    assert requests.get(f"{url}/readyz", timeout=2).ok


def test_told_to_end_it_turns_unready_answers_on_and_ends_well(app: tuple[str, process.Process]) -> None:
    """While it drains, users are served and the gateway sees that it leaves; its exit code is 0."""
    url, started = app
    os.kill(started.pid, signal.SIGTERM)
    deadline = clock.monotonic() + 5
    while requests.get(f"{url}/readyz", timeout=2).status_code != 503:
        assert clock.monotonic() < deadline
    assert requests.get(url, timeout=2).ok
    while started.poll() is None:
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
    assert started.poll() == 0


def test_it_crashes_when_asked(app: tuple[str, process.Process]) -> None:
    """A crash is an exit code of 1, not an answer."""
    url, started = app
    with pytest.raises(requests.RequestException):
        requests.get(f"{url}/crash", timeout=2)
    deadline = clock.monotonic() + 5
    while started.poll() is None:
        assert clock.monotonic() < deadline
        clock.sleep(0.02)
    assert started.poll() == 1


def test_it_shows_nothing_of_its_environment(app: tuple[str, process.Process]) -> None:
    """Whatever secrets it was started with, no page shows them."""
    url, _ = app
    for page in ("", "env", "version", "metrics", "fault", "readyz"):
        assert "hidden-in-environment" not in requests.get(f"{url}/{page}", timeout=2).text
