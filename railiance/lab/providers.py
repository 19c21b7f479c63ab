"""Choosing where the cluster comes from: the user's own, kind, or processes of this machine."""

from __future__ import annotations

from railiance.domain.errors import Unavailable
from railiance.lab import kind, native


def choose(wanted: str, has_access: bool) -> str:
    """Return the provider to use: `existing`, `kind` or `native`.

    Args:
        wanted: What the user asked for; `auto` takes the first that fits.
        has_access: Whether the user named a kubeconfig or a context.

    Raises:
        Unavailable: The wanted one does not fit here, or none does (`LAB_NO_PROVIDER`); says what lacks.
    """
    obstacles = {
        "existing": [] if has_access else ["it needs --kubeconfig or --context"],
        "kind": kind.obstacles() if wanted != "native" else [],
        "native": native.obstacles() if wanted in {"auto", "native"} else [],
    }
    return decide(wanted, obstacles)


def decide(wanted: str, obstacles: dict[str, list[str]]) -> str:
    """Return the wanted provider, or for `auto` the first without obstacles."""
    candidates = list(obstacles) if wanted == "auto" else [wanted]
    for name in candidates:
        if not obstacles[name]:
            return name
    reasons = "\n".join(f"  {name}: {'; '.join(obstacles[name])}" for name in candidates)
    message = f"No cluster can be had here:\n{reasons}"
    raise Unavailable("LAB_NO_PROVIDER", message, "Provide what one of them needs, then try again.")
