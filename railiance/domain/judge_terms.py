"""The terms of an analysis: what the contract says about judging, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from railiance_schema.rollout import Analysis


@dataclass(frozen=True, slots=True)
class JudgeConfig:
    """The terms of one analysis, with the contract's defaults.

    Attributes:
        interval: Seconds between readings.
        earliest: Seconds of watching before a PASS.
        blip: Seconds of canary-only trouble that are forgiven.
        success_ratio_min: The absolute bound; the tracks may fail 1 minus this share.
        tolerance_ratio: Acceptable is up to this multiple of stable's error share …
        tolerance_abs: … plus this share.
        worst_abs: Unacceptable is from the multiple plus this share on.
        false_alarm: Bound on the chance to fail an acceptable canary in a whole rollout.
        false_pass: Bound on the chance to pass an unacceptable one.
        dispersion: Size of clusters of dependent requests.
        split_tolerance: Factor by which observed odds may differ from planned odds.
        min_samples: Canary requests per step, where the step says nothing else.
        pass_rule: `evidence` or `samples`.
        both_bad: `hold` or `abort` when both tracks break the absolute bound.
        fix_forward: A stable below its bound does not block.
        restart_limit: Restarts a canary container may have.
    """

    interval: float = 5.0
    earliest: float = 300.0
    blip: float = 10.0
    success_ratio_min: float = 0.99
    tolerance_ratio: float = 1.5
    tolerance_abs: float = 0.001
    worst_abs: float = 0.01
    false_alarm: float = 0.01
    false_pass: float = 0.05
    dispersion: float = 1.0
    split_tolerance: float = 1.5
    min_samples: int = 50
    pass_rule: str = "evidence"  # noqa: S105 - a rule to pass by, no password
    both_bad: str = "hold"
    fix_forward: bool = False
    restart_limit: int = 0

    @classmethod
    def of(cls, analysis: Analysis, split_tolerance: float = 1.5) -> JudgeConfig:
        """Return the terms from the contract's tables `[analysis]` and `[traffic]`."""
        return cls(
            interval=analysis.interval.total_seconds(),
            earliest=analysis.earliest.total_seconds(),
            blip=analysis.blip.total_seconds(),
            success_ratio_min=analysis.success_ratio_min,
            tolerance_ratio=analysis.tolerance_ratio,
            tolerance_abs=analysis.tolerance_abs,
            worst_abs=analysis.worst_abs,
            false_alarm=analysis.false_alarm,
            false_pass=analysis.false_pass,
            dispersion=analysis.dispersion,
            split_tolerance=split_tolerance,
            min_samples=analysis.min_samples,
            pass_rule=str(analysis.pass_rule),
            both_bad=str(analysis.both_bad),
            fix_forward=analysis.fix_forward,
            restart_limit=analysis.restart_limit,
        )
