"""Reads PayPay's answers leniently: unknown and missing keys are no error (docs/providers.md §1.2)."""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from honnin import json_text

# The format of a result code. Anything else in its place is free text, which must not be in logs and timelines.
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")

# A time in the year 5138: a larger number must be in milliseconds.
_LATEST_S = 99_999_999_999


def _text(value: Any) -> str | None:
    """A text or a number as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def _texts(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _epoch_s(value: Any) -> int | None:
    """Epoch seconds from a number or digits, in seconds or milliseconds; None if it cannot be such a time."""
    try:
        number = int(value if isinstance(value, float) else _text(value) or 0)
    except (ValueError, OverflowError):
        return None
    number = number // 1000 if number > _LATEST_S else number
    return number if 0 < number <= _LATEST_S else None


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Envelope:
    """The envelope of every answer: `{"resultInfo": {"code", "message", "codeId"}, "data": {…}}`.

    `code` is None if no code can be read; `data` is empty if it is no object.
    """

    code: str | None
    message: str
    data: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, body: bytes) -> "Envelope":
        """Read an answer's body, whatever its content is."""
        try:
            outer = _object(json_text.read(body))
        except ValueError:
            outer = {}
        info = _object(outer.get("resultInfo"))
        code = _text(info.get("code")) or ""
        message = info.get("message")
        return cls(
            code=code if _CODE.fullmatch(code) else None,
            message=message[:200] if isinstance(message, str) else "",
            data=_object(outer.get("data")),
        )


class UserAuthorization(BaseModel):
    """`data` of the user authorization status. Times are epoch seconds; `status` is ACTIVE or INACTIVE."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    user_authorization_id: Annotated[str | None, BeforeValidator(_text)] = None
    reference_ids: Annotated[list[str], BeforeValidator(_texts)] = []
    status: str
    scopes: Annotated[list[str], BeforeValidator(_texts)] = []
    expire_at: Annotated[int | None, BeforeValidator(_epoch_s)] = None


@dataclass(frozen=True)
class AccountLink:
    """A created account-link QR. `code_id` is there in the KYC Passport flow."""

    link_qr_code_url: str
    code_id: str | None
    request_id: str | None


@dataclass(frozen=True)
class KycReading:
    """What a KYC read answered: PayPay's `data` object as it came, which is personal; empty if there was none.

    `code` is SUCCESS, or a code that is in no document. Such an answer says nothing that we understand.
    """

    data: dict[str, Any] = field(repr=False)
    request_id: str | None
    http_status: int = 200
    code: str = "SUCCESS"


@dataclass(frozen=True)
class AuthorizationReading:
    """What a read of an authorization answered."""

    found: UserAuthorization
    request_id: str | None = None
    http_status: int = 200
