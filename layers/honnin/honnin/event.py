"""The envelope of what is applied to a user, whatever caused it. Standard library only: the ack path writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

# Subject of a notification that names nobody.
UNNAMED = "-"


class Provider(StrEnum):
    """Whose events they are; HONNIN's own are those that no provider causes (the second look of an erasure)."""

    VEXORA = "vexora"
    PAYPAY = "paypay"
    HONNIN = "honnin"


class Event:
    """What goes through the queues of events: ids and statuses, never a value of a person.

    `event_id` is what makes it take effect once. `subject` is the id that the provider knows the case by: a
    Vexora submission id, a PayPay `userAuthorizationId`. `cause` is webhook, poll, recon, settle, operator or api.
    `received_at` is UTC ISO 8601. `detail` holds small facts for the timeline (was `sign` valid, what was claimed).

    A plain class: importing `dataclasses` alone would cost a cold ack 10 ms.
    """

    __slots__ = ("cause", "detail", "event_id", "kind", "provider", "received_at", "subject")

    def __init__(
        self,
        event_id: str,
        provider: str,
        kind: str,
        cause: str,
        subject: str,
        received_at: str,
        detail: Mapping[str, str] | None = None,
    ) -> None:
        self.event_id = event_id
        self.provider = provider
        self.kind = kind
        self.cause = cause
        self.subject = subject
        self.received_at = received_at
        self.detail = dict(detail or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        return f"Event({self.event_id!r}, {self.provider}/{self.kind}, cause={self.cause})"

    def to_json(self) -> str:
        """The message body on the queue."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"v": 1, **fields}, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Event:
        """Read a message body. Raises `ValueError` when it is not one of ours."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.pop("v", None) != 1:
            raise ValueError("not an event of version 1")
        detail = raw.pop("detail", {})
        if not isinstance(detail, dict) or not all(isinstance(each, str) for each in detail.values()):
            raise ValueError("an event has details of the wrong type")
        if raw.keys() != set(cls.__slots__) - {"detail"}:
            raise ValueError("an event lacks a field or has an unknown one")
        if not all(isinstance(value, str) and value for value in raw.values()):
            raise ValueError("an event has an empty field or one of the wrong type")
        return cls(**raw, detail=detail)


def repair_id(file_type: str, day: str, user_authorization_id: str) -> str:
    """The id of recon's event about one user of one file, so that it takes effect once, however often it is sent."""
    return f"recon:{file_type}:{day}:{user_authorization_id}"
