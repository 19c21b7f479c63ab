"""Names of flow runs, as people find them in the Prefect UI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prefect.runtime import flow_run


def run_name(verb: str) -> Callable[[], str]:
    """Return what names a run: the verb and the app's folder, without the path to it."""

    def named() -> str:
        return f"{verb}-{Path(str(flow_run.parameters.get('directory', ''))).name}"

    return named
