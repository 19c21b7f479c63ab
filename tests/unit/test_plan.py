"""The plan as data: what its digest covers, what it says of each object, and what it never shows."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from railiance.domain.lifecycle import Verb
from railiance.domain.plan import (
    Baseline,
    Change,
    Plan,
    ReleasePlan,
    Step,
    Target,
    changes_between,
    diff_between,
    documents,
    images_of,
    normalised,
    planned_release,
    short,
    unstable_paths,
)

RELEASE = ReleasePlan(
    "canary", "web-canary", "kind: A\n", {"a": {"b": 1}}, (Change("create", "Service", "web"),), "+kind: A"
)
PLAN = Plan(
    verb=Verb.DEPLOY,
    app_id="web",
    candidate="sha256:" + "c" * 64,
    target=Target("default", "uid", "shop", "web-canary"),
    baseline=Baseline(3, "sha256:" + "b" * 64, "sha256:" + "d" * 64),
    releases=(RELEASE,),
    traffic_mode="weighted",
    provider="traefik",
    source="gateway",
    steps=(Step(20, 30.0, 50),),
    actions=("Install.", "Watch."),
    versions={"helm": "v3.22.0", "kubernetes": "v1.34.4"},
    rollback={"strategy": "known-good", "candidate": None},
)
OTHER: dict[str, Any] = {
    "verb": Verb.PROMOTE,
    "app_id": "x",
    "candidate": "sha256:x",
    "target": replace(PLAN.target, namespace="x"),
    "baseline": replace(PLAN.baseline, helm_revision=4),
    "releases": (replace(RELEASE, manifest="kind: B\n"),),
    "traffic_mode": "isolated",
    "provider": "gateway-api",
    "source": "prometheus",
    "steps": (Step(21, 30.0, 50),),
    "actions": ("Watch.", "Install."),
    "versions": {"helm": "v4.0.0", "kubernetes": "v1.34.4"},
    "rollback": {},
}


def docs(*documents: dict[str, Any]) -> str:
    """Return documents as one YAML text."""
    return yaml.safe_dump_all(documents)


def config(name: str, data: dict[str, str], kind: str = "ConfigMap", **meta: Any) -> dict[str, Any]:
    """Return an object with data."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **meta}, "data": data}


# ----- digest


def test_every_field_has_another_value_below() -> None:
    """The table of changes covers all fields of a plan but the wording of its warnings."""
    assert set(OTHER) == {f.name for f in fields(Plan)} - {"warnings"}


@pytest.mark.parametrize("name", sorted(OTHER))
def test_any_single_field_changes_the_digest(name: str) -> None:
    """An approval for a plan is void for a plan that differs in anything."""
    assert replace(PLAN, **{name: OTHER[name]}).digest != PLAN.digest


@pytest.mark.parametrize(
    "release",
    [
        replace(RELEASE, track="stable"),
        replace(RELEASE, helm_release="x"),
        replace(RELEASE, overlay={"a": {"b": 2}}),
        replace(RELEASE, changes=(Change("update", "Service", "web"),)),
    ],
)
def test_any_part_of_a_release_changes_the_digest(release: ReleasePlan) -> None:
    """Where, what and how of each helm_release are part of what was approved."""
    assert replace(PLAN, releases=(release,)).digest != PLAN.digest


@pytest.mark.parametrize(
    "step", [Step(20, 31.0, 50), Step(20, 30.0, 49), Step(20, 30.0, 50, approval=True), Step(19, 30.0, 50)]
)
def test_any_part_of_a_step_changes_the_digest(step: Step) -> None:
    """How many users, how long, and how much is asked are part of what was approved."""
    assert replace(PLAN, steps=(step,)).digest != PLAN.digest


def test_the_order_of_keys_does_not_matter() -> None:
    """The same plan gives the same digest, however its tables were filled."""
    turned = dict(reversed(list(PLAN.versions.items())))
    assert replace(PLAN, versions=turned).digest == PLAN.digest


def test_warnings_are_not_part_of_it() -> None:
    """A warning may be worded anew without voiding an approval."""
    assert replace(PLAN, warnings=("careful",)).digest == PLAN.digest


def test_short_is_the_beginning_of_the_digest() -> None:
    """What an approver types are the first twelve digits."""
    assert PLAN.digest.startswith(f"sha256:{PLAN.short}")
    assert (len(PLAN.short), short("sha256:" + "ab" * 32)) == (12, "abababababab")


def test_release_by_track() -> None:
    """A track that the plan does not change is a KeyError, never another track."""
    assert PLAN.release("canary") is RELEASE
    with pytest.raises(KeyError):
        PLAN.release("stable")


# ----- manifests

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("abc: -#", max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=40)
@given(
    contents=st.lists(st.dictionaries(st.sampled_from("xyz"), JSON, max_size=3), min_size=1, max_size=4),
    data=st.data(),
)
def test_the_order_of_documents_and_keys_does_not_matter(contents: list[Any], data: st.DataObject) -> None:
    """Manifests that mean the same are the same text, so nothing drifts by being printed differently."""
    found = [
        {"apiVersion": "v1", "kind": "K", "metadata": {"name": f"n{i}"}, "spec": c}
        for i, c in enumerate(contents)
    ]
    shuffled = [dict(reversed(list(d.items()))) for d in data.draw(st.permutations(found))]
    first, second = docs(*found), yaml.safe_dump_all(shuffled, sort_keys=False)
    assert normalised(first) == normalised(second)
    assert normalised(normalised(first)) == normalised(first)
    assert {c.action for c in changes_between(first, second)} == {"unchanged"}
    assert diff_between(first, second, "web") == ""


def test_what_the_server_sets_does_not_count() -> None:
    """A live object and its manifest compare equal, status and bookkeeping aside."""
    live = config("a", {"k": "v"}, resourceVersion="9", uid="u", generation=2, creationTimestamp="now")
    assert normalised(docs({**live, "status": {"x": 1}})) == normalised(docs(config("a", {"k": "v"})))


def test_empty_documents_are_none() -> None:
    """Separators and comments that a chart leaves are no objects."""
    assert documents("---\n# nothing\n---\n\n---\n") == []
    assert normalised("") == ""


def test_changes_of_each_object() -> None:
    """Created, updated, deleted or unchanged, by kind, namespace and name; another apiVersion is an update."""
    before = docs(config("kept", {"a": "1"}), config("changed", {"a": "1"}), config("gone", {}))
    after = docs(config("kept", {"a": "1"}), config("changed", {"a": "2"}), config("new", {}))
    found = {c.name: c.action for c in changes_between(before, after)}
    assert found == {"kept": "unchanged", "changed": "update", "gone": "delete", "new": "create"}
    newer = docs({**config("kept", {"a": "1"}), "apiVersion": "v2"})
    assert [c.action for c in changes_between(docs(config("kept", {"a": "1"})), newer)] == ["update"]


def test_the_same_name_in_two_namespaces_is_two_objects() -> None:
    """A namespace is part of an object's name."""
    text = docs(config("a", {}, namespace="x"), config("a", {}, namespace="y"))
    assert [c.action for c in changes_between("", text)] == ["create", "create"]


@settings(deadline=None, max_examples=25)
@given(value=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=30))
@pytest.mark.parametrize("part", ["data", "stringData"])
def test_a_diff_shows_no_secret_value(part: str, value: str) -> None:
    """Keys of a Secret show in a diff, values never, whether they come, change or go."""

    def secret(content: str) -> str:
        return docs(
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, part: {"token": content}}
        )

    for before, after in (
        ("", secret(value)),
        (secret(value), ""),
        (secret(value), secret(value[::-1] + "x")),
    ):
        shown = diff_between(before, after, "web")
        assert value not in shown
        assert value[::-1] not in shown
    assert "token: (masked)" in diff_between("", secret(value), "web")


def test_a_changed_secret_is_an_update_although_its_diff_is_empty() -> None:
    """What is masked in the diff still counts as a change and in the digest."""
    old, new = (docs(config("s", {"k": value}, "Secret")) for value in ("one", "two"))
    release = planned_release("stable", "web", new, old, {})
    assert [c.action for c in release.changes] == ["update"]
    assert release.diff == ""
    assert release.manifest_digest != planned_release("stable", "web", old, old, {}).manifest_digest


def test_a_diff_shows_what_changes() -> None:
    """A reader sees the old and the new line of what is no secret, and which helm_release it is."""
    shown = diff_between(docs(config("a", {"k": "one"})), docs(config("a", {"k": "two"})), "web")
    assert "-  k: one" in shown
    assert "+  k: two" in shown
    assert "live/web" in shown


def test_deletions_are_listed() -> None:
    """What a plan deletes can be asked for in one place."""
    doomed = Change("delete", "ConfigMap", "a")
    assert replace(PLAN, releases=(replace(RELEASE, changes=(*RELEASE.changes, doomed)),)).deletions == (
        doomed,
    )


def test_unstable_renderings() -> None:
    """A chart that draws lots is found by rendering it twice, and the object is named."""
    one, two = docs(config("a", {"k": "1"}), config("b", {})), docs(config("b", {}), config("a", {"k": "2"}))
    assert unstable_paths(one, one) == ()
    assert unstable_paths(one, two) == ("ConfigMap//a",)


def test_images_of_all_kinds_of_workloads() -> None:
    """Images are found in Deployments, CronJobs and Pods, init containers first, each once."""
    pod = {
        "initContainers": [{"image": "i"}],
        "containers": [{"image": "a"}, {"image": "a"}, {"name": "none"}],
    }
    deployment = {"kind": "Deployment", "metadata": {"name": "1"}, "spec": {"template": {"spec": pod}}}
    cron = {
        "kind": "CronJob",
        "metadata": {"name": "2"},
        "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"image": "c"}]}}}}},
    }
    bare = {"kind": "Pod", "metadata": {"name": "3"}, "spec": {"containers": [{"image": "p"}]}}
    assert set(images_of(docs(deployment, cron, bare))) == {"i", "a", "c", "p"}
    assert images_of(docs(deployment)) == ("i", "a")
