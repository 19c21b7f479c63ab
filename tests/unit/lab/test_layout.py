"""Where labs live, and that no two meet."""

from __future__ import annotations

import ipaddress
from itertools import combinations
from pathlib import Path

import pytest

from railiance.lab.layout import SLOTS, Lab, cache_root, default_name, tool_path


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_labs_of_two_slots_share_no_address_and_no_port() -> None:
    """Labs side by side do not meet on any address, link, table, namespace or port of the loopback."""
    labs = [Lab(f"lab{slot}", slot, 3) for slot in range(SLOTS)]
    for one, other in combinations(labs, 2):
        for mine in (one.node_range, one.pod_range, one.service_range):
            for theirs in (other.node_range, other.pod_range, other.service_range):
                assert not ipaddress.ip_network(mine).overlaps(ipaddress.ip_network(theirs))
        for fact in ("bridge", "table", "registry", "prometheus_url", "ingress_url", "api_url", "loopback"):
            assert getattr(one, fact) != getattr(other, fact), fact
        assert {n.netns for n in one.nodes if n.netns}.isdisjoint({n.netns for n in other.nodes if n.netns})


def test_addresses_of_a_lab_lie_in_its_ranges() -> None:
    """Nodes, pods and the well-known Services have addresses of their own range."""
    for slot in (0, 4):
        lab = Lab("x", slot, 3)
        nodes = ipaddress.ip_network(lab.node_range)
        assert all(ipaddress.ip_address(node.address) in nodes for node in lab.nodes)
        assert len({node.address for node in lab.nodes}) == 3
        pods = ipaddress.ip_network(lab.pod_range)
        assert all(ipaddress.ip_network(node.pod_range).subnet_of(pods) for node in lab.nodes)
        services = ipaddress.ip_network(lab.service_range)
        assert ipaddress.ip_address(lab.dns_address) in services
        assert ipaddress.ip_address(lab.api_service_address) in services


def test_only_the_default_labs_first_node_lives_in_the_machines_network() -> None:
    """Load on the default lab stays on loopback; every other node has a namespace."""
    default, other = Lab("railiance", 0, 3), Lab("other", 1, 3)
    assert [node.netns for node in default.nodes] == [None, "rl0n2", "rl0n3"]
    assert default.ingress_url == "http://127.0.0.1:26080"
    assert [node.netns for node in other.nodes] == ["rl1n1", "rl1n2", "rl1n3"]
    assert other.ingress_url == "http://10.213.1.11:26080"


def test_names_of_links_fit_into_the_kernels_limit() -> None:
    """A link's name has at most 15 characters, whatever the lab is called."""
    for node in Lab("a-very-long-name-of-a-lab", 9, 3).nodes:
        assert len(node.link) <= 15


def test_a_lab_without_prometheus_has_no_address_for_it() -> None:
    """What is not there has no URL."""
    assert Lab("x", 1, 1, with_prometheus=False).prometheus_url is None


def test_tools_are_found_at_a_fixed_place(tmp_path: Path) -> None:
    """Others look for built tools at bin/TOOL below the lab's cache."""
    assert cache_root() == tmp_path / "railiance" / "lab"
    assert tool_path("helm") == tmp_path / "railiance" / "lab" / "bin" / "helm"


def test_the_environment_names_the_lab_that_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    """RAILIANCE_LAB chooses; nothing means the default."""
    monkeypatch.delenv("RAILIANCE_LAB", raising=False)
    assert default_name() == "railiance"
    monkeypatch.setenv("RAILIANCE_LAB", "mine")
    assert default_name() == "mine"
