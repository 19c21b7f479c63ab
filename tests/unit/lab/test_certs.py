"""The lab's certificates."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from railiance.lab import certs
from railiance.lab.layout import Lab


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Return a lab with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Lab("x", 1, 1)


def read(path: Path) -> x509.Certificate:
    """Return the certificate of a file."""
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_certificate_is_signed_by_the_labs_authority(lab: Lab) -> None:
    """Whoever trusts the authority trusts the certificate."""
    pair = certs.issue(lab, "admin", "me", "system:masters")
    read(pair.certificate).verify_directly_issued_by(read(certs.authority(lab).certificate))


def test_user_and_group_are_where_kubernetes_looks(lab: Lab) -> None:
    """The user is the common name, the group the organisation."""
    subject = read(certs.issue(lab, "admin", "me", "system:masters").certificate).subject
    assert subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "me"
    assert subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"


def test_a_server_names_its_hosts_and_addresses(lab: Lab) -> None:
    """Without the node's address in it, logs, exec and port-forward fail."""
    certificate = read(certs.issue(lab, "kubelet", "node", hosts=("node", "10.0.0.1")).certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["node"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1"]


def test_certificates_are_made_once_and_keys_are_private(lab: Lab) -> None:
    """A second `up` finds what the first made; nobody else reads a key."""
    first = certs.issue(lab, "admin", "me").certificate.read_bytes()
    pair = certs.issue(lab, "admin", "me")
    assert pair.certificate.read_bytes() == first
    for key in (pair.key, certs.authority(lab).key, certs.signing_key(lab).key):
        assert key.stat().st_mode & 0o777 == 0o600


def test_a_half_written_pair_is_made_anew(lab: Lab) -> None:
    """We may die between key and certificate."""
    pair = certs.issue(lab, "admin", "me")
    pair.certificate.unlink()
    again = certs.issue(lab, "admin", "me")
    key = again.key.read_text()
    assert "PRIVATE KEY" in key
    assert read(again.certificate).subject


def test_the_kubeconfig_holds_all_it_needs(lab: Lab) -> None:
    """It can be copied anywhere on the machine: nothing in it is a path."""
    found = yaml.safe_load(certs.kubeconfig(lab, certs.issue(lab, "admin", "me")))
    assert found["clusters"][0]["cluster"]["server"] == lab.api_url
    assert found["current-context"] == found["contexts"][0]["name"] == "railiance-lab-x"
    assert set(found["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
