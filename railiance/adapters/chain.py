"""The chain of events: how one event is written, and how a whole ledger is checked. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from railiance.domain.canonical import canonical_json, digest_of
from railiance.domain.errors import Broken
from railiance.domain.lifecycle import stamp
from railiance.domain.ports import Event

_FIELDS = frozenset(field.name for field in fields(Event))
_HELP = "Something else changed it. Compare it with a mirror or a backup; deploy nothing until you know why."


def next_event(
    last: Event | None, *, kind: str, at: datetime, run_id: str, actor: str, data: Mapping[str, Any]
) -> Event:
    """Return the event that follows `last`, sealed with its digest.

    Raises:
        Broken: `data` holds something that JSON cannot (code `EVENT_INVALID`).
    """
    try:
        # Through JSON and back, so that the event handed out is the one that will be read.
        plain = json.loads(canonical_json(dict(data)))
    except (TypeError, ValueError) as error:
        raise Broken("EVENT_INVALID", f"The event {kind!r} holds something that JSON cannot.") from error
    unsealed = {
        "sequence": 1 if last is None else last.sequence + 1,
        "kind": str(kind),
        "at": stamp(at),
        "run_id": run_id,
        "actor": actor,
        "data": plain,
        "previous": "" if last is None else last.digest,
    }
    return Event(**unsealed, digest=digest_of(unsealed))


def encode(event: Event) -> str:
    """Return the one line of canonical JSON that stands for an event."""
    return canonical_json(asdict(event)).decode()


def decode(text: str, where: str) -> Event:
    """Read one event back, and check its seal.

    Args:
        text: The line.
        where: Its place, for the message.

    Raises:
        Broken: It is no event, or was changed after it was written (code `LEDGER_BROKEN`).
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _broken(f"{where} is no JSON") from error
    if not isinstance(document, dict) or set(document) != _FIELDS or type(document["sequence"]) is not int:
        raise _broken(f"{where} is no event")
    event = Event(**document)
    if digest_of({key: value for key, value in document.items() if key != "digest"}) != event.digest:
        raise _broken(f"{where} was changed after it was written")
    return event


def check_chain(events: Iterable[Event], where: str) -> list[Event]:
    """Return the events in order, when they form one chain from 1 without a gap.

    Raises:
        Broken: One is missing, doubled or does not follow (code `LEDGER_BROKEN`).
    """
    ordered = sorted(events, key=lambda event: event.sequence)
    previous = ""
    for expected, event in enumerate(ordered, start=1):
        if event.sequence != expected:
            raise _broken(f"event {expected} is missing or doubled in {where}")
        if event.previous != previous:
            raise _broken(f"event {expected} in {where} does not follow the one before")
        previous = event.digest
    return ordered


def _broken(what: str) -> Broken:
    return Broken("LEDGER_BROKEN", f"The ledger is broken: {what}.", _HELP)
