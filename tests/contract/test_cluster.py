"""The port `Cluster`: the same rules for the fake and for a real API server."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from railiance.adapters import cluster as cluster_module
from railiance.adapters import process
from railiance.adapters.answers import Answer, error_of
from railiance.adapters.cluster import KubeCluster
from railiance.domain.errors import Broken, Conflict, Denied, Exit, RailianceError, Unavailable, Usage
from railiance.domain.ports import ObjectRef
from tests import real_cluster
from tests.fakes import FakeCluster


def config_map(namespace: str, name: str = "one", **data: str) -> dict[str, Any]:
    """Return a ConfigMap's manifest."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def ref(namespace: str, name: str = "one") -> ObjectRef:
    """Return its address."""
    return ObjectRef("v1", "ConfigMap", namespace, name)


def code_of(error: pytest.ExceptionInfo[RailianceError]) -> str:
    """Return the code of a raised error."""
    return error.value.code


def is_gone(cluster: Any, where: ObjectRef) -> bool:
    """Tell whether a deleted object went away."""
    return (
        cluster.get(where) is None if isinstance(cluster, FakeCluster) else real_cluster.gone(cluster, where)
    )


class TestReading:
    def test_info_names_the_cluster_by_its_kube_system(self, cluster: Any) -> None:
        """The identity of a cluster is the UID of kube-system."""
        info = cluster.info()
        assert info.uid == cluster.get(ObjectRef("v1", "Namespace", "", "kube-system"))["metadata"]["uid"]
        assert info.version.startswith("v1.")
        assert info.name

    def test_what_does_not_exist_is_none(self, cluster: Any, namespace: str) -> None:
        """A missing object, a missing namespace and a missing kind all read as None, not as errors."""
        assert cluster.get(ref(namespace)) is None
        assert cluster.get(ref("no-such-namespace")) is None
        assert cluster.get(ObjectRef("example.org/v1", "Nothing", namespace, "x")) is None
        assert cluster.get(ObjectRef("v1", "Nothing", namespace, "x")) is None

    def test_an_unknown_kind_lists_as_empty(self, cluster: Any, namespace: str) -> None:
        """No kind, no objects; `has_kind` tells the difference."""
        assert cluster.list_objects("example.org/v1", "Nothing", namespace) == []
        assert not cluster.has_kind("example.org/v1", "Nothing")
        assert not cluster.has_kind("apps/v1", "Nothing")
        assert cluster.has_kind("apps/v1", "Deployment")

    def test_a_list_holds_whole_manifests_of_its_namespace(self, cluster: Any, namespace: str) -> None:
        """A listed object names its apiVersion and kind like one that was read alone."""
        cluster.create(config_map(namespace))
        names = {m["metadata"]["name"]: m for m in cluster.list_objects("v1", "ConfigMap", namespace)}
        assert (names["one"]["apiVersion"], names["one"]["kind"]) == ("v1", "ConfigMap")
        spaces = {m["metadata"]["namespace"] for m in cluster.list_objects("v1", "ConfigMap", namespace)}
        assert spaces == {namespace}
        assert namespace in {m["metadata"]["namespace"] for m in cluster.list_objects("v1", "ConfigMap")}

    def test_a_label_selector_chooses(self, cluster: Any, namespace: str) -> None:
        """All terms of a selector must match."""
        for name, labels in (("a", {"x": "1"}), ("b", {"x": "1", "y": "2"}), ("c", {})):
            manifest = config_map(namespace, name)
            manifest["metadata"]["labels"] = labels
            cluster.create(manifest)

        def found(selector: str) -> list[str]:
            return [
                m["metadata"]["name"] for m in cluster.list_objects("v1", "ConfigMap", namespace, selector)
            ]

        assert found("x=1") == ["a", "b"]
        assert found("x=1,y=2") == ["b"]
        assert found("x=3") == []

    def test_a_missing_pod_gives_no_log_and_no_answer(self, cluster: Any, namespace: str) -> None:
        """No answer is an error, never an empty text."""
        with pytest.raises(Unavailable) as error:
            cluster.pod_log(namespace, "nobody")
        assert code_of(error) == "LOG_UNAVAILABLE"
        with pytest.raises(Unavailable) as error:
            cluster.proxy_get(namespace, "nobody", 80, "/")
        assert code_of(error) == "POD_UNREACHABLE"


class TestCreating:
    def test_a_name_is_given_once(self, cluster: Any, namespace: str) -> None:
        """The second creation is a conflict, and changes nothing."""
        created = cluster.create(config_map(namespace, key="first"))
        assert created["metadata"]["resourceVersion"]
        with pytest.raises(Conflict) as error:
            cluster.create(config_map(namespace, key="second"))
        assert code_of(error) == "ALREADY_EXISTS"
        assert cluster.get(ref(namespace))["data"] == {"key": "first"}

    def test_of_many_creators_one_wins(self, cluster: Any, namespace: str) -> None:
        """The API server gives a name to one writer only, from however many threads."""
        won: list[int] = []

        def create(number: int) -> None:
            try:
                cluster.create(config_map(namespace, key=str(number)))
                won.append(number)
            except Conflict:
                return

        threads = [threading.Thread(target=create, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        assert cluster.get(ref(namespace))["data"] == {"key": str(won[0])}

    def test_a_missing_namespace_has_a_code_of_its_own(self, cluster: Any) -> None:
        """A caller can tell a missing namespace and make it."""
        with pytest.raises(Conflict) as error:
            cluster.create(config_map("no-such-namespace"))
        assert code_of(error) == "NAMESPACE_MISSING"
        with pytest.raises(Conflict) as error:
            cluster.apply(config_map("no-such-namespace"), field_manager="test")
        assert code_of(error) == "NAMESPACE_MISSING"

    def test_an_unknown_kind_is_a_conflict(self, cluster: Any, namespace: str) -> None:
        """The plan was made for a cluster that serves the kind."""
        manifest = {**config_map(namespace), "apiVersion": "example.org/v1", "kind": "Nothing"}
        with pytest.raises(Conflict) as error:
            cluster.create(manifest)
        assert code_of(error) == "KIND_UNKNOWN"

    def test_a_manifest_without_address_is_refused(self, cluster: Any, namespace: str) -> None:
        """Neither namespace nor name is ever guessed."""
        nameless = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace}}
        homeless = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}}
        for manifest in (nameless, homeless):
            with pytest.raises(Broken) as error:
                cluster.create(manifest)
            assert code_of(error) == "INVALID_OBJECT"


class TestReplacing:
    def test_a_true_version_is_replaced_and_a_stale_one_not(self, cluster: Any, namespace: str) -> None:
        """Whoever read first and writes second is told so."""
        first = cluster.create(config_map(namespace, key="1"))
        second = cluster.replace({**first, "data": {"key": "2"}})
        assert second["metadata"]["resourceVersion"] != first["metadata"]["resourceVersion"]
        with pytest.raises(Conflict) as error:
            cluster.replace({**first, "data": {"key": "3"}})
        assert code_of(error) == "STALE"
        assert cluster.get(ref(namespace))["data"] == {"key": "2"}

    def test_what_is_gone_cannot_be_replaced(self, cluster: Any, namespace: str) -> None:
        """A replaced object that went away is stale, and is not brought back."""
        manifest = config_map(namespace)
        with pytest.raises(Conflict) as error:
            cluster.replace(manifest)
        assert code_of(error) == "STALE"

    def test_immutable_stays(self, cluster: Any, namespace: str) -> None:
        """What was created immutable cannot be changed, by no verb."""
        made = cluster.create({**config_map(namespace, key="1"), "immutable": True})
        with pytest.raises(Broken) as error:
            cluster.replace({**made, "data": {"key": "2"}})
        assert code_of(error) == "INVALID_OBJECT"
        with pytest.raises(Broken):
            cluster.apply(config_map(namespace, key="2"), field_manager="test", force=True)


class TestApplying:
    def test_applying_twice_changes_once(self, cluster: Any, namespace: str) -> None:
        """Every command may be repeated."""
        first = cluster.apply(config_map(namespace, key="1"), field_manager="test")
        again = cluster.apply(config_map(namespace, key="1"), field_manager="test")
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    def test_managers_keep_to_their_own_fields(self, cluster: Any, namespace: str) -> None:
        """Fields of others stay; one's own that are no longer named go."""
        cluster.apply(config_map(namespace, mine="1", dropped="1"), field_manager="test")
        cluster.apply(config_map(namespace, theirs="1"), field_manager="other")
        done = cluster.apply(config_map(namespace, mine="2"), field_manager="test")
        assert done["data"] == {"mine": "2", "theirs": "1"}

    def test_a_foreign_field_is_a_conflict_unless_forced(self, cluster: Any, namespace: str) -> None:
        """Nobody's field is taken over by accident."""
        cluster.apply(config_map(namespace, key="theirs"), field_manager="other")
        with pytest.raises(Conflict) as error:
            cluster.apply(config_map(namespace, key="mine"), field_manager="test")
        assert code_of(error) == "FIELD_CONFLICT"
        assert cluster.get(ref(namespace))["data"] == {"key": "theirs"}
        done = cluster.apply(config_map(namespace, key="mine"), field_manager="test", force=True)
        assert done["data"] == {"key": "mine"}

    def test_a_created_field_is_somebodys(self, cluster: Any, namespace: str) -> None:
        """Creation owns its fields, too."""
        cluster.create(config_map(namespace, key="theirs"))
        with pytest.raises(Conflict) as error:
            cluster.apply(config_map(namespace, key="mine"), field_manager="test")
        assert code_of(error) == "FIELD_CONFLICT"

    def test_a_dry_run_changes_nothing(self, cluster: Any, namespace: str) -> None:
        """A dry run answers with the object as it would be."""
        assert cluster.apply(config_map(namespace, key="1"), field_manager="test", dry_run=True)["data"] == {
            "key": "1"
        }
        assert cluster.get(ref(namespace)) is None
        cluster.apply(config_map(namespace, key="1"), field_manager="test")
        cluster.apply(config_map(namespace, key="2"), field_manager="test", dry_run=True)
        assert cluster.get(ref(namespace))["data"] == {"key": "1"}

    def test_managed_fields_are_not_ours_to_send(self, cluster: Any, namespace: str) -> None:
        """A manifest read from the cluster cannot be applied as it is."""
        cluster.create(config_map(namespace))
        manifest = config_map(namespace)
        manifest["metadata"]["managedFields"] = [{"manager": "x"}]
        with pytest.raises(Broken) as error:
            cluster.apply(manifest, field_manager="test")
        assert code_of(error) == "INVALID_OBJECT"


class TestDeleting:
    def test_deleting_tells_whether_there_was_something(self, cluster: Any, namespace: str) -> None:
        """Deleting twice is harmless."""
        cluster.create(config_map(namespace))
        assert cluster.delete(ref(namespace))
        assert is_gone(cluster, ref(namespace))
        assert not cluster.delete(ref(namespace))
        assert not cluster.delete(ObjectRef("example.org/v1", "Nothing", namespace, "x"))


STATUS = {"kind": "Status", "reason": "", "message": "words of the server", "details": {}}


@pytest.mark.parametrize(
    ("status", "document", "kind", "code"),
    [
        (401, {"reason": "Unauthorized"}, Denied, "FORBIDDEN"),
        (403, {"reason": "Forbidden"}, Denied, "FORBIDDEN"),
        (
            403,
            {"details": {"causes": [{"reason": "NamespaceTerminating"}]}},
            Conflict,
            "NAMESPACE_TERMINATING",
        ),
        (409, {"reason": "AlreadyExists"}, Conflict, "ALREADY_EXISTS"),
        (409, {"reason": "Conflict"}, Conflict, "STALE"),
        (409, {"details": {"causes": [{"reason": "FieldManagerConflict"}]}}, Conflict, "FIELD_CONFLICT"),
        (400, {}, Broken, "INVALID_OBJECT"),
        (413, {}, Broken, "INVALID_OBJECT"),
        (422, {"reason": "Invalid"}, Broken, "INVALID_OBJECT"),
        (429, {}, Unavailable, "CLUSTER_UNREACHABLE"),
        (500, {}, Unavailable, "CLUSTER_UNREACHABLE"),
        (503, {}, Unavailable, "CLUSTER_UNREACHABLE"),
        (504, {}, Unavailable, "CLUSTER_UNREACHABLE"),
        (302, {}, Broken, "CLUSTER_NONSENSE"),
    ],
)
def test_each_refusal_has_its_meaning(status: int, document: dict[str, Any], kind: type, code: str) -> None:
    """Only what a retry could help is Unavailable."""
    error = error_of(Answer(status, json.dumps(STATUS | document).encode(), "create X y"), "here")
    assert (type(error), error.code) == (kind, code)
    assert "create X y" in error.message


class TestConnecting:
    def test_without_any_kubeconfig_the_places_looked_at_are_named(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """No cluster is no answer, and the help names the lab."""
        for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(Unavailable) as error:
            KubeCluster.connect()
        assert code_of(error) == "NO_CLUSTER"
        assert ".kube/config" in error.value.message
        assert "railiance lab up" in error.value.help
        assert error.value.exit_status is Exit.NO_ANSWER

    def test_a_named_kubeconfig_must_exist(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """A name that leads nowhere never falls back to another cluster."""
        with pytest.raises(Unavailable) as error:
            KubeCluster.connect(tmp_path / "absent")
        assert code_of(error) == "NO_CLUSTER"
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent-too"))
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        with pytest.raises(Unavailable, match="absent-too"):
            KubeCluster.connect()

    def test_a_pod_without_an_account_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Inside a cluster, what is missing is the account."""
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        with pytest.raises(Unavailable, match="account") as error:
            KubeCluster.connect()
        assert code_of(error) == "NO_CLUSTER"

    def test_an_unknown_context_is_a_usage_error_that_names_the_known(self, tmp_path: Path) -> None:
        """A context is never guessed."""
        path = kubeconfig(tmp_path, 1)
        with pytest.raises(Usage) as error:
            KubeCluster.connect(path, "absent")
        assert code_of(error) == "CONTEXT_UNKNOWN"
        assert "test-context" in error.value.help

    @pytest.mark.parametrize(
        "text", ["", "}{ token: s3cret", "contexts: 5\nx: s3cret", "[s3cret]", "token: s3cret"]
    )
    def test_an_unreadable_kubeconfig_is_never_quoted(self, tmp_path: Path, text: str) -> None:
        """A kubeconfig holds credentials, so no message repeats it."""
        path = tmp_path / "config"
        path.write_text(text)
        with pytest.raises(Usage) as error:
            KubeCluster.connect(path)
        assert code_of(error) == "KUBECONFIG_INVALID"
        assert "s3cret" not in str(error.value)

    def test_a_closed_port_is_unavailable_at_once(self, tmp_path: Path) -> None:
        """Nothing is retried behind the caller's back."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            there = KubeCluster.connect(kubeconfig(tmp_path, taken.getsockname()[1]))
            started = time.monotonic()
            with pytest.raises(Unavailable) as error:
                there.info()
        assert code_of(error) == "CLUSTER_UNREACHABLE"
        assert time.monotonic() - started < 2

    def test_a_silent_server_is_unavailable_in_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Every call has a time limit."""
        monkeypatch.setattr(cluster_module, "READ_TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            there = KubeCluster.connect(kubeconfig(tmp_path, silent.getsockname()[1]))
            started = time.monotonic()
            with pytest.raises(Unavailable):
                there.list_objects("v1", "ConfigMap", "default")
        assert time.monotonic() - started < 3

    def test_loopback_never_goes_through_a_proxy(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy of the environment does not stand between us and a cluster of this machine."""
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
        there = KubeCluster.connect(kubeconfig(tmp_path, 1))
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            there.info()
        assert type(there._access.pool).__name__ == "PoolManager"


QUICK = """
import sys
import railiance.adapters.cluster
heavy = [name for name in sys.modules if name.startswith("kubernetes")]
assert heavy == [], heavy
import kubernetes.client
assert kubernetes.client.CoreV1Api(kubernetes.client.ApiClient())
assert kubernetes.config.load_kube_config
"""


def test_the_generated_models_are_not_loaded() -> None:
    """Going back does not wait for them; and whoever imports the package itself still gets it whole."""
    process.run([sys.executable, "-c", QUICK], cwd=Path(__file__).parents[2], timeout=120)


def kubeconfig(folder: Path, port: int) -> Path:
    """Write a kubeconfig for a port of this machine."""
    path = folder / "config"
    path.write_text(
        yaml.safe_dump(
            {
                "current-context": "test-context",
                "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "u", "user": {"token": "not-a-secret"}}],
                "contexts": [{"name": "test-context", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )
    return path
