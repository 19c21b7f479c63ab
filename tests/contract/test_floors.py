"""The floors: imports go one way only, and each outside thing has one module."""

import ast
import re
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
FOLDERS = ("railiance_schema", "railiance", "blocks", "tasks", "flows")

ONLY = {
    "subprocess": {"railiance/adapters/process.py"},
    "kubernetes": {"railiance/adapters/kube_access.py"},
    "prometheus_api_client": {"railiance/adapters/prometheus.py"},
}


def imported_by(path):
    """Return the top-level names that a file imports; for one that imports by name, every name it might mean."""
    text = path.read_text("utf-8")
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
        elif "import_module" in text and isinstance(node, ast.Constant):
            found.add(node.value)
    return found


def test_floors_hold(capsys, monkeypatch):
    """Every rule of .importlinter is kept, and every module was looked at."""
    monkeypatch.chdir(ROOT)
    status = lint_imports(config_filename=".importlinter", no_cache=True)
    said = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert status == 0, said
    looked_at = re.search(r"Analyzed (\d+) files", said)
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert looked_at
    assert int(looked_at[1]) >= len(files)


def test_a_breach_is_found(tmp_path, capsys, monkeypatch):
    """The rules can fail: an import upwards in a small house of the same shape is called broken."""
    house = tmp_path / "house_of_cards"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "low.py").write_text("from house_of_cards import high\n")
    (house / "high.py").touch()
    (tmp_path / "rules").write_text(
        "[importlinter]\nroot_package = house_of_cards\n"
        "[importlinter:contract:floors]\nname = The floors\ntype = layers\n"
        "layers =\n    house_of_cards.high\n    house_of_cards.low\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lint_imports(config_filename="rules", no_cache=True) == 1
    assert "BROKEN" in capsys.readouterr().out


@pytest.mark.parametrize("folder", FOLDERS)
def test_folder_states_its_rule(folder):
    """Each floor's package says in its first line what it is for."""
    text = (ROOT / folder / "__init__.py").read_text("utf-8")
    assert text.startswith('"""')


@pytest.mark.parametrize(("outside", "allowed"), ONLY.items())
def test_one_module_per_outside_thing(outside, allowed):
    """Each outside thing is imported in its own module and nowhere else."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert {str(path.relative_to(ROOT)) for path in files if outside in imported_by(path)} == allowed
