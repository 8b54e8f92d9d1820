"""The path that acknowledges a webhook: check the shape, put one event on the queue, answer. Standard library only.

A webhook is a hint (docs/providers.md §1.4), so nothing here decides about a user. This path imports only the standard
library and four modules of ours: this one, `event`, `times` and `sqs_send`.
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
# Characters that no id and no log may contain: control characters, marks that change the direction of text, halves of
# surrogate pairs, and U+FFFE and U+FFFF, which SQS refuses in a message.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")

# Stands for a text that was not UTF-8 when it was received, or has half a surrogate pair: it differs from the signed
# one.
_BROKEN = re.compile(r"[\ufffd\ud800-\udfff]")
_ENCODED = re.compile(r"content-transfer-encoding: *(base64|quoted-printable)", re.IGNORECASE)

# An array of notifications; `split_notifications` later makes events of it.
SEVERAL = "several"

# The fields that are read from a notification, with the names of the base document and their maximum lengths.
_LONGEST = {
    "notification_type": 128,
    "notification_id": 128,
    "user_authorization_id": 64,
    "fileType": 128,
    "path": 16 * 1024,
    "requestedAt": 64,
}
# An authorization id is random and long. If a shorter text occurs in another text, that is chance.
_SHORTEST_SECRET = 20

# Customer events use the same names in camelCase.
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
    """The request is answered with `status` and `reason`, and nothing was queued."""

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

    Every request with the right token is queued, whatever its body contains, up to `MAX_BODY_BYTES`. The format of a
    callback is not published (docs/providers.md §2), and no value in it is used.

    Parameters
    ----------
    request
        The API Gateway proxy event; path parameters `submissionId` and `token`.
    callback_keys
        Returns the keys with which `callback_token` may have made the token.
    verify_sign
        Says whether a `sign` is the signature of the fields; None if it cannot be checked. The result is recorded as
        `valid`, `invalid`, `unchecked`, `unreadable` or `absent`, and decides nothing.
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
        # The document gives callbacks no id, and two callbacks with the same bytes may stand for two decisions.
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
    """Answer one PayPay notification: `OK` once the event is on the queue. Each URL accepts every type.

    Only the notification's own `notification_type` says what it is about: PayPay configures the four URLs by hand, and
    nothing that it sends may be lost. So every JSON value is queued. An array is queued as its elements. A value that
    names no event is queued as `unrecognised`, with the body's SHA-256 instead of the body, which may be personal.

    `send_recon_file` puts an event on the queue for notifications of recon files, which can be fetched for two hours
    only. All such notifications are put there, from every URL, and also if they are in an array.
    """
    try:
        _check_source(request, source_cidrs, Provider.PAYPAY)
        event = _paypay_event(_read_body(request))
    except RefusedError as refused:
        # For PayPay there are only two kinds of refusal: the address (403) and the shape, including the size (400).
        return _refuse(Provider.PAYPAY, refused if refused.status == 403 else RefusedError(400, refused.reason))
    several = split_notifications(event) if event.kind == SEVERAL else [event]
    return _queue(Provider.PAYPAY, event, send_recon_file if any(map(_is_recon_file, several)) else send)


def try_again() -> Answer:
    """Answer 503, so that the provider later sends again what we cannot accept now."""
    return _answer(503, "try again")


def callback_token(submission_id: str, key: str) -> str:
    """The secret part of a callback URL: HMAC-SHA256 of the submission id, in hexadecimal."""
    return hmac.digest(key.encode(), submission_id.encode(), "sha256").hex()


def _check_source(request: Request, cidrs: Sequence[str], provider: str) -> None:
    # docs/providers.md §1.4: requestContext.identity.sourceIp, never X-Forwarded-For.
    source = str(request["requestContext"]["identity"]["sourceIp"])
    networks = _networks(tuple(cidrs), provider)
    if not networks:  # nobody can call, and every refused call says why
        _emit("ConfigurationFault", reason=f"no network is set that {provider} may call from")
    try:
        address = ipaddress.ip_address(source)
        known = any(address in network for network in networks)
    except ValueError:
        known = False
    if not known:
        _log("SourceAddressRejected", provider, source_ip=source)
        raise RefusedError(403, "this address is not allowed to call this URL")


@cache
def _networks(cidrs: tuple[str, ...], provider: str) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """The networks of a setting. An entry that is no network is left out and counted as one configuration fault."""
    found = []
    for entry in filter(None, (cidr.strip() for cidr in cidrs)):
        try:
            found.append(_network(entry))
        except ValueError:
            _emit("ConfigurationFault", reason=f"a network that {provider} may call from cannot be read: {entry}")
    return found


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    # Host bits may be set: API Gateway's policy also reads such an entry as its network.
    network = ipaddress.ip_network(entry, strict=False)
    if (network.prefixlen == 0 and entry not in ("0.0.0.0/0", "::/0")) or "%" in entry:
        raise ValueError("only 0.0.0.0/0 and ::/0 may allow every address, and a network must have no zone")
    return network


def _check_token(request: Request, callback_keys: Callable[[], Sequence[str]]) -> str:
    path = request.get("pathParameters") or {}
    submission_id = str(path.get("submissionId", ""))
    token = str(path.get("token", ""))
    # Every key is compared, whatever the first result is, so that the time taken reveals nothing.
    matches = [
        hmac.compare_digest(callback_token(submission_id, key).encode(), token.encode("utf-8", "replace"))
        for key in callback_keys()
    ]
    if not any(matches) or not _SUBMISSION_ID.fullmatch(submission_id):
        _log("CallbackTokenRejected", Provider.VEXORA)
        raise RefusedError(403, "the token does not match this URL")
    return submission_id


def _read_body(request: Request) -> bytes:
    text = request.get("body") or ""
    if request.get("isBase64Encoded"):
        # 4 characters encode 3 bytes, so a body that is too large is refused before it is decoded.
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
    """Read JSON so that its ids can be used, whatever the other texts in it contain.

    They may have line ends, invalid bytes or Shift_JIS in them. Numbers become texts, exactly as they were sent. A byte
    order mark is ignored, as RFC 8259 §8.1 allows. An invalid byte becomes half of a surrogate pair. That does no harm
    in a text that decides nothing, and it is never accepted in an id.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    for encoding in ("utf-8", "cp932"):
        # In Shift_JIS the second byte of a character may look like a backslash. That is an error if it is read as
        # UTF-8.
        with suppress(ValueError):
            text = body.decode(encoding, "surrogateescape")
            try:
                return json.loads(text, strict=False, parse_int=str, parse_float=str)
            except RecursionError:
                # It is nested so deeply that it cannot be read, so nothing in it names an event.
                return None
    raise RefusedError(400, "the body is not JSON")


def _paypay_event(body: bytes) -> Event:
    """The event of one body (base document, "Webhook Setup" and the sections after it).

    Several notifications become one message: PayPay waits 1.5 s, however many there are, and either all of them or none
    must be on the queue. Only the fields that are read are kept of them, so they always fit into a message.
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
            # All elements that name no event become one event together. Only the hash of the body is kept of them.
            rest = rest or fields
    carried = [*named, *([] if rest is None else [rest])] or [{}]
    if len(carried) == 1:
        return _notification_event(carried[0], digest, received_at)
    detail = {"sha256": digest, "notifications": json.dumps(carried, ensure_ascii=False, separators=(",", ":"))}
    event_id = f"paypay:{SEVERAL}:body-{digest[:32]}"
    return Event(event_id, Provider.PAYPAY, SEVERAL, "webhook", UNNAMED, received_at, detail)


def split_notifications(event: Event) -> list[Event]:
    """The events of an array of notifications, the same as if each had come alone, each only once."""
    found = (
        _notification_event(fields, event.detail["sha256"], event.received_at)
        for fields in json.loads(event.detail["notifications"])
    )
    return list({each.event_id: each for each in found}.values())


def is_customer_event(notification_type: str) -> bool:
    """Whether PayPay reported a change of the user's link (`customer.authroization.*`), which no recon file lists."""
    return _CUSTOMER_EVENT.fullmatch(notification_type) is not None


def _elements(value: object) -> list[object]:
    """The elements of an array, and of the arrays in it. For any other value: only the value itself."""
    found, left = [], [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left.extend(reversed(each))
        else:
            found.append(each)
    return found


def _usable_fields(value: object) -> dict[str, str]:
    """The fields that are read from a notification, with the names of the base document. Unusable values are left out.

    If a field is there under several names, the base document's own spelling is used.
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
    """The kind of our event. It is also `unrecognised` if the notification lacks the id that its type needs."""
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
    # docs/providers.md §1.4: the id names a notification; without an id, the same bytes are the same notification. Both
    # hold only for the same type, subject and JST day, because PayPay does not promise that it never uses an id twice.
    # If a notification is repeated just after midnight, it becomes a second event. That event reads once more and
    # changes nothing.
    given = fields.get("notification_id", "")
    if len(subject) >= _SHORTEST_SECRET and subject in given:
        # An event's id is logged and stays after an erasure, so it must not contain the authorization.
        given = f"id-{hashlib.sha256(given.encode()).hexdigest()[:32]}"
    name = given or f"body-{digest[:32]}"
    said = fields.get("notification_type", "").lower()
    marks = [name, said, subject, times.jst_day(datetime.fromisoformat(received_at))]
    if kind == "recon_file":
        detail["path"] = fields["path"]
        requested_at = fields.get("requestedAt", "")
        # It is only shown, and is interpreted only there, so no format of it is refused.
        if requested_at:
            detail["requestedAt"] = requested_at
        marks += [fields["path"], requested_at]
    mark = hashlib.sha256("\n".join(marks).encode()).hexdigest()[:16]
    return Event(f"paypay:{kind}:{name}:{mark}", Provider.PAYPAY, kind, "webhook", subject, received_at, detail)


def _vexora_detail(body: bytes, verify_sign: Callable[[Mapping[str, str], str], bool | None]) -> dict[str, str]:
    try:
        given = _vexora_fields(body)
    # It is not in the format that it seems to have, is nested too deeply, or has more fields than `parse_qsl` accepts.
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
    # It is published only how texts and whole numbers are signed. Other values, and texts that lost bytes, cannot be
    # checked.
    as_signed = len(fields) == len(given) and not any(_BROKEN.search(each) for pair in fields.items() for each in pair)
    if not as_signed:
        return "unchecked"
    # The document has lower case; the same digits in upper case are the same proof.
    checked = verify_sign(fields, fields["sign"].lower())
    return {True: "valid", False: "invalid", None: "unchecked"}[checked]


def _vexora_fields(body: bytes) -> list[tuple[str, Any]]:
    """The fields of a callback, by its content and not by its Content-Type: a JSON object, multipart, or a form.

    Texts and whole numbers become texts, exactly as they were sent. Raises `ValueError` when it is none of these
    formats.
    """
    text = body.decode("utf-8-sig").strip()
    if text.startswith("{"):
        # As pairs, because a name that occurs twice must be noticed.
        pairs: list[tuple[str, Any]] = json.loads(text, object_pairs_hook=list, parse_int=str)
        return pairs
    if text.startswith("--"):
        return _multipart(text)
    if text[:1] in ("<", "[", '"') or "=" not in text:
        raise ValueError("the body is neither JSON nor a form")
    return list(parse_qsl(text, keep_blank_values=True, max_num_fields=100))


def _multipart(text: str) -> list[tuple[str, Any]]:
    """The fields of a multipart/form-data body without files; its first line is the boundary.

    None stands for a value with a further encoding, because it then differs from the signed text.
    """
    boundary = re.escape(text.splitlines()[0].rstrip())
    fields: list[tuple[str, Any]] = []
    # A boundary is a whole line (RFC 2046, 5.1.1). The same characters inside a value are no boundary.
    for part in re.split(rf"(?:\A|\r?\n){boundary}(?:--)?[ \t]*(?=\r?\n|\Z)", text):
        head, *content = re.split(r"\r?\n\r?\n", part, maxsplit=1)
        name = re.search(r"""; *name="?([^";\r\n]+)""", head, re.IGNORECASE)
        if name and content and not re.search(r"; *filename\*?=", head, re.IGNORECASE):
            fields.append((name[1], None if _ENCODED.search(head) else content[0]))
    if not fields:
        raise ValueError("the form has no field")
    return fields


def _queue(provider: str, event: Event, send: Callable[[str], str]) -> Answer:
    try:
        send(event.to_json())
    except SendError as error:
        _log("EventNotQueued", provider, event_id=event.event_id, reason=str(error))
        return try_again()
    _log("EventQueued", provider, event_id=event.event_id, **_first_time())
    return _answer(200, "OK")


def _refuse(provider: str, refused: RefusedError) -> Answer:
    _log("WebhookRefused", provider, status=refused.status, reason=refused.reason)
    return _answer(refused.status, refused.reason)


def _answer(status: int, text: str) -> Answer:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"},
        "body": text,
    }


def _log(counted: str, provider: str, **fields: Any) -> None:
    """Write one JSON line, in the form of `observability.count`; the saved queries add these up."""
    _print({"counted": counted, "value": 1, "provider": provider, **fields})


def _emit(metric: str, **fields: Any) -> None:
    """Write one JSON line that is also a metric with an alarm, as `observability.count_for_alarm` does it."""
    metrics = [{"Name": metric, "Unit": "Count"}]
    definition = {"Namespace": _NAMESPACE, "Dimensions": [["service"]], "Metrics": metrics}
    # The stack's name is a dimension, because two stacks in one account must not raise each other's alarms.
    service = os.environ.get("POWERTOOLS_SERVICE_NAME", "honnin")
    emf = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [definition]}
    _print({"_aws": emf, metric: 1, "service": service, **fields})


def _print(line: Mapping[str, Any]) -> None:
    print(json.dumps(line, separators=(",", ":")))  # noqa: T201 -- stdout is the Lambda log


_cold = [True]


def _first_time() -> dict[str, int]:
    """Marks the first webhook that an environment queued: PayPay waited for a cold start.

    With provisioned concurrency the environment had started before, and PayPay did not wait for that.
    """
    return {"cold": 1} if _cold and _cold.pop() else {}
