"""How a candidate meets its users: promotion, traffic, analysis and bake."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from railiance_schema.scalars import (
    Count,
    DnsLabel,
    Duration,
    Factor,
    HelmRelease,
    Host,
    Lax,
    Names,
    Port,
    Ratio,
    Text,
    UrlPath,
    parse_duration,
)
from railiance_schema.table import Table, derived
from railiance_schema.words import (
    AnalysisSource,
    HoldOrAbort,
    OnBakeFail,
    OnNoData,
    OnUnknown,
    PassRule,
    PromotionStrategy,
    TrafficMode,
    TrafficProvider,
)


class Promotion(Table):
    """How a candidate becomes stable."""

    strategy: Annotated[PromotionStrategy, Lax] = Field(
        description="Way of the promotion.",
        json_schema_extra=derived("recreate with [stateful], else canary"),
    )
    surge: bool = Field(
        default=True, description="Whether the canary track grows to full size while promoting."
    )
    standby: bool = Field(
        description="Whether the previous candidate is kept warm through the bake.",
        json_schema_extra=derived("by criticality"),
    )
    keep_canary: Duration = Field(
        default=parse_duration("24h"), description="How long canary pods stay after a PASS."
    )


class Header(Table):
    """A request header that leads to the canary at any weight."""

    name: Text = Field(description="Name of the header.")
    value: Text = Field(description="Value that leads to the canary.")


class Step(Table):
    """One weight, held for one window."""

    weight: Annotated[int, Field(ge=1, le=100)] = Field(
        description="Percent of requests to the canary track."
    )
    window: Duration = Field(description="How long the weight is held at least.")
    min_samples: Count = Field(
        description="Canary requests before the step may close.",
        json_schema_extra=derived("that of [analysis]"),
    )
    checks: Names = Field(
        description="Ids checked in this step.", json_schema_extra=derived("those of stage2")
    )
    approval: bool = Field(default=False, description="Whether a person confirms before this step.")


class Traffic(Table):
    """Where users' requests go."""

    mode: Annotated[TrafficMode, Lax] | None = Field(
        default=None,
        description="Whether users reach the canary; undeclared and without steps, the values file decides.",
        json_schema_extra=derived("weighted with steps, else the values file's, else isolated"),
    )
    provider: Annotated[TrafficProvider, Lax] = Field(
        default=TrafficProvider.TRAEFIK, description="Whose objects carry the weights."
    )
    host: Host | None = Field(default=None, description="Public host name; required if weighted.")
    path: UrlPath = Field(default="/", description="Path prefix.")
    route: DnsLabel = Field(description="Name of the route object.", json_schema_extra=derived("<id>"))
    tls_secret: DnsLabel | None = Field(default=None, description="Name of the TLS Secret.")
    gateway: Text | None = Field(default=None, description="Parent Gateway, `namespace/name`.")
    stable_service: HelmRelease = Field(
        description="Service of the stable track.", json_schema_extra=derived("release of stage3")
    )
    canary_service: HelmRelease = Field(
        description="Service of the canary track.", json_schema_extra=derived("release of stage2")
    )
    port: Port = Field(default=80, description="Port of both Services.")
    header: Header | None = Field(default=None, description="Private look at the canary; none = one per run.")
    split_tolerance: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=1.5, description="Factor by which observed odds may differ from planned odds."
    )
    drain: Duration = Field(
        default=parse_duration("30s"), description="Wait before a left track scales down."
    )
    steps: Annotated[tuple[Step, ...], Lax] = Field(default=(), description="Weights, strictly rising.")


class Trip(Table):
    """The wire that aborts at once when the canary answers almost nothing but errors."""

    enabled: bool = Field(default=True, description="Whether the wire is armed.")
    for_: Duration = Field(default=parse_duration("1s"), alias="for", description="How long it must be so.")
    min_failed: Annotated[int, Field(ge=1)] = Field(default=10, description="Failed requests at least.")
    share: Ratio = Field(default=0.95, description="Share of failed requests at least.")


class Analysis(Table):
    """How a canary is judged."""

    source: Annotated[AnalysisSource, Lax] = Field(
        default=AnalysisSource.AUTO, description="Where the ingress's counters are read."
    )
    interval: Duration = Field(default=parse_duration("5s"), description="Time between readings.")
    earliest: Duration = Field(default=parse_duration("5m"), description="Earliest PASS.")
    max_window: Duration = Field(default=parse_duration("2h"), description="Limit of `extend`.")
    success_ratio_min: Ratio = Field(default=0.99, description="Share of requests that must succeed.")
    latency_max: Duration | None = Field(default=None, description="Bound of the latency quantile.")
    latency_quantile: Ratio = Field(default=0.99, description="Quantile that `latency_max` bounds.")
    tolerance_ratio: Factor = Field(default=1.5, description="Acceptable error share: stable times this …")
    tolerance_abs: Ratio = Field(default=0.001, description="… plus this.")
    worst_abs: Ratio = Field(default=0.01, description="Unacceptable: stable times the ratio, plus this.")
    latency_tolerance_abs: Ratio = Field(default=0.005, description="As `tolerance_abs`, for slow requests.")
    latency_worst_abs: Ratio = Field(default=0.02, description="As `worst_abs`, for slow requests.")
    false_alarm: Ratio = Field(default=0.01, description="Chance to abort an acceptable canary.")
    false_pass: Ratio = Field(default=0.05, description="Chance to pass an unacceptable canary.")
    blip: Duration = Field(
        default=parse_duration("10s"), description="Length of a disturbance that is forgiven."
    )
    dispersion: Annotated[float, Field(ge=1, allow_inf_nan=False)] = Field(
        default=1.0, description="How much requests fail in bursts; 1 = independently."
    )
    trip: Trip = Field(default_factory=Trip, description="The wire that aborts at once.")
    restart_limit: Count = Field(default=0, description="Canary restarts that are still fine.")
    min_samples: Count = Field(default=50, description="Canary requests per step.")
    pass_rule: Annotated[PassRule, Lax] = Field(
        default=PassRule.EVIDENCE, description="When Stage 2 may PASS."
    )
    both_bad: Annotated[HoldOrAbort, Lax] = Field(
        default=HoldOrAbort.HOLD, description="If both tracks break the SLO."
    )
    slo_action: Annotated[HoldOrAbort, Lax] = Field(
        default=HoldOrAbort.HOLD, description="If only the canary breaks the SLO."
    )
    fix_forward: bool = Field(default=False, description="Whether a stable below its SLO does not block.")
    on_unknown: Annotated[OnUnknown, Lax] = Field(
        default=OnUnknown.ASK, description="If the judge cannot tell."
    )
    on_no_data: Annotated[OnNoData, Lax] = Field(
        default=OnNoData.HOLD, description="If there is nothing to judge."
    )
    hold_for: Duration = Field(
        default=parse_duration("30m"),
        description="How long UNKNOWN may hold before traffic returns to stable.",
    )
    synthetic_rps: Factor = Field(default=5.0, description="Synthetic requests per second.")
    synthetic_path: UrlPath = Field(
        description="Path of synthetic requests.",
        json_schema_extra=derived("path of the first health endpoint"),
    )


class Bake(Table):
    """The watch after a promotion."""

    duration: Duration = Field(
        description="Length of the watch.", json_schema_extra=derived("by criticality")
    )
    checks: Names = Field(description="Ids checked meanwhile.", json_schema_extra=derived("those of stage3"))
    on_fail: Annotated[OnBakeFail, Lax] = Field(
        description="What a FAIL leads to.", json_schema_extra=derived("rollback; ask if not reversible")
    )
