"""The example files are the specification: each has a twin with every finding, word for word.

`RAILIANCE_GOLDEN=write` writes the twins anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from railiance_schema import check_contract, load_contract, render_text
from railiance_schema.codes import PAGES

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "app-toml"
VALID = sorted((GOLDEN / "valid").glob("*.toml"))
INVALID = sorted((GOLDEN / "invalid").glob("*.toml"))
# No file can show these: they are about a missing file, a stage in use, or a version that never was.
NOT_IN_FILES = {"RAIL001", "RAIL047"}


def name_of(path: Path) -> str:
    """Return the name of a case."""
    return path.stem


def compare(path: Path, text: str) -> None:
    """Compare with the twin, or write it."""
    twin = path.with_suffix(".findings.txt")
    if os.environ.get("RAILIANCE_GOLDEN") == "write":
        twin.write_text(text, "utf-8")
    assert twin.read_text("utf-8") == text


@pytest.mark.parametrize("path", VALID, ids=name_of)
def test_valid_files_load(path: Path) -> None:
    """A legal contract has no error, and its warnings are those of its twin."""
    findings = check_contract(path.read_bytes())
    assert [finding.code for finding in findings if finding.is_error] == []
    compare(path, render_text(findings) + "\n")
    assert load_contract(path.read_bytes()).schema_version == "railiance.app.v1"


@pytest.mark.parametrize("path", INVALID, ids=name_of)
def test_invalid_files_are_refused(path: Path) -> None:
    """An illegal contract is refused with exactly the findings of its twin."""
    findings = check_contract(path.read_bytes())
    assert any(finding.is_error for finding in findings)
    compare(path, render_text(findings) + "\n")


@pytest.mark.parametrize("path", [*VALID, *INVALID], ids=name_of)
def test_findings_come_in_line_order(path: Path) -> None:
    """All findings of one run stand in the order of the file."""
    places = [(finding.line or 0, finding.column or 0) for finding in check_contract(path.read_bytes())]
    assert places == sorted(places)


@pytest.mark.parametrize("path", VALID, ids=name_of)
def test_windows_line_ends_are_fine(path: Path) -> None:
    """A file with CRLF means the same and has its findings at the same places."""
    unix = path.read_bytes()
    windows = unix.replace(b"\n", b"\r\n")
    assert check_contract(windows) == check_contract(unix)
    assert load_contract(windows).app == load_contract(unix).app
    assert load_contract(windows).digest != load_contract(unix).digest


def test_every_code_has_a_page_and_an_example() -> None:
    """A code that the source can emit has a page, and a file that shows it."""
    modules = [path for path in (ROOT / "railiance_schema").glob("*.py") if path.stem != "codes"]
    emitted = {code for path in modules for code in re.findall(r'"(RAIL\d{3})"', path.read_text("utf-8"))}
    assert emitted == set(PAGES)
    shown = {finding.code for path in [*VALID, *INVALID] for finding in check_contract(path.read_bytes())}
    assert shown == emitted - NOT_IN_FILES


def test_the_page_about_the_contract_shows_legal_ones() -> None:
    """Whoever copies the smallest contract from the page has a legal one."""
    page = (ROOT / "docs" / "app-toml-contract.md").read_text("utf-8")
    first, *_ = re.findall(r"```toml\n(schema_version.*?)```", page, re.DOTALL)
    assert check_contract(first) == []
    finding = re.search(r"```\n(error\[RAIL021\].*?)```", page, re.DOTALL)
    assert finding is not None
    assert finding[1] == (GOLDEN / "invalid" / "30-unknown-key-in-check.findings.txt").read_text("utf-8")
