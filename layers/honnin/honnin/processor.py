"""Applies events: each is routed to its provider's rule, and what the rule decides is committed once and published.

A batch is divided into groups, each of one user's events, which threads work off side by side (`honnin.worker`). What a
group knows and remembers is its own, so nothing here needs a lock. Two groups may be about one user after all, where
the link between them is not known yet: then one of them loses the race for the user's status, and decides again.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from honnin import times, worker
from honnin.commit import Commits
from honnin.erasure import ErasureSweep
from honnin.errors import ConcurrentUpdateError, MalformedEventError
from honnin.event import Event, Provider
from honnin.mass_change import BatchWatch, is_reading
from honnin.observability import count, logger
from honnin.paypay.expiry import KIND as EXPIRY
from honnin.paypay.expiry import PayPayExpiries
from honnin.paypay.notification import PayPayNotifications, received
from honnin.publish import Publisher
from honnin.recon.notification import KIND as RECON_FILE
from honnin.recon.notification import ReconNotifications
from honnin.settling import CAUSE as SETTLE
from honnin.settling import Settling, is_nothing_new
from honnin.store import AlreadyAppliedError, Dropped, Effect, EventRecord, Known, ReceivedDay, Store, Unattached
from honnin.times import utc_text
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.result import VexoraResults
from honnin.webhook import SEVERAL

# How long a worker goes on deciding again after lost races. Then the queue gives the event another time.
_RACING = timedelta(seconds=5)

# PayPay's support asks for a recent X-REQUEST-ID: an environment keeps one so often.
_REQUEST_ID_EVERY = timedelta(minutes=10)

# The rule of a provider takes every kind of event for which there is no rule of its own.
_ANY_KIND = ""


class Rule(Protocol):
    """What the events of one provider, or of one kind, do. Several threads use it at once: it remembers nothing."""

    def decide(self, event: Event, known: Known) -> Effect | Unattached | Dropped:
        """Read the truth back and decide what the event does to whom the table knows."""


class EventProcessor:
    """Applies events. `now` gives aware UTC moments. `vexora_archive` keeps Vexora's deciding answers.

    Without `settling` no hint is followed by further readings. `split` takes an array of notifications.
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
        split: Callable[[Event], None] | None = None,
        watch: BatchWatch | None = None,
    ) -> None:
        self.store = store
        self.publisher = publisher
        self.now = now
        self.recon = recon
        self.settling = settling
        self.split = split
        self.watch = watch
        rules: dict[tuple[str, str], Rule | None] = {
            (Provider.VEXORA, _ANY_KIND): VexoraResults(store, vexora, now, vexora_archive),
            (Provider.PAYPAY, _ANY_KIND): paypay,
            (Provider.PAYPAY, EXPIRY): expiries,
            (Provider.HONNIN, _ANY_KIND): sweep,
        }
        self._rules = {key: rule for key, rule in rules.items() if rule}
        self._request_id_at: datetime | None = None

    def rule(self, event: Event) -> Rule:
        """The rule for an event. Raises `MalformedEventError` where there is none."""
        rule = self._rules.get((event.provider, event.kind)) or self._rules.get((event.provider, _ANY_KIND))
        if rule is None:
            raise MalformedEventError(f"no rule for {event.provider}/{event.kind}")
        return rule

    def batch(self, *, may_wait: bool = False) -> "Batch":
        """Begin an SQS batch. `may_wait`: it is of the repairs or of the rereads, which a mass change stops."""
        if self.watch:
            self.watch.begin(may_wait=may_wait)
        return Batch(self)

    def group(self, known: Known) -> "Group":
        """What works off the events of one user, or of whoever they are about."""
        return Group(self, known)

    def process(self, event: Event) -> None:
        """Apply one event by itself. Raises as `Group.process`."""
        self.group(self.store.known([event])).process(event)

    def note_request_id(self, request_id: str) -> None:
        """Keep a X-REQUEST-ID of PayPay's for its support, if the last one was kept some time ago."""
        now = self.now()
        if self._request_id_at is None or now >= self._request_id_at + _REQUEST_ID_EVERY:
            self.store.recon.note_request_id(Provider.PAYPAY, request_id, utc_text(now))
            self._request_id_at = now


class Batch:
    """One SQS batch. The main thread divides it, and ends it when all groups have come to their end."""

    def __init__(self, processor: EventProcessor) -> None:
        self._processor = processor
        self._groups: list[Group] = []

    def divide(self, events: Sequence[Event]) -> list[worker.Group[Event]]:
        """A group for the events of each user, the latest hint first: it leaves the least to do for the others.

        What the table knows of all of them is read at once.
        """
        known = self._processor.store.known([each for each in events if not _is_apart(each)])
        members: dict[tuple[str, str], list[int]] = {}
        for number, event in enumerate(events):
            members.setdefault(_whose(event, known), []).append(number)
        found = []
        for numbers in members.values():
            self._groups.append(group := self._processor.group(known.copy()))
            numbers.sort(key=lambda each: events[each].received_at, reverse=True)
            found.append(worker.Group(numbers, group.process))
        return found

    def end(self) -> None:
        """Count the readings and webhooks of the batch, and keep PayPay's last X-REQUEST-ID.

        What AWS does not take now is lost.
        """
        if self._processor.watch:
            self._processor.watch.end()
        try:
            self._note_received(each for group in self._groups for each in group.received)
            for request_id in [each.request_id for each in self._groups if each.request_id][-1:]:
                self._processor.note_request_id(request_id)
        except (BotoCoreError, ClientError, ConcurrentUpdateError) as error:
            logger().warning("webhooks not counted", error=type(error).__name__)

    def _note_received(self, received: Iterable[tuple[str, str]]) -> None:
        by_day: dict[tuple[str, str], list[str]] = {}
        for kind, at in received:
            by_day.setdefault((kind, times.jst_day(datetime.fromisoformat(at))), []).append(at)
        for (kind, day), moments in by_day.items():
            self._processor.store.received.note(ReceivedDay(kind, day, min(moments), max(moments), len(moments)))


class Group:
    """Works off the events of one user, one after the other, in one thread.

    `received` are the webhooks that were applied, each its kind and its moment (UTC); `request_id` is the last one of
    PayPay's.
    """

    def __init__(self, processor: EventProcessor, known: Known) -> None:
        self.received: list[tuple[str, str]] = []
        self.request_id: str | None = None
        self._processor = processor
        self._known = known
        self._commits = Commits(processor.store, self._committed, processor.now, processor.watch)
        self._followed: dict[tuple[str, str], str] = {}
        self._has_decided = False

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
        if self._processor.watch:
            self._processor.watch.check()
        if event.kind == SEVERAL and self._processor.split:
            self._processor.split(event)
        elif self._processor.recon and _is_recon_file(event):
            self._processor.recon.record(event)
        else:
            try:
                self._process(event)
            except BaseException:
                # What is in the table now, nobody knows.
                self._known.forget()
                raise

    def _process(self, event: Event) -> None:
        record = self._known.record(event.event_id)
        if record is None:
            record = self._apply(event)
            if event.provider == Provider.PAYPAY and (at := received(event)):
                self.received.append((event.kind, at))
        else:
            count("EventRepeated", provider=event.provider)
        if record and record.change and not record.published:
            self._processor.publisher.publish(record)
            self._known.published(record)

    def _apply(self, event: Event) -> EventRecord | None:
        """Have the event take effect; returns its record, if it has left one."""
        until = self._processor.now() + _RACING
        try:
            decision = self._run(event, until)
            while decision.event_id != event.event_id:
                # A link was healed, which is an effect of its own; now the event finds it.
                decision = self._run(event, until)
        except AlreadyAppliedError:
            self._known.forget()
            return self._known.record(event.event_id)
        if isinstance(decision, Dropped):
            count("EventDropped", provider=event.provider, what=decision.what)
        else:
            count("EventApplied", provider=event.provider, cause=event.cause)
        return self._known.record(event.event_id) if isinstance(decision, Effect) else None

    def _run(self, event: Event, until: datetime) -> Effect | Unattached | Dropped:
        try:
            return self._commits.run(partial(self._decide, event), until=until)
        finally:
            self._has_decided = False

    def _decide(self, event: Event) -> Effect | Unattached | Dropped:
        if self._has_decided:
            # The race was lost: what is known is out of date.
            self._known.forget()
        self._has_decided = True
        decision = self._processor.rule(event).decide(event, self._known)
        if not isinstance(decision, Effect):
            return decision
        if decision.change:
            after = decision.after
            decision = replace(decision, beside=self._known.beside(after.user_id, after.provider))
        if decision.event_id != event.event_id:
            return decision
        if event.cause == SETTLE:
            return self._dropped(decision) if is_nothing_new(decision) else decision
        if self._processor.settling:
            # Before the commit, after which nobody would do it (`honnin.settling`); once, however many races are lost.
            self._processor.settling.follow(event, decision, self._followed)
        return decision

    def _dropped(self, decision: Effect) -> Dropped:
        if self._processor.watch and is_reading(decision):
            self._processor.watch.read()
        return Dropped(decision.event_id, "nothing_new")

    def _committed(self, effect: Effect) -> None:
        """The change of the event itself is published by its record, which also tells whether that was done before."""
        self._known.applied(effect, self._processor.store.events.record_of(effect))
        self.request_id = effect.detail.get("requestId") or self.request_id
        if effect.links:
            self._processor.publisher.publish_or_leave(effect)
        else:
            self._processor.publisher.publish_expiry_events(effect)


def _is_recon_file(event: Event) -> bool:
    return (event.provider, event.kind) == (Provider.PAYPAY, RECON_FILE)


def _is_apart(event: Event) -> bool:
    """Whether an event is about no user: an array of notifications, or a recon file."""
    return event.kind == SEVERAL or _is_recon_file(event)


def _whose(event: Event, known: Known) -> tuple[str, str]:
    """What the events of one group have in common."""
    if _is_apart(event):
        return "event", event.event_id
    user = known.user(event)
    return ("user", user) if user else (event.provider, event.subject)
