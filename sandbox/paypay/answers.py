"""PayPay's answers: the envelope, the codes of the document, and the request id."""

import uuid
from collections.abc import Mapping
from typing import NamedTuple

from sandbox.journal import request_notes
from sandbox.unkind import Document

REQUEST_ID_HEADER = "X-REQUEST-ID"
UNKNOWN_CODE_ID = "08199999"


class Failure(NamedTuple):
    """What a failing code comes with. Only the `code_id` of EXPECTATION_FAILED is published."""

    status: int
    code_id: str
    message: str


FAILURES: Mapping[str, Failure] = {
    "INVALID_REQUEST_PARAMS": Failure(400, "08100006", "The provided information contains invalid data."),
    "MISSING_REQUEST_PARAMS": Failure(400, "08100004", "A required parameter is missing."),
    "INVALID_PARAMS": Failure(400, "08100007", "The set parameter is invalid."),
    "CANCELED_USER": Failure(400, "08100030", "The user has canceled PayPay account."),
    "EXPECTATION_FAILED": Failure(400, "08100017", "The scope or the redirect domain is not registered."),
    "UNAUTHORIZED": Failure(401, "08100016", "No valid api key and secret provided."),
    "OP_OUT_OF_SCOPE": Failure(401, "08100023", "The operation is not permitted."),
    "INVALID_USER_AUTHORIZATION_ID": Failure(401, "08100020", "The user authorization ID is invalid."),
    "EXPIRED_USER_AUTHORIZATION_ID": Failure(401, "08100021", "The user authorization ID expired."),
    "USER_STATE_IS_NOT_ACTIVE": Failure(401, "08100022", "The user status is inactive."),
    "RATE_LIMIT": Failure(429, "08100998", "Too many requests."),
    "SERVICE_ERROR": Failure(500, "08100101", "A service error has occurred."),
    "INTERNAL_SERVER_ERROR": Failure(500, "08100100", "Something went wrong."),
    "MAINTENANCE_MODE": Failure(503, "08100999", "Sorry, we are down for scheduled maintenance."),
    "KYC_NOT_COMPLETED": Failure(400, "08100040", "The user has not completed KYC."),
    "NON_EKYC_USER": Failure(400, "08100041", "User KYC not happened with using EKYC."),
    "UNACCEPTABLE_OP": Failure(400, "08100042", "The requested operation cannot be processed."),
    "KYC_UPDATE_REQUIRED": Failure(400, "08100043", "This user needs to update the KYC documents."),
    "SESSION_NOT_FOUND": Failure(404, "08100044", "The code ID is not found or it is already expired."),
    "KYC_PASSPORT_NOT_COMPLETED": Failure(400, "08100045", "The user has not completed KYC passport process."),
}


class RefusedError(Exception):
    """A request that PayPay refuses with a code of `FAILURES`; `detail` names the rule, never a value."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


def accepted(data: Mapping[str, object] | None, status: int = 200) -> Document:
    """Return the answer to a call that succeeded."""
    return _envelope(status, "SUCCESS", "Success", "08100001", data)


def refused(code: str, *, status: int | None = None, message: str | None = None) -> Document:
    """Return a failing answer; a code that the document does not name is a 400 unless `status` says otherwise."""
    known = FAILURES.get(code, Failure(400, UNKNOWN_CODE_ID, code))
    return _envelope(status or known.status, code, message or known.message, known.code_id, None)


def new_request_id() -> str:
    """Return a new value for `X-REQUEST-ID`, in the form of the document's example."""
    return "OPA" + uuid.uuid4().hex.upper()


def _envelope(status: int, code: str, message: str, code_id: str, data: Mapping[str, object] | None) -> Document:
    request_notes().code = code
    body = {"resultInfo": {"code": code, "message": message, "codeId": code_id}, "data": data}
    return Document(body, status, "application/json;charset=UTF-8")
