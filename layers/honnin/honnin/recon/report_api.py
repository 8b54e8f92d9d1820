"""What the merchant's API says of the recon files of a day, in the shapes of docs/openapi.json."""

from datetime import date, datetime

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from honnin.errors import InvalidFieldError, NotFoundError
from honnin.merchant_api import AnswerModel, UtcTime
from honnin.problem_codes import ProblemCode
from honnin.recon import outcomes, report, type_facts
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile, Store

# Example of docs/openapi.json.
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
            "warnings": [],
            "doubt": None,
            "requestedAt": "2026-03-31T18:00:00.000Z",
            "deadline": "2026-03-31T20:00:00.000Z",
            "storedAt": "2026-03-31T18:04:10.000Z",
            "comparedAt": "2026-03-31T18:04:12.000Z",
            "completedAt": "2026-03-31T18:09:14.000Z",
            "comparison": 1,
            "sha256": "8d7c4e4e1c0f2d1b5a6978e0f3c2b1a0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4",
            "bytes": 135,
            "counts": {
                "rows": 3,
                "duplicates": 0,
                "upToDate": 1,
                "reRead": 2,
                "leftOut": 0,
                "changed": 1,
                "notRead": 0,
                "webhookNeverReceived": 1,
                "notLinkedHere": 0,
                "erased": 0,
                "malformed": 0,
                "warnings": 0,
            },
            "malformedRows": [],
            "changed": [
                {
                    "userAuthorizationId": "a85fe9e9-b4c9-45cf-a392-834c57d83af7",
                    "userId": "user-0001",
                    "from": "VERIFIED",
                    "to": "RISK_FLAGGED",
                    "appliedAt": "2026-03-31T18:04:15.000Z",
                }
            ],
            "repairsOpen": 0,
            "doneAt": None,
            "repairsStoppedAt": None,
            "reportKey": "reports/kyc_passport_risk_sync_recon/2026/03/31/"
            "kyc_passport_risk_a_exampleClient_20260331_20260331.csv/report.json",
        }
    ],
    "types": [
        {
            "fileType": "kyc_passport_risk_sync_recon",
            "everAnnounced": True,
            "lastWebhookAt": "2026-03-31T04:00:00.000Z",
            "week": [
                {
                    "day": "2026-03-31",
                    "state": "repaired",
                    "late": False,
                    "changed": 1,
                    "open": 0,
                    "webhookNeverReceived": 1,
                    "reason": None,
                }
            ],
            "resendRequest": None,
        }
    ],
}


class ReconCounts(AnswerModel):
    """What a comparison found, and what came of it.

    Of the file's `rows`, each user counts once (in each range of 100,000 rows): `upToDate` (read since the file's
    notification), `reRead` (read again because of this file), `leftOut` (a webhook was received, and
    ReconRecheck=missed), `notLinkedHere`, `erased`. `duplicates` are further rows of the same users, `malformed` rows
    that are no ids. Of those who are read again, `changed` had another status than before and `notRead` could not be
    read. `webhookNeverReceived`: of all linked users, those about whom no webhook came since the day began.
    """

    rows: int
    duplicates: int = 0
    up_to_date: int = 0
    re_read: int = 0
    left_out: int = 0
    changed: int = 0
    not_read: int = 0
    webhook_never_received: int = 0
    not_linked_here: int = 0
    erased: int = 0
    malformed: int = 0
    warnings: int = 0


class MalformedRowView(AnswerModel):
    """A row that is no id: its line in the file, from 1, and why."""

    line: int
    reason: str


class ChangedView(AnswerModel):
    """A user whose status the comparison has changed."""

    user_authorization_id: str
    user_id: str | None
    from_status: str | None = Field(alias="from")
    to_status: str | None = Field(alias="to")
    applied_at: UtcTime | None


class ReconFileView(AnswerModel):
    """One recon file. `counts` is null until it was compared. `changed` shows up to 20 users; all of them are in the
    bucket's object `reportKey`. `repairsOpen` is how many still wait to be read, `doneAt` when the last one will be
    read at the present pace, `completedAt` when nobody waited any more. `repairsStoppedAt`: since then repairs and
    rereads are stopped, and these users wait for a person to resume them. `comparison` is the number of the newest
    comparison of that type and day. `doubt` says why a compared file does not close its day, `warnings` what did not
    fit when it was stored. Times are UTC, `day` is JST."""

    file_type: str
    day: str
    file_name: str
    revision_of: str | None
    state: str
    reason: str | None
    warnings: list[str]
    doubt: str | None
    requested_at: UtcTime | None
    deadline: UtcTime | None
    stored_at: UtcTime | None
    compared_at: UtcTime | None
    completed_at: UtcTime | None
    comparison: int | None
    sha256: str | None
    size: int | None = Field(alias="bytes")
    counts: ReconCounts | None
    malformed_rows: list[MalformedRowView]
    changed: list[ChangedView]
    repairs_open: int | None
    done_at: UtcTime | None
    repairs_stopped_at: UtcTime | None
    report_key: str | None


class ReconDayView(AnswerModel):
    """What became of a file type on one JST day.

    `state` is `compared`, `repaired` (`changed` users have another status), `repairing` (`open` users still wait),
    `late` (compared after 10:15 of the next morning), `stored`, `announced`, `due` (it may still come) or `none`
    (nothing is known); `missing` (no notification), `expired` (not fetched in time) and `doubtful` (what came proves
    nothing) are days of which PayPay has to be asked. `reason` says why no file closes the day.
    """

    day: str
    state: str
    late: bool
    changed: int
    open: int
    webhook_never_received: int
    reason: str | None


class ResendRequestView(AnswerModel):
    """A request to PayPay to send the notifications of the missing days again, ready to be sent, in both languages."""

    ja: str
    en: str


class ReconTypeView(AnswerModel):
    """What the daily report says of a file type: `week` is the day and the six before it, the newest first.
    `everAnnounced` is false where no notification of such a file ever came. `lastWebhookAt` is when a webhook of its
    kind was received last (null: longer ago than 40 days). `resendRequest` is null where no day is missing that PayPay
    still has."""

    file_type: str
    ever_announced: bool
    last_webhook_at: UtcTime | None
    week: list[ReconDayView]
    resend_request: ResendRequestView | None


class ReconReportView(AnswerModel):
    """The recon files of one JST day, by type. `state` MISSING stands for a file of which no notification came."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REPORT]})

    date: str
    files: list[ReconFileView]
    types: list[ReconTypeView]


def recon_report(store: Store, day: str, now: datetime) -> ReconReportView:
    """What is known of the recon files of a JST day (`yyyy-mm-dd`), with what its comparison has led to by now.

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
    found = [type_facts.of_type(store, file_type, type_facts.week(day), now) for file_type in FILE_TYPES]
    files = [file for each in found for file in each.files_of(day)]
    if not files:
        raise NotFoundError("no recon file of this day is known", code=ProblemCode.RECON_DAY_UNKNOWN)
    senders = type_facts.senders(store)
    return ReconReportView(
        date=day,
        files=[_recon_file(store, each) for each in files],
        types=[ReconTypeView.model_validate(each.as_json(senders)) for each in found],
    )


def _recon_file(store: Store, file: ReconFile) -> ReconFileView:
    shown = {"changed": list(outcomes.shown(store, file)), "reportKey": report.key(file)}
    return ReconFileView.model_validate(report.facts(file) | shown)
