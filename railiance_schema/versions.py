"""Which contract versions this tool reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter, shown

CURRENT = "railiance.app.v1"
_NUMBER = 1
_AT = ("schema_version",)


def version_finding(document: Mapping[str, Any], reporter: Reporter) -> Finding | None:
    """Return what is wrong with `schema_version`, or None: one of four different answers."""
    if "schema_version" not in document:
        help_text = f'add `schema_version = "{CURRENT}"` as the first line'
        return reporter.error("RAIL010", "`schema_version` is missing", At(_AT, "no version"), help=help_text)
    value = document["schema_version"]
    if value == CURRENT:
        return None
    match = re.fullmatch(r"railiance\.app\.v([0-9]{1,6})", value) if isinstance(value, str) else None
    at = At(_AT, f'supported: "{CURRENT}"', on="value")
    if match is None:
        what = "is malformed" if isinstance(value, str) else "must be a string in quotes"
        message = f"`schema_version` {what}: {shown('schema_version', value)}"
        return reporter.error("RAIL011", message, at, help=f'did you mean "{CURRENT}"?')
    if int(match[1]) > _NUMBER:
        message = f'"{value}" is newer than this tool, which supports "{CURRENT}"'
        return reporter.error("RAIL012", message, at, help="install a newer railiance; nothing was run")
    message = f'"{value}" is older than any version this tool reads'
    return reporter.error(
        "RAIL013", message, at, help=f"run `railiance contract migrate --to {_NUMBER} --write`"
    )


def stops(finding: Finding | None) -> bool:
    """Say whether the rest of the file cannot be judged, because its version is not ours."""
    return finding is not None and finding.code != "RAIL010"
