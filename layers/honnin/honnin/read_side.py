"""What the merchant's read side answers: a user's statuses and timeline (in the shapes of docs/openapi.json), the
recon reports, and the certificate of an erasure.
"""

from datetime import date, datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from honnin.errors import InvalidFieldError, NotFoundError
from honnin.event import Provider
from honnin.merchant_api import AnswerModel, UtcTime
from honnin.problem_codes import ProblemCode
from honnin.recon import report
from honnin.recon.file_types import FILE_TYPES
from honnin.status import OPEN, Flag, Kyc, Link, PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus
from honnin.store import Certificate, ReconFile, Store, TimelineEntry, UserStatus, verified_reason
from honnin.times import utc_text

# Examples of docs/openapi.json.
_USER: JsonDict = {
    "userId": "user-0001",
    "providers": {
        "vexora": {
            "status": "APPROVED",
            "providerStatus": "2",
            "readAt": "2026-04-01T03:00:00.000Z",
            "submissionId": "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11",
            "stale": False,
            "reason": None,
        },
        "paypay": {
            "status": "VERIFIED",
            "providerStatus": "SUCCESS",
            "readAt": "2026-04-01T03:05:00.000Z",
            "scopes": ["get_kyc_info"],
            "linkExpiresAt": "2027-04-01T03:00:00.000Z",
            "facets": {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"},
        },
    },
    "verified": True,
    "verifiedReason": "BOTH_VERIFIED",
}
_ENTRY: JsonDict = {
    "at": "2026-04-01T03:00:00.000Z",
    "eventId": "vexora:5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11:8d3f1c0a9b7e6d5c4b3a291807f6e5d4",
    "provider": "vexora",
    "what": "result_read",
    "cause": "webhook",
    "from": "PENDING",
    "to": "APPROVED",
    "detail": {"sign": "absent", "claimed": "2"},
}
_CERTIFICATE: JsonDict = {
    "certificateId": "3f1c6a52-9d7e-4b0a-8c2f-5e6d7c8b9a01",
    "userId": "user-0001",
    "begunAt": "2026-04-02T03:00:00.000Z",
    "completedAt": "2026-04-02T03:00:00.240Z",
    "erased": {"vaultObjects": 2, "links": 1, "statuses": 1, "timelineEntries": 4, "unlinkedAtPayPay": 1},
}
_REPORT: JsonDict = {
    "date": "2026-03-31",
    "files": [
        {
            "fileType": "kyc_passport_risk_sync_recon",
            "day": "2026-03-31",
            "fileName": "kyc_passport_risk_a_exampleClient_20260331_20260331.csv",
            "revisionOf": None,
            "state": "COMPARED",
            "reason": None,
            "requestedAt": "2026-03-31T18:00:00.000Z",
            "deadline": "2026-03-31T20:00:00.000Z",
            "storedAt": "2026-03-31T18:04:10.000Z",
            "comparedAt": "2026-03-31T18:04:12.000Z",
            "compareMs": 310,
            "sha256": "8d7c4e4e1c0f2d1b5a6978e0f3c2b1a0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4",
            "bytes": 135,
            "counts": {
                "rows": 3,
                "matched": 2,
                "missed": 1,
                "extra": 0,
                "extraFirstHour": 0,
                "duplicates": 0,
                "unknownUsers": 0,
                "erasedUsers": 0,
                "rechecked": 0,
                "badRows": 0,
            },
            "badRows": [],
            "missed": [
                {
                    "userAuthorizationId": "a85fe9e9-b4c9-45cf-a392-834c57d83af7",
                    "userId": "user-0001",
                    "outcome": "kyc_read",
                    "from": "VERIFIED",
                    "to": "RISK_FLAGGED",
                    "appliedAt": "2026-03-31T18:04:15.000Z",
                }
            ],
            "repairs": {"applied": 1, "changed": 1, "waiting": 0},
            "reportKey": "reports/kyc_passport_risk_sync_recon/2026/03/31/"
            "kyc_passport_risk_a_exampleClient_20260331_20260331.csv/report.json",
        }
    ],
}


class VexoraView(AnswerModel):
    """A user at Vexora. `readAt` is UTC ISO 8601. `stale`: still open after the last daily poll. `reason`: why the user
    was rejected, in Vexora's words (at most 200 characters, possibly personal); null where there is none."""

    status: VexoraStatus
    provider_status: str | None
    read_at: UtcTime | None
    submission_id: str | None
    stale: bool
    reason: str | None


class FacetsView(AnswerModel):
    """What the status at PayPay follows from: the account link, the KYC, and a flag that PayPay holds against the user.

    They stand side by side: a user with a flag may have a KYC, and a link that has ended keeps its last KYC.
    """

    link: Link
    kyc: Kyc
    flag: Flag


class PayPayView(AnswerModel):
    """A user at PayPay. `readAt` is UTC ISO 8601; `scopes` are those that the user has agreed to. `providerStatus` is
    PayPay's own code or word. `linkExpiresAt`: when the link ends by itself, null where PayPay has not said so."""

    status: PayPayStatus
    provider_status: str | None
    read_at: UtcTime | None
    scopes: list[str]
    link_expires_at: UtcTime | None
    facets: FacetsView


class UserView(AnswerModel):
    """A user at every provider that knows the user, by the provider's name: `vexora`, `paypay`.

    `verified` and `verifiedReason` say what the providers' statuses come to under the parameter VerifiedNeeds.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_USER]})

    user_id: str
    providers: dict[str, VexoraView | PayPayView]
    verified: bool
    verified_reason: VerifiedReason


class EntryView(AnswerModel):
    """One timeline entry. `cause` is user (the browser that comes back from PayPay), api, webhook, recon, poll or
    operator (`honninctl reread`); `from` is null where
    there was nothing."""

    at: UtcTime
    event_id: str
    provider: str
    what: str
    cause: str
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    detail: dict[str, str]


class TimelineView(AnswerModel):
    """One page, newest first. `cursor` asks for the next page; null at the end."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"entries": [_ENTRY], "cursor": None}]})

    entries: list[EntryView]
    cursor: str | None


class ReconCounts(AnswerModel):
    """What a comparison found.

    `missed`: in the file, no webhook received; they are read again. `extra`: a webhook was received, not in the file;
    `extraFirstHour` of these came so soon after midnight that they may belong to the day before. `rechecked`: a webhook
    was received, and they are read again all the same (ReconRecheck=all). `erasedUsers` were erased and are left alone.
    """

    rows: int
    matched: int
    missed: int
    extra: int
    extra_first_hour: int
    duplicates: int
    unknown_users: int
    erased_users: int
    rechecked: int
    bad_rows: int


class BadRowView(AnswerModel):
    """A row that is no id: its line in the file, from 1, and why."""

    line: int
    reason: str


class RepairsView(AnswerModel):
    """What the repairs of the missed users have led to: `applied`, of these `changed` a status, still `waiting`."""

    applied: int
    changed: int
    waiting: int


class MissedView(AnswerModel):
    """A user whose webhook never came. `outcome` is `waiting`, or what the repair did (`kyc_read`, …)."""

    user_authorization_id: str
    user_id: str | None
    outcome: str
    from_status: str | None = Field(alias="from")
    to_status: str | None = Field(alias="to")
    applied_at: UtcTime | None


class ReconFileView(AnswerModel):
    """One recon file. `counts` is null until it was compared. `missed` shows up to 20 users of each of the ledger's 16
    shards; all of them are in the bucket's object `reportKey`. Times are UTC, `day` is JST."""

    file_type: str
    day: str
    file_name: str
    revision_of: str | None
    state: str
    reason: str | None
    requested_at: UtcTime | None
    deadline: UtcTime | None
    stored_at: UtcTime | None
    compared_at: UtcTime | None
    compare_ms: int | None
    sha256: str | None
    size: int | None = Field(alias="bytes")
    counts: ReconCounts | None
    bad_rows: list[BadRowView]
    missed: list[MissedView]
    repairs: RepairsView
    report_key: str | None


class ReconReportView(AnswerModel):
    """The recon files of one JST day, by type. `state` MISSING stands for a file that was never announced."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    date: str
    files: list[ReconFileView]


class CertificateView(AnswerModel):
    """That a user was erased. `erased` says how many of what: versions of objects in the vault, links, waiting events,
    submissions, statuses, timeline entries that lost their details; `unlinkedAtPayPay` is 1 where that was asked for.
    Times are UTC."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CERTIFICATE]})

    certificate_id: str
    user_id: str
    begun_at: UtcTime
    completed_at: UtcTime
    erased: dict[str, int]


def certificate(found: Certificate) -> CertificateView:
    """The certificate of a completed erasure, as the API answers it."""
    return CertificateView(
        certificate_id=found.certificate_id,
        user_id=found.user_id,
        begun_at=found.begun_at,
        completed_at=found.completed_at or found.begun_at,
        erased=dict(found.counts),
    )


def recon_report(store: Store, day: str) -> ReconReportView:
    """What is known of the recon files of a JST day (`yyyy-mm-dd`), with what the repairs have led to by now.

    Raises
    ------
    InvalidFieldError
        `day` is not a day.
    NotFoundError
        No file of that day is known, nor that one is missing.
    """
    try:
        valid = date.fromisoformat(day).isoformat() == day
    except ValueError:
        valid = False
    if not valid:
        raise InvalidFieldError("date", "must be a day as yyyy-mm-dd")
    found = {file_type: store.recon.files(file_type, day, day) for file_type in FILE_TYPES}
    files = [each for named in found.values() for each in report.telling(named)]
    if not files:
        raise NotFoundError("no recon file of this day is known", code=ProblemCode.RECON_DAY_UNKNOWN)
    return ReconReportView(date=day, files=[_recon_file(store, each) for each in files])


def _recon_file(store: Store, file: ReconFile) -> ReconFileView:
    missed = list(report.outcomes(store, file, file.missed_sample))
    # Of all missed users: counted now where all are shown, else as the report last counted them.
    all_shown = len(missed) == file.counts.get("missed", 0)
    repairs = report.tally(missed) if all_shown or not file.repairs else file.repairs
    return ReconFileView.model_validate(
        report.facts(file) | {"missed": missed, "repairs": repairs, "reportKey": report.key(file)}
    )


def user(store: Store, user_id: str, now: datetime, needs: VerifiedNeeds) -> UserView:
    """Where a user stands. Raises `NotFoundError` for a user that no provider knows."""
    statuses = store.users.statuses(user_id)
    if not statuses:
        raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
    reason = verified_reason(statuses, needs)
    return UserView(
        user_id=user_id,
        providers={each.provider: _provider(each, now) for each in statuses},
        verified=reason.is_verified,
        verified_reason=reason,
    )


def timeline(store: Store, user_id: str, limit: int, cursor: str | None) -> TimelineView:
    """What happened to a user, newest first.

    Raises
    ------
    NotFoundError
        No user is known under this id.
    InvalidFieldError
        The cursor is not one that an earlier page gave.
    """
    entries, following = store.users.timeline(user_id, limit, cursor)
    if not entries and not store.users.statuses(user_id):
        raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
    return TimelineView(entries=[_entry(each) for each in entries], cursor=following)


def _provider(status: UserStatus, now: datetime) -> VexoraView | PayPayView:
    if status.provider == Provider.PAYPAY:
        return PayPayView(
            status=PayPayStatus(status.status),
            provider_status=status.provider_status,
            read_at=status.read_at,
            scopes=list(status.scopes),
            link_expires_at=status.link_expires_at,
            facets=FacetsView.model_validate(status.facets),
        )
    return VexoraView(
        status=VexoraStatus(status.status),
        provider_status=status.provider_status,
        read_at=status.read_at,
        submission_id=status.submission_id,
        stale=status.status in OPEN and status.stale_at is not None and utc_text(now) >= status.stale_at,
        reason=status.reason,
    )


def _entry(entry: TimelineEntry) -> EntryView:
    return EntryView.model_validate(
        {
            "at": entry.at,
            "eventId": entry.event_id,
            "provider": entry.provider,
            "what": entry.what,
            "cause": entry.cause,
            "from": entry.from_status,
            "to": entry.to_status,
            "detail": dict(entry.detail),
        }
    )
