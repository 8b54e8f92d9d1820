"""Vexora's answers: the envelope and the codes."""

import json
from enum import Enum, StrEnum

from flask import Response

from sandbox.journal import request_notes

SUCCESS_CODE = "0000"


class Status(StrEnum):
    """`authenticationStatus`."""

    PENDING = "0"
    UNDER_REVIEW = "1"
    APPROVED = "2"
    REJECTED = "3"


# The first is the document's example, the others are invented.
MESSAGES = {
    Status.PENDING: "apply for kyc successful, Please authentication",
    Status.UNDER_REVIEW: "kyc is under review",
    Status.APPROVED: "kyc approved",
    Status.REJECTED: "kyc rejected, please apply again",
}


class Failure(Enum):
    """Failing codes: (code, msg). All but 8000 are invented, the provider does not publish them."""

    SYSTEM_ERROR = ("8000", "system error")  # published
    SIGN = ("1001", "sign verification failed")
    MERCHANT = ("1002", "merchant does not exist")
    MISSING = ("1003", "missing parameter")
    UNKNOWN = ("1004", "unknown parameter")
    INVALID = ("1005", "invalid parameter")
    TIMESTAMP = ("1006", "timestamp expired")
    CONTENT_TYPE = ("1007", "unsupported content type")
    NO_USER = ("2001", "user does not exist")
    STILL_OPEN = ("2002", "kyc application already submitted")
    ALREADY_APPROVED = ("2003", "kyc already approved")
    REFUSED = ("2099", "kyc application refused")


class RefusedError(Exception):
    """A request that Vexora refuses; `detail` names the field and the rule, never a value."""

    def __init__(self, failure: Failure, detail: str = "") -> None:
        super().__init__(failure.name)
        self.failure = failure
        self.detail = detail


def accepted(user_id: str, status: Status, timestamp_ms: int) -> Response:
    """Return the answer of the document for a call that arrived."""
    data = {"userId": user_id, "authenticationStatus": status.value, "message": MESSAGES[status]}
    return _envelope(SUCCESS_CODE, "success", timestamp_ms, success=True, data=data)


def refused(code: str, message: str, timestamp_ms: int) -> Response:
    """Return a failing answer. HTTP 200, as every answer of Vexora; `data` is null (invented)."""
    return _envelope(code, message, timestamp_ms, success=False, data=None)


def _envelope(code: str, message: str, timestamp_ms: int, *, success: bool, data: dict[str, str] | None) -> Response:
    request_notes().code = code
    body = {"msg": message, "code": code, "timestamp": timestamp_ms, "success": success, "data": data}
    return Response(json.dumps(body, ensure_ascii=False), 200, content_type="application/json;charset=UTF-8")
