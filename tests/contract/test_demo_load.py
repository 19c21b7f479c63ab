"""The demo's users as a process, against a real HTTP server: steady, counted, bounded, and only on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from railiance.demo_app.driver import visiting
from railiance.demo_app.load import Load, look

MOODS = ("good", "faulty", "gateway")


class Gateway(BaseHTTPRequestHandler):
    """Answers in turn like a good version, a faulty one, and a gateway without a backend."""

    protocol_version = "HTTP/1.1"
    turn = 0
    lock = threading.Lock()
    peers: set[int]

    def do_GET(self) -> None:
        with self.lock:
            mood = MOODS[type(self).turn % 3]
            type(self).turn += 1
            self.peers.add(self.client_address[1])
        self.send_response({"good": 200, "faulty": 500, "gateway": 503}[mood])
        if mood != "gateway":
            self.send_header("X-Version", "v1" if mood == "good" else "v2")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def gateway() -> Iterator[tuple[str, type[Gateway]]]:
    """Return the address of a server that stays up for the test, and its class, which counts."""
    handler = type("Fresh", (Gateway,), {"turn": 0, "peers": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_every_request_is_counted_once(gateway: tuple[str, type[Gateway]]) -> None:
    """What the server gave is what the users counted, by version and by outcome, and nothing is left over."""
    url, handler = gateway
    with visiting(url, "hello.localhost", rps=100, seconds=2) as visit:
        deadline = time.monotonic() + 20
        while not visit.tally.finished and time.monotonic() < deadline:
            time.sleep(0.1)
    tally = visit.tally
    assert tally.finished
    assert tally.sent == 200 == handler.turn
    assert tally.ok == {"v1": 67}
    assert tally.faulty == {"v2": 67}
    assert tally.lost == {"gateway 503": 66}


def test_connections_are_kept_and_made(gateway: tuple[str, type[Gateway]]) -> None:
    """Some users keep their connection, others come anew with every request."""
    url, handler = gateway
    with visiting(url, "hello.localhost", rps=100, seconds=2) as visit:
        while not visit.tally.finished:
            time.sleep(0.1)
    assert 50 < len(handler.peers) < 190


def test_users_leave_with_the_block(gateway: tuple[str, type[Gateway]]) -> None:
    """When the block ends the users stop at once, and their tally is complete."""
    url, handler = gateway
    with visiting(url, "hello.localhost", rps=50, seconds=600) as visit:
        pass
    assert visit.tally.finished
    seen = handler.turn
    assert visit.tally.sent == seen
    time.sleep(0.3)
    assert handler.turn == seen


def test_nobody_answers() -> None:
    """A closed port is a lost request, not an error of ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        port = server.server_port
    assert look(f"http://127.0.0.1:{port}", "hello.localhost") == (None, "connection")


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1", "http://", "http://[2001:db8::1]:80", "http://10.213.250.11"]
)
def test_load_stays_on_this_machine(url: str) -> None:
    """An address that is neither on loopback nor a node of a lab here is refused before anything is sent."""
    with pytest.raises(ValueError, match="not on this machine"):
        Load(url, "hello.localhost", 1, 1)
