"""The Debian packages that the native lab needs, installed when they are missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import Unavailable
from railiance.lab.progress import Report

_POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it whether a service may start
_OURS = "written by the railiance lab while it installs packages"


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package and a program of it that we call."""

    name: str
    program: str


PACKAGES = (
    Package("containerd", "containerd"),
    Package("runc", "runc"),
    Package("containernetworking-plugins", "/usr/lib/cni/ptp"),
    Package("etcd-server", "etcd"),
    Package("prometheus", "prometheus"),
    Package("docker-registry", "docker-registry"),
    Package("nftables", "nft"),
    Package("conntrack", "conntrack"),
    Package("iproute2", "ip"),
    Package("util-linux", "nsenter"),
)


def missing() -> list[Package]:
    """Return the packages whose program is not there."""
    return [package for package in PACKAGES if not _present(package.program)]


def install(report: Report) -> None:
    """Install what is missing; services that packages bring are not started.

    Raises:
        Unavailable: Something is missing and cannot be installed here (`LAB_PACKAGES`).
    """
    wanted = [package.name for package in missing()]
    if not wanted:
        return
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        help_ = f"As root: apt-get install --no-install-recommends {' '.join(wanted)}"
        raise Unavailable("LAB_PACKAGES", f"These Debian packages are missing: {', '.join(wanted)}.", help_)
    report(0.1, "reading the package lists")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    process.run(
        [apt, "update", "-q"], env=environment, timeout=300, check=False
    )  # the lists may do as they are
    report(0.3, ", ".join(wanted))
    options = ["-q", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
    with _services_held_back():
        process.run([apt, "install", *options, *wanted], env=environment, timeout=900)


@contextmanager
def _services_held_back() -> Iterator[None]:
    """Keep packages from starting their own etcd, registry or Prometheus: the lab runs its own instances.

    A policy that somebody else made stays; one of ours that a killed program left is replaced and removed.
    """
    if _POLICY.exists() and _OURS not in _POLICY.read_text():
        yield
        return
    _POLICY.write_text(f"#!/bin/sh\n# {_OURS}\nexit 101\n")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


def _present(program: str) -> bool:
    return (
        Path(program).exists()
        if program.startswith("/")
        else shutil.which(program, path=_search_path()) is not None
    )


def _search_path() -> str:
    # Debian keeps some of them where only root looks.
    return f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
