"""The result callback: its payload is not published; this is what Vexora's sister notifications do."""

import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit
from xml.sax.saxutils import escape

from sandbox.delivery import Answer, Delivery, RetryPolicy
from sandbox.unkind import FORMS
from sandbox.vexora.answers import MESSAGES, Status
from sandbox.vexora.signature import expected_sign

TIMEOUT_S = 10.0
# Up to 8 tries, and a pause before each: the first try comes at once, the other seven after these.
PAUSES_S = (2.0, 5.0, 10.0, 30.0, 3600.0, 3 * 3600.0, 3 * 3600.0)
ONE_TRY = RetryPolicy(TIMEOUT_S)
JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
BODIES = ("json", *FORMS["callback_body"].variants)
_BOUNDARY = "----VexoraFormBoundary7MA4YWxkTrZu0gW"

Fields = dict[str, object]


def result_fields(user_id: str, status: Status, reason: str, timestamp_ms: int, values: str | None) -> Fields:
    """Return the fields of a callback that says `status`. Names and contents are invented.

    `values`: numbers (numbers where texts are documented elsewhere), mixed (and a boolean, a float and an object), or
    None (texts).
    """
    fields: Fields = {
        "userId": user_id,
        "authenticationStatus": status.value,
        "message": reason if status is Status.REJECTED else MESSAGES[status],
        "timestamp": str(timestamp_ms),
    }
    if values is not None:
        fields |= {"authenticationStatus": int(status.value), "timestamp": timestamp_ms}
    if values == "mixed":
        fields |= {"success": True, "score": 1.0, "rate": 0.5, "detail": {"step": 2}}
    return fields


def encode(fields: Fields, body: str, app_secret: str, sign: str | None = None) -> tuple[bytes, str]:
    """Return the fields, signed, as a body (one of `BODIES`), and the content type that it is sent with ("": none).

    `sign`: none (no sign at all), upper (upper-case hex), or None (as the rule says).
    """
    if body == "surrogate":
        fields = {**fields, "message": f"{fields['message']} \ud83d"}
    texts = {name: _as_text(value) for name, value in fields.items()}
    if sign != "none":
        made = expected_sign(texts, app_secret)
        shown = {"sign": made.upper() if sign == "upper" else made}
        fields, texts = {**fields, **shown}, {**texts, **shown}
    return _WRITERS[body](fields, texts), _TYPES.get(body, JSON_TYPE)


def _json(fields: Fields, _texts: Mapping[str, str]) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _form(_fields: Fields, texts: Mapping[str, str]) -> bytes:
    return urlencode(texts).encode("ascii")


def _multipart(_fields: Fields, texts: Mapping[str, str]) -> bytes:
    head = 'Content-Disposition: form-data; name="{}"\r\n\r\n'
    parts = "".join(f"--{_BOUNDARY}\r\n{head.format(name)}{text}\r\n" for name, text in texts.items())
    return f"{parts}--{_BOUNDARY}--\r\n".encode()


def _xml(_fields: Fields, texts: Mapping[str, str]) -> bytes:
    elements = "".join(f"<{name}>{escape(text)}</{name}>" for name, text in texts.items())
    return f'<?xml version="1.0" encoding="UTF-8"?><xml>{elements}</xml>'.encode()


_WRITERS: Mapping[str, Callable[[Fields, Mapping[str, str]], bytes]] = {
    **dict.fromkeys(["json", "json_as_form", "json_as_text", "json_no_type"], _json),
    **dict.fromkeys(["form", "form_as_json", "form_no_type"], _form),
    "multipart": _multipart,
    "xml": _xml,
    "empty": lambda _fields, _texts: b"",
    "bom": lambda fields, texts: b"\xef\xbb\xbf" + _json(fields, texts),
    "surrogate": lambda fields, _texts: json.dumps(fields).encode(),
    # The first byte of a Shift_JIS character, in the middle of a text.
    "not_utf8": lambda fields, texts: _json(fields, texts).replace(b'"message": "', b'"message": "\x83', 1),
}
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(["form", "json_as_form"], FORM_TYPE),
    **dict.fromkeys(["json_no_type", "form_no_type"], ""),
    "json_as_text": "text/plain;charset=UTF-8",
    "multipart": f"multipart/form-data; boundary={_BOUNDARY}",
    "xml": "text/xml",
}


def _as_text(value: object) -> str:
    """Return a value as a Java program would show it, by which it is signed."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


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
    """Return whether the merchant took the callback: 200 and the plain text OK."""
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
