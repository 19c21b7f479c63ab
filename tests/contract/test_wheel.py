"""The wheel: two import names, the Prefect project as data, and a command that works from any folder."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APP = """schema_version = "railiance.app.v1"
[app]
id = "hello"
name = "Hello"
repo = "apps/hello"
owner = "platform"
criticality = "low"
description = "Says hello."
[source]
revision = "v1.0.0"
artifact = "image"
[stages.stage1]
commands = ["true"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel once."""
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def names(wheel):
    """Return the paths in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Install the wheel, without its dependencies, into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    argv = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(target),
    ]
    subprocess.run([*argv, str(wheel)], check=True, capture_output=True)
    return target


@pytest.fixture
def foreign(tmp_path):
    """Return a folder of somebody else, whose packages bear our names and raise when imported."""
    for name in ("flows", "tasks", "blocks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong one was imported')\n")
    (tmp_path / "railiance").mkdir()
    (tmp_path / "railiance" / "app.toml").write_text(APP)
    return tmp_path


def run(installed, foreign, *arguments):
    """Run Python in the foreign folder, which comes first on its path, with only the installed package in reach."""
    env = {**os.environ, "PYTHONPATH": str(installed), "RAILIANCE_PROJECT": ""}
    argv = [sys.executable, *arguments]
    return subprocess.run(argv, cwd=foreign, env=env, capture_output=True, text=True, check=False)


def test_two_names(names):
    """The wheel brings two import names and its own record, nothing that could clash with others."""
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"railiance", "railiance_schema"}
    assert len(tops) == 3


@pytest.mark.parametrize("folder", ["flows", "tasks", "blocks", "charts", "railiance", "railiance_schema"])
def test_nothing_is_left_out(folder, names):
    """Every file that git knows of below these folders is in the wheel."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, check=True, capture_output=True, text=True)
    prefix = "" if folder.startswith("railiance") else "railiance/_project/"
    wanted = {prefix + name for name in listed.stdout.split() if (ROOT / name).exists()}
    assert wanted
    assert sorted(wanted - names) == []


def test_project_file(names):
    """The deployments travel with the flows; the tests and documents do not."""
    assert "railiance/_project/deployments.yaml" in names
    assert not [name for name in names if name.startswith(("tests/", "docs/")) or "__pycache__" in name]


def test_help_from_a_foreign_folder(installed, foreign):
    """`python -m railiance --help` works beside somebody else's `flows` and `tasks`."""
    done = run(installed, foreign, "-m", "railiance", "--help")
    assert done.returncode == 0, done.stderr
    assert "rollback" in done.stdout


def test_contract_check_from_a_foreign_folder(installed, foreign):
    """The installed package checks a contract, with its own schema files."""
    done = run(installed, foreign, "-m", "railiance", "contract", "check")
    assert done.returncode == 0, done.stderr


def test_project_is_the_bundled_one(installed, foreign):
    """The Prefect project of an installed package is the copy inside it."""
    code = "import railiance.project as p, railiance; print(p.root()); print(railiance.__file__)"
    done = run(installed, foreign, "-c", code)
    project, package = done.stdout.splitlines()
    assert Path(project) == installed / "railiance" / "_project"
    assert Path(package).is_relative_to(installed)


def test_every_flow_loads_from_a_foreign_folder(installed, foreign):
    """The command line's way to a flow finds ours, although the present folder has packages of the same names."""
    code = (
        "import sys, yaml\n"
        "from railiance import project\n"
        "from railiance.commands.in_process import load_flow\n"
        "points = [d['entrypoint'] for d in "
        "yaml.safe_load((project.root() / 'deployments.yaml').read_text())['deployments']]\n"
        "assert len(points) >= 5\n"
        "for point in points: load_flow(point)\n"
        "print(sys.modules['flows'].__file__)"
    )
    done = run(installed, foreign, "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()) == installed / "railiance" / "_project" / "flows" / "__init__.py"
