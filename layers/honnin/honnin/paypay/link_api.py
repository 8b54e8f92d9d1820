"""`POST /paypay/account-links` on the wire: the merchant's request and our answer.

Lengths and enums are those of the base document, "Create Account Linking QR Code".
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import segno
from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from honnin.errors import InvalidFieldError
from honnin.field_rules import known, pattern
from honnin.merchant_api import AnswerModel, RequestModel, UserId, UtcTime
from honnin.paypay import return_url
from honnin.paypay.account_link import KYC_PASSPORT_FLOW, CreatedLink, LinkRequest
from honnin.times import utc_text

# PayPay has more scopes than the document lists, so only their form is held to.
_SCOPE = pattern(r"\A[a-z_]+\z", "must be lower-case letters and _ only")
Scope = Annotated[str, StringConstraints(pattern=_SCOPE, max_length=100)]

# PayPay's fields that the merchant must not send. A merchant who follows PayPay's document gets an error with the name.
known(("nonce", "redirectUrl", "referenceId", "deviceId"))

_PHONE_NUMBER = pattern(r"\A\+?[0-9-]{1,20}\z", "must be 1 to 20 digits and -, with or without a + before them")

# Examples of docs/openapi.json.
_PLAIN_LINK: JsonDict = {
    "userId": "user-0001",
    "scopes": ["get_kyc_info"],
    "returnUrl": "https://shop.example.jp/kyc/done",
}
_PASSPORT_LINK: JsonDict = {
    **_PLAIN_LINK,
    "scopes": ["kyc_passport_qr"],
    "redirectType": "WEB_LINK",
    "accountLinkFlow": KYC_PASSPORT_FLOW,
    "kycPassport": {},
}
_ANSWER: JsonDict = {
    "linkQRCodeURL": "https://paypay.example.jp/link/0001",
    "qrSvg": "<svg>…</svg>",
    "codeId": None,
    "expiresAt": "2026-04-01T04:00:00.000Z",
}


class AccountLinkRequest(RequestModel):
    """The user to link, the scopes to ask for, and `returnUrl`, to which the browser is sent at the end.

    `returnUrl` must be covered by the parameter ReturnUrlAllowlist. `kycData` and `kycPassport` are passed on to PayPay
    unchanged, because PayPay does not publish their fields. `kycPassport` is required if `accountLinkFlow` is
    KYC_PASSPORT, and not allowed otherwise.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_PLAIN_LINK, _PASSPORT_LINK]})

    user_id: UserId
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50)]
    return_url: str
    redirect_type: Literal["APP_DEEP_LINK", "WEB_LINK"] | None = None
    phone_number: Annotated[str, StringConstraints(pattern=_PHONE_NUMBER)] | None = None
    user_agent: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    kyc_data: dict[str, Any] | None = None
    account_link_flow: Literal["KYC_PASSPORT"] | None = None
    kyc_passport: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _passport_belongs_to_its_flow(self) -> "AccountLinkRequest":
        # Base document: "This field is required when accountLinkFlow is KYC_PASSPORT."
        if self.account_link_flow == KYC_PASSPORT_FLOW and self.kyc_passport is None:
            raise InvalidFieldError("kycPassport", "is required with accountLinkFlow KYC_PASSPORT")
        if self.account_link_flow is None and self.kyc_passport is not None:
            raise InvalidFieldError("kycPassport", "is allowed with accountLinkFlow KYC_PASSPORT only")
        return self


class AccountLinkAnswer(AnswerModel):
    """The QR to show to the user: `linkQRCodeURL` is PayPay's URL, `qrSvg` is the same as an SVG picture.

    `codeId` is the id of the QR in the KYC Passport flow, else null. The user must return
    before `expiresAt` (UTC).
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_ANSWER]})

    link_qr_code_url: Annotated[str, Field(alias="linkQRCodeURL")]
    qr_svg: str
    code_id: str | None
    expires_at: UtcTime


def link_request(body: AccountLinkRequest, allowlist: Sequence[str]) -> LinkRequest:
    """The request as the flow takes it. Raises `InvalidFieldError` for a return URL that is not allowed."""
    passed_on = {"redirect_type", "phone_number", "user_agent", "kyc_data", "account_link_flow", "kyc_passport"}
    return LinkRequest(
        user_id=body.user_id,
        scopes=tuple(body.scopes),
        return_url=return_url.check(body.return_url, allowlist),
        fields=body.model_dump(by_alias=True, include=passed_on, exclude_none=True),
    )


def answer(made: CreatedLink) -> AccountLinkAnswer:
    """The answer, with a QR that a phone can scan."""
    picture = segno.make_qr(made.link_qr_code_url, error="m")
    return AccountLinkAnswer.model_validate(
        {
            "linkQRCodeURL": made.link_qr_code_url,
            "qrSvg": picture.svg_inline(scale=4, border=4, light="#fff", dark="#000"),
            "codeId": made.code_id,
            "expiresAt": utc_text(made.expires_at),
        }
    )
