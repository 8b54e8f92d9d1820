"""Reads a user again after each webhook, because a provider's reads may be behind its own webhooks.

A hint is a webhook about a user. Only the *latest* hint of a user and a kind counts. The settle events of an earlier
hint see in the user's status that there was a later one, which has settle events of its own. Then they do nothing. So
many webhooks about one user cause few readings.

The settle events of a hint are sent before its effect is committed. If the worker is killed between the two, the hint
comes again and they are sent again. So every recorded hint has had its settle events sent. A settle event sends
nothing. So no chain of messages through the processor is longer than three: an array of notifications, one of them, its
settle event. (Lambda ends a chain of a function through SQS after about 16 rounds: AWS Lambda developer guide,
"Recursive loop detection".)
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from honnin.event import Event
from honnin.store import Effect, UserStatus
from honnin.times import utc_text
from honnin.webhook import is_customer_event

CAUSE = "settle"

# The detail of an event for which the provider was not asked: when the reading began that was used instead (UTC).
TAKEN = "readAt"

# The kinds of webhooks after which the user is read.
_KINDS = frozenset({"kyc", "risk", "account_status", "kyc_result"})
_CUSTOMER = "customer"
_DELAY = "secondsAfterWebhook"


class Settling:
    """Queues later readings after a hint.

    Parameters
    ----------
    delays_s
        How many seconds after a hint the user is read again, at the earliest (the parameter `SettleDelays`); an empty
        list means never.
    send
        Queues events, each with the seconds until it may be received.
    now
        Gives aware UTC moments.
    """

    def __init__(
        self,
        delays_s: Sequence[int],
        send: Callable[[Iterable[tuple[Event, int]]], None],
        now: Callable[[], datetime],
    ) -> None:
        self._delays_s = delays_s
        self._send = send
        self._now = now

    def follow(self, hint: Event, effect: Effect, followed: dict[tuple[str, str], str]) -> None:
        """Queue the settle events of a hint, if it is later than earlier hints of its kind. Raises as `send`.

        `effect` is what the hint will do. A reading that itself began late enough needs no further one; after an
        outage, that is so for thousands of hints. `followed` remembers, while the caller keeps it, the latest hint of
        each subject and kind for which this was done. So the same readings are not queued twice.
        """
        kind = _hint_kind(hint)
        if hint.cause != "webhook" or kind is None or not _is_present(hint, effect.after):
            return
        # A recorded hint has had its settle events. A hint of the same moment would have them at the same moments.
        known = (effect.before.received or {}) if effect.before else {}
        if hint.received_at <= max(known.get(kind, ""), followed.get((hint.subject, kind), "")):
            return
        received, now = datetime.fromisoformat(hint.received_at), self._now()
        read_at = _read_at(effect)
        found = []
        for delay_s in self._delays_s:
            due = received + timedelta(seconds=delay_s)
            if read_at is None or read_at < utc_text(due):
                left_s = math.ceil((due - now).total_seconds())
                found.append((_settle_event(hint, delay_s), min(max(left_s, 0), delay_s)))
        if found:
            self._send(found)
        followed[hint.subject, kind] = hint.received_at


def noted(event: Event, after: UserStatus) -> UserStatus:
    """The status with the moment (UTC) at which a hint of each kind was last received."""
    kind = _hint_kind(event)
    if event.cause != "webhook" or kind is None or not _is_present(event, after):
        return after
    received = after.received or {}
    return replace(after, received={**received, kind: max(event.received_at, received.get(kind, ""))})


def delay_s_of(event: Event) -> int:
    """How many seconds after its hint's arrival a settle event is due; 0 for any other event."""
    return int(event.detail[_DELAY]) if event.cause == CAUSE and event.detail.get(_DELAY, "").isdecimal() else 0


def is_needless(event: Event, status: UserStatus) -> bool:
    """Whether this settle event has nothing to read: the user has another link or submission, or a later hint came."""
    return event.cause == CAUSE and not (_is_present(event, status) and _is_latest(event, status))


def is_nothing_new(effect: Effect) -> bool:
    """Whether a reading has found only what was known. Then a settle event leaves no record."""
    before, after = effect.before, effect.after
    if before is None or effect.link or (effect.evidence and effect.evidence.is_to_be_written):
        return False
    # A further reading alone is nothing new. A different answer is new, even if no facet shows it yet.
    is_same = before == replace(after, version=before.version, read_at=before.read_at, answers=before.answers)
    return is_same and _said(before) == _said(after)


def _said(status: UserStatus) -> set[frozenset[tuple[str, object]]]:
    """The content of the provider's answers, without the moments of the requests."""
    return {frozenset((name, value) for name, value in each.items() if name != "at") for each in status.answers}


def _hint_kind(event: Event) -> str | None:
    """The kind of hint that an event is or follows.

    Customer events are a kind of their own: no recon file lists them.
    """
    if event.kind not in _KINDS:
        return None
    return _CUSTOMER if is_customer_event(event.detail.get("type", "").lower()) else event.kind


def _is_latest(event: Event, status: UserStatus) -> bool:
    """Whether no later hint of this kind is known for the user."""
    kind = _hint_kind(event)
    return kind is not None and (status.received or {}).get(kind, "") <= event.received_at


def _is_present(event: Event, status: UserStatus) -> bool:
    return event.subject in (status.user_authorization_id, status.submission_id)


def _read_at(effect: Effect) -> str | None:
    """When the reading began that led to an effect, or that was used for it; None if nothing was read."""
    before = effect.before.read_at if effect.before else None
    return effect.after.read_at if effect.after.read_at != before else effect.detail.get(TAKEN)


def _settle_event(hint: Event, delay_s: int) -> Event:
    type_detail = {"type": hint.detail["type"]} if "type" in hint.detail else {}
    return Event(
        event_id=f"{CAUSE}:{hint.event_id}:{delay_s}",
        provider=hint.provider,
        kind=hint.kind,
        cause=CAUSE,
        subject=hint.subject,
        # The moment of the hint, by which a later hint is recognised.
        received_at=hint.received_at,
        detail={**type_detail, _DELAY: str(delay_s)},
    )
