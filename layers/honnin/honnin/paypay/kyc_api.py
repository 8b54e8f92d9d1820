"""The three KYC reads on the wire: the parameters and our answer."""

from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from honnin.field_rules import pattern
from honnin.merchant_api import AnswerModel, UtcTime
from honnin.paypay.kyc_reading import KycAnswer
from honnin.status import PayPayStatus

CodeIdInPath = Annotated[
    str,
    StringConstraints(pattern=pattern(r"\A[\x21-\x7e]{1,255}\z", "must be 1 to 255 visible ASCII characters")),
    Path(description="`codeId` from the answer of `POST /paypay/account-links`", examples=["code-0001"]),
]
KycType = Annotated[
    Literal["EKYC", ""] | None,
    Query(
        description="`EKYC` requires a KYC that was done electronically (eKYC); passed on to PayPay", examples=["EKYC"]
    ),
]

# Examples of docs/openapi.json. PayPay does not publish the names inside `kyc`; the person is invented.
_VERIFIED: JsonDict = {
    "status": "VERIFIED",
    "readAt": "2026-04-01T03:05:00.000Z",
    "kyc": {
        "status": "COMPLETED",
        "eKycDocument": "MY_NUMBER_CARD",
        "lastNameKana": "テスト",
        "firstNameKana": "ハナコ",
    },
}
_NOT_COMPLETED: JsonDict = {"status": "NOT_COMPLETED", "readAt": "2026-04-01T03:05:00.000Z"}


class KycView(AnswerModel):
    """The result of a KYC read. `readAt` (UTC) is when PayPay was asked.

    `kyc` is PayPay's `data` object, unchanged. It is personal data, and it is left out if PayPay returned none.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_VERIFIED, _NOT_COMPLETED]})

    status: PayPayStatus
    read_at: UtcTime
    kyc: Annotated[dict[str, Any] | SkipJsonSchema[None], Field(exclude_if=lambda kyc: kyc is None)] = None

    @classmethod
    def of(cls, answer: KycAnswer) -> "KycView":
        """The answer to the merchant for what was read."""
        return cls(
            status=PayPayStatus(answer.status), read_at=answer.read_at, kyc=dict(answer.kyc) if answer.kyc else None
        )
