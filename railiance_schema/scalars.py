"""Single values of a contract: how each is written, and what is said when it is written wrongly.

A validator raises `PydanticCustomError` whose type is the code of the finding and whose context
carries the message and the help, so that `load.py` need not know any single format.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

ID = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
NAME = r"[A-Za-z0-9][-A-Za-z0-9_.]*"
DIGEST = r"sha256:[0-9a-f]{64}"
DURATION = r"[0-9]{1,9}(ms|s|m|h|d)"
SECRET_KINDS = ("ExternalSecret", "Secret", "SealedSecret", "SecretProviderClass", "VaultStaticSecret")
INTERPOLATION = "${{"

_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def wrong(code: str, what: str, help: str = "") -> PydanticCustomError:  # noqa: A002 - the field is called help everywhere
    """Return the error a validator raises.

    Args:
        code: The finding's code, e.g. `RAIL025`.
        what: What is wrong with the value, as the end of "`key` …".
        help: The edit that mends it.
    """
    return PydanticCustomError(code, "{what}", {"what": what, "help": help})


def parse_duration(value: Any) -> timedelta:
    """Turn `"10s"` into ten seconds; a `timedelta` (a resolved default) stays what it is."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise wrong("RAIL023", "must be a duration in quotes", 'write an integer and a unit, e.g. "10s"')
    match = re.fullmatch(r"([0-9]{1,9})(ms|s|m|h|d)", value)
    if match is None:
        raise wrong(
            "RAIL025", "is not a duration", 'write an integer and one of ms, s, m, h, d, e.g. "90s" or "15m"'
        )
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise wrong("RAIL025", "is a duration longer than any calendar", "write a shorter one") from error


def format_duration(value: timedelta) -> str:
    """Write a duration the way a contract does, in the largest unit that keeps it whole."""
    milliseconds = value // timedelta(milliseconds=1)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def suggest_id(value: str) -> str:
    """Return the nearest legal id, or `my-app` when nothing of the value can be kept."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") or "my-app"


def is_mutable(revision: str) -> bool:
    """Say whether a source_revision may mean another commit tomorrow.

    `git:<ref>` is immutable only for a commit or something that looks like a version; a bare word only
    when it is not one of the usual branch names.
    """
    reference = revision.removeprefix("git:").removeprefix("refs/heads/")
    if revision.startswith(("refs/heads/", "git:refs/heads/")):
        return True
    if re.fullmatch(r"[0-9a-f]{7,64}", reference) or reference.startswith("refs/tags/"):
        return False
    if reference != revision:
        return re.match(r"v?[0-9]", reference) is None
    return reference.lower() in {"main", "master", "trunk", "develop", "dev", "head", "latest"}


def _pattern(regex: str, what: str, help: str) -> Callable[[str], str]:  # noqa: A002
    """Return a validator: the whole value matches, or is still to be interpolated."""
    compiled = re.compile(regex)

    def check(value: str) -> str:
        if INTERPOLATION not in value and compiled.fullmatch(value) is None:
            raise wrong("RAIL025", what, help)
        return value

    return check


def _not_empty(value: str) -> str:
    if not value.strip():
        raise wrong(
            "RAIL026", "must not be empty", "write a value, or take the key out if it may be left out"
        )
    return value


def _app_id(value: str) -> str:
    _not_empty(value)
    if re.fullmatch(ID, value) is None:
        raise wrong(
            "RAIL025",
            "may hold lower-case letters, digits and inner hyphens only",
            f'did you mean "{suggest_id(value)[:46].rstrip("-")}"?',
        )
    if len(value) > 46:
        raise wrong(
            "RAIL025",
            f"has {len(value)} characters, at most 46 fit",
            "Kubernetes labels allow 63, Helm 53, and an id with `-canary` 46: choose a shorter one",
        )
    return value


def _dns_label(value: str) -> str:
    _not_empty(value)
    if INTERPOLATION not in value and (re.fullmatch(ID, value) is None or len(value) > 63):
        raise wrong(
            "RAIL025",
            "is not a DNS label",
            "use at most 63 lower-case letters, digits and inner hyphens: "
            f'did you mean "{suggest_id(value)[:63].rstrip("-")}"?',
        )
    return value


def _release(value: str) -> str:
    _dns_label(value)
    if INTERPOLATION not in value and len(value) > 53:
        raise wrong(
            "RAIL025",
            f"has {len(value)} characters",
            "Helm allows 53 for a release name: choose a shorter one",
        )
    return value


def _digest(value: str) -> str:
    if re.fullmatch(DIGEST, value) is None:
        raise wrong("RAIL025", "is not a digest", "write `sha256:` and 64 lower-case hexadecimal digits")
    return value


def _image(value: str) -> str:
    _not_empty(value)
    last = value.rsplit("/", 1)[-1]
    if "@" in value or ":" in last:
        raise wrong(
            "RAIL025",
            "names a tag or a digest",
            "write the repository alone; the digest goes into `digest`, because a tag can move",
        )
    if re.fullmatch(r"[a-z0-9][-a-z0-9._/:]*", value) is None:
        raise wrong("RAIL025", "is not an image repository", 'e.g. "registry.example/team/app"')
    return value


def _http_url(value: str) -> str:
    _not_empty(value)
    if INTERPOLATION in value:
        return value
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or re.search(r"\s", value):
        raise wrong("RAIL025", "is not an http(s) URL", 'e.g. "http://127.0.0.1:8080/health"')
    return value


def _secret_target(value: str) -> str:
    kind, slash, name = value.partition("/")
    if not slash or re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name) is None:
        raise wrong("RAIL025", "is not `Kind/name`", 'e.g. "ExternalSecret/hello-web-runtime"')
    if kind not in SECRET_KINDS:
        raise wrong("RAIL024", f"names the kind `{kind}`", "the kinds are " + ", ".join(SECRET_KINDS))
    return value


def _promql_reference(value: str) -> str:
    if not value.startswith("promql:") or not value.removeprefix("promql:").strip():
        raise wrong("RAIL025", "is not a `promql:` reference", "write 'promql:<query>'")
    return value


def _regex(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise wrong(
            "RAIL025", f"is not a regular expression ({error})", "mend or quote the special character"
        ) from error
    return value


def _statuses(value: Any) -> tuple[int, ...]:
    """Accept one status or a list of them; inside it is always a tuple."""
    items = (value,) if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(items, (list, tuple)) or not items:
        raise wrong("RAIL023", "must be an HTTP status or a list of them", "e.g. 200, or [200, 204]")
    for item in items:
        if not isinstance(item, int) or isinstance(item, bool):
            raise wrong("RAIL023", "must be an HTTP status or a list of them", "e.g. 200, or [200, 204]")
        if not 100 <= item <= 599:
            raise wrong("RAIL025", "holds a number that is no HTTP status", "statuses go from 100 to 599")
    return tuple(items)


def _local_time(value: Any) -> Any:
    if getattr(value, "tzinfo", None) is not None:
        raise wrong(
            "RAIL025", "names an offset", "write the local time without offset; `timezone` says where"
        )
    return value


Lax = Field(strict=False)
"""Marks a value that TOML writes in another type: a word (string) for an enum, an array for a tuple."""

Text = Annotated[str, AfterValidator(_not_empty)]
AppId = Annotated[
    str, AfterValidator(_app_id), WithJsonSchema({"type": "string", "pattern": f"^{ID}$", "maxLength": 46})
]
Name = Annotated[
    str,
    AfterValidator(_not_empty),
    AfterValidator(
        _pattern(
            NAME, "is not a name", "start with a letter or digit; then also hyphens, dots and underscores"
        )
    ),
]
DnsLabel = Annotated[str, AfterValidator(_dns_label)]
HelmRelease = Annotated[str, AfterValidator(_release)]
Digest = Annotated[str, AfterValidator(_digest), WithJsonSchema({"type": "string", "pattern": f"^{DIGEST}$"})]
Image = Annotated[str, AfterValidator(_image)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
UrlPath = Annotated[str, AfterValidator(_pattern(r"/\S*", "is not a path", "a path starts with `/`"))]
Host = Annotated[
    str,
    AfterValidator(_not_empty),
    AfterValidator(
        _pattern(
            r"[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?",
            "is not a host name",
            'e.g. "hello.example"',
        )
    ),
]
SecretTarget = Annotated[str, AfterValidator(_secret_target)]
PromqlReference = Annotated[str, AfterValidator(_promql_reference)]
Regex = Annotated[str, AfterValidator(_regex)]
Resource = Annotated[
    str,
    AfterValidator(
        _pattern(
            r"[A-Za-z][A-Za-z0-9]*(\.[a-z0-9.-]+)?/[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
            "is not `Kind/name` or `Kind.group/name`",
            'e.g. "Deployment/hello-web"',
        )
    ),
]
EnvName = Annotated[
    str,
    AfterValidator(
        _pattern(
            r"[A-Za-z_][A-Za-z0-9_]*", "is not the name of a variable", 'names only, e.g. ["PATH"]; no values'
        )
    ),
]
Zone = Annotated[
    str,
    AfterValidator(
        _pattern(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*", "is not an IANA time zone", 'e.g. "Europe/Berlin"')
    ),
]
Recurrence = Annotated[
    str,
    AfterValidator(
        _pattern(
            r"FREQ=[A-Z]+(;[A-Z]+=[-+A-Z0-9,]+)*", "is not an RFC 5545 rule", 'e.g. "FREQ=WEEKLY;BYDAY=FR"'
        )
    ),
]
Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), WithJsonSchema({"type": "string", "pattern": f"^{DURATION}$"})
]
Statuses = Annotated[
    tuple[int, ...],
    BeforeValidator(_statuses),
    WithJsonSchema(
        {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}, "minItems": 1}]}
    ),
]
LocalTime = BeforeValidator(_local_time)
Texts = Annotated[tuple[Text, ...], Lax]
Names = Annotated[tuple[Name, ...], Lax]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
