"""What PayPay answers, read leniently: unknown and missing keys never fail (providers.md §1.2)."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _code(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class ResultInfo(BaseModel):
    """`resultInfo`: the OPA code and its text."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[str, BeforeValidator(_code)]
    message: Annotated[str, BeforeValidator(_text)] = ""


class Envelope(BaseModel):
    """The envelope of every answer: `{"resultInfo": {…}, "data": {…}}`."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    result_info: ResultInfo | None = None
    data: Annotated[dict[str, Any], BeforeValidator(_object)] = {}


class UserAuthorization(BaseModel):
    """`data` of the user authorization status. Times are epoch seconds; `status` is ACTIVE or INACTIVE."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    user_authorization_id: str | None = None
    reference_ids: Annotated[list[str], BeforeValidator(_texts)] = []
    status: str
    scopes: Annotated[list[str], BeforeValidator(_texts)] = []
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
