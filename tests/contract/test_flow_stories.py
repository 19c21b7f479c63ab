"""Whole stories, told as the order of what was done: what Helm did, where users were sent, what the ledger got.

The flows' own bodies and the tasks' own bodies run over fakes, without Prefect around them (`Story` calls each
task's function, and tries it again after an outage as the task's settings say). The seams are `open_work`,
which reads a folder and connects, `access_text`, which looks for a saved block, `wait_for_answer`, which is a
person, and `publish`, which is Prefect's UI.
`test_each_flow_runs_under_prefect` then runs each flow once for real, with `open_work` as its only seam.

A golden story is a plain text file below tests/golden/stories. RAILIANCE_GOLDEN=write writes it anew: read
the difference before you keep it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prefect import Task

import flows.rollback
import flows.stage2_canary
import flows.stage3_promote
import tasks.gate
from railiance import recovery
from railiance.adapters.prefect_api import PrefectApi
from railiance.domain.errors import Conflict, Unavailable
from railiance.domain.lifecycle import Verb
from railiance.domain.plan import short
from railiance.engine import approving
from railiance.engine.stages import prepare
from railiance.engine.work import Work
from tests.story_kit import World

GOLDEN = Path(__file__).parents[1] / "golden" / "stories"
MODULES = (flows.stage2_canary, flows.stage3_promote, flows.rollback, tasks.gate)


class Story:
    """A world, the flows, and a person who answers.

    Args:
        world: Where it plays.
        patch: Puts the seams in, and takes them out.

    Attributes:
        answer: What the person says when asked: `approve`, `reject`, or None to go away.
    """

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.answer: str | None = "approve"
        for module in MODULES:
            for name, value in list(vars(module).items()):
                if isinstance(value, Task):
                    patch.setattr(module, name, self._plain(value))
        patch.setattr(tasks.gate, "access_text", lambda name: name)
        patch.setattr(tasks.gate, "open_work", self._open)
        patch.setattr(tasks.gate, "wait_for_answer", self._ask)
        patch.setattr("tasks.evidence.publish", lambda *_: None)

    def deploy(self, **parameters: Any) -> dict[str, Any]:
        """Run the flow of Stage 2."""
        return self._run("deploy", flows.stage2_canary.canary.fn, parameters)

    def promote(self, **parameters: Any) -> dict[str, Any]:
        """Run the flow of Stage 3."""
        return self._run("promote", flows.stage3_promote.promote.fn, parameters)

    def rollback(self, **parameters: Any) -> dict[str, Any]:
        """Run the flow of the rollback."""
        return self._run("rollback", flows.rollback.rollback.fn, parameters)

    def say(self, text: str) -> None:
        """Write what happens from outside into the journal."""
        self.world.journal.append(f"# {text}")

    def ready_to_promote(self) -> None:
        """Take the folder's version through Stage 2, and begin the story after it."""
        assert self.deploy()["verdict"] == "PASS"
        self.world.journal.clear()

    def tells(self, name: str) -> None:
        """Compare the journal with the golden story, and require that users were served all along."""
        text = "\n".join(self.world.journal) + "\n"
        path = GOLDEN / f"{name}.txt"
        if os.environ.get("RAILIANCE_GOLDEN") == "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        assert text == path.read_text()
        assert self.world.unserved == []

    def _run(self, verb: str, body: Callable[..., Any], parameters: dict[str, Any]) -> dict[str, Any]:
        self.say(f"railiance {verb}, folder at {self.world.candidate.source_revision}")
        given = {"directory": "web", "run_id": self.world.next_run_id(), "requester": "dana", **parameters}
        document: dict[str, Any] = body(**given)
        self.say(f"{document['status']}, {document['verdict'] or 'no verdict'}")
        return document

    def _plain(self, task: Task[..., Any]) -> Callable[..., Any]:
        """Return what a task runs, tried again after an outage as often as the task would be."""

        def call(*args: Any, **kwargs: Any) -> Any:
            for left in reversed(range(int(task.retries or 0) + 1)):
                try:
                    return task.fn(*args, **kwargs)
                except Unavailable:
                    if not left:
                        raise
                    self.world.clock.sleep(2)
            raise AssertionError("unreachable")

        return call

    def _open(self, _directory: str, *, run_id: str, requester: str, **_: Any) -> Work:
        return self.world.work(run_id, requester)

    def _ask(self, plan_digest: str, answers: int, summary: str, seconds: int) -> dict[str, Any] | None:
        """Be the approver: vote with the command line, whose bell then wakes the run."""
        assert short(plan_digest) in summary
        work = self.world.work()
        (request,) = [
            r for r in work.standing().requests.values() if r.plan_digest == plan_digest and not r.voided
        ]
        if self.answer is None:
            self.world.clock.sleep(seconds)
            return None
        approving.vote(work, request, self.answer, "looked at it", by="omar")
        return approving.bell(request, "looked at it")


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine find an actor, a Helm and every image, whatever this machine has."""
    monkeypatch.setenv("RAILIANCE_ACTOR", "erin")
    monkeypatch.setenv("RAILIANCE_HELM", "/bin/true")
    monkeypatch.delenv("RAILIANCE_INGRESS_URL", raising=False)
    monkeypatch.setattr("railiance.engine.preflight.manifest_exists", lambda *_: True)


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Return a story that begins with v1 serving everybody and v2, tested, in the folder."""
    world = World(tmp_path)
    world.serve("v1")
    world.version("v2")
    return Story(world, monkeypatch)


@pytest.fixture
def new_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    """Return a story that begins with nothing installed and v1, tested, in the folder."""
    return Story(World(tmp_path), monkeypatch)


# ----- Stage 2


def test_a_good_canary(story: Story) -> None:
    """Deploy: install at weight 0, look, step by step, back to 0, drain, evidence; the canary stays for Stage 3."""
    assert story.deploy()["verdict"] == "PASS"
    assert (story.world.weight(), story.world.serving("canary"), story.world.serving()) == (0, "v2", "v1")
    story.tells("deploy-pass")


def test_a_bad_canary(story: Story) -> None:
    """Deploy: on FAIL the first thing done is weight 0; then drain, remove, evidence; stable was never touched."""
    story.world.failing["canary", "v2"] = 0.3
    document = story.deploy()
    assert (document["verdict"], document["status"], document["exit_status"]) == ("FAIL", "aborted", 1)
    assert (story.world.weight(), story.world.serving("canary"), story.world.serving()) == (0, None, "v1")
    story.tells("deploy-fail")


def test_a_canary_that_never_gets_ready(story: Story) -> None:
    """Deploy: a canary whose pods do not get ready meets no user at all."""
    story.world.never_ready.add(("canary", "v2"))
    assert story.deploy()["verdict"] == "FAIL"
    story.tells("deploy-not-ready")


def test_killed_in_the_middle_of_a_step(story: Story) -> None:
    """Deploy again after a kill: users return first, then the same candidate goes on with the evidence it had."""
    with story.world.killed(25):
        story.deploy()
    story.say("the machine is back a minute later")
    before = story.world.weight()
    assert story.deploy()["verdict"] == "PASS"
    assert (before, story.world.weight()) == (20, 0)
    story.tells("deploy-killed-and-again")


def test_no_gateway_counters_while_watching(story: Story) -> None:
    """Deploy: without data nothing passes; after hold_for users are returned, and the verdict is UNKNOWN."""
    story.world.clock.after(10, lambda: setattr(story.world.gateway, "down", True))
    document = story.deploy()
    assert (document["verdict"], document["exit_status"]) == ("UNKNOWN", 4)
    story.tells("deploy-no-data")


# ----- Stage 3


def test_first_install(new_app: Story) -> None:
    """Without a stable version the canary is probed, no user is shown it; the promotion installs and opens the route."""
    assert new_app.deploy()["verdict"] == "PASS"
    assert new_app.promote()["verdict"] == "PASS"
    assert (new_app.world.weight(), new_app.world.serving()) == (0, "v1")
    assert new_app.world.names[new_app.world.standing().serving.candidate] == "v1"
    new_app.tells("first-install")


def test_first_install_that_fails(new_app: Story) -> None:
    """A first install that does not get ready is taken away again, with its route."""
    assert new_app.deploy()["verdict"] == "PASS"
    new_app.world.journal.clear()
    new_app.world.never_ready.add(("stable", "v1"))
    document = new_app.promote()
    assert (document["verdict"], document["status"]) == ("FAIL", "rolled-back")
    assert (new_app.world.serving(), new_app.world.serving("canary")) == (None, None)
    new_app.tells("first-install-fails")


def test_a_good_promotion(story: Story) -> None:
    """Promote: the canary track carries all users while stable changes; they return; the bake; known-good."""
    story.ready_to_promote()
    assert story.promote()["verdict"] == "PASS"
    assert (story.world.weight(), story.world.serving(), story.world.serving("canary")) == (0, "v2", None)
    assert story.world.names[story.world.standing().serving.candidate] == "v2"
    story.tells("promote-pass")


def test_a_promotion_whose_stable_never_gets_ready(story: Story) -> None:
    """Promote: users stay on the canary track, stable is brought back to known-good, and then they return."""
    story.ready_to_promote()
    story.world.never_ready.add(("stable", "v2"))
    document = story.promote()
    assert (document["verdict"], document["status"]) == ("FAIL", "rolled-back")
    assert (story.world.weight(), story.world.serving(), story.world.serving("canary")) == (0, "v1", None)
    assert list(story.world.standing().holds) == [story.world.candidate.digest]
    story.tells("promote-not-ready")


def test_a_bake_that_fails(story: Story) -> None:
    """Promote: a candidate that burns its error budget in the bake is left: users go to known-good by the canary track."""
    story.ready_to_promote()
    story.world.failing["stable", "v2"] = 0.5
    document = story.promote()
    assert (document["verdict"], document["status"]) == ("FAIL", "rolled-back")
    assert (story.world.weight(), story.world.serving()) == (0, "v1")
    assert story.world.names[story.world.standing().serving.candidate] == "v1"
    story.tells("bake-fail")


def test_a_promotion_that_is_rejected(story: Story) -> None:
    """Promote: a no is final, and nothing at all is changed."""
    story.ready_to_promote()
    story.answer = "reject"
    document = story.promote()
    assert [d["code"] for d in document["denials"]] == ["DENY_APPROVAL_REJECTED"]
    story.tells("promote-rejected")


def test_a_promotion_that_nobody_answers(story: Story) -> None:
    """Promote: a run that goes on without an answer has no approval; past the deadline it is told so and ends."""
    story.ready_to_promote()
    story.answer = None
    document = story.promote()
    assert [d["code"] for d in document["denials"]] == ["DENY_APPROVAL_EXPIRED"]
    story.tells("promote-unanswered")


# ----- going back


def promoted(story: Story) -> None:
    """Have v2 promoted over v1, and begin the story after it."""
    story.ready_to_promote()
    assert story.promote()["verdict"] == "PASS"
    story.world.journal.clear()


def test_rollback(story: Story) -> None:
    """Rollback: users to known-good on the canary track first, stable follows, users return, a hold is set."""
    promoted(story)
    document = story.rollback(reason="users complain")
    assert (document["verdict"], document["status"]) == ("PASS", "rolled-back")
    assert (story.world.weight(), story.world.serving(), story.world.serving("canary")) == (0, "v1", None)
    assert {story.world.names[c] for c in story.world.standing().holds} == {"v2"}
    story.tells("rollback")


def test_rollback_without_prefect_does_the_same(story: Story) -> None:
    """The command line's rollback, which needs no Prefect, has the flow's order, line by line."""
    promoted(story)
    work = story.world.work()
    story.say("railiance rollback, folder at v2")
    document = recovery.roll_back(work, prepare(work, Verb.ROLLBACK), "users complain")
    story.say(f"{document.status}, {document.verdict}")
    story.tells("rollback")


def test_what_was_rolled_back_is_not_promoted_again(story: Story) -> None:
    """After a rollback its candidate is on hold; a person who names it lifts that."""
    promoted(story)
    story.rollback()
    for document in (story.deploy(), story.promote()):
        assert "DENY_HOLD" in [d["code"] for d in document["denials"]]
    assert story.promote(candidate=story.world.candidate.digest)["verdict"] == "PASS"
    assert not story.world.standing().holds


def test_abort(story: Story) -> None:
    """Abort while a canary is watched: its run stops, users go back at once, the canary leaves."""
    with story.world.killed(25):
        story.deploy()
    story.say("the process is killed; a minute later: railiance abort")
    returned = recovery.abort(story.world.work(), "looks odd")
    assert (returned.done, story.world.weight(), story.world.serving("canary")) == (True, 0, None)
    story.tells("abort")


def test_rollback_asked_while_a_promotion_runs(story: Story) -> None:
    """The promotion stops at its next look and gives the lock up; the rollback goes on from where it stood."""
    story.ready_to_promote()
    story.world.never_ready.add(("stable", "v2"))
    story.world.clock.after(20, lambda: story.world.ask_for_lock("the-rollback"))
    with pytest.raises(Conflict) as stopped:
        story.promote()
    assert stopped.value.code == "LOCK_YIELDED"
    story.say("the promotion gave way")
    assert story.rollback(run_id="the-rollback")["verdict"] == "PASS"
    assert (story.world.weight(), story.world.serving()) == (0, "v1")
    story.tells("rollback-during-promotion")


def test_a_rollback_killed_and_asked_for_again(story: Story) -> None:
    """A second call goes on with the same rollback, and still holds the candidate that the first one left."""
    story.ready_to_promote()
    story.world.never_ready.add(("stable", "v2"))
    story.world.clock.after(20, lambda: story.world.ask_for_lock("the-rollback"))
    with pytest.raises(Conflict):
        story.promote()
    story.world.journal.clear()
    story.world.never_ready.add(("stable", "v1"))
    with story.world.killed(10):
        story.rollback(run_id="the-rollback")
    story.say("the machine is back a minute later, and v1 gets ready")
    story.world.never_ready.discard(("stable", "v1"))
    assert story.rollback()["verdict"] == "PASS"
    assert (story.world.weight(), story.world.serving()) == (0, "v1")
    assert {story.world.names[c] for c in story.world.standing().holds} == {"v2"}
    story.tells("rollback-killed-and-again")


# ----- under Prefect


def effects(lines: list[str]) -> list[str]:
    """Return what was done to Helm and to the users, without the ledger and the story's own words."""
    return [line for line in lines if line.startswith(("helm", "users"))]


@pytest.mark.prefect
def test_each_flow_runs_under_prefect(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The flows as Prefect runs them have the effects of the stories, and leave their pages with it."""
    world = World(tmp_path)
    world.serve("v1")
    world.version("v2")
    monkeypatch.setattr(
        tasks.gate, "open_work", lambda _, *, run_id, requester, **__: world.work(run_id, requester)
    )

    def played(name: str, flow: Any, **parameters: Any) -> dict[str, Any]:
        world.journal.clear()
        document: dict[str, Any] = flow(directory="web", requester="dana", **parameters)
        assert effects(world.journal) == effects((GOLDEN / f"{name}.txt").read_text().splitlines())
        return document

    deployed = played("deploy-pass", flows.stage2_canary.canary)
    assert deployed["verdict"] == "PASS"
    asking = world.work()
    plan = prepare(asking, Verb.PROMOTE).plan
    assert plan is not None
    request = approving.open_request(asking, plan, asking.standing())
    approving.vote(asking, request, "approve", "looked at it", by="omar")
    promoted = played("promote-pass", flows.stage3_promote.promote, approval_id=request.id)
    assert (promoted["verdict"], promoted["approval"]["approved_by"]) == ("PASS", ["omar"])
    assert played("rollback", flows.rollback.rollback)["status"] == "rolled-back"
    pages = PrefectApi(prefect_server).post("/artifacts/filter", {"limit": 50})
    assert {"web-plan", "web-stage2-result", "web-stage3-result"} <= {page["key"] for page in pages}
    assert len({deployed["run"]["id"], promoted["run"]["id"]}) == 2
