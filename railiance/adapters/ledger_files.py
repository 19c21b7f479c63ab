"""The ledger as files, a line per event and a file per content: alone, or as mirror of one in a cluster."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from railiance.adapters.chain import check_chain, decode, encode, next_event
from railiance.adapters.clock import SystemClock
from railiance.domain.canonical import sha256_digest
from railiance.domain.errors import Broken, Unavailable
from railiance.domain.ports import Clock, Event

_HELP = "Make the folder writable, with room left on its disk."


class FileLedger:
    """A ledger in a folder: `events.jsonl`, only appended to, and `objects/sha256/<hex>`.

    Args:
        folder: Where it lives; made when the first thing is written.
        clock: Dates the events.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self._folder = folder
        self._clock = clock or SystemClock()
        self._lines = folder / "events.jsonl"

    def events(self) -> list[Event]:
        """Return all events in order.

        Raises:
            Broken: The chain is broken (code `LEDGER_BROKEN`).
        """
        whole, _ = self._read()
        return self._checked(whole)

    def append(self, kind: str, run_id: str, actor: str, data: Mapping[str, Any]) -> Event:
        """Write one event after the last; writers wait for each other.

        Raises:
            Unavailable: It cannot be written (code `DENY_LEDGER_UNWRITABLE`).
        """
        with self._locked():
            whole, length = self._read()
            events = self._checked(whole)
            last = events[-1] if events else None
            at = self._clock.now()
            event = next_event(last, kind=kind, at=at, run_id=run_id, actor=actor, data=data)
            self._write(length, [event])
        return event

    def put(self, content: bytes) -> str:
        """Keep content, return its digest; keeping it twice is the same.

        Raises:
            Unavailable: It cannot be written (code `DENY_LEDGER_UNWRITABLE`).
        """
        digest = sha256_digest(content)
        path = self._object_path(digest)
        with _writing(path):
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(path, content)
        return digest

    def get(self, digest: str) -> bytes:
        """Return kept content, verified.

        Raises:
            Broken: It is unknown (code `OBJECT_MISSING`) or was changed (code `OBJECT_CORRUPT`).
        """
        path = self._object_path(digest)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise Broken(
                "OBJECT_MISSING", f"The ledger in {self._folder} holds no object {digest}."
            ) from error
        if sha256_digest(content) != digest:
            raise Broken(
                "OBJECT_CORRUPT", f"The object {path} is not what its name says.", "Restore the file."
            )
        return content

    def mirror(self, events: Sequence[Event]) -> None:
        """Bring the lines up to another ledger's events.

        Lines that do not agree with it (another cluster's, say) are kept beside, in a file of their own.
        """
        with self._locked():
            own, length = self._read()
            if own != [encode(event) for event in events[: len(own)]]:
                self._put_aside(own)
                own, length = [], 0
            self._write(length, events[len(own) :])

    def _put_aside(self, lines: Sequence[str]) -> None:
        name = sha256_digest(lines[-1].encode()).removeprefix("sha256:")[:12]
        self._lines.replace(self._folder / f"events-{name}.jsonl")

    def _checked(self, lines: Sequence[str]) -> list[Event]:
        where = str(self._lines)
        return check_chain((decode(line, f"line {n} of {where}") for n, line in enumerate(lines, 1)), where)

    def _read(self) -> tuple[list[str], int]:
        """Return the whole lines and their length in bytes: a writer may have died in the middle of one."""
        try:
            raw = self._lines.read_bytes()
        except FileNotFoundError:
            return [], 0
        except OSError as error:
            message = f"The ledger {self._lines} cannot be read: {error.strerror}."
            raise Unavailable("LEDGER_UNREADABLE", message, _HELP) from error
        whole = raw[: raw.rfind(b"\n") + 1]
        # Not splitlines: texts may hold other characters that it takes for the end of a line.
        return whole.decode("utf-8", "replace").split("\n")[:-1], len(whole)

    def _write(self, length: int, events: Sequence[Event]) -> None:
        if not events:
            return
        with _writing(self._lines), self._lines.open("ab") as file:
            file.truncate(length)  # a torn last line was never an event
            file.write("".join(f"{encode(event)}\n" for event in events).encode())
            file.flush()
            os.fsync(file.fileno())

    def _object_path(self, digest: str) -> Path:
        return self._folder / "objects" / "sha256" / digest.removeprefix("sha256:")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("ab")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "DENY_LEDGER_UNWRITABLE", f"The ledger at {path} cannot be written: {error.strerror}.", _HELP
        ) from error


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file so that its name never stands for half of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
