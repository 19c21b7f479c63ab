"""What is said about a file that is not TOML."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from railiance_schema.document import Declaration, Mark, Path, SourceMap, dotted, scan
from railiance_schema.findings import Finding, Severity
from railiance_schema.report import Reporter
from railiance_schema.secret_shapes import redact

_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def decode(data: bytes | str, path: str) -> str | Finding:
    """Turn the bytes of a file into text with single line feeds, or say why that cannot be done."""
    if isinstance(data, str):
        if data.startswith("\ufeff"):
            return _unreadable(path, "begins with a byte order mark")
        return data.replace("\r\n", "\n")
    for mark, name in (
        (b"\xef\xbb\xbf", "a byte order mark"),
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
    ):
        if data.startswith(mark):
            return _unreadable(path, f"begins with {name}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        return _unreadable(path, f"holds a byte that is not UTF-8 in line {line}")
    if "\0" in text:
        return _unreadable(path, "holds NUL bytes, as UTF-16 does")
    return text.replace("\r\n", "\n")


def _unreadable(path: str, why: str) -> Finding:
    return Finding(
        "RAIL002",
        Severity.ERROR,
        f"the file is not plain UTF-8: it {why}",
        path,
        help="save it as UTF-8 without a byte order mark (in most editors: Save with encoding, UTF-8)",
    )


def parse(text: str, path: str) -> tuple[dict[str, Any] | None, SourceMap, list[Finding]]:
    """Read TOML; a file that is none gives no document and one finding, about its first mistake."""
    places = scan(text)
    try:
        return tomllib.loads(text), places, []
    except RecursionError:
        finding = Reporter(path, places).at_mark("RAIL003", "the file nests too deeply", Mark(1, 1, 1))
        return None, places, [finding]
    except ValueError as error:
        return None, places, [_syntax_error(str(error), places, Reporter(path, places))]


def _syntax_error(message: str, places: SourceMap, reporter: Reporter) -> Finding:
    mark = _place_of(message, places)
    repeated = _first_repeated(places.declarations)
    if repeated is not None and re.match(r"Cannot|Duplicate", message):
        return _repeated(*repeated, reporter)
    unclosed = _unclosed(places, mark)
    if unclosed is not None:
        bracket, opening = unclosed
        what = "array" if bracket == "[" else "inline table"
        closing = "]" if bracket == "[" else "}"
        return reporter.at_mark(
            "RAIL003",
            f"the {what} opened at {opening.line}:{opening.column} is never closed",
            opening,
            "opened here",
            f"add `{closing}` where the {what} ends",
        )
    return _bad_value(message, mark, places, reporter)


def _place_of(message: str, places: SourceMap) -> Mark:
    found = _PLACE.search(message)
    if found and found[1]:
        return Mark(int(found[1]), int(found[2]), 1)
    last = max((at for at, line in enumerate(places.lines, 1) if line.strip()), default=1)
    return Mark(last, max(len(places.line(last)), 1), 1)


def _unclosed(places: SourceMap, mark: Mark) -> tuple[str, Mark] | None:
    """Return the outermost bracket left open, if what follows is plainly outside of it."""
    for bracket, opening in places.open:
        line = places.line(mark.line).strip()
        outside = re.match(r"\[\[?[\w.\"' -]+\]\]?\s*(#.*)?$|[\w.\"' -]+=", line)
        ended = not any(rest.strip() for rest in places.lines[mark.line :]) and mark.column >= len(
            places.line(mark.line)
        )
        if opening.line < mark.line and (outside or ended):
            return bracket, opening
        if opening.line == mark.line and mark.column >= len(places.line(mark.line).rstrip()):
            return bracket, opening
    return None


def _first_repeated(declarations: list[Declaration]) -> tuple[Declaration, Declaration] | None:
    """Return the first declaration that clashes with an earlier one, and that earlier one."""
    seen: dict[Path, Declaration] = {}
    for declaration in declarations:
        earlier = seen.setdefault(declaration.path, declaration)
        same_is_fine = declaration.kind == earlier.kind and declaration.kind in {"array", "dotted"}
        if earlier is not declaration and not same_is_fine:
            return earlier, declaration
    return None


def _repeated(earlier: Declaration, later: Declaration, reporter: Reporter) -> Finding:
    name = dotted(later.path)
    if {earlier.kind, later.kind} <= {"key", "dotted"}:
        code, message = "RAIL004", f"duplicate key `{name}`; it is already set in line {earlier.mark.line}"
        help_text = "keep one of the two"
    elif {earlier.kind, later.kind} == {"table", "array"}:
        code = "RAIL005"
        message = f"`{name}` is declared both as a table and as an array of tables (line {earlier.mark.line})"
        help_text = f"an array of tables needs double brackets everywhere: `[[{name}]]`"
    else:
        code, message = "RAIL005", f"table `{name}` is declared twice; first in line {earlier.mark.line}"
        help_text = "put all keys of the table below one header"
    finding = reporter.at_mark(code, message, later.mark, "declared again here", help_text)
    first = reporter.label(earlier.mark, "first declared here")
    return Finding(
        finding.code,
        finding.severity,
        finding.message,
        finding.path,
        finding.line,
        finding.column,
        (*finding.labels, first),
        finding.help,
        name,
    )


def _bad_value(message: str, mark: Mark, places: SourceMap, reporter: Reporter) -> Finding:
    """Explain the mistakes people make most; say what tomllib says about the others."""
    rest = places.line(mark.line)[mark.column - 1 :]
    word = re.match(r"[^\s,\]\}#=]+", rest)
    after = places.line(mark.line)[: mark.column - 1].rstrip()
    if word and after.endswith(("=", "[", ",")):
        whole = Mark(mark.line, mark.column, len(word[0]))
        key = re.search(r"([\w-]+)\s*=\s*\[?", after)
        if word[0].lower() in {"true", "false"}:
            help_text = f"write `{word[0].lower()}`"
            return reporter.at_mark("RAIL003", "TOML booleans are lower-case", whole, "not TOML", help_text)
        if re.match(r"[A-Za-z_./~-]", word[0]):
            quoted = f'`{key[1]} = "{word[0]}"`' if key else "the value in quotes"
            secret = redact(places.line(mark.line)) != places.line(mark.line)
            help_text = "take the secret out; this file names secrets only" if secret else f"write {quoted}"
            message = "string values need quotes"
            return reporter.at_mark("RAIL003", message, whole, "no quotes here", help_text)
    said = _PLACE.sub("", message)
    repeats_the_file = "'" in said and not said.startswith("Expected")
    plain = "" if repeats_the_file else f": {said[:1].lower()}{said[1:]}"
    return reporter.at_mark(
        "RAIL003", f"this is not valid TOML{plain}", mark, "here", "compare the line with its neighbours"
    )
