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
    """The numbers of one comparison of a recon file.

    `rows` is the number of rows in the file. A file is compared in ranges of 100,000 rows, and a user is counted once
    in each range. `upToDate`: users whose data was read after PayPay had sent the file's notification. `reRead`: users
    whose data is read again because of this file. `leftOut`: users who are not read again because their webhook was
    received (only with the parameter ReconRecheck=missed). `notLinkedHere`: ids that belong to no linked user of this
    deployment. `erased`: users whose personal data was erased. `duplicates`: further rows with the id of a user who is
    already counted. `malformed`: rows that are not an id. `webhookNeverReceived`: linked users in the file for whom no
    webhook was received since the beginning of the day.

    After the users in `reRead` were read: `changed` is how many of them have another status than before, `notRead` is
    how many could not be read.
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
    """A row that is not an id: its line number in the file (the first line is 1) and the reason."""

    line: int
    reason: str


class ChangedView(AnswerModel):
    """A user whose status changed because of the comparison."""

    user_authorization_id: str
    user_id: str | None
    from_status: str | None = Field(alias="from")
    to_status: str | None = Field(alias="to")
    applied_at: UtcTime | None


class ReconFileView(AnswerModel):
    """One recon file. Times are UTC; `day` is a day in Japan.

    `counts` is null until the file was compared. `changed` lists up to 20 users whose status changed; the object
    `reportKey` in the recon bucket lists all of them. `comparison` is the number of the latest comparison for this
    file type and day. `repairsOpen` is how many users still have to be read again. `doneAt` is an estimate of when the
    last of them will be read. `completedAt` is when all of them had been read. `repairsStoppedAt` is set if reading
    again was stopped then; the remaining users are read after an operator has resumed it. `doubt` is the reason why the
    file was compared but is not accepted as the file of its day. `warnings` lists what was unexpected in the file when
    it was stored.
    """

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
    """The state of one file type on one day in Japan. `state` is one of:

    `due` (the file may still come), `announced` (the notification was received), `stored` (the file was downloaded),
    `compared`, `repairing` (`open` users still have to be read again), `repaired` (the status of `changed` users was
    corrected), `late` (compared after 10:15 of the next morning, Japan time), `none` (nothing is known).

    For `missing` (no notification was received), `expired` (the file was not downloaded in time) and `doubtful` (a file
    was received, but it cannot be accepted as the file of this day), ask PayPay to send the notification again.
    `reason` says why no file is accepted for the day.
    """

    day: str
    state: str
    late: bool
    changed: int
    open: int
    webhook_never_received: int
    reason: str | None


class ResendRequestView(AnswerModel):
    """The text of an e-mail that asks PayPay to send the notifications of the missing days again: Japanese, English."""

    ja: str
    en: str


class ReconTypeView(AnswerModel):
    """The last seven days of a file type, as in the daily report. `week` has the day of the report and the six days
    before it, the newest first.

    `everAnnounced` is false if no notification for this file type was ever received. `lastWebhookAt` is when the last
    webhook of the same kind was received (null: none in the last 40 days). `resendRequest` is null if no day is missing
    that PayPay can still send.
    """

    file_type: str
    ever_announced: bool
    last_webhook_at: UtcTime | None
    week: list[ReconDayView]
    resend_request: ResendRequestView | None


class ReconReportView(AnswerModel):
    """The recon files of one day in Japan. A file with `state` MISSING is one whose notification was not received."""

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
