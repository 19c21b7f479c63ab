"""The two commands of the README: what `make` lists, and what `tools/run-tests` does when a part fails."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STUB = """#!/bin/bash
echo "$(basename "$0") $*" >>"$CALLS"
case "$(basename "$0") $*" in
"$FAILS"*) echo 'a part that fails'; [[ $0 == */pytest ]] && echo '1 failed, 2 passed in 0.10s'; exit 1 ;;
*'lab status --json'*) echo '{"kubeconfig": "/the/kubeconfig"}' ;;
pytest*) echo '= warnings summary ='; echo '3 passed, 4 deselected in 0.10s'; echo "$RAILIANCE_TEST_KUBECONFIG" >>"$CALLS" ;;
esac
"""


@pytest.fixture
def run_tests(tmp_path):
    """Return a function that runs tools/run-tests with stand-ins for every tool, one of which may fail."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("pytest", "ruff", "mypy", "lint-imports", "railiance", "git", "chromium"):
        (tools / name).write_text(STUB)
        (tools / name).chmod(0o755)
    python = shutil.which("python3")
    (tools / "python").symlink_to(python)

    def run(*arguments, fails="nothing", **env):
        calls = tmp_path / "calls"
        calls.write_text("")
        environment = {k: v for k, v in os.environ.items() if k not in {"CI", "RAILIANCE_TEST_KUBECONFIG"}}
        environment |= {"RAILIANCE_TEST_BIN": str(tools), "CALLS": str(calls), "FAILS": fails, **env}
        done = subprocess.run(
            [ROOT / "tools/run-tests", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done, calls.read_text().splitlines()

    return run


def test_all_parts_run(run_tests):
    """A green run does every part, gives the cluster's access to its tests, and ends with the sum."""
    done, calls = run_tests()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "9 passed, 0 failed"
    called = "\n".join(calls)
    for part in (
        "ruff format --check",
        "ruff check",
        "mypy",
        "lint-imports",
        "pytest -q tests/unit",
        "tests/contract",
    ):
        assert part in called
    assert calls[-1] == "/the/kubeconfig"
    assert "railiance lab down" not in called


@pytest.mark.parametrize(
    ("part", "told", "after"),
    [
        ("ruff check", "0 passed, 1 failed", "mypy"),
        ("mypy", "0 passed, 1 failed", "lint-imports"),
        ("pytest -q tests/unit", "2 passed, 1 failed", "pytest -q --durations 5"),
        ("pytest -q --durations 5", "5 passed, 1 failed", "pytest -q -m cluster"),
        ("railiance lab up", "6 passed, 1 failed", "pytest -q -m cluster"),
        ("pytest -q -m cluster", "8 passed, 1 failed", "nothing"),
    ],
)
def test_first_failure_ends_it(run_tests, part, told, after):
    """The first part that fails is the last one: exit status 1, and a closing line that says so."""
    done, calls = run_tests(fails=part)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == told
    assert not [call for call in calls if call.startswith(after)]


@pytest.mark.parametrize("fails", ["nothing", "mypy", "railiance lab up", "pytest -q -m cluster"])
def test_ci_takes_the_lab_down(run_tests, fails):
    """In CI the lab goes down at the end, whatever happened."""
    done, calls = run_tests(fails=fails, CI="true")
    assert (done.returncode == 0) == (fails == "nothing")
    assert calls[-1] == "railiance lab down"


def test_a_lab_that_stays_fails_ci(run_tests):
    """A lab that leaves something behind makes the run fail."""
    done, _ = run_tests(fails="railiance lab down", CI="true")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "9 passed, 1 failed"


def test_cluster_only(run_tests):
    """`--cluster-only` brings the lab up and runs the tests on it, nothing else."""
    done, calls = run_tests("--cluster-only")
    assert done.stdout.splitlines()[-1] == "3 passed, 0 failed"
    assert [call.split()[0] for call in calls] == ["railiance", "railiance", "pytest", "/the/kubeconfig"]


def test_help_lists_the_commands():
    """`make` alone names every target for people, the two commands first."""
    listed = subprocess.run(
        ["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    targets = [line.split()[0] for line in listed]
    assert {"help", "demo", "test", "check", "unit", "cluster", "bench", "golden", "docs", "wheel"} <= set(
        targets
    )


def test_every_cluster_test_is_marked():
    """No test below tests/cluster runs without the lab: each module carries the marker."""
    modules = sorted((ROOT / "tests/cluster").glob("test_*.py"))
    assert modules
    marked = re.compile(r"^pytestmark = .*pytest\.mark\.cluster", re.MULTILINE)
    assert [path.name for path in modules if not marked.search(path.read_text("utf-8"))] == []


def test_ci_runs_make_test():
    """CI runs the README's command."""
    assert (ROOT / ".ci/run").read_text("utf-8").rstrip().endswith("exec make test")
