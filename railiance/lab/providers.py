"""Choosing where the cluster comes from: the user's own, kind, or processes of this machine."""

from __future__ import annotations

from railiance.domain.errors import Conflict, Unavailable
from railiance.lab import kind, native


def choose(wanted: str, has_access: bool) -> str:
    """Return the provider to use: `existing`, `kind` or `native`.

    Args:
        wanted: What the user asked for; `auto` takes the first that fits.
        has_access: Whether the user named a kubeconfig or a context.

    Raises:
        Unavailable: The wanted one does not fit here, or none does (`LAB_NO_PROVIDER`).
    """
    obstacles = {
        # Named access is a wish; without it, even a kubeconfig that lies at its usual place is not touched.
        "existing": [] if has_access or wanted == "existing" else ["it needs --kubeconfig or --context"],
        "kind": kind.obstacles() if wanted in {"auto", "kind"} and not has_access else [],
        "native": native.obstacles() if wanted in {"auto", "native"} and not has_access else [],
    }
    return decide(wanted, obstacles)


def decide(wanted: str, obstacles: dict[str, list[str]]) -> str:
    """Return the wanted provider, or for `auto` the first without obstacles.

    Raises:
        Unavailable: None is left; the message names what each of them lacks (`LAB_NO_PROVIDER`).
    """
    candidates = list(obstacles) if wanted == "auto" else [wanted]
    for name in candidates:
        if not obstacles[name]:
            return name
    reasons = "\n".join(f"  {name}: {'; '.join(obstacles[name])}" for name in candidates)
    message = f"No cluster can be had here:\n{reasons}"
    raise Unavailable("LAB_NO_PROVIDER", message, "Provide what one of them needs, then try again.")


def check_same(name: str, has: str, wanted: str, has_access: bool) -> None:
    """Make sure that a lab is not asked to change its provider.

    Raises:
        Conflict: It has another one than is wanted now (`LAB_SHAPE`).
    """
    asked = "existing" if has_access and wanted == "auto" else wanted
    if asked not in {"auto", has}:
        message = f"The lab {name} is there already, as {has}, not {asked}."
        raise Conflict(
            "LAB_SHAPE", message, "Take it down first, or give the new one another name (`--lab`)."
        )
