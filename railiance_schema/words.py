"""The words a contract may use where it must choose one of a few."""

from __future__ import annotations

from enum import StrEnum


class Criticality(StrEnum):
    """What it means to people when the app is down; decides the defaults of every safeguard."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


CRITICALITY_MEANS = {
    Criticality.LOW: "ordinary",
    Criticality.MEDIUM: "users notice",
    Criticality.HIGH: "people cannot work",
    Criticality.CRITICAL: "forge, identity, state hub, database, object store, backup, ingress, policy",
}


class Artifact(StrEnum):
    """What the source revision is turned into."""

    IMAGE = "image"
    HELM_CHART = "helm-chart"
    BUNDLE = "bundle"


class DigestPolicy(StrEnum):
    """Whether the artifact must be pinned by digest before anything is applied."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    NONE = "none"


class RollbackStrategy(StrEnum):
    """How an earlier stable returns."""

    HELM_REVISION = "helm-revision"
    KNOWN_GOOD = "known-good"
    RESTORE = "restore"


class StageName(StrEnum):
    """The three stages, in their order."""

    STAGE1 = "stage1"
    STAGE2 = "stage2"
    STAGE3 = "stage3"


class Comparison(StrEnum):
    """How a reading is compared with its threshold: reading, sign, threshold."""

    LESS = "<"
    LESS_OR_EQUAL = "<="
    GREATER = ">"
    GREATER_OR_EQUAL = ">="
    EQUAL = "=="


class HelmMode(StrEnum):
    """What a helm check does with the chart; `dry-run` asks the API server and so cannot run in Stage 1."""

    TEMPLATE = "template"
    LINT = "lint"
    DRY_RUN = "dry-run"


class NoData(StrEnum):
    """What a promql check says when the query answers nothing; never PASS."""

    UNKNOWN = "unknown"
    FAIL = "fail"


class PromotionStrategy(StrEnum):
    """How a candidate becomes stable."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    RECREATE = "recreate"


class TrafficMode(StrEnum):
    """Whether users reach the canary track: never (isolated), or by weight."""

    ISOLATED = "isolated"
    WEIGHTED = "weighted"


class TrafficProvider(StrEnum):
    """Whose objects carry the weights."""

    TRAEFIK = "traefik"
    GATEWAY_API = "gateway-api"


class AnalysisSource(StrEnum):
    """Where the ingress's counters are read."""

    AUTO = "auto"
    GATEWAY = "gateway"
    PROMETHEUS = "prometheus"


class PassRule(StrEnum):
    """When Stage 2 may PASS: the judge says so, or enough samples without FAIL."""

    EVIDENCE = "evidence"
    SAMPLES = "samples"


class HoldOrAbort(StrEnum):
    """Keep the weight and ask for help, or return traffic at once."""

    HOLD = "hold"
    ABORT = "abort"


class OnUnknown(StrEnum):
    """What happens when the judge cannot tell."""

    EXTEND = "extend"
    ASK = "ask"
    ABORT = "abort"


class OnNoData(StrEnum):
    """What happens when the canary gets no traffic or its counters cannot be read."""

    HOLD = "hold"
    ABORT = "abort"
    SYNTHETIC = "synthetic"


class OnBakeFail(StrEnum):
    """What happens when the new stable fails in its bake."""

    ROLLBACK = "rollback"
    ASK = "ask"


class StatefulStrategy(StrEnum):
    """How Stage 2 proves an app with data."""

    SHADOW_CLONE = "shadow-clone"
    RECREATE_WITH_BACKUP = "recreate-with-backup"
    READ_ONLY_CANARY = "read-only-canary"


class Excluded(StrEnum):
    """Who may not approve."""

    REQUESTER = "requester"
    AUTHOR = "author"
    STAGE2_EXECUTOR = "stage2-executor"


class CommentRule(StrEnum):
    """Whether an approver must say why."""

    OPTIONAL = "optional"
    REQUIRED = "required"


class FreezeAction(StrEnum):
    """What a freeze rule does to its time."""

    DENY = "deny"
    ALLOW = "allow"
