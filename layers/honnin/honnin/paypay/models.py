"""What PayPay answers, read leniently: unknown and missing keys never fail (providers.md §1.2)."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class ResultInfo(BaseModel):
    """`resultInfo`: the OPA code, its text, and a numeric id of the code."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, coerce_numbers_to_str=True)

    code: str
    message: str = ""
    code_id: str = ""


class Envelope(BaseModel):
    """The envelope of every answer: `{"resultInfo": {…}, "data": {…}}`."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    result_info: ResultInfo | None = None
    data: dict[str, Any] | None = None


class UserAuthorization(BaseModel):
    """`data` of the user authorization status. Times are epoch seconds; `status` is ACTIVE or INACTIVE."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    user_authorization_id: str | None = None
    reference_ids: list[str] = []
    status: str
    scopes: list[str] = []
    expire_at: int | None = None


@dataclass(frozen=True)
class AccountLink:
    """A created account-link QR. `code_id` is there in the KYC Passport flow."""

    link_qr_code_url: str
    code_id: str | None
    request_id: str | None


@dataclass(frozen=True)
class KycReading:
    """A successful KYC read: PayPay's `data` object as it came, personal."""

    data: dict[str, Any] = field(repr=False)
    request_id: str | None
