"""`${{ … }}`: a closed list of names, filled in for the one stage in use."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from railiance_schema.app import Contract, Path
from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter
from railiance_schema.secret_shapes import strings
from railiance_schema.suggest import nearest
from railiance_schema.words import StageName

NAMES = ("app.id", "source.revision", "stage.name", "stage.namespace", "stage.release")
_COMMAND_KEYS = {"commands", "serve", "run", "argv", "command", "schema_version_command"}
_REFERENCE_KEYS = {"url", "address", "reference", "query", "stable_query"}
_PLACE_KEYS = {"namespace", "release", "host", "host_header", "chart", "values"}
FREE_TEXT_KEYS = frozenset({"description", "verification", "evidence", "reason"})
ALLOWED_KEYS = frozenset(_COMMAND_KEYS | _REFERENCE_KEYS | _PLACE_KEYS)
_TOKEN = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_ENV = re.compile(r"env\.([A-Za-z_][A-Za-z0-9_]*)")
_LISTED = ("checks", "health_endpoints", "metrics", "logs")


@dataclass(slots=True)
class Resolved:
    """A document with its expressions filled in.

    Attributes:
        document: The data.
        findings: Variables that are not set.
        env_read: Names of the variables that were read.
    """

    document: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    env_read: tuple[str, ...] = ()


def interpolation_findings(document: Mapping[str, Any], reporter: Reporter) -> list[Finding]:
    """Report expressions in a place that has none, unknown names, and expressions that do not end."""
    found = []
    for path, value in strings(document):
        if "${{" not in value or any(isinstance(part, str) and part.startswith("x-") for part in path):
            continue
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        if key in FREE_TEXT_KEYS:
            continue
        if key not in ALLOWED_KEYS or path[0] in {"secrets", "app"}:
            message = f"`${{{{ … }}}}` is not filled in in `{key}`"
            help_text = (
                "it may stand in commands, urls, references, namespace, release, host, chart and values"
            )
            found.append(
                reporter.error("RAIL045", message, At(path, "stays as it is", on="value"), help=help_text)
            )
            continue
        found += _name_findings(path, value, reporter)
    return found


def _name_findings(path: Path, value: str, reporter: Reporter) -> Iterator[Finding]:
    at = At(path, "", on="value")
    names = [match[1].strip() for match in _TOKEN.finditer(value)]
    if len(names) < value.count("${{"):
        yield reporter.error("RAIL046", "`${{` is never closed", at, help="write `${{ name }}`")
    for name in names:
        if name in NAMES or _ENV.fullmatch(name):
            continue
        guess = nearest(name, NAMES)
        listed = ", ".join((*NAMES, "env.NAME"))
        help_text = (
            f"did you mean `{guess}`? " if guess else ""
        ) + f"the names are {listed}; no functions, no nesting"
        yield reporter.error("RAIL046", "unknown name in `${{ … }}`", at, help=help_text)


def resolve(
    contract: Contract,
    document: Mapping[str, Any],
    stage: StageName,
    env: Mapping[str, str],
    reporter: Reporter,
) -> Resolved:
    """Fill in the expressions that one stage uses; those of other stages stay as they are."""
    declared = getattr(contract.stages, stage.value)
    known = {
        "app.id": contract.app.id,
        "source.revision": contract.source.revision,
        "stage.name": stage.value,
    }
    resolved = Resolved(copy.deepcopy(dict(document)))
    read: set[str] = set()

    def fill(path: Path, value: str) -> str:
        def one(match: re.Match[str]) -> str:
            name = match[1].strip()
            variable = _ENV.fullmatch(name)
            if variable is None:
                return known.get(name, match[0])
            read.add(variable[1])
            if variable[1] not in env:
                message = f"the variable `{variable[1]}` is not set"
                help_text = f"export {variable[1]} before the command"
                resolved.findings.append(
                    reporter.error("RAIL047", message, At(path, on="value"), help=help_text)
                )
            return env.get(variable[1], "")

        return _TOKEN.sub(one, value)

    if declared is not None:
        known["stage.namespace"] = fill(("stages", stage.value, "namespace"), declared.namespace)
        known["stage.release"] = fill(("stages", stage.value, "release"), declared.release)
    for path, value in list(strings(document)):
        if "${{" in value and not _elsewhere(path, document, stage, contract):
            _set(resolved.document, path, fill(path, value))
    resolved.env_read = tuple(sorted(read))
    return resolved


def _elsewhere(path: Path, document: Mapping[str, Any], stage: StageName, contract: Contract) -> bool:
    """Say whether a value belongs to another stage, or to a check that this stage does not use."""
    if path[0] == "stages" and path[1] not in {stage.value, "defaults"}:
        return True
    for depth, part in enumerate(path[:-1]):
        if part in _LISTED and isinstance(path[depth + 1], int):
            item: Any = document
            for step in path[: depth + 2]:
                item = item[step]
            return (item.get("id") or item.get("name")) not in _used(contract, stage)
    return False


def _used(contract: Contract, stage: StageName) -> set[str]:
    """Return the ids that one stage asks for."""
    declared = getattr(contract.stages, stage.value)
    used = set(declared.checks) if declared is not None else set()
    used |= {item.check for item in contract.platform.dependencies if item.check and item.stage <= stage}
    if stage is StageName.STAGE2:
        used |= {identifier for step in contract.traffic.steps for identifier in step.checks}
    if stage is StageName.STAGE3:
        used |= set(contract.bake.checks) | set(contract.rollback.checks if contract.rollback else ())
    return used


def _set(document: Any, path: Path, value: str) -> None:
    for part in path[:-1]:
        document = document[part]
    document[path[-1]] = value
