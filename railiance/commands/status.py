"""`railiance status`: where an app stands, on one screen; works while Prefect is down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from railiance.commands.output import Output, app_argument, output_options

if TYPE_CHECKING:
    from railiance.domain.lifecycle import Standing
    from railiance.engine.work import Work


@click.command()
@app_argument
@output_options
def status(directory: str, output: Output) -> None:
    """Say what serves, what runs, what waits, and what comes next."""
    from railiance.commands.staged import open_app
    from railiance.engine.traffic import CANARY, STABLE, current_weight, track_state

    work = open_app(directory)
    standing = work.standing()
    tracks = {
        name: track_state(work, name).words() for name in (STABLE, CANARY) if work.contract.stage("stage2")
    }
    weight = current_weight(work) if tracks else None
    document = _document(work, standing, tracks, weight)
    output.reporter.say(_text(document))
    output.emit(document)


def _document(work: Work, standing: Standing, tracks: dict[str, str], weight: int | None) -> dict[str, Any]:
    from railiance.domain.lifecycle import stamp

    now = work.clock.now()
    run = standing.open_run
    return {
        "app": work.app_id,
        "criticality": str(work.contract.app.criticality),
        "candidate": {"digest": work.candidate.digest, "source_revision": work.candidate.source_revision},
        "serving": _good(standing.serving),
        "known_good": [_good(entry) for entry in standing.known_good],
        "tracks": tracks,
        "weight": weight,
        "stages": {
            stage: {"candidate": r.candidate, "verdict": r.verdict, "at": stamp(r.at)}
            for stage, r in sorted(standing.latest.items())
        },
        "open_run": run and {"id": run.id, "verb": str(run.verb), "phase": run.phase, "at": stamp(run.at)},
        "requests": [
            {
                "id": r.id,
                "verb": str(r.verb),
                "state": r.state(now),
                "needed": r.needed,
                "expires_at": stamp(r.expires_at),
            }
            for r in standing.requests.values()
            if r.state(now) in {"missing", "granted"}
        ],
        "holds": dict(standing.holds),
        "rejected": dict(standing.rejected),
        "next": _next(work, standing),
    }


def _good(entry: Any) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "candidate": entry.candidate,
        "helm_revision": entry.helm_revision,
        "source_revision": entry.source_revision,
        "adopted": entry.adopted,
    }


def _next(work: Work, standing: Standing) -> str:
    """Return the command that comes next."""
    here, run = work.app_dir, standing.open_run
    digest = work.candidate.digest
    if run is not None:
        way = f"railiance abort {here}" if run.verb == "deploy" else f"railiance rollback {here} --apply"
        return f"railiance observe --stage 2 {here}" if run.verb == "deploy" else way
    if standing.serving is not None and standing.serving.candidate == digest:
        return f"nothing: this candidate serves. The way back: railiance rollback {here}"
    stage2 = standing.results.get(("stage2", digest))
    if stage2 is not None and stage2.verdict == "PASS":
        return f"railiance promote {here}"
    if stage2 is not None:
        return f"a new candidate: this one ended Stage 2 with {stage2.verdict}"
    stage1 = standing.results.get(("stage1", digest))
    return f"railiance deploy --stage 2 {here}" if stage1 is not None else f"railiance run {here}"


def _text(document: dict[str, Any]) -> str:
    serving = document["serving"]
    rows = [
        ("app", f"{document['app']}  ({document['criticality']})"),
        (
            "here",
            f"candidate {_short(document['candidate']['digest'])}  {document['candidate']['source_revision']}",
        ),
        (
            "serving",
            f"candidate {_short(serving['candidate'])}  {serving['source_revision']}"
            if serving
            else "nothing yet",
        ),
        *[(f"{name}", words) for name, words in document["tracks"].items()],
        ("weight", "-" if document["weight"] is None else f"{document['weight']} % to the canary"),
        *[
            (stage, f"{r['verdict']}  candidate {_short(r['candidate'])}  {r['at']}")
            for stage, r in document["stages"].items()
        ],
        ("known-good", ", ".join(_short(k["candidate"]) for k in document["known_good"]) or "none"),
        ("open run", _run(document["open_run"])),
        *[("request", f"{r['id']}  {r['state']}, {r['needed']} needed") for r in document["requests"]],
        *[("on hold", f"{_short(candidate)}  {reason}") for candidate, reason in document["holds"].items()],
        *[
            ("rejected", f"{_short(candidate)}  {reason}")
            for candidate, reason in document["rejected"].items()
        ],
        ("next", document["next"]),
    ]
    return "\n".join(f"{name:<11} {value}" for name, value in rows)


def _run(run: dict[str, Any] | None) -> str:
    return "none" if run is None else f"{run['verb']} {run['id']}, phase {run['phase']}, since {run['at']}"


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]
