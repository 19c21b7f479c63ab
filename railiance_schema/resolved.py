"""Every resolved value of a contract with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import BaseModel

from railiance_schema.app import Path
from railiance_schema.document import SourceMap, dotted
from railiance_schema.load import Examined
from railiance_schema.scalars import format_duration
from railiance_schema.words import StageName


@dataclass(frozen=True, slots=True)
class Value:
    """One resolved value.

    Attributes:
        key: Its key, dotted.
        value: The value as a contract would write it; None where nothing applies.
        origin: `path:line`, `default`, `criticality`, `inherited from …`, with `interpolated` behind it
            where an expression was filled in.
    """

    key: str
    value: Any
    origin: str


def resolved_values(
    examined: Examined, path: str, stage: StageName | None = None, env: Mapping[str, str] | None = None
) -> list[Value]:
    """Return all values of a contract in the order of the file.

    Args:
        examined: A file without errors.
        path: Its name, for origins.
        stage: Fill in its expressions and leave the other stages out; None = show all as written.
        env: Variables for expressions; their values are not shown.

    Raises:
        ContractError: An expression of the stage cannot be filled in.
        ValueError: The file has errors.
    """
    if examined.contract is None or examined.filled is None or examined.places is None:
        raise ValueError("the file has errors, so nothing is resolved")
    contract = examined.contract
    shown = contract.interpolated(stage, env) if stage is not None else contract
    read = [(env or {}).get(name, "") for name in shown.env_read]

    def hidden(value: Any) -> bool:
        return any(text and text in str(value) for text in read)

    values = []
    for (place, written), (_, filled) in zip(_leaves(contract), _leaves(shown), strict=True):
        if stage is not None and place[0] == "stages" and place[1] not in {stage.value, "defaults"}:
            continue
        origin = _origin(place, path, examined.filled.origins, examined.places)
        if filled != written:
            origin += ", interpolated"
        values.append(Value(dotted(place), written if hidden(filled) else filled, origin))
    ignored = [Value(dotted(at), "…", f"{path}:{line}, ignored") for at, line in _extensions(examined)]
    return values + ignored


def _leaves(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what is no table, with its path; lists of plain values count as one value."""
    if isinstance(node, BaseModel):
        for name, field in type(node).model_fields.items():
            yield from _leaves(getattr(node, name), (*path, field.alias or name))
    elif isinstance(node, tuple) and node and isinstance(node[0], BaseModel):
        for at, item in enumerate(node):
            yield from _leaves(item, (*path, at))
    else:
        yield path, _plain(node)


def _plain(value: Any) -> Any:
    """Return a value as JSON and people can read it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, str) else value


def _origin(place: Path, path: str, origins: Mapping[Path, str], places: SourceMap) -> str:
    if place in origins:
        return origins[place]
    return f"{path}:{places.key(place).line}" if place in places.keys else "default"


def _extensions(examined: Examined) -> Iterator[tuple[Path, int]]:
    """Yield the `x-…` keys of the file: ignored, and shown so that nobody wonders."""
    places = examined.places
    for place, mark in (places.keys if places is not None else {}).items():
        if isinstance(place[-1], str) and place[-1].startswith("x-") and "headers" not in place:
            yield place, mark.line
