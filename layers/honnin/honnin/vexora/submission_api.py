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
        description="A text of your choice. A request repeated with it within 24 hours gets the first answer again",
        examples=["order-2026-04-01-0001"],
    ),
]

_SUBMISSION_ID = "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11"  # in the examples of docs/openapi.json


class SubmissionRequest(RequestModel):
    """The user to submit. The furigana is sent to Vexora and is not stored.

    `usernameFurigana` may have katakana, digits, `・`, `ー` and spaces, at most 100 characters. Hiragana and half-width
    katakana are converted to katakana.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"userId": "user-0001", "usernameFurigana": "テスト ハナコ"}]}
    )

    user_id: UserId
    username_furigana: Annotated[str, AfterValidator(furigana.normalise)]


class SubmissionAnswer(AnswerModel):
    """The submission and the user's status at Vexora. SUBMITTING: Vexora did not answer in time; Honnin asks Vexora for
    the result later."""

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
