"""Making plans: render, compare with what is live, and say what a change would do; nothing is changed here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from railiance.domain.canonical import sha256_digest
from railiance.domain.denial import Denial
from railiance.domain.errors import Broken, Conflict
from railiance.domain.lifecycle import KnownGood, Standing, Verb
from railiance.domain.plan import (
    Baseline,
    Plan,
    ReleasePlan,
    Step,
    Target,
    documents,
    normalised,
    planned_release,
    unstable_paths,
)
from railiance.domain.ports import ObjectRef
from railiance.domain.values import NO_STABLE, merge, overlay_for
from railiance.engine.known_good import Kept, restored
from railiance.engine.work import Work

STABLE = "stable"
CANARY = "canary"
_WEIGHTED = "weighted"
_STRICT = frozenset({"high", "critical"})


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, or why there is none, and every denial that planning met."""

    plan: Plan | None
    problems: tuple[Denial, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """What a helm_release is rendered from."""

    chart: Path
    values: tuple[Path, ...]
    overlay: dict[str, Any]


def plan_canary(work: Work, standing: Standing) -> Planned:
    """Plan Stage 2: the canary track beside the stable one, and the weights in order."""
    stage = work.stage("stage2")
    baseline = read_baseline(work, standing)
    source = stage_source(work, "stage2", CANARY, baseline)
    problems: list[Denial] = []
    warnings: list[str] = []
    release = _release(work, CANARY, stage.release, stage.namespace, source, problems, warnings)
    steps = planned_steps(work, first_install=baseline.helm_revision is None)
    problems += _pending(work, (stage.release, stable_release(work)))
    return _planned(
        work, Verb.DEPLOY, baseline, [release], steps, _deploy_actions(work, steps), problems, warnings
    )


def plan_promotion(work: Work, standing: Standing) -> Planned:
    """Plan Stage 3: the canary carries all users while stable is upgraded, then stable takes them back."""
    stage = work.stage("stage3")
    baseline = read_baseline(work, standing)
    problems: list[Denial] = []
    warnings: list[str] = []
    tracks = [(STABLE, stage.release)]
    if surges(work, baseline):
        tracks.insert(0, (CANARY, canary_release(work)))
    releases = [
        _release(
            work,
            track,
            name,
            stage.namespace,
            stage_source(work, "stage3", track, baseline),
            problems,
            warnings,
        )
        for track, name in tracks
    ]
    problems += _pending(work, [name for _, name in tracks])
    actions = _promote_actions(work, baseline)
    return _planned(work, Verb.PROMOTE, baseline, releases, (), actions, problems, warnings)


def plan_rollback(work: Work, standing: Standing, good: KnownGood, kept_in: Path) -> tuple[Planned, Kept]:
    """Plan the way back to a known-good candidate, from what the ledger kept of it whole."""
    kept = restored(work.hands.ledger.get(good.object), kept_in)
    namespace = work.stage("stage3").namespace
    baseline = read_baseline(work, standing)
    problems: list[Denial] = []
    warnings: list[str] = []
    tracks = [(STABLE, stable_release(work))]
    if surges(work, baseline):
        tracks.insert(0, (CANARY, canary_release(work)))
    releases = [
        _release(work, track, name, namespace, kept_source(work, kept, track), problems, warnings)
        for track, name in tracks
    ]
    actions = (
        f"Return users to {good.source_revision or good.candidate[:19]} on a track that is ready.",
        f"Upgrade helm_release {stable_release(work)} to it with the chart and values the ledger kept.",
        "Verify, return the weight to stable, remove the canary track.",
        "Set a hold, so that no automation promotes the present candidate again.",
    )
    planned = _planned(
        work, Verb.ROLLBACK, baseline, releases, (), actions, problems, warnings, candidate=good.candidate
    )
    return planned, kept


def stable_release(work: Work) -> str:
    """Return the helm_release of the stable track."""
    return work.stage("stage3").release if work.contract.stage("stage3") else work.app_id


def canary_release(work: Work) -> str:
    """Return the helm_release of the canary track."""
    return work.stage("stage2").release if work.contract.stage("stage2") else f"{work.app_id}-canary"


def surges(work: Work, baseline: Baseline) -> bool:
    """Tell whether the canary track carries the users while the stable track changes.

    A first install has no users to carry, and without weighted traffic no route could.
    """
    return (
        baseline.helm_revision is not None
        and work.contract.promotion.surge
        and traffic_mode(work) == _WEIGHTED
    )


def traffic_mode(work: Work) -> str:
    """Return `weighted` or `isolated`: contract, then declared steps, then the stage's values file, then isolated."""
    traffic = work.traffic
    if traffic.mode is not None:
        return str(traffic.mode)
    if traffic.steps:
        return _WEIGHTED
    return str(_values_at(work, "stage2", ("railiance", "traffic", "mode")) or "isolated")


def read_baseline(work: Work, standing: Standing) -> Baseline:
    """Return the live state of the stable track."""
    if work.contract.stage("stage3") is None:
        return Baseline()
    stage = work.stage("stage3")
    state = work.hands.releases.state(stage.release, stage.namespace)
    if state is None:
        return Baseline()
    stored = normalised(work.hands.releases.manifest(stage.release, stage.namespace))
    serving = standing.serving.candidate if standing.serving else None
    return Baseline(state.helm_revision, serving, sha256_digest(stored.encode()))


def stage_source(work: Work, stage_name: str, track: str, baseline: Baseline) -> Source:
    """Return what a stage renders a track from: the app's chart and files, and the engine's values over them."""
    stage = work.stage(stage_name)
    overlay = overlay_for(
        track,
        candidate=work.candidate,
        stable_release=stable_release(work),
        canary_release=canary_release(work),
        previous_stable=NO_STABLE if baseline.helm_revision is None else str(baseline.helm_revision),
        mode=traffic_mode(work),
        provider=str(work.traffic.provider),
        values_key=work.contract.source.values_key,
    )
    return Source(work.path(stage.chart), tuple(work.path(v) for v in stage.values), overlay)


def kept_source(work: Work, kept: Kept, track: str) -> Source:
    """Return what a rollback renders a track from: what the ledger kept, under the track's name."""
    overlay = dict(kept.overlay)
    merge(
        overlay,
        {
            "railiance": {
                "stage": track,
                "stableRelease": stable_release(work),
                "canaryRelease": canary_release(work),
            }
        },
    )
    return Source(kept.chart, kept.values, overlay)


def planned_steps(work: Work, *, first_install: bool) -> tuple[Step, ...]:
    """Return the weights in order; none for a first install or isolated traffic, where no user can be shown it."""
    if first_install or traffic_mode(work) != _WEIGHTED:
        return ()
    contract = work.contract
    declared = tuple(
        Step(s.weight, s.window.total_seconds(), s.min_samples, s.approval) for s in contract.traffic.steps
    )
    if declared:
        return declared
    weight = _values_at(work, "stage2", ("railiance", "traffic", "canaryWeight")) or 5
    return (Step(int(weight), 600.0, contract.analysis.min_samples),)


def _values_at(work: Work, stage_name: str, keys: Iterable[str]) -> Any:
    found: Any = None
    for path in work.stage(stage_name).values:
        node: Any = yaml.safe_load(work.path(path).read_text()) if work.path(path).is_file() else None
        for key in keys:
            node = node.get(key) if isinstance(node, dict) else None
        found = found if node is None else node
    return found


def _release(
    work: Work,
    track: str,
    helm_release: str,
    namespace: str,
    source: Source,
    problems: list[Denial],
    warnings: list[str],
) -> ReleasePlan:
    releases = work.hands.releases
    version = work.hands.cluster.info().version

    def render() -> str:
        return releases.template(
            source.chart, helm_release, namespace, source.values, source.overlay, kube_version=version
        )

    rendered = render()
    if drawn := unstable_paths(rendered, render()):
        text = f"two renderings of {helm_release} differ in {', '.join(drawn)}"
        if str(work.contract.app.criticality) in _STRICT:
            problems.append(
                Denial("DENY_RENDER_UNSTABLE", text, "pin what the chart draws or reads at render time")
            )
        else:
            warnings.append(text)
    stored = releases.manifest(helm_release, namespace) if releases.state(helm_release, namespace) else ""
    problems += _dry_run(work, namespace, rendered, warnings)
    return planned_release(track, helm_release, rendered, stored, source.overlay)


def _dry_run(work: Work, namespace: str, rendered: str, warnings: list[str]) -> list[Denial]:
    """Let the API server judge every document without keeping it."""
    cluster = work.hands.cluster
    if cluster.get(ObjectRef("v1", "Namespace", "", namespace)) is None:
        warnings.append(
            f"namespace {namespace} is not there yet, so the API server could not judge the manifests"
        )
        return []
    found = []
    for document in documents(rendered):
        name = f"{document.get('kind')}/{(document.get('metadata') or {}).get('name')}"
        placed = {**document, "metadata": {"namespace": namespace, **(document.get("metadata") or {})}}
        try:
            cluster.apply(placed, field_manager="railiance-plan", force=True, dry_run=True)
        except (Broken, Conflict) as error:
            found.append(
                Denial("DENY_DRY_RUN", f"the API server refuses {name}: {error.message}", "mend the chart")
            )
    return found


def _pending(work: Work, names: Iterable[str]) -> list[Denial]:
    namespace = work.stage("stage2").namespace
    found = []
    for name in names:
        state = work.hands.releases.state(name, namespace)
        if state is not None and state.status.startswith("pending"):
            found.append(
                Denial(
                    "DENY_PENDING_RELEASE",
                    f"helm_release {name} is {state.status}: a Helm client works on it, or died there",
                    "wait for it; if its client died, `helm rollback` it to its last deployed revision first",
                )
            )
    return found


def reference_problems(work: Work, stage_name: str) -> list[Denial]:
    """Return a denial for each secret that is referenced and not there, or lacks a key; values are never looked at."""
    stage = work.stage(stage_name)
    found = []
    for reference in work.contract.secrets.references:
        if not reference.required or str(reference.stage) > stage_name:
            continue
        kind, _, name = reference.target.partition("/")
        secret = work.hands.cluster.get(ObjectRef("v1", "Secret", stage.namespace, name))
        where = f"Secret {stage.namespace}/{name} (reference {reference.name!r}, {kind})"
        if secret is None:
            found.append(
                Denial("DENY_REFERENCE", f"{where} is not there", f"create it by route {reference.route!r}")
            )
            continue
        missing = sorted(set(reference.keys or ()) - set(secret.get("data") or {}))
        if missing:
            found.append(
                Denial("DENY_REFERENCE", f"{where} lacks {', '.join(missing)}", "add the keys at its source")
            )
    return found


def _planned(
    work: Work,
    verb: Verb,
    baseline: Baseline,
    releases: list[ReleasePlan],
    steps: tuple[Step, ...],
    actions: tuple[str, ...],
    problems: list[Denial],
    warnings: list[str],
    candidate: str | None = None,
) -> Planned:
    info = work.hands.cluster.info()
    stage = work.stage("stage2" if verb is Verb.DEPLOY else "stage3")
    rollback = work.contract.rollback
    plan = Plan(
        verb=verb,
        app_id=work.app_id,
        candidate=candidate or work.candidate.digest,
        target=Target(stage.cluster, info.uid, stage.namespace, stage.release),
        baseline=baseline,
        releases=tuple(releases),
        traffic_mode=traffic_mode(work),
        provider=str(work.traffic.provider),
        source=str(work.contract.analysis.source),
        steps=steps,
        actions=actions,
        versions={"helm": work.hands.releases.version(), "kubernetes": info.version},
        rollback={
            "strategy": str(rollback.strategy) if rollback else "none",
            "helm_revision": baseline.helm_revision,
            "candidate": baseline.candidate,
            "data": "none",
        },
        warnings=tuple(warnings),
    )
    return Planned(plan, tuple(problems))


def _deploy_actions(work: Work, steps: tuple[Step, ...]) -> tuple[str, ...]:
    name = canary_release(work)
    shown = tuple(
        f"Give the canary {s.weight} % of the requests for {s.window:g} s and watch." for s in steps
    )
    if not shown:
        shown = ("Probe the canary; no user is sent to it.",)
    return (
        f"Install helm_release {name} beside {stable_release(work)}, at weight 0, and wait until it is ready.",
        *shown,
        "Return the weight to 0, drain, and record the verdict.",
    )


def _promote_actions(work: Work, baseline: Baseline) -> tuple[str, ...]:
    stable = stable_release(work)
    if baseline.helm_revision is None:
        return (f"Install helm_release {stable}.", "Open the route to it.", "Watch it through the bake.")
    if not surges(work, baseline):
        return (f"Upgrade helm_release {stable} in place.", "Verify.", "Watch it through the bake.")
    return (
        f"Bring helm_release {canary_release(work)} to full size with the production values.",
        "Send all users to it.",
        f"Upgrade helm_release {stable} and verify it.",
        "Send all users back to it, drain, remove the canary track.",
        "Watch it through the bake; go back by itself if it fails.",
    )
