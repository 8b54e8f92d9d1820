"""What is sent to the merchant's endpoint: one domain event, made from the event as EventBridge put it on the queue.

The same event gives the same id and the same bytes, however often it is published. The body holds ids, statuses,
moments and counts. Two things of the domain event are left out: the date on which a residence period ends, since it is
a date of a person, and the event's own id, since it may contain an authorization id of PayPay's.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import uuid4

from honnin.domain_events import EVENTS, RECON_COMPLETED, SOURCE, USER_ERASED
from honnin.times import utc_text

TEST_TYPE = "honnin.test"

# Fields of a domain event that its webhook does not have.
LEFT_OUT = frozenset({"eventId", "residenceEndsOn"})

# The names under which a domain event says when it happened.
_MOMENTS = ("occurredAt", "completedAt", "comparedAt")


@dataclass(frozen=True)
class Message:
    """One message to the endpoint: its id, which never changes, and its body.

    `user_id` is whom the event is about, and `occurred_at` (UTC) when it happened. They are None for an event about
    nobody, and for the news that a user was erased: it has only an id, and must arrive after the erasure.
    """

    message_id: str
    body: bytes = field(repr=False)
    user_id: str | None = None
    occurred_at: str | None = None

    @classmethod
    def from_event(cls, text: str) -> Self:
        """The message for an event as EventBridge gives it to a queue. Raises `ValueError` if it is none of ours."""
        event = json.loads(text)
        if not isinstance(event, dict) or event.get("source") != SOURCE or event.get("detail-type") not in EVENTS:
            raise ValueError("this is not a domain event of Honnin")
        kind, detail = event["detail-type"], event.get("detail")
        if not isinstance(detail, dict):
            raise ValueError("the domain event has no content")  # noqa: TRY004
        moment = next((detail[name] for name in _MOMENTS if detail.get(name)), event.get("time"))
        try:
            at = utc_text(datetime.fromisoformat(str(moment)))
            name = _name(kind, detail)
        except (KeyError, TypeError, ValueError):
            raise ValueError("the domain event has no id or no time") from None
        has_user = kind not in (RECON_COMPLETED, USER_ERASED)
        if has_user and not isinstance(detail.get("userId"), str):
            raise ValueError("the domain event names no user")
        # In the order of the type: the table keeps no order.
        data = {key: detail[key] for key in EVENTS[kind][0].__annotations__ if key in detail and key not in LEFT_OUT}
        return cls(
            _message_id(kind, name),
            _body(webhook_type(kind), at, data),
            detail["userId"] if has_user else None,
            at if has_user else None,
        )

    @classmethod
    def test(cls, now: datetime) -> Self:
        """A message by which the endpoint can be tried out."""
        return cls(_message_id(TEST_TYPE, str(uuid4())), _body(TEST_TYPE, utc_text(now), {}))


def webhook_type(detail_type: str) -> str:
    """The type under which the endpoint gets a domain event: `KycStatusChanged` is `kyc.status.changed`."""
    return ".".join(re.findall("[A-Z][a-z]*", detail_type)).lower()


def _name(kind: str, detail: Mapping[str, Any]) -> str:
    """What distinguishes an event from all others of its type: its own id, where it has one."""
    if kind == USER_ERASED:
        return str(detail["certificateId"])
    if kind == RECON_COMPLETED:
        return f"{detail['fileType']}:{detail['day']}:{detail['comparison']}"
    return str(detail["eventId"])


def _message_id(kind: str, name: str) -> str:
    # A hash: an event's own id may contain what a provider or an unsigned webhook gave, and so a full stop (which the
    # signature separates by), or characters that no header may have.
    return f"msg_{hashlib.sha256(f'{kind}\n{name}'.encode()).hexdigest()[:32]}"


def _body(kind: str, at: str, data: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "timestamp": at, "data": data}, separators=(",", ":")).encode()
