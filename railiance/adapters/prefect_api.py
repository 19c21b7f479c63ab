"""Prefect's REST API, as far as the command line needs it, without importing Prefect (that takes seconds)."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from railiance.adapters import clock
from railiance.domain.errors import Broken, Unavailable

_TIMEOUT = (3.0, 30.0)
# A server on SQLite answers 503 while another writer is at work, without having changed anything.
_BUSY = {requests.codes.service_unavailable, requests.codes.too_many_requests}
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: HTTP status and decoded body (None when it was empty)."""

    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class PrefectApi:
    """A Prefect server.

    Attributes:
        url: The API's address, such as `http://127.0.0.1:4200/api`.
    """

    url: str

    def healthy(self, timeout: float = 2.0) -> bool:
        """Say whether a server answers at this address and calls itself healthy."""
        try:
            response = self._session().get(f"{self.url}/health", timeout=timeout)
        except requests.RequestException:
            return False
        return bool(response.status_code == requests.codes.ok)

    def get(self, path: str) -> Any | None:
        """Return the body of a GET, or None when the server does not know the thing (404)."""
        answer = self.call("GET", path)
        if answer.status == requests.codes.not_found:
            return None
        return self.expect(answer, path).body

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the body of a POST that must succeed."""
        return self.expect(self.call("POST", path, body), path).body

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send one request, again while the server is busy, and return the answer, whatever its status.

        Raises:
            Unavailable: No answer (`PREFECT_UNREACHABLE`), or the server wants credentials (`PREFECT_AUTH`).
        """
        for pause in (*_PAUSES, None):
            response = self._send(method, path, body)
            if pause is None or response.status_code not in _BUSY:
                break
            clock.sleep(pause)
        if response.status_code in {requests.codes.unauthorized, requests.codes.forbidden}:
            message = f"The Prefect server at {self.url} wants credentials."
            raise Unavailable("PREFECT_AUTH", message, "Set PREFECT_API_AUTH_STRING or PREFECT_API_KEY.")
        return Answer(response.status_code, _decoded(response))

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        try:
            return self._session().request(method, f"{self.url}{path}", json=body, timeout=_TIMEOUT)
        except requests.RequestException as error:
            message = f"The Prefect server at {self.url} does not answer."
            help_ = "Look at `railiance server status`; start it with `railiance server start`."
            raise Unavailable("PREFECT_UNREACHABLE", message, help_) from error

    def expect(self, answer: Answer, path: str) -> Answer:
        """Return the answer if it is a success.

        Raises:
            Unavailable: The server is at its limits (5xx, 429); trying again may help.
            Broken: It refused the request.
        """
        if answer.status < requests.codes.bad_request:
            return answer
        message = f"The Prefect server answered {answer.status} to {path}: {answer.body}"
        if answer.status >= requests.codes.server_error or answer.status == requests.codes.too_many_requests:
            raise Unavailable(
                "PREFECT_UNREACHABLE", message, "Try again; its log is named by `railiance server status`."
            )
        raise Broken("PREFECT_REFUSED", message)

    def _session(self) -> requests.Session:
        session = requests.Session()
        # A proxy of the environment knows nothing of this machine's loopback.
        session.trust_env = not _is_loopback(urlsplit(self.url).hostname or "")
        if auth := os.environ.get("PREFECT_API_AUTH_STRING"):
            user, _, password = auth.partition(":")
            session.auth = (user, password)
        elif key := os.environ.get("PREFECT_API_KEY"):
            session.headers["Authorization"] = f"Bearer {key}"
        return session


def _decoded(response: requests.Response) -> Any:
    try:
        return response.json() if response.content else None
    except requests.JSONDecodeError:
        return response.text[:500]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
