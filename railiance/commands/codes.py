"""What every code of an error or denial means, for `railiance explain` and the reference page.

The codes of findings (RAIL…) have pages of their own in `railiance_schema.codes`.
"""

from __future__ import annotations

from railiance.domain.denial import Denial
from railiance.domain.errors import Exit

DENIED = {
    "DENY_APPROVAL_EXPIRED": "The approval's lifetime is over; ask again.",
    "DENY_APPROVAL_MISSING": "Not enough people have said yes to this plan. For high and critical "
    "apps only signed approvals count, which this version cannot verify yet.",
    "DENY_APPROVAL_REJECTED": "Somebody said no; a no is final for this plan.",
    "DENY_APPROVAL_STALE": "The request is void by now: superseded, or the world changed.",
    "DENY_BASELINE_CHANGED": "What runs is not what the plan was made against; make a new plan.",
    "DENY_CANDIDATE_REJECTED": "This candidate was rejected for ever; build a new one.",
    "DENY_CHART_MISSING": "The stage's chart is not in the repository.",
    "DENY_CHECK_NOT_PASSED": "The stage before ended for this candidate, but not with PASS.",
    "DENY_CLOCK": "A result lies in the future by more than 120 s, so some clock is wrong.",
    "DENY_DEPENDENCY": "Something the app declares to need does not pass its check.",
    "DENY_DESTRUCTIVE": "The plan deletes a StatefulSet, a PersistentVolumeClaim, a Secret or a "
    "CustomResourceDefinition.",
    "DENY_DIGEST_MISSING": "`digest_policy` asks for a digest, and none is recorded.",
    "DENY_DRIFT": "The live stable version differs from what Helm stored; undo the edit, or adopt it.",
    "DENY_DRY_RUN": "The API server refuses an object of the plan.",
    "DENY_EVIDENCE_MISSING": "There is no result of the stage before for this candidate.",
    "DENY_EXPIRED": "The result of the stage before is too old; run that stage again.",
    "DENY_FOREIGN_OWNER": "The object belongs to another app, or to a controller that undoes changes.",
    "DENY_FREEZE": "A freeze calendar is declared, and this version cannot evaluate it: it counts as closed.",
    "DENY_HELM_MISSING": "There is no Helm: not in `RAILIANCE_HELM`, not on PATH, not in the lab.",
    "DENY_HELM_VERSION": "Helm is older than 3.18.",
    "DENY_HOLD": "This candidate was rolled back and is on hold; a person lifts that by naming it.",
    "DENY_IMAGE_MISSING": "The registry has no image of that digest.",
    "DENY_LEDGER_UNWRITABLE": "No event could be written; without a ledger nothing is changed.",
    "DENY_LOCKED": "Another run holds the app's lock.",
    "DENY_LOCK_LOST": "The lock was lost; the run stopped before its next change.",
    "DENY_NO_EVIDENCE_SOURCE": "Nobody could judge the canary: the gateway's counters cannot be read.",
    "DENY_NOT_SUPPORTED": "The contract declares a safeguard or strategy that this version does not carry out.",
    "DENY_PENDING_RELEASE": "Helm began a change of this helm_release and has not ended it.",
    "DENY_PLAN_CHANGED": "The plan made now is not the one that was approved.",
    "DENY_PREVIOUS_STABLE_MISSING": "An app runs that no ledger entry describes: `railiance adopt`.",
    "DENY_REFERENCE": "A secret that the contract names, or a key in it, is not there.",
    "DENY_RENDER_UNSTABLE": "The chart renders something else each time, so no plan can bind it.",
    "DENY_REPLAY": "The approval was used by a run already.",
    "DENY_REVISION_MISSING": 'The strategy "helm-revision" needs --revision.',
    "DENY_REVISION_NOT_GOOD": "That helm_revision is no known-good entry of the ledger.",
    "DENY_RUN_OPEN": "An earlier run has not ended; the help says which command ends it.",
    "DENY_SOAK": "The pass of Stage 2 is younger than the app's criticality asks for.",
    "DENY_SOURCE_DIRTY": "The work tree is no commit; such a candidate never leaves Stage 1.",
    "DENY_STAGE": "The contract does not enable the stage.",
    "DENY_STAGE_ORDER": "The contract does not enable the stage, or the one before it was skipped.",
    "DENY_STRATEGY_MISSING": "The contract has no `[rollback]` table.",
    "DENY_SUBJECT": "The result that is there belongs to another candidate.",
    "DENY_UNREACHABLE": "The API server, the gateway, or a Prometheus that the contract needs does "
    "not answer.",
    "DENY_VALUES_MISSING": "A values file of the stage is not in the repository.",
}

NO_ANSWER = {
    "CLUSTER_UNREACHABLE": "The API server does not answer.",
    "FOLDER_MISSING": "The folder that a command shall run in is not there.",
    "GATEWAY_MISSING": "No ready pod of the gateway was found.",
    "GATEWAY_UNREADABLE": "No pod of the gateway gives its request counters.",
    "GO_MISSING": "The lab is built with Go, and there is none that is new enough.",
    "GO_MODULE": "A Go module of the lab could not be had.",
    "LAB_NO_PROVIDER": "This machine can run no lab; the message says what each way lacks.",
    "LAB_PACKAGES": "Debian packages are missing and cannot be installed here.",
    "LAB_TIMEOUT": "A part of the lab did not get ready in time.",
    "LEDGER_UNREADABLE": "The ledger's files cannot be read.",
    "LOG_UNAVAILABLE": "A pod's log cannot be had.",
    "NAMESPACE_STAYS": "A namespace of the demonstration does not go.",
    "NO_CLUSTER": "No cluster access is configured.",
    "NO_INGRESS": "The lab's ingress has no address that this machine reaches.",
    "NO_LOAD": "The demonstration's users cannot send requests.",
    "POD_UNREACHABLE": "A pod does not answer through the API server.",
    "PREFECT_AUTH": "Prefect's server wants a secret, or another one.",
    "PREFECT_NOT_STARTED": "The local Prefect server, or its worker, did not start.",
    "PREFECT_NO_DEPLOYMENT": "Prefect's server does not know the flow as a deployment.",
    "PREFECT_NO_POOL": "Prefect's server has no work pool `railiance`.",
    "PREFECT_NO_WORKER": "Nobody would go on with a run after an approval: no worker is online.",
    "PREFECT_PROFILE": "Prefect's file of profiles cannot be read.",
    "PREFECT_UNREACHABLE": "Prefect's server does not answer.",
    "PROMETHEUS_UNREACHABLE": "Prometheus does not answer.",
    "REGISTRY_REFUSED": "A registry refuses an image or a chart.",
    "REGISTRY_UNREACHABLE": "A registry does not answer.",
    "ROUTE_LEAVING": "The route is being deleted right now.",
    "RUN_ENDED": "The run ended without a result.",
    "TOOL_MISSING": "A program that is needed is not on PATH.",
    "TOOL_TIMEOUT": "A program took too long and was ended.",
    "TRACK_NOT_READY": "The track that should receive users has no ready endpoint, so nobody is moved.",
}

CONFLICT = {
    "ALREADY_EXISTS": "An object of that name is there already.",
    "ANSWER_REFUSED": "Prefect did not accept an answer, as it does not fit the form.",
    "DIGEST_DIFFERS": "Two places name different digests for one image.",
    "FIELD_CONFLICT": "Somebody else set a field that we were about to set.",
    "FLOW_NOT_WAITING": "The run does not wait for an answer any more.",
    "FLOW_UNKNOWN": "Prefect knows no such run.",
    "HELM_RELEASE_EXISTS": "A helm_release of that name is there already.",
    "HELM_RELEASE_MISSING": "The helm_release is gone.",
    "KIND_UNKNOWN": "The cluster does not know the kind: its CustomResourceDefinition is missing.",
    "LAB_BUSY": "Another program works on the lab.",
    "LAB_NETWORK_TAKEN": "Addresses that the lab needs are taken.",
    "LAB_NO_SLOT": "There are as many labs as this machine may have.",
    "LAB_PORT_TAKEN": "A port that the lab needs is taken.",
    "LAB_SHAPE": "A lab of that name runs in another shape.",
    "LOCK_YIELDED": "Another run asked for the lock to go back, so this one stopped.",
    "MANIFEST_DIFFERS": "Helm stored another manifest than was planned.",
    "NAMESPACE_MISSING": "The namespace is not there.",
    "NAMESPACE_TERMINATING": "The namespace is being deleted.",
    "NOTHING_TO_ADOPT": "No helm_release is there to adopt.",
    "PREFECT_BUSY": "Runs are under way, so the local Prefect server is not stopped.",
    "PROMOTION_OPEN": "A promotion is under way; only a rollback undoes it.",
    "RUN_LOCKED": "Another Stage 1 run works in this folder.",
    "STALE": "The object changed between our look and our write.",
    "VOTE_REFUSED": "The answer cannot count: the request is closed, or the plan is another one by now.",
}

USAGE = {
    "APP_AMBIGUOUS": "Several folders hold an app of that id.",
    "APP_ID": "A folder's name cannot be the id of an app.",
    "CONTEXT_UNKNOWN": "The kubeconfig has no context of that name.",
    "FILE_UNREADABLE": "A file that the contract names cannot be read.",
    "IMAGE_MISSING": "--digest is given, but the contract names no image.",
    "IMAGE_UNREADABLE": "The file is no image archive.",
    "INGRESS_URL": "`RAILIANCE_INGRESS_URL` is no URL.",
    "JSON_OUT": "The file of --json-out cannot be written.",
    "KUBECONFIG_INVALID": "The kubeconfig cannot be used.",
    "LAB_NONE": "There is no lab of that name.",
    "LAB_NO_REGISTRY": "The lab has no registry of its own.",
    "PINS_UNREADABLE": "`railiance/upstream.toml` cannot be read.",
    "RUN_RECURSION": "A command of a contract calls railiance, which called it.",
    "TREE_LINK": "A chart holds a symbolic link to a folder.",
    "UNKNOWN_CLUSTER": "There is no cluster access of that name.",
    "UNKNOWN_REQUEST": "There is no request of that name.",
}

BROKEN = {
    "ANALYSIS_UNREADABLE": "The judge's stored state cannot be read.",
    "BUG": "Something that should not be possible; please report it with the file that the message names.",
    "CHART_MISSING": "The registry has no such chart.",
    "CLUSTER_NONSENSE": "Something that is no API server answers at the cluster's address.",
    "EVENT_INVALID": "An event of the ledger holds something that JSON cannot.",
    "FLOW_FAILED": "A flow ended without a result document.",
    "FLOW_STATE": "A flow came back in a state that it cannot have.",
    "FORBIDDEN": "The cluster access lacks a right.",
    "FOREIGN_FLOW": "Another project's `flows` was imported in place of ours.",
    "GATEWAY_NONSENSE": "The gateway's counters cannot be read.",
    "HELM_FAILED": "Helm failed; its words follow.",
    "HELM_LINT": "`helm lint` refuses the chart.",
    "HELM_NONSENSE": "Helm's answer cannot be read.",
    "INVALID_OBJECT": "The API server calls an object invalid.",
    "KNOWN_GOOD_UNREADABLE": "A kept known-good candidate cannot be read.",
    "LAB_RECORD": "The lab's record cannot be read.",
    "LAB_REMAINS": "Something of the lab is left after it was taken down.",
    "LEDGER_BROKEN": "The ledger's chain of events does not hold.",
    "NOT_APPROVED": "The demonstration's approver was refused.",
    "NO_REQUEST": "The demonstration's promotion waits, but nothing asks.",
    "OBJECT_CORRUPT": "An object of the ledger does not have its digest.",
    "OBJECT_MISSING": "An object of the ledger is gone.",
    "PREFECT_REFUSED": "Prefect's server refuses a call.",
    "PROMETHEUS_NONSENSE": "Prometheus' answer cannot be read.",
    "PROMQL_REFUSED": "Prometheus refuses the query.",
    "RESULT_UNREADABLE": "A result document of an earlier run cannot be read.",
    "ROUTE_NOT_KEPT": "A weight that was written does not read back.",
    "TOOL_FAILED": "A program failed; its last words follow.",
}

GROUPS = (
    ("Denied", "A gate stays closed and nothing was changed: exit status 1, or 4 or 5 as noted.", DENIED),
    (
        "No answer",
        "Something could not be reached or found out: exit status 4. Trying again may help.",
        NO_ANSWER,
    ),
    ("Conflict", "The world is not the one the plan was made for: exit status 5. Make a new plan.", CONFLICT),
    ("Usage", "The command line, or a file that it names, cannot be read: exit status 2.", USAGE),
    ("Broken", "A tool answered nonsense, or we have a bug: exit status 3.", BROKEN),
)


def meaning(code: str) -> str | None:
    """Return what a code means, with its group, or None for one that is not ours."""
    for title, told, codes in GROUPS:
        if code in codes:
            return f"{code}: {codes[code]}\n\n{title}. {told}"
    return None


def reference_text() -> str:
    """Return the reference page of all codes, as Markdown."""
    from railiance_schema.codes import PAGES

    parts = [_HEAD]
    for title, told, codes in GROUPS:
        parts += [f"## {title}", "", told, "", "| Code | Meaning |", "|---|---|"]
        parts += [f"| `{code}` | {_words(code, text)} |" for code, text in sorted(codes.items())]
        parts.append("")
    parts += ["## Findings", "", _FINDINGS, "", "| Code | Rule |", "|---|---|"]
    parts += [f"| `{code}` | {entry.title} |" for code, entry in PAGES.items()]
    return "\n".join([*parts, ""])


def _words(code: str, text: str) -> str:
    status = Denial(code, "", "").exit_status
    noted = code in DENIED and status is not Exit.NO
    return f"{text} Exit status {int(status)}." if noted else text


_HEAD = """# Codes

Every error and every denial has a code that stays the same; `railiance explain CODE` tells what it means.
This page is made from the same texts, and a test finds every code that the program uses and this page lacks.
"""
_FINDINGS = (
    "What `railiance contract check` finds in a contract: exit status 1, or 2 when there is nothing to read. "
    "`railiance explain CODE` has a page for each."
)
