"""What the merchant's API says of the recon files of a day, in the shapes of docs/openapi.json."""

from datetime import date

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from honnin.errors import InvalidFieldError, NotFoundError
from honnin.merchant_api import AnswerModel, UtcTime
from honnin.problem_codes import ProblemCode
from honnin.recon import report
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
    shards; all of them are in the bucket's object `reportKey`. `doubt` says why a compared file does not close its
    day, `warnings` what did not fit when it was stored. Times are UTC, `day` is JST."""

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
