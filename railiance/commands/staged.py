"""What deploy, promote and rollback have in common: read, plan on the spot, run the flow, follow it, show the end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from railiance.commands.output import Output, Reporter, if_interrupted

if TYPE_CHECKING:
    from railiance.domain.denial import Denial
    from railiance.domain.lifecycle import Verb
    from railiance.domain.results import ResultDocument
    from railiance.engine.stages import Prepared
    from railiance.engine.work import Work


def open_app(directory: str, digest: str | None = None, requester: str = "") -> Work:
    """Return this command's view of an app, in the cluster that the environment names."""
    from railiance.adapters.workspace import find_app
    from railiance.engine.work import open_work

    return open_work(find_app(directory), digest=digest, requester=requester)


def show_plan(prepared: Prepared, reporter: Reporter, verb_help: str) -> None:
    """Print the plan, or why there is none, and what comes next."""
    from railiance.domain.report import denial_lines, plan_text

    if prepared.plan is None:
        reporter.say("\n".join(denial_lines(prepared.denials)))
        return
    reporter.say(plan_text(prepared.plan, prepared.denials))
    if prepared.denials:
        reporter.say(
            f"Nothing was changed. `--apply` would be denied: {len(prepared.denials)} reason(s) above.",
            "yellow",
        )
    else:
        reporter.say(f"Nothing was changed. Next: {verb_help}", "dim")


def plan_document(work: Work, prepared: Prepared) -> ResultDocument:
    """Return the result document of `--plan`; a plan that could not be made has a null digest."""
    from railiance.domain.lifecycle import Verb
    from railiance.domain.results import Status
    from railiance.engine.documents import deploy_document, promote_document, rollback_document

    if prepared.plan is None and not work_without_cluster(prepared.denials):
        from railiance.engine.conclude import refused

        return refused(work, prepared, mode="plan")
    builder: Any = {
        Verb.DEPLOY: deploy_document,
        Verb.PROMOTE: promote_document,
        Verb.ROLLBACK: rollback_document,
    }[prepared.verb]
    document: ResultDocument = builder(
        work,
        "plan",
        Status.PLANNED,
        None,
        plan=prepared.plan,
        denials=prepared.denials,
        request=prepared.request,
    )
    return document


def work_without_cluster(denials: tuple[Denial, ...]) -> bool:
    """Tell whether nothing but a cluster that does not answer kept the plan from being made."""
    return bool(denials) and all(denial.code == "DENY_UNREACHABLE" for denial in denials)


def refuse_early(work: Work, verb: Verb, output: Output, *, approval_id: str | None, wait: bool) -> None:
    """Leave at once when `--apply` lacks what can be seen from here, or the cluster does not answer.

    What can be seen from here comes first: if it denies, the cluster is not called.
    """
    from railiance.domain.denial import Denial
    from railiance.engine.conclude import refused
    from railiance.engine.gatekeeping import approval_need, local_gate
    from railiance.engine.stages import Prepared

    denials = local_gate(work, verb)
    need = approval_need(work, verb)
    if need.people and not need.unsigned:
        denials += list(need.denials(None, approval_id, "", work.clock.now()))
    elif need.people and approval_id is None and not wait:
        people = "1 person" if need.people == 1 else f"{need.people} people"
        denials.append(
            Denial(
                "DENY_APPROVAL_MISSING",
                f"{people} must approve this, and no --approval-id was given",
                "ask with --apply --wait, or with `railiance request`, and name the request with --approval-id",
            )
        )
    denials = denials or _unreachable(work)
    if denials:
        finish_refused(output, refused(work, Prepared(verb, None, tuple(denials))))


def _unreachable(work: Work) -> list[Denial]:
    """Look whether the target answers at all, so that no Prefect server is started for nothing."""
    from railiance.domain.denial import Denial
    from railiance.domain.errors import Unavailable

    try:
        work.standing()
    except Unavailable as error:
        return [Denial("DENY_UNREACHABLE", error.message, error.help)]
    return []


def finish_refused(output: Output, document: ResultDocument) -> None:
    """Print why not and leave."""
    for denial in document.denials:
        output.reporter.say(f"denied[{denial.code}]: {denial.why}\n  = help: {denial.help}", "red")
    output.finish(document)


def carry_out(
    work: Work, deployment: str, parameters: Mapping[str, Any], output: Output, verb: str, *, waiting: str
) -> None:
    """Run a flow that may wait for a person, follow it to its end, print its document and leave.

    Args:
        work: Whose app.
        deployment: Which flow.
        parameters: Its parameters besides the common ones.
        output: How the answer is wanted.
        verb: Name under which the flow keeps its result document.
        waiting: Said when the flow waits for a person.
    """
    from railiance.commands import local_server

    reporter = output.reporter
    if_interrupted(f"Traffic is returned where it was moved; look with `railiance status {work.app_dir}`.")
    common = {
        "directory": str(work.app_dir),
        "run_id": work.run_id,
        "requester": work.requester,
        "cluster": work.access,
    }
    with reporter.listening():
        outcome = local_server.run_flow(
            deployment,
            {**common, **parameters},
            may_wait=True,
            tags=[f"app:{work.app_id}"],
            reporter=reporter.say,
        )
    if outcome.state == "waiting":
        reporter.say(waiting, "yellow")
        if_interrupted(
            f"The request still waits; {verb} goes on when it is answered, with or without this command."
        )
        outcome = local_server.follow(
            outcome.flow_run_id, lambda name: reporter.say(f"  flow run is {name}", "dim")
        )
    finish_flow(work, outcome, output, verb)


def finish_flow(work: Work, outcome: Any, output: Output, verb: str) -> None:
    """Print the document of a flow run that ended, and leave with its exit status."""
    from railiance.adapters.workspace import read_result
    from railiance.domain.errors import Unavailable

    document = read_result(work.app_dir, verb)
    if outcome.state == "completed" and document is not None and document.run.id == work.run_id:
        summary(output.reporter, document)
        if document.denials:
            finish_refused(output, document)
        output.finish(document)
    ended = f"The flow run {outcome.flow_run_id} is {outcome.state}."
    raise outcome.error or Unavailable(
        "RUN_ENDED", ended, f"`railiance status {work.app_dir}` says where the app stands."
    )


def summary(reporter: Reporter, document: ResultDocument) -> None:
    """Say how it ended, and what comes next."""
    for warning in document.warnings:
        reporter.say(f"note: {warning}", "yellow")
    if document.verdict is not None:
        word = str(document.verdict)
        reporter.answer(word, f"{document.stage} of {document.app.id} {document.status}")
        reporter.say(_next(document), "dim")


def _next(document: ResultDocument) -> str:
    word = str(document.verdict)
    if document.stage == "stage2":
        return "Next: railiance promote" if word == "PASS" else "All users are on the stable version."
    if document.status == "rolled-back" and word == "PASS":
        return "The candidate that was left is on hold; a new one goes through Stage 1 and Stage 2 again."
    return (
        "The way back: railiance rollback"
        if word == "PASS"
        else "`railiance status` says where the app stands."
    )


def wait_option(command: Any) -> Any:
    """Add `--wait`: open a request and wait for its answer."""
    return click.option(
        "--wait", is_flag=True, help="Ask for the approval that is missing, and wait for it."
    )(command)


def hand_over(work: Work, deployment: str, parameters: Mapping[str, Any], output: Output) -> None:
    """Give a run to Prefect's worker and say where it can be seen."""
    from railiance.commands import local_server

    common = {
        "directory": str(work.app_dir),
        "run_id": work.run_id,
        "requester": work.requester,
        "cluster": work.access,
    }
    flow_run_id = local_server.submit(
        deployment, {**common, **parameters}, tags=[f"app:{work.app_id}"], reporter=output.reporter.say
    )
    output.reporter.say(
        f"Handed to Prefect as flow run {flow_run_id}; look with `railiance observe --stage 2 {work.app_dir}`."
    )
    output.emit({"run": {"id": work.run_id, "flow_run_id": flow_run_id}, "app": work.app_id})
