"""A user whose link ends at a time that PayPay moves: what `expiry_watch` queues, and what follows."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from honnin.errors import ConcurrentUpdateError, EventNotReadyError, ProviderError
from honnin.event import Event
from honnin.paypay.client import Begins, no_action
from honnin.paypay.expiry import watch
from honnin.paypay.models import AuthorizationReading, KycReading, UserAuthorization
from honnin.publish import Publisher
from honnin.store.expiries import Expiries, Expiry
from honnin.store.table import Table
from honnin.times import utc_text
from tests.fakes.paypay import answer
from tests.fakes.paypay_world import LINKED, USER, LinkingPayPay, PayPayWorld

AHEAD = timedelta(days=30)


class EndingPayPay(LinkingPayPay):
    """A PayPay whose authorizations end on time, and that answers or not."""

    def __init__(self, world: PayPayWorld) -> None:
        """Knows no end yet."""
        super().__init__()
        self._world = world
        self.ends: dict[str, int] = {}
        self.asked_at: list[datetime] = []

    def user_authorization(self, user_authorization_id: str, *, begins: Begins = no_action) -> AuthorizationReading:
        """Say until when, and that it has ended."""
        self.asked_at.append(self._world.clock())
        self.asked.clear()
        self._called("authorization")
        end = self.ends[user_authorization_id]
        said = {
            "status": "ACTIVE" if self._world.clock().timestamp() < end else "INACTIVE",
            "expireAt": end,
            "scopes": ["mini_app_kyc_passport"],
        }
        return AuthorizationReading(UserAuthorization.model_validate(said), "OPA3")

    def kyc_passport(self, user_authorization_id: str, *, begins: Begins = no_action) -> KycReading:
        """Give the KYC while the authorization lasts."""
        self.asked.clear()
        self._called("kyc_passport")
        if self._world.clock().timestamp() >= self.ends[user_authorization_id]:
            raise answer("EXPIRED_USER_AUTHORIZATION_ID")
        return KycReading(self.data, "OPA1")


@dataclass
class Message:
    """An event on the queue, and when it is visible."""

    event: Event
    visible: datetime


class CrashError(Exception):
    """The function dies."""


class _DyingExpiries(Expiries):
    """Dies after so many writes."""

    def __init__(self, table: Table, left: int) -> None:
        super().__init__(table)
        self._left = left

    def look_again(self, expiry: Expiry, due_at: str | None) -> None:
        """Write, or die."""
        if not self._left:
            raise CrashError
        self._left -= 1
        super().look_again(expiry, due_at)


class ExpiryWorld(PayPayWorld):
    """`PayPayWorld` with the queue between `expiry_watch` and the processor."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = EndingPayPay(self)
        self.paypay = self.ending
        self.queue: list[Message] = []
        self.ahead = AHEAD
        self.crash_after: int | None = None

    def linked(self, ends: datetime, user_id: str = USER, linked: str = LINKED) -> None:
        """A user whose link ends then, and who is verified."""
        self.ending.ends[linked] = int(ends.timestamp())
        self.link(user_id, linked)
        self.notify("kyc", linked)
        assert self.user(user_id).status == "VERIFIED"

    def extend(self, ends: datetime, linked: str = LINKED) -> None:
        """PayPay moves the end, without a notification."""
        self.ending.ends[linked] = int(ends.timestamp())

    def watch(self, left_ms: int = 600_000) -> dict[str, int]:
        """One run of the function; with `crash_after` it dies after so many writes of its own."""
        store = self.store
        if self.crash_after is not None:
            store.expiries = _DyingExpiries(store.table, self.crash_after)
            self.crash_after = None
        return watch(store=store, send=self._send, ahead=self.ahead, now=self.clock(), left_ms=lambda: left_ms)

    def deliver(self, *, behind: timedelta = timedelta(0)) -> None:
        """Process what is visible; what fails comes again in a quarter of an hour. The worker's clock may be behind."""
        visible = [each for each in self.queue if each.visible <= self.clock()]
        self.clock.now -= behind
        self._deliver(visible)
        self.clock.now += behind

    def _deliver(self, visible: list[Message]) -> None:
        for each in visible:
            try:
                self.processor().process(each.event)
            except (ProviderError, EventNotReadyError, ConcurrentUpdateError):
                each.visible = self.clock() + timedelta(minutes=15)
            else:
                self.queue.remove(each)

    def run(self, hours: float, *, step: timedelta | None = None) -> None:
        """So many hours of hourly runs (beyond three days, one in three hours), the queue worked off in between."""
        step = step or timedelta(hours=1 if hours <= 72 else 3)
        until = self.clock() + timedelta(hours=hours)
        while self.clock() < until:
            self.clock.now += step
            self.watch()
            self.deliver()
            self.clock.now += timedelta(minutes=16)
            self.deliver()
            self.clock.now -= timedelta(minutes=16)
            self.publish_late()

    def publish_late(self) -> None:
        """What the poll makes good."""
        store = self.store
        publisher = Publisher("bus", store, self.bus.client)
        for record in store.events.unpublished(utc_text(self.clock() + timedelta(minutes=10))):
            publisher.publish(record)

    def events(self, detail_type: str, user_id: str = USER) -> list[dict[str, str]]:
        """What was published about the user, repeats dropped by their id as consumers do."""
        found = [json.loads(each["Detail"]) for each in self.bus.entries if each["DetailType"] == detail_type]
        return list({each["eventId"]: each for each in found if each["userId"] == user_id}.values())

    @contextmanager
    def silent(self, failure: Exception) -> Iterator[None]:
        """PayPay fails in one way."""
        self.paypay.failure = failure
        try:
            yield
        finally:
            self.paypay.failure = None

    def counts(self) -> Counter[str]:
        """How often each event stands on the queue."""
        return Counter(each.event.event_id for each in self.queue)

    def _send(self, events: list[Event], delay_s: int) -> None:
        visible = self.clock() + timedelta(seconds=delay_s)
        self.queue += [Message(Event.from_json(each.to_json()), visible) for each in events]
