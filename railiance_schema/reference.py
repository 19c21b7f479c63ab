"""The reference page of `railiance/app.toml`, generated from the models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic.fields import FieldInfo

from railiance_schema.app import Contract
from railiance_schema.checks import CHECK_MODELS
from railiance_schema.json_schema import json_schema
from railiance_schema.risks import RISKS
from railiance_schema.rules import RULES
from railiance_schema.scalars import format_duration
from railiance_schema.shape import is_list, keys_of, model_of, words_of
from railiance_schema.table import Table

HEAD = """# Reference: `railiance/app.toml`

Generated from the models; a test compares. What the keys are for is told in
[the contract](../app-toml-contract.md). Keys and tables called `x-...` are free for other tools.
"""


def reference_text() -> str:
    """Return the page."""
    definitions = json_schema()["$defs"]
    parts = [HEAD]
    names: dict[type[Table], list[str]] = {}
    for name, model in _tables(Contract, ""):
        names.setdefault(model, []).append(name)
    parts += [_section("` `".join(alike), model, definitions) for model, alike in names.items()]
    for kind, check in CHECK_MODELS.items():
        parts.append(_section(f'[[checks]] with type = "{kind}"', check, definitions))
    rules = [f"- {_sentence(rule)}" for rule in RULES if rule not in RISKS]
    parts.append("## Rules across keys\n\n" + "\n".join(rules) + "\n")
    parts.append("## Warnings\n\n" + "\n".join(f"- {_sentence(rule)}" for rule in RISKS) + "\n")
    return "\n".join(parts)


def _sentence(rule: Any) -> str:
    return (rule.__doc__ or "").strip().splitlines()[0]


def _tables(model: type[Table], name: str) -> Iterator[tuple[str, type[Table]]]:
    """Yield every table in the order of the file."""
    plain = [
        key for key, info in keys_of(model).items() if model_of(info.annotation) is None and key != "checks"
    ]
    if plain or name:
        yield (f"[{name}]" if name and not name.startswith("[") else name or "At the top"), model
    for key, info in keys_of(model).items():
        inner = model_of(info.annotation)
        if inner is not None:
            path = f"{name}.{key}" if name else key
            yield from _tables(inner, f"[[{path}]]" if is_list(info.annotation) else path)


def _section(name: str, model: type[Table], definitions: dict[str, Any]) -> str:
    rows = []
    for key, info in keys_of(model).items():
        if model_of(info.annotation) is not None:
            continue
        if model is Contract and key != "schema_version":
            continue
        kind = _type(definitions, model, key, info)
        rows.append(f"| `{key}` | {kind} | {_default(info)} | {info.description} |")
    meaning = (model.__doc__ or "").strip().splitlines()[0]
    head = f"## `{name}`\n\n{meaning}\n" if name != "At the top" else f"## {name}\n"
    table = (
        "\n| Key | Type | Default | Meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
    )
    return head + table


def _type(definitions: dict[str, Any], model: type[Table], key: str, info: FieldInfo) -> str:
    words = words_of(info.annotation)
    if words:
        listed = " ".join(f"`{word}`" for word in words)
        return f"list of {listed}" if is_list(info.annotation) else listed
    schema = definitions.get(model.__name__, {}).get("properties", {}).get(key, {})
    return _plain_type(schema)


def _plain_type(schema: dict[str, Any]) -> str:
    if schema.get("pattern", "").endswith("(ms|s|m|h|d)$"):
        return "duration"
    if schema.get("type") == "array":
        return f"list of {schema['items'].get('type', 'value')}s"
    if "anyOf" in schema:
        return " or ".join(_plain_type(option) for option in schema["anyOf"])
    name = {"date-time": "local date and time", "object": "table of strings"}
    known = name.get(schema.get("format", "")) or name.get(schema.get("type", ""))
    return known or str(schema.get("type", "string")) + _range(schema)


def _range(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above = schema.get("exclusiveMinimum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", at least {low}" if low is not None else f", above {above}" if above is not None else ""


def _default(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    if isinstance(extra, dict) and "x-railiance-default" in extra:
        return str(extra["x-railiance-default"]).replace("<", "&lt;")
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else _written(value)


def _written(value: Any) -> str:
    """Write a default as a contract would."""
    if value in ("", (), {}):
        return "empty"
    if isinstance(value, timedelta):
        text = format_duration(value)
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text}`"
