"""Findings with their places: what the parts of the check have in common."""

from __future__ import annotations

from dataclasses import dataclass

from railiance_schema.document import Mark, Path, SourceMap, dotted
from railiance_schema.findings import Finding, Label, Severity
from railiance_schema.secret_shapes import looks_secret, redact


@dataclass(frozen=True, slots=True)
class At:
    """A place to mark.

    Attributes:
        path: The key.
        text: What to say there.
        on: `key`, `value`, or `table` for the header of the table itself.
    """

    path: Path
    text: str = ""
    on: str = "key"


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes findings about one file.

    Attributes:
        path: The file's name as people know it.
        places: Where its keys are.
    """

    path: str
    places: SourceMap

    def error(self, code: str, message: str, at: At, *also: At, help: str = "") -> Finding:  # noqa: A002
        """Return an error at a key, with further places that explain it."""
        return self._finding(code, message, (at, *also), help, Severity.ERROR)

    def warning(self, code: str, message: str, at: At, *also: At, help: str = "") -> Finding:  # noqa: A002
        """Return a warning at a key."""
        return self._finding(code, message, (at, *also), help, Severity.WARNING)

    def _finding(
        self,
        code: str,
        message: str,
        places: tuple[At, ...],
        help: str,  # noqa: A002
        severity: Severity,
    ) -> Finding:
        marks = [self._mark(at) for at in places]
        labels = [
            self.label(mark, at.text, primary=number == 0)
            for number, (mark, at) in enumerate(zip(marks, places, strict=True))
            if number == 0 or mark != marks[0]
        ]
        first, key_path = marks[0], redact(dotted(places[0].path))
        message, help = redact(message), redact(help)  # noqa: A001 - keys and suggestions may repeat a secret
        return Finding(
            code, severity, message, self.path, first.line, first.column, tuple(labels), help, key_path
        )

    def at_mark(self, code: str, message: str, mark: Mark, label: str = "", help: str = "") -> Finding:  # noqa: A002
        """Return an error at a place that is no key, as in a file that is no TOML."""
        message, help = redact(message), redact(help)  # noqa: A001
        labels = (self.label(mark, label, primary=True),)
        return Finding(code, Severity.ERROR, message, self.path, mark.line, mark.column, labels, help)

    def label(self, mark: Mark, text: str, *, primary: bool = False) -> Label:
        """Mark a place; when a secret is taken out of its line, the mark covers the whole line."""
        source = self.places.line(mark.line)
        shown = "".join(char if char.isprintable() else " " for char in redact(source))
        column, length = mark.column, mark.length
        if len(shown) != len(source) or redact(source) != source:
            indent = len(shown) - len(shown.lstrip())
            column, length = indent + 1, len(shown) - indent
        return Label(mark.line, column, length, text, shown, primary)

    def _mark(self, at: At) -> Mark:
        return self.places.value(at.path) if at.on == "value" else self.places.key(at.path)


def shown(key: str, value: object, limit: int = 40) -> str:
    """Write a value into a message: quoted as in the file, short, and never one that looks like a secret."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        return "the value"
    if looks_secret(key, value) or redact(value) != value:
        return "the value (not shown, it looks like a secret)"
    text = value if len(value) <= limit else value[: limit - 1] + "…"
    return '"' + "".join(char if char.isprintable() else "?" for char in text) + '"'
