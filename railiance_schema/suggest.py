"""What a person probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def distance(one: str, other: str) -> int:
    """Return the Damerau-Levenshtein distance: insertions, deletions, changes, swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, char in enumerate(one, 1):
        new = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(row[j] + 1, new[j - 1] + 1, row[j - 1] + (char != wanted))
            if i > 1 and j > 1 and char == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            new.append(cost)
        before, row = row, new
    return row[-1]


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate within 2 edits, or a third of the word's length; None when all are farther.

    A candidate that the word merely abbreviates or lengthens counts too (`application` for `app`).
    """
    limit = max(2, len(word) // 3)
    if len(word) > 64:
        return None
    ranked = sorted((distance(word.lower(), candidate.lower()), candidate) for candidate in candidates)
    if ranked and ranked[0][0] <= limit and ranked[0][0] < len(word):
        return ranked[0][1]
    related = [
        name
        for _, name in ranked
        if min(len(name), len(word)) >= 3 and (name.startswith(word) or word.startswith(name))
    ]
    return related[0] if related else None
