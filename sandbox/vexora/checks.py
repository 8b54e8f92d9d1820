"""What Vexora demands of a request. Every refusal is a RefusedError with one of the failing codes."""

import json
import re
from dataclasses import dataclass

from flask import Request

from sandbox.explained import explain
from sandbox.journal import request_notes
from sandbox.urls import is_callback_url
from sandbox.vexora.answers import Failure, RefusedError
from sandbox.vexora.signature import explanation, is_signed

APPLY_FIELDS = frozenset({"sign", "timestamp", "userId", "callBackUrl", "usernameFurigana"})
QUERY_FIELDS = frozenset({"sign", "timestamp", "userId"})
TIMESTAMP_TOLERANCE_MS = 5 * 60 * 1000
# Full-width katakana with ー ・ ヽ ヾ; the document's own example also has digits (テスト014).
KATAKANA_NAME = re.compile(r"[ァ-ヺー・ヽヾ0-9 \u3000]{1,100}")
KATAKANA_LETTER = re.compile(r"[ァ-ヺ]")


@dataclass(frozen=True)
class VexoraAccount:
    """The merchant that the simulated Vexora knows. The defaults are invented, and no secret."""

    merchant_no: str = "1027749636"
    app_secret: str = "sandbox-app-secret"


def form_fields(request: Request) -> dict[str, str]:
    """Return the fields of a multipart form. Raises RefusedError."""
    if request.mimetype != "multipart/form-data":
        raise RefusedError(Failure.CONTENT_TYPE, "multipart/form-data expected")
    if request.files:
        raise RefusedError(Failure.INVALID, f"{_name(next(iter(request.files)))} is a file part")
    for name, values in request.form.lists():
        if len(values) > 1:
            raise RefusedError(Failure.INVALID, f"{_name(name)} is there more than once")
    return request.form.to_dict()


def json_fields(request: Request) -> dict[str, str]:
    """Return the fields of a JSON object of texts. Raises RefusedError."""
    if request.mimetype != "application/json":
        raise RefusedError(Failure.CONTENT_TYPE, "application/json expected")
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise RefusedError(Failure.INVALID, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise RefusedError(Failure.INVALID, "the body is not an object")
    for name, value in body.items():
        if not isinstance(value, str):
            raise RefusedError(Failure.INVALID, f"{_name(name)} is not a text")
    return body


def check_request(
    fields: dict[str, str],
    required: frozenset[str],
    *,
    merchant_no: str | None,
    account: VexoraAccount,
    now_ms: int,
) -> None:
    """Check what both calls have in common: merchant, names, sign, timestamp. Raises RefusedError."""
    notes = request_notes()
    notes.signature_ok = is_signed(fields, account.app_secret)
    explain(explanation(fields, account.app_secret))
    if merchant_no != account.merchant_no:
        raise RefusedError(Failure.MERCHANT, "header merchantNo")
    for name in sorted(required):
        if fields.get(name, "") == "":
            raise RefusedError(Failure.MISSING, name)
    if unknown := set(fields) - required:
        raise RefusedError(Failure.UNKNOWN, _name(min(unknown)))
    if not notes.signature_ok:
        raise RefusedError(Failure.SIGN)
    if not re.fullmatch(r"[0-9]{13}", fields["timestamp"]):
        raise RefusedError(Failure.INVALID, "timestamp is not in milliseconds")
    if abs(int(fields["timestamp"]) - now_ms) > TIMESTAMP_TOLERANCE_MS:
        raise RefusedError(Failure.TIMESTAMP)


def check_application(fields: dict[str, str]) -> None:
    """Check the values of an application. Raises RefusedError."""
    if not is_callback_url(fields["callBackUrl"]):
        raise RefusedError(Failure.INVALID, "callBackUrl is not https")
    name = fields["usernameFurigana"]
    if not KATAKANA_NAME.fullmatch(name) or not KATAKANA_LETTER.search(name):
        raise RefusedError(Failure.INVALID, "usernameFurigana is not katakana in UTF-8")


def _name(name: str) -> str:
    # A field's name is the sender's text: it must not carry a value into an answer or the journal.
    return name if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) else "a field"
