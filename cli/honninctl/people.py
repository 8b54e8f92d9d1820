"""Where a user stands, what happened, the submissions; and the erasure of a user.

Statuses and timeline come from the merchant API, so they are what the merchant's back end sees; what the API does not
give is read from the table.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotAllowedError, UserIdError, explained
from honninctl.language import _

if TYPE_CHECKING:
    from honnin.store import Certificate, Submission

LARGEST_PAGE = 100
# Later than every time that the table holds: the index then gives all that is still polled.
_END_OF_TIME = "9999-12-31T23:59:59.999Z"


def status(deployment: Deployment, user_id: str) -> dict[str, Any]:
    """`GET /users/{userId}`: the user's status at each provider. `NotFoundError` for a user nobody knows."""
    return deployment.merchant("GET", _path(user_id))


def timeline_page(
    deployment: Deployment, user_id: str, *, limit: int, cursor: str | None = None, reveal: bool = False
) -> dict[str, Any]:
    """`GET /users/{userId}/timeline`: `{"entries", "cursor"}`, newest first; `cursor` is null on the last page."""
    query = {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
    page = deployment.merchant("GET", f"{_path(user_id)}/timeline", query)
    entries = [masking.timeline_entry(each, reveal=reveal) for each in page["entries"]]
    return {"entries": entries, "cursor": page["cursor"]}


def timeline(
    deployment: Deployment, user_id: str, *, limit: int | None = None, reveal: bool = False
) -> Iterator[dict[str, Any]]:
    """The newest `limit` entries (None: all), newest first, fetched page by page as they are taken."""
    left, cursor = limit, None
    while left is None or left > 0:
        size = LARGEST_PAGE if left is None else min(left, LARGEST_PAGE)
        page = timeline_page(deployment, user_id, limit=size, cursor=cursor, reveal=reveal)
        yield from page["entries"]
        left = None if left is None else left - len(page["entries"])
        cursor = page["cursor"]
        if cursor is None:
            return


def submissions(
    deployment: Deployment, *, only_open: bool, seen: Callable[[int], None] = lambda _: None
) -> list[dict[str, Any]]:
    """Vexora submissions, the oldest first.

    `only_open`: those without a decision, from the index of what is polled, which is cheap. Otherwise every one, which
    reads the whole table. `seen` is called with each number found.
    """
    store = deployment.store
    found = []
    for each in store.submissions.due(_END_OF_TIME) if only_open else store.restore.submissions():
        seen(1)
        found.append(submission_json(each))
    return sorted(found, key=lambda each: str(each["submittedAt"]))


def erase(
    deployment: Deployment,
    user_id: str,
    *,
    unlink: bool,
    reason: str | None,
    ticket: str | None = None,
    requested_by: str | None = None,
) -> dict[str, Any]:
    """`DELETE /users/{userId}/personal-data`; returns the certificate. Repeating it does no harm.

    Without `requested_by`, the certificate has the ARN of the caller.
    """
    query = {"unlink": "true"} if unlink else None
    said = {"requestedBy": requested_by, "reason": reason, "ticket": ticket}
    body = {name: value for name, value in said.items() if value is not None}
    return deployment.merchant("DELETE", f"{_path(user_id)}/personal-data", query, body or None)


def contract_end(
    deployment: Deployment, user_id: str, ended_on: str | None, reason: str | None = None
) -> dict[str, Any]:
    """`POST` (or, without a day, `DELETE`) `/users/{userId}/contract-end`; returns what is known of the end now."""
    path = f"{_path(user_id)}/contract-end"
    if ended_on is None:
        return deployment.merchant("DELETE", path)
    body = {"endedOn": ended_on} | ({"reason": reason} if reason is not None else {})
    return deployment.merchant("POST", path, None, body)


def contract_ends(deployment: Deployment, until: datetime) -> Iterator[dict[str, Any]]:
    """The users who are to be erased by this moment because their contracts ended, the first to be erased first."""
    from honnin.contract_ends import kept_until
    from honnin.times import utc_text

    for each in deployment.store.contracts.due(utc_text(until)):
        yield {
            "userId": each.user_id,
            "endedOn": each.ended_on,
            "reportedAt": each.reported_at,
            "keptUntil": kept_until(each),
        }


def erasure(deployment: Deployment, user_id: str, completed_at: str) -> dict[str, Any] | None:
    """The certificate of the erasure that was completed at this moment (UTC).

    It is in the table. None if the caller may not read that: the policy of readers allows the merchant API only
    (docs/security.md, "Roles").
    """
    try:
        found = deployment.store.erasure.certificates(user_id)
    except Exception as error:
        if isinstance(explained(error), NotAllowedError):
            return None
        raise
    return next((certificate_json(each) for each in found if each.completed_at == completed_at), None)


def _path(user_id: str) -> str:
    if user_id in ("", ".", ".."):
        # On the way to the API these would be taken for steps in the path.
        raise UserIdError(_("{user_id!r} is no user id").format(user_id=user_id))
    return f"/users/{quote(user_id, safe='')}"


def submission_json(submission: "Submission") -> dict[str, Any]:
    """A submission as the commands show it."""
    return {
        "submissionId": submission.submission_id,
        "userId": submission.user_id,
        "status": submission.status,
        "submittedAt": submission.submitted_at,
        "polls": submission.polls,
        "nextPollAt": submission.due_at,
        "outcome": submission.outcome,
    }


def certificate_json(certificate: "Certificate") -> dict[str, Any]:
    """A certificate as the commands show it; `completedAt` is null until the erasure is complete."""
    return {
        "certificateId": certificate.certificate_id,
        "userId": certificate.user_id,
        "begunAt": certificate.begun_at,
        "completedAt": certificate.completed_at,
        "erased": dict(sorted(certificate.counts.items())),
        "requestedBy": certificate.requested_by,
        "reason": certificate.reason,
        "ticket": certificate.ticket,
    }
