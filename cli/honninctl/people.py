"""What Honnin holds on a user: statuses, timeline, submissions, everything for an export; and its erasure.

Statuses and timeline come from the merchant API, so they are what the merchant's back end sees; what the API does not
give is read from the table and the personal-data bucket.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError, UsageError

if TYPE_CHECKING:
    from honnin.store import Submission, UserStatus

LARGEST_PAGE = 100
_PAYPAY = "paypay"
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
    deployment: Deployment, *, only_open: bool, whole_table: bool, seen: Callable[[int], None] = lambda _: None
) -> list[dict[str, Any]]:
    """Vexora submissions, the oldest first.

    Without `whole_table` only those that are still polled, from the index: cheap. With it every one, which reads the
    whole table; `only_open` then keeps those without a decision. `seen` is called with each number found.
    """
    from honnin.status import OPEN

    store = deployment.store
    found = []
    for each in store.all_submissions() if whole_table else store.due_submissions(_END_OF_TIME):
        seen(1)
        if not only_open or each.status in OPEN:
            found.append(_submission(each))
    return sorted(found, key=lambda each: str(each["submittedAt"]))


def export(
    deployment: Deployment, user_id: str, *, reveal: bool, now: datetime, seen: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Everything that is held on a user and can be found by the user's id (shape: cli/README.md).

    With `reveal` the objects' contents too. `seen` is called with each number of vault objects read.

    Raises
    ------
    NotFoundError
        Neither the table nor the bucket knows the user.
    """
    statuses = deployment.store.statuses(user_id)
    entries = _whole_timeline(deployment, user_id)
    objects = _vault_objects(deployment, user_id)
    if not statuses and not entries and not objects:
        raise NotFoundError(f"nothing is held on {user_id}")
    if reveal:
        for each in objects:
            each["content"] = _content(deployment, each)
            seen(1)
    return {
        "userId": user_id,
        "exportedAt": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "revealed": reveal,
        "statuses": [_status(each, reveal=reveal) for each in statuses],
        "link": _link(deployment, statuses, reveal=reveal),
        "submissions": _submissions_named(deployment, statuses, entries),
        "timeline": [masking.timeline_entry(each, reveal=reveal) for each in entries],
        "personalData": objects,
    }


def erase(deployment: Deployment, user_id: str, *, unlink: bool) -> dict[str, Any]:
    """`DELETE /users/{userId}/personal-data`; returns the certificate. Repeating it does no harm."""
    query = {"unlink": "true"} if unlink else None
    return deployment.merchant("DELETE", f"{_path(user_id)}/personal-data", query)


def _path(user_id: str) -> str:
    if user_id in ("", ".", ".."):
        # On the way to the API these would be taken for steps in the path.
        raise UsageError(f"{user_id!r} is no user id")
    return f"/users/{quote(user_id, safe='')}"


def _whole_timeline(deployment: Deployment, user_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        entries, cursor = deployment.store.timeline(user_id, LARGEST_PAGE, cursor)
        found += [
            {
                "at": each.at,
                "eventId": each.event_id,
                "provider": each.provider,
                "what": each.what,
                "cause": each.cause,
                "from": each.from_status,
                "to": each.to_status,
                "detail": dict(each.detail),
            }
            for each in entries
        ]
        if cursor is None:
            return found


def _status(status: "UserStatus", *, reveal: bool) -> dict[str, Any]:
    return {
        "provider": status.provider,
        "status": status.status,
        "providerStatus": status.provider_status,
        "readAt": status.read_at,
        "version": status.version,
        "submissionId": status.submission_id,
        "submittedAt": status.submitted_at,
        "staleAt": status.stale_at,
        "userAuthorizationId": masking.authorization(status.user_authorization_id, reveal=reveal),
        "scopes": list(status.scopes),
        "codeId": status.code_id,
    }


def _link(deployment: Deployment, statuses: Sequence["UserStatus"], *, reveal: bool) -> dict[str, Any] | None:
    """The link under the authorization that the PayPay status names; `userId` is whose it is."""
    named = [each.user_authorization_id for each in statuses if each.provider == _PAYPAY]
    if not named or not named[0]:
        return None
    owner = deployment.store.linked_user(named[0])
    shown = masking.authorization(named[0], reveal=reveal)
    return {"userAuthorizationId": shown, "userId": owner} if owner else None


def _submissions_named(
    deployment: Deployment, statuses: Sequence["UserStatus"], entries: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The submissions that the user's statuses and timeline name: every one began with an entry of the timeline."""
    names = {each["detail"].get("submissionId") for each in entries} | {each.submission_id for each in statuses}
    found = [deployment.store.submission(each) for each in sorted(filter(None, names))]
    return sorted((_submission(each) for each in found if each), key=lambda each: str(each["submittedAt"]))


def _submission(submission: "Submission") -> dict[str, Any]:
    return {
        "submissionId": submission.submission_id,
        "userId": submission.user_id,
        "status": submission.status,
        "submittedAt": submission.submitted_at,
        "polls": submission.polls,
        "nextPollAt": submission.due_at,
        "outcome": submission.outcome,
    }


def _vault_objects(deployment: Deployment, user_id: str) -> list[dict[str, Any]]:
    """Every version of the user's objects in the personal-data bucket (keys: `honnin.vault`), and its delete marks."""
    pages = (
        deployment.client("s3")
        .get_paginator("list_object_versions")
        .paginate(Bucket=deployment.output("PersonalDataBucketName"), Prefix=f"{_PAYPAY}/{user_id}/")
    )
    found = []
    for page in pages:
        for each in page.get("Versions", []):
            found.append({**_version(each), "size": each["Size"], "deleted": False})
        for each in page.get("DeleteMarkers", []):
            found.append({**_version(each), "size": None, "deleted": True})
    return sorted(found, key=lambda each: (each["key"], each["lastModified"]))


def _version(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": each["Key"],
        "versionId": each["VersionId"],
        "latest": each["IsLatest"],
        "lastModified": each["LastModified"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }


def _content(deployment: Deployment, each: dict[str, Any]) -> Any:
    """An object's JSON as it is; anything else (a selfie) in base64; None for a delete mark."""
    import base64
    import json

    if each["deleted"]:
        return None
    answer = deployment.client("s3").get_object(
        Bucket=deployment.output("PersonalDataBucketName"), Key=each["key"], VersionId=each["versionId"]
    )
    body = answer["Body"].read()
    if each["key"].endswith(".json"):
        return json.loads(body)
    return {"contentType": answer["ContentType"], "base64": base64.b64encode(body).decode()}
