"""What a lab remembers between two commands: its record, its lock, its processes.

A process of a lab is known in two ways: by a small file with pid and start time, and by a mark in its
environment. The mark is there from its first instruction on, so even a process whose file was never written
(we died in between) is found again and ended.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from railiance.adapters import process
from railiance.domain.errors import Broken, Conflict
from railiance.lab.layout import DEFAULT_NAME, SLOTS, Lab, cache_root, instances_root

MARK = "RAILIANCE_LAB_FOLDER"


@contextmanager
def locked(name: str, busy: str) -> Iterator[None]:
    """Hold the lock of that name; it frees itself when we die.

    Raises:
        Conflict: Somebody else holds it (`LAB_BUSY`).
    """
    folder = cache_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict("LAB_BUSY", busy, "Wait until it has ended, then try again.") from error
        yield


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that a reader finds either all of it or the one before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=mode)
    draft.write_text(text)
    draft.replace(path)


def read_record(name: str) -> dict[str, Any] | None:
    """Return what is noted of a lab, or None if there is none of that name."""
    path = instances_root() / name / "record.json"
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        help_ = f"Remove {path.parent} once nothing of that lab runs any more."
        raise Broken("LAB_RECORD", f"The lab's record {path} cannot be read.", help_) from error
    return dict(found)


def write_record(name: str, record: Mapping[str, Any]) -> None:
    """Note what is to be known of a lab; its key `provider` says whose it is."""
    write_atomically(instances_root() / name / "record.json", json.dumps(record, indent=1))


def provider_of(name: str) -> str | None:
    """Return the provider of a lab, or None if there is none of that name."""
    record = read_record(name)
    return None if record is None else str(record["provider"])


def load(name: str) -> Lab | None:
    """Return the native or kind lab of that name, or None if there is none."""
    record = read_record(name)
    return None if record is None or record["provider"] == "existing" else Lab(**record)


def remember(lab: Lab) -> None:
    """Write the lab's record."""
    write_record(lab.name, asdict(lab))


def free_slot(name: str) -> int:
    """Return a slot for a new lab: 0 for the default one, else the first that no other lab has.

    Raises:
        Conflict: All slots are taken (`LAB_NO_SLOT`).
    """
    if name == DEFAULT_NAME:
        return 0
    taken = {lab.slot for known in known_labs() if (lab := load(known)) is not None}
    for slot in range(1, SLOTS):
        if slot not in taken:
            return slot
    names = ", ".join(known_labs())
    raise Conflict("LAB_NO_SLOT", f"There are {SLOTS} labs already: {names}.", "Take one down first.")


def known_labs() -> list[str]:
    """Return the names of the labs that are there."""
    root = instances_root()
    return sorted(path.parent.name for path in root.glob("*/record.json")) if root.is_dir() else []


def ensure_process(
    lab: Lab,
    name: str,
    argv: Sequence[str],
    *,
    netns: str | None = None,
    env: Mapping[str, str] | None = None,
) -> bool:
    """Have this process running with these very arguments; return whether it had to be started.

    A process of that name with other arguments is ended first.
    """
    entered = ["nsenter", f"--net=/run/netns/{netns}", "--"] if netns else []
    wanted = [*entered, *argv]
    record = _process_file(lab, name)
    known = _read_process(record)
    if known and process.alive(known[0], known[1]):
        if known[2] == wanted:
            return False
        process.end(known[0], known[1])
    log = lab.folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    started = process.spawn(wanted, env={**(env or {}), MARK: str(lab.folder)}, stdout=log)
    write_atomically(
        record, json.dumps({"pid": started.pid, "start_time": started.start_time, "argv": wanted}, indent=1)
    )
    return True


def process_states(lab: Lab) -> dict[str, bool]:
    """Return, for each process that the lab should have, whether it runs."""
    states = {}
    for record in sorted((lab.folder / "processes").glob("*.json")):
        known = _read_process(record)
        states[record.stem] = known is not None and process.alive(known[0], known[1])
    return states


def end_process(lab: Lab, name: str, term_timeout: float = 10) -> None:
    """End one process of the lab, if it runs, and forget it."""
    record = _process_file(lab, name)
    known = _read_process(record)
    if known:
        process.end(known[0], known[1], term_timeout)
    record.unlink(missing_ok=True)


def end_marked(folder: Path) -> None:
    """End every process that carries the mark of this lab folder."""
    for pid, started in list(marked(folder)):
        process.end(pid, started, term_timeout=2)


def end_strays(lab: Lab) -> None:
    """End marked processes that no file knows: what an interrupted `up` may have left.

    Only those that lead a session: that is how we start processes. Children of known ones, and the shims that
    keep pods alive, inherit the mark but lead none.
    """
    known = {entry[0] for path in (lab.folder / "processes").glob("*.json") if (entry := _read_process(path))}
    for pid, started in list(marked(lab.folder)):
        if pid not in known and _leads_session(pid):
            process.end(pid, started)


def marked(folder: Path) -> Iterator[tuple[int, str]]:
    """Yield pid and start time of every process that carries the mark of this lab folder."""
    wanted = f"{MARK}={folder}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                started = process.start_time(int(entry.name))
                if started is not None:
                    yield int(entry.name), started


def _leads_session(pid: int) -> bool:
    with suppress(ProcessLookupError):
        return os.getsid(pid) == pid
    return False


def _process_file(lab: Lab, name: str) -> Path:
    return lab.folder / "processes" / f"{name}.json"


def _read_process(path: Path) -> tuple[int, str, list[str]] | None:
    try:
        entry = json.loads(path.read_text())
        return int(entry["pid"]), str(entry["start_time"]), list(entry["argv"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        raise Broken(
            "LAB_RECORD", f"The process file {path} cannot be read.", "Run `railiance lab down`."
        ) from error
