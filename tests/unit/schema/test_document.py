"""Places: the scanner finds what tomllib reads, where it stands."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance_schema.document import dotted, scan

GOLDEN = Path(__file__).parents[2] / "golden" / "app-toml"
KEY = st.text("abcx-_.# é\"'", min_size=1, max_size=4)
SCALAR = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text("ab#[]{}=,\"'\\ \té\n", max_size=8),
)
TREE = st.recursive(
    SCALAR,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEY, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENT = st.dictionaries(KEY, TREE, max_size=4)


def quoted(text: str) -> str:
    """Write a basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def value_text(value: Any, draw: Any) -> str:  # noqa: PLR0911 - one return per spelling
    """Write a value in one of the spellings that TOML has."""
    gap = draw(st.sampled_from(["", " "]))
    if isinstance(value, dict):
        pairs = f",{gap}".join(
            f"{key_text(key, draw)}{gap}={gap}{value_text(item, draw)}" for key, item in value.items()
        )
        return "{" + gap + pairs + gap + "}"
    if isinstance(value, list):
        gap = draw(st.sampled_from(["", " ", "\n", " # note ]\n"]))
        return (
            "["
            + gap
            + f",{gap}".join(value_text(item, draw) + ("\n" if "#" in gap else "") for item in value)
            + gap
            + "]"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if "'" not in value and "\n" not in value and draw(st.booleans()):
        return f"'{value}'"
    if "'" not in value and not value.startswith("\n") and draw(st.booleans()):
        return f"'''{value}'''"
    if draw(st.booleans()):
        return '"""' + quoted(value)[1:-1] + '"""'
    return quoted(value)


def key_text(key: str, draw: Any) -> str:
    """Write a key bare or in one of the two quotes."""
    bare = key.replace("-", "").replace("_", "").isalnum() and key.isascii()
    if bare and draw(st.booleans()):
        return key
    return f"'{key}'" if "'" not in key and draw(st.booleans()) else quoted(key)


def table_text(table: dict[str, Any], path: str, draw: Any) -> str:
    """Write a table: plain keys first, then tables below headers, inline or dotted."""
    text, later = "", ""
    for key, value in table.items():
        name = key_text(key, draw)
        here = f"{path}.{name}" if path else name
        as_tables = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        if isinstance(value, dict) and draw(st.booleans()):
            later += f"[{here}] # a table\n" + table_text(value, here, draw)
        elif as_tables and draw(st.booleans()):
            later += "".join(f"[[ {here} ]]\n" + table_text(item, here, draw) for item in value)
        elif isinstance(value, dict) and len(value) == 1 and draw(st.booleans()):
            (inner, item), *_ = value.items()
            text += f"{name} . {key_text(inner, draw)} = {value_text(item, draw)}\n"
        else:
            text += f"{draw(st.sampled_from(['', '  ']))}{name} = {value_text(value, draw)}  # note\n"
    return text + later


@st.composite
def documents(draw: Any) -> str:
    """Draw a legal TOML file."""
    return table_text(draw(DOCUMENT), "", draw)


def paths(node: Any, path: tuple[str | int, ...] = ()) -> dict[tuple[str | int, ...], Any]:
    """Return every key below a node with its value."""
    found = {path: node} if path else {}
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        found |= paths(value, (*path, key))
    return found


@settings(deadline=None)
@given(documents())
def test_the_scanner_finds_every_key_that_tomllib_reads(text: str) -> None:
    """Every key of a legal file has a place, nothing else has, and a value's place holds that value."""
    expected = paths(tomllib.loads(text))
    found = scan(text)
    assert found.stuck is None
    assert set(found.keys) == set(expected)
    for path, mark in found.values.items():
        written = found.line(mark.line)[mark.column - 1 : mark.column - 1 + mark.length]
        if isinstance(expected[path], int | float) or (
            isinstance(expected[path], str) and "\n" not in written
        ):
            try:
                assert tomllib.loads(f"v = {written}")["v"] == expected[path]
            except tomllib.TOMLDecodeError:
                assert written.startswith(("'''", '"""'))  # goes on in the next line


@pytest.mark.parametrize("path", sorted((GOLDEN / "valid").glob("*.toml")), ids=lambda path: path.stem)
def test_every_key_of_a_real_file_has_a_place(path: Path) -> None:
    """The places of the example files are those of the keys that tomllib reads."""
    text = path.read_text("utf-8")
    assert set(scan(text).keys) == set(paths(tomllib.loads(text)))


@settings(deadline=None)
@given(st.text("[]{}=\"'#\n a.,\\", max_size=30))
def test_the_scanner_survives_any_text(text: str) -> None:
    """A file that is no TOML never breaks the scanner; a legal one is read to its end."""
    found = scan(text)
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert found.stuck is None


def test_a_path_is_written_as_people_write_keys() -> None:
    """Places in lists stand in brackets, odd keys in quotes."""
    assert dotted(("checks", 3, "url")) == "checks[3].url"
    assert dotted(("a b", "c")) == '"a b".c'
