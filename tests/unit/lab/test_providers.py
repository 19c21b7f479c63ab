"""Choosing where the cluster comes from, and what kind is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from railiance.domain.errors import Conflict, Unavailable
from railiance.lab import kind, providers
from railiance.lab.layout import Lab

NOTHING: dict[str, list[str]] = {"existing": [], "kind": [], "native": []}


@pytest.mark.parametrize(
    ("wanted", "obstacles", "chosen"),
    [
        ("auto", {}, "existing"),
        ("auto", {"existing": ["x"]}, "kind"),
        ("auto", {"existing": ["x"], "kind": ["y"]}, "native"),
        ("native", {}, "native"),
        ("kind", {"native": ["x"]}, "kind"),
    ],
)
def test_the_first_that_fits_is_chosen(wanted: str, obstacles: dict[str, list[str]], chosen: str) -> None:
    """An existing cluster before kind before processes of this machine; a wish is a wish."""
    assert providers.decide(wanted, NOTHING | obstacles) == chosen


def test_when_none_fits_each_says_what_it_lacks() -> None:
    """The error names all three, each with all that is missing."""
    with pytest.raises(Unavailable) as caught:
        providers.decide(
            "auto", {"existing": ["no access"], "kind": ["no engine", "no kind"], "native": ["no root"]}
        )
    for word in ("existing: no access", "kind: no engine; no kind", "native: no root"):
        assert word in caught.value.message


def test_a_wanted_one_that_does_not_fit_is_not_replaced_by_another() -> None:
    """Who asks for kind gets kind or an error."""
    with pytest.raises(Unavailable, match="kind: no engine"):
        providers.decide("kind", NOTHING | {"kind": ["no engine"]})


@pytest.mark.parametrize(("wanted", "has_access"), [("kind", False), ("existing", False), ("auto", True)])
def test_a_lab_keeps_its_provider(wanted: str, has_access: bool) -> None:
    """A native lab is not turned into something else by a second `up`."""
    with pytest.raises(Conflict, match="as native"):
        providers.check_same("x", "native", wanted, has_access)
    providers.check_same("x", "native", "auto", has_access=False)


def test_kind_publishes_the_labs_ports_on_loopback_only() -> None:
    """Ingress and Prometheus answer on 127.0.0.1, under the ports of the lab's slot."""
    config = json.loads(kind.cluster_config(Lab("x", 2, 3, provider="kind")))
    mappings = config["nodes"][0]["extraPortMappings"]
    assert {mapping["listenAddress"] for mapping in mappings} == {"127.0.0.1"}
    assert [(m["containerPort"], m["hostPort"]) for m in mappings] == [(26080, 26082), (26090, 26092)]
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]


def test_kind_is_called_with_the_labs_own_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own kubeconfig is not touched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lab = Lab("x", 0, 1, provider="kind")
    command = list(kind.create_command(lab))
    assert command[:5] == ["kind", "create", "cluster", "--name", "x"]
    assert command[command.index("--kubeconfig") + 1] == str(lab.kubeconfig)
    assert command[command.index("--config") + 1] == "-"


def test_kinds_nodes_find_the_registry_under_the_name_used_here() -> None:
    """The same image reference works on the machine and on the nodes."""
    lab = Lab("x", 0, 1, provider="kind")
    run, join = kind.registry_commands(lab, "docker")
    assert "127.0.0.1:26500:5000" in run
    assert join == ["docker", "network", "connect", "kind", kind.registry_name(lab)]
    assert (
        "/etc/containerd/certs.d/127.0.0.1:26500/hosts.toml"
        in kind.hosts_command(lab, "docker", "x-worker")[-1]
    )
    assert kind.registry_name(lab) in kind.hosts_file(lab)
