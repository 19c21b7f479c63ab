"""What every task that reaches the target has in common: nothing is cached, and only an outage is retried."""

from __future__ import annotations

from typing import Any

from prefect.cache_policies import NO_CACHE

from railiance.domain.errors import Unavailable


def only_unavailable(_task: Any, _run: Any, state: Any) -> bool:
    """Tell whether a failed task may be tried again: an outage may pass, a no stays a no."""
    try:
        state.result(raise_on_failure=True)
    except Unavailable:
        return True
    except BaseException:  # noqa: BLE001 - whatever else it was, it is not an outage
        return False
    return False


ONCE: dict[str, Any] = {"cache_policy": NO_CACHE}
"""For tasks that only look, or that must not be repeated by themselves."""

RETRIED: dict[str, Any] = {
    "cache_policy": NO_CACHE,
    "retries": 3,
    "retry_delay_seconds": 2,
    "retry_condition_fn": only_unavailable,
}
"""For tasks that look before they act, so that trying again is safe."""
