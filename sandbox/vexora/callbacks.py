"""The result callback: its payload is not published; this is what Vexora's sister notifications do."""

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from sandbox.delivery import Answer, Delivery, RetryPolicy
from sandbox.vexora.answers import MESSAGES, Status
from sandbox.vexora.signature import expected_sign

TIMEOUT_S = 10.0
# Up to 8 tries, and a pause before each: the first try comes at once, the other seven after these.
PAUSES_S = (2.0, 5.0, 10.0, 30.0, 3600.0, 3 * 3600.0, 3 * 3600.0)
ONE_TRY = RetryPolicy(TIMEOUT_S)
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"


def result_fields(user_id: str, status: Status, timestamp_ms: int, app_secret: str) -> dict[str, str]:
    """Return the signed fields of a callback that says `status`. Names and contents are invented."""
    fields = {
        "userId": user_id,
        "authenticationStatus": status.value,
        "message": MESSAGES[status],
        "timestamp": str(timestamp_ms),
    }
    return {**fields, "sign": expected_sign(fields, app_secret)}


def encode(fields: Mapping[str, str], content_type: str) -> bytes:
    """Return the fields as a JSON or a form body."""
    if content_type == FORM_TYPE:
        return urlencode(fields).encode("ascii")
    return json.dumps(dict(fields), ensure_ascii=False).encode("utf-8")


def retry_policy(scale: float) -> RetryPolicy:
    """Return the sister notifications' pauses, multiplied by `scale`."""
    return RetryPolicy(TIMEOUT_S, tuple(pause * scale for pause in PAUSES_S))


def delivery(
    *, user_id: str, url: str, body: bytes, content_type: str, policy: RetryPolicy, kind: str, signed: bool
) -> Delivery:
    """Return a callback ready to be sent; its URL is shown without the token."""
    return Delivery(
        user_id=user_id,
        url=url,
        shown_url=masked(url),
        body=body,
        content_type=content_type,
        policy=policy,
        accepts=is_ok,
        kind=kind,
        signature_ok=signed,
    )


def is_ok(answer: Answer) -> bool:
    """Tell whether the merchant took the callback: 200 and the plain text OK."""
    return answer.status == 200 and answer.body.strip() == "OK"


def forged(url: str) -> str:
    """Return `url` with another last path segment of the same length and alphabet: a guessed token."""
    return _with_last_segment(url, lambda token: re.sub("[0-9A-Za-z]", _other_character, token) or "forged")


def masked(url: str) -> str:
    """Return `url` without its last path segment (the token) and its query."""
    return urlunsplit(urlsplit(_with_last_segment(url, lambda _token: "***"))._replace(query=""))


def _with_last_segment(url: str, change: Callable[[str], str]) -> str:
    parts = urlsplit(url)
    path, _, token = parts.path.rpartition("/")
    return urlunsplit(parts._replace(path=f"{path}/{change(token)}"))


def _other_character(found: re.Match[str]) -> str:
    # Inside 0-9, a-f and g-z each, so that a hex token stays one.
    for alphabet in ("0123456789", "abcdef", "ghijklmnopqrstuvwxyz", "ABCDEF", "GHIJKLMNOPQRSTUVWXYZ"):
        if (place := alphabet.find(found[0])) >= 0:
            return alphabet[(place + 1) % len(alphabet)]
    return found[0]
