"""Findings about plaintext secrets: kind, place and length, never the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter
from railiance_schema.secret_shapes import WAIVER, Sighting, sightings


def secret_findings(document: Mapping[str, Any], reporter: Reporter) -> list[Finding]:
    """Report every value that looks like a secret; a waived one stays visible as a warning."""
    return [_finding(sighting, reporter) for sighting in sightings(document)]


def _finding(sighting: Sighting, reporter: Reporter) -> Finding:
    mark = reporter.places.value(sighting.path)
    waiver = WAIVER.search(reporter.places.line(mark.line))
    what = f"{sighting.kind}, {sighting.length} characters"
    at = At(sighting.path, what, on="value")
    if waiver is None:
        help_text = (
            "take it out, treat it as leaked (change it), and name its object in `[[secrets.references]]`"
        )
        return reporter.error("RAIL050", f"this looks like {sighting.kind}", at, help=help_text)
    if not sighting.waivable:
        help_text = (
            "take it out and change it; keys and kubeconfigs have no place in this file, with any reason"
        )
        return reporter.error("RAIL051", f"a waiver cannot allow {sighting.kind}", at, help=help_text)
    if not waiver["reason"]:
        help_text = "write why it is none: `# railiance: allow-secret-shape <reason>`"
        return reporter.error("RAIL052", "the waiver gives no reason", at, help=help_text)
    return reporter.warning("RAIL106", f"a value that looks like {sighting.kind} is allowed by a comment", at)
