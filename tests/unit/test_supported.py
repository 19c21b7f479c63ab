"""What a contract declares and a run would leave out is refused, never passed over in silence."""

from __future__ import annotations

import pytest

from railiance.domain.lifecycle import Verb
from railiance.domain.supported import unsupported
from railiance_schema import load_contract

PLAIN = """
schema_version = "railiance.app.v1"
app = { id = "shop", name = "Shop", repo = "team/shop", owner = "team", criticality = "medium", description = "A shop." }
source = { revision = "v1", artifact = "image", image = "registry.example/shop" }
rollback = { strategy = "known-good", verification = "It answers." }
[stages]
stage1 = { commands = ["true"] }
stage2 = { namespace = "shop", release = "shop-canary" }
stage3 = { namespace = "shop", release = "shop" }
"""
WEIGHTED = '[traffic]\nhost = "shop.example"\nsteps = [{ weight = 5, window = "1m", approval = true }]\n'
FREEZE = (
    '[freeze]\nrules = [{ name = "weekend", action = "deny", start = 2026-01-02T16:00:00, duration = "64h",'
    ' timezone = "UTC", reason = "Nobody on call." }]\n'
)


def codes(extra: str, verb: Verb = Verb.PROMOTE, criticality: str = "medium") -> list[str]:
    """Return the codes of the denials that a contract with an extra table gets."""
    text = PLAIN.replace('"medium"', f'"{criticality}"') + extra
    return [denial.code for denial in unsupported(load_contract(text), verb)]


def test_a_plain_canary_is_carried_out() -> None:
    """Nothing is refused that is done as declared."""
    assert codes("") == []


@pytest.mark.parametrize(
    "extra",
    [
        '[promotion]\nstrategy = "blue-green"\n',
        '[promotion]\nstrategy = "recreate"\n',
        WEIGHTED,
        '[analysis]\nlatency_max = "500ms"\n',
    ],
)
def test_what_would_be_left_out_is_refused(extra: str) -> None:
    """A strategy or safeguard that this version does not know closes the gate."""
    assert codes(extra) == ["DENY_NOT_SUPPORTED"]
    assert codes(extra, Verb.DEPLOY) == ["DENY_NOT_SUPPORTED"]


def test_a_member_of_a_group_is_not_promoted_alone() -> None:
    """All or nothing cannot be kept, so it is nothing; Stage 2 shows one member and is fine."""
    group = '[group]\nname = "forge"\norder = 1\nmembers = ["shop", "proxy"]\n'
    assert codes(group) == ["DENY_NOT_SUPPORTED"]
    assert codes(group, Verb.DEPLOY) == []


def test_a_calendar_that_cannot_be_read_is_closed() -> None:
    """A freeze that nobody can evaluate closes, but for a low app, where a freeze only warns."""
    assert codes(FREEZE) == ["DENY_FREEZE"]
    assert codes(FREEZE, criticality="low") == []


@pytest.mark.parametrize("extra", [WEIGHTED, FREEZE])
def test_going_back_is_never_refused_for_it(extra: str) -> None:
    """Whatever the contract declares, the way back stays open."""
    assert codes(extra, Verb.ROLLBACK) == []
