"""The plan: every change in order, as data, with a digest that an approval binds and the executor checks again.

No time stands inside a plan, so the same candidate against the same world always gives the same digest.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import yaml

from railiance.domain.canonical import digest_of, sha256_digest
from railiance.domain.lifecycle import Verb
from railiance.domain.ports import Manifest

_SERVER_SET = ("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields", "selfLink")
_MASK = "(masked)"

DESTRUCTIVE_KINDS = frozenset({"StatefulSet", "PersistentVolumeClaim", "Secret", "CustomResourceDefinition"})
"""Kinds whose deletion needs a tick of its own."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a plan acts: cluster access, UID of its kube-system namespace, namespace and helm_release."""

    cluster: str
    cluster_uid: str
    namespace: str
    helm_release: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """The live state a plan was made against; all None for a first install."""

    helm_revision: int | None = None
    candidate: str | None = None
    manifest_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One object that a plan creates, updates, deletes or leaves as it is."""

    action: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One weight (percent of requests to the canary track), held for one window (seconds)."""

    weight: int
    window: float
    min_samples: int
    approval: bool = False


@dataclass(frozen=True, slots=True)
class ReleasePlan:
    """What one helm_release will hold.

    Attributes:
        track: `stable` or `canary`.
        helm_release: Helm's name.
        manifest: The rendered documents as normalised YAML text.
        overlay: Values that win over the files.
        changes: What becomes of each object.
        diff: Unified diff from the stored manifest, secrets masked.
    """

    track: str
    helm_release: str
    manifest: str
    overlay: Mapping[str, Any]
    changes: tuple[Change, ...]
    diff: str

    @property
    def manifest_digest(self) -> str:
        """Return the digest of the normalised manifest."""
        return sha256_digest(self.manifest.encode())


@dataclass(frozen=True, slots=True)
class Plan:
    """Every change of one verb, in order.

    Attributes:
        verb: What is planned.
        app_id: Whose plan it is.
        candidate: Digest of the candidate that goes out (for a rollback: that comes back).
        target: Where.
        baseline: The live stable state it was made against.
        releases: The helm_releases, in the order in which they change.
        traffic_mode: `isolated` or `weighted`.
        provider: `traefik` or `gateway-api`.
        source: `gateway` or `prometheus`: where the judge reads the ingress's counters.
        steps: Weights in order; empty for a rollback.
        actions: The order of actions, one sentence each, as the approver reads it.
        versions: Versions of Helm and Kubernetes.
        rollback: What going back restores: candidate, strategy, data.
        warnings: What does not stop the plan but should be read.
    """

    verb: Verb
    app_id: str
    candidate: str
    target: Target
    baseline: Baseline
    releases: tuple[ReleasePlan, ...]
    traffic_mode: str
    provider: str
    source: str
    steps: tuple[Step, ...]
    actions: tuple[str, ...]
    versions: Mapping[str, str]
    rollback: Mapping[str, Any]
    warnings: tuple[str, ...] = field(default=())

    @property
    def digest(self) -> str:
        """Return the digest that an approval binds: over all of the plan but the wording of its warnings."""
        body = asdict(self)
        del body["warnings"]
        return digest_of(body)

    @property
    def short(self) -> str:
        """Return the first 12 hexadecimal digits of the digest, which an approver types."""
        return short(self.digest)

    def release(self, track: str) -> ReleasePlan:
        """Return the planned helm_release of a track; KeyError when the plan has none."""
        for release in self.releases:
            if release.track == track:
                return release
        raise KeyError(track)

    @property
    def deletions(self) -> tuple[Change, ...]:
        """Return the objects that the plan deletes."""
        return tuple(c for r in self.releases for c in r.changes if c.action == "delete")


def short(digest: str) -> str:
    """Return the first 12 hexadecimal digits of a digest."""
    return digest.removeprefix("sha256:")[:12]


def documents(rendered: str) -> list[Manifest]:
    """Return the documents of rendered YAML, normalised: without server-set fields, in a fixed order.

    Raises:
        yaml.YAMLError: The text is no YAML.
    """
    found = [_stripped(d) for d in yaml.load_all(rendered, Loader=_LOADER) if isinstance(d, dict) and d]
    return sorted(found, key=identity)


def identity(document: Manifest) -> tuple[str, str, str, str]:
    """Return what names an object: apiVersion, kind, namespace, name."""
    meta = document.get("metadata") or {}
    return (
        str(document.get("apiVersion", "")),
        str(document.get("kind", "")),
        str(meta.get("namespace", "")),
        str(meta.get("name", "")),
    )


def normalised(rendered: str) -> str:
    """Return rendered manifests as one YAML text that is equal whenever they mean the same."""
    return yaml.dump_all(documents(rendered), Dumper=_DUMPER, sort_keys=True, allow_unicode=True)


def changes_between(before: str, after: str) -> tuple[Change, ...]:
    """Return what becomes of each object when `before` (a stored manifest) gives way to `after`."""
    old = {identity(d)[1:]: d for d in documents(before)}
    new = {identity(d)[1:]: d for d in documents(after)}
    found = []
    for key in sorted(old.keys() | new.keys()):
        kind, _, name = key
        if key not in new:
            action = "delete"
        elif key not in old:
            action = "create"
        else:
            action = "unchanged" if old[key] == new[key] else "update"
        found.append(Change(action, kind, name))
    return tuple(found)


def diff_between(before: str, after: str, name: str) -> str:
    """Return the unified diff of two manifests with secret values masked; empty when they mean the same."""
    old, new = (_masked(text).splitlines(keepends=True) for text in (before, after))
    return "".join(difflib.unified_diff(old, new, f"live/{name}", f"planned/{name}", n=3))


def unstable_paths(first: str, second: str) -> tuple[str, ...]:
    """Return the objects that two renderings of the same chart give differently: it draws lots or looks at the time."""
    one = {identity(d): d for d in documents(first)}
    two = {identity(d): d for d in documents(second)}
    return tuple("/".join(k[1:]) for k in sorted(one.keys() | two.keys()) if one.get(k) != two.get(k))


def planned_release(
    track: str, helm_release: str, rendered: str, stored: str, overlay: Mapping[str, Any]
) -> ReleasePlan:
    """Return the plan of one helm_release from its rendered and its stored manifest (empty: not there yet)."""
    return ReleasePlan(
        track=track,
        helm_release=helm_release,
        manifest=normalised(rendered),
        overlay=overlay,
        changes=changes_between(stored, rendered),
        diff=diff_between(stored, rendered, helm_release),
    )


def images_of(rendered: str) -> tuple[str, ...]:
    """Return the image references of all containers in rendered manifests, in order, each once."""
    found: dict[str, None] = {}
    for document in documents(rendered):
        for container in _containers(document):
            if image := container.get("image"):
                found[str(image)] = None
    return tuple(found)


def _containers(document: Manifest) -> Iterable[Mapping[str, Any]]:
    spec = document.get("spec") or {}
    if document.get("kind") == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    pod = spec if document.get("kind") == "Pod" else (spec.get("template") or {}).get("spec") or {}
    for key in ("initContainers", "containers"):
        group: Sequence[Mapping[str, Any]] = pod.get(key) or ()
        yield from group


def _stripped(document: Manifest) -> Manifest:
    kept = {k: v for k, v in document.items() if k != "status"}
    meta = kept.get("metadata")
    if isinstance(meta, dict):
        kept["metadata"] = {k: v for k, v in meta.items() if k not in _SERVER_SET}
    return kept


def _masked(rendered: str) -> str:
    shown = []
    for document in documents(rendered):
        if document.get("kind") == "Secret":
            hidden: Manifest = {
                part: dict.fromkeys(document.get(part) or {}, _MASK)
                for part in ("data", "stringData")
                if part in document
            }
            shown.append({**document, **hidden})
        else:
            shown.append(document)
    return yaml.dump_all(shown, Dumper=_DUMPER, sort_keys=True, allow_unicode=True) if shown else ""


# PyYAML's C parser is about ten times faster; it is there wherever the wheel was built with libyaml.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
