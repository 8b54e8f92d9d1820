"""Reads an API Gateway proxy event in one place, so that Powertools and our code see the same request.

A REST API passes the path on as it was sent: percent-encoded, and beginning with the base path of a custom domain.
Query parameters are decoded. Headers have the names that the caller wrote.
"""

import binascii
import json
import math
import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import quote, unquote

from honnin.problem_codes import ProblemCode

MAX_BODY_BYTES = 64 * 1024

# US-ASCII is a part of UTF-8.
_CHARSETS = {"utf-8", "utf8", "us-ascii", "ascii"}
# One value of a header that may have several. A comma within quotation marks is no separator.
_LISTED = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Replaces bytes that are not UTF-8. It is not allowed in any path parameter, so the answer is a 422 for that field.
_UNREADABLE = "\ufffd"


class UnreadableError(Exception):
    """The body must not be passed to a handler."""

    def __init__(self, code: ProblemCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class ApiRequest:
    """`event` is what Powertools gets; `body` is the JSON object, and `query` the query parameters."""

    event: dict[str, Any]
    body: dict[str, Any] = field(default_factory=dict, repr=False)
    query: dict[str, Any] = field(default_factory=dict, repr=False)


def read(event: Mapping[str, Any]) -> ApiRequest:
    """Read the request. Raises `UnreadableError` if the body has another type, is too large or is no JSON object."""
    plain = dict(event)
    plain["path"] = routed_path(event)
    body: dict[str, Any] = {}
    if event.get("body"):
        _check_media_type(event)
        body = _json_object(event)
        plain |= {"body": json.dumps(body), "isBase64Encoded": False}
    # Powertools compares letter by letter: to it, `Application/Json` is another type.
    plain["headers"] = _without_type(event.get("headers")) | {"Content-Type": "application/json"}
    plain["multiValueHeaders"] = _without_type(event.get("multiValueHeaders")) or None
    query = event.get("multiValueQueryStringParameters") or event.get("queryStringParameters")
    return ApiRequest(plain, body, dict(query or {}))


def routed_path(event: Mapping[str, Any]) -> str:
    """The path for routing, still percent-encoded: the route that API Gateway has chosen, with the parameters as sent.

    `resource` is that route, such as `/users/{userId}`. The parts are counted from the end, so that the base path of a
    custom domain is left out.
    """
    sent = [_requoted(each) for each in str(event.get("path") or "/").strip("/").split("/")]
    route = str(event.get("resource") or "").strip("/").split("/")
    own = sent[-len(route) :]
    pairs = list(zip(route, own, strict=False))
    if len(own) == len(route) and all(name.startswith("{") or name == decoded(mine) for name, mine in pairs):
        sent = [mine if name.startswith("{") else _requoted(name) for name, mine in pairs]
    return "/" + "/".join(sent)


def decoded(segment: str) -> str:
    """A part of a path, decoded exactly once: `%252F` becomes `%2F`, and `+` stays what it is."""
    return _UNREADABLE if _BROKEN_ESCAPE.search(segment) else unquote(segment, errors="replace")


def _requoted(segment: str) -> str:
    # Powertools' routes match only letters that a URL itself may have. What is encoded already stays encoded.
    return quote(segment, safe="%-._~!$&'()*+,;=:@")


def _check_media_type(event: Mapping[str, Any]) -> None:
    for written in _content_types(event):
        header = Message()
        header["Content-Type"] = written
        if header.get_content_type() != "application/json":
            raise UnreadableError(ProblemCode.MEDIA_TYPE, "Send the body as application/json.")
        if (header.get_content_charset() or "utf-8") not in _CHARSETS:
            raise UnreadableError(ProblemCode.MEDIA_TYPE, "Send the body in UTF-8; no other charset is accepted.")


def _without_type(headers: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (headers or {}).items() if name.lower() != "content-type"}


def _content_types(event: Mapping[str, Any]) -> Iterator[str]:
    """Each Content-Type that the caller sent. A request without one counts as JSON."""
    found: list[str] = []
    for name, value in (event.get("headers") or {}).items():
        if name.lower() == "content-type":
            found.append(str(value or ""))
    for name, values in (event.get("multiValueHeaders") or {}).items():
        if name.lower() == "content-type":
            found += map(str, values or ())
    return (each.strip() for value in found for each in _LISTED.findall(value) if each.strip())


def _json_object(event: Mapping[str, Any]) -> dict[str, Any]:
    text = event["body"]
    try:
        raw = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
        if len(raw) > MAX_BODY_BYTES:
            raise UnreadableError(ProblemCode.BODY_TOO_LARGE, f"At most {MAX_BODY_BYTES:,} bytes are read.")
        # RFC 8259, section 8.1: a reader may ignore a byte order mark.
        value = json.loads(
            raw.decode("utf-8-sig"), parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object
        )
        clean = json.dumps(value, ensure_ascii=False)
        clean.encode()  # half a surrogate pair cannot be encoded again
    except (binascii.Error, ValueError, RecursionError):
        raise UnreadableError(ProblemCode.BODY_NOT_JSON, "") from None
    if _UNREADABLE in clean:
        # API Gateway puts U+FFFD in the place of bytes that are not UTF-8.
        raise UnreadableError(
            ProblemCode.BODY_NOT_JSON, "The body contains U+FFFD, which replaces bytes that are not UTF-8."
        )
    if not isinstance(value, dict):
        raise UnreadableError(ProblemCode.BODY_NOT_OBJECT, "")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # RFC 8259, section 4: if two names are equal, readers differ in which one they use.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError(ProblemCode.BODY_FIELD_TWICE, "")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large for a double")
    return number
