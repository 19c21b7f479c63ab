"""Server-side apply in small: who owns which leaf of an object."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from railiance.domain.errors import Conflict
from railiance.domain.ports import Manifest, ObjectRef

Path = tuple[str, ...]
_SERVER_SET = frozenset({"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"})


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield the leaves of a manifest, without what names it and what the server sets."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            inner = (*path, key)
            if inner[0] in ("apiVersion", "kind", "status") or inner in (
                ("metadata", "name"),
                ("metadata", "namespace"),
            ):
                continue
            if len(inner) == 2 and inner[0] == "metadata" and key in _SERVER_SET:
                continue
            yield from leaves(item, inner)
    elif path:
        yield path, value


def applied(
    ref: ObjectRef,
    live: Manifest | None,
    owners: dict[Path, set[str]],
    manifest: Manifest,
    manager: str,
    *,
    force: bool,
) -> Manifest:
    """Return the object after an apply, and note in `owners` who owns what then."""
    if live is None:
        live = {"apiVersion": ref.api_version, "kind": ref.kind, "metadata": {"name": ref.name}}
        if ref.namespace:
            live["metadata"]["namespace"] = ref.namespace
    before, wanted = dict(leaves(live)), dict(leaves(copy.deepcopy(manifest)))
    taken = [p for p, v in wanted.items() if before.get(p, v) != v and owners.get(p, set()) - {manager}]
    if taken and not force:
        others = sorted({owner for path in taken for owner in owners[path]} - {manager})
        fields = ", ".join(".".join(path) for path in taken)
        raise Conflict("FIELD_CONFLICT", f"{ref.kind} {ref.name}: {fields} belongs to {', '.join(others)}")
    for path in [p for p, names in owners.items() if manager in names and p not in wanted]:
        owners[path].discard(manager)
        if not owners[path]:
            del owners[path]
            _remove(live, path)
    for path, value in wanted.items():
        changed = before.get(path) != value
        owners[path] = {manager} if changed else owners.get(path, set()) | {manager}
        _put(live, path, value)
    return live


def _put(document: Manifest, path: Path, value: Any) -> None:
    for key in path[:-1]:
        inner = document.get(key)
        if not isinstance(inner, dict):
            inner = document[key] = {}
        document = inner
    document[path[-1]] = value


def _remove(document: Manifest, path: Path) -> None:
    for key in path[:-1]:
        document = document.get(key, {})
    document.pop(path[-1], None)
