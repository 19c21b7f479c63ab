"""What a lab remembers between two commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from railiance.domain.errors import Broken, Conflict
from railiance.lab import state
from railiance.lab.layout import SLOTS, Lab, instances_root


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_lab_is_remembered_as_it_was() -> None:
    """Name, slot, shape and provider come back unchanged."""
    lab = Lab("x", 3, 3, with_prometheus=False)
    state.remember(lab)
    assert state.load("x") == lab
    assert state.provider_of("x") == "native"
    assert state.known_labs() == ["x"]


def test_an_unknown_lab_is_none() -> None:
    """No record is no lab, and no error."""
    assert state.load("x") is None
    assert state.provider_of("x") is None
    assert state.known_labs() == []


def test_a_damaged_record_is_an_error_that_names_the_file() -> None:
    """A record that cannot be read is never taken for no lab: its processes may run."""
    path = instances_root() / "x" / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(Broken, match=r"record\.json"):
        state.load("x")


def test_an_existing_cluster_is_no_lab_with_processes() -> None:
    """The record of a borrowed cluster holds no slot."""
    state.write_record("x", {"provider": "existing", "kubeconfig": "k", "context": None, "installed": []})
    assert state.load("x") is None
    assert state.provider_of("x") == "existing"


def test_the_default_lab_has_slot_0_and_others_the_first_free_one() -> None:
    """Two labs never get one slot."""
    assert state.free_slot("railiance") == 0
    assert state.free_slot("a") == 1
    state.remember(Lab("a", 1, 1))
    state.remember(Lab("c", 3, 1))
    assert state.free_slot("b") == 2


def test_when_all_slots_are_taken_the_error_names_the_labs() -> None:
    """The answer to too many labs is which ones there are."""
    for slot in range(1, SLOTS):
        state.remember(Lab(f"lab{slot}", slot, 1))
    with pytest.raises(Conflict, match="lab1, lab2"):
        state.free_slot("one-more")


def test_two_programs_do_not_work_on_one_lab() -> None:
    """The second is told so at once instead of waiting or mixing in."""
    with state.locked("lab-x", "Another program is working on the lab x."):
        with pytest.raises(Conflict, match="Another program"), state.locked("lab-x", "Another program"):
            pass
        with state.locked("lab-y", ""):
            pass
    with state.locked("lab-x", ""):
        pass


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """The new text takes the place of the old in one step, with the mode asked for, and leaves no draft."""
    path = tmp_path / "a" / "secret"
    state.write_atomically(path, "one", mode=0o600)
    state.write_atomically(path, "two", mode=0o600)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
