"""What is mounted on this machine, and unmounting it."""

from __future__ import annotations

from pathlib import Path

from railiance.adapters import process


def points() -> list[Path]:
    """Return every mount point, in the order of mounting; one that is mounted over twice comes twice."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [Path(line.split()[4].replace("\\040", " ")) for line in lines]


def below(folder: Path) -> list[Path]:
    """Return the mount points at and below a folder, the last mounted first."""
    return [point for point in reversed(points()) if point.is_relative_to(folder)]


def unmount(folder: Path) -> None:
    """Unmount everything at and below a folder."""
    for point in below(folder):
        process.run(["umount", "--lazy", str(point)])
