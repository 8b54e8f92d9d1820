"""Events: each takes effect once, completely or not at all, and what it changed is published."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from honnin.domain_events import KYC_STATUS_CHANGED, SUBMISSION_STALE
from honnin.errors import ConcurrentUpdateError
from honnin.event import UNNAMED, Provider
from honnin.status import OPEN, VerifiedNeeds
from honnin.store.contracts import Contract, Contracts, contract_back, contract_begin, contract_submitted
from honnin.store.expiries import ExpiryEvent, expiry_events, expiry_puts
from honnin.store.keys import (
    Item,
    due,
    entry_key,
    erased_key,
    event_key,
    failure_key,
    former_key,
    link_key,
    status_key,
    submission_key,
)
from honnin.store.links import (
    Link,
    LinkSession,
    SessionUse,
    Unattached,
    link_put,
    session_puts,
    session_use,
    waiting_item,
)
from honnin.store.overview import placed
from honnin.store.submissions import EARLIER_CONTRACT, Submission, poll_end, submission_item, withdrawal
from honnin.store.table import (
    POLL,
    PUBLISH,
    UNSTORED,
    AlreadyAppliedError,
    SessionUsedError,
    Table,
    Write,
    attributes,
    encode,
    read,
    without_none,
)
from honnin.store.users import FORMER_NOTED, TimelineEntry, UserStatus, began, flag_of, verified_reason
from honnin.times import utc_text
from honnin.vault import Evidence

# An event's record is kept longer than the event could come again (queues 14 days, recon 40 days).
EVENT_KEPT = timedelta(days=400)

# A message stays in its queue for 14 days at most (template.yaml); its failures are counted a little longer.
FAILURE_KEPT = timedelta(days=15)

# If a change is still unpublished after this time, a crash has left it. The poll then publishes it.
PUBLISH_OVERDUE = timedelta(minutes=2)

# What puts an item into the index `due`.
_DUE = ("due_kind", "due_at")


@dataclass(frozen=True)
class EventRecord:
    """An event that has taken effect: what it did, for which user, and the status after it.

    `change` is the content to be published, if there is any, and `detail_type` its type (`honnin.domain_events`).
    """

    event_id: str
    applied_at: str
    published: bool = field(metadata=UNSTORED)
    change: Mapping[str, Any] | None
    user_id: str | None = None
    what: str | None = None
    to_status: str | None = None
    detail_type: str = KYC_STATUS_CHANGED


@dataclass(frozen=True)
class Dropped:
    """An event that does nothing and leaves no record: its user was erased, or it was internal work of Honnin."""

    event_id: str
    what: str


@dataclass(frozen=True)
class Effect:
    """Everything that one event does, applied together or not at all.

    `before` is the status that was read before the provider was asked (None: the user is new there); `after` is the new
    status. `opens` is a new submission. Otherwise the submission in `after` follows its status: it is polled while it
    is open, and no longer after it is decided. `outcome` marks that submission (`unclear`, `refused`). `links`: the
    user has just linked the authorization in `after`. `link` is the link to be stored, even if it is not new;
    `takes_from` is the status (as read) of the user who had the link until now. `withdraws` is a submission that was
    never sent: it is no longer polled and loses its user. `restores` is what was known of the contract before its
    submission, which was not sent. `evidence` is the provider's answer; `honnin.commit` writes it to the vault before
    this is applied. `stale`: nothing changes, but the submission is reported as stale. `beside`
    is the status at the other provider, if it was read already (at most one; None: it was not). `comes_again`: until
    its change is published, a message on a queue brings the event again. So the poll need not look for it, and it is
    not written to the index `due` and taken out again.
    """

    event_id: str
    what: str
    cause: str
    at: str
    before: UserStatus | None
    after: UserStatus
    detail: Mapping[str, str]
    opens: Submission | None = None
    outcome: str | None = None
    withdraws: str | None = None
    restores: Contract | None = None
    session: LinkSession | None = None
    uses: SessionUse | None = None
    links: bool = False
    link: Link | None = None
    takes_from: UserStatus | None = None
    stale: bool = False
    evidence: Evidence | None = field(default=None, compare=False)
    beside: Sequence[UserStatus] | None = field(default=None, compare=False)
    comes_again: bool = field(default=False, compare=False)

    @property
    def change(self) -> Mapping[str, Any] | None:
        """The content of `KycStatusChanged`; None if the status does not change.

        A flag under a link that has ended changes no status, but it changes `verified`. Then both statuses are the
        same.
        """
        from_status = self.before.status if self.before else None
        if from_status == self.after.status and (self.before is None or flag_of(self.before) == flag_of(self.after)):
            return None
        content = {
            "userId": self.after.user_id,
            "provider": self.after.provider,
            "from": from_status,
            "to": self.after.status,
            "providerStatus": self.after.provider_status,
            "submissionId": self.after.submission_id,
            "cause": self.cause,
            "version": self.after.version,
            "occurredAt": self.at,
            "eventId": self.event_id,
        }
        return {name: value for name, value in content.items() if value is not None}

    @property
    def publication(self) -> tuple[str, Mapping[str, Any]] | None:
        """What is to be published: its type (`honnin.domain_events`), and the content."""
        if self.change:
            return KYC_STATUS_CHANGED, self.change
        if not self.stale:
            return None
        content = {
            "userId": self.after.user_id,
            "submissionId": self.after.submission_id or "",
            "status": self.after.status,
            "submittedAt": self.after.submitted_at or "",
            "version": self.after.version,
            "occurredAt": self.at,
            "eventId": self.event_id,
        }
        return SUBMISSION_STALE, content

    @property
    def expiry_events(self) -> list[ExpiryEvent]:
        """Further events to be published, each with an id of its own."""
        return expiry_events(self.before, self.after, self.event_id, self.at)


class Events:
    """Applies events, and knows which have taken effect and which are not published yet."""

    def __init__(self, table: Table, needs: VerifiedNeeds = VerifiedNeeds.ANY) -> None:
        self._table = table
        self._needs = needs

    def get(self, event_id: str) -> EventRecord | None:
        """The record of an event, if it has taken effect."""
        item = self._table.get(event_key(event_id))
        return event_record(item) if item else None

    def get_many(self, event_ids: Sequence[str]) -> dict[str, EventRecord]:
        """The records of those events that have taken effect."""
        return {item["event_id"]: event_record(item) for item in self._table.batch(map(event_key, event_ids))}

    def apply(self, effect: Effect) -> None:
        """Apply one event: its record, the timeline entry, the status and the submission, in one transaction.

        Raises
        ------
        AlreadyAppliedError
            The event's record exists: nothing was written.
        SessionUsedError
            An account-link answer came too late: nothing was written.
        ConcurrentUpdateError
            The user's status is no longer `effect.before`, or the link belongs to another user. Nothing was written;
            read and decide again.
        """
        self._table.transact(effect.event_id, self._writes(effect, self._beside(effect)))

    def record_of(self, effect: Effect) -> EventRecord:
        """The record of an effect that was just applied. If the effect has `beside`, nothing is read for it."""
        return event_record(self._record(effect, self._beside(effect)))

    def _beside(self, effect: Effect) -> "_Beside | None":
        return _Beside(self._table, effect) if effect.change else None

    def keep(self, waiting: Unattached) -> None:
        """Record an event that waits for a link: its record, and its place to wait.

        Raises
        ------
        AlreadyAppliedError
            The event's record is there: nothing was written.
        ConcurrentUpdateError
            Meanwhile the authorization was linked to a user, or its user erased: nothing was written; decide anew.
        """
        table = self._table
        record = {**event_item(waiting.event_id, waiting.at), "what": waiting.what}
        writes: list[Write] = [
            ({"Put": table.new(record)}, AlreadyAppliedError),
            ({"Put": table.new(table.waiting(waiting_item(waiting)))}, AlreadyAppliedError),
        ]
        if waiting.subject != UNNAMED:
            # If a link was made meanwhile, the event belongs to its user; or there may be the mark of an erased user.
            # An event that names no authorization has neither, and no check: checks of one item at one time block each
            # other.
            keys = link_key(waiting.subject), erased_key(waiting.subject)
            writes += [({"ConditionCheck": table.absent(key)}, ConcurrentUpdateError) for key in keys]
        table.transact(waiting.event_id, writes)

    def unpublished(self, now: str) -> Iterator[EventRecord]:
        """Applied events whose change should have been published by `now` (UTC)."""
        return map(event_record, self._table.due(PUBLISH, now))

    def mark_published(self, event_id: str, at: str) -> None:
        """Record that the event's change was published. A record that was erased meanwhile stays erased."""
        self._table.attempt(
            self._table.update(event_key(event_id), {"published_at": at}, "attribute_exists(pk)", remove=_DUE)
        )

    def count_failure(self, message_id: str, kind: str) -> int:
        """Count one more failure of a message on a queue; returns the number of that kind so far."""
        return self._table.count(failure_key(message_id, kind), FAILURE_KEPT)

    def _writes(self, effect: Effect, beside: "_Beside | None") -> list[Write]:
        """The writes of one transaction, each with the error if its condition fails, the most serious error first."""
        table = self._table
        writes: list[Write] = [
            ({"Put": self._record_put(effect, beside)}, AlreadyAppliedError),
            ({"Put": table.new(table.expiring(_timeline_item(effect)))}, AlreadyAppliedError),
        ]
        if effect.uses:
            writes.append(({"Update": session_use(table, effect.uses)}, SessionUsedError))
        if effect.links or effect.link:
            writes += _link_writes(table, effect)
        if effect.links:
            writes.append((self._come_back(effect.after.user_authorization_id or ""), ConcurrentUpdateError))
        writes.append(({"Put": self._status_put(effect)}, ConcurrentUpdateError))
        puts = [*expiry_puts(table, effect.before, effect.after), *map(self._expiry_event_put, effect.expiry_events)]
        earlier = Contracts(table).get(effect.after.user_id) if effect.opens else None
        puts += _contract_puts(table, effect, earlier)
        writes += [({"Put": each}, ConcurrentUpdateError) for each in puts]
        writes += [({"Update": each}, ConcurrentUpdateError) for each in self._left_behind(effect)]
        if effect.opens:
            writes.append(({"Put": table.new(submission_item(effect.opens, earlier))}, ConcurrentUpdateError))
            if effect.before and effect.before.submission_id:
                writes.append(({"Update": poll_end(table, effect.before.submission_id)}, ConcurrentUpdateError))
        elif effect.after.submission_id:
            writes.append(({"Update": self._submission_update(effect)}, ConcurrentUpdateError))
        if effect.withdraws:
            writes.append(({"Update": withdrawal(table, effect.withdraws, effect.at)}, ConcurrentUpdateError))
        if effect.session:
            writes += [({"Put": put}, ConcurrentUpdateError) for put in session_puts(table, effect.session)]
        if beside:
            writes.append(({"ConditionCheck": beside.unchanged()}, ConcurrentUpdateError))
        return writes

    def _record_put(self, effect: Effect, beside: "_Beside | None") -> Item:
        return self._table.new(self._record(effect, beside))

    def _record(self, effect: Effect, beside: "_Beside | None") -> Item:
        item: Item = {**event_item(effect.event_id, effect.at), "user_id": effect.after.user_id}
        item |= {"what": effect.what, "to_status": effect.after.status}
        if effect.publication:
            detail_type, content = effect.publication
            verdict = beside.verdict(effect.after, self._needs) if beside else {}
            publishing = to_publish(effect.event_id, detail_type, {**content, **verdict}, effect.at)
            item |= {name: each for name, each in publishing.items() if not (effect.comes_again and name in _DUE)}
        return item

    def _expiry_event_put(self, expiry_event: ExpiryEvent) -> Item:
        at = expiry_event.content["occurredAt"]
        record = {**event_item(expiry_event.event_id, at), "user_id": expiry_event.content["userId"]}
        item = record | to_publish(expiry_event.event_id, expiry_event.detail_type, expiry_event.content, at)
        # Its record may exist: a user has only one record for all reports about the residence period.
        return {"TableName": self._table.name, "Item": encode(item)}

    def _status_put(self, effect: Effect) -> Item:
        after = replace(effect.after, since=began(effect.before, effect.after.status, effect.at))
        put = self._table.new(placed(status_key(after.user_id, after.provider) | attributes(after)))
        if effect.before:
            # The version ensures that this reading began after the end of the last applied reading. `read_at` ensures
            # the same by time, for a table that was restored or repaired by hand.
            put["ConditionExpression"] = "version = :version AND (attribute_not_exists(read_at) OR read_at <= :read_at)"
            put["ExpressionAttributeValues"] = encode(
                {":version": effect.before.version, ":read_at": effect.after.read_at or effect.at}
            )
        return put

    def _come_back(self, user_authorization_id: str) -> Item:
        """If an erased user links again, the mark of the erasure expires, if there is one."""
        key = erased_key(user_authorization_id)
        if self._table.get(key):
            return {"Update": self._table.end(key)}
        return {"ConditionCheck": self._table.absent(key)}

    def _left_behind(self, effect: Effect) -> list[Item]:
        """Items for what the user had at the provider until now, so that an erasure finds it."""
        before, after = effect.before, effect.after
        if before is None or effect.withdraws:
            return []
        ids = ((before.user_authorization_id, after.user_authorization_id), (before.submission_id, after.submission_id))
        return [
            self._table.update(
                former_key(before.user_id, before.provider, old), {"left_at": effect.at}, "", remove=FORMER_NOTED
            )
            for old, new in ids
            if old and old != new
        ]

    def _submission_update(self, effect: Effect) -> Item:
        key = submission_key(effect.after.submission_id or "")
        expression = "SET #status = :status" + (", outcome = :outcome" if effect.outcome else "")
        values: Item = {":status": effect.after.status, ":outcome": effect.outcome}
        gone = [EARLIER_CONTRACT]
        if effect.after.status not in OPEN:
            gone += _DUE
        elif effect.withdraws or not effect.before or effect.before.status not in OPEN:
            # It is open again, so it is polled again: the next run asks, and sets the time after that.
            expression += ", due_kind = :due_kind, due_at = :due_at"
            values |= {f":{name}": value for name, value in due(POLL, effect.at, key).items()}
        return {
            "TableName": self._table.name,
            "Key": encode(key),
            "UpdateExpression": f"{expression} REMOVE {', '.join(gone)}",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": encode(without_none(values)),
        }


class _Beside:
    """The user's status at the other provider. It must not have changed when a change here takes effect.

    Whether the user is verified depends on both, and the published change contains it.
    """

    def __init__(self, table: Table, effect: Effect) -> None:
        other = Provider.VEXORA if effect.after.provider == Provider.PAYPAY else Provider.PAYPAY
        self._table = table
        self._key = status_key(effect.after.user_id, other)
        if effect.beside is not None:
            self.statuses = list(effect.beside)
            return
        item = table.get(self._key)
        self.statuses = [read(UserStatus, item)] if item else []

    def unchanged(self) -> Item:
        """The check that it has not changed."""
        if not self.statuses:
            return self._table.absent(self._key)
        return {
            "TableName": self._table.name,
            "Key": encode(self._key),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": encode({":version": self.statuses[0].version}),
        }

    def verdict(self, after: UserStatus, needs: VerifiedNeeds) -> Mapping[str, Any]:
        """`verified` and its reason from both statuses, with the names of `KycStatusChanged`."""
        reason = verified_reason([after, *self.statuses], needs)
        return {"verified": reason.is_verified, "verifiedReason": reason}


def _contract_puts(table: Table, effect: Effect, earlier: Contract | None) -> list[Item]:
    """That the contract begins (again), or that it did not. `earlier` is the one before a new submission."""
    if effect.opens and earlier:
        return [contract_submitted(table, earlier, effect.at, effect.opens.submission_id)]
    if effect.links:
        return [contract_begin(table, effect.after.user_id, effect.at)]
    return [contract_back(table, effect.restores)] if effect.restores else []


def _link_writes(table: Table, effect: Effect) -> list[Write]:
    after, owner = effect.after, effect.takes_from
    link = effect.link or Link(after.user_id, after.scopes, after.code_id)
    put = link_put(table, after.user_authorization_id or "", link, owner.user_id if owner else after.user_id)
    writes: list[Write] = [({"Put": put}, ConcurrentUpdateError)]
    if owner:
        # The user who had it until now may be linking it again now, or may be read through it.
        known, higher = {"known": owner.version}, {"version": owner.version + 1}
        key = status_key(owner.user_id, owner.provider)
        writes.append(({"Update": table.update(key, higher, "version = :known", known=known)}, ConcurrentUpdateError))
    return writes


def event_item(event_id: str, at: str) -> Item:
    """The record that makes an event take effect once."""
    expires = datetime.fromisoformat(at) + EVENT_KEPT
    return {**event_key(event_id), "event_id": event_id, "applied_at": at, "expires_at": int(expires.timestamp())}


def to_publish(event_id: str, detail_type: str, content: Mapping[str, Any], at: str) -> Item:
    """The attributes of an event's record by which its content is published: immediately, or else by the poll."""
    overdue = utc_text(datetime.fromisoformat(at) + PUBLISH_OVERDUE)
    return {"change": dict(content), "detail_type": detail_type, **due(PUBLISH, overdue, event_key(event_id))}


def _timeline_item(effect: Effect) -> Item:
    entry = TimelineEntry(
        at=effect.at,
        event_id=effect.event_id,
        provider=effect.after.provider,
        what=effect.what,
        cause=effect.cause,
        from_status=effect.before.status if effect.before else None,
        to_status=effect.after.status,
        detail=effect.detail,
        told=(
            *((effect.publication[0],) if effect.publication else ()),
            *(each.detail_type for each in effect.expiry_events),
        ),
    )
    return placed(entry_key(effect.after.user_id, entry.at, entry.event_id) | attributes(entry))


def event_record(item: Item) -> EventRecord:
    """The record of an event."""
    return read(EventRecord, item, published="published_at" in item)
