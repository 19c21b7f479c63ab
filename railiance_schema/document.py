"""Where each key of a file stands.

`tomllib` decides what is valid and what it means. This scanner only finds places, in text that is valid
(then it finds them all) or not (then it finds those before the mistake, and tells what was still open).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_LINE_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|' + r"'[^'\n]*'")
_BLOCK_STRING = re.compile(r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})", re.DOTALL)
_SCALAR = re.compile(r"[^,\]\}#\n]+")


@dataclass(frozen=True, slots=True)
class Mark:
    """A stretch of characters on one line: line and column from 1, and how many characters."""

    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class Declaration:
    """One place where a file says a key or a table: kind is `key`, `dotted`, `table` or `array`."""

    path: Path
    kind: str
    mark: Mark


@dataclass(slots=True)
class SourceMap:
    """Places of the keys and values of one file.

    Attributes:
        lines: The lines of the file.
        keys: Path → where the key, table header or list item begins.
        values: Path → where the value begins (its first line).
        headers: Paths of tables that have a header of their own.
        declarations: Every key and header in the order of the file, repeated ones too.
        open: Brackets that were still open where the scanner had to stop; the outermost first.
        stuck: Where it had to stop, None for a file read to its end.
    """

    lines: list[str]
    keys: dict[Path, Mark] = field(default_factory=dict)
    values: dict[Path, Mark] = field(default_factory=dict)
    headers: set[Path] = field(default_factory=set)
    declarations: list[Declaration] = field(default_factory=list)
    open: list[tuple[str, Mark]] = field(default_factory=list)
    stuck: Mark | None = None

    def key(self, path: Path) -> Mark:
        """Return where a key stands; for one that is not in the file, the nearest table around it."""
        while path:
            if path in self.keys:
                return self.keys[path]
            path = path[:-1]
        return Mark(1, 1, len(self.lines[0]) if self.lines else 0)

    def value(self, path: Path) -> Mark:
        """Return where a value stands; for one that is not in the file, as `key`."""
        return self.values.get(path) or self.key(path)

    def line(self, number: int) -> str:
        """Return one line, from 1; empty when there is no such line."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


class _StuckError(Exception):
    """The text is not TOML here; how far we came stands in the scanner."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.table: Path = ()
        self.counts: dict[Path, int] = {}
        self.starts = [0] + [match.end() for match in re.finditer("\n", text)]
        self.map = SourceMap(lines=text.split("\n"))

    def mark(self, start: int, end: int) -> Mark:
        row = bisect_right(self.starts, start) - 1
        line_end = self.starts[row + 1] - 1 if row + 1 < len(self.starts) else len(self.text)
        return Mark(row + 1, start - self.starts[row] + 1, max(min(end, line_end) - start, 0))

    def run(self) -> SourceMap:
        try:
            while True:
                self.skip(_BLANK)
                if self.at >= len(self.text):
                    return self.map
                self.statement()
        except (_StuckError, RecursionError):
            self.map.stuck = self.mark(self.at, self.at + 1)
            return self.map

    def skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise _StuckError
        self.at = match.end()
        return match[0]

    def expect(self, token: str) -> None:
        if not self.text.startswith(token, self.at):
            raise _StuckError
        self.at += len(token)

    def statement(self) -> None:
        if self.text.startswith("[", self.at):
            self.header()
        else:
            self.pair(self.table)
        self.skip(_SPACE)
        if self.at < len(self.text) and self.text[self.at] not in "#\n":
            raise _StuckError

    def header(self) -> None:
        start = self.at
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        parts = self.key_parts()
        self.expect("]]" if is_array else "]")
        whole = self.mark(start, self.at)
        path: Path = ()
        for index, (part, begin, end) in enumerate(parts):
            path = (*path, part)
            self.map.keys.setdefault(path, self.mark(begin, end))
            if index < len(parts) - 1 and path in self.counts:
                path = (*path, self.counts[path] - 1)
        self.map.declarations.append(Declaration(path, "array" if is_array else "table", whole))
        if is_array:
            number = self.counts.get(path, 0)
            self.counts[path] = number + 1
            path = (*path, number)
        self.map.keys[path] = whole
        self.map.headers.add(path)
        self.table = path

    def key_parts(self) -> list[tuple[str, int, int]]:
        parts = []
        while True:
            self.skip(_SPACE)
            start = self.at
            if self.text[start : start + 1] in {'"', "'"}:
                token = self.skip(_LINE_STRING)
                parts.append((_decode(token), start, self.at))
            else:
                parts.append((self.skip(_BARE), start, self.at))
            self.skip(_SPACE)
            if not self.text.startswith(".", self.at):
                return parts
            self.at += 1

    def pair(self, table: Path) -> None:
        parts = self.key_parts()
        path = table
        for index, (part, begin, end) in enumerate(parts):
            path = (*path, part)
            last = index == len(parts) - 1
            mark = self.mark(begin, end)
            self.map.keys.setdefault(path, mark)
            self.map.declarations.append(Declaration(path, "key" if last else "dotted", mark))
        self.expect("=")
        self.skip(_SPACE)
        self.value(path)

    def value(self, path: Path) -> None:
        start = self.at
        first = path not in self.map.values
        if first:  # known already while it is being read, in case the text ends in the middle of it
            self.map.values[path] = self.mark(start, start + 1)
        opener = self.text[start : start + 1]
        if opener == "[":
            self.array(path)
        elif opener == "{":
            self.inline_table(path)
        elif self.text.startswith(('"""', "'''"), start):
            self.skip(_BLOCK_STRING)
        elif opener in {'"', "'"}:
            self.skip(_LINE_STRING)
        else:
            token = self.skip(_SCALAR)
            self.at -= len(token) - len(token.rstrip())
        if first:
            self.map.values[path] = self.mark(start, self.at)

    def array(self, path: Path) -> None:
        self.opened("[")
        number = 0
        while True:
            self.skip(_BLANK)
            if self.text.startswith("]", self.at):
                break
            start = self.at
            item = (*path, number)
            self.value(item)
            self.map.keys.setdefault(item, self.mark(start, self.at))
            number += 1
            self.skip(_BLANK)
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect("]")
        self.map.open.pop()

    def inline_table(self, path: Path) -> None:
        self.opened("{")
        while True:
            self.skip(_BLANK)
            if self.text.startswith("}", self.at):
                break
            self.pair(path)
            self.skip(_BLANK)
            if not self.text.startswith(",", self.at):
                break
            self.at += 1
        self.expect("}")
        self.map.open.pop()

    def opened(self, bracket: str) -> None:
        self.map.open.append((bracket, self.mark(self.at, self.at + 1)))
        self.at += 1


def _decode(token: str) -> str:
    """Return what a quoted key means."""
    try:
        return str(tomllib.loads(f"k = {token}")["k"])
    except ValueError as error:
        raise _StuckError from error


def scan(text: str) -> SourceMap:
    """Find every place in a file.

    Args:
        text: The file, with newlines as single line feeds.
    """
    return _Scanner(text).run()


def dotted(path: Path) -> str:
    """Write a path the way people write keys: `checks[3].url`."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            name = part if _BARE.fullmatch(part) else f'"{part}"'
            written += f".{name}" if written else name
    return written
