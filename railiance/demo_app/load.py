"""Users of the demonstration: a bounded stream of requests through the gateway, each counted by what it met.

    python -m railiance.demo_app.load --url http://127.0.0.1:26080 --host hello.localhost --out users.json

Half of them keep their connection, the others come anew each time. It never leaves this machine, and ends
when its time is over, when it is told to (TERM), or when whoever started it is gone.
"""

from __future__ import annotations

import http.client
import ipaddress
import itertools
import json
import os
import signal
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from railiance.adapters import clock

VERSION_HEADER = "X-Version"

_WORKERS = 32  # so many requests may hang at the same time before the rate falls
_TIMEOUT = 10.0
_TOLD_EVERY = 0.5
_KEPT_LOSSES = 20
_LAB_NODES = ipaddress.ip_network("10.213.0.0/16")  # as railiance.lab.layout gives them out


@dataclass(slots=True)
class Tally:
    """What users saw, counted.

    Attributes:
        sent: Requests that were begun.
        ok: Good answers, by the version that gave them.
        faulty: Answers of the application other than 200, by version.
        lost: Requests without an answer of the application, by what came instead: `connection`, `timeout`, or
            `gateway 503` and the like.
        losses: The first of the lost ones: seconds since the start, and what came.
        faulty_from: Seconds from the start to the first faulty answer; None without one.
        faulty_to: Seconds from the start to the last faulty answer; None without one.
        slowest: Longest time to an answer, in seconds.
        seconds: How long it has gone on.
        finished: Whether all is counted: no request is on its way any more.
    """

    sent: int = 0
    ok: Counter[str] = field(default_factory=Counter)
    faulty: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    losses: list[tuple[float, str]] = field(default_factory=list)
    faulty_from: float | None = None
    faulty_to: float | None = None
    slowest: float = 0.0
    seconds: float = 0.0
    finished: bool = False

    @property
    def answered(self) -> int:
        """Return how many requests the application answered, well or not."""
        return self.ok.total() + self.faulty.total()

    def count(self, version: str | None, what: str, at: float, took: float) -> None:
        """Count one request.

        Args:
            version: Version that answered; None if the application did not.
            what: The status it answered, or what came instead of an answer.
            at: Seconds since the start.
            took: Seconds to the answer.
        """
        self.slowest = max(self.slowest, took)
        if version is None:
            self.lost[what] += 1
            if len(self.losses) < _KEPT_LOSSES:
                self.losses.append((round(at, 3), what))
        elif what == "200":
            self.ok[version] += 1
        else:
            self.faulty[version] += 1
            self.faulty_from = at if self.faulty_from is None else self.faulty_from
            self.faulty_to = at

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: dict(v) if isinstance(v, Counter) else v for name, v in values.items()}

    @classmethod
    def read(cls, path: Path) -> Tally:
        """Return what a load generator wrote last; nothing counted if it has written nothing yet."""
        if not path.is_file():
            return cls()
        found = json.loads(path.read_text(encoding="utf-8"))
        counters = {name: Counter(found[name]) for name in ("ok", "faulty", "lost")}
        return cls(**{**found, **counters, "losses": [(at, what) for at, what in found["losses"]]})


class Load:
    """A stream of requests at a steady rate, whatever the answers.

    Args:
        url: Address of the gateway, on this machine.
        host: Host that the users ask for.
        rps: Requests a second.
        seconds: How long.

    Raises:
        ValueError: The address is not on this machine.
    """

    def __init__(self, url: str, host: str, rps: float, seconds: float) -> None:
        self._address = _local(url)
        self._host = host
        self._rps = rps
        self._seconds = seconds
        self._slots = itertools.count()
        self._lock = threading.Lock()
        self._tally = Tally()
        self._start = 0.0
        self.stopping = threading.Event()

    def run(self, out: Path) -> Tally:
        """Send until the time is over or `stopping` is set, writing the tally to a file now and then."""
        self._start = clock.monotonic()
        parent = os.getppid()
        workers = [threading.Thread(target=self._work, args=(n % 2 == 0,)) for n in range(_WORKERS)]
        for worker in workers:
            worker.start()
        try:
            while any(worker.is_alive() for worker in workers) and os.getppid() == parent:
                self._write(out)
                if self.stopping.wait(_TOLD_EVERY):
                    break
        finally:
            self.stopping.set()
            for worker in workers:
                worker.join()
        self._tally.finished = True
        self._write(out)
        return self._tally

    def _work(self, keep: bool) -> None:
        connection = self._connection()
        while (at := self._next_slot()) is not None:
            if self.stopping.wait(max(0.0, at - clock.monotonic())):
                break
            self._ask(connection, keep)
        connection.close()

    def _next_slot(self) -> float | None:
        with self._lock:
            offset = next(self._slots) / self._rps
        return None if offset >= self._seconds else self._start + offset

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self._address, timeout=_TIMEOUT)

    def _ask(self, connection: http.client.HTTPConnection, keep: bool) -> None:
        """Send one request and count it; http.client connects anew by itself after a close."""
        began = clock.monotonic()
        with self._lock:
            self._tally.sent += 1
        version, what = _answer(connection, self._host)
        if not keep or what in {"timeout", "connection"}:
            connection.close()
        ended = clock.monotonic()
        with self._lock:
            self._tally.count(version, what, ended - self._start, ended - began)

    def _write(self, out: Path) -> None:
        with self._lock:
            self._tally.seconds = round(clock.monotonic() - self._start, 3)
            text = json.dumps(self._tally.document())
        part = out.with_name(f".{out.name}.part")  # a reader never meets half a tally
        part.write_text(text, encoding="utf-8")
        part.replace(out)


def look(url: str, host: str) -> tuple[str | None, str]:
    """Ask once, as a user would.

    Returns:
        The version that answered (None if the application did not), and its status, or what came instead:
        `connection`, `timeout`, or `gateway 503` and the like.

    Raises:
        ValueError: The address is not on this machine.
    """
    connection = http.client.HTTPConnection(*_local(url), timeout=_TIMEOUT)
    try:
        return _answer(connection, host)
    finally:
        connection.close()


def _answer(connection: http.client.HTTPConnection, host: str) -> tuple[str | None, str]:
    try:
        connection.request("GET", "/", headers={"Host": host})
        answer = connection.getresponse()
        answer.read()
    except TimeoutError:
        return None, "timeout"
    except (OSError, http.client.HTTPException):
        return None, "connection"
    version = answer.getheader(VERSION_HEADER)
    return version, str(answer.status) if version else f"gateway {answer.status}"


def _local(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    # All addresses of the name, so that none of the load can leave this machine.
    found = {str(info[4][0]) for info in socket.getaddrinfo(host, None)} if host else set()
    if not found or not all(_stays_here(address) for address in found):
        message = f"{url} is not on this machine; load goes to loopback and to a lab's nodes only"
        raise ValueError(message)
    return min(found), parts.port or 80


def _stays_here(text: str) -> bool:
    """Tell whether what is sent to an address stays on this machine: loopback, or a node of a lab here."""
    address = ipaddress.ip_address(text)
    if address.is_loopback:
        return True
    if address not in _LAB_NODES:
        return False
    # Each lab's nodes are on a bridge without a way out, and its first address is this machine's own.
    gateway = ipaddress.ip_network(f"{text}/24", strict=False)[1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(gateway), 0))
        except OSError:
            return False
    return True


@click.command()
@click.option("--url", required=True, help="Address of the gateway, on this machine.")
@click.option("--host", required=True, help="Host that the users ask for.")
@click.option("--rps", default=50.0, show_default=True, help="Requests a second.")
@click.option("--seconds", default=600.0, show_default=True, help="How long at most.")
@click.option(
    "--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the tally goes."
)
def main(url: str, host: str, rps: float, seconds: float, out: Path) -> None:
    """Be users of an application, for a bounded time, and count what they see."""
    load = Load(url, host, rps, seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: load.stopping.set())
    load.run(out)


if __name__ == "__main__":
    main()
