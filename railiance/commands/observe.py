"""`railiance observe --stage 2`: look at a canary; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from railiance.commands.output import Output, app_argument, if_interrupted, output_options

if TYPE_CHECKING:
    from railiance.engine.observation import Seen
    from railiance.engine.work import Work


@click.command()
@app_argument
@click.option("--stage", type=click.Choice(["2"]), required=True, help="The stage.")
@click.option("--live/--plan", default=True, help="Look now (default), or say what would be watched.")
@click.option("--follow", is_flag=True, help="Go on until the run concludes, also off a terminal.")
@output_options
def observe(directory: str, stage: str, live: bool, follow: bool, output: Output) -> None:
    """Show rollout, pods, weights, evidence and verdict of Stage 2.

    On a terminal the view stays until the run concludes or Ctrl-C; elsewhere it is one reading.
    Exit status: 0 PASS, 1 FAIL, 4 cannot tell.
    """
    del stage
    from railiance.adapters.workspace import write_result
    from railiance.commands.staged import open_app
    from railiance.domain.results import Status
    from railiance.engine import observation
    from railiance.engine.observe_document import observe_document

    work = open_app(directory)
    if not live:
        output.reporter.say(_what_would_be_watched(work))
        document = observe_document(work, "plan", Status.PLANNED, None)
        output.finish(document)
    if_interrupted("The run goes on; only this view ended.")
    if follow or (output.reporter.terminal and not output.only_json):
        seen = _followed(work, output)
    else:
        seen = observation.read_now(work)
        output.reporter.say(view_text(work, seen))
    write_result(work.app_dir, seen.document)
    output.finish(seen.document)


def _followed(work: Work, output: Output) -> Seen:
    """Follow the run; one JSON line a reading with `--json`, a live view on a terminal, lines elsewhere."""
    from railiance.engine import observation

    reporter = output.reporter
    if output.only_json:
        return observation.follow(
            work, lambda seen: None if seen.over else output.emit(seen.document.document())
        )
    if not reporter.terminal:
        return observation.follow(work, lambda seen: reporter.say(view_text(work, seen)))
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(Text("reading ..."), console=Console(stderr=True), refresh_per_second=4) as live:
        return observation.follow(work, lambda seen: live.update(Text(view_text(work, seen))))


def view_text(work: Work, seen: Seen) -> str:
    """Return one look as a person reads it."""
    record = seen.record
    rows: list[tuple[str, Any]] = [
        ("app", f"{work.app_id}  candidate {work.candidate.short}  {work.candidate.source_revision}"),
        (
            "run",
            f"{seen.run.verb} {seen.run.id} since {seen.run.at:%F %T} UTC" if seen.run else "none is open",
        ),
        ("canary", seen.canary.words()),
        ("stable", seen.stable.words()),
        ("weight", _weights(seen)),
    ]
    if record is not None:
        total, said = record.judge.total, record.assessment
        rows += [
            (
                "requests",
                (
                    f"canary {total.canary_requests:.0f} ({total.canary_errors:.0f} failed),"
                    f" stable {total.stable_requests:.0f} ({total.stable_errors:.0f} failed)"
                ),
            ),
            *[
                (f"step {n}", _step(step, n - 1 == record.step and not record.concluded))
                for n, step in enumerate(record.steps, 1)
            ],
            (
                "evidence",
                f"worse {said.get('worse', 0):.3g} of {1 / work.contract.analysis.false_alarm:.0f},"
                f" fine {said.get('fine', 0):.3g} of {1 / work.contract.analysis.false_pass:.0f}"
                if said
                else "none yet",
            ),
            ("waits for", "; ".join(record.waits) or "nothing"),
        ]
    rows.append(("verdict", f"{seen.document.verdict}  {record.reason if record else ''}"))
    rows += [("note", warning) for warning in seen.document.warnings]
    return "\n".join(f"{name:<10} {value}" for name, value in rows) + "\n"


def _weights(seen: Seen) -> str:
    routing = seen.document.routing
    observed = "-" if routing is None or routing.observed_weight is None else f"{routing.observed_weight} %"
    return f"set {seen.weight if seen.weight is not None else '-'} %, observed {observed}"


def _step(step: Any, is_open: bool) -> str:
    state = str(step.verdict) if step.verdict else "open" if is_open else "not yet"
    return f"{step.weight} % for {step.window:g} s: {state}, {step.samples} canary requests"


def _what_would_be_watched(work: Work) -> str:
    from railiance.engine.planning import planned_steps, traffic_mode

    analysis, mode = work.contract.analysis, traffic_mode(work)
    steps = planned_steps(work, first_install=False)
    checks = ", ".join(check.id for check in work.contract.checks_of("stage2")) or "none declared"
    lines = [
        f"Stage 2 of {work.app_id}, {mode} traffic",
        *[
            f"  {s.weight} % for {s.window:g} s, at least {s.min_samples or analysis.min_samples} canary requests"
            for s in steps
        ],
        f"  reading every {analysis.interval.total_seconds():g} s from {analysis.source}",
        f"  checks: {checks}",
        f"  PASS not before {analysis.earliest.total_seconds():g} s, by the rule `{analysis.pass_rule}`",
    ]
    return "\n".join(lines)
