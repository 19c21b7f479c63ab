"""Plaintext secrets: how they look, and how they are kept out of everything we print."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]

_WORD = r"(?:password|passwd|secret|token|api[_-]?key|private[_-]?key|passphrase)"
SHAPES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a PEM private key or certificate", re.compile(r"-----BEGIN [A-Z0-9 ]+-----(?:.|\n)*")),
    (
        "a kubeconfig",
        re.compile(
            r"\b(?:client-key-data|client-certificate-data|certificate-authority-data)\b.*", re.DOTALL
        ),
    ),
    ("a JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("a cloud access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{35}")),
    (
        "a forge or service token",
        re.compile(
            r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}"
            r"|xox[abeprs]-[A-Za-z0-9-]{10,}|npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|sk_live_[A-Za-z0-9]{16,}"
            r"|sk-[A-Za-z0-9_-]{32,}|dckr_pat_[A-Za-z0-9_-]{16,})"
        ),
    ),
    ("a Vault token", re.compile(r"\bhv[sb]\.[A-Za-z0-9_-]{16,}|\bs\.[A-Za-z0-9]{24}\b")),
    ("an age key", re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]+", re.IGNORECASE)),
    ("a bearer token", re.compile(r"\b[Bb]earer\s+(?!\$)[A-Za-z0-9._~+/=-]{8,}")),
    (
        "a password in a URL",
        re.compile(r"\b[a-z][a-z0-9+.-]{0,20}://(?![^/\s@]{0,200}\$)[^/\s:@\"']{0,200}:[^/\s@\"']{1,300}@"),
    ),
    ("a user and password", re.compile(r"(?:^|\s)(?:-u|--user)[= ]['\"]?(?!\$)[^\s:'\"]+:(?!\$)[^\s'\"]+")),
    (
        "a password given to --set",
        re.compile(
            rf"--set(?:-string)?[= ]\S{{0,200}}(?<!existing){_WORD}=(?!['\"]?\$)[^\s,]+", re.IGNORECASE
        ),
    ),
    (
        "a secret in a variable",
        re.compile(rf"(?<!existing){_WORD}[0-9]{{0,3}}=(?!['\"]?\$)['\"]?[^\s'\"]+", re.IGNORECASE),
    ),
)
UNWAIVABLE = frozenset({SHAPES[0][0], SHAPES[1][0]})
WAIVER = re.compile(r"#\s*railiance:\s*allow-secret-shape(?:\s+(?P<reason>\S.*))?$")

_NAMED = re.compile(rf"(?:^|[_-]){_WORD}$", re.IGNORECASE)
_KNOWN_KEYS = frozenset({"tls_secret"})
_HARMLESS = re.compile(
    r"sha256:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|[A-Z][A-Za-z]+/[-a-z0-9.]+|promql:.*|\$\w+|\$\{.*\}|\$\(.*\)",
    re.DOTALL | re.IGNORECASE,
)
_NAMED_LINE = re.compile(
    rf"""(?P<key>(?<!tls_){_WORD}["']?\s{{0,40}}=\s{{0,40}})(?P<value>[^\s=].*)""", re.IGNORECASE
)
_LONG_BLOB = re.compile(  # as in the middle of a PEM block; words, digests and paths have no such mixture
    r"(?<![A-Za-z0-9+/_=-])(?=[A-Za-z0-9+/_=-]*[A-Z])(?=[A-Za-z0-9+/_=-]*[0-9])[A-Za-z0-9+/_=-]{40,}"
)
REDACTED = "<redacted>"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A value that looks like a secret.

    Attributes:
        path: The key that holds it.
        kind: What it looks like.
        length: Its length in characters.
        waivable: Whether a comment on the line may allow it.
    """

    path: Path
    kind: str
    length: int
    waivable: bool


def redact(text: str) -> str:
    """Return a line with everything that looks like a secret replaced; shapes only, so digests stay."""
    for _, shape in SHAPES:
        text = shape.sub(REDACTED, text)
    text = _NAMED_LINE.sub(lambda match: f'{match["key"]}"{REDACTED}"', text)
    return _LONG_BLOB.sub(REDACTED, text)


def looks_secret(key: str, value: str) -> bool:
    """Say whether a value must not be shown: by its shape, or by the name of its key."""
    return _kind(key, value) is not None


def sightings(document: Any) -> Iterator[Sighting]:
    """Yield every string of a parsed file that looks like a secret."""
    for path, value in strings(document):
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        kind = _kind(key, value) or _kind_beside_name(document, path, value)
        if kind is not None:
            yield Sighting(path, kind, len(value), kind not in UNWAIVABLE)
    for path in _keys(document):
        kind = _kind("", str(path[-1]))
        if kind is not None:
            yield Sighting(path, kind, len(str(path[-1])), waivable=False)


def strings(
    node: Any, path: Path = (), *, stop: Callable[[Path], bool] | None = None
) -> Iterator[tuple[Path, str]]:
    """Yield every string below a node with its path."""
    if stop is not None and stop(path):
        return
    if isinstance(node, str):
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from strings(value, (*path, key), stop=stop)
    elif isinstance(node, list):
        for at, value in enumerate(node):
            yield from strings(value, (*path, at), stop=stop)


def _keys(node: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every key below a node."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in pairs:
        if isinstance(key, str):
            yield (*path, key)
        yield from _keys(value, (*path, key))


def _kind(key: str, value: str) -> str | None:
    if not value.strip() or _HARMLESS.fullmatch(value.strip()):
        return None
    for kind, shape in SHAPES:
        if shape.search(value):
            return kind
    if key not in _KNOWN_KEYS and _NAMED.search(key):
        return f"a literal value of a key called `{key}`"
    return None


def _kind_beside_name(document: Any, path: Path, value: str) -> str | None:
    """Judge `value` in `{ name = "…token", value = "…" }` by its entropy."""
    if not path or path[-1] != "value" or len(value) < 20 or _HARMLESS.fullmatch(value):
        return None
    node = document
    for part in path[:-1]:
        node = node[part]
    name = node.get("name")
    if isinstance(name, str) and _NAMED.search(name) and entropy(value) > 4.5:
        return "a random value beside a secret's name"
    return None


def entropy(text: str) -> float:
    """Return the Shannon entropy of a text in bits per character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())
