"""HTTP and TCP probes. An error of the network is a reading, never an exception."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import requests

from railiance.adapters import clock
from railiance.domain.check import Reading, public_url
from railiance.domain.verdict import Verdict

_MAX_BODY = 1 << 20
_CHUNK = 1 << 14


def http(
    url: str,
    *,
    method: str = "GET",
    expected: Sequence[int] = (200,),
    host_header: str | None = None,
    headers: Mapping[str, str] | None = None,
    contains: str | None = None,
    tls_ca: Path | None = None,
    timeout: float = 10.0,
) -> Reading:
    """Ask a server once and judge its answer. Redirects are not followed, and no proxy is used.

    Args:
        url: What to ask; userinfo, query and fragment are sent but never reported.
        method: HTTP method.
        expected: Statuses that pass.
        host_header: `Host` header, for servers with a list of allowed hosts.
        headers: Further headers.
        contains: Text that the first MiB of the body must hold.
        tls_ca: Certificates to trust instead of the system's.
        timeout: Seconds for the whole exchange.

    Returns:
        PASS; FAIL for a wrong answer or none; UNKNOWN if the question could not even be put
        (the name does not resolve, the URL or the certificate file cannot be used).
    """
    seen: dict[str, object] = {"url": public_url(url), "http_status": None}
    sent = {**(headers or {}), **({"Host": host_header} if host_header else {})}
    deadline = clock.monotonic() + timeout
    try:
        with (
            _session() as session,
            session.request(
                method,
                url,
                headers=sent,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
                verify=str(tls_ca) if tls_ca else True,
            ) as answer,
        ):
            status, body = answer.status_code, _body(answer, deadline) if contains else ""
    except (requests.RequestException, OSError, ValueError) as error:
        return _no_answer(error, f"{method} {seen['url']}", timeout, seen)
    seen["http_status"] = status
    if status not in expected:
        wanted = " or ".join(str(code) for code in expected)
        return Reading(Verdict.FAIL, f"{seen['url']} answered {status} instead of {wanted}.", details=seen)
    if contains and contains not in body:
        return Reading(Verdict.FAIL, f"{seen['url']} answered without the expected text.", details=seen)
    return Reading(Verdict.PASS, f"{seen['url']} answered {status}.", details=seen)


def tcp(address: str, port: int, *, tls: bool = False, timeout: float = 10.0) -> Reading:
    """Connect once, and shake hands if `tls`, then hang up.

    Args:
        address: Host name or IP address.
        port: TCP port.
        tls: Whether a TLS handshake with a certificate that the system trusts must succeed, too.
        timeout: Seconds for connection and handshake, each.

    Returns:
        PASS, FAIL if nothing answers, UNKNOWN if the name does not resolve.
    """
    place = f"{address}:{port}"
    seen: dict[str, object] = {"address": place}
    try:
        with socket.create_connection((address, port), timeout) as plain:
            if tls:
                ssl.create_default_context().wrap_socket(plain, server_hostname=address).close()
    except (OSError, ValueError) as error:
        return _no_answer(error, place, timeout, seen)
    return Reading(Verdict.PASS, f"{place} accepts connections.", details=seen)


@contextmanager
def _session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False  # a proxy, or a .netrc with credentials, would falsify what is asked
        yield session


def _body(answer: requests.Response, deadline: float) -> str:
    body = b""
    for chunk in answer.iter_content(_CHUNK):
        body += chunk
        if clock.monotonic() > deadline:  # the library's timeout counts each read on its own
            raise requests.ReadTimeout
        if len(body) >= _MAX_BODY:
            break
    return body.decode("utf-8", "replace")


def _no_answer(error: Exception, place: str, timeout: float, seen: Mapping[str, object]) -> Reading:
    """Say why there was no answer, without the library's words: they repeat the URL with its secrets."""
    causes = list(_chain(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "NameResolutionError" in repr(error):
        return Reading(Verdict.UNKNOWN, f"{place}: the name does not resolve.", answered=False, details=seen)
    if any(isinstance(cause, TimeoutError | requests.Timeout) for cause in causes):
        why = f"no answer within {timeout:g} s"
    elif any(isinstance(cause, ssl.SSLError | requests.exceptions.SSLError) for cause in causes):
        why = "the TLS handshake failed"
    elif any(isinstance(cause, ConnectionError | requests.ConnectionError) for cause in causes):
        why = "connection refused" if "refused" in str(error) else "the connection broke"
    else:
        why = f"cannot be asked ({type(error).__name__})"
        return Reading(Verdict.UNKNOWN, f"{place}: {why}.", answered=False, details=seen)
    return Reading(Verdict.FAIL, f"{place}: {why}.", answered=False, details=seen)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
