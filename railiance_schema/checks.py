"""Checks: yes/no questions about an app, told apart by `type`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from railiance_schema.scalars import (
    Count,
    DnsLabel,
    Duration,
    EnvName,
    Factor,
    Host,
    HttpUrl,
    Lax,
    Name,
    Number,
    Port,
    Regex,
    Resource,
    Statuses,
    Text,
    Texts,
    parse_duration,
)
from railiance_schema.table import Table
from railiance_schema.words import Comparison, HelmMode, NoData, StageName


class CheckBase(Table):
    """What every check has."""

    id: Name = Field(description="Name by which a stage lists the check; unique in the contract.")
    required: bool = Field(default=True, description="Whether the stage fails with this check.")
    stage: Annotated[StageName, Lax] | None = Field(
        default=None, description="First stage in which the check means something; none = any stage."
    )
    timeout: Duration = Field(default=parse_duration("10s"), description="Time limit of one attempt.")
    retries: Count = Field(default=0, description="Further attempts after a failed one.")
    interval: Duration = Field(default=parse_duration("5s"), description="Pause between attempts.")


class CommandCheck(CheckBase):
    """A program that answers with its exit status; its output is never stored."""

    type: Literal["command"] = Field(description="Kind of check.")
    run: Text | None = Field(default=None, description="A line for the shell; this or `argv`.")
    argv: Texts | None = Field(default=None, description="A program and its arguments; this or `run`.")
    cwd: Text = Field(default=".", description="Folder, relative to the app directory.")
    env: Annotated[tuple[EnvName, ...], Lax] = Field(
        default=(), description="Names of variables passed through."
    )
    expect_exit: Annotated[int, Field(ge=0, le=255)] = Field(
        default=0, description="Exit status that means yes."
    )


class HttpCheck(CheckBase):
    """One HTTP request; redirects are not followed."""

    type: Literal["http"] = Field(description="Kind of check.")
    url: HttpUrl = Field(
        description="Address; taken from the health endpoint of the same id when left out.",
        json_schema_extra={"x-railiance-default": "that of the endpoint with this id"},
    )
    method: Literal["GET", "HEAD", "POST", "PUT", "OPTIONS"] = Field(
        default="GET", description="HTTP method."
    )
    expected_status: Statuses = Field(default=(200,), description="Status, or list of them, that means yes.")
    host_header: Host | None = Field(
        default=None, description="Host header, for servers with a list of allowed hosts."
    )
    headers: dict[str, Text] = Field(default_factory=dict, description="Further request headers; no secrets.")
    contains: Text | None = Field(default=None, description="Text that the answer must contain.")
    tls_ca: Text | None = Field(
        default=None, description="PEM file with the authority to trust, in the app directory."
    )


class TcpCheck(CheckBase):
    """A connection, and a TLS handshake with `tls`."""

    type: Literal["tcp"] = Field(description="Kind of check.")
    address: Text = Field(description="Host name or IP address.")
    port: Port = Field(description="TCP port.")
    tls: bool = Field(default=False, description="Whether a TLS handshake must succeed too.")


class HelmCheck(CheckBase):
    """Whether the chart can be rendered, linted, or accepted by the API server."""

    type: Literal["helm"] = Field(description="Kind of check.")
    chart: Text | None = Field(default=None, description="Chart folder; the stage's when left out.")
    values: Texts | None = Field(default=None, description="Values files; the stage's when left out.")
    mode: Annotated[HelmMode, Lax] = Field(
        default=HelmMode.TEMPLATE, description="What to do with the chart."
    )
    kube_version: Text | None = Field(default=None, description="Kubernetes version to render for.")


class KubernetesCheck(CheckBase):
    """The state of one resource, or of all workloads of the stage's helm_release."""

    type: Literal["kubernetes"] = Field(description="Kind of check.")
    resource: Resource | None = Field(
        default=None,
        description="`Kind/name` or `Kind.group/name`; none = all workloads of the stage's release.",
    )
    namespace: DnsLabel | None = Field(default=None, description="Namespace; the stage's when left out.")
    rollout: bool = Field(default=True, description="Whether a workload must be rolled out completely.")
    condition: Text | None = Field(default=None, description="Condition type that must be True.")
    jsonpath: Text | None = Field(default=None, description="Path of a field to compare with `equals`.")
    equals: Text | None = Field(default=None, description="Text that the field at `jsonpath` must have.")


class PromqlCheck(CheckBase):
    """One PromQL query against an absolute bound, or against the stable track."""

    type: Literal["promql"] = Field(description="Kind of check.")
    query: Text = Field(description="PromQL that answers one number.")
    compare: Annotated[Comparison, Lax] | None = Field(
        default=None, description="Reading, this sign, `threshold`."
    )
    threshold: Number | None = Field(default=None, description="Absolute bound.")
    for_: Duration | None = Field(
        default=None, alias="for", description="How long the bound must have been kept."
    )
    min_samples: Count | None = Field(default=None, description="Readings below this number are UNKNOWN.")
    on_no_data: Annotated[NoData, Lax] = Field(
        default=NoData.UNKNOWN, description="What no data means; never PASS."
    )
    stable_query: Text | None = Field(
        default=None, description="The same question to stable: a relative bound."
    )
    tolerance_ratio: Factor = Field(default=1.5, description="Relative bound: stable times this …")
    tolerance_abs: Number = Field(default=0.001, description="… plus this.")

    @property
    def judged(self) -> bool:
        """Whether the check has a bound; without one it is recorded and never blocks."""
        return self.threshold is not None or self.stable_query is not None


class LogCheck(CheckBase):
    """A scan of log lines for what must not be there; the text is never stored."""

    type: Literal["log"] = Field(default="log", description="Kind of check.")
    reference: Text = Field(
        description="A `kubectl logs …` line; parsed and read through the API, never executed."
    )
    forbid: Annotated[tuple[Regex, ...], Lax] | None = Field(
        default=None, description="Regular expressions that must not match; none = shapes of secrets."
    )
    max_matches: Count = Field(default=0, description="Matches that are still fine.")


DeclaredCheck = Annotated[
    CommandCheck | HttpCheck | TcpCheck | HelmCheck | KubernetesCheck | PromqlCheck,
    Field(discriminator="type"),
]
"""What may stand in `[[checks]]`."""

Check = CommandCheck | HttpCheck | TcpCheck | HelmCheck | KubernetesCheck | PromqlCheck | LogCheck
"""What `Contract.checks_of` returns."""

CHECK_MODELS: dict[str, type[CheckBase]] = {
    "command": CommandCheck,
    "http": HttpCheck,
    "tcp": TcpCheck,
    "helm": HelmCheck,
    "kubernetes": KubernetesCheck,
    "promql": PromqlCheck,
}
