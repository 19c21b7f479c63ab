"""The blocks: described, registered, and silent about secrets."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError

import blocks
from blocks import ApproverSettings, ClusterAccess, EvidenceLedger, HelmRegistry, PrometheusServer
from railiance.adapters import process
from railiance.adapters.prefect_api import PrefectApi
from railiance.domain.errors import Usage

CHECKOUT = Path(__file__).resolve().parents[2]
ALL = [getattr(blocks, name) for name in blocks.__all__ if isinstance(getattr(blocks, name), type)]
SECRET = "correct-horse-battery"
every_block = pytest.mark.parametrize("block", ALL, ids=lambda block: block.__name__)


@every_block
def test_a_block_tells_what_it_is(block: type[Block]) -> None:
    """Name, slug, description and an example stand at every block."""
    assert block._block_type_slug == f"railiance-{block._block_type_name.lower().replace(' ', '-')}"
    assert block.get_description()
    assert block.get_code_example()


@every_block
def test_every_field_is_described(block: type[Block]) -> None:
    """The form of a block says what to fill in."""
    undescribed = [name for name, field in block.model_fields.items() if not field.description]
    assert undescribed == []


@every_block
def test_a_block_only_connects(block: type[Block]) -> None:
    """A block holds configuration; its only method is connect()."""
    own = {name for name in vars(block) if not name.startswith("_") and callable(getattr(block, name))}
    assert own <= {"connect", "model_post_init"}


@every_block
def test_every_block_has_its_place_in_the_reference(block: type[Block]) -> None:
    """The reference tells of every block and every field."""
    text = (CHECKOUT / "docs" / "reference" / "blocks.md").read_text()
    missing = [name for name in (block.__name__, *block.model_fields) if f"`{name}`" not in text]
    assert missing == []


def test_no_credentials_in_cluster_access() -> None:
    """ClusterAccess names a kubeconfig and a context, and has no field for more."""
    assert set(ClusterAccess.model_fields) == {"kubeconfig", "context"}


@pytest.mark.parametrize(
    "block",
    [
        HelmRegistry(host="registry.example", username="reader", password=SecretStr(SECRET)),
        PrometheusServer(url="http://prometheus:9090", token=SecretStr(SECRET)),
    ],
    ids=lambda block: type(block).__name__,
)
def test_a_secret_is_not_shown(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither text, nor JSON, nor the adapter shows what a SecretStr holds."""
    monkeypatch.setenv("RAILIANCE_HELM", sys.executable)
    shown = f"{block!r} {block} {block.model_dump_json()} {block.connect()!r}"  # type: ignore[attr-defined]
    assert SECRET not in shown


def test_a_password_in_the_address_is_refused() -> None:
    """A Prometheus address with a password in it would be shown: it is refused."""
    with pytest.raises(ValidationError):
        PrometheusServer(url="http://user:secret@prometheus:9090")


@pytest.mark.prefect
def test_a_saved_secret_is_masked(prefect_server: str) -> None:
    """What the API shows of a saved block by default, as the UI does, has no secret in it."""
    HelmRegistry(host="registry.example", username="reader", password=SecretStr(SECRET)).save("masked")
    found = PrefectApi(prefect_server).get(
        "/block_types/slug/railiance-helm-registry/block_documents/name/masked"
    )
    assert found is not None
    assert SECRET not in str(found)
    assert HelmRegistry.load("masked").password.get_secret_value() == SECRET


@pytest.mark.prefect
def test_an_access_is_found_by_its_name(prefect_server: str, tmp_path: Path) -> None:
    """A flow's parameter `cluster` is the name of a saved block, or spells the access out."""
    kubeconfig = tmp_path / "kubeconfig"
    ClusterAccess(kubeconfig=kubeconfig, context="lab").save("lab")
    spelled = f"kubeconfig:{kubeconfig}#lab"
    assert blocks.cluster_access("lab") == ClusterAccess.load("lab")
    assert blocks.access_text("lab") == spelled
    assert blocks.access_text(spelled) == spelled


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_default_is_the_environment_unless_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`default` means $RAILIANCE_KUBECONFIG or $KUBECONFIG, until somebody saves a block of that name."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "environment"))
    assert blocks.cluster_access("default").kubeconfig == tmp_path / "environment"
    ClusterAccess(kubeconfig=tmp_path / "saved").save("default")
    try:
        assert blocks.cluster_access("default").kubeconfig == tmp_path / "saved"
    finally:
        ClusterAccess.delete("default")


@pytest.mark.prefect
@pytest.mark.usefixtures("prefect_server")
def test_an_unknown_access_is_a_usage_error() -> None:
    """A name that nobody saved is refused with what to do; it never falls back on another cluster."""
    with pytest.raises(Usage) as caught:
        blocks.cluster_access("nowhere")
    assert caught.value.code == "UNKNOWN_CLUSTER"


@pytest.mark.prefect
def test_people_can_register_the_blocks(prefect_server: str) -> None:
    """`prefect block register -m blocks` makes every block available in the UI."""
    argv = [sys.executable, "-m", "prefect", "block", "register", "-m", "blocks"]
    process.run(argv, cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": str(CHECKOUT)}, timeout=120)
    body = {"block_types": {"slug": {"any_": [block._block_type_slug for block in ALL]}}}
    assert len(PrefectApi(prefect_server).post("/block_types/filter", body)) == len(ALL)


def test_settings_of_approvers_grant_nothing() -> None:
    """Approver settings hold names and a note; there is nothing to connect to, and no right in them."""
    assert set(ApproverSettings.model_fields) == {"people", "note"}
    assert not hasattr(ApproverSettings, "connect")


def test_a_ledger_names_its_app_and_place() -> None:
    """An evidence ledger cannot be configured without saying whose it is and where."""
    with pytest.raises(ValidationError):
        EvidenceLedger()  # type: ignore[call-arg]
