"""What protects data and people: stateful apps, approvals, freezes, groups, overlays."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from railiance_schema.scalars import (
    AppId,
    Count,
    DnsLabel,
    Duration,
    Lax,
    LocalTime,
    Name,
    Names,
    Recurrence,
    Text,
    Texts,
    Zone,
    parse_duration,
)
from railiance_schema.table import Table, derived
from railiance_schema.words import CommentRule, Excluded, FreezeAction, StageName, StatefulStrategy


class Hook(Table):
    """A command of the app that handles its data; run by the engine, exit 0 = done."""

    command: Text = Field(description="Program, with arguments, in the app directory.")
    timeout: Duration = Field(default=parse_duration("30m"), description="Time limit.")


class Stateful(Table):
    """How an app with data is backed up, rehearsed and restored."""

    strategy: Annotated[StatefulStrategy, Lax] = Field(description="How Stage 2 proves the candidate.")
    claims: Texts = Field(description="Names of the PersistentVolumeClaims.")
    database: Name | None = Field(default=None, description="Name of the dependency that is the database.")
    schema_version_command: Text | None = Field(
        default=None, description="Prints the app's schema version on one line."
    )
    clone_namespace: DnsLabel = Field(
        description="Namespace of the shadow clone.", json_schema_extra=derived("<stage3 namespace>-shadow")
    )
    clone_ttl: Duration = Field(default=parse_duration("24h"), description="Life of the clone after a PASS.")
    mute_values: Text | None = Field(default=None, description="Values file that keeps the clone silent.")
    downtime_budget: Duration = Field(
        default=parse_duration("30m"), description="Longest announced downtime."
    )
    rpo_max: Duration | None = Field(default=None, description="Greatest age of data after a restore.")
    rto_max: Duration | None = Field(default=None, description="Longest time of a restore.")
    retain: Duration = Field(
        default=parse_duration("14d"), description="How long backup and old volumes are kept."
    )
    drill_max_age: Duration | None = Field(
        description="Greatest age of the restore drill; 0 = the drill of this run, none = no drill needed.",
        json_schema_extra=derived("by criticality"),
    )
    backup: Hook = Field(description="Takes a backup.")
    restore: Hook = Field(description="Restores one.")
    verify: Hook = Field(description="Proves a restored copy.")
    quiesce: Hook | None = Field(default=None, description="Stops work before the app stops.")
    resume: Hook | None = Field(default=None, description="Starts work again after writes are open.")


class Approvals(Table):
    """Who must say yes."""

    stage2: Count = Field(
        description="People needed before Stage 2.", json_schema_extra=derived("by criticality")
    )
    stage3: Count = Field(
        description="People needed before Stage 3.", json_schema_extra=derived("by criticality")
    )
    roles: Names = Field(
        description="Roles that may approve; empty = any person of the trust file.",
        json_schema_extra=derived("by criticality"),
    )
    exclude: Annotated[tuple[Annotated[Excluded, Lax], ...], Lax] = Field(
        description="Who may not approve.", json_schema_extra=derived("by criticality")
    )
    lifetime: Duration = Field(description="Life of a vote.", json_schema_extra=derived("by criticality"))
    comment: Annotated[CommentRule, Lax] = Field(
        description="Whether an approver must say why.", json_schema_extra=derived("by criticality")
    )
    cooling_off: Duration = Field(
        description="Wait after the last vote.", json_schema_extra=derived("by criticality")
    )
    unsigned: bool = Field(default=False, description="Medium apps only: an unsigned approval counts.")
    preauthorise_rollback: bool = Field(
        default=True, description="Whether the promotion's approval covers one named rollback."
    )


class FreezeRule(Table):
    """Calendar time in which nothing goes out, or (allow) outside of which nothing does."""

    name: Name = Field(description="Name of the rule.")
    action: Annotated[FreezeAction, Lax] = Field(description="Close this time, or open only this time.")
    start: Annotated[datetime, LocalTime] = Field(description="First beginning, in local time.")
    duration: Duration = Field(description="Length of each occurrence.")
    timezone: Zone = Field(description="IANA name of the zone of `start`.")
    reason: Text = Field(description="Why, for those it stops.")
    rule: Recurrence | None = Field(default=None, description="RFC 5545 rule; none = once.")
    stages: Annotated[tuple[Annotated[StageName, Lax], ...], Lax] = Field(
        default=(StageName.STAGE2, StageName.STAGE3), description="Stages the rule is about."
    )


class Freeze(Table):
    """Calendar rules."""

    rules: Annotated[tuple[FreezeRule, ...], Lax] = Field(default=(), description="Deny beats allow.")


class Group(Table):
    """Apps that are promoted together, all or nothing."""

    name: Name = Field(description="Name of the group.")
    order: int = Field(description="Place in the order of promotion; rolled back in reverse.")
    members: Annotated[tuple[AppId, ...], Lax] = Field(
        description="Ids of all members, the same in each contract."
    )


class Upstream(Table):
    """Marks an overlay repository."""

    file: Text = Field(default="railiance/upstream.toml", description="Where the pins of the upstream are.")
