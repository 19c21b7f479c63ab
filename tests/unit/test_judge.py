"""The verdict table of observation.md, section 7, row by row; and what closes a step."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from railiance.domain.hard_gates import Gates, GateSignal
from railiance.domain.judge import (
    Assessment,
    JudgeConfig,
    JudgeState,
    assess,
    rebase,
    stage_verdict,
    step_closed,
    update,
)
from railiance.domain.plan import Step
from railiance.domain.ports import GatewayReading, Sample
from railiance.domain.verdict import Verdict

START = datetime(2026, 1, 1, tzinfo=UTC)
CONFIG = JudgeConfig()
QUIET = Gates()


class Run:
    """A canary under traffic: counters that grow, readings every few seconds."""

    def __init__(self, config: JudgeConfig = CONFIG, weight: int = 20) -> None:
        self.config, self.weight, self.now = config, weight, START
        self.totals = {"canary": [0.0, 0.0], "stable": [0.0, 0.0]}
        self.state = update(config, JudgeState(), self.reading(), weight)

    def reading(self, *, complete: bool = True) -> GatewayReading:
        """Return the counters as they are."""
        samples = {track: (Sample(f"gw@x/{track}", *total),) for track, total in self.totals.items()}
        return GatewayReading(self.now, complete, samples, ("gw@x",))

    def go(
        self, times: int, canary: tuple[int, int], stable: tuple[int, int], *, complete: bool = True
    ) -> Assessment:
        """Let so much happen in each of the next readings, and return the last assessment."""
        for _ in range(times):
            self.now += timedelta(seconds=self.config.interval)
            for track, (requests, errors) in (("canary", canary), ("stable", stable)):
                self.totals[track][0] += requests
                self.totals[track][1] += errors
            self.state = update(self.config, self.state, self.reading(complete=complete), self.weight)
        return self.ask()

    def ask(self, gates: Gates = QUIET) -> Assessment:
        """Return the assessment now."""
        return assess(self.config, self.state, gates, self.now)


def test_gate_outranks_everything() -> None:
    """A failed hard gate is FAIL, whatever the counters say, and names its reason."""
    run = Run()
    run.go(100, (50, 0), (200, 0))
    said = run.ask(Gates(failures=(GateSignal("crash-loop", "web-1/web crashes again and again"),)))
    assert (said.verdict, said.code) == (Verdict.FAIL, "gate")
    assert "web-1/web" in said.reason


def test_worse_is_fail_with_numbers() -> None:
    """Evidence of 100 is FAIL, and the sentence has counts, shares and bounds of both tracks."""
    run = Run()
    said = run.go(4, (50, 50), (200, 0))
    assert (said.verdict, said.code) == (Verdict.FAIL, "worse")
    assert said.worse >= 100
    assert "canary failed 200 of 200 requests (100 %, surely over" in said.reason
    assert "stable 0 of 800 requests (0 %, surely under" in said.reason
    assert "fewer than 1% of rollouts" in said.reason


def test_only_errors_is_fail_never_no_data() -> None:
    """A canary that answers nothing but 5xx is called bad, not silent."""
    said = Run().go(10, (5, 5), (20, 0))
    assert said.verdict is Verdict.FAIL
    assert not said.no_data


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda run: setattr(run, "state", JudgeState()), "not been read yet"),
        (lambda run: setattr(run, "now", run.now + timedelta(seconds=16)), "16 s old"),
        (lambda run: run.go(1, (50, 0), (200, 0), complete=False), "could not be read"),
        (lambda run: run.go(12, (0, 0), (200, 0)), "no request for 60 s"),
    ],
    ids=["never-read", "stale", "incomplete", "idle-canary"],
)
def test_no_data_holds(spoil: object, words: str) -> None:
    """Missing, old, partial or silent counters are UNKNOWN and freeze the weight, however good it looked."""
    run = Run()
    run.go(100, (50, 0), (200, 0))
    spoil(run)  # type: ignore[operator]
    said = run.ask()
    assert (said.verdict, said.code, said.no_data, said.frozen) == (Verdict.UNKNOWN, "no-data", True, True)
    assert words in said.reason


def test_incomplete_readings_may_still_fail() -> None:
    """What the readable gateway pods show is evidence against the canary."""
    assert Run().go(6, (50, 50), (200, 0), complete=False).verdict is Verdict.FAIL


def test_unknown_gate_holds() -> None:
    """A pod that the platform takes away says nothing about the canary."""
    run = Run()
    run.go(100, (50, 0), (200, 0))
    said = run.ask(Gates(unknowns=(GateSignal("taken-away", "web-1 is taken away: EvictionByEvictionAPI"),)))
    assert (said.verdict, said.code, said.frozen) == (Verdict.UNKNOWN, "no-data", True)


def test_wrong_split_holds_from_200_requests_on() -> None:
    """Tracks that get other shares than set may not be compared."""
    run = Run(weight=20)
    assert not run.go(1, (80, 0), (80, 0)).split_off
    said = run.go(1, (80, 0), (80, 0))
    assert said.split_off
    assert (said.verdict, said.code) == (Verdict.UNKNOWN, "no-data")
    assert "50.0 % of 320 requests where 20 % were set" in said.reason


def test_both_bad_blames_nobody() -> None:
    """If stable breaks the bound as well, it is UNKNOWN; or FAIL where the contract says abort."""
    run = Run()
    said = run.go(20, (50, 10), (200, 40))
    assert (said.verdict, said.code, said.frozen) == (Verdict.UNKNOWN, "both-bad", True)
    abort = assess(replace(CONFIG, both_bad="abort"), run.state, QUIET, run.now)
    assert (abort.verdict, abort.code) == (Verdict.FAIL, "both-bad")


def test_suspicious_freezes() -> None:
    """A tenth of what decides is enough to stay where we are."""
    run = Run()
    said = run.go(1, (50, 8), (200, 0))
    assert (said.verdict, said.code, said.frozen) == (Verdict.UNKNOWN, "suspicious", True)


def test_stable_below_its_bound_blocks_unless_fix_forward() -> None:
    """A broken stable holds a healthy canary back, except where the candidate is the cure."""
    run = Run()
    run.go(100, (50, 0), (200, 30))
    assert run.ask().code == "suspicious"
    cure = assess(replace(CONFIG, fix_forward=True), run.state, QUIET, run.now)
    assert cure.verdict is Verdict.PASS


def test_too_early_is_unknown() -> None:
    """Nothing passes before `earliest`, and the weight schedule goes on."""
    said = Run().go(59, (50, 0), (200, 0))
    assert (said.verdict, said.code, said.frozen) == (Verdict.UNKNOWN, "too-early", False)


def test_enough_good_evidence_is_pass() -> None:
    """At 300 s with thousands of clean requests the canary may be promoted."""
    said = Run().go(60, (50, 0), (200, 0))
    assert (said.verdict, said.code) == (Verdict.PASS, "pass")
    assert said.fine >= 20
    assert said.needed == 0


def test_more_evidence_says_how_much() -> None:
    """Too few requests are UNKNOWN with an estimate in requests and minutes."""
    said = Run().go(120, (1, 0), (4, 0))
    assert (said.verdict, said.code) == (Verdict.UNKNOWN, "more-evidence")
    assert said.needed == 408 - 120
    assert (
        "120 canary requests, 0 failed; about 288 more are needed (about 24 min at this rate)" in said.reason
    )


def test_state_survives_a_restart() -> None:
    """The same readings give the same state, whether or not it went through JSON on the way."""
    one, two = Run(), Run()
    for times, canary in ((10, (50, 1)), (5, (50, 5))):
        one.go(times, canary, (200, 1))
        two.state = JudgeState.from_json(json.loads(json.dumps(two.state.to_json())))
        two.go(times, canary, (200, 1))
    assert one.state == two.state


def test_repeated_reading_changes_nothing() -> None:
    """A step that runs twice over the same reading has one reading's evidence."""
    run = Run()
    run.go(3, (50, 3), (200, 0))
    assert update(CONFIG, run.state, run.reading(), run.weight) is run.state


def test_merged_readings_say_the_same() -> None:
    """A missed reading costs time, not the verdict: the counters hold the sum."""
    fine_twice, fine_once = Run(), Run()
    fine_twice.go(60, (50, 0), (200, 0))
    fine_once.config = replace(CONFIG, interval=10.0)
    assert fine_once.go(30, (100, 0), (400, 0)).verdict is fine_twice.ask().verdict is Verdict.PASS
    bad_twice, bad_once = Run(), Run()
    bad_once.config = replace(CONFIG, interval=10.0)
    assert bad_twice.go(4, (50, 25), (200, 0)).verdict is Verdict.FAIL
    assert bad_once.go(3, (100, 50), (400, 0)).verdict is Verdict.FAIL


def test_evidence_runs_on_across_steps_and_counts_begin_anew() -> None:
    """A new weight keeps what is known and asks for its own window, samples and split."""
    run = Run(weight=20)
    before = run.go(30, (50, 0), (200, 0))
    run.weight = 50
    after = run.go(1, (100, 0), (150, 0))
    assert after.fine > before.fine
    assert run.state.step.canary_requests == 0
    assert run.state.step_seconds == 0
    run.go(2, (125, 0), (125, 0))
    assert run.state.step.canary_requests == 250
    assert run.state.total.canary_requests == 30 * 50 + 100 + 250


def test_rebase_skips_what_happened_unwatched() -> None:
    """A visit that goes on later does not judge the time in which no user was on the canary."""
    run = Run()
    run.go(10, (50, 0), (200, 0))
    before = run.state
    run.now += timedelta(hours=1)
    run.totals["stable"][0] += 100_000
    run.state = rebase(run.state, run.reading())
    assert (run.state.worse, run.state.step, run.state.seconds) == (before.worse, before.step, before.seconds)
    assert not run.go(1, (50, 0), (200, 0)).no_data
    assert run.state.step.stable_requests == 11 * 200


STEP = Step(weight=20, window=50.0, min_samples=100)


def closed(run: Run, step: Step = STEP, checks: Verdict = Verdict.PASS) -> tuple[bool, tuple[str, ...]]:
    """Return whether the step is closed now."""
    return step_closed(run.config, run.state, step, run.ask(), checks)


def test_step_closes_when_all_is_there() -> None:
    """Window over, samples seen, split right, nothing frozen, checks passed."""
    run = Run()
    run.go(10, (50, 0), (200, 0))
    assert closed(run) == (True, ())


@pytest.mark.parametrize("checks", [Verdict.UNKNOWN, Verdict.FAIL])
def test_step_stays_open_without_its_checks(checks: Verdict) -> None:
    """A check that did not pass keeps the step open."""
    run = Run()
    run.go(10, (50, 0), (200, 0))
    assert closed(run, checks=checks) == (False, (f"required checks: {checks}",))


def test_step_says_what_it_waits_for() -> None:
    """Each missing condition is named with its numbers."""
    run = Run()
    run.go(2, (2, 0), (8, 0))
    done, waiting = closed(run)
    assert not done
    assert waiting == ("window: 10 of 50 s", "canary requests: 4 of 100")
    assert closed(run, replace(STEP, weight=50))[1][0] == "the weight of this step is 50 %, watched is 20 %"


def test_frozen_step_stays_open() -> None:
    """While something is suspicious or missing, no step closes."""
    run = Run()
    run.go(20, (50, 0), (200, 0))
    run.go(1, (50, 0), (200, 0), complete=False)
    assert not closed(run)[0]


def test_contract_default_of_samples_applies() -> None:
    """A step that names no number of requests takes the analysis' number."""
    run = Run()
    run.go(10, (4, 0), (16, 0))
    assert closed(run, replace(STEP, min_samples=0))[1] == ("canary requests: 40 of 50",)


@pytest.mark.parametrize(
    ("rule", "canary", "steps", "verdict"),
    [
        ("evidence", (50, 0), True, Verdict.PASS),
        ("evidence", (1, 0), True, Verdict.UNKNOWN),
        ("samples", (1, 0), True, Verdict.PASS),
        ("samples", (1, 0), False, Verdict.UNKNOWN),
        ("evidence", (50, 0), False, Verdict.UNKNOWN),
        ("samples", (50, 50), True, Verdict.FAIL),
    ],
)
def test_stage_verdict(rule: str, canary: tuple[int, int], steps: bool, verdict: Verdict) -> None:
    """All steps closed and the pass rule met; `samples` asks for no statistical evidence, but FAIL stays FAIL."""
    run = Run(replace(CONFIG, pass_rule=rule))
    said = run.go(61, canary, (canary[0] * 4, 0))
    assert stage_verdict(run.config, run.state, said, steps_closed=steps) is verdict


def test_samples_rule_waits_for_earliest() -> None:
    """Also without statistics nothing passes before `earliest`."""
    run = Run(replace(CONFIG, pass_rule="samples", earliest=20.0))
    early = run.go(3, (50, 0), (200, 0))
    assert stage_verdict(run.config, run.state, early, steps_closed=True) is Verdict.UNKNOWN
    late = run.go(1, (50, 0), (200, 0))
    assert stage_verdict(run.config, run.state, late, steps_closed=True) is Verdict.PASS


def test_terms_come_from_the_contract() -> None:
    """The contract's defaults and ours are the same numbers."""
    rollout = pytest.importorskip("railiance_schema.rollout")
    assert JudgeConfig.of(rollout.Analysis(synthetic_path="/")) == CONFIG
