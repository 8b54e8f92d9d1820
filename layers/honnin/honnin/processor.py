"""Applies events: each is routed to its provider's rule, and what the rule decides is committed once and published."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from honnin import times
from honnin.commit import Commits
from honnin.erasure import ErasureSweep
from honnin.errors import MalformedEventError
from honnin.event import Event, Provider
from honnin.mass_change import BatchWatch, is_reading
from honnin.observability import count
from honnin.paypay.expiry import KIND as EXPIRY
from honnin.paypay.expiry import PayPayExpiries
from honnin.paypay.notification import PayPayNotifications, received
from honnin.publish import Publisher
from honnin.recon.notification import KIND as RECON_FILE
from honnin.recon.notification import ReconNotifications
from honnin.settling import CAUSE as SETTLE
from honnin.settling import Settling, is_nothing_new
from honnin.store import AlreadyAppliedError, Dropped, Effect, ReceivedDay, Store, Unattached
from honnin.times import utc_text
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.result import VexoraResults

# How long a worker goes on deciding again after lost races. Then the queue gives the event another time.
_RACING = timedelta(seconds=5)

# The rule of a provider takes every kind of event for which there is no rule of its own.
_ANY_KIND = ""


class Rule(Protocol):
    """What the events of one provider, or of one kind, do."""

    def decide(self, event: Event) -> Effect | Unattached | Dropped:
        """Read the truth back and decide what the event does."""


class EventProcessor:
    """Applies events one by one. `now` gives aware UTC moments. `vexora_archive` keeps Vexora's deciding answers.

    Without `settling` no hint is followed by further readings; without `watch` no mass change is stopped.
    """

    def __init__(
        self,
        *,
        store: Store,
        publisher: Publisher,
        vexora: VexoraClient,
        now: Callable[[], datetime],
        vexora_archive: VexoraArchive | None = None,
        paypay: PayPayNotifications | None = None,
        expiries: PayPayExpiries | None = None,
        recon: ReconNotifications | None = None,
        sweep: ErasureSweep | None = None,
        settling: Settling | None = None,
        watch: BatchWatch | None = None,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._watch = watch
        self._commits = Commits(store, self._committed, now, watch)
        self._now = now
        self._paypay = paypay
        self._recon = recon
        self._settling = settling
        self._followed: str | None = None
        self._request_id: str | None = None
        self._received: list[tuple[str, str]] = []
        rules: dict[tuple[str, str], Rule | None] = {
            (Provider.VEXORA, _ANY_KIND): VexoraResults(store, vexora, now, vexora_archive),
            (Provider.PAYPAY, _ANY_KIND): paypay,
            (Provider.PAYPAY, EXPIRY): expiries,
            (Provider.HONNIN, _ANY_KIND): sweep,
        }
        self._rules = {key: rule for key, rule in rules.items() if rule}

    def begin_batch(self, *, may_wait: bool = False) -> None:
        """Call before each SQS batch: its events may share readings made for them, none from before.

        `may_wait`: the batch is of the repairs or of the rereads, which a mass change stops.
        """
        if self._watch:
            self._watch.begin(may_wait=may_wait)
        self._request_id = None
        self._received.clear()
        if self._paypay:
            self._paypay.forget_readings()

    def end_batch(self) -> None:
        """Call after each SQS batch: counts its readings and webhooks, and keeps PayPay's last X-REQUEST-ID."""
        if self._watch:
            self._watch.end()
        by_day: dict[tuple[str, str], list[str]] = {}
        for kind, at in self._received:
            by_day.setdefault((kind, times.jst_day(datetime.fromisoformat(at))), []).append(at)
        for (kind, day), moments in by_day.items():
            self._store.received.note(ReceivedDay(kind, day, min(moments), max(moments), len(moments)))
        if self._request_id:
            self._store.recon.note_request_id(Provider.PAYPAY, self._request_id, utc_text(self._now()))

    def process(self, event: Event) -> None:
        """Apply an event once, however often it comes, and publish what it changed.

        A notification of a recon file is recorded each time: it may come again, byte for byte, to be fetched again.

        Raises
        ------
        MalformedEventError
            Nobody knows this kind of event, or its subject.
        RepairsStoppedError
            What may wait is stopped; nothing was done.
        HonninError, with `retryable` set
            A provider or another worker stood in the way; the event must come again.
        """
        if self._watch:
            self._watch.check()
        if self._recon and (event.provider, event.kind) == (Provider.PAYPAY, RECON_FILE):
            self._recon.record(event)
            return
        record = self._store.events.get(event.event_id)
        if record is None:
            self._apply(event)
            record = self._store.events.get(event.event_id)
            if event.provider == Provider.PAYPAY and (at := received(event)):
                self._received.append((event.kind, at))
        else:
            count("EventRepeated", provider=event.provider)
        if record:
            self._publisher.announce(record)

    def _apply(self, event: Event) -> None:
        until = self._now() + _RACING
        self._followed = None
        try:
            decision = self._commits.run(partial(self._decide, event), until=until)
            while decision.event_id != event.event_id:
                # A link was healed, which is an effect of its own; now the event finds it.
                decision = self._commits.run(partial(self._decide, event), until=until)
        except AlreadyAppliedError:
            return
        if isinstance(decision, Dropped):
            count("EventDropped", provider=event.provider, what=decision.what)
        else:
            count("EventApplied", provider=event.provider, cause=event.cause)

    def _decide(self, event: Event) -> Effect | Unattached | Dropped:
        rule = self._rules.get((event.provider, event.kind)) or self._rules.get((event.provider, _ANY_KIND))
        if rule is None:
            raise MalformedEventError(f"no rule for {event.provider}/{event.kind}")
        decision = rule.decide(event)
        if not isinstance(decision, Effect) or decision.event_id != event.event_id:
            return decision
        if event.cause == SETTLE:
            return self._dropped(decision) if is_nothing_new(decision) else decision
        if self._settling and self._followed != event.event_id:
            # Before the commit, after which nobody would do it (`honnin.settling`); once, however many races are lost.
            self._settling.follow(event, decision)
            self._followed = event.event_id
        return decision

    def _dropped(self, decision: Effect) -> Dropped:
        if self._watch and is_reading(decision):
            self._watch.read()
        return Dropped(decision.event_id, "nothing_new")

    def _committed(self, effect: Effect) -> None:
        """The change of the event itself is published by its record, which also tells whether that was done before."""
        if effect.links:
            self._publisher.announce_or_leave(effect)
        else:
            self._publisher.announce_notices(effect)
        if self._paypay and effect.after.provider == Provider.PAYPAY:
            self._request_id = effect.detail.get("requestId") or self._request_id
            self._paypay.committed(effect)
