"""A contract may make the safeguards of its criticality stricter, never looser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from railiance_schema.app import Path
from railiance_schema.defaults import CRITICALITY_DEFAULTS, CriticalityDefaults, Filled
from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter
from railiance_schema.scalars import format_duration, parse_duration
from railiance_schema.words import CommentRule, Criticality


def limit_findings(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Report every declared safeguard that is weaker than the app's criticality asks for."""
    try:
        criticality = Criticality(filled.text("app", "criticality") or "")
    except ValueError:
        return  # the model reports it
    safeguards = CRITICALITY_DEFAULTS[criticality]
    for path, limit in _too_weak(filled, criticality, safeguards):
        yield reporter.error(
            "RAIL042",
            f"`{path[-1]}` is looser than an app of criticality {criticality} allows: {limit}",
            At(path, limit, on="value"),
            At(("app", "criticality"), "decides the limit", on="value"),
            help="a contract may only be stricter; write the limit, or leave the key out",
        )


def _too_weak(
    filled: Filled, criticality: Criticality, safeguards: CriticalityDefaults
) -> Iterator[tuple[Path, str]]:
    """Yield the path of each declared value below its limit, and the limit in words."""
    yield from _times(filled, criticality, safeguards)
    yield from _people(filled, criticality, safeguards)
    if safeguards.standby and filled.get("promotion", "standby") is False:
        yield ("promotion", "standby"), "must be true"
    if not safeguards.samples_allowed and filled.get("analysis", "pass_rule") == "samples":
        yield ("analysis", "pass_rule"), 'must be "evidence"'
    if safeguards.unsigned == "never" and filled.get("approvals", "unsigned") is True:
        yield ("approvals", "unsigned"), "must be false"
    if safeguards.comment is CommentRule.REQUIRED and filled.get("approvals", "comment") == "optional":
        yield ("approvals", "comment"), 'must be "required"'


def _times(
    filled: Filled, criticality: Criticality, safeguards: CriticalityDefaults
) -> Iterator[tuple[Path, str]]:
    longest: list[tuple[Path, Any]] = [
        (("stages", "stage1", "max_age"), safeguards.stage1_max_age),
        (("stages", "stage2", "max_age"), safeguards.stage2_max_age),
        (("approvals", "lifetime"), safeguards.lifetime),
        (("stateful", "drill_max_age"), safeguards.drill_max_age),
    ]
    shortest: list[tuple[Path, Any]] = [(("stages", "stage2", "soak"), safeguards.soak)]
    if criticality is not Criticality.LOW:
        shortest.append((("bake", "duration"), safeguards.bake))
    for path, limit in longest:
        if limit is not None and (value := _declared(filled, path)) is not None and value > limit:
            yield path, f"at most {format_duration(limit)}"
    for path, limit in shortest:
        if (value := _declared(filled, path)) is not None and value < limit:
            yield path, f"at least {format_duration(limit)}"


def _declared(filled: Filled, path: Path) -> Any:
    if path in filled.origins or filled.get(*path) is None:
        return None
    try:
        return parse_duration(filled.get(*path))
    except PydanticCustomError:
        return None  # the model reports it


def _people(
    filled: Filled, criticality: Criticality, safeguards: CriticalityDefaults
) -> Iterator[tuple[Path, str]]:
    for stage, least in (("stage2", safeguards.people_stage2), ("stage3", safeguards.people_stage3)):
        asked = filled.get("stages", stage, "requires_approval") is True
        least = 0 if criticality is Criticality.LOW else least  # noqa: PLW2901 - a low app may do without anybody
        least = max(least, int(asked))  # noqa: PLW2901
        people = filled.get("approvals", stage)
        if isinstance(people, int) and people < least:
            yield (
                ("approvals", stage),
                f"at least {least}" + (", since the stage requires approval" if asked else ""),
            )
    exclude, roles = filled.get("approvals", "exclude"), filled.get("approvals", "roles")
    lacking = [who.value for who in safeguards.exclude if isinstance(exclude, list) and who not in exclude]
    if lacking:
        yield ("approvals", "exclude"), "must hold " + ", ".join(f'"{who}"' for who in lacking)
    if "release-owner" in safeguards.roles and isinstance(roles, list) and "release-owner" not in roles:
        yield ("approvals", "roles"), 'must hold "release-owner"'
