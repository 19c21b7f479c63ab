"""Probes against real sockets: an error of the network is a reading, never an exception."""

import http.server
import socket
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from railiance.adapters import probe
from railiance.domain.check import public_url
from railiance.domain.verdict import Verdict


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.seen.append(SimpleNamespace(path=self.path, headers=dict(self.headers)))
        status = {"/missing": 404, "/moved": 302, "/slow": 200}.get(self.path.split("?")[0], 200)
        if self.path == "/slow":
            self.server.let_go.wait(5)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        self.end_headers()
        self.wfile.write(b"all is well")

    do_HEAD = do_GET  # noqa: N815 - the name is the server's

    def log_message(self, *_args):
        """Stay quiet."""


@pytest.fixture
def server():
    """A server that remembers what it was asked."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.seen, server.let_go = [], threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.let_go.set()
        server.shutdown()
        thread.join()


@contextmanager
def _free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("path", "options", "verdict"),
    [
        ("/", {}, Verdict.PASS),
        ("/missing", {}, Verdict.FAIL),
        ("/missing", {"expected": (200, 404)}, Verdict.PASS),
        ("/moved", {}, Verdict.FAIL),
        ("/", {"contains": "is well"}, Verdict.PASS),
        ("/", {"contains": "is ill"}, Verdict.FAIL),
        ("/", {"method": "HEAD"}, Verdict.PASS),
    ],
)
def test_answers(server, path, options, verdict):
    """The status, and the text if one is wanted, decide; a redirect is an answer of its own."""
    assert probe.http(server.url + path, **options).verdict is verdict


def test_host_header(server):
    """The declared Host header and further headers are sent, and nothing that the environment holds."""
    probe.http(server.url, host_header="hello.example", headers={"X-Track": "canary"})
    assert server.seen[0].headers["Host"] == "hello.example"
    assert server.seen[0].headers["X-Track"] == "canary"


def test_proxies_of_the_environment_are_ignored(server, monkeypatch):
    """A proxy variable does not change whom the probe asks."""
    with _free_port() as port:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("no_proxy", "")
        assert probe.http(server.url).verdict is Verdict.PASS


def test_refused():
    """A server that is absent is FAIL, and says that nobody answered."""
    with _free_port() as port:
        reading = probe.http(f"http://127.0.0.1:{port}/")
        assert (reading.verdict, reading.answered) == (Verdict.FAIL, False)
        assert "connection refused" in reading.reason
        assert not probe.tcp("127.0.0.1", port).answered


def test_timeout(server):
    """A server that does not answer in time is FAIL."""
    reading = probe.http(f"{server.url}/slow", timeout=0.2)
    assert (reading.verdict, reading.answered) == (Verdict.FAIL, False)
    assert "within 0.2 s" in reading.reason


@pytest.mark.parametrize("url", ["http://no-such-name.invalid/", "no url at all", "ftp://127.0.0.1/"])
def test_cannot_ask(url):
    """Where the question cannot even be put, the answer is UNKNOWN."""
    reading = probe.http(url, timeout=5)
    assert (reading.verdict, reading.answered) == (Verdict.UNKNOWN, False)


def test_not_tls(server):
    """A server that does not speak TLS fails a TLS probe."""
    port = server.server_port
    assert probe.tcp("127.0.0.1", port).verdict is Verdict.PASS
    assert probe.tcp("127.0.0.1", port, tls=True).verdict is Verdict.FAIL
    assert probe.http(f"https://127.0.0.1:{port}/").verdict is Verdict.FAIL


def test_missing_ca(server, tmp_path):
    """A certificate file that is not there is UNKNOWN, not an exception."""
    reading = probe.http(f"https://127.0.0.1:{server.server_port}/", tls_ca=tmp_path / "none.pem")
    assert reading.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("path", ["/?token=s3cret#s3cret", "/missing?token=s3cret"])
def test_secrets_of_the_url_are_not_reported(server, path):
    """Userinfo, query and fragment reach the server but no report."""
    url = server.url.replace("http://", "http://me:s3cret@") + path
    reading = probe.http(url)
    assert "token=s3cret" in server.seen[0].path
    assert "s3cret" not in repr(reading)


def test_secrets_of_an_unreachable_url_are_not_reported():
    """The library's own words repeat the URL; they are not passed on."""
    with _free_port() as port:
        assert "s3cret" not in repr(probe.http(f"http://me:s3cret@127.0.0.1:{port}/?t=s3cret"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@host:8443/a?b=c#d", "https://host:8443/a"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://host:none/", "(no URL)"),
    ],
)
def test_public_url(url, shown):
    """Only scheme, host, port and path of a URL are shown."""
    assert public_url(url) == shown
