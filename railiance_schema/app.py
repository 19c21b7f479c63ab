"""The contract as a whole, and its tables in the order of the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from railiance_schema.checks import (
    Check,
    DeclaredCheck,
    HelmCheck,
    HttpCheck,
    KubernetesCheck,
    LogCheck,
    PromqlCheck,
)
from railiance_schema.rollout import Analysis, Bake, Promotion, Traffic
from railiance_schema.safeguards import Approvals, Freeze, Group, Stateful, Upstream
from railiance_schema.scalars import (
    AppId,
    Count,
    Digest,
    DnsLabel,
    Duration,
    HelmRelease,
    Host,
    HttpUrl,
    Image,
    Lax,
    Name,
    Names,
    Number,
    PromqlReference,
    Regex,
    SecretTarget,
    Text,
    Texts,
    is_mutable,
    parse_duration,
)
from railiance_schema.table import Table, derived
from railiance_schema.words import (
    Artifact,
    Comparison,
    Criticality,
    DigestPolicy,
    RollbackStrategy,
    StageName,
)

Path = tuple[str | int, ...]
"""Where a value stands: keys and places in lists, from the root."""


class App(Table):
    """What the app is and who answers for it."""

    id: AppId = Field(description="Stable id; names the helm_releases.")
    name: Text = Field(description="Name for people.")
    repo: Text = Field(description="Slug of the source or overlay repository.")
    owner: Text = Field(description="Team, domain or operator group.")
    criticality: Annotated[Criticality, Lax] = Field(description="What an outage means to people.")
    description: Text = Field(description="What the app does.")


class Source(Table):
    """Where the app comes from, and what pins it."""

    revision: Text = Field(description="source_revision: commit, tag or immutable expression.")
    artifact: Annotated[Artifact, Lax] = Field(description="What the revision is turned into.")
    digest_policy: Annotated[DigestPolicy, Lax] = Field(
        description="Whether a digest is needed at apply.",
        json_schema_extra=derived("required for high and critical, else optional"),
    )
    image: Image | None = Field(default=None, description="Image repository, without tag.")
    digest: Digest | None = Field(default=None, description="Digest of the artifact.")
    values_key: Name = Field(
        default="image", description="Values path that receives `repository` and `digest`."
    )

    @property
    def mutable(self) -> bool:
        """Whether the revision may mean another commit tomorrow."""
        return is_mutable(self.revision)


class Rollback(Table):
    """How an earlier stable returns."""

    strategy: Annotated[RollbackStrategy, Lax] | None = Field(
        default=None, description="Way back; required if stage3 is enabled."
    )
    command: Text = Field(
        description="The line to type.", json_schema_extra=derived("bin/railiance rollback <id>")
    )
    verification: Text | None = Field(
        default=None, description="How a person sees that it worked; required if stage3 is enabled."
    )
    reversible: bool = Field(default=True, description="Whether going back is possible without asking.")
    automatic: bool = Field(default=True, description="Whether a failed bake may roll back by itself.")
    keep: Annotated[int, Field(ge=1)] = Field(default=3, description="Known-good candidates kept whole.")
    checks: Names = Field(
        description="Ids run after a rollback.", json_schema_extra=derived("those of stage3")
    )


class Dependency(Table):
    """Something of the platform that the app needs."""

    name: Name = Field(description="Name of the dependency.")
    kind: Text = Field(description="Free text: state-hub, postgres, cache, …")
    required: bool = Field(default=True, description="Whether the app cannot do without.")
    stage: Annotated[StageName, Lax] = Field(
        default=StageName.STAGE2, description="First stage that needs it."
    )
    evidence: str = Field(default="", description="What shows that it is there, for people.")
    check: Name | None = Field(default=None, description="Id of the check that proves it.")


class Platform(Table):
    """What the app needs of the platform."""

    dependencies: Annotated[tuple[Dependency, ...], Lax] = Field(default=(), description="Needed things.")


class SecretReference(Table):
    """A secret by name; its value is never read."""

    name: Name = Field(description="Name of the reference.")
    route: Name = Field(description="Catalogue id of an approved route.")
    target: SecretTarget = Field(description="`Kind/name` of the object.")
    stage: Annotated[StageName, Lax] = Field(
        default=StageName.STAGE2, description="First stage that needs it."
    )
    required: bool = Field(default=True, description="Whether it must be there.")
    keys: Texts = Field(default=(), description="Keys that must exist in it.")
    shared: bool = Field(default=True, description="Rotated outside and read live by both tracks.")


class Secrets(Table):
    """Secrets the app uses, by reference."""

    references: Annotated[tuple[SecretReference, ...], Lax] = Field(default=(), description="Names only.")


class HealthEndpoint(Table):
    """An address that says whether the app is well."""

    name: Name = Field(description="Id of the endpoint.")
    url: HttpUrl = Field(description="http(s) address.")
    stage: Annotated[StageName, Lax] = Field(
        default=StageName.STAGE1, description="First stage in which it means something."
    )
    expected_status: Annotated[int, Field(ge=100, le=599)] = Field(
        default=200, description="Status that means well."
    )
    host_header: Host | None = Field(
        default=None, description="Host header, for servers with a list of allowed hosts."
    )
    timeout: Duration = Field(default=parse_duration("10s"), description="Time limit.")
    required: bool = Field(default=True, description="Whether a stage fails with it.")


class Metric(Table):
    """A query whose answer is recorded, and judged if it has a bound."""

    name: Name = Field(description="Id of the metric.")
    reference: PromqlReference = Field(description="`promql:<query>`.")
    stage: Annotated[StageName, Lax] = Field(description="First stage in which it means something.")
    compare: Annotated[Comparison, Lax] | None = Field(
        default=None, description="Reading, this sign, `threshold`."
    )
    threshold: Number | None = Field(default=None, description="Bound; none = recorded only.")


class Log(Table):
    """Log lines that must not hold certain things."""

    name: Name = Field(description="Id of the scan.")
    reference: Text = Field(description="A `kubectl logs …` line; parsed, never executed.")
    stage: Annotated[StageName, Lax] = Field(description="First stage in which it means something.")
    forbid: Annotated[tuple[Regex, ...], Lax] | None = Field(
        default=None, description="Regular expressions that must not match; none = shapes of secrets."
    )
    max_matches: Count = Field(default=0, description="Matches that are still fine.")


class Observability(Table):
    """How the app can be watched."""

    health_endpoints: Annotated[tuple[HealthEndpoint, ...], Lax] = Field(default=(), description="Addresses.")
    metrics: Annotated[tuple[Metric, ...], Lax] = Field(default=(), description="Queries.")
    logs: Annotated[tuple[Log, ...], Lax] = Field(default=(), description="Scans.")


class StageDefaults(Table):
    """What stages inherit."""

    timeout: Duration | None = Field(default=None, description="Time limit of a rollout.")
    cluster: Name | None = Field(default=None, description="Name of a saved cluster access.")
    chart: Text | None = Field(default=None, description="Chart folder.")
    values_dir: Text | None = Field(default=None, description="Folder of the values files.")


class Stage(Table):
    """One of the three stages."""

    enabled: bool = Field(default=True, description="Whether the stage is used.")
    namespace: DnsLabel = Field(
        description="Namespace; required unless stage1.",
        json_schema_extra=derived("local for stage1, else none"),
    )
    release: HelmRelease = Field(
        description="The helm_release.", json_schema_extra=derived("<id>-local, <id>-canary, <id>")
    )
    commands: Texts = Field(
        default=(), description="stage1: run in order. Later stages: shown, never executed."
    )
    serve: Text | None = Field(default=None, description="stage1 only: starts the local target.")
    checks: Names = Field(default=(), description="Ids of checks, endpoints, metrics or logs.")
    evidence: Annotated[tuple[str, ...], Lax] = Field(default=(), description="Labels copied to results.")
    requires_approval: bool = Field(
        description="Whether a person must say yes; true can only add.",
        json_schema_extra=derived("true for stage2 and stage3 of a critical app"),
    )
    chart: Text = Field(description="Chart folder.", json_schema_extra=derived("charts/<id>"))
    values: Texts = Field(
        description="Values files.", json_schema_extra=derived("values/<file of the stage>")
    )
    cluster: Name = Field(description="Name of a saved cluster access.", json_schema_extra=derived("default"))
    timeout: Duration = Field(description="Time limit of a rollout.", json_schema_extra=derived("10m"))
    max_age: Duration = Field(
        description="How long the stage's evidence counts.", json_schema_extra=derived("by criticality")
    )
    soak: Duration = Field(
        description="Least age of a pass before the next stage.", json_schema_extra=derived("by criticality")
    )


class Stages(Table):
    """The stages; one without a table is not enabled."""

    defaults: StageDefaults = Field(default_factory=StageDefaults, description="Inherited by the stages.")
    stage1: Stage | None = Field(default=None, description="Local.")
    stage2: Stage | None = Field(default=None, description="Canary, beside production.")
    stage3: Stage | None = Field(default=None, description="Production.")


class Contract(Table):
    """One `app.toml`, every default resolved."""

    schema_version: Literal["railiance.app.v1"] = Field(description="Version of the contract.")
    app: App = Field(description="What the app is.")
    source: Source = Field(description="Where it comes from.")
    rollback: Rollback | None = Field(default=None, description="How an earlier stable returns.")
    platform: Platform = Field(default_factory=Platform, description="What it needs.")
    secrets: Secrets = Field(default_factory=Secrets, description="Secrets, by reference.")
    observability: Observability = Field(default_factory=Observability, description="How it can be watched.")
    stages: Stages = Field(default_factory=Stages, description="Its stages.")
    checks: Annotated[tuple[DeclaredCheck, ...], Lax] = Field(
        default=(), description="Questions with a yes or no."
    )
    promotion: Promotion = Field(description="How a candidate becomes stable.", json_schema_extra=derived(""))
    traffic: Traffic = Field(description="Where users' requests go.", json_schema_extra=derived(""))
    analysis: Analysis = Field(description="How a canary is judged.", json_schema_extra=derived(""))
    bake: Bake = Field(description="The watch after promotion.", json_schema_extra=derived(""))
    stateful: Stateful | None = Field(default=None, description="How its data is kept.")
    approvals: Approvals = Field(description="Who must say yes.", json_schema_extra=derived(""))
    freeze: Freeze = Field(default_factory=Freeze, description="When nothing goes out.")
    group: Group | None = Field(default=None, description="Apps promoted together.")
    upstream: Upstream | None = Field(default=None, description="Marks an overlay repository.")

    _digest: str = PrivateAttr(default="")
    _document: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    _path: str = PrivateAttr(default="railiance/app.toml")
    _env: Mapping[str, str] | None = PrivateAttr(default=None)
    _env_read: tuple[str, ...] = PrivateAttr(default=())

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the file's bytes."""
        return self._digest

    @property
    def env_read(self) -> tuple[str, ...]:
        """Names of the variables that `interpolated` read; never their values."""
        return self._env_read

    def declares(self, *path: str | int) -> bool:
        """Whether the file itself says this, e.g. `declares("bake", "duration")`; False for a default."""
        node: Any = self._document
        for part in path:
            try:
                node = node[part]
            except (KeyError, IndexError, TypeError):
                return False
        return True

    def stage(self, name: str) -> Stage | None:
        """Return the stage, or None when it is not enabled (no table, or `enabled = false`)."""
        stage: Stage | None = getattr(self.stages, StageName(name).value)
        return stage if stage is not None and stage.enabled else None

    def check(self, identifier: str, stage: str) -> Check:
        """Return one check by its id, with what it takes from the stage.

        Args:
            identifier: Id of a check, endpoint, metric or log.
            stage: Name of the stage in which it is asked.

        Raises:
            KeyError: Nothing has this id; a loaded contract never lists such an id.
        """
        found = self._declared(identifier) or self._observed(identifier)
        if found is None:
            raise KeyError(identifier)
        where = self.stage(stage)
        if where is None:
            return found
        if isinstance(found, HelmCheck):
            return found.model_copy(
                update={
                    "chart": found.chart or where.chart,
                    "values": where.values if found.values is None else found.values,
                }
            )
        if isinstance(found, KubernetesCheck) and found.namespace is None:
            return found.model_copy(update={"namespace": where.namespace})
        return found

    def checks_of(self, stage: str) -> tuple[Check, ...]:
        """Return what the stage lists under `checks`, in that order; empty when it is not enabled."""
        found = self.stage(stage)
        return tuple(self.check(identifier, stage) for identifier in found.checks) if found else ()

    def interpolated(self, stage: str, env: Mapping[str, str] | None = None) -> Contract:
        """Return the contract with every `${{ … }}` replaced, as one stage sees it.

        Args:
            stage: Name of the stage in use.
            env: Variables that `env.NAME` may read; none = those given to `load_contract`.

        Raises:
            ContractError: A variable is not set, or a value is not legal once it is filled in.
        """
        from railiance_schema.load import interpolated  # noqa: PLC0415 - load builds contracts, so it imports this module

        return interpolated(self, StageName(stage), env if env is not None else (self._env or {}))

    def _declared(self, identifier: str) -> Check | None:
        return next((check for check in self.checks if check.id == identifier), None)

    def _observed(self, identifier: str) -> Check | None:
        """Return an endpoint, a metric or a log as the check it stands for."""
        seen = self.observability
        for endpoint in seen.health_endpoints:
            if endpoint.name == identifier:
                return endpoint_check(endpoint)
        for metric in seen.metrics:
            if metric.name == identifier:
                return metric_check(metric)
        for log in seen.logs:
            if log.name == identifier:
                return LogCheck(
                    id=log.name,
                    stage=log.stage,
                    reference=log.reference,
                    forbid=log.forbid,
                    max_matches=log.max_matches,
                )
        return None


def endpoint_check(endpoint: HealthEndpoint) -> HttpCheck:
    """Return the http check that a health endpoint stands for."""
    return HttpCheck(
        id=endpoint.name,
        type="http",
        required=endpoint.required,
        stage=endpoint.stage,
        timeout=endpoint.timeout,
        url=endpoint.url,
        expected_status=(endpoint.expected_status,),
        host_header=endpoint.host_header,
    )


def metric_check(metric: Metric) -> PromqlCheck:
    """Return the promql check that a metric stands for; without a bound it cannot block."""
    return PromqlCheck(
        id=metric.name,
        type="promql",
        required=metric.threshold is not None,
        stage=metric.stage,
        query=metric.reference.removeprefix("promql:").strip(),
        compare=metric.compare,
        threshold=metric.threshold,
    )
