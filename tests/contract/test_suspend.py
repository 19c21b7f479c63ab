"""What Prefect does with an answer to a waiting run; lifecycle.md 7.2 relies on every line of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from railiance.adapters import clock
from railiance.adapters.prefect_api import PrefectApi
from railiance.commands import local_server
from railiance.domain.errors import Conflict

pytestmark = [pytest.mark.prefect, pytest.mark.usefixtures("trial")]
ANSWER = {
    "decision": "approve",
    "plan_digest_first_12": "0123456789ab",
    "comment": "All readings were fine",
    "signed_approval": "-",
}
OTHER_PLAN = {**ANSWER, "plan_digest_first_12": "ffffffffffff"}
PATIENCE = 200  # seconds; the worker starts a process for each answer


def wait_in_this_process(journal: Path, **parameters: Any) -> str:
    """Start the trial flow here until it suspends, and return its id."""
    given = {"journal": str(journal), **parameters}
    outcome = local_server.run_flow("trial-waits/trial", given, may_wait=True)
    assert outcome.state == "waiting"
    return outcome.flow_run_id


def key_of(flow_run_id: str) -> str | None:
    """Return the key under which the run waits now, or None."""
    return next((run.key for run in local_server.waiting_runs() if run.flow_run_id == flow_run_id), None)


def wait_for_key(flow_run_id: str, key: str) -> None:
    """Wait until the run waits under that key."""
    deadline = clock.monotonic() + PATIENCE
    while key_of(flow_run_id) != key:
        assert clock.monotonic() < deadline, f"{flow_run_id} never waited under {key}"
        clock.sleep(0.5)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {**ANSWER, "decision": "maybe"},
        {**ANSWER, "plan_digest_first_12": "0123"},
        {**ANSWER, "comment": "ok"},
        {**ANSWER, "approver": "anyone"},
        {key: value for key, value in ANSWER.items() if key != "signed_approval"},
    ],
    ids=["empty", "other word", "short digest", "short comment", "extra field", "missing field"],
)
def test_an_answer_that_does_not_fit_the_form_is_refused(suspended: str, answer: dict[str, str]) -> None:
    """The server refuses empty, malformed, short and extra fields, and the run goes on waiting."""
    with pytest.raises(Conflict) as caught:
        local_server.resume(suspended, answer)
    assert caught.value.code == "ANSWER_REFUSED"
    assert key_of(suspended) == "approve-0123456789ab-0"


@pytest.fixture(scope="module")
def suspended(trial: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a run that waits, for tests that leave it waiting."""
    return wait_in_this_process(tmp_path_factory.mktemp("refused") / "journal")


def test_a_run_set_going_without_an_answer_has_no_approval(prefect_server: str, tmp_path: Path) -> None:
    """Setting the state by force brings None, never an approval; the useless answer is recorded, asked anew."""
    journal = tmp_path / "journal"
    flow_run_id = wait_in_this_process(journal)
    body = {"state": {"type": "SCHEDULED", "name": "Resuming"}, "force": True}
    PrefectApi(prefect_server).post(f"/flow_runs/{flow_run_id}/set_state", body)
    wait_for_key(flow_run_id, "approve-0123456789ab-1")
    assert journal.read_text() == "None\n"


def test_every_answer_is_read_once(tmp_path: Path) -> None:
    """A useless answer is recorded and the next question has another key; a good one then ends the wait."""
    journal = tmp_path / "journal"
    flow_run_id = wait_in_this_process(journal)
    local_server.resume(flow_run_id, OTHER_PLAN)
    wait_for_key(flow_run_id, "approve-0123456789ab-1")
    local_server.resume(flow_run_id, ANSWER)
    assert local_server.follow(flow_run_id, timeout=PATIENCE).state == "completed"
    assert journal.read_text() == f"{OTHER_PLAN}\n{ANSWER}\n"


def test_the_second_of_two_answers_is_refused(tmp_path: Path) -> None:
    """Two approvers answer one question: the first counts, the second learns that it came too late."""
    flow_run_id = wait_in_this_process(tmp_path / "journal")
    local_server.resume(flow_run_id, ANSWER)
    with pytest.raises(Conflict) as caught:
        local_server.resume(flow_run_id, {**ANSWER, "decision": "reject"})
    assert caught.value.code == "FLOW_NOT_WAITING"
    assert local_server.follow(flow_run_id, timeout=PATIENCE).state == "completed"


def test_a_forged_answer_is_only_a_form(prefect_server: str, tmp_path: Path) -> None:
    """Whoever reaches the API can write an answer past the form; so no gate may believe what the form brings."""
    journal = tmp_path / "journal"
    flow_run_id = wait_in_this_process(journal)
    api = PrefectApi(prefect_server)
    key = "suspended-approve-0123456789ab-0-response"
    forged = '{"decision": "approve", "plan_digest_first_12": "0123456789ab", "comment": "x", "signed_approval": ""}'
    api.expect(
        api.call("POST", f"/flow_runs/{flow_run_id}/input", {"key": key, "value": forged, "sender": None}),
        "input",
    )
    body = {"state": {"type": "SCHEDULED", "name": "Resuming"}, "force": True}
    api.post(f"/flow_runs/{flow_run_id}/set_state", body)
    wait_for_key(flow_run_id, "approve-0123456789ab-1")  # the comment is too short for our model: no approval
    assert journal.read_text() == "None\n"


def test_nobody_answers(tmp_path: Path) -> None:
    """When the time is over the server fails the run by itself; no line of the flow runs."""
    journal = tmp_path / "journal"
    flow_run_id = wait_in_this_process(journal, timeout=3)
    outcome = local_server.follow(flow_run_id, timeout=PATIENCE)
    assert outcome.state == "failed"
    assert not journal.exists()
