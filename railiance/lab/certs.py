"""The lab's certificates: one authority, and a certificate for each part and person."""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from railiance.adapters import clock
from railiance.lab.layout import Lab
from railiance.lab.state import write_atomically

_LIFETIME = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and its private key."""

    certificate: Path
    key: Path


def folder(lab: Lab) -> Path:
    """Return where the lab's certificates lie."""
    return lab.folder / "certificates"


def authority(lab: Lab) -> Pair:
    """Return the lab's authority, made on first use."""
    pair = _pair(lab, "ca")
    if not _complete(pair):
        key = ec.generate_private_key(ec.SECP256R1())
        name = _subject(f"railiance lab {lab.name}", None)
        certificate = _template(name, name, key, clock.now()).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        _write(pair, certificate.add_extension(usage, critical=True).sign(key, hashes.SHA256()), key)
    return pair


def issue(lab: Lab, file: str, user: str, group: str | None = None, hosts: tuple[str, ...] = ()) -> Pair:
    """Return a certificate of the lab's authority, made on first use.

    Args:
        lab: The lab.
        file: Name of its files.
        user: Common name: the user that Kubernetes sees.
        group: Organisation: the group that Kubernetes sees.
        hosts: Names and addresses it may serve under.
    """
    pair = _pair(lab, file)
    if _complete(pair):
        return pair
    signer = authority(lab)
    signer_key = serialization.load_pem_private_key(signer.key.read_bytes(), None)
    signer_certificate = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH] + ([ExtendedKeyUsageOID.SERVER_AUTH] if hosts else [])
    draft = _template(_subject(user, group), signer_certificate.subject, key, clock.now())
    draft = draft.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if hosts:
        draft = draft.add_extension(
            x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
        )
    if not isinstance(signer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(signer.key)
    _write(pair, draft.sign(signer_key, hashes.SHA256()), key)
    return pair


def signing_key(lab: Lab) -> Pair:
    """Return the key pair that signs service account tokens; `certificate` is the bare public key."""
    pair = _pair(lab, "service-accounts")
    if not _complete(pair):
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        write_atomically(pair.key, _private(key), mode=0o600)
        write_atomically(pair.certificate, public.decode())
    return pair


def kubeconfig(lab: Lab, user: Pair) -> str:
    """Return a kubeconfig that holds all it needs, so that it can be copied elsewhere."""
    ca, certificate, key = (
        base64.b64encode(path.read_bytes()).decode()
        for path in (authority(lab).certificate, user.certificate, user.key)
    )
    context = f"railiance-lab-{lab.name}"
    return f"""apiVersion: v1
kind: Config
clusters:
- name: {context}
  cluster: {{server: "{lab.api_url}", certificate-authority-data: {ca}}}
users:
- name: {context}
  user: {{client-certificate-data: {certificate}, client-key-data: {key}}}
contexts:
- name: {context}
  context: {{cluster: {context}, user: {context}}}
current-context: {context}
"""


def _pair(lab: Lab, file: str) -> Pair:
    return Pair(folder(lab) / f"{file}.crt", folder(lab) / f"{file}.key")


def _complete(pair: Pair) -> bool:
    return pair.certificate.exists() and pair.key.exists()


def _subject(user: str, group: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _template(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # clocks of two machines may differ a little
        .not_valid_after(now + _LIFETIME)
    )


def _write(pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    write_atomically(pair.key, _private(key), mode=0o600)
    write_atomically(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM).decode())


def _private(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
