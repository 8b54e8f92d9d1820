"""Vexora's answers: the envelope and the codes."""

from collections.abc import Mapping
from enum import Enum, StrEnum

from sandbox.journal import request_notes
from sandbox.unkind import Dice, Document, odd_text

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


REASON = "氏名のカタカナが登録口座の名義と一致しません。 The name does not match the account."


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


# Of the document's own example: not the id that its request sends.
OTHER_USER_ID = "79x7p10nh4xd121m"
USER_IDS = ("absent", "other", "same")


def accepted(data: Mapping[str, object], timestamp_ms: int) -> Document:
    """Return the answer of the document for a call that arrived."""
    return _envelope(SUCCESS_CODE, "success", timestamp_ms, success=True, data=data)


def application_data(user_id: str, status: Status, which_id: str) -> dict[str, object]:
    """Return `data` of an application. `which_id` is one of `USER_IDS`."""
    return {**_user_id(user_id, which_id), "authenticationStatus": status.value, "message": MESSAGES[status]}


def query_data(user_id: str, status: Status, which_id: str, reason: str) -> dict[str, object]:
    """Return `data` of a query: the published page names the status and, for a rejection, why."""
    shown = {"failReason": reason} if status is Status.REJECTED else {}
    return {**_user_id(user_id, which_id), "authenticationStatus": status.value, **shown}


def refused(code: str, message: str, timestamp_ms: int) -> Document:
    """Return a failing answer. HTTP 200, as every answer of Vexora; `data` is null (invented)."""
    return _envelope(code, message, timestamp_ms, success=False, data=None)


def vary(document: dict[str, object], dice: Dice) -> None:
    """Let the dice say what of an envelope is missing or of another type. `code` and the status stay as they are."""
    if dice.takes("timestamp_text"):
        document["timestamp"] = str(document["timestamp"])
    if dice.takes("success_text"):
        document["success"] = "true" if document["success"] else "false"
    if (odd := odd_text(dice)) is not None:
        document["msg"] = odd
    data = document["data"]
    if data is None:
        match dice.variant("no_data"):
            case "absent":
                del document["data"]
            case "empty":
                document["data"] = {}
    elif isinstance(data, dict) and "message" not in data and "failReason" not in data:
        match dice.variant("no_reason"):
            case "null":
                data["failReason"] = None
            case "empty":
                data["failReason"] = ""


def _user_id(user_id: str, which_id: str) -> dict[str, object]:
    return {} if which_id == "absent" else {"userId": user_id if which_id == "same" else OTHER_USER_ID}


def _envelope(
    code: str, message: str, timestamp_ms: int, *, success: bool, data: Mapping[str, object] | None
) -> Document:
    request_notes().code = code
    body = {"msg": message, "code": code, "timestamp": timestamp_ms, "success": success, "data": data}
    return Document(body, 200, "application/json;charset=UTF-8")
