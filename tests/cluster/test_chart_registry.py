"""Charts from a real OCI registry that wants a login: the HelmRegistry block fetches one and leaves nothing behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks import HelmRegistry
from railiance.adapters import process
from railiance.adapters.helm import helm_binary
from railiance.domain.errors import Broken, Unavailable

pytestmark = pytest.mark.cluster  # the registry is a program of the lab
PASSWORD = "correct-horse"
HTPASSWD = "reader:$2b$04$viC1RWlN6j9A9yVrxKl.f.EDIYiJTA8raHnouicDmCYHsUywMwTm2\n"
CONFIGURATION = """
version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/storage}}}}
http: {{addr: "{host}"}}
auth: {{htpasswd: {{realm: charts, path: {folder}/htpasswd}}}}
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a registry on loopback that holds the chart charts/shop 1.2.3."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    (folder / "htpasswd").write_text(HTPASSWD)
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder, host=host))
    server = process.spawn(["docker-registry", "serve", str(folder / "config.yml")], stdout=folder / "log")
    try:
        _wait_until_it_answers(host)
        _push_a_chart(folder, host)
        yield host
    finally:
        server.end()


def registry(host: str, password: str = PASSWORD) -> HelmRegistry:
    """Return the block for that registry."""
    return HelmRegistry(host=host, username="reader", password=SecretStr(password), plain_http=True)


def test_a_chart_is_fetched_and_no_login_stays(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive arrives; Helm's own registry configuration holds no login afterwards."""
    monkeypatch.setenv("HELM_CONFIG_HOME", str(tmp_path / "helm"))
    (tmp_path / "charts").mkdir()
    found = registry(host).connect().pull("charts/shop", "1.2.3", tmp_path / "charts")
    assert found.name == "shop-1.2.3.tgz"
    assert not (tmp_path / "helm" / "registry").exists()


def test_a_wrong_password_is_told_without_showing_it(host: str, tmp_path: Path) -> None:
    """A refused login names the registry and never the password."""
    with pytest.raises(Unavailable) as caught:
        registry(host, "wrong-horse").connect().pull("charts/shop", "1.2.3", tmp_path)
    assert caught.value.code == "REGISTRY_REFUSED"
    assert "wrong-horse" not in str(caught.value)


def test_an_unknown_version_is_no_chart(host: str, tmp_path: Path) -> None:
    """A version that is not there is told; no other version is taken instead."""
    with pytest.raises(Broken) as caught:
        registry(host).connect().pull("charts/shop", "9.9.9", tmp_path)
    assert caught.value.code == "CHART_MISSING"
    assert list(tmp_path.glob("*.tgz")) == []


def test_a_silent_registry_is_no_answer(tmp_path: Path) -> None:
    """A registry that does not answer is Unavailable, so that trying again is allowed."""
    with pytest.raises(Unavailable) as caught:
        registry("127.0.0.1:9").connect().pull("charts/shop", "1.2.3", tmp_path)
    assert caught.value.code == "REGISTRY_UNREACHABLE"


def _wait_until_it_answers(host: str) -> None:
    name, port = host.split(":")
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection((name, int(port)), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.1)
        else:
            return


def _push_a_chart(folder: Path, host: str) -> None:
    helm = str(helm_binary())
    (folder / "shop").mkdir()
    (folder / "shop" / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.2.3\n")
    config = ["--registry-config", str(folder / "login.json"), "--plain-http"]
    process.run([helm, "package", str(folder / "shop"), "--destination", str(folder)])
    login = [helm, "registry", "login", host, "--username", "reader", "--password-stdin", *config]
    process.run(login, stdin=PASSWORD)
    process.run([helm, "push", str(folder / "shop-1.2.3.tgz"), f"oci://{host}/charts", *config])
