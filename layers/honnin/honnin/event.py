"""The envelope of every event that is applied to a user. Standard library only: the webhook functions write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

# Subject of a notification that contains no user.
UNNAMED = "-"


class Provider(StrEnum):
    """The provider of the events.

    HONNIN is for events that no provider causes (emptying the vault after an erasure).
    """

    VEXORA = "vexora"
    PAYPAY = "paypay"
    HONNIN = "honnin"


class Event:
    """A message on the event queues. It contains ids and statuses, never a person's data.

    Because of `event_id` it takes effect only once. `subject` is the provider's id of the case: a Vexora submission id,
    or a PayPay `userAuthorizationId`. `cause` is webhook, poll, recon, settle, operator or api. `received_at` is UTC
    ISO 8601. `detail` holds small facts for the timeline (whether `sign` was valid, what was claimed).

    It is a plain class, because importing `dataclasses` alone would take 10 ms of a webhook's cold start.
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
        """Read a message body; unknown fields are ignored, because a later release may have sent it.

        Raises `ValueError` when it is not one of ours.
        """
        raw = json.loads(text)
        if not isinstance(raw, dict) or raw.pop("v", None) != 1:
            raise ValueError("not an event of version 1")
        detail = raw.get("detail", {})
        if not isinstance(detail, dict) or not all(isinstance(each, str) for each in detail.values()):
            raise ValueError("an event has details of the wrong type")
        fields = {name: raw[name] for name in cls.__slots__ if name != "detail" and name in raw}
        if len(fields) < len(cls.__slots__) - 1 or not all(
            isinstance(value, str) and value for value in fields.values()
        ):
            raise ValueError("an event lacks a field, or has an empty one or one of the wrong type")
        return cls(**fields, detail=detail)


def recon_event_id(file_type: str, day: str, user_authorization_id: str, number: int) -> str:
    """The id of the event that one comparison of a recon file sends about a user.

    `number` is the comparison's number, counted over all files of that type and JST day. So the event takes effect
    once, however often the comparison sends it.
    """
    return f"recon:{file_type}:{day}:{user_authorization_id}:{number}"
