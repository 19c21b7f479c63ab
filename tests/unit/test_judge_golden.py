"""The judge's numbers are those of the design's reference implementation, to 1e-9."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from railiance.domain.betting import fine_value
from railiance.domain.judge import JudgeConfig, JudgeState, update
from railiance.domain.ports import GatewayReading, Sample

GOLDEN = Path(__file__).parent.parent / "golden" / "judge"
START = datetime(2026, 1, 1, tzinfo=UTC)


def readings(document: dict[str, Any]) -> Iterator[tuple[int, GatewayReading]]:
    """Yield weight and cumulated counters, beginning with a baseline of zero."""
    totals = [0, 0, 0, 0]
    at = START
    yield document["steps"][0]["weight"], reading(at, totals)
    for step in document["steps"]:
        for batch in step["batches"]:
            totals = [total + count for total, count in zip(totals, batch, strict=True)]
            at += timedelta(seconds=document["terms"]["seconds"])
            yield step["weight"], reading(at, totals)


def reading(at: datetime, totals: list[int]) -> GatewayReading:
    """Return a reading of one gateway pod."""
    canary = Sample("gw@start/canary", totals[0], totals[1])
    stable = Sample("gw@start/stable", totals[2], totals[3])
    return GatewayReading(
        at, complete=True, samples={"canary": (canary,), "stable": (stable,)}, pods=("gw@start",)
    )


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_values_equal_the_reference(path: Path) -> None:
    """Every capital after every reading equals the reference's, also across a change of weight."""
    document = json.loads(path.read_text())
    terms = document["terms"]
    config = JudgeConfig(
        interval=terms["seconds"],
        blip=terms["blip"],
        dispersion=terms["dispersion"],
        success_ratio_min=terms["success_ratio_min"],
    )
    state, rows = JudgeState(), []
    for number, (weight, seen) in enumerate(readings(document)):
        state = update(config, state, seen, weight)
        # A restart at every reading must not change a digit.
        state = JudgeState.from_json(json.loads(json.dumps(state.to_json())))
        if number:
            values = (state.worse, state.breach_canary, state.breach_stable)
            rows.append([values[0].value, fine_value(state.fine), values[1].value, values[2].value])
    assert len(rows) == len(document["values"])
    for mine, theirs in zip(rows, document["values"], strict=True):
        assert mine == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_every_case_is_there() -> None:
    """The comparison cannot be empty, and covers each kind of course."""
    names = {path.stem for path in GOLDEN.glob("*.json")}
    assert {"healthy", "outage", "late-fault", "both-bad", "one-blip", "two-steps", "bursts"} <= names
