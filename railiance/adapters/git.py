"""What git says about an app's folder. A folder that git cannot read is one without commits, not an error."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass
from pathlib import Path

from railiance.adapters.process import run
from railiance.domain.candidate import is_commit
from railiance.domain.errors import Unavailable

_TIMEOUT = 30.0
# What we write ourselves must not make the tree dirty, also where nobody ignores it.
_PATHSPEC = ("--", ":/", ":(top,exclude,glob)**/.railiance/**")


@dataclass(frozen=True, slots=True)
class WorkTree:
    """A git work tree: its root, and whether it holds changes or new files that no commit has."""

    root: Path
    dirty: bool


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit, and whether it was named by something that moves (a branch, HEAD)."""

    sha: str
    moving: bool


def work_tree(folder: Path) -> WorkTree | None:
    """Return the work tree that a folder belongs to, or None if git knows of none (or is not there)."""
    root = _git(folder, "rev-parse", "--show-toplevel")
    if root is None:
        return None
    changes = _git(folder, "status", "--porcelain", *_PATHSPEC)
    return WorkTree(Path(root), dirty=changes != "")  # no answer counts as dirty


def resolve(folder: Path, revision: str) -> Commit | None:
    """Return the commit that a source_revision means in the repository of a folder.

    Args:
        folder: A folder of the repository.
        revision: `git:<ref>`, a tag, a commit or a branch.

    Returns:
        The commit, or None if the repository does not know it.
    """
    ref = revision.removeprefix("git:")
    if ref.startswith("-"):
        return None  # would be read as an option
    for full, moving in _spellings(ref):
        sha = _git(folder, "rev-parse", "--verify", "--quiet", f"{full}^{{commit}}")
        if sha is not None and is_commit(sha):
            return Commit(sha, moving)
    return None


def _spellings(ref: str) -> list[tuple[str, bool]]:
    if re.fullmatch(r"[0-9a-f]{7,64}", ref):
        return [(ref, False)]
    if ref.startswith("refs/"):
        return [(ref, not ref.startswith("refs/tags/"))]
    heads = [f"refs/heads/{ref}", f"refs/remotes/origin/{ref}", *(["HEAD"] if ref == "HEAD" else [])]
    return [(f"refs/tags/{ref}", False), *((head, True) for head in heads)]


def person(folder: Path) -> str:
    """Return who works here: the address that git would write into a commit, else the login name."""
    return _git(folder, "config", "user.email") or _login()


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "unknown"


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where it does not answer; reading takes no lock of the repository."""
    try:
        done = run(
            ["git", "-C", str(folder), *arguments],
            env={"GIT_OPTIONAL_LOCKS": "0"},
            timeout=_TIMEOUT,
            check=False,
        )
    except Unavailable:
        return None
    return done.stdout.strip() if done.exit_code == 0 else None
