"""Plaintext secrets in the files around a contract; what a finding says never holds the secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from railiance_schema.secret_shapes import SHAPES, UNWAIVABLE, WAIVER, sightings

# Shapes that are secrets wherever they stand. The others need a context (`TOKEN=…`), which in scripts and
# pages is as often an example; in a values file the name of the key gives that context.
_ANYWHERE = SHAPES[:8]


@dataclass(frozen=True, slots=True)
class Leak:
    """A place that looks like a secret: the file, the line or key, and what it looks like."""

    path: str
    place: str
    kind: str

    def __str__(self) -> str:
        """Return the place and the kind, for people."""
        return f"{self.path}, {self.place}: {self.kind}"


def leaks_in(path: str, text: str) -> list[Leak]:
    """Return what looks like a plaintext secret in a file.

    Args:
        path: Path of the file; a YAML file that is no template is also judged by its keys' names.
        text: Its text. A line may waive with `# railiance: allow-secret-shape <reason>`, but not for keys.
    """
    found = [
        Leak(path, f"line {number}", kind)
        for number, line in enumerate(text.splitlines(), 1)
        for kind, shape in _ANYWHERE
        if shape.search(line) and not _waived(line, kind)
    ]
    if path.endswith((".yaml", ".yml")) and "/templates/" not in path:
        found += _in_values(path, text)
    return found


def _waived(line: str, kind: str) -> bool:
    waiver = WAIVER.search(line)
    return kind not in UNWAIVABLE and waiver is not None and bool(waiver["reason"])


def _in_values(path: str, text: str) -> list[Leak]:
    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return []  # what cannot be parsed is refused by helm; its lines were looked at above
    waived = [line for line in text.splitlines() if WAIVER.search(line)]
    leaks = []
    for sighting in sightings(document):
        key = str(sighting.path[-1]) if sighting.path else ""
        if not (sighting.waivable and any(line.strip().startswith(f"{key}:") for line in waived)):
            leaks.append(Leak(path, ".".join(str(part) for part in sighting.path), sighting.kind))
    return leaks
