"""The contract: `railiance/app.toml` as text in, models or findings out; no I/O, and nothing of railiance.

contract = load_contract(text)          # raises ContractError with everything that is wrong
contract.stages.stage2.release          # every default is resolved
contract.checks_of("stage1")            # ids turned into checks
findings = check_contract(text)         # errors and warnings, nothing raised
"""

from __future__ import annotations

from railiance_schema.app import (
    App,
    Contract,
    HealthEndpoint,
    Log,
    Metric,
    Rollback,
    SecretReference,
    Source,
    Stage,
)
from railiance_schema.checks import (
    Check,
    CommandCheck,
    HelmCheck,
    HttpCheck,
    KubernetesCheck,
    LogCheck,
    PromqlCheck,
    TcpCheck,
)
from railiance_schema.defaults import CRITICALITY_DEFAULTS, CriticalityDefaults
from railiance_schema.findings import ContractError, Finding, Label, Severity, render_json, render_text
from railiance_schema.load import check_contract, load_contract
from railiance_schema.logs import LogReference, parse_log_reference
from railiance_schema.rollout import Analysis, Bake, Header, Promotion, Step, Traffic, Trip
from railiance_schema.safeguards import Approvals, Freeze, FreezeRule, Group, Hook, Stateful, Upstream
from railiance_schema.scalars import format_duration, is_mutable, parse_duration
from railiance_schema.words import (
    AnalysisSource,
    Artifact,
    CommentRule,
    Comparison,
    Criticality,
    DigestPolicy,
    Excluded,
    FreezeAction,
    HelmMode,
    HoldOrAbort,
    NoData,
    OnBakeFail,
    OnNoData,
    OnUnknown,
    PassRule,
    PromotionStrategy,
    RollbackStrategy,
    StageName,
    StatefulStrategy,
    TrafficMode,
    TrafficProvider,
)

__all__ = [
    "CRITICALITY_DEFAULTS",
    "Analysis",
    "AnalysisSource",
    "App",
    "Approvals",
    "Artifact",
    "Bake",
    "Check",
    "CommandCheck",
    "CommentRule",
    "Comparison",
    "Contract",
    "ContractError",
    "Criticality",
    "CriticalityDefaults",
    "DigestPolicy",
    "Excluded",
    "Finding",
    "Freeze",
    "FreezeAction",
    "FreezeRule",
    "Group",
    "Header",
    "HealthEndpoint",
    "HelmCheck",
    "HelmMode",
    "HoldOrAbort",
    "Hook",
    "HttpCheck",
    "KubernetesCheck",
    "Label",
    "Log",
    "LogCheck",
    "LogReference",
    "Metric",
    "NoData",
    "OnBakeFail",
    "OnNoData",
    "OnUnknown",
    "PassRule",
    "Promotion",
    "PromotionStrategy",
    "PromqlCheck",
    "Rollback",
    "RollbackStrategy",
    "SecretReference",
    "Severity",
    "Source",
    "Stage",
    "StageName",
    "Stateful",
    "StatefulStrategy",
    "Step",
    "TcpCheck",
    "Traffic",
    "TrafficMode",
    "TrafficProvider",
    "Trip",
    "Upstream",
    "check_contract",
    "format_duration",
    "is_mutable",
    "load_contract",
    "parse_duration",
    "parse_log_reference",
    "render_json",
    "render_text",
]
