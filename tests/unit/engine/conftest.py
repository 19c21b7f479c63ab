"""A world in memory for each test of the engine: no Helm, no registry, no git identity of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.story_kit import HeldLock, World


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engine find an actor, a Helm and every image, whatever this machine has."""
    monkeypatch.setenv("RAILIANCE_ACTOR", "erin")
    monkeypatch.setenv("RAILIANCE_HELM", "/bin/true")
    monkeypatch.delenv("RAILIANCE_INGRESS_URL", raising=False)
    monkeypatch.setattr("railiance.engine.preflight.manifest_exists", lambda *_: True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Return a world in which v1 serves all users and the folder holds v2, tested."""
    world = World(tmp_path)
    world.serve("v1")
    world.version("v2")
    return world


@pytest.fixture
def lock() -> HeldLock:
    """Return a lock that is held."""
    return HeldLock()
