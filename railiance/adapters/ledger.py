"""The ledger: events that are only ever appended, and content that is named by its digest.

In the cluster each event is one immutable ConfigMap whose name carries its sequence number, and it is
created, never applied. So the API server itself gives each number to one writer, and a writer that lost reads
again and takes the next. Each event holds the digest of the one before: what was changed or taken away shows.

    railiance-<app>-event-00000001            event.json, canonical JSON
    railiance-<app>-object-<20 hex>[-<n>]     content, cut into slices, each slice compressed by itself

As files (`FileLedger`) the same ledger is `events.jsonl` and `objects/sha256/<hex>`.
"""

from __future__ import annotations

import base64
import gzip
import logging
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from railiance.adapters.chain import check_chain, decode, encode, next_event
from railiance.adapters.ledger_files import FileLedger
from railiance.adapters.objects import MANAGED_BY, create_in_namespace
from railiance.domain.canonical import sha256_digest
from railiance.domain.errors import Broken, RailianceError, Unavailable
from railiance.domain.ports import Clock, Cluster, Event, Manifest, ObjectRef

__all__ = ["ClusterLedger", "FileLedger"]

APP_LABEL = "railiance.dev/app"
RECORD_LABEL = "railiance.dev/record"
DIGEST_ANNOTATION = "railiance.dev/digest"
SLICES_ANNOTATION = "railiance.dev/slices"
SLICE_BYTES = 900 * 1024
"""How much content one ConfigMap takes; Kubernetes allows 1 MiB, and compression may add a little."""

_EVENT_KEY = "event.json"
_OBJECT_KEY = "content.gz"
_MOST_TRIES = 50
_BLOCKED = frozenset({"FORBIDDEN", "NAMESPACE_TERMINATING"})
_log = logging.getLogger(__name__)


class ClusterLedger:
    """The ledger of one app, beside it in the target cluster.

    Args:
        cluster: The target cluster.
        namespace: Namespace of Stage 3; made when it is missing.
        app_id: The app.
        mirror: Folder of a second copy on this machine; that it cannot be written is a warning, no error.
        clock: Dates the events.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, app_id: str, mirror: Path | None = None, *, clock: Clock
    ) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._app_id = app_id
        self._clock = clock
        self._mirror = FileLedger(mirror, clock) if mirror else None
        self._where = f"namespace {namespace}, app {app_id}"

    def events(self) -> list[Event]:
        """Return all events in order.

        Raises:
            Broken: The chain is broken (code `LEDGER_BROKEN`).
        """
        labels = f"{APP_LABEL}={self._app_id},{RECORD_LABEL}=event"
        found = self._cluster.list_objects("v1", "ConfigMap", self._namespace, labels)
        return check_chain((_event_of(manifest) for manifest in found), self._where)

    def append(self, kind: str, run_id: str, actor: str, data: Mapping[str, Any]) -> Event:
        """Write one event after the last; two writers never share a sequence number.

        Raises:
            Unavailable: It cannot be written (code `DENY_LEDGER_UNWRITABLE`). The event may be there even so,
                when only the answer was lost: read the ledger before writing it again.
        """
        for _ in range(_MOST_TRIES):
            events = self.events()
            last = events[-1] if events else None
            at = self._clock.now()
            event = next_event(last, kind=kind, at=at, run_id=run_id, actor=actor, data=data)
            if self._create(self._event_manifest(event)):
                self._copy([*events, event])
                return event
        message = f"The ledger ({self._where}) took {_MOST_TRIES} other events meanwhile."
        raise Unavailable("DENY_LEDGER_UNWRITABLE", message, "See who writes so much, then try again.")

    def put(self, content: bytes) -> str:
        """Keep content, return its digest; keeping it twice is the same.

        Raises:
            Unavailable: It cannot be written (code `DENY_LEDGER_UNWRITABLE`).
        """
        digest = sha256_digest(content)
        slices = [content[at : at + SLICE_BYTES] for at in range(0, len(content), SLICE_BYTES)] or [b""]
        # The head is written last, so that whoever finds it finds all of it.
        for number in reversed(range(len(slices))):
            manifest = self._object_manifest(digest, number, len(slices), slices[number])
            if not self._create(manifest):
                self._check_same(manifest["metadata"]["name"], digest)
        if self._mirror is not None:
            try:
                self._mirror.put(content)
            except RailianceError as error:
                _log.warning("%s", error)
        return digest

    def get(self, digest: str) -> bytes:
        """Return kept content, verified.

        Raises:
            Broken: It is unknown (code `OBJECT_MISSING`) or was changed (code `OBJECT_CORRUPT`).
        """
        head = self._object(digest, 0)
        try:
            count = int(head["metadata"]["annotations"][SLICES_ANNOTATION])
            manifests = [head, *(self._object(digest, number) for number in range(1, count))]
            content = b"".join(_content_of(manifest) for manifest in manifests)
        except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error) as error:
            raise self._corrupt(digest) from error
        if sha256_digest(content) != digest:
            raise self._corrupt(digest)
        return content

    # ----- the cluster

    def _create(self, manifest: Manifest) -> bool:
        """Create; False when the name is taken."""
        try:
            create_in_namespace(self._cluster, manifest)
        except RailianceError as error:
            if error.code == "ALREADY_EXISTS":
                return False
            if isinstance(error, Unavailable) or error.code in _BLOCKED:
                raise self._unwritable(error) from error
            raise
        return True

    def _unwritable(self, error: RailianceError) -> Unavailable:
        help_ = "Nothing was changed. Make the ledger writable, then try again."
        return Unavailable("DENY_LEDGER_UNWRITABLE", f"The ledger cannot be written: {error.message}", help_)

    def _object(self, digest: str, number: int) -> Manifest:
        name = self._object_name(digest, number)
        found = self._cluster.get(ObjectRef("v1", "ConfigMap", self._namespace, name))
        if found is None:
            raise Broken("OBJECT_MISSING", f"The ledger ({self._where}) holds no object {digest}.")
        return found

    def _check_same(self, name: str, digest: str) -> None:
        """Make sure that what has the name is this content: the name holds only part of the digest."""
        found = self._cluster.get(ObjectRef("v1", "ConfigMap", self._namespace, name))
        annotations = (found or {}).get("metadata", {}).get("annotations") or {}
        if annotations.get(DIGEST_ANNOTATION) != digest:
            raise self._corrupt(digest)

    def _corrupt(self, digest: str) -> Broken:
        message = f"The object {digest} of the ledger ({self._where}) is not what its name says."
        return Broken("OBJECT_CORRUPT", message, "Restore it from a mirror or a backup.")

    def _copy(self, events: list[Event]) -> None:
        """Write the mirror; the cluster holds the ledger, so a full disk here must not stop a rollback."""
        if self._mirror is None:
            return
        try:
            self._mirror.mirror(events)
        except RailianceError as error:
            _log.warning("%s", error)

    # ----- the manifests

    def _event_manifest(self, event: Event) -> Manifest:
        manifest = self._manifest(f"railiance-{self._app_id}-event-{event.sequence:08d}", "event", {})
        return {**manifest, "data": {_EVENT_KEY: encode(event)}}

    def _object_manifest(self, digest: str, number: int, count: int, content: bytes) -> Manifest:
        annotations = {DIGEST_ANNOTATION: digest, SLICES_ANNOTATION: str(count)}
        manifest = self._manifest(self._object_name(digest, number), "object", annotations)
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        return {**manifest, "binaryData": {_OBJECT_KEY: packed}}

    def _object_name(self, digest: str, number: int) -> str:
        head = f"railiance-{self._app_id}-object-{digest.removeprefix('sha256:')[:20]}"
        return f"{head}-{number}" if number else head

    def _manifest(self, name: str, record: str, annotations: Mapping[str, str]) -> Manifest:
        labels = {**MANAGED_BY, APP_LABEL: self._app_id, RECORD_LABEL: record}
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "labels": labels,
            "annotations": dict(annotations),
        }
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True}


def _event_of(manifest: Manifest) -> Event:
    name = manifest["metadata"]["name"]
    event = decode((manifest.get("data") or {}).get(_EVENT_KEY, ""), f"ConfigMap {name}")
    if not name.endswith(f"-event-{event.sequence:08d}"):
        raise Broken("LEDGER_BROKEN", f"The ConfigMap {name} holds the event {event.sequence}.")
    return event


def _content_of(manifest: Manifest) -> bytes:
    """Return one slice, and never more than a slice may hold, whatever the compressed bytes promise."""
    packed = base64.b64decode(manifest["binaryData"][_OBJECT_KEY], validate=True)
    unpacker = zlib.decompressobj(wbits=31)
    content = unpacker.decompress(packed, SLICE_BYTES + 1)
    if len(content) > SLICE_BYTES or not unpacker.eof:
        raise ValueError("too long, or cut off")
    return content
