"""The JSON Schema that editors read, generated from the models.

The items of `[[checks]]` are written as one closed set of keys plus one `if type … then` per type: editors
that cannot follow a `oneOf` then still say exactly one right thing.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from railiance_schema.app import Contract
from railiance_schema.checks import CHECK_MODELS
from railiance_schema.scalars import format_duration
from railiance_schema.words import CRITICALITY_MEANS

FILE = "railiance-app.v1.schema.json"
REVISION = "2026-01-01"
"""Bumped by every additive change."""


class _Generator(GenerateJsonSchema):
    """Writes defaults the way a contract does."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def json_schema() -> dict[str, Any]:
    """Return the schema of `railiance/app.toml` as a JSON Schema document."""
    schema: dict[str, Any] = Contract.model_json_schema(by_alias=True, schema_generator=_Generator)
    schema["$defs"]["Check"] = _check_item(schema["$defs"])
    schema["properties"]["checks"]["items"] = {"$ref": "#/$defs/Check"}
    for model in (schema, *schema["$defs"].values()):
        _open_to_extensions(model)
    tidy: dict[str, Any] = _tidy(schema)
    tidy["$defs"]["Criticality"]["x-taplo"] = {"docs": {"enumValues": list(CRITICALITY_MEANS.values())}}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"urn:railiance:schema:{FILE}",
        "title": "railiance/app.toml",
        "x-revision": REVISION,
        **tidy,
    }


def json_schema_text() -> str:
    """Return the schema as the file that is shipped."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def _check_item(definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the hybrid schema of one check; the definitions of the types lose their closed set of keys."""
    properties: dict[str, Any] = {}
    branches = []
    for kind, model in CHECK_MODELS.items():
        definition = definitions[model.__name__]
        for key in definition["properties"]:
            properties.setdefault(key, True)
        properties = {**properties, "type": {"enum": list(CHECK_MODELS), "description": "Kind of check."}}
        definition["additionalProperties"] = False
        condition = {"properties": {"type": {"const": kind}}, "required": ["type"]}
        branches.append({"if": condition, "then": {"$ref": f"#/$defs/{model.__name__}"}})
    return {
        "type": "object",
        "description": "A question with a yes or no.",
        "properties": properties,
        "required": ["id", "type"],
        "additionalProperties": False,
        "allOf": branches,
    }


def _open_to_extensions(model: dict[str, Any]) -> None:
    """Allow `x-…`, and drop from the required keys those that a default provides."""
    if model.get("type") != "object" or "properties" not in model:
        return
    model["patternProperties"] = {"^x-": {}}
    properties = model["properties"]
    required = [key for key in model.get("required", ()) if not _has_default(properties[key])]
    model["required"] = required


def _has_default(prop: Any) -> bool:
    return isinstance(prop, dict) and "x-railiance-default" in prop


def _tidy(node: Any, *, names: bool = False) -> Any:
    """Drop titles, nulls and empty lists of required keys; TOML has no null."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if names:
        return {key: _tidy(value) for key, value in node.items()}
    options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if "anyOf" in node and len(options) == 1:
        node = {**{key: value for key, value in node.items() if key != "anyOf"}, **options[0]}
    dropped = {"title", "discriminator", "oneOf"} | ({"default"} if node.get("default", 0) is None else set())
    kept = {
        key: value
        for key, value in node.items()
        if key not in dropped and not (key == "required" and not value)
    }
    return {
        key: _tidy(value, names=key in {"properties", "$defs", "patternProperties"})
        for key, value in kept.items()
    }
