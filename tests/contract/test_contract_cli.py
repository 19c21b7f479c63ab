"""`railiance contract` and `railiance explain`, as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from railiance.cli import cli
from railiance_schema.codes import PAGES

GOLDEN = Path(__file__).parents[1] / "golden" / "app-toml"
HEAVY = ("prefect", "kubernetes", "requests", "rich", "prometheus_api_client", "fastapi")


def call(*arguments: str) -> Result:
    """Run the command line in this process."""
    return CliRunner().invoke(cli, list(arguments), prog_name="railiance")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """Return a folder with a legal contract that has warnings."""
    (tmp_path / "railiance").mkdir()
    (tmp_path / "railiance/app.toml").write_bytes((GOLDEN / "valid/existing.toml").read_bytes())
    return tmp_path


def test_warnings_alone_are_fine(app: Path) -> None:
    """A contract with warnings passes, and they are shown."""
    result = call("contract", "check", str(app))
    assert result.exit_code == 0
    assert "RAIL101" in result.output
    assert f"{app}/railiance/app.toml:13:12" in result.output


def test_findings_are_a_no() -> None:
    """Exit status 1, and the text of the twin with the real path."""
    path = GOLDEN / "invalid" / "13-misspelt-key.toml"
    result = call("contract", "check", str(path))
    assert result.exit_code == 1
    expected = path.with_suffix(".findings.txt").read_text("utf-8").replace("railiance/app.toml:", f"{path}:")
    assert result.output == expected


def test_a_missing_contract_is_unreadable(tmp_path: Path) -> None:
    """RAIL001 names the path looked at and the command that starts a contract; exit status 2."""
    result = call("contract", "check", str(tmp_path))
    assert result.exit_code == 2
    assert "RAIL001" in result.output
    assert str(tmp_path / "railiance/app.toml") in result.output
    assert "railiance contract init" in result.output


def test_a_file_that_is_not_utf8_is_unreadable() -> None:
    """RAIL002 ends with 2, every other finding with 1."""
    assert call("contract", "check", str(GOLDEN / "invalid/07-utf-16.toml")).exit_code == 2
    assert call("contract", "check", str(GOLDEN / "invalid/06-unclosed-array.toml")).exit_code == 1


def test_many_files_are_checked_in_one_run(app: Path) -> None:
    """Every file is reported; one wrong file makes the answer no."""
    result = call(
        "contract", "check", str(app), str(GOLDEN / "invalid/18-misspelt-word.toml"), "--format", "json"
    )
    assert result.exit_code == 1
    document = json.loads(result.output)
    assert document["errors"] == 1
    assert {finding["code"] for finding in document["findings"]} >= {"RAIL024", "RAIL101"}
    assert {"code", "severity", "message", "path", "line", "column", "labels", "help", "key_path"} == set(
        document["findings"][0]
    )


def test_explain_shows_values_with_origins(app: Path) -> None:
    """Each resolved value stands with its line, or with the reason of its default."""
    result = call("contract", "explain", str(app), "--json")
    assert result.exit_code == 0
    values = {value["key"]: value for value in json.loads(result.output)["values"]}
    assert values["bake.duration"] == {"key": "bake.duration", "value": "1h", "origin": "criticality"}
    assert values["app.id"]["origin"].endswith("app.toml:5")
    text = call("contract", "explain", str(app), "--stage", "stage2").output
    keys = [line.split()[0] for line in text.splitlines()]
    assert "stages.stage2.release" in keys
    assert "stages.stage3.release" not in keys


def test_explain_refuses_a_wrong_contract(tmp_path: Path) -> None:
    """Without a legal contract nothing is resolved; the findings are the answer."""
    result = call("contract", "explain", str(GOLDEN / "invalid/18-misspelt-word.toml"))
    assert result.exit_code == 1
    assert "RAIL024" in result.output
    assert call("contract", "explain", str(tmp_path)).exit_code == 2


def test_schema_prints_json() -> None:
    """The schema goes to stdout as one JSON document."""
    assert json.loads(call("contract", "schema").output)["title"] == "railiance/app.toml"


def test_every_code_is_explained() -> None:
    """`explain CODE` knows every code, in any case, and helps with a misspelt one."""
    for code, page in PAGES.items():
        assert page.title in call("explain", code.lower()).output
    assert call("explain", "RAIL999").exit_code == 2
    assert "RAIL021" in call("explain").output


@pytest.mark.parametrize(
    "arguments", [["--help"], ["contract", "check", str(GOLDEN / "valid/existing.toml")]]
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    """Help and `contract check` start without Prefect, Kubernetes and the network."""
    code = (
        "import sys; from railiance.cli import cli; cli(sys.argv[1:], standalone_mode=False);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == "[]"
