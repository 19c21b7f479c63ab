"""Asking a registry for a manifest: its yes, its no, and everything that is neither."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from railiance.adapters.registry import _is_plain, manifest_exists, split_repository

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def registry() -> Iterator[SimpleNamespace]:
    """A server that answers every question alike and remembers what it was asked."""
    state = SimpleNamespace(status=200, headers={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            state.asked.append((self.path, self.headers["Accept"], self.headers["Authorization"]))
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.host = f"127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, True),
        (404, {"Content-Type": "application/json; charset=utf-8"}, False),
        (404, {"Docker-Distribution-Api-Version": "registry/2.0"}, False),
        (404, {"Content-Type": "text/html"}, None),
        (401, {"Www-Authenticate": "Bearer"}, None),
        (403, {}, None),
        (429, {}, None),
        (500, {}, None),
    ],
)
def test_only_a_registry_s_own_word_counts(
    registry: SimpleNamespace, status: int, headers: dict[str, str], expected: bool | None
) -> None:
    """Yes and no come from the registry itself; a refusal, an error or somebody else's 404 is no answer."""
    registry.status, registry.headers = status, headers
    assert manifest_exists(f"{registry.host}/team/app", DIGEST) is expected


def test_the_manifest_is_asked_by_digest_and_without_credentials(registry: SimpleNamespace) -> None:
    """The question names path, digest and all kinds of manifests; nothing of a .netrc goes along."""
    manifest_exists(f"{registry.host}/team/app", DIGEST)
    ((path, accept, authorization),) = registry.asked
    assert path == f"/v2/team/app/manifests/{DIGEST}"
    assert "image.index" in accept
    assert "manifest.list" in accept
    assert authorization is None


def test_nobody_there_is_no_answer() -> None:
    """A registry that cannot be reached has not said no."""
    assert manifest_exists("127.0.0.1:9/app", DIGEST) is None
    assert manifest_exists("nowhere.invalid/app", DIGEST) is None


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("registry.example/team/app", ("registry.example", "team/app")),
        ("127.0.0.1:5000/app", ("127.0.0.1:5000", "app")),
        ("localhost/app", ("localhost", "app")),
        ("team/app", ("", "team/app")),
        ("app", ("", "app")),
    ],
)
def test_a_repository_is_read_as_container_engines_read_it(
    repository: str, expected: tuple[str, str]
) -> None:
    """A first part with a dot, a colon, or `localhost` is a host; any other name has none."""
    assert split_repository(repository) == expected


def test_a_name_without_a_host_cannot_be_asked() -> None:
    """Which registry the nodes mean by it is their setting, so nobody here can say yes or no."""
    assert manifest_exists("team/app", DIGEST) is None


def test_only_loopback_and_lab_names_are_asked_without_tls() -> None:
    """Everybody else's registry must speak TLS."""
    assert all(
        map(_is_plain, ["127.0.0.1:5000", "localhost:5000", "registry.lab", "[::1]:5000", "127.213.0.1"])
    )
    assert not any(map(_is_plain, ["registry.example", "10.0.0.1:5000", "lab.example:80", "192.0.2.1"]))
