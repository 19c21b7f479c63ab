"""Defaults that depend on other keys, filled in before the models are built.

Plain defaults stand in the models. Everything here is a pure function of the parsed file; a value of a
wrong type is left alone, for the models to refuse.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from railiance_schema.words import CommentRule, Criticality, Excluded

Path = tuple[str | int, ...]

STAGE_FILES = {"stage1": "stage1.yaml", "stage2": "stage2-canary.yaml", "stage3": "stage3-production.yaml"}
STAGES = tuple(STAGE_FILES)
INHERITED = ("timeout", "cluster", "chart")
BOUND = ("url", "expected_status", "host_header", "timeout", "stage", "required")


@dataclass(frozen=True, slots=True)
class CriticalityDefaults:
    """One column of the table of safeguards by criticality.

    Attributes:
        people_stage2: People before Stage 2 exposure.
        people_stage3: Distinct people before Stage 3.
        exclude: Who may not approve.
        roles: Roles of which one must be among the approvers; empty = any person of the trust file.
        lifetime: Life of a vote.
        comment: Whether an approver must say why.
        cooling_off: Wait after the last vote.
        cooling_off_one_person: The same where only one person exists.
        stage1_max_age: How long Stage 1 evidence counts.
        stage2_max_age: How long Stage 2 evidence counts.
        soak: Least age of a Stage 2 pass before Stage 3.
        bake: Watch after a promotion.
        standby: Whether the previous candidate is kept warm through the bake.
        samples_allowed: Whether `pass_rule = "samples"` is legal.
        drill_max_age: Greatest age of a restore drill; 0 = this run's own, None = no drill needed.
        freeze_closes: Whether a freeze closes the gate, or only warns.
        unsigned: Whether an unsigned approval counts: `always`, `declared` or `never`.
    """

    people_stage2: int
    people_stage3: int
    exclude: tuple[Excluded, ...]
    roles: tuple[str, ...]
    lifetime: timedelta
    comment: CommentRule
    cooling_off: timedelta
    cooling_off_one_person: timedelta
    stage1_max_age: timedelta
    stage2_max_age: timedelta
    soak: timedelta
    bake: timedelta
    standby: bool
    samples_allowed: bool
    drill_max_age: timedelta | None
    freeze_closes: bool
    unsigned: str


_NOTHING = timedelta(0)
_HALF_HOUR = timedelta(minutes=30)
CRITICALITY_DEFAULTS: Mapping[Criticality, CriticalityDefaults] = {
    Criticality.LOW: CriticalityDefaults(
        people_stage2=0,
        people_stage3=1,
        exclude=(),
        roles=(),
        lifetime=timedelta(hours=24),
        comment=CommentRule.OPTIONAL,
        cooling_off=_NOTHING,
        cooling_off_one_person=_NOTHING,
        stage1_max_age=timedelta(days=30),
        stage2_max_age=timedelta(days=7),
        soak=_NOTHING,
        bake=timedelta(minutes=5),
        standby=False,
        samples_allowed=True,
        drill_max_age=None,
        freeze_closes=False,
        unsigned="always",
    ),
    Criticality.MEDIUM: CriticalityDefaults(
        people_stage2=0,
        people_stage3=1,
        exclude=(Excluded.REQUESTER,),
        roles=("operator",),
        lifetime=timedelta(hours=24),
        comment=CommentRule.OPTIONAL,
        cooling_off=_NOTHING,
        cooling_off_one_person=_NOTHING,
        stage1_max_age=timedelta(days=14),
        stage2_max_age=timedelta(days=3),
        soak=timedelta(minutes=15),
        bake=timedelta(minutes=15),
        standby=False,
        samples_allowed=True,
        drill_max_age=None,
        freeze_closes=True,
        unsigned="declared",
    ),
    Criticality.HIGH: CriticalityDefaults(
        people_stage2=0,
        people_stage3=1,
        exclude=(Excluded.REQUESTER, Excluded.AUTHOR),
        roles=("release-owner",),
        lifetime=timedelta(hours=8),
        comment=CommentRule.REQUIRED,
        cooling_off=_NOTHING,
        cooling_off_one_person=_HALF_HOUR,
        stage1_max_age=timedelta(days=7),
        stage2_max_age=timedelta(hours=24),
        soak=timedelta(hours=1),
        bake=timedelta(minutes=30),
        standby=True,
        samples_allowed=False,
        drill_max_age=timedelta(days=7),
        freeze_closes=True,
        unsigned="never",
    ),
    Criticality.CRITICAL: CriticalityDefaults(
        people_stage2=1,
        people_stage3=2,
        exclude=(Excluded.REQUESTER, Excluded.AUTHOR, Excluded.STAGE2_EXECUTOR),
        roles=("release-owner",),
        lifetime=timedelta(hours=4),
        comment=CommentRule.REQUIRED,
        cooling_off=_NOTHING,
        cooling_off_one_person=_HALF_HOUR,
        stage1_max_age=timedelta(days=3),
        stage2_max_age=timedelta(hours=12),
        soak=timedelta(hours=4),
        bake=timedelta(hours=1),
        standby=True,
        samples_allowed=False,
        drill_max_age=_NOTHING,
        freeze_closes=True,
        unsigned="never",
    ),
}


class Filled:
    """A parsed file with its defaults filled in, and where each of them came from.

    Attributes:
        document: The file's data and the defaults, as one tree.
        origins: Path of each filled value → `default`, `criticality` or `inherited from …`.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document: dict[str, Any] = copy.deepcopy(dict(document))
        self.origins: dict[Path, str] = {}

    def get(self, *path: str | int) -> Any:
        """Return what stands at a path, or None."""
        node: Any = self.document
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return None
        return node

    def text(self, *path: str | int) -> str | None:
        """Return the string at a path, or None when there is none."""
        value = self.get(*path)
        return value if isinstance(value, str) else None

    def tables(self, *path: str | int) -> list[tuple[int, dict[str, Any]]]:
        """Return the tables of an array with their places, leaving out what is no table."""
        value = self.get(*path)
        return (
            [(at, item) for at, item in enumerate(value) if isinstance(item, dict)]
            if isinstance(value, list)
            else []
        )

    def enabled(self, stage: str) -> bool:
        """Say whether a stage has a table that does not switch it off."""
        return (
            isinstance(self.get("stages", stage), dict) and self.get("stages", stage, "enabled") is not False
        )

    @property
    def weighted(self) -> bool:
        """Whether the contract itself sends users to the canary by weight."""
        return bool(self.get("traffic", "mode") == "weighted")

    def put(self, path: Path, value: Any, origin: str = "default") -> None:
        """Set one value, unless the file says it itself or there is no table to hold it."""
        parent = self.get(*path[:-1])
        if isinstance(parent, dict) and path[-1] not in parent:
            parent[path[-1]] = value
            self.origins[path] = origin


def with_defaults(document: Mapping[str, Any]) -> Filled:
    """Fill in every default that depends on another key."""
    filled = Filled(document)
    for name in ("promotion", "traffic", "analysis", "bake", "approvals"):
        if name not in filled.document:
            filled.document[name] = {}
    app_id = filled.text("app", "id") or "app"
    safeguards = CRITICALITY_DEFAULTS[_criticality(filled)]
    _fill_stages(filled, app_id, safeguards)
    _fill_source_and_rollback(filled, app_id, safeguards)
    _bind_checks(filled)
    _fill_rollout(filled, app_id, safeguards)
    _fill_approvals(filled, safeguards)
    _fill_stateful(filled, safeguards)
    return filled


def _criticality(filled: Filled) -> Criticality:
    """Return the declared criticality; the strictest while it is unreadable (then it is refused)."""
    try:
        return Criticality(filled.text("app", "criticality") or "")
    except ValueError:
        return Criticality.CRITICAL


def _fill_stages(filled: Filled, app_id: str, safeguards: CriticalityDefaults) -> None:
    critical = filled.text("app", "criticality") == Criticality.CRITICAL
    releases = {"stage1": f"{app_id}-local", "stage2": f"{app_id}-canary", "stage3": app_id}
    folder = filled.text("stages", "defaults", "values_dir")
    for name, release in releases.items():
        at: Path = ("stages", name)
        for key in INHERITED:
            inherited = filled.get("stages", "defaults", key)
            if inherited is not None:
                filled.put((*at, key), inherited, f"inherited from stages.defaults.{key}")
        if name == "stage1":
            filled.put((*at, "namespace"), "local")
        elif filled.get(*at, "enabled") is False:
            filled.put((*at, "namespace"), app_id)
        filled.put((*at, "release"), release)
        filled.put((*at, "requires_approval"), critical and name != "stage1", "criticality")
        filled.put((*at, "chart"), f"charts/{app_id}")
        origin = "inherited from stages.defaults.values_dir" if folder else "default"
        filled.put((*at, "values"), [f"{(folder or 'values').rstrip('/')}/{STAGE_FILES[name]}"], origin)
        filled.put((*at, "cluster"), "default")
        filled.put((*at, "timeout"), timedelta(minutes=10))
        age = safeguards.stage1_max_age if name == "stage1" else safeguards.stage2_max_age
        filled.put((*at, "max_age"), age, "criticality")
        filled.put((*at, "soak"), safeguards.soak if name == "stage2" else _NOTHING, "criticality")


def _fill_source_and_rollback(filled: Filled, app_id: str, safeguards: CriticalityDefaults) -> None:
    policy = "optional" if safeguards.samples_allowed else "required"
    filled.put(("source", "digest_policy"), policy, "criticality")
    filled.put(("rollback", "command"), f"bin/railiance rollback {app_id}")
    filled.put(("rollback", "checks"), _checks_of(filled, "stage3"), "inherited from stages.stage3.checks")


def _checks_of(filled: Filled, stage: str) -> list[Any]:
    checks = filled.get("stages", stage, "checks")
    return list(checks) if isinstance(checks, list) else []


def _bind_checks(filled: Filled) -> None:
    """Let an http check with the id of a health endpoint take over what the endpoint says."""
    endpoints = {
        item["name"]: item
        for _, item in filled.tables("observability", "health_endpoints")
        if isinstance(item.get("name"), str)
    }
    for at, check in filled.tables("checks"):
        endpoint = endpoints.get(check["id"]) if isinstance(check.get("id"), str) else None
        if endpoint is None or check.get("type") != "http":
            continue
        for key in BOUND:
            if key in endpoint:
                origin = f"inherited from the endpoint {check['id']}"
                filled.put(("checks", at, key), endpoint[key], origin)


def _fill_rollout(filled: Filled, app_id: str, safeguards: CriticalityDefaults) -> None:
    stateful = isinstance(filled.get("stateful"), dict)
    filled.put(("promotion", "strategy"), "recreate" if stateful else "canary")
    filled.put(("promotion", "standby"), safeguards.standby, "criticality")
    if filled.get("traffic", "steps"):
        filled.put(("traffic", "mode"), "weighted", "default, because steps are declared")
    filled.put(("traffic", "route"), app_id)
    for track, stage, fallback in (("stable", "stage3", app_id), ("canary", "stage2", f"{app_id}-canary")):
        release = filled.text("stages", stage, "release")
        filled.put(
            ("traffic", f"{track}_service"), release or fallback, f"inherited from stages.{stage}.release"
        )
    declared = filled.get("analysis", "min_samples")
    for at, _ in filled.tables("traffic", "steps"):
        samples = 50 if declared is None else declared
        filled.put(("traffic", "steps", at, "min_samples"), samples, "inherited from analysis.min_samples")
        filled.put(
            ("traffic", "steps", at, "checks"),
            _checks_of(filled, "stage2"),
            "inherited from stages.stage2.checks",
        )
    filled.put(("analysis", "synthetic_path"), _first_health_path(filled))
    filled.put(("bake", "duration"), safeguards.bake, "criticality")
    filled.put(("bake", "checks"), _checks_of(filled, "stage3"), "inherited from stages.stage3.checks")
    reversible = filled.get("rollback", "reversible") is not False
    filled.put(("bake", "on_fail"), "rollback" if reversible else "ask")


def _first_health_path(filled: Filled) -> str:
    """Return the path of the first health endpoint of Stage 2, else of any stage, else `/`."""
    endpoints = [
        item
        for _, item in filled.tables("observability", "health_endpoints")
        if isinstance(item.get("url"), str)
    ]
    endpoints.sort(key=lambda item: item.get("stage") != "stage2")
    for endpoint in endpoints:
        try:
            return urlsplit(endpoint["url"]).path or "/"
        except ValueError:
            continue  # the model refuses this URL
    return "/"


def _fill_approvals(filled: Filled, safeguards: CriticalityDefaults) -> None:
    for stage, people in (("stage2", safeguards.people_stage2), ("stage3", safeguards.people_stage3)):
        asked = filled.get("stages", stage, "requires_approval") is True
        filled.put(("approvals", stage), max(people, 1 if asked else 0), "criticality")
    for key in ("roles", "exclude", "lifetime", "comment", "cooling_off"):
        value = getattr(safeguards, key)
        filled.put(("approvals", key), list(value) if isinstance(value, tuple) else value, "criticality")


def _fill_stateful(filled: Filled, safeguards: CriticalityDefaults) -> None:
    namespace = filled.text("stages", "stage3", "namespace") or filled.text("app", "id") or "app"
    filled.put(("stateful", "clone_namespace"), f"{namespace}-shadow")
    filled.put(("stateful", "drill_max_age"), safeguards.drill_max_age, "criticality")
