"""Installing the Debian packages that the native lab needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from railiance.adapters.process import Completed
from railiance.domain.errors import Unavailable
from railiance.lab import packages
from railiance.lab.progress import silent


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], bool]]:
    """Return the calls made, each with whether services were held back; two packages are missing."""
    made: list[tuple[list[str], bool]] = []
    monkeypatch.setattr(packages, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(packages, "missing", lambda: list(packages.PACKAGES[:2]))
    monkeypatch.setattr(packages.shutil, "which", lambda *_args, **_named: "/usr/bin/apt-get")
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)

    def run(argv: list[str], **_named: object) -> Completed:
        made.append((argv, packages._POLICY.exists()))
        return Completed(tuple(argv), 0, "", "", 0.0)

    monkeypatch.setattr(packages.process, "run", run)
    return made


def test_only_what_is_missing_is_installed_and_no_service_starts(calls: list[tuple[list[str], bool]]) -> None:
    """The packages' own services stay down while, and only while, they are installed."""
    packages.install(silent)
    (_, _), (install, held_back) = calls
    assert install[-2:] == ["containerd", "runc"]
    assert "etcd-server" not in install
    assert held_back
    assert not packages._POLICY.exists()


def test_a_policy_of_somebody_else_is_left_alone(calls: list[tuple[list[str], bool]]) -> None:
    """Who keeps services from starting already keeps doing so."""
    packages._POLICY.write_text("#!/bin/sh\nexit 101\n")
    packages.install(silent)
    assert packages._POLICY.read_text() == "#!/bin/sh\nexit 101\n"


def test_a_policy_that_a_killed_program_left_is_removed(calls: list[tuple[list[str], bool]]) -> None:
    """The machine's services start again after the next installation."""
    packages._POLICY.write_text(f"#!/bin/sh\n# {packages._OURS}\nexit 101\n")
    packages.install(silent)
    assert not packages._POLICY.exists()


def test_nothing_missing_means_nothing_done(
    calls: list[tuple[list[str], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has all is not touched, not even its package lists."""
    monkeypatch.setattr(packages, "missing", list)
    packages.install(silent)
    assert not calls


def test_without_root_the_error_tells_the_command(
    calls: list[tuple[list[str], bool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot install is told what to have installed."""
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable) as caught:
        packages.install(silent)
    assert "containerd, runc" in caught.value.message
    assert "apt-get install" in caught.value.help
    assert not calls
