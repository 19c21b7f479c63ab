"""What is legal and yet risky: rules that warn."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from railiance_schema.defaults import STAGES, Filled
from railiance_schema.findings import Finding
from railiance_schema.report import At, Reporter, shown
from railiance_schema.scalars import is_mutable

DATABASES = frozenset(
    {"postgres", "postgresql", "mysql", "mariadb", "mongodb", "database", "sqlite", "cnpg", "object-store"}
)


def revision(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """A revision that moves is legal; evidence binds what it meant."""
    value = filled.text("source", "revision")
    if value is not None and is_mutable(value):
        help_text = "legal; a commit or tag says for ever what was meant. Evidence binds the resolved commit"
        at = At(("source", "revision"), "may mean another commit tomorrow", on="value")
        yield reporter.warning(
            "RAIL101", f"{shown('revision', value).strip(chr(34))} is mutable", at, help=help_text
        )


def data_without_stateful(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """An app with a database and no `[stateful]` is legal; its rollback covers manifests only."""
    if isinstance(filled.get("stateful"), dict):
        return
    for at, item in filled.tables("platform", "dependencies"):
        if isinstance(item.get("kind"), str) and item["kind"].lower() in DATABASES:
            message = "a database, but no `[stateful]` table: a rollback does not cover the data"
            place = At(("platform", "dependencies", at), "the database")
            yield reporter.warning(
                "RAIL103", message, place, help="say in `[stateful]` how data is backed up and restored"
            )


def stable_addressed(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """A Stage 2 endpoint that leads to stable says nothing about the canary."""
    stable, canary = filled.text("traffic", "stable_service"), filled.text("traffic", "canary_service")
    release = filled.text("stages", "stage3", "release")
    if stable is None or canary is None or not filled.enabled("stage2"):
        return
    for at, item in filled.tables("observability", "health_endpoints"):
        host = _host_label(item.get("url")) if item.get("stage") == "stage2" else None
        if host is None or host == canary or host.startswith(f"{canary}-"):
            continue
        if host == stable or (release is not None and host.startswith(f"{release}-")):
            message = "this stage2 endpoint addresses the stable Service"
            place = At(("observability", "health_endpoints", at, "url"), "stable answers here", on="value")
            help_text = f"use the canary's Service `{canary}`; the canary's own pods are probed in any case"
            yield reporter.warning("RAIL104", message, place, help=help_text)


def _host_label(url: object) -> str | None:
    """Return the first label of a cluster-local address."""
    try:
        host = urlsplit(url).hostname if isinstance(url, str) else None
    except ValueError:
        return None
    if host is None or (host.count(".") and not host.endswith((".svc", ".svc.cluster.local"))):
        return None
    return host.split(".")[0]


def unused_defaults(filled: Filled, reporter: Reporter) -> Iterator[Finding]:
    """A default that no stage takes over misleads its reader."""
    for key in ("timeout", "cluster", "chart", "values_dir"):
        if filled.get("stages", "defaults", key) is None:
            continue
        origin = f"inherited from stages.defaults.{key}"
        target = "values" if key == "values_dir" else key
        if not any(filled.origins.get(("stages", stage, target)) == origin for stage in STAGES):
            message = f"no stage uses the default `{key}`"
            place = At(("stages", "defaults", key), "every stage says its own")
            yield reporter.warning("RAIL105", message, place, help="take it out")


RISKS = (revision, data_without_stateful, stable_addressed, unused_defaults)
