"""The contract as others see it: defaults, checks, origins."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from railiance_schema import (
    CRITICALITY_DEFAULTS,
    ContractError,
    Criticality,
    HelmCheck,
    HttpCheck,
    KubernetesCheck,
    LogCheck,
    LogReference,
    PromqlCheck,
    TrafficMode,
    check_contract,
    format_duration,
    is_mutable,
    load_contract,
    parse_duration,
    parse_log_reference,
)
from railiance_schema.load import examine
from railiance_schema.resolved import resolved_values
from railiance_schema.words import StageName

VALID = Path(__file__).parents[2] / "golden" / "app-toml" / "valid"
APP = """schema_version = "railiance.app.v1"
app = {{ id = "web", name = "Web", repo = "a/web", owner = "us", criticality = "{criticality}", description = "x" }}
source = {{ revision = "v1", artifact = "image" }}
rollback = {{ strategy = "helm-revision", verification = "look" }}
[stages]
stage1 = {{ commands = ["true"] }}
stage2 = {{ namespace = "web" }}
stage3 = {{ namespace = "web" }}
"""


FREEZE_WITH_OFFSET = """[[freeze.rules]]
name = "a"
action = "deny"
start = 2026-01-01T00:00:00Z
duration = "1h"
timezone = "UTC"
reason = "r"
"""


def app(criticality: str = "low", more: str = "") -> str:
    """Return a small legal contract with more tables behind it."""
    return APP.format(criticality=criticality) + more


def codes(text: str) -> list[str]:
    """Return the codes of all findings."""
    return [finding.code for finding in check_contract(text)]


def test_defaults_of_names_and_files() -> None:
    """What the file leaves out follows from the id, the stage and the other tables."""
    contract = load_contract(app())
    stages = contract.stages
    assert stages.stage1 is not None
    assert stages.stage2 is not None
    assert stages.stage3 is not None
    assert [stage.release for stage in (stages.stage1, stages.stage2, stages.stage3)] == [
        "web-local",
        "web-canary",
        "web",
    ]
    assert stages.stage1.namespace == "local"
    assert stages.stage2.chart == "charts/web"
    assert stages.stage1.values == ("values/stage1.yaml",)
    assert stages.stage2.values == ("values/stage2-canary.yaml",)
    assert stages.stage3.values == ("values/stage3-production.yaml",)
    assert (contract.traffic.stable_service, contract.traffic.canary_service) == ("web", "web-canary")
    assert contract.traffic.mode is None
    assert contract.traffic.route == "web"
    assert contract.rollback is not None
    assert contract.rollback.command == "bin/railiance rollback web"
    assert contract.bake.on_fail == "rollback"
    assert contract.source.digest_policy == "optional"


@pytest.mark.parametrize("criticality", list(Criticality))
def test_safeguards_follow_criticality(criticality: Criticality) -> None:
    """Every default that depends on criticality is that of its column."""
    contract, column = load_contract(app(criticality)), CRITICALITY_DEFAULTS[criticality]
    assert contract.stages.stage1 is not None
    assert contract.stages.stage2 is not None
    assert contract.bake.duration == column.bake
    assert contract.promotion.standby is column.standby
    assert contract.stages.stage1.max_age == column.stage1_max_age
    assert contract.stages.stage2.max_age == column.stage2_max_age
    assert contract.stages.stage2.soak == column.soak
    assert contract.stages.stage2.requires_approval is (criticality is Criticality.CRITICAL)
    assert contract.stages.stage1.requires_approval is False
    assert contract.approvals.stage2 == column.people_stage2
    assert contract.approvals.stage3 == column.people_stage3
    assert contract.approvals.roles == column.roles
    assert contract.approvals.exclude == column.exclude
    assert contract.approvals.lifetime == column.lifetime


def test_the_table_of_safeguards() -> None:
    """Safeguards never get weaker as criticality rises, and hold the values that the lifecycle fixes."""
    columns = [CRITICALITY_DEFAULTS[criticality] for criticality in Criticality]
    assert [column.bake for column in columns] == [timedelta(minutes=m) for m in (5, 15, 30, 60)]
    assert [column.people_stage3 for column in columns] == [1, 1, 1, 2]
    assert [column.lifetime for column in columns] == [timedelta(hours=h) for h in (24, 24, 8, 4)]
    assert [column.stage1_max_age.days for column in columns] == [30, 14, 7, 3]
    assert [column.soak for column in columns] == [timedelta(minutes=m) for m in (0, 15, 60, 240)]
    assert [set(column.exclude) for column in columns] == sorted((set(c.exclude) for c in columns), key=len)


def test_an_approval_that_a_stage_asks_for_needs_a_person() -> None:
    """`requires_approval = true` makes at least one person necessary."""
    text = app().replace(
        'stage2 = { namespace = "web" }', 'stage2 = { namespace = "web", requires_approval = true }'
    )
    assert load_contract(text).approvals.stage2 == 1


def test_only_four_keys_are_inherited_and_lists_replace() -> None:
    """Stages take timeout, cluster, chart and the folder of values from [stages.defaults], nothing else."""
    contract = load_contract(
        app(more='defaults = { timeout = "1m", cluster = "c", chart = "x", values_dir = "v/" }\n')
    )
    assert contract.stages.stage2 is not None
    stage = contract.stages.stage2
    assert (stage.timeout, stage.cluster, stage.chart) == (timedelta(minutes=1), "c", "x")
    assert stage.values == ("v/stage2-canary.yaml",)


def test_the_examples_resolve_as_the_design_says() -> None:
    """A stateless app with steps is weighted and inherits; a stateful one is recreated and asks."""
    web = load_contract((VALID / "stateless-high.toml").read_bytes())
    assert web.traffic.mode is TrafficMode.WEIGHTED
    assert [step.min_samples for step in web.traffic.steps] == [50, 300, 50]
    assert web.traffic.steps[0].checks == ("canary-health", "leak-scan")
    assert web.analysis.synthetic_path == "/health"
    assert web.freeze.rules[0].start == datetime(2026, 1, 2, 16)  # noqa: DTZ001 - local time, its zone stands beside it
    forge = load_contract((VALID / "stateful-critical.toml").read_bytes())
    assert (forge.promotion.strategy, forge.bake.on_fail) == ("recreate", "ask")
    assert forge.stateful is not None
    assert forge.stateful.clone_namespace == "forgejo-shadow"
    assert forge.stateful.drill_max_age == timedelta(0)
    assert forge.upstream is not None


def test_checks_of_a_stage_resolve_ids_of_all_four_tables() -> None:
    """Checks, endpoints, metrics and logs come out as checks, in the order of the stage's list."""
    contract = load_contract((VALID / "everything.toml").read_bytes())
    found = contract.checks_of("stage2")
    assert [check.id for check in found] == [
        "cluster-health",
        "queue",
        "no-errors",
        "slow",
        "as-stable",
        "workloads",
    ]
    kinds = [HttpCheck, PromqlCheck, LogCheck, PromqlCheck, PromqlCheck, KubernetesCheck]
    assert [type(check) for check in found] == kinds
    assert isinstance(found[0], HttpCheck)
    assert (found[0].expected_status, found[0].required) == ((204,), False)
    assert isinstance(found[1], PromqlCheck)
    assert (found[1].query, found[1].threshold, found[1].judged) == ("max(queue_length)", 100.0, True)
    assert isinstance(found[3], PromqlCheck)
    assert found[3].for_ == timedelta(minutes=1)


def test_a_metric_without_a_bound_never_blocks() -> None:
    """A metric that is only recorded is an optional check without a judgement."""
    contract = load_contract((VALID / "existing.toml").read_bytes())
    metric = contract.check("request-rate", "stage2")
    assert isinstance(metric, PromqlCheck)
    assert (metric.required, metric.judged) == (False, False)


def test_a_check_binds_to_the_endpoint_of_its_id() -> None:
    """It inherits the address and may be optional."""
    check = load_contract((VALID / "stateless-high.toml").read_bytes()).check("local-health", "stage1")
    assert isinstance(check, HttpCheck)
    assert (check.url, check.required) == ("http://127.0.0.1:8080/health", False)


def test_helm_and_kubernetes_checks_take_from_the_stage_in_which_they_are_asked() -> None:
    """Chart, values and namespace default to those of the stage."""
    contract = load_contract(
        app(more='[[checks]]\nid = "h"\ntype = "helm"\n[[checks]]\nid = "k"\ntype = "kubernetes"\n')
    )
    chart = contract.check("h", "stage3")
    assert isinstance(chart, HelmCheck)
    assert (chart.chart, chart.values) == ("charts/web", ("values/stage3-production.yaml",))
    workloads = contract.check("k", "stage2")
    assert isinstance(workloads, KubernetesCheck)
    assert workloads.namespace == "web"
    with pytest.raises(KeyError):
        contract.check("nothing", "stage1")


def test_a_stage_that_is_off_is_no_stage() -> None:
    """`stage()` gives None for a missing table and for `enabled = false`; its checks are none."""
    contract = load_contract((VALID / "never-reject.toml").read_bytes())
    assert contract.stage("stage1") is not None
    assert contract.stage("stage2") is None
    assert contract.checks_of("stage2") == ()
    assert load_contract((VALID / "minimal.toml").read_bytes()).stage("stage3") is None


def test_the_digest_is_that_of_the_bytes() -> None:
    """One changed comment is another contract."""
    text = app()
    assert load_contract(text).digest == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert load_contract(text + "# x\n").digest != load_contract(text).digest


def test_what_the_file_says_itself_can_be_told_from_a_default() -> None:
    """A policy may set other times only where the contract says nothing."""
    contract = load_contract(app(more='[bake]\nduration = "1h"\n'))
    assert contract.declares("bake", "duration")
    assert not contract.declares("bake", "on_fail")
    assert not contract.declares("stages", "stage1", "soak")
    assert contract.declares("stages", "stage1", "commands", 0)


def test_a_contract_is_frozen() -> None:
    """Nobody changes a contract after it is read."""
    with pytest.raises(ValidationError):
        load_contract(app()).app.id = "other"  # type: ignore[misc]


def test_a_wrong_contract_raises_all_findings() -> None:
    """The error carries every finding, and its exit status tells an unreadable file from a wrong one."""
    with pytest.raises(ContractError) as caught:
        load_contract(app().replace('owner = "us"', 'owner = ""').replace('"image"', '"img"'))
    assert [finding.code for finding in caught.value.findings] == ["RAIL026", "RAIL024"]
    assert caught.value.exit_status == 1
    with pytest.raises(ContractError) as caught:
        load_contract(b"\xff\xfe")
    assert caught.value.exit_status == 2
    assert "UTF-8" in str(caught.value)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[app2]\n", ["RAIL020"]),
        ('[bake]\nduration = "1s"\n', []),
        ("[approvals]\nstage3 = 0\n", []),
        ('[approvals]\nexclude = ["author"]\n', []),
        ("[analysis]\nworst_abs = 0.0001\n", ["RAIL055"]),
        ('[analysis]\nearliest = "3h"\n', ["RAIL055"]),
        ('[analysis]\ninterval = "0"\n', ["RAIL025"]),
        ("[analysis]\nmin_samples = -1\n", ["RAIL025"]),
        ("[analysis]\ndispersion = nan\n", ["RAIL025"]),
        ("[analysis]\nsynthetic_rps = true\n", ["RAIL023"]),
        ("[traffic]\nport = 70000\n", ["RAIL025"]),
        ('[traffic]\nmode = "weighted"\n', ["RAIL022"]),
        ('[[checks]]\nid = "a"\n', ["RAIL022"]),
        ("checks = 5\n", ["RAIL021"]),
        ("[checks]\nid = 1\n", ["RAIL023"]),
        ('[[checks]]\nid = "a"\ntype = "http"\n', ["RAIL022"]),
        ('[[checks]]\nid = "a"\ntype = "http"\nurl = "ftp://x"\n', ["RAIL025"]),
        ('[[checks]]\nid = "a"\ntype = "http"\nurl = "http://x"\nexpected_status = [200, "x"]\n', ["RAIL023"]),
        (FREEZE_WITH_OFFSET, ["RAIL025"]),
        ('[[secrets.references]]\nname = "a"\nroute = "r"\ntarget = "ConfigMap/x"\n', ["RAIL024"]),
        ('[[secrets.references]]\nname = "a"\nroute = "r"\ntarget = "Secret"\n', ["RAIL025"]),
        ('[group]\nname = "g"\norder = 1\nmembers = ["other"]\n', ["RAIL054"]),
    ],
)  # fmt: skip
def test_rules_one_by_one(more: str, expected: list[str]) -> None:
    """Each added table gives exactly the findings that its rule names."""
    assert codes(app(more=more)) == expected


def test_a_misspelt_table_is_reported_once() -> None:
    """What only follows from a misspelt name is not said again."""
    assert codes(app().replace("[stages]", "[stagess]")) == ["RAIL020"]


@pytest.mark.parametrize("text", ["", "[", "a = [" * 3000, "x = 1" + "0" * 5000, "\0", "\ufeff", "a = 'b\n"])
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever the file holds, the answer is findings, never a traceback and never a pass."""
    assert any(finding.is_error for finding in check_contract(text))
    assert any(finding.is_error for finding in check_contract(text.encode()))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5ms", timedelta(milliseconds=5)),
        ("90s", timedelta(seconds=90)),
        ("2d", timedelta(days=2)),
        ("0s", timedelta(0)),
    ],
)
def test_durations_are_read_and_written(text: str, value: timedelta) -> None:
    """A duration means the same after a round trip."""
    assert parse_duration(text) == value
    assert parse_duration(format_duration(value)) == value


def test_mutable_revisions() -> None:
    """Branches move; commits, tags and versions do not."""
    assert all(is_mutable(text) for text in ("git:main", "main", "git:feature/x", "refs/heads/v1", "latest"))
    fixed = (
        "v1.4.0",
        "1.2",
        "git:v1.4.0",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        "git:refs/tags/x",
        "refs/tags/y",
    )
    assert not any(is_mutable(text) for text in fixed)


def test_log_references_are_data() -> None:
    """A kubectl line becomes an object, a namespace and limits; a second command is refused."""
    line = "kubectl logs -n web deploy/web-canary -c app --since=1h30m --tail 50"
    expected = LogReference("Deployment", "web-canary", "", "web", "app", timedelta(minutes=90), 50)
    assert parse_log_reference(line) == expected
    assert parse_log_reference("kubectl logs -l app=web").selector == "app=web"
    for bad in (
        "kubectl logs x | sh",
        "kubectl get pods",
        "kubectl logs",
        "kubectl logs $(x)",
        "kubectl logs foo/bar",
    ):
        with pytest.raises(ValueError, match="it "):
            parse_log_reference(bad)


def test_explain_tells_where_each_value_comes_from() -> None:
    """A value comes from a line of the file, a default, criticality, or another key."""
    text = app(
        "high",
        'defaults = { timeout = "1m" }\nx-note = 1\n[traffic]\nsteps = [{ weight = 5, window = "1m" }]\nhost = "h"\n',
    )
    values = {value.key: value for value in resolved_values(examine(text), "app.toml")}
    assert values["app.id"].origin == "app.toml:2"
    assert values["bake.duration"].origin == "criticality"
    assert values["bake.duration"].value == "30m"
    assert values["stages.stage2.timeout"].origin == "inherited from stages.defaults.timeout"
    assert values["traffic.path"].origin == "default"
    assert values["traffic.steps[0].weight"].origin == "app.toml:12"
    assert values["traffic.mode"].origin == "default, because steps are declared"
    assert values["stages.x-note"].origin == "app.toml:10, ignored"


def test_explain_fills_in_a_stage_without_showing_variables() -> None:
    """`--stage` shows expressions filled in, but names of variables instead of their values."""
    text = app().replace('["true"]', '["echo ${{ app.id }}", "${{ env.CI }}"]')
    values = {v.key: v for v in resolved_values(examine(text), "f", StageName.STAGE1, {"CI": "hidden-value"})}
    assert "hidden-value" not in str(values)
    assert "stages.stage2.release" not in values
