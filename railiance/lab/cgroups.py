"""Control groups of the nodes, for both layouts: one tree (v2), or one tree a controller (v1).

Each node's pods get a root of their own, so that several kubelets share one machine, and so that what is left
of a node can be found and ended without knowing its processes.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

from railiance.adapters import clock

_ROOT = Path("/sys/fs/cgroup")


def is_unified() -> bool:
    """Say whether this machine has one tree for all controllers (v2)."""
    return (_ROOT / "cgroup.controllers").exists()


def create(name: str) -> None:
    """Make the control group `name` in every controller; kubelet wants to find it."""
    if is_unified():
        controllers = " ".join(f"+{c}" for c in (_ROOT / "cgroup.controllers").read_text().split())
        (_ROOT / "cgroup.subtree_control").write_text(controllers)
        (_ROOT / name).mkdir(exist_ok=True)
        (_ROOT / name / "cgroup.subtree_control").write_text(controllers)
        return
    for (
        controller
    ) in _controllers():  # with the unified tree beside them, where there is one: kubelet uses both
        folder = controller / name
        folder.mkdir(exist_ok=True)
        # A new cpuset is empty, and nothing can run in an empty one.
        for file in ("cpuset.cpus", "cpuset.mems"):
            if (folder / file).exists() and not (folder / file).read_text().strip():
                (folder / file).write_text((controller / file).read_text())


def folders(prefix: str) -> list[Path]:
    """Return the control groups, in any controller, whose name starts with `prefix`."""
    return sorted(path for root in _controllers() for path in root.glob(f"{prefix}*") if path.is_dir())


def remove(name: str, timeout: float = 10) -> None:
    """End everything in the control group `name` and remove it with all groups below it."""
    deadline = clock.monotonic() + timeout
    while clock.monotonic() < deadline:
        trees = [root / name for root in _controllers() if (root / name).is_dir()]
        if not trees:
            return
        for pid in {pid for tree in trees for pid in _members(tree)}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for tree in trees:
            for folder in sorted((path for path in tree.rglob("*") if path.is_dir()), reverse=True):
                _remove_folder(folder)
            _remove_folder(tree)
        clock.sleep(0.05)


def _controllers() -> list[Path]:
    if is_unified():
        return [_ROOT]
    # `cpu` and `cpu,cpuacct` are often two names of one tree.
    found = {path.resolve() for path in _ROOT.iterdir() if (path / "cgroup.procs").exists()}
    return sorted(found)


def _members(tree: Path) -> set[int]:
    members: set[int] = set()
    for file in tree.rglob("cgroup.procs"):
        with suppress(OSError):  # the group, or its last process, may go while we look
            members |= {int(line) for line in file.read_text().split()}
    return members


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):  # still occupied: the caller looks again
        folder.rmdir()
