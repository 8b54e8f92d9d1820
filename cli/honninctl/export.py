"""Everything that is held on a user, in the table and in the personal-data bucket, for whoever has to disclose it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from honninctl import access as accesses
from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError
from honninctl.language import _
from honninctl.people import certificate_json, submission_json

if TYPE_CHECKING:
    from honnin.store import (
        Contract,
        EventRecord,
        Expiry,
        Footprint,
        LinkSession,
        PassportQr,
        Store,
        Unattached,
        UserStatus,
    )

_PAYPAY = "paypay"


def export(
    deployment: Deployment,
    user_id: str,
    *,
    reveal: bool,
    whole_table: bool,
    now: datetime,
    seen: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Everything that is held on a user and can be found by the user's id (shape: cli/README.md).

    With `reveal` also the objects' contents, and nothing masked. With `whole_table` also the sessions of QRs, which
    are kept under other names. Also who looked at the user (the access record). `seen` is called with each number of
    vault objects read.

    Raises
    ------
    NotFoundError
        Neither the table nor the bucket knows the user.
    """
    footprint = deployment.store.erasure.footprint(user_id, expired=False)
    objects = _vault_objects(deployment, user_id)
    held = _of_table(deployment.store, footprint, whole_table=whole_table, reveal=reveal)
    if not objects and not any(held.values()):
        raise NotFoundError(_("nothing is stored about {user_id}").format(user_id=user_id))
    if reveal:
        for each in objects:
            each["content"] = _content(deployment, each)
            seen(1)
    found = {
        "userId": user_id,
        "exportedAt": _utc(now),
        "revealed": reveal,
        "wholeTable": whole_table,
        **held,
        "accesses": list(accesses.all_of(deployment, user_id)),
        "personalData": objects,
    }
    # Whatever holds such an id, where nobody thought of it as well.
    return found if reveal else _masked(found, footprint.authorization_ids)


def _of_table(store: "Store", footprint: "Footprint", *, whole_table: bool, reveal: bool) -> dict[str, Any]:
    """What the table holds; unmasked, but for what only `reveal` shows at all."""
    ids = footprint.authorization_ids
    waiting = [each for name in ids for each in store.links.waiting(name)]
    certificates = store.erasure.certificates(footprint.user_id)
    named = [each["event_id"] for each in footprint.entries] + [each.event_id for each in waiting]
    named += [each.report_id for each in certificates]
    named += store.expiries.records(footprint.user_id, named)
    records = store.events.get_many(list(dict.fromkeys(named)))
    links = [{"userAuthorizationId": name, "userId": user} for name, user in store.links.users(ids).items()]
    current = [each.user_authorization_id for each in footprint.statuses if each.provider == _PAYPAY]
    submissions = filter(None, map(store.submissions.get, _submission_ids(footprint)))
    return {
        "statuses": [_status(each, footprint) for each in footprint.statuses],
        "link": next((each for each in links if each["userAuthorizationId"] in current), None),
        "formerLinks": [each for each in links if each["userAuthorizationId"] not in current],
        "submissions": sorted(map(submission_json, submissions), key=lambda each: str(each["submittedAt"])),
        "expiries": [_expiry(each) for each in store.expiries.of(footprint.user_id)],
        "timeline": [_entry(each) for each in reversed(footprint.entries)],
        "waitingEvents": [_waiting(each) for each in waiting],
        "eventRecords": [_record(records[name]) for name in dict.fromkeys(named) if name in records],
        "qrs": [_qr(each, reveal=reveal) for each in _qrs(store, footprint, whole_table=whole_table)],
        "contract": _contract(store.contracts.get(footprint.user_id)),
        "erasures": [certificate_json(each) for each in certificates],
    }


def _submission_ids(footprint: "Footprint") -> list[str]:
    """Those that the user has or had, and those that only the timeline still names."""
    from honnin.vexora.event_ids import submission_of

    named_by_events = [submission_of(str(each["provider"]), str(each["event_id"])) for each in footprint.entries]
    return list(filter(None, dict.fromkeys((*footprint.submission_ids, *named_by_events))))


def _status(status: "UserStatus", footprint: "Footprint") -> dict[str, Any]:
    left = [each for each in footprint.former if each.name not in footprint.present]
    former = [each.name for each in left if each.provider == status.provider]
    return {
        "provider": status.provider,
        "status": status.status,
        "since": status.since,
        "providerStatus": status.provider_status,
        "readAt": status.read_at,
        "facets": status.facets,
        "linkExpiresAt": status.link_expires_at,
        "linkEndTold": status.link_end_reported,
        "linkExpiredAt": status.expired_at,
        "linkIsOver": status.is_over,
        "residenceEndsOn": status.residence_ends_on,
        "residenceEndTold": status.residence_end_reported,
        "answers": list(status.answers),
        "version": status.version,
        "submissionId": status.submission_id,
        "formerSubmissionIds": former if status.provider != _PAYPAY else [],
        "submittedAt": status.submitted_at,
        "staleAt": status.stale_at,
        "reason": status.reason,
        "userAuthorizationId": status.user_authorization_id,
        "formerUserAuthorizationIds": former if status.provider == _PAYPAY else [],
        "scopes": list(status.scopes),
        "codeId": status.code_id,
        "webhooksReceived": status.received,
        "newestEvidence": status.kept,
    }


def _expiry(expiry: "Expiry") -> dict[str, Any]:
    return {
        "what": expiry.what,
        "endsAt": expiry.ends_at,
        "lookedAtNext": expiry.due_at,
        "userAuthorizationId": expiry.subject,
    }


def _entry(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "at": entry["at"],
        "eventId": entry["event_id"],
        "provider": entry["provider"],
        "what": entry["what"],
        "cause": entry["cause"],
        "from": entry.get("from_status"),
        "to": entry["to_status"],
        "detail": dict(entry.get("detail", {})),
        "eventTypes": list(entry.get("told", ())),
    }


def _waiting(event: "Unattached") -> dict[str, Any]:
    return {
        "userAuthorizationId": event.subject,
        "at": event.at,
        "eventId": event.event_id,
        "provider": event.provider,
        "what": event.what,
        "cause": event.cause,
        "detail": dict(event.detail),
    }


def _record(record: "EventRecord") -> dict[str, Any]:
    return {
        "eventId": record.event_id,
        "appliedAt": record.applied_at,
        "userId": record.user_id,
        "what": record.what,
        "to": record.to_status,
        "published": record.published,
        "eventType": record.detail_type if record.change else None,
        "change": dict(record.change) if record.change else None,
    }


def _contract(contract: "Contract") -> dict[str, Any] | None:
    from honnin.contract_ends import kept_until

    if contract.started_at is None and contract.ended_on is None:
        return None
    return {
        "startedAt": contract.started_at,
        "endedOn": contract.ended_on,
        "reportedAt": contract.reported_at,
        "reportedBy": contract.reported_by,
        "reason": contract.reason,
        "keptUntil": kept_until(contract),
    }


def _qrs(store: "Store", footprint: "Footprint", *, whole_table: bool) -> Iterator["LinkSession | PassportQr"]:
    """The QRs of a user: the codes that the statuses name, or whatever the whole table holds."""
    if whole_table:
        yield from store.restore.qrs_of(footprint.user_id)
        return
    named = (code for each in footprint.statuses for code in (each.code_id, each.asked_code_id) if code)
    for code_id in dict.fromkeys(named):
        code = store.links.passport_qr(code_id)
        # PayPay may have given the code again, to somebody else.
        if code and code.user_id == footprint.user_id:
            yield code


def _qr(qr: "LinkSession | PassportQr", *, reveal: bool) -> dict[str, Any]:
    """A session or a code. PKCE verifiers are secrets of Honnin's and say nothing of the user: they are left out."""
    from honnin.store import PassportQr

    if isinstance(qr, PassportQr):
        return {"kind": "code", "userId": qr.user_id, "codeId": qr.code_id, "expiresAt": _epoch(qr.expires_at)}
    return {
        "kind": "session",
        "userId": qr.user_id,
        # Whoever has the nonce may end the linking in the user's place.
        "nonce": qr.nonce if reveal else masking.masked(qr.nonce),
        "codeId": qr.code_id,
        "scopes": list(qr.scopes),
        "returnUrl": qr.return_url if reveal else masking.url(qr.return_url),
        "result": qr.result,
        "expiresAt": _epoch(qr.expires_at),
    }


def _masked(value: Any, authorization_ids: Sequence[str]) -> Any:
    """The same, with every authorization id by its ends."""
    if isinstance(value, dict):
        # `reason`: why a provider rejected the user, in its own words.
        return {
            name: "…" if name == "reason" and each else _masked(each, authorization_ids) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_masked(each, authorization_ids) for each in value]
    if isinstance(value, str):
        value = masking.event_id(value, reveal=False)
        for each in authorization_ids:
            value = value.replace(each, masking.masked(each))
    return value


def _vault_objects(deployment: Deployment, user_id: str) -> list[dict[str, Any]]:
    """Every version of the user's objects in the personal-data bucket (keys: `honnin.vault`), and its delete marks."""
    from honnin.vault import PROVIDERS

    versions = deployment.client("s3").get_paginator("list_object_versions")
    bucket = deployment.output("PersonalDataBucketName")
    found = [
        each
        for provider in PROVIDERS
        for page in versions.paginate(Bucket=bucket, Prefix=f"{provider}/{user_id}/")
        for each in _versions(page)
    ]
    return sorted(found, key=lambda each: (each["key"], each["lastModified"]))


def _versions(page: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for kind in ("Versions", "DeleteMarkers"):
        for each in page.get(kind, []):
            yield {
                "key": each["Key"],
                "versionId": each["VersionId"],
                "latest": each["IsLatest"],
                "lastModified": each["LastModified"].astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "size": each.get("Size"),
                "deleted": kind == "DeleteMarkers",
            }


def _content(deployment: Deployment, each: dict[str, Any]) -> Any:
    """An object's JSON as it is; anything else (a selfie, bytes that are no JSON) in base64; None for a delete mark."""
    import base64
    import json

    if each["deleted"]:
        return None
    answer = deployment.client("s3").get_object(
        Bucket=deployment.output("PersonalDataBucketName"), Key=each["key"], VersionId=each["versionId"]
    )
    body = answer["Body"].read()
    if each["key"].endswith(".json"):
        with suppress(ValueError):  # a provider's bytes are kept as they came
            return json.loads(body)
    return {"contentType": answer["ContentType"], "base64": base64.b64encode(body).decode()}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _epoch(seconds: int) -> str:
    return _utc(datetime.fromtimestamp(seconds, UTC))
