"""Taking over an app that already runs: its live state becomes the first known-good entry."""

from __future__ import annotations

from railiance.adapters.workspace import read_candidate
from railiance.domain.errors import Conflict
from railiance.domain.lifecycle import EventKind, KnownGood
from railiance.engine.known_good import kept_whole
from railiance.engine.lock import taken
from railiance.engine.planning import STABLE, read_baseline, stable_release, stage_source
from railiance.engine.record import note
from railiance.engine.release import stored
from railiance.engine.traffic import adopt_route
from railiance.engine.work import Work


def adopt(work: Work) -> KnownGood:
    """Record the live helm_release as known-good, with the chart and values of this folder.

    Raises:
        Conflict: Nothing is deployed (NOTHING_TO_ADOPT), high and critical apps need signed approvals that this
            version does not have (DENY_APPROVAL_MISSING), or another run holds the lock.
    """
    if str(work.contract.app.criticality) in {"high", "critical"}:
        raise Conflict(
            "DENY_APPROVAL_MISSING",
            f"adopting a {work.contract.app.criticality} app needs a signed approval, which this version cannot verify",
            "signed approvals are not part of this version",
        )
    stage = work.stage("stage3")
    live = stored(work, stable_release(work), stage.namespace)
    if live is None:
        raise Conflict(
            "NOTHING_TO_ADOPT",
            f"there is no deployed helm_release {stable_release(work)} in namespace {stage.namespace}",
            "a first install goes through the stages: railiance run, deploy, promote",
        )
    candidate = read_candidate(work.app_dir, work.contract)
    source = stage_source(work, "stage3", STABLE, read_baseline(work, work.standing()))
    manifest = work.hands.releases.manifest(stable_release(work), stage.namespace)
    with taken(work, asking=False):
        digest = work.hands.ledger.put(kept_whole(source.chart, source.values, source.overlay, manifest))
        note(
            work,
            EventKind.ADOPTED,
            candidate=candidate.digest,
            helm_revision=live.helm_revision,
            manifest_digest=live.manifest_digest,
            object=digest,
            source_revision=candidate.source_revision,
        )
        adopt_route(work)
    return KnownGood(
        candidate.digest, live.helm_revision, live.manifest_digest, digest, work.clock.now(), adopted=True
    )
