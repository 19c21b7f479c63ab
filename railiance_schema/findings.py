"""What is wrong with a file: where it is, what it is, and the edit that mends it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

UNREADABLE = frozenset({"RAIL001", "RAIL002"})


class Severity(StrEnum):
    """An error refuses the contract, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Label:
    """One marked place of a file.

    Attributes:
        line: Line, from 1.
        column: Column in characters, from 1.
        length: Number of characters marked.
        text: What to say about the place; may be empty.
        source: The line itself, with anything that looks like a secret taken out.
        primary: Whether this is the place of the finding, not one that explains it.
    """

    line: int
    column: int
    length: int
    text: str
    source: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or (a warning) risky.

    Attributes:
        code: Stable name, e.g. `RAIL021`.
        severity: Error or warning.
        message: What is wrong, in one line.
        path: The file.
        line: Line of the place, from 1; None when it is about the file as a whole.
        column: Column of the place, from 1; None likewise.
        labels: Marked places, the primary one among them.
        help: The edit that mends it; may be empty.
        key_path: The key in dotted form, e.g. `checks[3].url`; may be empty.
    """

    code: str
    severity: Severity
    message: str
    path: str
    line: int | None = None
    column: int | None = None
    labels: tuple[Label, ...] = field(default=())
    help: str = ""
    key_path: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the contract is refused because of it."""
        return self.severity is Severity.ERROR


class ContractError(Exception):
    """The file is not a legal contract.

    Args:
        findings: Everything that is wrong, in line order; at least one error.
    """

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings: tuple[Finding, ...] = tuple(findings)
        super().__init__(self.findings)

    @property
    def exit_status(self) -> int:
        """2 when the file cannot be read at all, else 1."""
        return exit_status(self.findings)

    def __str__(self) -> str:
        """Return all findings as a person reads them."""
        return render_text(self.findings)


def exit_status(findings: Iterable[Finding]) -> int:
    """Return the exit status of a command that met these findings: 0, 1, or 2 for an unreadable file."""
    codes = {finding.code for finding in findings if finding.is_error}
    return 2 if codes & UNREADABLE else int(bool(codes))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Sort findings as the file is read: by line, column, code."""
    return sorted(findings, key=lambda item: (item.line or 0, item.column or 0, item.code, item.message))


def render_text(findings: Sequence[Finding]) -> str:
    """Return findings as text: errors in full; warnings in full only where nothing is an error."""
    errors = [finding for finding in findings if finding.is_error]
    shown = errors or list(findings)
    return "\n\n".join([*(_render_one(finding) for finding in shown), summary(findings)])


def render_json(findings: Sequence[Finding]) -> str:
    """Return findings as one JSON document."""
    document = {
        "schema_version": "railiance.findings.v1",
        "errors": sum(finding.is_error for finding in findings),
        "warnings": sum(not finding.is_error for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line: how many errors and warnings, and which warnings an error keeps from view."""
    errors = [finding for finding in findings if finding.is_error]
    warnings = [finding for finding in findings if not finding.is_error]
    parts = [_count(len(errors), "error")] if errors else []
    if warnings:
        listed = "; ".join(f"{item.code} {_ascii(item.message)}, line {item.line}" for item in warnings)
        parts.append(_count(len(warnings), "warning") + (f" ({listed})" if errors else ""))
    return (", ".join(parts) or "No findings") + (". Nothing was run." if errors else ".")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" + ("" if number == 1 else "s")


def _ascii(text: str) -> str:
    """Keep our own words readable where only ASCII is; what the file holds stays as it is."""
    return text.replace("\N{HORIZONTAL ELLIPSIS}", "...")


def _render_one(finding: Finding) -> str:
    where = f"{finding.path}:{finding.line}:{finding.column}" if finding.line else finding.path
    lines = [f"{finding.severity}[{finding.code}]: {_ascii(finding.message)}", f"  --> {where}"]
    labels = sorted(finding.labels, key=lambda label: (label.line, label.column))
    margin = max((len(str(label.line)) for label in labels), default=1)
    if labels:
        lines.append(f"{' ' * margin} |")
    previous = 0
    for label in labels:
        if label.line != previous:
            lines.append(f"{label.line:>{margin}} | {label.source}".rstrip())
        previous = label.line
        mark = ("^" if label.primary else "-") * max(label.length, 1)
        lines.append(f"{' ' * margin} | {' ' * (label.column - 1)}{mark} {_ascii(label.text)}".rstrip())
    more = f"more: railiance explain {finding.code}"
    if finding.help:
        lines.append(f"{' ' * margin} = help: {_ascii(finding.help)}")
    lines.append(
        f"{' ' * margin} = " + (f"path: {finding.key_path}          {more}" if finding.key_path else more)
    )
    return "\n".join(lines)
