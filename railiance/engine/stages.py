"""Before a change: the plan and every reason why not, for `--plan` as well as for the run itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from railiance.adapters.workspace import state_dir
from railiance.domain.denial import Denial
from railiance.domain.errors import Unavailable
from railiance.domain.lifecycle import KnownGood, Request, Standing, Verb, rollback_target
from railiance.domain.plan import Plan, short
from railiance.engine.gatekeeping import STAGE_OF, claimed_request, local_gate, target_gate
from railiance.engine.known_good import Kept
from railiance.engine.planning import Planned, plan_canary, plan_promotion, plan_rollback, traffic_mode
from railiance.engine.preflight import dependency_problems, gateway_problems, image_problems, metrics_problems
from railiance.engine.work import Work

WAITABLE = frozenset({"DENY_APPROVAL_MISSING"})
"""Denials that a person's answer can lift."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A verb ready to be carried out, or why not.

    Attributes:
        verb: What is prepared.
        plan: The plan, or None when none could be made.
        denials: Every reason why not; empty when the gate is open.
        standing: Where the app stood; None when the cluster was not asked.
        request: The request whose votes counted, if any.
        kept: For a rollback: the known-good candidate laid out.
        good: For a rollback: which one it is.
    """

    verb: Verb
    plan: Plan | None
    denials: tuple[Denial, ...]
    standing: Standing | None = None
    request: Request | None = None
    kept: Kept | None = None
    good: KnownGood | None = None

    @property
    def waits_for_people(self) -> bool:
        """Tell whether nothing but an approval is missing that can be asked for."""
        return bool(self.denials) and all(d.code in WAITABLE for d in self.denials)


def prepare(
    work: Work,
    verb: Verb,
    *,
    approval_id: str | None = None,
    expected_plan: str | None = None,
    helm_revision: int | None = None,
    lifted: bool = False,
) -> Prepared:
    """Plan a verb and ask the gate; what needs no cluster is asked first, and if it denies, none is called.

    Args:
        work: Whose app.
        verb: What is about to be done.
        approval_id: The approval that is claimed.
        expected_plan: Digest planned before; another one now is a denial.
        helm_revision: For a rollback: which known-good candidate.
        lifted: Whether a person named the candidate on hold.
    """
    if denials := local_gate(work, verb):
        return Prepared(verb, None, tuple(denials))
    try:
        return _with_target(work, verb, approval_id, expected_plan, helm_revision, lifted=lifted)
    except Unavailable as error:
        return Prepared(verb, None, (Denial("DENY_UNREACHABLE", error.message, error.help),))


def _with_target(
    work: Work,
    verb: Verb,
    approval_id: str | None,
    expected_plan: str | None,
    helm_revision: int | None,
    *,
    lifted: bool,
) -> Prepared:
    standing = work.standing()
    kept, good = None, None
    if verb is Verb.ROLLBACK:
        good = rollback_target(standing, helm_revision)
        if good is None and _first_install_open(standing):
            return Prepared(
                verb, None, (), standing
            )  # undone by removing it; a promotion's approval covers that
        if denial := _rollback_denial(work, standing, good, helm_revision):
            return Prepared(verb, None, (denial,), standing)
        assert good is not None  # noqa: S101 - _rollback_denial speaks whenever there is none
        planned, kept = plan_rollback(
            work, standing, good, state_dir(work.app_dir, "known-good", short(good.object))
        )
    else:
        planned = plan_canary(work, standing) if verb is Verb.DEPLOY else plan_promotion(work, standing)
        planned = _preflight(work, verb, planned, standing)
    denials = target_gate(
        work, verb, standing, planned, approval_id=approval_id, expected_plan=expected_plan, lifted=lifted
    )
    request, _ = claimed_request(work, standing, verb, approval_id, planned.plan)
    return Prepared(verb, planned.plan, tuple(denials), standing, request, kept, good)


def _first_install_open(standing: Standing) -> bool:
    run = standing.open_run
    return run is not None and run.verb is not Verb.DEPLOY and standing.serving is None


def _preflight(work: Work, verb: Verb, planned: Planned, standing: Standing) -> Planned:
    """Return the plan with everything else that must be true before the first change."""
    stage = STAGE_OF[verb]
    missing_images, unsure_images = image_problems(work)
    missing_dependencies, unsure_dependencies = dependency_problems(work, stage)
    problems = [
        *planned.problems,
        *missing_images,
        *missing_dependencies,
        *metrics_problems(work, stage),
        *_recorded_stable(planned, standing),
        *_open_run(verb, standing),
    ]
    if traffic_mode(work) == "weighted":
        problems += gateway_problems(work)
    plan = planned.plan
    if plan is not None:
        plan = replace(
            plan, warnings=(*plan.warnings, *unsure_images, *unsure_dependencies, *_unheeded(work))
        )
    return Planned(plan, tuple(problems))


def _unheeded(work: Work) -> list[str]:
    """Return what the contract declares and only warns of: a low app's calendar."""
    return ["freeze rules are not evaluated by this version"] if work.contract.freeze.rules else []


def _recorded_stable(planned: Planned, standing: Standing) -> list[Denial]:
    """Deny when what serves now is not what the ledger knows as good: there would be no way back to it."""
    if planned.plan is None or planned.plan.baseline.helm_revision is None:
        return []
    name = planned.plan.target.namespace
    serving = standing.serving
    adopt = "record it with `railiance adopt DIR`"
    if serving is None:
        why = f"an app runs in {name} that no ledger entry describes, so a rollback could not bring it back"
        return [Denial("DENY_PREVIOUS_STABLE_MISSING", why, adopt)]
    if serving.manifest_digest != planned.plan.baseline.manifest_digest:
        why = f"the stable helm_release in {name} was changed since it was recorded as known-good"
        return [Denial("DENY_DRIFT", why, f"undo that, or {adopt}")]
    return []


def _open_run(verb: Verb, standing: Standing) -> list[Denial]:
    """Deny while an earlier run has not closed: its half-done change must be finished or undone first."""
    run = standing.open_run
    if run is None or (verb is Verb.DEPLOY and run.verb is Verb.DEPLOY):
        return []  # a canary that was cut short is simply taken up, or replaced, by the next
    way = "railiance abort DIR" if run.verb is Verb.DEPLOY else "railiance rollback DIR --apply"
    return [
        Denial(
            "DENY_RUN_OPEN",
            f"run {run.id} ({run.verb}) was begun at {run.at:%F %T} UTC and has not ended",
            f"`{way}`",
        )
    ]


def _rollback_denial(
    work: Work, standing: Standing, good: KnownGood | None, helm_revision: int | None
) -> Denial | None:
    known = (
        ", ".join(f"{k.helm_revision} ({k.source_revision or k.candidate[:19]})" for k in standing.known_good)
        or "none"
    )
    rollback = work.contract.rollback
    if rollback is None:
        return Denial("DENY_STRATEGY_MISSING", "the contract has no [rollback] table", "declare one")
    if helm_revision is not None and good is None:
        return Denial(
            "DENY_REVISION_NOT_GOOD",
            f"helm_revision {helm_revision} is not known to be good",
            f"known-good: {known}",
        )
    promoting = standing.open_run is not None and standing.open_run.verb is not Verb.DEPLOY
    if str(rollback.strategy) == "helm-revision" and helm_revision is None and not promoting:
        return Denial(
            "DENY_REVISION_MISSING", "the strategy helm-revision needs --revision", f"known-good: {known}"
        )
    if good is None:
        return Denial(
            "DENY_REVISION_NOT_GOOD",
            "no earlier known-good candidate is there to go back to",
            f"known-good: {known}",
        )
    return None
