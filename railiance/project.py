"""Where flows/, tasks/, blocks/, charts/ and deployments.yaml live: in a checkout, or bundled in the wheel."""

from __future__ import annotations

from pathlib import Path


def root() -> Path:
    """Return the folder that holds the Prefect project: the bundled copy if there is one, else the checkout."""
    here = Path(__file__).resolve().parent
    bundled = here / "_project"
    return bundled if bundled.is_dir() else here.parent
