"""The base of every table of a contract."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Table(BaseModel):
    """One table of `app.toml`: frozen, strictly typed, closed to keys it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, populate_by_name=True, defer_build=True
    )

    @model_validator(mode="before")
    @classmethod
    def _without_extensions(cls, data: Any) -> Any:
        """Leave out `x-…`: room for other tools, legal in every table, of no meaning to us."""
        if isinstance(data, dict) and any(isinstance(key, str) and key.startswith("x-") for key in data):
            return {key: value for key, value in data.items() if not key.startswith("x-")}
        return data


def derived(rule: str) -> dict[str, Any]:
    """Mark a key that may be left out because `defaults.py` computes it; `rule` tells people how."""
    return {"x-railiance-default": rule}
