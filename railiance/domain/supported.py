"""What a contract may declare and this version does not carry out: refused, never passed over in silence."""

from __future__ import annotations

from collections.abc import Iterable

from railiance.domain.denial import Denial
from railiance.domain.lifecycle import Verb
from railiance_schema import Contract

_HELP = "take it out of railiance/app.toml, or wait for the version that carries it out"


def unsupported(contract: Contract, verb: Verb) -> list[Denial]:
    """Return a denial for each declared safeguard or strategy that the run would silently leave out.

    Going back is never refused for it.

    Args:
        contract: The contract.
        verb: What is about to be done.
    """
    if verb is Verb.ROLLBACK:
        return []
    return [
        Denial("DENY_NOT_SUPPORTED", f"this version does not carry out {what}", _HELP)
        for what in _found(contract, verb)
    ] + _freeze(contract)


def _found(contract: Contract, verb: Verb) -> Iterable[str]:
    strategy = str(contract.promotion.strategy)
    if strategy != "canary":
        yield f'promotion.strategy = "{strategy}"'
    if contract.stateful is not None:
        yield "[stateful]: without it the data would be at risk"
    if any(step.approval for step in contract.traffic.steps):
        yield "a question in mid-step (approval = true in [[traffic.steps]])"
    if contract.analysis.latency_max is not None:
        yield "a latency bound (analysis.latency_max)"
    if contract.group is not None and verb is Verb.PROMOTE:
        yield "[group]: its members would not be promoted all or nothing"


def _freeze(contract: Contract) -> list[Denial]:
    """Return a closed calendar where one is declared: a rule that cannot be evaluated is closed.

    A freeze only warns for a low app, so there it keeps nothing closed.
    """
    if not contract.freeze.rules or str(contract.app.criticality) == "low":
        return []
    names = ", ".join(rule.name for rule in contract.freeze.rules)
    why = f"this version cannot evaluate freeze rules ({names}), so the calendar counts as closed"
    return [Denial("DENY_FREEZE", why, _HELP)]
