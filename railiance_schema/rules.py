"""Rules that look at more than one key, one small function each.

They read the filled document, not the models, so that they also speak about a file that has other mistakes.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from pydantic_core import PydanticCustomError

from railiance_schema.app import Path
from railiance_schema.defaults import STAGES, Filled
from railiance_schema.findings import Finding
from railiance_schema.limits import limit_findings
from railiance_schema.logs import parse_log_reference
from railiance_schema.report import At, Reporter, shown
from railiance_schema.risks import RISKS
from railiance_schema.scalars import INTERPOLATION, parse_duration
from railiance_schema.suggest import nearest

ID_TABLES: tuple[tuple[Path, str], ...] = (
    (("checks",), "id"),
    (("observability", "health_endpoints"), "name"),
    (("observability", "metrics"), "name"),
    (("observability", "logs"), "name"),
)


def rule_findings(filled: Filled, reporter: Reporter) -> list[Finding]:
    """Apply every rule."""
    return [finding for rule in RULES for finding in rule(filled, reporter)]


def stage_order(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Stage N enabled needs N-1 enabled."""
    for before, stage in pairwise(STAGES):
        if filled.enabled(stage) and not filled.enabled(before):
            also = (
                [At(("stages", before), f"{before} is switched off here")]
                if filled.get("stages", before)
                else []
            )
            yield reporter.error(
                "RAIL030",
                f"{stage} is enabled, {before} is not: stages cannot be skipped",
                At(("stages", stage), f"needs {before}"),
                *also,
                help=f"enable `[stages.{before}]`; in an emergency `railiance break-glass` is the path",
            )


def check_ids(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """An id that a list names must be found somewhere."""
    known = {identifier for identifier, _ in _ids(filled)}
    lists: list[Path] = [("stages", stage, "checks") for stage in STAGES]
    lists += [("bake", "checks"), ("rollback", "checks")]
    lists += [("traffic", "steps", at, "checks") for at, _ in filled.tables("traffic", "steps")]
    wanted = [(path, filled.get(*path)) for path in lists if path not in filled.origins]
    places: list[tuple[Path, object]] = [
        ((*path, at), item)
        for path, items in wanted
        if isinstance(items, list)
        for at, item in enumerate(items)
    ]
    for at, item in filled.tables("platform", "dependencies"):
        places.append((("platform", "dependencies", at, "check"), item.get("check")))
    for path, identifier in places:
        if isinstance(identifier, str) and identifier not in known:
            guess = nearest(identifier, known)
            message = f"no check, endpoint, metric or log is called {shown('checks', identifier)}"
            help_text = f'did you mean "{guess}"?' if guess else "declare it in `[[checks]]`, or take it out"
            yield reporter.error("RAIL031", message, At(path, "found nowhere", on="value"), help=help_text)


def unique_ids(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Ids are unique across the four tables, but an http check may bind to an endpoint, with no other url."""
    seen: dict[str, Path] = {}
    for identifier, path in _ids(filled):
        first = seen.setdefault(identifier, path)
        if first == path:
            continue
        if (
            first[0] == "checks"
            and path[1:2] == ("health_endpoints",)
            and filled.get(*first, "type") == "http"
        ):
            yield from _binding(filled, reporter, first, path)
            continue
        message = f"the id {shown('id', identifier)} is used twice"
        key = "id" if path[0] == "checks" else "name"
        first_key = "id" if first[0] == "checks" else "name"
        yield reporter.error(
            "RAIL036",
            message,
            At((*path, key), "again here", on="value"),
            At((*first, first_key), "first used here", on="value"),
            help="choose another; only an http check may carry the id of a health endpoint",
        )


def _binding(filled: Filled, reporter: Reporter, check: Path, endpoint: Path) -> Iterator[Finding]:
    own, bound = filled.text(*check, "url"), filled.text(*endpoint, "url")
    if own is not None and bound is not None and own != bound:
        yield reporter.error(
            "RAIL035",
            "the check binds to the health endpoint of its id, but has another `url`",
            At((*check, "url"), "another address", on="value"),
            At((*endpoint, "url"), "the endpoint's address", on="value"),
            help="leave `url` out here, or choose another id for the check",
        )


def _ids(filled: Filled) -> Iterator[tuple[str, Path]]:
    for table, key in ID_TABLES:
        for at, item in filled.tables(*table):
            if isinstance(item.get(key), str):
                yield item[key], (*table, at)


def releases(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """The canary must not overwrite stable."""
    two, three = ("stages", "stage2"), ("stages", "stage3")
    if not (filled.enabled("stage2") and filled.enabled("stage3")):
        return
    same_place = filled.get(*two, "namespace") == filled.get(*three, "namespace")
    release = filled.text(*two, "release")
    if same_place and release is not None and release == filled.text(*three, "release"):
        yield reporter.error(
            "RAIL032",
            f"stage2 and stage3 share {shown('release', release)}: the canary would overwrite stable",
            At((*two, "release"), "the canary", on="value"),
            At((*three, "release"), "stable", on="value"),
            help=f'did you mean `release = "{release}-canary"` in `[stages.stage2]`?',
        )
    if (
        filled.weighted
        and not same_place
        and filled.get(*two, "namespace")
        and filled.get(*three, "namespace")
    ):
        yield reporter.error(
            "RAIL037",
            "weighted traffic needs both tracks in one namespace",
            At((*two, "namespace"), "the canary", on="value"),
            At((*three, "namespace"), "stable", on="value"),
            help='use the namespace of stage3, or `mode = "isolated"` in `[traffic]`',
        )


def rollback_ability(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """An enabled stage3 needs a way back that can act on the artifact."""
    if not filled.enabled("stage3"):
        return
    stage = At(("stages", "stage3"), "stage3 is enabled here")
    if not isinstance(filled.get("rollback"), dict):
        help_text = 'add `[rollback]` with `strategy = "helm-revision"` and `verification = "…"`'
        yield reporter.error(
            "RAIL033", "stage3 is enabled without a `[rollback]` table", stage, help=help_text
        )
        return
    for key, meaning in (("strategy", "the way back"), ("verification", "how a person sees that it worked")):
        if filled.get("rollback", key) is None:
            message = f"`{key}` is missing in `[rollback]`; an enabled stage3 needs it"
            yield reporter.error(
                "RAIL022", message, At(("rollback", key), f"no `{key}`"), stage, help=f"`{key}`: {meaning}"
            )
    strategy, artifact = filled.get("rollback", "strategy"), filled.get("source", "artifact")
    at = At(("rollback", "strategy"), "cannot act on it", on="value")
    if strategy == "helm-revision" and artifact == "bundle":
        message = "`helm-revision` cannot bring back a bundle"
        also = At(("source", "artifact"), "the artifact", on="value")
        yield reporter.error("RAIL033", message, at, also, stage, help='use `strategy = "known-good"`')
    if strategy == "restore" and not isinstance(filled.get("stateful"), dict):
        message = "`restore` brings back data, but there is no `[stateful]` table that says how"
        yield reporter.error("RAIL033", message, at, stage, help="declare `[stateful]`, or use `known-good`")


def critical_approval(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Nobody switches off the approval of a critical app."""
    if filled.get("app", "criticality") != "critical":
        return
    for stage in ("stage2", "stage3"):
        if filled.get("stages", stage, "requires_approval") is False:
            yield reporter.error(
                "RAIL034",
                f"a critical app cannot go to {stage} without approval",
                At(("stages", stage, "requires_approval"), "must be true", on="value"),
                At(("app", "criticality"), "critical", on="value"),
                help="write `requires_approval = true`, or leave the key out",
            )


def data_and_traffic(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Two versions must not share one store, and what cannot be undone is not undone without asking."""
    strategy = filled.get("stateful", "strategy")
    if isinstance(filled.get("stateful"), dict) and filled.weighted and strategy != "read-only-canary":
        where = ("traffic", "mode") if ("traffic", "mode") not in filled.origins else ("traffic", "steps")
        yield reporter.error(
            "RAIL038",
            "an app with data cannot have weighted traffic: two versions would write to one store",
            At(where, "weights"),
            At(("stateful",), "data"),
            help="leave `[traffic]` isolated, or prove that the canary only reads (`read-only-canary`)",
        )
    if filled.get("rollback", "reversible") is False and filled.get("bake", "on_fail") == "rollback":
        yield reporter.error(
            "RAIL039",
            "a rollback that is not reversible cannot run by itself",
            At(("bake", "on_fail"), "by itself", on="value"),
            At(("rollback", "reversible"), "not reversible", on="value"),
            help='write `on_fail = "ask"`, or leave the key out',
        )
    names = {item.get("name") for _, item in filled.tables("platform", "dependencies")}
    database = filled.text("stateful", "database")
    if database is not None and database not in names:
        message = f"`database` names {shown('database', database)}, which is no dependency of this app"
        at = At(("stateful", "database"), "found nowhere", on="value")
        yield reporter.error("RAIL053", message, at, help="declare it in `[[platform.dependencies]]`")


def stage_content(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """An enabled stage1 has something to do; what only stage1 does stands only there."""
    one = ("stages", "stage1")
    if filled.enabled("stage1") and not filled.get(*one, "commands") and not filled.get(*one, "checks"):
        message = "stage1 is enabled, but has neither a command nor a check: it would prove nothing"
        yield reporter.error(
            "RAIL040", message, At(one, "nothing to do"), help='e.g. `commands = ["make test"]`'
        )
    for stage in ("stage2", "stage3"):
        if filled.get("stages", stage, "serve") is not None:
            message = f"`serve` has no meaning in {stage}"
            at = At(("stages", stage, "serve"), "only stage1 starts a local target")
            yield reporter.error("RAIL048", message, at, help="move it to `[stages.stage1]`, or take it out")


def traffic_steps(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Weights rise, and weighted traffic has a public host."""
    before: tuple[int, Path] | None = None
    for number, step in filled.tables("traffic", "steps"):
        weight, path = step.get("weight"), ("traffic", "steps", number, "weight")
        if not isinstance(weight, int):
            continue
        if before is not None and weight <= before[0]:
            message = f"the weights of the steps must rise: {weight} follows {before[0]}"
            also = At(before[1], "the step before", on="value")
            yield reporter.error(
                "RAIL041", message, At(path, "not higher", on="value"), also, help="put the steps in order"
            )
        before = (weight, path)
    if filled.weighted and filled.get("traffic", "host") is None:
        message = "`host` is missing in `[traffic]`; weighted traffic needs it"
        at = At(("traffic", "host"), "no `host`")
        yield reporter.error("RAIL022", message, at, help='`host`: public host name, e.g. "hello.example"')


def check_content(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """A command has one of two spellings; a bound has both of its halves."""
    for at, check in filled.tables("checks"):
        path: Path = ("checks", at)
        if check.get("type") == "command" and ("run" in check) == ("argv" in check):
            message = "a command check needs one of `run` and `argv`" + (
                ", not both" if "run" in check else ""
            )
            help_text = '`run = "tests/smoke.sh"`, or `argv = ["tests/smoke.sh"]`'
            yield reporter.error("RAIL043", message, At(path, "which command?"), help=help_text)
        if check.get("type") == "promql":
            yield from _bound(filled, reporter, path, may_lack=False)
        if check.get("type") == "kubernetes" and ("jsonpath" in check) != ("equals" in check):
            message = "`jsonpath` and `equals` need each other"
            yield reporter.error(
                "RAIL043", message, At(path, "only one of them"), help="give both, or neither"
            )
    for at, _ in filled.tables("observability", "metrics"):
        yield from _bound(filled, reporter, ("observability", "metrics", at), may_lack=True)


def _bound(filled: Filled, reporter: Reporter, path: Path, *, may_lack: bool) -> Iterator[Finding]:
    compare, threshold = filled.get(*path, "compare"), filled.get(*path, "threshold")
    relative = filled.get(*path, "stable_query") is not None
    if (compare is None) != (threshold is None):
        message = "`compare` and `threshold` need each other"
        yield reporter.error(
            "RAIL044", message, At(path, "only one of them"), help='e.g. `compare = "<"`, `threshold = 0.5`'
        )
    elif relative and threshold is not None:
        message = "a check has an absolute bound or a relative one, not both"
        yield reporter.error(
            "RAIL044", message, At(path, "two bounds"), help="drop `threshold` or `stable_query`"
        )
    elif not relative and threshold is None:
        if may_lack:
            message = "metric without a bound: recorded, never judged"
            help_text = "add `compare` and `threshold` if it should be able to stop a canary"
            yield reporter.warning("RAIL102", message, At(path, "no bound"), help=help_text)
        else:
            message = "a promql check needs a bound"
            help_text = "`compare` and `threshold`, or `stable_query` to compare with stable"
            yield reporter.error("RAIL044", message, At(path, "no bound"), help=help_text)


def log_references(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """A log reference must be readable as data, since it is never executed."""
    for at, item in filled.tables("observability", "logs"):
        reference = item.get("reference")
        if not isinstance(reference, str) or INTERPOLATION in reference or not reference.strip():
            continue
        try:
            parse_log_reference(reference)
        except ValueError as error:
            place = At(("observability", "logs", at, "reference"), "cannot be read", on="value")
            help_text = "e.g. `kubectl logs -n hello-web deploy/hello-web-canary`"
            yield reporter.error(
                "RAIL049", f"`reference` is not a plain `kubectl logs` line: {error}", place, help=help_text
            )


def group_members(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """An app is a member of its own group."""
    members, app_id = filled.get("group", "members"), filled.text("app", "id")
    if isinstance(members, list) and app_id is not None and app_id not in members:
        message = f"the group does not list this app ({shown('id', app_id)})"
        at = At(("group", "members"), "not among them", on="value")
        yield reporter.error("RAIL054", message, at, help="add it; every member's contract has the same list")


def analysis_bounds(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """Bounds that are compared with each other stand in the right order."""
    table = "analysis"
    for low, high in (("tolerance_abs", "worst_abs"), ("latency_tolerance_abs", "latency_worst_abs")):
        defaults = {
            "tolerance_abs": 0.001,
            "worst_abs": 0.01,
            "latency_tolerance_abs": 0.005,
            "latency_worst_abs": 0.02,
        }
        values = [
            filled.get(table, key) if filled.get(table, key) is not None else defaults[key]
            for key in (low, high)
        ]
        if all(isinstance(value, int | float) for value in values) and values[0] >= values[1]:
            message = f"`{low}` ({values[0]}) must be smaller than `{high}` ({values[1]})"
            said = low if filled.get(table, low) is not None else high
            also = At((table, high), "the unacceptable share", on="value")
            yield reporter.error(
                "RAIL055", message, At((table, said), "", on="value"), also, help="or nothing could ever pass"
            )
    earliest, latest = (
        _duration(filled, table, "earliest", "5m"),
        _duration(filled, table, "max_window", "2h"),
    )
    if earliest is not None and latest is not None and earliest > latest:
        message = "`earliest` lies behind `max_window`"
        said = "earliest" if filled.get(table, "earliest") is not None else "max_window"
        help_text = "the earliest PASS must be possible before the watch ends"
        yield reporter.error("RAIL055", message, At((table, said), "", on="value"), help=help_text)


def _duration(filled: Filled, table: str, key: str, default: str) -> timedelta | None:
    value = filled.get(table, key)
    try:
        return parse_duration(default if value is None else value)
    except PydanticCustomError:
        return None  # the model reports it


RULES = (
    stage_order,
    check_ids,
    unique_ids,
    releases,
    rollback_ability,
    critical_approval,
    data_and_traffic,
    stage_content,
    traffic_steps,
    check_content,
    log_references,
    group_members,
    analysis_bounds,
    limit_findings,
    *RISKS,
)
