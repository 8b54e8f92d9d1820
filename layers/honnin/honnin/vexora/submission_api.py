"""`POST /vexora/submissions` on the wire: the merchant's request and our answer."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import AfterValidator, ConfigDict

from honnin.field_rules import pattern
from honnin.merchant_api import AnswerModel, RequestModel, UserId
from honnin.status import VexoraStatus
from honnin.vexora import furigana

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=pattern(r"\A[\x21-\x7e]{1,255}\z", "must be 1 to 255 visible ASCII characters"),
        description="Any text of yours: for 24 hours a repeated request with it gets the first answer",
        examples=["order-2026-04-01-0001"],
    ),
]

_SUBMISSION_ID = "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11"  # in the examples of docs/openapi.json


class SubmissionRequest(RequestModel):
    """Who to submit. The furigana goes to Vexora and is kept nowhere.

    `usernameFurigana` is katakana, digits, `・`, `ー` and spaces, at most 100 characters. Hiragana and half-width
    katakana are brought into that form.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"userId": "user-0001", "usernameFurigana": "テスト ハナコ"}]}
    )

    user_id: UserId
    username_furigana: Annotated[str, AfterValidator(furigana.normalise)]


class SubmissionAnswer(AnswerModel):
    """The submission and the status at Vexora. SUBMITTING: Vexora's answer did not come, the poll will ask."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"submissionId": _SUBMISSION_ID, "userId": "user-0001", "status": "PENDING"},
                {"submissionId": _SUBMISSION_ID, "userId": "user-0001", "status": "SUBMITTING"},
            ]
        }
    )

    submission_id: str
    user_id: str
    status: VexoraStatus
