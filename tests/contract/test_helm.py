"""The port `Releases`: the fake, and the real Helm on a real cluster; and what we tell and read from Helm."""

from __future__ import annotations

import base64
import gzip
import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from railiance.adapters import process
from railiance.adapters.helm import HelmCli, helm_binary, helm_error
from railiance.domain.errors import Broken, Conflict, Denied, Exit, RailianceError, Unavailable
from railiance.domain.ports import ObjectRef
from tests import real_cluster
from tests.fakes import FakeCluster, FakeReleases

TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
data:
  colour: {{ .Values.colour | quote }}
  size: {{ .Values.size | quote }}
{{- if .Values.extra }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-extra
data:
  key: value
{{- end }}
"""
HOOK = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-hook
  annotations: {helm.sh/hook: "pre-install,pre-upgrade"}
"""
DEFAULTS = {"colour": "grey", "size": "small", "extra": False}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """Return a chart with one ConfigMap, one more on request, and a hook that must never run."""
    folder = tmp_path / "shop"
    (folder / "templates").mkdir(parents=True)
    about = {
        "apiVersion": "v2",
        "name": "shop",
        "version": "1.2.3",
        "appVersion": "v7",
        "icon": "file://icon.png",
    }
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    (folder / "values.yaml").write_text(yaml.safe_dump(DEFAULTS))
    (folder / "templates" / "settings.yaml").write_text(TEMPLATE)
    (folder / "templates" / "hook.yaml").write_text(HOOK)
    return folder


@pytest.fixture
def blue(tmp_path: Path) -> Path:
    """Return a values file."""
    path = tmp_path / "blue.yaml"
    path.write_text("colour: blue\nsize: large\n")
    return path


def render(_chart: Path, name: str, _space: str, files: Sequence[Path], overlay: Mapping[str, Any]) -> str:
    """Do what Helm does with the chart above."""
    values: dict[str, Any] = dict(DEFAULTS)
    for layer in [*(yaml.safe_load(path.read_text()) for path in files), overlay]:
        values |= layer
    data = {"colour": values["colour"], "size": values["size"]}
    wanted = {f"{name}-settings": data} | ({f"{name}-extra": {"key": "value"}} if values["extra"] else {})
    return "---\n".join(
        yaml.safe_dump({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": key}, "data": value})
        for key, value in wanted.items()
    )


@pytest.fixture
def helm(cluster: Any) -> Any:
    """Return Helm for the cluster."""
    return (
        FakeReleases(cluster, render)
        if isinstance(cluster, FakeCluster)
        else HelmCli(real_cluster.kubeconfig(), None)
    )


def settings(cluster: Any, namespace: str, name: str = "shop-settings") -> Any:
    """Return the data of the chart's ConfigMap, or None."""
    found = cluster.get(ObjectRef("v1", "ConfigMap", namespace, name))
    return found and found["data"]


def documents(text: str) -> list[Any]:
    """Return the manifests of a rendered text."""
    return [document for document in yaml.safe_load_all(text) if document]


class TestReading:
    def test_an_unknown_helm_release_is_none(self, helm: Any, namespace: str) -> None:
        """Not installed is an answer, not an error; only its manifest cannot be had."""
        assert helm.state("shop", namespace) is None
        assert helm.history("shop", namespace) == []
        with pytest.raises(Conflict) as error:
            helm.manifest("shop", namespace)
        assert error.value.code == "HELM_RELEASE_MISSING"

    def test_rendering_shows_what_an_install_stores(
        self, helm: Any, namespace: str, chart: Path, blue: Path
    ) -> None:
        """The plan's manifest is the deployed one, hooks left out of both."""
        rendered = helm.template(chart, "shop", namespace, [blue], {"extra": True})
        helm.install(chart, "shop", namespace, [blue], {"extra": True})
        assert documents(rendered) == documents(helm.manifest("shop", namespace))
        assert {d["metadata"]["name"] for d in documents(rendered)} == {"shop-settings", "shop-extra"}

    def test_a_good_chart_has_no_findings(self, helm: Any, chart: Path, blue: Path) -> None:
        """A clean chart passes the strict check."""
        helm.lint(chart, [blue], {"size": "huge"})


class TestInstalling:
    def test_the_overlay_wins_over_files_and_files_over_the_chart(
        self, helm: Any, cluster: Any, namespace: str, chart: Path, blue: Path
    ) -> None:
        """Values come from the chart, then the files, then the overlay."""
        state = helm.install(chart, "shop", namespace, [blue], {"size": "huge"})
        assert settings(cluster, namespace) == {"colour": "blue", "size": "huge"}
        assert (state.helm_revision, state.status, state.chart, state.app_version) == (
            1,
            "deployed",
            "shop-1.2.3",
            "v7",
        )
        assert helm.state("shop", namespace) == helm.history("shop", namespace)[-1]

    def test_hooks_never_run(self, helm: Any, cluster: Any, namespace: str, chart: Path) -> None:
        """A hook could do anything, unplanned; none runs."""
        helm.install(chart, "shop", namespace, [], {})
        helm.upgrade(chart, "shop", namespace, [], {})
        assert settings(cluster, namespace, "shop-hook") is None

    def test_a_name_is_installed_once(self, helm: Any, namespace: str, chart: Path) -> None:
        """Installing what is there is a conflict; nothing is upgraded by accident."""
        helm.install(chart, "shop", namespace, [], {})
        with pytest.raises(Conflict) as error:
            helm.install(chart, "shop", namespace, [], {"size": "huge"})
        assert error.value.code == "HELM_RELEASE_EXISTS"
        assert len(helm.history("shop", namespace)) == 1

    def test_the_namespace_is_made(self, helm: Any, cluster: Any, namespace: str, chart: Path) -> None:
        """A first install needs no prepared namespace."""
        space = f"{namespace}-new"
        try:
            helm.install(chart, "shop", space, [], {})
            assert settings(cluster, space) is not None
        finally:
            cluster.delete(ObjectRef("v1", "Namespace", "", space))

    def test_objects_of_others_are_left_alone(
        self, helm: Any, cluster: Any, namespace: str, chart: Path
    ) -> None:
        """What Helm did not make for this helm_release is never taken over."""
        metadata = {"name": "shop-settings", "namespace": namespace}
        cluster.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"colour": "mine"}}
        )
        with pytest.raises(Conflict) as error:
            helm.install(chart, "shop", namespace, [], {})
        assert error.value.code == "DENY_FOREIGN_OWNER"
        assert settings(cluster, namespace) == {"colour": "mine"}


class TestUpgrading:
    def test_values_are_given_in_full_each_time(
        self, helm: Any, cluster: Any, namespace: str, chart: Path, blue: Path
    ) -> None:
        """Nothing of an earlier upgrade's values is left over."""
        helm.install(chart, "shop", namespace, [blue], {"extra": True})
        state = helm.upgrade(chart, "shop", namespace, [], {"size": "huge"})
        assert settings(cluster, namespace) == {"colour": "grey", "size": "huge"}
        assert settings(cluster, namespace, "shop-extra") is None
        assert (state.helm_revision, state.status) == (2, "deployed")

    def test_history_keeps_each_helm_revision_with_its_manifest(
        self, helm: Any, namespace: str, chart: Path, blue: Path
    ) -> None:
        """Oldest first, the newest one deployed, and each manifest to be read again."""
        helm.install(chart, "shop", namespace, [], {})
        helm.upgrade(chart, "shop", namespace, [blue], {})
        states = helm.history("shop", namespace)
        assert [(s.helm_revision, s.status) for s in states] == [(1, "superseded"), (2, "deployed")]
        first = documents(helm.manifest("shop", namespace, 1))
        assert first[0]["data"]["colour"] == "grey"
        assert documents(helm.manifest("shop", namespace)) == documents(helm.manifest("shop", namespace, 2))

    def test_what_is_not_installed_is_not_upgraded(self, helm: Any, namespace: str, chart: Path) -> None:
        """An upgrade never installs."""
        with pytest.raises(Conflict) as error:
            helm.upgrade(chart, "shop", namespace, [], {})
        assert error.value.code == "HELM_RELEASE_MISSING"
        assert helm.state("shop", namespace) is None

    def test_a_pending_helm_release_is_a_conflict(
        self, helm: Any, cluster: Any, namespace: str, chart: Path
    ) -> None:
        """What a killed upgrade left behind is named, never overwritten."""
        helm.install(chart, "shop", namespace, [], {})
        leave_pending(helm, cluster, namespace)
        state = helm.state("shop", namespace)
        assert state is not None
        assert state.status == "pending-upgrade"
        with pytest.raises(Conflict) as error:
            helm.upgrade(chart, "shop", namespace, [], {})
        assert error.value.code == "DENY_PENDING_RELEASE"


class TestUninstalling:
    def test_uninstalling_removes_objects_and_tells_whether_there_were_any(
        self, helm: Any, cluster: Any, namespace: str, chart: Path
    ) -> None:
        """When it returns, the objects are gone; twice is harmless."""
        helm.install(chart, "shop", namespace, [], {})
        assert helm.uninstall("shop", namespace)
        assert settings(cluster, namespace) is None
        assert helm.state("shop", namespace) is None
        assert not helm.uninstall("shop", namespace)


def leave_pending(helm: Any, cluster: Any, namespace: str) -> None:
    """Do what kill -9 during an upgrade does: store helm_revision 2 as pending."""
    if isinstance(helm, FakeReleases):
        helm.leave_pending("shop", namespace)
        return
    stored = cluster.get(ObjectRef("v1", "Secret", namespace, "sh.helm.release.v1.shop.v1"))
    text = gzip.decompress(base64.b64decode(base64.b64decode(stored["data"]["release"])))
    entry = json.loads(text)
    entry["version"], entry["info"]["status"] = 2, "pending-upgrade"
    packed = base64.b64encode(gzip.compress(json.dumps(entry).encode()))
    labels = {**stored["metadata"]["labels"], "version": "2", "status": "pending-upgrade"}
    cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": stored["type"],
            "metadata": {"name": "sh.helm.release.v1.shop.v2", "namespace": namespace, "labels": labels},
            "data": {"release": base64.b64encode(packed).decode()},
        }
    )


# ----- what we tell Helm


class Recorder:
    """Stands in for the process runner, and remembers what Helm was asked."""

    def __init__(self, version: str = "v3.22.0") -> None:
        self.calls: list[list[str]] = []
        self.overlays: list[tuple[str, int, str]] = []
        self.version = version

    def __call__(self, argv: Sequence[str], **_options: Any) -> process.Completed:
        self.calls.append(list(argv))
        if "-f" in argv:
            path = argv[max(i for i, word in enumerate(argv) if word == "-f") + 1]
            self.overlays.append((path, stat.S_IMODE(Path(path).stat().st_mode), Path(path).read_text()))
        state = {"revision": 1, "status": "deployed", "chart": "shop-1", "app_version": "", "updated": ""}
        said = {"version": self.version, "history": json.dumps([state])}.get(argv[1], "")
        return process.Completed(tuple(argv), 0, said, "", 0.0)

    def asked(self, verb: str) -> list[str]:
        """Return the arguments of the only call of a verb."""
        (call,) = [call for call in self.calls if call[1] == verb]
        return call


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Return what records the calls."""
    recorder = Recorder()
    monkeypatch.setattr(process, "run", recorder)
    return recorder


def cli(tmp_path: Path) -> HelmCli:
    """Return Helm with named credentials."""
    return HelmCli(tmp_path / "kubeconfig", "prod", Path("/opt/helm"))


@pytest.mark.parametrize("verb", ["install", "upgrade"])
def test_helm_is_never_asked_to_wait_or_to_roll_back(
    recorder: Recorder, chart: Path, tmp_path: Path, verb: str
) -> None:
    """Readiness and rollback are ours; CRDs and hooks are no business of an upgrade."""
    getattr(cli(tmp_path), verb)(chart, "shop", "prod", [], {})
    asked = recorder.asked(verb)
    words = ("--wait", "--atomic", "--rollback-on-failure", "--install", "--force", "--reuse-values")
    assert not [word for word in asked if word.startswith(words)]
    assert {"--no-hooks", "--skip-crds"} <= set(asked)
    assert ("--reset-values" in asked) == ("--history-max" in asked) == (verb == "upgrade")
    assert ("--create-namespace" in asked) == (verb == "install")


def test_credentials_are_always_named(recorder: Recorder, chart: Path, tmp_path: Path) -> None:
    """Helm works on the cluster that was chosen, whatever the environment says."""
    cli(tmp_path).upgrade(chart, "shop", "prod", [], {})
    for call in recorder.calls:
        if call[1] != "version":
            assert call[call.index("--kubeconfig") + 1] == str(tmp_path / "kubeconfig")
            assert call[call.index("--kube-context") + 1] == "prod"
            assert call[call.index("-n") + 1] == "prod"


def test_the_overlay_travels_in_a_private_file(
    recorder: Recorder, chart: Path, tmp_path: Path, blue: Path
) -> None:
    """Nobody else on the machine reads the values, and nothing of them stays behind."""
    cli(tmp_path).install(chart, "shop", "prod", [blue], {"deep": {"list": (1, 2)}, "size": "s3cret"})
    ((path, mode, text),) = recorder.overlays
    assert mode == 0o600
    assert yaml.safe_load(text) == {"deep": {"list": [1, 2]}, "size": "s3cret"}
    assert not Path(path).exists()
    assert not [word for call in recorder.calls for word in call if "s3cret" in word]
    asked = recorder.asked("install")
    assert asked.index(str(blue)) < asked.index(path)


def test_a_missing_values_file_is_named_before_helm_is_called(
    recorder: Recorder, chart: Path, tmp_path: Path
) -> None:
    """A file that is not there, or that Helm would read as two, denies."""
    for path in (tmp_path / "absent.yaml", tmp_path / "a,b.yaml"):
        if "," in path.name:
            path.write_text("")
        with pytest.raises(Denied) as error:
            cli(tmp_path).install(chart, "shop", "prod", [path], {})
        assert error.value.code == "DENY_VALUES_MISSING"
    assert not [call for call in recorder.calls if call[1] == "install"]


@pytest.mark.parametrize(("version", "wait"), [("v3.18.0", "--wait"), ("v4.2.4", "--wait=legacy")])
def test_uninstalling_waits_in_the_words_of_each_helm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str, wait: str
) -> None:
    """Both generations wait until the objects are gone."""
    recorder = Recorder(version)
    monkeypatch.setattr(process, "run", recorder)
    assert cli(tmp_path).uninstall("shop", "prod")
    asked = recorder.asked("uninstall")
    assert wait in asked
    assert asked[asked.index("--cascade") + 1] == "foreground"


# ----- which Helm


@pytest.mark.parametrize("version", ["v3.17.9", "v2.16.0", "v5.0.0", "", "nonsense"])
def test_an_unsupported_helm_denies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str) -> None:
    """An old, a future and an unreadable version are named, never tried."""
    recorder = Recorder(version)
    monkeypatch.setattr(process, "run", recorder)
    with pytest.raises(Denied) as error:
        cli(tmp_path).state("shop", "prod")
    assert error.value.code == "DENY_HELM_VERSION"
    assert error.value.exit_status is Exit.NO
    assert [call[1] for call in recorder.calls] == ["version"]


def test_the_named_helm_wins_then_path_then_the_labs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The search order is fixed, and a named one that is missing is not replaced by another."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv("RAILIANCE_HELM", raising=False)
    with pytest.raises(Denied) as error:
        helm_binary()
    assert error.value.code == "DENY_HELM_MISSING"
    assert "railiance lab up" in error.value.help
    for place in ("cache/railiance/lab/bin", "path", "named"):
        tool = tmp_path / place / "helm"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
        if place == "named":
            monkeypatch.setenv("RAILIANCE_HELM", str(tool))
        assert helm_binary() == tool
    monkeypatch.setenv("RAILIANCE_HELM", str(tmp_path / "absent"))
    with pytest.raises(Denied, match="absent"):
        helm_binary()


# ----- what Helm tells us


@pytest.mark.parametrize(
    ("said", "kind", "code"),
    [
        (
            "Error: INSTALLATION FAILED: cannot re-use a name that is still in use",
            Conflict,
            "HELM_RELEASE_EXISTS",
        ),
        (
            "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            Conflict,
            "DENY_PENDING_RELEASE",
        ),
        ('Error: UPGRADE FAILED: "shop" has no deployed releases', Conflict, "HELM_RELEASE_MISSING"),
        ("Error: release: not found", Conflict, "HELM_RELEASE_MISSING"),
        (
            'Error: Unable to continue with install: ConfigMap "x" exists and cannot be imported: invalid ownership metadata',
            Conflict,
            "DENY_FOREIGN_OWNER",
        ),
        (
            'Error: Kubernetes cluster unreachable: Get "https://127.0.0.1:1/version": connect: connection refused',
            Unavailable,
            "CLUSTER_UNREACHABLE",
        ),
        ("Error: UPGRADE FAILED: context deadline exceeded", Unavailable, "CLUSTER_UNREACHABLE"),
        ('Error: query: failed: secrets is forbidden: User "x" cannot list resource', Denied, "FORBIDDEN"),
        ("Error: execution error at (shop/templates/x.yaml:1:3): colour is required", Broken, "HELM_FAILED"),
        ("", Broken, "HELM_FAILED"),
    ],
)
def test_each_word_of_helm_has_its_meaning(said: str, kind: type[RailianceError], code: str) -> None:
    """Only an unreachable cluster is worth a retry."""
    error = helm_error("upgrade", "shop", f"WARNING: something first\n{said}\n" if said else "")
    assert (type(error), error.code) == (kind, code)
    assert said.removeprefix("Error: ") in error.message
    assert "WARNING" not in error.message
    assert error.help
