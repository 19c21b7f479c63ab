"""How the lock of an app is written into a Kubernetes Lease, and read back. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from railiance.domain.ports import Manifest, ObjectRef

LEASE_API = "coordination.k8s.io/v1"
APP_LABEL = "railiance.dev/app"
YIELD_ANNOTATION = "railiance.dev/yield-to"


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast a lock lives; all in seconds.

    Attributes:
        duration: A Lease not renewed for so long is expired.
        renew: How often the holder renews.
        grace: How long an expired Lease is watched before it is taken over; a holder whose clock is behind
            renews within that time, and so shows that it lives.
        answer: How long a holder has to answer the wish for the lock, before it stops renewing.
        poll: How often a waiting run looks.
    """

    duration: float = 30
    renew: float = 10
    grace: float = 10
    answer: float = 60
    poll: float = 0.5


@dataclass(frozen=True, slots=True)
class LeaseInfo:
    """Who holds the lock, as the Lease says.

    Attributes:
        holder: Run id.
        since: When it took the lock.
        expires: When others may begin to think that it died.
        fence: How often the lock was taken so far.
        yield_to: Run id that asks for the lock, or None.
    """

    holder: str
    since: datetime
    expires: datetime
    fence: int
    yield_to: str | None


def lease_ref(namespace: str, app_id: str) -> ObjectRef:
    """Return the address of the Lease of an app."""
    return ObjectRef(LEASE_API, "Lease", namespace, f"railiance-{app_id}")


def lease_info(found: Manifest) -> LeaseInfo | None:
    """Return who holds a Lease, expired or not; None when nobody does."""
    spec = found["spec"]
    if not spec.get("holderIdentity"):
        return None
    lasts = timedelta(seconds=float(spec.get("leaseDurationSeconds") or 0))
    return LeaseInfo(
        holder=str(spec["holderIdentity"]),
        since=moment(spec.get("acquireTime")),
        expires=moment(spec.get("renewTime")) + lasts,
        fence=int(spec.get("leaseTransitions") or 0),
        yield_to=yield_to(found, other_than=str(spec["holderIdentity"])),
    )


def yield_to(found: Manifest, other_than: str) -> str | None:
    """Return the run that asks for the lock, unless it is `other_than`."""
    wanted = (found["metadata"].get("annotations") or {}).get(YIELD_ANNOTATION)
    return str(wanted) if wanted and wanted != other_than else None


def micro_time(at: datetime) -> str:
    """Return a moment in the form of Kubernetes' MicroTime."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str | None) -> datetime:
    """Return a MicroTime; one that is missing is as old as can be."""
    return datetime.fromisoformat(text) if text else datetime.min.replace(tzinfo=UTC)
