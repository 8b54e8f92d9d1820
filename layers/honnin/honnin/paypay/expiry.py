"""Watches links and residence periods that end at a known time.

PayPay is asked at that time what has happened, and before it whether the end has moved. `watch` queues the questions;
`PayPayExpiries` is the rule that the event processor applies. PayPay's answer decides. Without an answer, the end date
that PayPay itself gave is used: a user must not count as verified through a link that has ended as far as is known
(docs/decisions.md). The question is repeated, so that an extension is found later.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import batched

from honnin import commit
from honnin.errors import (
    ConcurrentUpdateError,
    ConfigurationError,
    EventNotReadyError,
    MalformedEventError,
    ProviderError,
)
from honnin.event import Event, Provider
from honnin.observability import count_for_alarm, logger
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import Rules, recorded
from honnin.status import Link as LinkState
from honnin.store import LINK, RESIDENCE, Dropped, Effect, Expiry, Known, Store, UserStatus, known_ends
from honnin.times import utc_text

KIND = "expiry"

# How long the queue tries to get PayPay's answer. A maintenance of PayPay's takes hours.
PATIENCE = timedelta(hours=3)

# If the queue has given up without an answer about an end, the question is asked again for a month. Each time, the wait
# is as long as the time since the end, at most a day. Before the end, the question is asked each day until the end
# could be reported.
_FIRST_AGAIN, _LAST_AGAIN, _GIVEN_UP = PATIENCE + timedelta(hours=1), timedelta(days=1), timedelta(days=30)

# The name of an effect that is applied without PayPay's answer.
_FAILED, _REFUSED = _NO_ANSWER = "reading_failed", "reading_refused"

# Questions that are due at the same time become visible on the queue at this rate a second, so that webhooks are
# processed between them. SQS delays a message by at most 15 minutes; questions beyond that wait for the next run.
_PER_SECOND = 20
_LONGEST_DELAY_S = 900
_MOST = _PER_SECOND * _LONGEST_DELAY_S
_MIN_LEFT_MS = 10_000
# The maximum of SendMessageBatch.
_TOGETHER = 10


def watch(
    *,
    store: Store,
    send: Callable[[list[Event], int], None],
    ahead: timedelta,
    now: datetime,
    left_ms: Callable[[], int],
) -> dict[str, int]:
    """Queue a question about each end that has passed, and about each end within `ahead` that was not reported yet.

    `send` queues events that become visible after a number of seconds. The events are sent first and the next time is
    written second. A crash between the two repeats the same event ids, which take effect once. Returns the number of
    events.
    """
    queued = {"ended": 0, "expiring": 0, "given_up": 0}
    for number, some in enumerate(batched(_to_ask(store, ahead, now, queued), _TOGETHER, strict=False)):
        if left_ms() < _MIN_LEFT_MS or number * _TOGETHER >= _MOST:
            logger().warning("not all links that end were queued; the next run queues the rest")
            break
        send([_question(each, now) for each in some], number * _TOGETHER // _PER_SECOND)
        for each in some:
            _look_again(store, each, _next(each, now))
            queued["expiring" if _is_ahead(each, now) else "ended"] += 1
    logger().info("links that end were queued", queued=queued)
    return queued


def _to_ask(store: Store, ahead: timedelta, now: datetime, queued: dict[str, int]) -> Iterator[Expiry]:
    for each in store.expiries.due(utc_text(now), utc_text(now + ahead)):
        if datetime.fromisoformat(each.ends_at) + _GIVEN_UP > now:
            yield each
        else:
            _look_again(store, each, None)
            queued["given_up"] += 1


def _look_again(store: Store, expiry: Expiry, due_at: str | None) -> None:
    # If another transaction holds this item, it stays due: the next run sends the same event, which takes effect once.
    with suppress(ConcurrentUpdateError):
        store.expiries.look_again(expiry, due_at)


def _is_ahead(expiry: Expiry, now: datetime) -> bool:
    return utc_text(now) < expiry.ends_at


def _next(expiry: Expiry, now: datetime) -> str:
    if _is_ahead(expiry, now):
        # After its end is reported, the item is due at the end itself (`expiry_puts`).
        return min(expiry.ends_at, utc_text(now + _LAST_AGAIN))
    over = now - datetime.fromisoformat(expiry.ends_at)
    return utc_text(now + max(_FIRST_AGAIN, min(over, _LAST_AGAIN)))


def _question(expiry: Expiry, now: datetime) -> Event:
    """The event that asks. Each run that finds the same end at the same time gives it the same id.

    The end of a residence period is personal data, so neither the queue nor the timeline contains it.
    """
    stage = "notice" if _is_ahead(expiry, now) else "end"
    return Event(
        event_id=f"expiry:{expiry.what}:{stage}:{_digest(expiry, expiry.due_at)}",
        provider=Provider.PAYPAY,
        kind=KIND,
        cause="poll",
        subject=expiry.subject,
        received_at=utc_text(now),
        detail={"what": expiry.what, "end": _digest(expiry, expiry.ends_at)},
    )


def _digest(expiry: Expiry, at: str) -> str:
    return hashlib.sha256(f"{expiry.user_id}\n{expiry.subject}\n{at}".encode()).hexdigest()[:32]


class PayPayExpiries:
    """The rule for the questions of `watch`."""

    def __init__(self, notifications: PayPayNotifications, rules: Rules, now: Callable[[], datetime]) -> None:
        self._notifications = notifications
        self._rules = rules
        self._now = now

    def decide(self, event: Event, known: Known) -> Effect | Dropped:
        """Ask PayPay, and decide the user's status, and whether the end is to be reported.

        Raises the errors of `PayPayNotifications.decide` as long as the queue should retry, and `EventNotReadyError` if
        the end is still in the future by the clock here.
        """
        if not event.detail.keys() >= {"what", "end"}:
            raise MalformedEventError("the event does not say which end date it is about")
        before = self._present(event, known)
        asked_for = self._end(event, before) if before else None
        if before is None or asked_for is None:
            return Dropped(event.event_id, "no_longer_due")
        is_ahead = event.received_at < asked_for.ends_at
        if not is_ahead and utc_text(self._now()) < asked_for.ends_at:
            raise EventNotReadyError("the end date has not come yet by the clock of this function")
        decided = self._ask(event, before, known)
        if not isinstance(decided, Effect):
            return Dropped(event.event_id, "no_longer_due")
        # Without an answer it is unknown whether the end has moved. Then nothing is reported and the question is
        # repeated.
        is_reported = decided.what not in _NO_ANSWER and (asked_for.what == RESIDENCE or is_ahead)
        return self._with_report(decided, event) if is_reported else decided

    def _present(self, event: Event, known: Known) -> UserStatus | None:
        """The user to whom the authorization belongs now."""
        user_id = known.user(event)
        before = known.status(user_id, Provider.PAYPAY) if user_id else None
        return before if before and before.user_authorization_id == event.subject else None

    def _end(self, event: Event, status: UserStatus) -> Expiry | None:
        """The end that the event asks about, if it is still the end that is known for the user."""
        known = known_ends(status).get(event.detail["what"])
        return known if known and _digest(known, known.ends_at) == event.detail["end"] else None

    def _ask(self, event: Event, before: UserStatus, known: Known) -> object:
        kind = "account_status" if event.detail["what"] == LINK else "kyc"
        hint = Event(event.event_id, Provider.PAYPAY, kind, event.cause, event.subject, event.received_at)
        try:
            decided = self._notifications.decide(hint, known)
        except (ProviderError, ConfigurationError) as error:
            if self._now() < datetime.fromisoformat(event.received_at) + PATIENCE:
                raise
            facts = error.facts() if isinstance(error, ProviderError) else {"error": type(error).__name__}
            decided = commit.effect(event.event_id, _FAILED, before, before, facts, at=self._now(), cause=event.cause)
            return self._by_its_end(decided)
        if isinstance(decided, Effect) and decided.what == _REFUSED:
            return self._by_its_end(decided)
        return decided

    def _by_its_end(self, decided: Effect) -> Effect:
        """The user's status now, without an answer: after the end of the link, the user is not verified through it."""
        after = recorded(decided.after, [], self._rules, as_of=self._now())
        if after.status != decided.after.status:
            count_for_alarm("LinkEndUnconfirmed")
        return replace(decided, after=after)

    def _with_report(self, decided: Effect, event: Event) -> Effect:
        """Report the end, if it is still the same and the user is still linked."""
        after = decided.after
        end = self._end(event, after)
        if end is None or (after.facets or {}).get("link") != LinkState.ACTIVE:
            return decided
        reported = (
            {"residence_end_reported": after.residence_ends_on}
            if end.what == RESIDENCE
            else {"link_end_reported": end.ends_at}
        )
        return replace(decided, after=replace(after, **reported))
