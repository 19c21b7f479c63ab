"""Answers of the API server, sorted by what the caller can do next.

nobody there, too slow, 429, 5xx   Unavailable   CLUSTER_UNREACHABLE
401, 403                           Denied        FORBIDDEN (a retry would not help)
404                                nothing: None, False or an empty list, as the verb has it
409                                Conflict      ALREADY_EXISTS, STALE or FIELD_CONFLICT
400, 413, 415, 422                 Broken        INVALID_OBJECT, in the server's words
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from railiance.domain.errors import Broken, Conflict, Denied, RailianceError, Unavailable

PROXY_REFUSALS = frozenset({"BadRequest", "InternalError", "NotFound", "ServiceUnavailable"})
"""Reasons of the API server's own answer to a request meant for a pod: it is not there, or does not listen."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said; `doing` names verb and object for messages."""

    status: int
    body: bytes
    doing: str

    def json(self) -> dict[str, Any]:
        """Return the document.

        Raises:
            Broken: It is none (code `CLUSTER_NONSENSE`).
        """
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise _nonsense(self, "no JSON") from error
        if not isinstance(document, dict):
            raise _nonsense(self, "no object")
        return document

    def refusal(self) -> Refusal:
        """Return what a Status document says; without one, the beginning of the text."""
        try:
            status = json.loads(self.body)
        except ValueError:
            return Refusal("", self.body[:300].decode("utf-8", "replace").strip(), ())
        if not isinstance(status, dict) or status.get("kind") != "Status":
            return Refusal("", "", ())
        causes = (status.get("details") or {}).get("causes") or []
        reasons = tuple(str(cause.get("reason", "")) for cause in causes)
        return Refusal(status.get("reason") or "", status.get("message") or "", reasons)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal in the server's words: its reason, its message, the reasons of its causes."""

    reason: str
    message: str
    causes: tuple[str, ...]


def error_of(answer: Answer, cluster: str) -> RailianceError:
    """Return the error that a refusal means; `cluster` is the name of the access, for the message."""
    refusal = answer.refusal()
    text = f"Could not {answer.doing}: {refusal.message or f'status {answer.status}'}"
    match answer.status:
        case 403 if "NamespaceTerminating" in refusal.causes:
            return Conflict(
                "NAMESPACE_TERMINATING", text, "Wait until the namespace is gone, then try again."
            )
        case 401 | 403:
            return forbidden(answer)
        case 409:
            return _conflict(refusal, text)
        case 400 | 413 | 415 | 422:
            error: RailianceError = Broken(
                "INVALID_OBJECT", text, "Correct it; the server's words say where."
            )
        case status if status == 429 or status >= 500:
            error = Unavailable("CLUSTER_UNREACHABLE", text, f"The cluster {cluster} is not well; try again.")
        case status:
            error = _nonsense(answer, f"status {status}")
    return error


def forbidden(answer: Answer) -> Denied:
    """Return the error for a missing right."""
    message = f"Not allowed to {answer.doing}. {answer.refusal().message}".strip()
    return Denied("FORBIDDEN", message, "Ask the cluster's operators for this right, or use another access.")


def pod_unreachable(doing: str, why: str) -> Unavailable:
    """Return the error for a pod that did not answer through the API server."""
    help_ = "See whether the pod runs and listens on that port."
    return Unavailable("POD_UNREACHABLE", f"Could not {doing}: {why}.", help_)


def unreachable(doing: str, name: str, host: str, error: Exception) -> Unavailable:
    """Return the error for an API server that gave no answer."""
    message = f"Could not {doing}: the cluster {name} at {host} gave no answer ({type(error).__name__})."
    help_ = "See whether it runs (a lab: `railiance lab status`), then try again."
    return Unavailable("CLUSTER_UNREACHABLE", message, help_)


def _conflict(refusal: Refusal, text: str) -> Conflict:
    if "FieldManagerConflict" in refusal.causes:
        return Conflict(
            "FIELD_CONFLICT", text, "Somebody else set these fields: see who, then make a new plan."
        )
    if refusal.reason == "AlreadyExists":
        return Conflict(
            "ALREADY_EXISTS", text, "Look at what is there; then change that, or choose another name."
        )
    return Conflict("STALE", text, "The object changed meanwhile: look again, then make a new plan.")


def _nonsense(answer: Answer, what: str) -> Broken:
    message = f"The API server gave an answer that makes no sense ({what}) to: {answer.doing}."
    return Broken("CLUSTER_NONSENSE", message, "See whether something else answers at the cluster's address.")
