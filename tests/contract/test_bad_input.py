"""Bad input that needs no cluster, through the real command line: a clear refusal and the right exit code."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from railiance.demo_app import create
from railiance.demo_app.driver import Answer, Cli

pytestmark = [pytest.mark.prefect, pytest.mark.timeout(900)]
IMAGE, DIGEST, OTHER = "registry.example:5000/demoapp", "sha256:" + "a" * 64, "sha256:" + "b" * 64
VERBS = {
    "deploy": ("deploy", "--stage", "2", "hello", "--apply"),
    "promote": ("promote", "hello", "--apply", "--wait"),
    "rollback": ("rollback", "hello", "--apply"),
    "abort": ("abort", "hello"),
    "status": ("status", "hello"),
    "observe": ("observe", "--stage", "2", "hello"),
}


@pytest.fixture(scope="module")
def folder(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the app `hello`, whose Stage 1 passed."""
    place = tmp_path_factory.mktemp("bad-input")
    create(place / "hello", image=IMAGE, digest=DIGEST)
    answer = Cli(place, {}).run("run", "hello", actor="dana")
    assert answer.exit_code == 0, answer.stderr
    return place


@pytest.fixture(scope="module")
def dead_cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a kubeconfig of a cluster whose port is closed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path_factory.mktemp("access") / "kubeconfig"
    path.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: dead\n"
        f"clusters: [{{name: dead, cluster: {{server: 'https://127.0.0.1:{port}'}}}}]\n"
        "contexts: [{name: dead, context: {cluster: dead, user: nobody}}]\n"
        "users: [{name: nobody, user: {token: none}}]\n"
    )
    return path


def ask(folder: Path, *arguments: str, **env: str) -> Answer:
    """Run the command line."""
    return Cli(folder, env).run(*arguments, actor="dana")


def codes(answer: Answer) -> list[str]:
    """Return the codes of a document's denials."""
    document: dict[str, Any] = answer.document or {}
    return [denial["code"] for denial in document.get("denials", [])]


@pytest.mark.parametrize("verb", VERBS)
def test_a_kubeconfig_that_is_not_there(folder: Path, verb: str) -> None:
    """Without a cluster every verb that needs one says which file is missing and ends with exit code 4."""
    answer = ask(folder, *VERBS[verb], KUBECONFIG="/nowhere/kubeconfig")
    assert answer.exit_code == 4, answer.stderr
    assert "/nowhere/kubeconfig" in answer.stderr
    assert "railiance lab up" in answer.stderr


@pytest.mark.parametrize("verb", VERBS)
def test_a_cluster_that_does_not_answer(folder: Path, dead_cluster: Path, verb: str) -> None:
    """An API server that does not answer is no answer: exit code 4, with its address."""
    answer = ask(folder, *VERBS[verb], KUBECONFIG=str(dead_cluster))
    assert answer.exit_code == 4, answer.stderr
    assert "127.0.0.1" in answer.stderr


def test_a_plan_without_a_cluster_has_no_digest(folder: Path) -> None:
    """`--plan` without a cluster still prints its document, with nothing in it that could be approved."""
    answer = ask(folder, "deploy", "--stage", "2", "hello", KUBECONFIG="/nowhere/kubeconfig")
    assert answer.exit_code == 0, answer.stderr
    assert answer.document is not None
    assert answer.document["plan_digest"] is None
    assert codes(answer) == ["DENY_UNREACHABLE"]


@pytest.mark.parametrize("verb", ["deploy", "promote", "rollback"])
def test_no_helm(folder: Path, dead_cluster: Path, verb: str) -> None:
    """A missing Helm is named before the cluster is called: exit code 1, not the 4 of the dead cluster."""
    answer = ask(folder, *VERBS[verb], KUBECONFIG=str(dead_cluster), RAILIANCE_HELM="/nonexistent/helm")
    assert answer.exit_code == 1, answer.stderr
    assert codes(answer) == ["DENY_HELM_MISSING"]
    assert "/nonexistent/helm" in answer.stderr


def test_no_stage1_result(folder: Path, dead_cluster: Path, tmp_path: Path) -> None:
    """Without a Stage 1 result Stage 2 is denied before the cluster is called, and says what to run."""
    create(tmp_path / "hello", image=IMAGE, digest=DIGEST)
    answer = ask(tmp_path, *VERBS["deploy"], KUBECONFIG=str(dead_cluster))
    assert answer.exit_code == 1, answer.stderr
    assert codes(answer) == ["DENY_EVIDENCE_MISSING"]
    assert "railiance run" in answer.stderr


def test_the_result_of_another_candidate(folder: Path, dead_cluster: Path, tmp_path: Path) -> None:
    """A Stage 1 result counts for the very candidate that it was made for, and for no other."""
    create(tmp_path / "hello", image=IMAGE, digest=DIGEST)
    results = tmp_path / "hello/.railiance/results"
    results.mkdir(parents=True)
    (results / "run.json").write_bytes((folder / "hello/.railiance/results/run.json").read_bytes())
    create(tmp_path / "hello", image=IMAGE, digest=OTHER)
    answer = ask(tmp_path, *VERBS["deploy"], KUBECONFIG=str(dead_cluster))
    assert answer.exit_code == 1, answer.stderr
    assert codes(answer) == ["DENY_SUBJECT"]
