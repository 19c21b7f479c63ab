"""What the models know about a place in a contract: its table, its keys, the words it may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from railiance_schema.app import Contract, Path
from railiance_schema.checks import CHECK_MODELS
from railiance_schema.table import Table
from railiance_schema.words import CRITICALITY_MEANS, Criticality


def keys_of(model: type[Table]) -> dict[str, FieldInfo]:
    """Return the keys of a table as they are written in a file, with what the model says about each."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def parts(annotation: Any) -> Iterator[Any]:
    """Yield the plain types that an annotation is made of, without None."""
    if get_origin(annotation) is Annotated:
        yield from parts(get_args(annotation)[0])
    elif get_origin(annotation) in {Union, UnionType}:
        for option in get_args(annotation):
            yield from parts(option)
    elif annotation is not type(None):
        yield annotation


def item_of(annotation: Any) -> Any:
    """Return the type of a list's items; the annotation itself when it is no list."""
    for part in parts(annotation):
        if get_origin(part) is tuple:
            return get_args(part)[0]
    return annotation


def is_list(annotation: Any) -> bool:
    """Say whether a key holds a list."""
    return any(get_origin(part) is tuple for part in parts(annotation))


def model_of(annotation: Any) -> type[Table] | None:
    """Return the table that a key holds, alone or in an array; None for a plain value or several tables."""
    models = [
        part for part in parts(item_of(annotation)) if isinstance(part, type) and issubclass(part, Table)
    ]
    return models[0] if len(models) == 1 else None


def model_at(path: Path, document: Mapping[str, Any]) -> type[Table] | None:
    """Return the model of the table at a path; a check's model follows its `type`."""
    model: type[Table] | None = Contract
    for depth, part in enumerate(path):
        if isinstance(part, int):
            continue
        if model is None or part not in keys_of(model):
            return None
        if path[: depth + 1] == ("checks",) and depth + 1 < len(path):
            model = CHECK_MODELS.get(_type_of(path, document))
        else:
            model = model_of(keys_of(model)[part].annotation)
    return model


def _type_of(path: Path, document: Mapping[str, Any]) -> str:
    try:
        found = document["checks"][path[1]]["type"]
    except (KeyError, IndexError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def field_at(path: Path, document: Mapping[str, Any]) -> FieldInfo | None:
    """Return what the model says about the key at a path; for a list item, about the list's key."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    if not path:
        return None
    model = model_at(path[:-1], document)
    return keys_of(model).get(str(path[-1])) if model else None


def words_of(annotation: Any) -> dict[str, str]:
    """Return the words a key may hold with what each means (often nothing); empty for a free value."""
    for part in parts(item_of(annotation)):
        if part is Criticality:
            return {word.value: meaning for word, meaning in CRITICALITY_MEANS.items()}
        if isinstance(part, type) and issubclass(part, StrEnum):
            return {word.value: "" for word in part}
        if get_origin(part) is Literal:
            return {str(word): "" for word in get_args(part)}
    return {}


@cache
def homes() -> dict[str, tuple[str, ...]]:
    """Return for every key of any table the tables that have it, as people write them."""
    found: dict[str, list[str]] = {}

    def visit(model: type[Table], name: str) -> None:
        for key, info in keys_of(model).items():
            found.setdefault(key, []).append(f"[{name}]" if name else "the top of the file")
            inner = model_of(info.annotation)
            if inner is not None:
                path = f"{name}.{key}" if name else key
                visit(inner, f"[{path}]" if is_list(info.annotation) else path)

    visit(Contract, "")
    for kind, model in CHECK_MODELS.items():
        for key in keys_of(model):
            found.setdefault(key, []).append(f'[[checks]] of `type = "{kind}"`')
    return {key: tuple(dict.fromkeys(names)) for key, names in found.items()}


def table_name(path: Path, document: Mapping[str, Any]) -> str:
    """Name a table in a sentence: `[app]`, `[[observability.logs]]`, an http check, the contract."""
    if not path:
        return "the contract"
    if path[0] == "checks" and len(path) == 2:
        kind = _type_of(path, document)
        return f"{'an' if kind == 'http' else 'a'} {kind} check" if kind in CHECK_MODELS else "`[[checks]]`"
    name = ".".join(str(part) for part in path if isinstance(part, str))
    return f"`[[{name}]]`" if isinstance(path[-1], int) else f"`[{name}]`"
