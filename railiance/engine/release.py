"""Changing one helm_release exactly as planned, and proving that what is stored is what was planned."""

from __future__ import annotations

from dataclasses import dataclass

from railiance.adapters import progress
from railiance.domain.canonical import sha256_digest
from railiance.domain.errors import Conflict
from railiance.domain.lifecycle import EventKind
from railiance.domain.plan import Plan, ReleasePlan, normalised
from railiance.domain.ports import Lease
from railiance.engine.planning import Source
from railiance.engine.record import note
from railiance.engine.work import Work


@dataclass(frozen=True, slots=True)
class Applied:
    """What Helm holds after a change."""

    helm_release: str
    helm_revision: int
    manifest_digest: str
    changed: bool


def apply_release(
    work: Work,
    plan: Plan,
    release: ReleasePlan,
    source: Source,
    lease: Lease,
    *,
    phase: str,
) -> Applied:
    """Bring one helm_release to its plan; nothing happens when it is there already.

    Raises:
        Conflict: Helm stored another manifest than was planned (MANIFEST_DIFFERS), the lock is lost, or another
            Helm client works on the helm_release.
    """
    releases, namespace = work.hands.releases, plan.target.namespace
    name = release.helm_release
    present = stored(work, name, namespace)
    if present is not None and present.manifest_digest == release.manifest_digest:
        progress.say(f"helm_release {name} holds the planned manifest already")
        return present
    note(work, EventKind.MUTATING, phase=phase, object=f"helm_release/{name}")
    lease.assert_held()
    change = releases.install if releases.state(name, namespace) is None else releases.upgrade
    progress.say(f"helm {'install' if change == releases.install else 'upgrade'} {name}")
    change(source.chart, name, namespace, source.values, source.overlay)
    applied = stored(work, name, namespace)
    if applied is None or applied.manifest_digest != release.manifest_digest:
        raise Conflict(
            "MANIFEST_DIFFERS",
            f"Helm stored another manifest of {name} than was planned",
            "the chart or its values changed in between; make a new plan",
        )
    note(
        work,
        EventKind.MUTATED,
        phase=phase,
        object=f"helm_release/{name}",
        helm_revision=applied.helm_revision,
        manifest_digest=applied.manifest_digest,
    )
    return Applied(name, applied.helm_revision, applied.manifest_digest, changed=True)


def stored(work: Work, helm_release: str, namespace: str) -> Applied | None:
    """Return what Helm holds as deployed, or None when it holds nothing that is."""
    state = work.hands.releases.state(helm_release, namespace)
    if state is None or state.status != "deployed":
        return None
    text = normalised(work.hands.releases.manifest(helm_release, namespace))
    return Applied(helm_release, state.helm_revision, sha256_digest(text.encode()), changed=False)


def remove_release(work: Work, helm_release: str, namespace: str, *, phase: str) -> bool:
    """Uninstall a helm_release; False when there was nothing."""
    if work.hands.releases.state(helm_release, namespace) is None:
        return False
    note(work, EventKind.MUTATING, phase=phase, object=f"helm_release/{helm_release}")
    gone = work.hands.releases.uninstall(helm_release, namespace)
    note(work, EventKind.MUTATED, phase=phase, object=f"helm_release/{helm_release}", removed=gone)
    return gone
