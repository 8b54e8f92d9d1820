"""Reads Vexora's answers: leniently in type, strictly in meaning (KYC Authentication 2.0, "Response Result").

`code` and `success` are about the call; `data.authenticationStatus` is about the user. `timestamp` is the time, and
`msg` and `data.message` are texts for people. Every field may have another JSON type, or be missing
(docs/providers.md §2). An answer whose fields contradict each other is not understood: nothing in it may be used.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from honnin import json_text

STATUS_QUERY = "kyc_status_query"
APPLY_FOR = "kyc_apply_for"

STATUSES = ("0", "1", "2", "3")
REJECTED = "3"
APPROVED = "2"
SUCCESS = "0000"
MAX_REASON = 200

_TRUE = frozenset({"true", "1", "1.0", "yes", "y", "ok", "success"})
_FALSE = frozenset({"false", "0", "0.0", "no", "n", "fail", "failed", "failure", "error"})
# "When the value is success, it only indicates that this API request succeeded": any other text is only a text, but
# these texts say that the call has failed.
_FAILED_MESSAGES = frozenset({"fail", "failed", "failure", "error", "system error"})
# Texts that mean an empty field.
_NOTHING = frozenset({"", "null", "none", "nil", "undefined", "-", "n/a"})
# Control characters, marks that change the direction of text, and halves of surrogate pairs.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")


class ContradictionError(Exception):
    """Two fields of an answer do not fit together; the message names them and holds no value."""


@dataclass(frozen=True)
class Reading:
    """What Vexora says about a user: `status` is `authenticationStatus`, "0" to "3".

    `reason` is why the user was rejected, in Vexora's words. It has at most 200 characters and may be personal. `body`
    is the whole answer as it came. `call` is the call that it answers, with its name in the vault.
    """

    status: str
    reason: str | None = field(default=None, repr=False)
    request_id: str | None = None
    body: bytes = field(default=b"", repr=False, compare=False)
    call: str = field(default=STATUS_QUERY, compare=False)


@dataclass(frozen=True)
class Envelope:
    """An answer's documented fields. `code` is None if it is missing. In `data`, a value that is no object is None."""

    code: str | None
    message: str
    success: bool | None
    data: Mapping[str, Any] | None

    @property
    def user_id(self) -> str | None:
        """The user id in the answer, or None: the published answer to the query contains none."""
        return _text((self.data or {}).get("userId")) or None

    @property
    def status(self) -> str | None:
        """`authenticationStatus`, if it is a documented one."""
        status = _text((self.data or {}).get("authenticationStatus"))
        return status if status in STATUSES else None

    @property
    def reason(self) -> str | None:
        """Why the user was rejected: `failReason` (field of the query) before `message` (field of the application)."""
        if self.status != REJECTED or self.data is None:
            return None
        return _words(self.data.get("failReason")) or _words(self.data.get("message"))

    def check_success(self) -> None:
        """Raise `ContradictionError` if the fields of an answer with code 0000 contradict each other."""
        if self.success is False:
            raise ContradictionError("code 0000, but success is false")
        if self.message.casefold() in _FAILED_MESSAGES:
            raise ContradictionError("code 0000, but msg says that the call failed")
        if self.status == APPROVED and self.data is not None and _words(self.data.get("failReason")):
            raise ContradictionError("approved, but with a failReason")

    def check_failure(self) -> None:
        """Raise `ContradictionError` if the fields of an answer with a failing code contradict each other."""
        if self.success is True:
            raise ContradictionError("a failing code, but success is true")
        if self.message.casefold() == "success":
            raise ContradictionError("a failing code, but msg is success")


def read(body: bytes) -> Envelope:
    """Read an answer's bytes.

    Raises
    ------
    ContradictionError
        A field is there twice with different values, or `success` is neither true nor false.
    ValueError
        They are no JSON. JSON that is no object counts as an answer without fields.
    """
    try:
        value = json_text.read(body, names_once=True)
    except json_text.GivenTwiceError:
        raise ContradictionError("a name is given twice, with two values") from None
    answer = value if isinstance(value, dict) else {}
    data = answer.get("data")
    envelope = Envelope(
        code=_code(answer.get("code")),
        message=_words(answer.get("msg")) or "",
        success=_boolean(answer.get("success")),
        data=data if isinstance(data, dict) else None,
    )
    # It is not documented at this level. If it is there, it must not contradict the other one.
    outer = _text(answer.get("authenticationStatus"))
    if outer is not None and outer != _text((envelope.data or {}).get("authenticationStatus")):
        raise ContradictionError("two different values of authenticationStatus")
    return envelope


def _text(value: Any) -> str | None:
    """A text or a whole number as text; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) else None


def _code(value: Any) -> str | None:
    # The document shows "0000"; a JSON number would have lost its leading zeros.
    code = _words(_text(value))
    padded = code is not None and (not isinstance(value, str) or not code.strip("0"))
    return code.zfill(4) if code and padded else code


def _boolean(value: Any) -> bool | None:
    """`success` in any spelling; None if it is missing."""
    if value is None:
        return None
    word = str(value).strip().casefold() if isinstance(value, str | int | float) else "?"
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    if word in _NOTHING:
        return None
    raise ContradictionError("success is neither true nor false")


def _words(value: Any) -> str | None:
    """A text for people, of any JSON type: printable, in one line, at most `MAX_REASON` characters."""
    if not value or value is True:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(_UNPRINTABLE.sub(" ", text[: 10 * MAX_REASON]).split())
    return None if text.casefold() in _NOTHING else text[:MAX_REASON]
