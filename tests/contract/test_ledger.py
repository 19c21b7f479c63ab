"""The port `Ledger`: the same rules in memory, in files, and in a real cluster."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from railiance.adapters.clock import SystemClock
from railiance.adapters.cluster import KubeCluster
from railiance.adapters.ledger import SLICE_BYTES, ClusterLedger, FileLedger
from railiance.domain.canonical import digest_of, sha256_digest
from railiance.domain.errors import Broken, Denied, Exit, Unavailable
from railiance.domain.ports import Event, ObjectRef
from tests import real_cluster
from tests.fakes import FakeClock, FakeCluster

Opener = Callable[[], Any]


@pytest.fixture(params=["fake", "files", pytest.param("real", marks=pytest.mark.cluster)])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """Return a function that opens one and the same ledger anew."""
    if request.param == "files":
        yield lambda: FileLedger(tmp_path / "ledger", FakeClock())
    elif request.param == "fake":
        cluster = FakeCluster(clock=FakeClock())
        yield lambda: ClusterLedger(cluster, "shop", "demo", clock=FakeClock())
    else:
        real = KubeCluster.connect(real_cluster.kubeconfig())
        with real_cluster.fresh_namespace(real) as namespace:
            yield lambda: ClusterLedger(real, namespace, "demo", clock=SystemClock())


def test_a_new_ledger_is_empty(opened: Opener) -> None:
    """No record is an empty list, not an error."""
    assert opened().events() == []


def test_events_keep_their_order_and_their_words(opened: Opener) -> None:
    """What is read is what was written, numbered from 1 and chained by digests."""
    data = {"step": 1, "weights": [5, 25], "none": None, "text": "größer  \u2028 \x85 ✓", "deep": {"a": True}}
    first = opened().append("requested", "run-1", "ada", data)
    second = opened().append("planned", "run-1", "bob", {})
    assert opened().events() == [first, second]
    assert (first.sequence, first.kind, first.run_id, first.actor, first.data) == (
        1,
        "requested",
        "run-1",
        "ada",
        data,
    )
    assert first.at.endswith("Z")
    assert (first.previous, second.sequence, second.previous) == ("", 2, first.digest)


def test_a_digest_seals_the_whole_event(opened: Opener) -> None:
    """The digest is that of the canonical bytes of all other fields."""
    event = opened().append("planned", "run-1", "ada", {"weight": 5})
    assert event.digest == digest_of({k: v for k, v in asdict(event).items() if k != "digest"})


def test_two_writers_never_share_a_number(opened: Opener) -> None:
    """Writers that take turns form one chain."""
    one, two = opened(), opened()
    for turn in range(3):
        one.append("mutating", "run-1", "ada", {"turn": turn})
        two.append("mutated", "run-2", "bob", {"turn": turn})
    assert [event.sequence for event in one.events()] == [1, 2, 3, 4, 5, 6]


def test_what_json_cannot_hold_is_refused(opened: Opener) -> None:
    """A bug of ours is named at once, and leaves nothing behind."""
    for value in (object(), float("nan"), {1, 2}):
        with pytest.raises(Broken) as error:
            opened().append("planned", "run-1", "ada", {"value": value})
        assert error.value.code == "EVENT_INVALID"
    assert opened().events() == []


@pytest.mark.parametrize("size", [0, 1, SLICE_BYTES, SLICE_BYTES + 1, 2 * SLICE_BYTES + 17])
def test_content_comes_back_by_its_digest(opened: Opener, size: int) -> None:
    """Content of any size is kept whole, and keeping it twice is the same."""
    content = os.urandom(size)
    digest = opened().put(content)
    assert digest == sha256_digest(content)
    assert opened().put(content) == digest
    assert opened().get(digest) == content


def test_unknown_content_is_an_error(opened: Opener) -> None:
    """Missing evidence never reads as empty evidence."""
    with pytest.raises(Broken) as error:
        opened().get(sha256_digest(b"never kept"))
    assert error.value.code == "OBJECT_MISSING"


# ----- what only the cluster's ledger can meet


@pytest.fixture
def fake() -> FakeCluster:
    """Return a cluster without the app's namespace."""
    return FakeCluster(clock=FakeClock())


def open_on(cluster: FakeCluster, mirror: Path | None = None) -> ClusterLedger:
    """Open the ledger of the app `demo`."""
    return ClusterLedger(cluster, "shop", "demo", mirror, clock=FakeClock())


def event_maps(cluster: FakeCluster) -> list[Any]:
    """Return the ConfigMaps of events as they are stored."""
    return [m for m in cluster.objects("ConfigMap") if "-event-" in m["metadata"]["name"]]


def test_an_event_is_an_immutable_labelled_object(fake: FakeCluster) -> None:
    """Any operator finds the ledger by its labels, and nobody changes it by accident."""
    open_on(fake).append("planned", "run-1", "ada", {})
    manifest = fake.get(ObjectRef("v1", "ConfigMap", "shop", "railiance-demo-event-00000001"))
    assert manifest is not None
    assert manifest["immutable"] is True
    labels = manifest["metadata"]["labels"]
    assert (labels["railiance.dev/app"], labels["railiance.dev/record"]) == ("demo", "event")


def test_apps_of_one_namespace_have_ledgers_of_their_own(fake: FakeCluster) -> None:
    """An app reads its own events only."""
    open_on(fake).append("planned", "run-1", "ada", {})
    other = ClusterLedger(fake, "shop", "other", clock=FakeClock())
    assert other.events() == []
    assert other.append("planned", "run-2", "bob", {}).sequence == 1


def test_a_writer_that_lost_its_number_takes_the_next(fake: FakeCluster) -> None:
    """Between reading and writing another writer may be faster; its event is then the one before."""
    mine, theirs = open_on(fake), open_on(fake)
    mine.append("requested", "run-0", "ada", {})
    rivals = iter([True])

    def rival(verb: str, ref: ObjectRef | None) -> None:
        if verb == "create" and ref and "event-00000002" in ref.name and next(rivals, False):
            theirs.append("aborted", "run-2", "bob", {})

    fake.before = rival
    event = mine.append("planned", "run-1", "ada", {})
    assert [e.run_id for e in mine.events()] == ["run-0", "run-2", "run-1"]
    assert (event.sequence, event.previous) == (3, mine.events()[1].digest)


def test_an_unwritable_ledger_is_no_answer(fake: FakeCluster) -> None:
    """No ledger, no mutation: unreachable and forbidden end alike."""
    open_on(fake).append("planned", "run-1", "ada", {})
    refusals = [Unavailable("CLUSTER_UNREACHABLE", "down"), Denied("FORBIDDEN", "no right")]
    for refusal in refusals:
        fake.fail("create", refusal, times=2)
        for write in (lambda: open_on(fake).append("x", "r", "a", {}), lambda: open_on(fake).put(b"x")):
            with pytest.raises(Unavailable) as error:
                write()
            assert error.value.code == "DENY_LEDGER_UNWRITABLE"
            assert error.value.exit_status is Exit.NO_ANSWER


def test_an_unreadable_ledger_is_not_an_empty_one(fake: FakeCluster) -> None:
    """No answer is never an empty history."""
    fake.down = True
    with pytest.raises(Unavailable):
        open_on(fake).events()


@pytest.mark.parametrize("field", list(Event.__dataclass_fields__))
def test_any_changed_field_breaks_the_chain(fake: FakeCluster, field: str) -> None:
    """Changing one field of one event shows, whichever it is."""
    for kind in ("requested", "planned", "mutating"):
        open_on(fake).append(kind, "run-1", "ada", {"weight": 5})
    data = event_maps(fake)[1]["data"]
    event = json.loads(data["event.json"])
    event[field] = {"weight": 6} if field == "data" else 7 if field == "sequence" else f"{event[field]}x"
    data["event.json"] = json.dumps(event)
    with pytest.raises(Broken) as error:
        open_on(fake).events()
    assert error.value.code == "LEDGER_BROKEN"


def test_a_resealed_event_breaks_the_chain_as_well(fake: FakeCluster) -> None:
    """Whoever changes an event and its digest is found at the next one."""
    for kind in ("requested", "planned", "mutating"):
        open_on(fake).append(kind, "run-1", "ada", {})
    data = event_maps(fake)[1]["data"]
    event = json.loads(data["event.json"]) | {"actor": "mallory"}
    event["digest"] = digest_of({k: v for k, v in event.items() if k != "digest"})
    data["event.json"] = json.dumps(event)
    with pytest.raises(Broken, match="event 3"):
        open_on(fake).events()


@pytest.mark.parametrize("missing", [0, 1])
def test_a_missing_event_breaks_the_chain(fake: FakeCluster, missing: int) -> None:
    """An event taken away shows, the first one too."""
    for kind in ("requested", "planned", "mutating"):
        open_on(fake).append(kind, "run-1", "ada", {})
    name = event_maps(fake)[missing]["metadata"]["name"]
    fake.drop(ObjectRef("v1", "ConfigMap", "shop", name))
    with pytest.raises(Broken, match=f"event {missing + 1} is missing"):
        open_on(fake).events()
    with pytest.raises(Broken):
        open_on(fake).append("planned", "run-1", "ada", {})


def test_changed_content_is_found(fake: FakeCluster) -> None:
    """Content is verified when it is read; a wrong slice, a short one and a bomb are all refused."""
    digest = open_on(fake).put(b"the manifest")
    other = open_on(fake).put(b"something else")
    by_digest = {m["metadata"]["annotations"]["railiance.dev/digest"]: m for m in fake.objects("ConfigMap")}
    packed = by_digest[other]["binaryData"]["content.gz"]
    for wrong in (packed, packed[:8], "no base64!", ""):
        by_digest[digest]["binaryData"]["content.gz"] = wrong
        with pytest.raises(Broken) as error:
            open_on(fake).get(digest)
        assert error.value.code == "OBJECT_CORRUPT"


def test_content_whose_writer_died_is_missing_and_can_be_kept_again(fake: FakeCluster) -> None:
    """The head is written last: half a content is none, and the next writer completes it."""
    content = os.urandom(2 * SLICE_BYTES)
    fake.before = lambda verb, ref: _die_at_the_head(verb, ref, content)
    with pytest.raises(KeyboardInterrupt):
        open_on(fake).put(content)
    fake.before = lambda _verb, _ref: None
    digest = sha256_digest(content)
    with pytest.raises(Broken, match="holds no object"):
        open_on(fake).get(digest)
    open_on(fake).put(content)
    assert open_on(fake).get(digest) == content


def _die_at_the_head(verb: str, ref: ObjectRef | None, content: bytes) -> None:
    head = f"railiance-demo-object-{sha256_digest(content)[7:27]}"
    if verb == "create" and ref and ref.name == head:
        raise KeyboardInterrupt


# ----- the mirror, and files


def test_the_mirror_is_the_same_ledger_as_files(fake: FakeCluster, tmp_path: Path) -> None:
    """The second copy can be read alone, and catches up with what other machines wrote."""
    ledger = open_on(fake, tmp_path / "mirror")
    ledger.append("requested", "run-1", "ada", {})
    open_on(fake).append("voted", "run-2", "bob", {})
    ledger.append("planned", "run-1", "ada", {})
    digest = ledger.put(b"a plan")
    mirror = FileLedger(tmp_path / "mirror")
    assert mirror.events() == ledger.events()
    assert mirror.get(digest) == b"a plan"
    assert (tmp_path / "mirror/objects/sha256" / digest.removeprefix("sha256:")).read_bytes() == b"a plan"


def test_a_mirror_of_another_cluster_is_kept_beside(fake: FakeCluster, tmp_path: Path) -> None:
    """Nothing that was once recorded is overwritten."""
    open_on(fake, tmp_path).append("requested", "run-1", "ada", {})
    before = (tmp_path / "events.jsonl").read_text()
    other = FakeCluster(clock=FakeClock())
    open_on(other, tmp_path).append("planned", "run-9", "bob", {})
    assert FileLedger(tmp_path).events() == open_on(other).events()
    assert [path.read_text() for path in tmp_path.glob("events-*.jsonl")] == [before]


def test_a_mirror_that_cannot_be_written_stops_nothing(
    fake: FakeCluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk here must not stop a rollback; it is told."""
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        open_on(fake, tmp_path / "file").append("planned", "run-1", "ada", {})
        open_on(fake, tmp_path / "file").put(b"x")
    assert len(open_on(fake).events()) == 1
    assert caplog.text.count("DENY_LEDGER_UNWRITABLE") == 2


def test_an_unwritable_folder_is_no_answer(tmp_path: Path) -> None:
    """A ledger of files fails like one in a cluster."""
    (tmp_path / "file").write_text("in the way")
    for write in (lambda led: led.append("x", "r", "a", {}), lambda led: led.put(b"x")):
        with pytest.raises(Unavailable) as error:
            write(FileLedger(tmp_path / "file"))
        assert error.value.code == "DENY_LEDGER_UNWRITABLE"


def test_a_torn_line_was_never_an_event(tmp_path: Path) -> None:
    """A writer that died in the middle of a line leaves a ledger that can be read and written."""
    ledger = FileLedger(tmp_path, FakeClock())
    first = ledger.append("requested", "run-1", "ada", {})
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"sequence":2,"kind":"pla')
    assert ledger.events() == [first]
    second = ledger.append("planned", "run-1", "ada", {})
    assert FileLedger(tmp_path).events() == [first, second]


def test_a_changed_line_or_file_is_found(tmp_path: Path) -> None:
    """Files are no more trusted than objects."""
    ledger = FileLedger(tmp_path, FakeClock())
    ledger.append("requested", "run-1", "ada", {})
    digest = ledger.put(b"content")
    lines = tmp_path / "events.jsonl"
    lines.write_text(lines.read_text().replace("ada", "eve"))
    with pytest.raises(Broken) as error:
        ledger.events()
    assert error.value.code == "LEDGER_BROKEN"
    (tmp_path / "objects/sha256" / digest.removeprefix("sha256:")).write_bytes(b"other")
    with pytest.raises(Broken) as error:
        ledger.get(digest)
    assert error.value.code == "OBJECT_CORRUPT"
