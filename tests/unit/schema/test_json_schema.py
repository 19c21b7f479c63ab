"""The schema for editors: shipped as generated, right about the examples."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import railiance_schema
from railiance_schema.json_schema import FILE, json_schema, json_schema_text
from railiance_schema.reference import reference_text

GOLDEN = Path(__file__).parents[2] / "golden" / "app-toml"
SHAPES = ("12-", "13-", "14-", "15-", "16-", "17-owner-missing", "18-", "20-", "25-", "30-")


def errors(document: dict[str, Any]) -> list[Any]:
    """Return what an editor would mark."""
    validator = jsonschema.Draft7Validator(json_schema())
    return list(validator.iter_errors(json.loads(json.dumps(document, default=str))))


def test_the_shipped_schema_is_the_generated_one() -> None:
    """The file follows the models; `RAILIANCE_GOLDEN=write` writes it anew."""
    shipped = Path(railiance_schema.__file__).with_name(FILE)
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        shipped.write_text(json_schema_text(), "utf-8")
    assert shipped.read_text("utf-8") == json_schema_text()


def test_the_reference_page_is_the_generated_one() -> None:
    """`docs/reference/app-toml.md` tells every key; `RAILIANCE_GOLDEN=write` writes it anew."""
    page = Path(__file__).parents[3] / "docs" / "reference" / "app-toml.md"
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        page.write_text(reference_text(), "utf-8")
    assert page.read_text("utf-8") == reference_text()


def test_the_schema_is_one() -> None:
    """The document is a legal JSON Schema without what common editors stumble over."""
    jsonschema.Draft7Validator.check_schema(json_schema())
    text = json_schema_text()
    assert "unevaluatedProperties" not in text
    assert '"oneOf"' not in text


@pytest.mark.parametrize("path", sorted((GOLDEN / "valid").glob("*.toml")), ids=lambda path: path.stem)
def test_valid_files_fit(path: Path) -> None:
    """An editor says nothing about a legal contract."""
    assert errors(tomllib.loads(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "path",
    [p for p in sorted((GOLDEN / "invalid").glob("*.toml")) if p.name.startswith(SHAPES)],
    ids=lambda path: path.stem,
)
def test_wrong_shapes_do_not_fit(path: Path) -> None:
    """An editor marks wrong shapes as we do."""
    assert errors(tomllib.loads(path.read_text("utf-8")))


def test_an_unknown_key_of_a_check_gives_one_message() -> None:
    """Editors show one right message, not one per type of check."""
    document = tomllib.loads((GOLDEN / "invalid" / "30-unknown-key-in-check.toml").read_text("utf-8"))
    found = errors(document)
    assert {"expectd_status" in error.message for error in found} == {True}
