"""The ack path: look at the shape, put one event on the queue, answer. Standard library only.

A webhook is a hint (docs/providers.md §1.4): nothing here decides about a user. The ack path loads nothing but the
standard library and four modules of ours: this one, `event`, `times` and `sqs_send`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from urllib.parse import parse_qsl

from honnin import times
from honnin.event import UNNAMED, Event, Provider
from honnin.sqs_send import SendError, send_message

MAX_BODY_BYTES = 64 * 1024

_NAMESPACE = "Honnin"
_SUBMISSION_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
# What may stand in no id and no log: control characters, marks that turn the direction of text, halves of surrogate
# pairs, and U+FFFE and U+FFFF, which SQS refuses in a message.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# A text that was not UTF-8 where it came from, or holds half a surrogate pair: not as it was signed.
_BROKEN = re.compile(r"[\ufffd\ud800-\udfff]")
_ENCODED = re.compile(r"content-transfer-encoding: *(base64|quoted-printable)", re.IGNORECASE)

# An array of notifications on its way to `split_notifications`, which makes events of it.
SEVERAL = "several"

# What is read of a notification, by the names of the base document, and how many characters each may have.
_LONGEST = {
    "notification_type": 128,
    "notification_id": 128,
    "user_authorization_id": 64,
    "fileType": 128,
    "path": 16 * 1024,
    "requestedAt": 64,
}
# An authorization id is random and long; a shorter text in another one is chance.
_SHORTEST_SECRET = 20

# Customer events write the same names in camelCase.
_NAMES = {name.replace("_", "").lower(): name for name in _LONGEST}

# docs/providers.md §1.4: customer events, in PayPay's own spelling and in the right one.
_CUSTOMER_EVENT = re.compile(r"customer\.auth(?:ro|or)ization\..+", re.IGNORECASE)

# Base document, "KYC Events" to "Recon File": notification_type -> the kind of our event.
PAYPAY_KINDS = {
    "kyc_passport.kyc_info.updated": "kyc",
    "kyc_passport.risk.update": "risk",
    "kyc_passport.account_status.updated": "account_status",
    "file.created": "recon_file",
}

# Importing typing would cost a cold ack 3 ms. Type checkers know this name; a `type` statement is not evaluated.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# An API Gateway proxy event, and the answer to it.
type Request = Mapping[str, Any]
type Answer = dict[str, Any]


class RefusedError(Exception):
    """The request is answered with `status` and `reason`; nothing was queued."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def acknowledge_vexora_result(
    request: Request,
    *,
    source_cidrs: Sequence[str],
    callback_keys: Callable[[], Sequence[str]],
    verify_sign: Callable[[Mapping[str, str], str], bool | None],
    send: Callable[[str], str],
) -> Answer:
    """Answer one result callback of Vexora: plain `OK` once the event is on the queue.

    Whoever has the token is queued, whatever the body holds, up to `MAX_BODY_BYTES`: what a callback looks like is not
    published (docs/providers.md §2), and no value in it is used.

    Parameters
    ----------
    request
        The API Gateway proxy event; path parameters `submissionId` and `token`.
    callback_keys
        Gives the keys under which `callback_token` may have made the token.
    verify_sign
        Says whether a `sign` fits the fields; None when it cannot be checked. Recorded as `valid`, `invalid`,
        `unchecked`, `unreadable` or `absent`, never decisive.
    send
        Puts a message body on the events queue.
    """
    try:
        _check_source(request, source_cidrs, Provider.VEXORA)
        submission_id = _check_token(request, callback_keys)
        body = _read_body(request)
    except RefusedError as refused:
        if refused.status != 400:
            return _refuse(Provider.VEXORA, refused)
        body = b""
    event = Event(
        # The document gives callbacks no id, and two with the same bytes may mean two decisions.
        event_id=f"vexora:{submission_id}:{os.urandom(16).hex()}",
        provider=Provider.VEXORA,
        kind="kyc_result",
        cause="webhook",
        subject=submission_id,
        received_at=times.utc_now(),
        detail=_vexora_detail(body, verify_sign),
    )
    return _queue(Provider.VEXORA, event, send)


def paypay(request: Request) -> Answer:
    """`acknowledge_paypay` with the settings of the running function: all four PayPay webhooks are this call."""
    return acknowledge_paypay(
        request,
        source_cidrs=os.environ["PAYPAY_SOURCE_CIDRS"].split(","),
        send=partial(send_message, os.environ["EVENT_QUEUE_URL"]),
        send_recon_file=partial(send_message, os.environ["RECON_NOTICE_QUEUE_URL"]),
    )


def acknowledge_paypay(
    request: Request,
    *,
    source_cidrs: Sequence[str],
    send: Callable[[str], str],
    send_recon_file: Callable[[str], str],
) -> Answer:
    """Answer one PayPay notification: `OK` once the event is on the queue. Every type is taken at every URL.

    What the notification is about is decided by its own `notification_type`: PayPay configures the four URLs by
    hand, and nothing that it sends may disappear. So every JSON value is queued: an array is its elements, and what
    names no event is `unrecognised`, with the body's SHA-256 instead of the body, which may be personal.

    `send_recon_file` puts on the queue of the notifications of recon files, which can be fetched for two hours only:
    what is about one goes there from every URL, in an array as well.
    """
    try:
        _check_source(request, source_cidrs, Provider.PAYPAY)
        event = _paypay_event(_read_body(request))
    except RefusedError as refused:
        # For PayPay there are two refusals only: the address (403) and the shape, size included (400).
        return _refuse(Provider.PAYPAY, refused if refused.status == 403 else RefusedError(400, refused.reason))
    several = split_notifications(event) if event.kind == SEVERAL else [event]
    return _queue(Provider.PAYPAY, event, send_recon_file if any(map(_is_recon_file, several)) else send)


def try_again() -> Answer:
    """503, so that the provider sends again what we cannot take now."""
    return _answer(503, "try again")


def callback_token(submission_id: str, key: str) -> str:
    """The unguessable part of a callback URL: HMAC-SHA256 of the submission id, in hexadecimal."""
    return hmac.digest(key.encode(), submission_id.encode(), "sha256").hex()


def _check_source(request: Request, cidrs: Sequence[str], provider: str) -> None:
    # docs/providers.md §1.4: requestContext.identity.sourceIp, never X-Forwarded-For.
    source = str(request["requestContext"]["identity"]["sourceIp"])
    networks = _networks(tuple(cidrs), provider)
    if not networks:  # nobody can call, and every refused call says why
        _emit("ConfigurationFault", None, reason=f"no network is set that {provider} may call from")
    try:
        address = ipaddress.ip_address(source)
        known = any(address in network for network in networks)
    except ValueError:
        known = False
    if not known:
        _emit("SourceAddressRejected", provider, source_ip=source)
        raise RefusedError(403, "this address may not call here")


@cache
def _networks(cidrs: tuple[str, ...], provider: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of a setting. An entry that is not a network is left out and counts one configuration fault."""
    found = []
    for entry in filter(None, (cidr.strip() for cidr in cidrs)):
        try:
            found.append(_network(entry))
        except ValueError:
            _emit("ConfigurationFault", None, reason=f"a network that {provider} may call from cannot be read: {entry}")
    return found


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    # Host bits may be set: API Gateway's policy takes such an entry for its network, too.
    network = ipaddress.ip_network(entry, strict=False)
    if (network.prefixlen == 0 and entry not in ("0.0.0.0/0", "::/0")) or "%" in entry:
        raise ValueError("everybody is let in only if that is written out; a zone means nothing here")
    return network


def _check_token(request: Request, callback_keys: Callable[[], Sequence[str]]) -> str:
    path = request.get("pathParameters") or {}
    submission_id = str(path.get("submissionId", ""))
    token = str(path.get("token", ""))
    # Every key is compared, whatever the first result, so that the time taken tells nothing.
    matches = [
        hmac.compare_digest(callback_token(submission_id, key).encode(), token.encode("utf-8", "replace"))
        for key in callback_keys()
    ]
    if not any(matches) or not _SUBMISSION_ID.fullmatch(submission_id):
        _emit("CallbackTokenRejected", Provider.VEXORA)
        raise RefusedError(403, "the token does not fit this URL")
    return submission_id


def _read_body(request: Request) -> bytes:
    text = request.get("body") or ""
    if request.get("isBase64Encoded"):
        # 4 characters carry 3 bytes: refuse before decoding what cannot fit.
        if len(text) > MAX_BODY_BYTES * 4 // 3 + 4:
            raise RefusedError(413, "the body is larger than 64 KiB")
        try:
            body = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise RefusedError(400, "the body is not valid base64") from None
    else:
        body = text.encode("utf-8", "surrogatepass")
    if len(body) > MAX_BODY_BYTES:
        raise RefusedError(413, "the body is larger than 64 KiB")
    return body


def _read_json(body: bytes) -> object:
    """A JSON value whose ids can be read, whatever is in its other texts: line ends, stray bytes, Shift_JIS.

    Numbers are texts, just as they were sent. A byte order mark is passed over, as RFC 8259 §8.1 lets a reader do. A
    stray byte becomes half of a surrogate pair: harmless in a text that decides nothing, and never taken as an id.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    for encoding in ("utf-8", "cp932"):
        # In Shift_JIS the second half of a character may look like a backslash, which breaks what is read as UTF-8.
        with suppress(ValueError):
            text = body.decode(encoding, "surrogateescape")
            try:
                return json.loads(text, strict=False, parse_int=str, parse_float=str)
            except RecursionError:
                # Nested so deeply that nobody can say whether it is JSON: nothing in it names an event.
                return None
    raise RefusedError(400, "the body is not JSON")


def _paypay_event(body: bytes) -> Event:
    """The event of one body (base document, "Webhook Setup" and the sections after it).

    Several notifications are one message, since the 1.5 s must not depend on how many there are: either all of them
    are on the queue or none. They are reduced to what is read of them, which always fits into a message.
    """
    digest = hashlib.sha256(body).hexdigest()
    received_at = times.utc_now()
    named: list[dict[str, str]] = []
    rest: dict[str, str] | None = None
    for each in _elements(_read_json(body)):
        fields = _usable_fields(each)
        if fields and _names_event(fields):
            named.append(fields)
        else:
            # All that names no event is one event together: nothing but the hash of the body is kept of it.
            rest = rest or fields
    carried = [*named, *([] if rest is None else [rest])] or [{}]
    if len(carried) == 1:
        return _notification_event(carried[0], digest, received_at)
    detail = {"sha256": digest, "notifications": json.dumps(carried, ensure_ascii=False, separators=(",", ":"))}
    event_id = f"paypay:{SEVERAL}:body-{digest[:32]}"
    return Event(event_id, Provider.PAYPAY, SEVERAL, "webhook", UNNAMED, received_at, detail)


def split_notifications(event: Event) -> list[Event]:
    """The events of an array of notifications, as each would have been by itself, each once."""
    found = (
        _notification_event(fields, event.detail["sha256"], event.received_at)
        for fields in json.loads(event.detail["notifications"])
    )
    return list({each.event_id: each for each in found}.values())


def is_customer_event(notification_type: str) -> bool:
    """Whether PayPay told of the user's link itself (`customer.authroization.*`), which no recon file lists."""
    return _CUSTOMER_EVENT.fullmatch(notification_type) is not None


def _elements(value: object) -> list[object]:
    """The elements of an array, and of the arrays in it; any other value is its own only element."""
    found, left = [], [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(reversed(each))
        else:
            found.append(each)
    return found


def _usable_fields(value: object) -> dict[str, str]:
    """What is read of a notification, by the names of the base document; unusable values are left out.

    The document's own spelling of a name comes before any other.
    """
    found: dict[str, str] = {}
    for given, each in value.items() if isinstance(value, dict) else ():
        name = _NAMES.get(given.replace("_", "").lower())
        if name is None or not isinstance(each, str):
            continue
        text = each.strip()
        is_usable = 1 <= len(text) <= _LONGEST[name] and not _UNPRINTABLE.search(text)
        if is_usable and (given == name or name not in found):
            found[name] = text
    return found


def _names_event(fields: Mapping[str, str]) -> bool:
    return _kind(fields) == "recon_file" or fields.get("user_authorization_id", UNNAMED) != UNNAMED


def _kind(fields: Mapping[str, str]) -> str:
    """The kind of our event: `unrecognised` also when what the type is about is not named."""
    said = fields.get("notification_type", "").lower()
    kind = "account_status" if is_customer_event(said) else PAYPAY_KINDS.get(said, "unrecognised")
    needed = "path" if kind == "recon_file" else "user_authorization_id"
    return kind if fields.get(needed, UNNAMED) != UNNAMED else "unrecognised"


def _is_recon_file(event: Event) -> bool:
    return event.kind == "recon_file"


def _notification_event(fields: Mapping[str, str], digest: str, received_at: str) -> Event:
    kind = _kind(fields)
    subject = fields.get("fileType" if kind == "recon_file" else "user_authorization_id", UNNAMED)
    detail = {"type": fields["notification_type"]} if "notification_type" in fields else {}
    if kind == "unrecognised":
        detail["sha256"] = digest
    # docs/providers.md §1.4: the id names a notification; without one, the same bytes are the same notification. Both
    # only for one type, one subject and one JST day: nothing says that PayPay never gives an id twice. A retry just
    # after midnight is then a second event, which reads once more and changes nothing.
    given = fields.get("notification_id", "")
    if len(subject) >= _SHORTEST_SECRET and subject in given:
        # An event's id is logged and outlives an erasure, so it must not hold the authorization.
        given = f"id-{hashlib.sha256(given.encode()).hexdigest()[:32]}"
    name = given or f"body-{digest[:32]}"
    said = fields.get("notification_type", "").lower()
    marks = [name, said, subject, times.jst_day(datetime.fromisoformat(received_at))]
    if kind == "recon_file":
        detail["path"] = fields["path"]
        requested_at = fields.get("requestedAt", "")
        # Only shown, and read by whoever shows it: no form of it is refused.
        if requested_at:
            detail["requestedAt"] = requested_at
        marks += [fields["path"], requested_at]
    mark = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]
    return Event(f"paypay:{kind}:{name}:{mark}", Provider.PAYPAY, kind, "webhook", subject, received_at, detail)


def _vexora_detail(body: bytes, verify_sign: Callable[[Mapping[str, str], str], bool | None]) -> dict[str, str]:
    try:
        given = _vexora_fields(body)
    # Not the format that it looks like, nested too deeply, or with more fields than `parse_qsl` takes.
    except (ValueError, RecursionError):
        return {"sign": "unreadable"}
    fields = {name: value for name, value in given if isinstance(value, str)}
    detail = {"sign": "absent"}
    if fields.get("sign"):
        detail["sign"] = _sign_state(given, fields, verify_sign)
    if (claimed := fields.get("authenticationStatus")) in ("0", "1", "2", "3"):
        detail["claimed"] = claimed
    return detail


def _sign_state(
    given: Sequence[tuple[str, Any]],
    fields: Mapping[str, str],
    verify_sign: Callable[[Mapping[str, str], str], bool | None],
) -> str:
    # It is not published how anything but a text or a whole number is signed, or a text that lost bytes on its way.
    as_signed = len(fields) == len(given) and not any(_BROKEN.search(each) for pair in fields.items() for each in pair)
    if not as_signed:
        return "unchecked"
    # Documented as lower case; the same digits in upper case prove the same.
    checked = verify_sign(fields, fields["sign"].lower())
    return {True: "valid", False: "invalid", None: "unchecked"}[checked]


def _vexora_fields(body: bytes) -> list[tuple[str, Any]]:
    """The fields of a callback by what it looks like, not by its Content-Type: a JSON object, multipart, or a form.

    Texts and whole numbers are texts, just as they were sent. Raises `ValueError` when it is none of these.
    """
    text = body.decode("utf-8-sig").strip()
    if text.startswith("{"):
        # Pairs, because a name that is there twice must be seen.
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list, parse_int=str)
        return pairs
    if text.startswith("--"):
        return _multipart(text)
    if text[:1] in ("<", "[", '"') or "=" not in text:
        raise ValueError("neither JSON nor a form")
    return list(parse_qsl(text, keep_blank_values=True, max_num_fields=100))


def _multipart(text: str) -> list[tuple[str, Any]]:
    """The fields of a multipart/form-data body, files left out; its first line is the boundary.

    None stands for a value that is encoded once more: it cannot be taken as it was signed.
    """
    boundary = re.escape(text.splitlines()[0].rstrip())
    fields: list[tuple[str, Any]] = []
    # A boundary is a whole line (RFC 2046, 5.1.1); the same characters inside a value are none.
    for part in re.split(rf"(?:\A|\r?\n){boundary}(?:--)?[ \t]*(?=\r?\n|\Z)", text):
        head, *content = re.split(r"\r?\n\r?\n", part, maxsplit=1)
        name = re.search(r"""; *name="?([^";\r\n]+)""", head, re.IGNORECASE)
        if name and content and not re.search(r"; *filename\*?=", head, re.IGNORECASE):
            fields.append((name[1], None if _ENCODED.search(head) else content[0]))
    if not fields:
        raise ValueError("no field")
    return fields


def _queue(provider: str, event: Event, send: Callable[[str], str]) -> Answer:
    try:
        send(event.to_json())
    except SendError as error:
        _emit("EventNotQueued", provider, event_id=event.event_id, reason=str(error))
        return try_again()
    _emit("EventQueued", provider, event_id=event.event_id)
    return _answer(200, "OK")


def _refuse(provider: str, refused: RefusedError) -> Answer:
    _emit("WebhookRefused", provider, status=refused.status, reason=refused.reason)
    return _answer(refused.status, refused.reason)


def _answer(status: int, text: str) -> Answer:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"},
        "body": text,
    }


def _emit(metric: str, provider: str | None, **fields: Any) -> None:
    """One JSON line that is both the log record and, in embedded metric format, the count.

    Without a provider the metric has none either, as `observability.count` counts a configuration fault.
    """
    definition = {
        "Namespace": _NAMESPACE,
        "Dimensions": [["provider", "service"] if provider else ["service"]],
        "Metrics": [{"Name": metric, "Unit": "Count"}],
    }
    record = {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]},
        metric: 1,
        **({"provider": provider} if provider else {}),
        # The stack's name: two stacks in one account must not raise each other's alarms.
        "service": os.environ.get("POWERTOOLS_SERVICE_NAME", "honnin"),
        **fields,
    }
    print(json.dumps(record, ensure_ascii=True))  # noqa: T201 -- stdout is the Lambda log
