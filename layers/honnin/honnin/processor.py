"""Applies events. Each event goes to its provider's rule; the rule's decision is committed once and published.

A batch is divided into groups, each with the events of one user. Threads process the groups in parallel
(`honnin.worker`). Each group has its own data, so nothing here needs a lock. Two groups may still concern the same
user, when the link between the two is not known yet. Then one of them loses the race for the user's status and decides
again.
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

# For how long a worker decides again after lost races. After that the event goes back to the queue.
_RACING = timedelta(seconds=5)

# PayPay's support asks for a recent X-REQUEST-ID. Each environment stores one at most this often.
_REQUEST_ID_EVERY = timedelta(minutes=10)

# A provider's rule handles every kind of event that has no rule of its own.
_ANY_KIND = ""


class Rule(Protocol):
    """What the events of one provider, or of one kind, do. Several threads use it at once, so it keeps no state."""

    def decide(self, event: Event, known: Known) -> Effect | Unattached | Dropped:
        """Read the facts from the provider, and decide what the event changes. `known` is what the table knows."""


class EventProcessor:
    """Applies events. `now` gives aware UTC moments. `vexora_archive` stores the Vexora answers that decided something.

    Without `settling`, the provider is not read again after a hint. `split` handles an event with an array of
    notifications.
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
            raise MalformedEventError(f"events of kind {event.provider}/{event.kind} are unknown")
        return rule

    def batch(self, *, may_wait: bool = False) -> "Batch":
        """Begin an SQS batch. `may_wait`: it comes from the repairs or the rereads queue, which a mass change stops."""
        if self.watch:
            self.watch.begin(may_wait=may_wait)
        return Batch(self)

    def group(self, known: Known) -> "Group":
        """The group that processes the events of one user."""
        return Group(self, known)

    def process(self, event: Event) -> None:
        """Apply one event by itself. Raises as `Group.process`."""
        self.group(self.store.known([event])).process(event)

    def note_request_id(self, request_id: str) -> None:
        """Store an X-REQUEST-ID of PayPay's for its support, if the last one was stored long enough ago."""
        now = self.now()
        if self._request_id_at is None or now >= self._request_id_at + _REQUEST_ID_EVERY:
            self.store.recon.note_request_id(Provider.PAYPAY, request_id, utc_text(now))
            self._request_id_at = now


class Batch:
    """One SQS batch. The main thread divides it, and calls `end` after all groups have ended."""

    def __init__(self, processor: EventProcessor) -> None:
        self._processor = processor
        self._groups: list[Group] = []

    def divide(self, events: Sequence[Event]) -> list[worker.Group[Event]]:
        """Make one group for the events of each user.

        In a group the latest hint comes first, because it leaves the least work for the others.
        Everything the table knows about all these users is read at once.
        """
        known = self._processor.store.known([each for each in events if not _is_apart(each)])
        members: dict[tuple[str, str], list[int]] = {}
        for number, event in enumerate(events):
            members.setdefault(_group_key(event, known), []).append(number)
        found = []
        for numbers in members.values():
            self._groups.append(group := self._processor.group(known.copy()))
            numbers.sort(key=lambda each: events[each].received_at, reverse=True)
            found.append(worker.Group(numbers, group.process))
        return found

    def end(self) -> None:
        """Count the readings and webhooks of the batch, and store PayPay's last X-REQUEST-ID.

        If AWS refuses one of these writes now, that count is lost.
        """
        if self._processor.watch:
            self._processor.watch.end()
        try:
            self._note_received(each for group in self._groups for each in group.received)
            for request_id in [each.request_id for each in self._groups if each.request_id][-1:]:
                self._processor.note_request_id(request_id)
        except (BotoCoreError, ClientError, ConcurrentUpdateError) as error:
            logger().warning("the received webhooks were not counted", error=type(error).__name__)

    def _note_received(self, received: Iterable[tuple[str, str]]) -> None:
        by_day: dict[tuple[str, str], list[str]] = {}
        for kind, at in received:
            by_day.setdefault((kind, times.jst_day(datetime.fromisoformat(at))), []).append(at)
        for (kind, day), moments in by_day.items():
            self._processor.store.received.note(ReceivedDay(kind, day, min(moments), max(moments), len(moments)))


class Group:
    """Processes the events of one user in order, in one thread.

    `received` lists the webhooks that were applied: the kind and the moment (UTC) of each. `request_id` is the last
    X-REQUEST-ID from PayPay.
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
        """Apply an event once, even if it is delivered several times, and publish what it changed.

        A notification of a recon file is the exception: it is recorded each time, because PayPay may send the same
        bytes again so that the file is fetched again.

        Raises
        ------
        MalformedEventError
            This kind of event, or its subject, is unknown.
        RepairsStoppedError
            Repairs and rereads are stopped and this event is one of them; nothing was done.
        HonninError, with `retryable` set
            A provider failed, or another worker was faster; the event must come again.
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
                # It is unknown now whether the write reached the table.
                self._known.forget()
                raise

    def _process(self, event: Event) -> None:
        # A settle event seldom leaves a record, so none is looked for. If one comes again that has left one, its answer
        # is nothing new by then, or the commit finds the record. The poll publishes what a crash left unpublished.
        record = None if event.cause == SETTLE else self._known.record(event.event_id)
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
        """Apply the event; returns its record, if it left one."""
        until = self._processor.now() + _RACING
        try:
            decision = self._run(event, until)
            while decision.event_id != event.event_id:
                # A link was repaired. That was a change of its own; now the event can find the link.
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
            # The race was lost: the data in `known` is out of date.
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
        # A stopped repair or reread waits for a person. So after a crash the poll must publish its change.
        can_be_stopped = self._processor.watch is not None and self._processor.watch.may_wait
        decision = replace(decision, comes_again=not can_be_stopped)
        if event.cause == SETTLE:
            return self._dropped(decision) if is_nothing_new(decision) else decision
        if self._processor.settling:
            # This must happen before the commit, because nothing would do it afterwards (`honnin.settling`). It happens
            # once, however many races are lost.
            self._processor.settling.follow(event, decision, self._followed)
        return decision

    def _dropped(self, decision: Effect) -> Dropped:
        if self._processor.watch and is_reading(decision):
            self._processor.watch.read()
        return Dropped(decision.event_id, "nothing_new")

    def _committed(self, effect: Effect) -> None:
        """Keep and publish an effect that was committed.

        The event's own change is published from its record, which also shows whether it was published before.
        """
        self._known.applied(effect, self._processor.store.events.record_of(effect))
        self.request_id = effect.detail.get("requestId") or self.request_id
        if effect.links:
            self._processor.publisher.publish_or_leave(effect)
        else:
            self._processor.publisher.publish_expiry_events(effect)


def _is_recon_file(event: Event) -> bool:
    return (event.provider, event.kind) == (Provider.PAYPAY, RECON_FILE)


def _is_apart(event: Event) -> bool:
    """Whether an event concerns no user: an array of notifications, or a recon file."""
    return event.kind == SEVERAL or _is_recon_file(event)


def _group_key(event: Event, known: Known) -> tuple[str, str]:
    """The key by which events are grouped: events with the same key are in one group."""
    if _is_apart(event):
        return "event", event.event_id
    user = known.user(event)
    return ("user", user) if user else (event.provider, event.subject)
