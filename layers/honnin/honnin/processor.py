"""How an event is applied: read the truth back, then one transaction, then publish.

The envelope is `honnin.webhook.Event`. Whatever caused an event (webhook, poll, recon), it takes this path.

Why the order of events does not matter: the user's version is read *before* the provider is asked, and the
effect is written only if it is still the same. So every applied reading began after the one applied before it
had ended, and the last one is the newest that anybody asked for. A worker that loses this race asks again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from honnin.erasure import ErasureSweep
from honnin.errors import ConcurrentUpdateError, MalformedEventError
from honnin.event import Event, Provider
from honnin.observability import count
from honnin.paypay.notification import PayPayNotifications
from honnin.publish import Publisher
from honnin.store import AlreadyAppliedError, Announcement, Dropped, Effect, Store, Unattached
from honnin.times import utc_text
from honnin.vexora.client import VexoraClient
from honnin.vexora.result import VexoraResults

# How long a worker goes on asking anew after losing races. Then the queue gives the event another time.
_RACING = timedelta(seconds=5)


class Rule(Protocol):
    """What the events of one provider do."""

    def effect(self, event: Event) -> Effect | Unattached | Announcement | Dropped:
        """Read the truth back and say what becomes of whom."""

    def written(self) -> None:
        """The last effect is in the table."""


class EventProcessor:
    """Applies events one by one. `now` gives aware UTC moments."""

    def __init__(
        self,
        *,
        store: Store,
        publisher: Publisher,
        vexora: VexoraClient,
        now: Callable[[], datetime],
        paypay: PayPayNotifications | None = None,
        sweep: ErasureSweep | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._now = now
        self._paypay = paypay
        self._request_id: str | None = None
        self._rules: dict[str, Rule] = {Provider.VEXORA: VexoraResults(store, vexora, now)}
        if sweep:
            self._rules[Provider.HONNIN] = sweep
        if paypay:
            self._rules[Provider.PAYPAY] = paypay

    def begin_batch(self) -> None:
        """Call before each SQS batch: its events may share readings made for them, none from before."""
        self._request_id = None
        if self._paypay:
            self._paypay.forget_readings()

    def end_batch(self) -> None:
        """Call after each SQS batch: keeps PayPay's last X-REQUEST-ID, which its support asks for."""
        if self._request_id:
            self._store.recon.note_request_id(Provider.PAYPAY, self._request_id, utc_text(self._now()))

    def process(self, event: Event) -> None:
        """Apply an event once, however often it comes, and publish what it changed.

        Raises
        ------
        MalformedEventError
            Nobody knows this kind of event, or its subject.
        HonninError, with `retryable` set
            A provider or another worker stood in the way; the event must come again.
        """
        record = self._store.events.get(event.event_id)
        if record is None:
            self._apply(event)
            record = self._store.events.get(event.event_id)
        else:
            count("EventRepeated", provider=event.provider)
        if record:
            self._publisher.announce(record)

    def _apply(self, event: Event) -> None:
        rule = self._rules.get(event.provider)
        if rule is None:
            raise MalformedEventError(f"no rule for {event.provider}")
        begun = self._now()
        while True:
            effect = rule.effect(event)
            if isinstance(effect, Dropped):
                count("EventDropped", provider=event.provider, what=effect.what)
                return
            try:
                self._write(effect)
            except AlreadyAppliedError:
                return
            except ConcurrentUpdateError:
                if self._now() - begun > _RACING:
                    raise
            else:
                rule.written()
                if effect.event_id == event.event_id:
                    count("EventApplied", provider=event.provider, cause=event.cause)
                    return

    def _write(self, effect: Effect | Unattached | Announcement) -> None:
        if isinstance(effect, Unattached):
            self._store.events.keep(effect)
            return
        if isinstance(effect, Announcement):
            self._store.recon.announce(effect)
            return
        self._store.events.apply(effect)
        if effect.after.provider == Provider.PAYPAY:
            self._request_id = effect.detail.get("requestId") or self._request_id
        if effect.links:
            # A healed link: an effect of its own, before that of the event that led to it.
            self._publisher.announce_or_leave(effect)
