"""The DynamoDB single table (docs/architecture.md, "The table"): the only module that knows its keys and attributes.

Every write that moves a user is one transaction: the event's own record (it fails if the record is there), the
timeline entry, and the status with its version. Readers get frozen dataclasses, never items.
"""

import base64
import binascii
import hashlib
import random
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from typing import TYPE_CHECKING, Any, Literal

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from honnin import aws
from honnin.errors import ConcurrentUpdateError, HonninError, InvalidFieldError
from honnin.observability import loggable
from honnin.recon.file_types import FILE_TYPES
from honnin.status import OPEN
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# An event's record outlives every way in which the event could come back (queues 14 days, recon 40 days).
EVENT_KEPT = timedelta(days=400)

# Recon looks back over 7 days; the ledger outlives every resent file.
LEDGER_KEPT = timedelta(days=40)

# What was found on a day is kept as long as its report in the bucket (template.yaml, ReconBucket).
RECON_KEPT = timedelta(days=400)

# A message stays in its queue for 14 days at most (template.yaml); its failures are counted a little longer.
FAILURE_KEPT = timedelta(days=15)

POLL = "vexora_poll"
PUBLISH = "publish"
FETCH = "recon_fetch"

# What a recon file carries while there is something to fetch. The URL holds a signature and goes first of all.
_FETCH_ATTRIBUTES = ("url", "due_kind", "due_at", "claimed_until")

# The ledger of a day has this many partitions, by the first hexadecimal digit of the id's SHA-256.
SHARDS = "0123456789abcdef"

# The kinds of webhooks whose users PayPay also lists in a recon file: each has a ledger.
LEDGERS = ("kyc", "risk", "account_status")

# Some of the ids that a comparison found, in the recon file's item; ERASED_ID stands there for an erased one.
_SAMPLES = ("missed_sample", "extra_sample")
ERASED_ID = "erased"

# BatchGetItem and BatchWriteItem take no more.
_MOST_KEYS = 100
_MOST_WRITES = 25

# A filter has 4 KB at most, and some 70 characters for each authorization; a transaction has 100 writes, and three for
# each entry of a timeline.
_MOST_NAMED = 40
_MOST_REDACTED = 30

# An item that another transaction holds at this moment is free again within milliseconds. Neither that nor a throttled
# transaction is repeated by botocore: it would not know that the conditions still say what was meant. Seconds.
_COLLISION_PAUSES = (0.05, 0.1, 0.2, 0.4)
_COLLISIONS = frozenset({"TransactionConflictException", "TransactionConflict"})
_THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})

# A change that is still unpublished after this was left behind by a crash; the poll publishes it.
PUBLISH_OVERDUE = timedelta(minutes=2)

Item = dict[str, Any]


class AlreadyAppliedError(HonninError):
    """The event has taken effect before."""


class SessionUsedError(HonninError):
    """The account-link session is gone, or an answer has used it before."""


class LinkTakenError(HonninError):
    """The PayPay authorization is linked to another user here."""


class _OvertakenError(HonninError):
    """What is in the table is newer, or has moved on."""


@dataclass(frozen=True)
class UserStatus:
    """One user at one provider. Times are UTC ISO 8601; `version` grows with every applied event.

    `read_at` is when the provider was last asked anything about the user; `kyc_read_at` and `account_read_at` are when
    PayPay was last asked for the KYC, and for the state of the account. `reason` is why Vexora rejected the user, in
    its own words: possibly personal, so it goes nowhere but to the merchant.
    """

    user_id: str
    provider: str
    status: str
    version: int
    provider_status: str | None = None
    read_at: str | None = None
    submission_id: str | None = None
    submitted_at: str | None = None
    stale_at: str | None = None
    user_authorization_id: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    code_id: str | None = None
    kyc_read_at: str | None = None
    account_read_at: str | None = None
    former_authorization_ids: tuple[str, ...] = field(default=(), repr=False)
    former_submission_ids: tuple[str, ...] = ()
    reason: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Submission:
    """One application at Vexora. `polls` counts the polls already asked for. An erased one has no user.

    `outcome` is `unclear` when the provider's answer to the application never came or could not be read, and
    `refused` when the provider refused it and could not be asked what it knows of the user.
    """

    submission_id: str
    user_id: str
    status: str
    submitted_at: str
    polls: int = 0
    outcome: str | None = None
    due_at: str | None = None

    def awaits_first_poll(self, now: str) -> bool:
        """Whether its first poll lies ahead: until then the application may still be on its way."""
        return self.polls == 0 and self.due_at is not None and now < self.due_at


@dataclass(frozen=True)
class LinkSession:
    """One account-link QR. `expires_at` and `code_expires_at` are epoch seconds; `used_token` is the SHA-256 of the
    responseToken that used it. With `code_id` the PKCE verifier is also found by the code id."""

    nonce: str = field(repr=False)
    user_id: str
    scopes: tuple[str, ...]
    return_url: str
    expires_at: int
    code_id: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    code_expires_at: int = 0
    used_token: str | None = None
    result: str | None = None


@dataclass(frozen=True)
class PassportQr:
    """Whose KYC Passport QR a code id names, its PKCE verifier, and its end (epoch seconds)."""

    code_id: str
    user_id: str
    code_verifier: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class SessionUse:
    """The one answer that uses up a session."""

    nonce: str = field(repr=False)
    used_token: str
    result: str


@dataclass(frozen=True)
class TimelineEntry:
    """What happened to a user: `what` (a verb of Honnin's), `cause` (api, webhook, recon, poll), from and to."""

    at: str
    event_id: str
    provider: str
    what: str
    cause: str
    from_status: str | None
    to_status: str
    detail: Mapping[str, str]


@dataclass(frozen=True)
class EventRecord:
    """An event that has taken effect: what it did, to whom, and the status after it.

    `change` is what there is to publish about it, if anything.
    """

    event_id: str
    applied_at: str
    published: bool
    change: Mapping[str, str] | None
    user_id: str | None = None
    what: str | None = None
    to_status: str | None = None


@dataclass(frozen=True)
class Dropped:
    """An event that does nothing, and leaves no record: it names somebody who was erased, or it was work of ours."""

    event_id: str
    what: str


@dataclass(frozen=True)
class Footprint:
    """What the table holds of a user that identifies him or her at a provider. `entries` are keys of the timeline."""

    user_id: str
    statuses: tuple[UserStatus, ...]
    authorization_ids: tuple[str, ...] = field(repr=False)
    submission_ids: tuple[str, ...]
    entries: tuple[Mapping[str, Any], ...] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether all is erased: no status is left, and no entry has a detail."""
        return not self.statuses and not any(each["detail"] for each in self.entries)


@dataclass(frozen=True)
class Certificate:
    """That a user was erased: how many of what, and from when to when (UTC)."""

    certificate_id: str
    user_id: str
    begun_at: str
    completed_at: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Stored:
    """An item of any kind as a restore sees it: what it is, and whom it names.

    `kind` is status, timeline, certificate, link or waiting; otherwise the family of its key (submission, session,
    code, event, ledger, erased, recon, provider, user). `authorizations` are the SHA-256 of the PayPay authorizations
    that it names, in hexadecimal, as in the mark of an erased one. `expires_at` is in epoch seconds.
    """

    kind: str
    user_id: str | None
    authorizations: frozenset[str]
    completed_at: str | None
    expires_at: int | None
    item: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Heard:
    """A webhook's line in the ledger: this authorization was named on that JST day (`yyyy-mm-dd`).

    `late_for` is the day before, when the webhook came so soon after midnight that it may have been meant for that.
    """

    ledger: str
    day: str
    user_authorization_id: str = field(repr=False)
    at: str
    late_for: str | None = None


@dataclass(frozen=True)
class LedgerLine:
    """That an authorization was named on a JST day; a shard `late-…` is that of the hour after the day."""

    ledger: str
    day: str
    shard: str
    first_seen: str


@dataclass(frozen=True)
class Unattached:
    """An event that names nobody whom we know. It waits under the authorization id until a link appears."""

    event_id: str
    provider: str
    what: str
    cause: str
    at: str
    subject: str = field(repr=False)
    detail: Mapping[str, str]
    heard: Heard | None = None


@dataclass(frozen=True)
class Announcement:
    """A recon file that PayPay offers. `day` is its JST processing day; times are UTC; the URL holds a signature.

    `state` is ANNOUNCED, or REFUSED or IGNORED with the reason and without a URL; `name_says` is what the name holds.
    """

    event_id: str
    file_type: str
    file_name: str
    day: str
    url: str = field(repr=False)
    requested_at: str
    deadline: str
    received_at: str
    at: str
    state: str = "ANNOUNCED"
    reason: str = ""
    name_says: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReconFile:
    """A recon file and what became of it. Times are UTC, `day` is JST.

    `state` is that of what is stored: ANNOUNCED → STORED → COMPARED, or REFUSED (the URL), EXPIRED (not fetched in
    time), TOO_LARGE, INVALID (not to be believed), IGNORED (a type that we do not take), MISSING (never announced; it
    has no name). `url` is there while there is something to fetch: also for a stored file that was announced again.
    """

    file_type: str
    day: str
    name: str
    state: str
    url: str | None = field(default=None, repr=False)
    requested_at: str | None = None
    deadline: str | None = None
    received_at: str | None = None
    reason: str | None = None
    name_says: Mapping[str, str] = field(default_factory=dict)
    stored_at: str | None = None
    sha256: str | None = None
    size: int | None = None
    revision_of: str | None = None
    compared_at: str | None = None
    reported_at: str | None = None
    reminders: int = 0
    completed_at: str | None = None
    shards_done: frozenset[str] = frozenset()
    sent: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    repairs: Mapping[str, int] = field(default_factory=dict)
    compare_ms: int | None = None
    bad_sample: tuple[Mapping[str, Any], ...] = ()
    missed_sample: tuple[str, ...] = field(default=(), repr=False)
    extra_sample: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_stored(self) -> bool:
        """Whether there is a file in the bucket."""
        return self.state in ("STORED", "COMPARED", "INVALID")


@dataclass(frozen=True)
class Effect:
    """All that one event does, applied together or not at all.

    `before` is the status as it was read before the provider was asked (None: the user is new there), `after`
    what it becomes. `opens` is a new submission; otherwise the submission that `after` names follows its status:
    while it is open it is on the poll, and it leaves the poll once that is decided. `outcome` marks that submission
    (`unclear`, `refused`). `withdraws` is a submission that was never sent: it leaves the poll and names nobody any
    more, and `after` is written as it is, without remembering it.
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
    session: LinkSession | None = None
    uses: SessionUse | None = None
    links: bool = False
    heard: Heard | None = None

    @property
    def change(self) -> Mapping[str, str] | None:
        """The content of `KycStatusChanged`, or None when the status stays what it is."""
        from_status = self.before.status if self.before else None
        if from_status == self.after.status:
            return None
        told = {
            "userId": self.after.user_id,
            "provider": self.after.provider,
            "from": from_status,
            "to": self.after.status,
            "cause": self.cause,
            "occurredAt": self.at,
            "eventId": self.event_id,
        }
        return {name: value for name, value in told.items() if value is not None}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The table. Give a client to use another than the function's own.

    `timeline_days` is how long timeline entries are kept (0: for ever). `now` gives aware moments. DynamoDB deletes an
    item days after its `expires_at` (its guide, "Working with expired items"): from that moment on no reader sees it
    any more, but for erasure and restore, and a new one may take its key.
    """

    def __init__(
        self,
        table: str,
        client: "DynamoDBClient | None" = None,
        *,
        timeline_days: int = 0,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._table = table
        self._timeline_days = timeline_days
        self._given = client
        self._now = now

    @property
    def _db(self) -> "DynamoDBClient":
        return self._given or aws.dynamodb()

    def status(self, user_id: str, provider: str) -> UserStatus | None:
        """The user's status at one provider, read consistently."""
        item = self._get(f"USER#{user_id}", f"STATUS#{provider}")
        return _user_status(item) if item else None

    def statuses(self, user_id: str) -> list[UserStatus]:
        """The user's status at every provider that knows the user."""
        return [_user_status(item) for item in self._under(f"USER#{user_id}", "STATUS#")]

    def timeline(self, user_id: str, limit: int, cursor: str | None = None) -> tuple[list[TimelineEntry], str | None]:
        """One page of the timeline, newest first, and the cursor of the next page (None at the end).

        Raises
        ------
        InvalidFieldError
            The cursor is not one that an earlier page gave.
        """
        start: Item = {"ExclusiveStartKey": _start_key(user_id, cursor)} if cursor else {}
        # One more than asked for says whether there is another page; what has expired fills none.
        found = self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=_encode({":pk": f"USER#{user_id}", ":sk": "AT#"}),
            ScanIndexForward=False,
            Limit=limit + 1,
            **start,
        )
        items = list(islice(found, limit + 1))
        entries = [_timeline_entry(item) for item in items[:limit]]
        return entries, _cursor(str(items[limit - 1]["sk"])) if len(items) > limit else None

    def submission(self, submission_id: str) -> Submission | None:
        """One submission, read consistently."""
        item = self._get(f"SUBMISSION#{submission_id}", "SUBMISSION")
        return _submission(item) if item else None

    def link_session(self, nonce: str) -> LinkSession | None:
        """An account-link session, unless it has expired."""
        item = self._get(f"SESSION#{nonce}", "SESSION")
        return _link_session(item) if item else None

    def passport_qr(self, code_id: str) -> PassportQr | None:
        """The KYC Passport QR of a code id, unless it has expired."""
        item = self._get(f"CODE#{code_id}", "CODE")
        return _passport_qr(item) if item else None

    def linked_user(self, user_authorization_id: str) -> str | None:
        """The user that a PayPay authorization belongs to."""
        item = self._get(f"PAYPAY#{user_authorization_id}", "LINK")
        return str(item["user_id"]) if item else None

    def event(self, event_id: str) -> EventRecord | None:
        """The record of an event, if it has taken effect."""
        item = self._get(f"EVENT#{event_id}", "EVENT")
        return _event_record(item) if item else None

    def apply(self, effect: Effect) -> None:
        """Apply one event: its record, the timeline entry, the status and the submission, in one transaction.

        Raises
        ------
        AlreadyAppliedError
            The event's record is there: nothing was written.
        SessionUsedError, LinkTakenError
            An account-link answer came too late, or names an authorization of another user: nothing was written.
        ConcurrentUpdateError
            The user's status is no longer `effect.before`: nothing was written; read again and decide anew.
        """
        self._transact(effect.event_id, self._writes(effect))

    def keep(self, waiting: Unattached) -> None:
        """Record an event of nobody we know: its record, its place to wait, its line in the ledger.

        Raises
        ------
        AlreadyAppliedError
            The event's record is there: nothing was written.
        ConcurrentUpdateError
            Meanwhile the authorization was linked to a user, or its user erased: nothing was written; decide anew.
        """
        writes: list[tuple[Item, type[HonninError]]] = [
            ({"Put": self._new({**_record(waiting.event_id, waiting.at), "what": waiting.what})}, AlreadyAppliedError),
            ({"Put": self._new(self._expiring(_unattached_item(waiting)))}, AlreadyAppliedError),
            # A link that appeared meanwhile: then it is somebody's after all. Or the mark of an erased user.
            (
                {"ConditionCheck": self._absent({"pk": f"PAYPAY#{waiting.subject}", "sk": "LINK"})},
                ConcurrentUpdateError,
            ),
            ({"ConditionCheck": self._absent(_erased_key(waiting.subject))}, ConcurrentUpdateError),
        ]
        if waiting.heard:
            writes += self._ledger_writes(waiting.heard)
        self._transact(waiting.event_id, writes)

    def announce(self, announcement: Announcement) -> None:
        """Record an announced recon file, or the fresh URL of one that was announced before.

        What is stored stays stored: a renewed notice only sets what there is to fetch. A notice that is refused or
        ignored never takes the place of a good one.

        Raises
        ------
        AlreadyAppliedError
            The event's record is there: nothing was written.
        """
        first = ({"Put": self._new(_record(announcement.event_id, announcement.at))}, AlreadyAppliedError)
        for update in self._announcement_updates(announcement):
            with suppress(_OvertakenError):
                self._transact(announcement.event_id, [first, ({"Update": update}, _OvertakenError)])
                return
        # Overtaken by a newer notice: only the event is recorded.
        self._transact(announcement.event_id, [first])

    def _announcement_updates(self, announcement: Announcement) -> list[Item]:
        """The ways to record a notice; the first one whose condition holds is the right one."""
        said = {
            "day": announcement.day,
            "file_name": announcement.file_name,
            "file_type": announcement.file_type,
            "name_says": dict(announcement.name_says),
            "requested_at": announcement.requested_at,
            "deadline": announcement.deadline,
            "received_at": announcement.received_at,
            "expires_at": _recon_end(announcement.day, self._now()),
        }
        key = _recon_key(announcement.file_type, announcement.day, announcement.file_name)
        if announcement.state != "ANNOUNCED":
            said |= {"state": announcement.state, "reason": announcement.reason}
            return [self._set(key, said, "attribute_not_exists(pk) OR #state = :state")]
        # The newest notice has the newest URL; when it came to us, we know better than the notice itself.
        newer = "(attribute_not_exists(received_at) OR received_at <= :received_at)"
        said |= {"url": announcement.url, "due_kind": FETCH, "due_at": announcement.deadline}
        stored = {"stored": "STORED", "compared": "COMPARED"}
        is_stored = "#state IN (:stored, :compared)"
        invalid = {"invalid": "INVALID"}
        return [
            self._set(
                key,
                said | {"state": "ANNOUNCED"},
                f"attribute_not_exists(pk) OR (NOT {is_stored} AND #state <> :invalid AND {newer})",
                known=stored | invalid,
                remove=("reason",),
            ),
            # What cannot be believed is fetched again by any notice.
            self._set(key, said, f"#state = :invalid AND {newer}", known=invalid),
            # The same notice, sent again under another id, is no reason to fetch a stored file again. Whether it is
            # older cannot be told from what it says of itself: a forged one could say the year 2286.
            self._set(key, said, f"{is_stored} AND {newer} AND requested_at <> :requested_at", known=stored),
        ]

    def recon_file(self, file_type: str, day: str, name: str) -> ReconFile | None:
        """One recon file."""
        key = _recon_key(file_type, day, name)
        item = self._get(key["pk"], key["sk"])
        return _recon_file(item) if item else None

    def recon_files(self, file_type: str, first_day: str, last_day: str) -> list[ReconFile]:
        """The files of a type whose JST days lie within the two, by day and name."""
        found = self._query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            # "~" comes after every character of a file name.
            ExpressionAttributeValues=_encode(
                {":pk": f"RECON#{file_type}", ":first": f"{first_day}#", ":last": f"{last_day}#~"}
            ),
            ConsistentRead=True,
        )
        return [_recon_file(item) for item in found]

    def recon_files_to_fetch(self) -> list[ReconFile]:
        """Every announced file that is not fetched yet, the oldest deadline first."""
        return [_recon_file(item) for item in self._due(FETCH, "9999")]

    def claim_recon_file(self, file: ReconFile, now: str, until: str) -> bool:
        """Take a file for fetching until then (UTC); False while another worker has it, or when it is done."""
        return self._update_recon(
            file,
            {"claimed_until": until},
            "attribute_exists(#url) AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
            known={"now": now},
            names=("url",),
        )

    def release_recon_file(self, file: ReconFile, until: str, reason: str) -> None:
        """Give a file back that is still claimed until then; it stays to be fetched."""
        self._update_recon(
            file, {"reason": reason}, "claimed_until = :ours", known={"ours": until}, remove=("claimed_until",)
        )

    def end_recon_fetch(self, file: ReconFile, state: str, reason: str) -> bool:
        """Stop fetching under this URL. A file that is stored keeps its state; another gets `state`.

        False when a newer notice came meanwhile: then that one counts, and nothing was written.
        """
        said = {"reason": reason} if file.is_stored else {"state": state, "reason": reason}
        return self._update_recon(
            file, said, "received_at = :received", known={"received": file.received_at}, remove=_FETCH_ATTRIBUTES
        )

    def recon_file_stored(self, file: ReconFile, *, name: str, sha256: str, size: int, at: str) -> None:
        """Record that a file was stored under `name`: its own, or that of a revision beside it.

        The comparison may have been faster: then only the facts are added, and its state stays.
        """
        said = {"sha256": sha256, "size": size, "stored_at": at, **_recon_names(replace(file, name=name), self._now())}
        said |= {"requested_at": file.requested_at, "name_says": dict(file.name_says)}
        if name != file.name:
            said["revision_of"] = file.name
        key = _recon_key(file.file_type, file.day, name)
        begun = self._try(
            self._set(
                key,
                said | {"state": "STORED"},
                "NOT #state IN (:compared, :invalid)",
                known={"compared": "COMPARED", "invalid": "INVALID"},
            )
        )
        if not begun:
            self._try(self._set(key, said, "attribute_exists(pk)"))
        self._update_recon(
            file,
            {"fetched_at": at},
            "received_at = :received",
            known={"received": file.received_at},
            remove=(*_FETCH_ATTRIBUTES, "reason"),
        )

    def recon_shard_done(self, file: ReconFile, shard: str) -> None:
        """Remember that a shard of the ledger was compared and its missed users are on the queue."""
        # The comparison may be faster than the record that the file is stored; a file put in by hand has none at all.
        said = _recon_names(file, self._now())
        update = self._set(_recon_key(file.file_type, file.day, file.name), said, "")
        update["UpdateExpression"] += ", #state = if_not_exists(#state, :state) ADD shards_done :shard"
        update["ExpressionAttributeNames"]["#state"] = "state"
        update["ExpressionAttributeValues"] |= _encode({":state": "STORED", ":shard": {shard}})
        self._try(update)

    def recon_shard_sent(self, file: ReconFile, shard: str, number: int) -> None:
        """Remember how many events of a shard are on the queue."""
        said = {**_recon_names(file, self._now()), f"sent_{shard}": number}
        self._try(self._set(_recon_key(file.file_type, file.day, file.name), said, ""))

    def end_recon_comparison(self, file: ReconFile, state: str, facts: Mapping[str, Any]) -> None:
        """Record how a comparison ended: COMPARED or INVALID, and what it found."""
        self._try(
            self._set(
                _recon_key(file.file_type, file.day, file.name),
                {**facts, **_recon_names(file, self._now()), "state": state},
                "",
            )
        )

    def recon_reported(
        self, file: ReconFile, at: str, repairs: Mapping[str, int], *, completed: bool = False, reminders: int = 0
    ) -> None:
        """Remember that the report was written, and what the repairs had led to by then.

        `completed`: everything was done that follows a comparison; there is no need to do it again. `reminders` is how
        many reminders have been answered.
        """
        said: Item = {"reported_at": at, "repairs": dict(repairs), "reminders": reminders or None}
        said["completed_at"] = at if completed else None
        self._update_recon(file, said, "attribute_exists(pk)")

    def recon_missing(self, file_type: str, day: str, at: str) -> None:
        """Remember that no file of that day was announced, so that the hole is looked for again."""
        key = _recon_key(file_type, day, "")
        said: Item = {"state": "MISSING", "file_type": file_type, "day": day, "file_name": "", "since": at}
        said |= {"expires_at": _recon_end(day, self._now())}
        self._try(self._set(key, said, "attribute_not_exists(pk)"))

    def heard(self, ledger: str, day: str, shard: str) -> Iterator[list[str]]:
        """The authorizations that webhooks named on a JST day, in one shard, page by page (up to 1 MB each).

        The shard `late-<hex>` holds those that came within the hour after that day.
        """
        pages = self._db.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=_encode({":pk": f"LEDGER#{ledger}#{day}#{shard}", ":now": self._epoch()}),
            # The id alone, and what has expired left out by DynamoDB: a ledger of ten million lines has to be read
            # within one run.
            FilterExpression="expires_at > :now",
            ProjectionExpression="sk",
        )
        for page in pages:
            yield [item["sk"]["S"] for item in page["Items"]]

    def events(self, event_ids: Sequence[str]) -> dict[str, EventRecord]:
        """The records of those events that have taken effect."""
        items = self._batch({"pk": f"EVENT#{event_id}", "sk": "EVENT"} for event_id in event_ids)
        return {item["event_id"]: _event_record(item) for item in items}

    def linked_users(self, user_authorization_ids: Sequence[str]) -> dict[str, str]:
        """Which of these PayPay authorizations belong to a user, and to whom."""
        items = self._batch({"pk": f"PAYPAY#{each}", "sk": "LINK"} for each in user_authorization_ids)
        return {item["pk"].removeprefix("PAYPAY#"): item["user_id"] for item in items}

    def statuses_of(self, user_ids: Sequence[str], provider: str) -> dict[str, UserStatus]:
        """The status of many users at one provider."""
        items = self._batch({"pk": f"USER#{each}", "sk": f"STATUS#{provider}"} for each in dict.fromkeys(user_ids))
        return {item["user_id"]: _user_status(item) for item in items}

    def mark_erased(self, user_authorization_id: str, at: str) -> None:
        """Remember that the user of an authorization was erased: its events are dropped from now on."""
        self._try(self._set(_erased_key(user_authorization_id), {"at": at}, ""))

    def is_erased(self, user_authorization_id: str) -> bool:
        """Whether the user of a PayPay authorization was erased."""
        key = _erased_key(user_authorization_id)
        return self._get(key["pk"], key["sk"]) is not None

    def erased(self, user_authorization_ids: Sequence[str]) -> set[str]:
        """Those of whom the user was erased."""
        marks = {_erased_key(each)["pk"]: each for each in user_authorization_ids}
        keys = ({"pk": pk, "sk": "ERASED"} for pk in marks)
        return {marks[item["pk"]] for item in self._batch(keys, consistent=True)}

    def footprint(self, user_id: str, *, expired: bool = True) -> Footprint:
        """What there is of a user. Erasure also takes what has expired, as long as it is there."""
        statuses = self.statuses(user_id)
        entries = list(self._under(f"USER#{user_id}", "AT#", expired=expired))
        submissions = {each.submission_id for each in statuses} | {_submission_of(each) for each in entries}
        authorizations = [each.user_authorization_id for each in statuses]
        for status in statuses:
            authorizations += status.former_authorization_ids
            submissions |= set(status.former_submission_ids)
        return Footprint(
            user_id=user_id,
            statuses=tuple(statuses),
            authorization_ids=tuple(dict.fromkeys(each for each in authorizations if each)),
            submission_ids=tuple(sorted(each for each in submissions if each)),
            entries=tuple(entries),
        )

    def waiting(self, user_authorization_id: str) -> list[Unattached]:
        """The events that wait under an authorization until a link appears, the oldest first."""
        return [_unattached(item) for item in self._under(f"PAYPAY#{user_authorization_id}", "AT#")]

    def ledger_lines(self, user_authorization_id: str, until: str) -> list[LedgerLine]:
        """An authorization's lines in the ledgers, as far back as they are kept from that moment (UTC)."""
        items = self._batch(_ledger_keys(user_authorization_id, until))
        named = [(*str(item["pk"]).split("#"), item["first_seen"]) for item in items]
        lines = [LedgerLine(ledger, day, shard, first_seen) for _, ledger, day, shard, first_seen in named]
        return sorted(lines, key=lambda line: (line.day, line.ledger, line.shard))

    def qrs_of(self, user_id: str) -> Iterator[LinkSession | PassportQr]:
        """The user's account-link sessions and KYC Passport QRs, in no order.

        They are kept under their nonce and code: this reads the whole table, for an operator's rare question.
        """
        found = self._items(
            "scan",
            FilterExpression="user_id = :user AND sk IN (:session, :code)",
            ExpressionAttributeValues=_encode({":user": user_id, ":session": "SESSION", ":code": "CODE"}),
        )
        for item in found:
            yield _link_session(item) if item["sk"] == "SESSION" else _passport_qr(item)

    def certificates(self, user_id: str) -> list[Certificate]:
        """The certificates of the user's erasures, finished or not, the oldest first."""
        return [_certificate(item) for item in self._under(f"USER#{user_id}", "ERASURE#")]

    def claim_erasure(self, user_id: str, now: str, until: str) -> bool:
        """Take a user for erasing until then (UTC); False while another run has the user."""
        expires = {"claimed_until": until, "expires_at": int(datetime.fromisoformat(until).timestamp())}
        return self._try(
            self._set(
                _erasing_key(user_id),
                expires,
                "attribute_not_exists(pk) OR claimed_until < :now",
                known={"now": now},
            )
        )

    def release_erasure(self, user_id: str, until: str) -> None:
        """Give a user back that is still claimed until then. What is not given back ends by itself."""
        with suppress(ConcurrentUpdateError):
            self._write(
                self._db.delete_item,
                {
                    "TableName": self._table,
                    "Key": _encode(_erasing_key(user_id)),
                    "ConditionExpression": "claimed_until = :ours",
                    "ExpressionAttributeValues": _encode({":ours": until}),
                },
            )

    def begin_erasure(self, certificate: Certificate) -> None:
        """Keep that an erasure has begun, so that another run completes it."""
        said = {"certificate_id": certificate.certificate_id, "user_id": certificate.user_id}
        self._try(self._set(_certificate_key(certificate), said, ""))

    def count_erased(self, certificate: Certificate, counts: Mapping[str, int]) -> None:
        """Add to what the certificate says was erased."""
        counted = {name: number for name, number in counts.items() if number}
        if counted:
            self._try(self._adding(certificate, counted))

    def _adding(self, certificate: Certificate, counts: Mapping[str, int]) -> Item:
        return {
            "TableName": self._table,
            "Key": _encode(_certificate_key(certificate)),
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in counts),
            "ExpressionAttributeNames": {f"#{name}": f"n_{name}" for name in counts},
            "ExpressionAttributeValues": _encode({f":{name}": number for name, number in counts.items()}),
        }

    def end_erasure(self, certificate: Certificate, at: str) -> Certificate:
        """Put the tombstone on the timeline and complete the certificate, both or neither."""
        tombstone = TimelineEntry(
            at, f"erase:{certificate.certificate_id}", "honnin", "erased", "api", None, "ERASED", detail={}
        )
        entry = {"pk": f"USER#{certificate.user_id}", "sk": f"AT#{at}#{tombstone.event_id}", **asdict(tombstone)}
        completed = self._set(_certificate_key(certificate), {"completed_at": at}, "attribute_not_exists(completed_at)")
        # Another run may have completed it, when this one took longer than its claim.
        with suppress(AlreadyAppliedError):
            self._transact(
                tombstone.event_id,
                [
                    ({"Update": completed}, AlreadyAppliedError),
                    ({"Put": self._new(self._expiring(_without_none(entry)))}, AlreadyAppliedError),
                ],
            )
        return self.certificates(certificate.user_id)[-1]

    def forget(self, footprint: Footprint, certificate: Certificate, event_ids: Callable[[str], Iterable[str]]) -> bool:
        """Erase a footprint; False when a worker has moved the user meanwhile, and it must be taken anew.

        The marks go first: from then on no event touches the user. The statuses go last: they are what the rest is
        found by, should this break off, and their version is what a worker that is at work runs against.
        `event_ids` gives the ids of all events that may name an authorization.
        """
        for each in footprint.authorization_ids:
            self.mark_erased(each, certificate.begun_at)
            self._delete_those_there([{"pk": f"EVENT#{event_id}", "sk": "EVENT"} for event_id in event_ids(each)])
            self._forget_authorization(each, certificate)
        if not all(self._forget_samples(file_type, footprint.authorization_ids) for file_type in FILE_TYPES):
            return False
        for submission_id in footprint.submission_ids:
            self._forget_submission(submission_id, certificate)
        self._redact(footprint, certificate)
        return all(self._forget_status(status, certificate) for status in footprint.statuses)

    def _counted(self, certificate: Certificate, what: str, *writes: Item, number: int = 1) -> bool:
        """Make writes and count them in the certificate, all or nothing; False where a condition does not hold.

        Together, because a run may break off anywhere and the certificate must be right all the same.
        """
        counted = {"Update": self._adding(certificate, {what: number})}
        try:
            self._transact(certificate.certificate_id, [(each, _OvertakenError) for each in (*writes, counted)])
        except _OvertakenError:
            return False
        return True

    def _forget_authorization(self, user_authorization_id: str, certificate: Certificate) -> None:
        """Delete the link, what waits under the authorization, and its lines in the ledger."""
        found = self._db.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=_encode({":pk": f"PAYPAY#{user_authorization_id}"}),
        )
        for key in [{"pk": item["pk"], "sk": item["sk"]} for page in found for item in page["Items"]]:
            gone = {"TableName": self._table, "Key": key, "ConditionExpression": "attribute_exists(pk)"}
            self._counted(certificate, "links" if key["sk"]["S"] == "LINK" else "waitingEvents", {"Delete": gone})
        self._delete_those_there(_ledger_keys(user_authorization_id, certificate.begun_at))

    def _forget_samples(self, file_type: str, authorization_ids: Sequence[str]) -> bool:
        """Take authorizations out of what recon files show; False when a comparison was at work on one of them."""
        done = True
        for some in batched(authorization_ids, _MOST_NAMED, strict=False):
            named = {f":id{number}": each for number, each in enumerate(some)}
            pages = self._db.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                FilterExpression=" OR ".join(f"contains({sample}, {name})" for name in named for sample in _SAMPLES),
                ExpressionAttributeValues=_encode({":pk": f"RECON#{file_type}", **named}),
                ConsistentRead=True,
            )
            for item in [_decode(item) for page in pages for item in page["Items"]]:
                done &= self._forget_sample(item, some)
        return done

    def _forget_sample(self, item: Item, authorization_ids: Collection[str]) -> bool:
        shown = {name: item[name] for name in _SAMPLES if name in item}
        left = {name: [ERASED_ID if each in authorization_ids else each for each in ids] for name, ids in shown.items()}
        unchanged = " AND ".join(f"{name} = :old_{name}" for name in shown)
        known = {f"old_{name}": value for name, value in shown.items()}
        return self._try(self._set({"pk": item["pk"], "sk": item["sk"]}, left, unchanged, known=known))

    def _forget_submission(self, submission_id: str, certificate: Certificate) -> None:
        blanked = self._set(
            {"pk": f"SUBMISSION#{submission_id}", "sk": "SUBMISSION"},
            {"erased_at": certificate.begun_at, "user_id": ""},
            "attribute_exists(pk) AND attribute_not_exists(erased_at)",
            remove=("due_kind", "due_at"),
        )
        self._counted(certificate, "submissions", {"Update": blanked})

    def _redact(self, footprint: Footprint, certificate: Certificate) -> None:
        """Take the details off the timeline, and authorization ids out of the names of its entries."""
        writes = [self._redacting(entry, footprint.authorization_ids) for entry in footprint.entries]
        for some in batched(filter(None, writes), _MOST_REDACTED, strict=False):
            together = [each for entry in some for each in entry]
            self._counted(certificate, "timelineEntries", *together, number=len(some))

    def _redacting(self, entry: Mapping[str, Any], authorization_ids: Sequence[str]) -> list[Item]:
        """The writes that an entry takes, three at most; none where there is nothing to take off."""
        event_id = str(entry["event_id"])
        # Numbered: one file may have named two authorizations of the user at the same moment.
        for number, each in enumerate(authorization_ids, 1):
            event_id = event_id.replace(each, f"{ERASED_ID}-{number}")
        named = event_id != entry["event_id"]
        if not entry["detail"] and not named:
            return []
        plain = {**entry, "event_id": event_id, "sk": f"AT#{entry['at']}#{event_id}", "detail": {}}
        writes: list[Item] = [{"Put": {"TableName": self._table, "Item": _encode(plain)}}]
        old = [{"pk": entry["pk"], "sk": entry["sk"]}, {"pk": f"EVENT#{entry['event_id']}", "sk": "EVENT"}]
        writes += [{"Delete": {"TableName": self._table, "Key": _encode(key)}} for key in (old if named else ())]
        return writes

    def _forget_status(self, status: UserStatus, certificate: Certificate) -> bool:
        if status.code_id:
            self._delete([_encode({"pk": f"CODE#{status.code_id}", "sk": "CODE"})])
        gone = {
            "TableName": self._table,
            "Key": _encode({"pk": f"USER#{status.user_id}", "sk": f"STATUS#{status.provider}"}),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": _encode({":version": status.version}),
        }
        return self._counted(certificate, "statuses", {"Delete": gone})

    def _delete_those_there(self, keys: Sequence[Item]) -> None:
        """Delete items of which few exist: to look for a hundred takes one call, to delete them would take four."""
        there = self._batch(keys, consistent=True, expired=True)
        self._delete([_encode({"pk": each["pk"], "sk": each["sk"]}) for each in there])

    def _delete(self, keys: Sequence[Item]) -> None:
        for some in batched(keys, _MOST_WRITES, strict=False):
            wanted: Any = {self._table: [{"DeleteRequest": {"Key": key}} for key in some]}
            while wanted:
                wanted = self._settled(self._db.batch_write_item, {"RequestItems": wanted}).get("UnprocessedItems")
                _pause_if(wanted)

    def note_request_id(self, provider: str, request_id: str, at: str) -> None:
        """Keep the last X-REQUEST-ID of a provider, for a letter to its support."""
        item = {"pk": f"PROVIDER#{provider}", "sk": "LAST_REQUEST", "request_id": request_id, "at": at}
        self._write(self._db.put_item, {"TableName": self._table, "Item": _encode(item)})

    def last_request_id(self, provider: str) -> str | None:
        """The last X-REQUEST-ID that was kept."""
        item = self._get(f"PROVIDER#{provider}", "LAST_REQUEST")
        return str(item["request_id"]) if item else None

    def _batch(self, keys: Iterable[Item], *, consistent: bool = False, expired: bool = False) -> Iterator[Item]:
        """The items under many keys, those that exist, each once, in no order; 100 a call."""
        unique = {(key["pk"], key["sk"]): key for key in keys}
        for some in batched(unique.values(), _MOST_KEYS, strict=False):
            wanted: Any = {self._table: {"Keys": [_encode(key) for key in some], "ConsistentRead": consistent}}
            while wanted:
                answer = self._db.batch_get_item(RequestItems=wanted)
                yield from self._living(answer["Responses"].get(self._table, []), expired=expired)
                # What did not fit, or was throttled.
                wanted = answer.get("UnprocessedKeys")
                _pause_if(wanted)

    def _update_recon(
        self,
        file: ReconFile,
        said: Mapping[str, Any],
        condition: str,
        *,
        known: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> bool:
        key = _recon_key(file.file_type, file.day, file.name)
        return self._try(self._set(key, said, condition, known=known, remove=remove, names=names))

    def _set(
        self,
        key: Item,
        said: Mapping[str, Any],
        condition: str,
        *,
        known: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Item:
        """An update that sets each attribute of `said`; the condition may name them, and what is `known`."""
        given = _without_none(dict(said))
        values = {f":{name}": value for name, value in {**given, **(known or {})}.items()}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
        if remove:
            update += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        used = {*given, *remove, *names} | ({"state"} if "#state" in condition else set())
        return {
            "TableName": self._table,
            "Key": _encode(key),
            "UpdateExpression": update,
            **({"ConditionExpression": condition} if condition else {}),
            "ExpressionAttributeNames": {f"#{name}": name for name in used},
            "ExpressionAttributeValues": _encode(values),
        }

    def _try(self, update: Item) -> bool:
        """Make an update; False where its condition does not hold. Raises as `_settled`."""
        return self._write(self._db.update_item, update)

    def _write(self, write: Callable[..., Any], request: Mapping[str, Any]) -> bool:
        """Make a write of one item; False where its condition does not hold. Raises as `_settled`."""
        try:
            self._settled(write, request)
        except self._db.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _settled(self, write: Callable[..., Any], request: Mapping[str, Any]) -> Any:
        """Make a write, again where it collides with a transaction, five times within a second.

        Every write of the table goes through here, for any may meet a transaction. DynamoDB answers a single one with
        TransactionConflictException and cancels a transaction with the reason TransactionConflict; nothing was written
        then. (botocore itself repeats throttled calls and TransactionInProgressException.)

        Raises
        ------
        ConcurrentUpdateError
            Another transaction has the item time and again.
        """
        for pause_s in (*_COLLISION_PAUSES, None):
            try:
                return write(**request)
            except ClientError as error:
                reasons = _reasons(error)
                if not reasons & (_COLLISIONS | _THROTTLED) or "ConditionalCheckFailed" in reasons:
                    raise
                if pause_s is None:
                    if reasons & _COLLISIONS:
                        raise ConcurrentUpdateError("a transaction has the item at this moment") from None
                    raise
            time.sleep(random.uniform(pause_s / 2, pause_s))
        raise AssertionError("unreachable")

    def attach(self, user_authorization_id: str, user_id: str, status: str) -> int:
        """Move what waited under an authorization to its user's timeline; returns how many entries.

        Each entry moves in one transaction, so a crash between two leaves the rest for the next call.
        """
        moved = 0
        for item in self._under(f"PAYPAY#{user_authorization_id}", "AT#"):
            key = _encode({"pk": item["pk"], "sk": item["sk"]})
            entry = {**item, "pk": f"USER#{user_id}", "from_status": status, "to_status": status}
            gone = {"TableName": self._table, "Key": key, "ConditionExpression": "attribute_exists(pk)"}
            with suppress(AlreadyAppliedError):
                self._transact(
                    item["event_id"],
                    [({"Delete": gone}, AlreadyAppliedError), ({"Put": self._new(entry)}, AlreadyAppliedError)],
                )
                moved += 1
        return moved

    def _transact(self, event_id: str, writes: list[tuple[Item, type[HonninError]]]) -> None:
        try:
            self._settled(self._db.transact_write_items, {"TransactItems": [write for write, _ in writes]})
        except self._db.exceptions.TransactionCanceledException as error:
            codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            for code, (_, meaning) in zip(codes, writes, strict=False):
                if code == "ConditionalCheckFailed":
                    raise meaning(f"event {loggable(event_id)}") from None
            raise

    def _writes(self, effect: Effect) -> list[tuple[Item, type[HonninError]]]:
        """The writes of one transaction, each with what it means when its condition fails, the gravest first."""
        writes: list[tuple[Item, type[HonninError]]] = [
            ({"Put": self._new(_event_item(effect))}, AlreadyAppliedError),
            ({"Put": self._new(self._expiring(_timeline_item(effect)))}, AlreadyAppliedError),
        ]
        if effect.uses:
            writes.append(({"Update": self._session_use(effect.uses)}, SessionUsedError))
        if effect.links:
            writes.append(({"Put": self._link_put(effect.after)}, LinkTakenError))
            # A user who was erased and links again has come back.
            key = _encode(_erased_key(effect.after.user_authorization_id or ""))
            writes.append(({"Delete": {"TableName": self._table, "Key": key}}, ConcurrentUpdateError))
        if effect.heard:
            writes += self._ledger_writes(effect.heard)
        writes.append(({"Put": self._status_put(effect)}, ConcurrentUpdateError))
        if effect.opens:
            writes.append(({"Put": self._new(_submission_item(effect.opens))}, ConcurrentUpdateError))
            if effect.before and effect.before.submission_id:
                writes.append(({"Update": self._poll_end(effect.before.submission_id)}, ConcurrentUpdateError))
        elif effect.after.submission_id:
            writes.append(({"Update": self._submission_update(effect)}, ConcurrentUpdateError))
        if effect.withdraws:
            writes.append(({"Update": self._withdrawal(effect)}, ConcurrentUpdateError))
        if effect.session:
            writes += [({"Put": self._new(item)}, ConcurrentUpdateError) for item in _session_items(effect.session)]
        return writes

    def count_failure(self, message_id: str, kind: str) -> int:
        """Count one more failure of a message on a queue; returns how many of that kind there were by now."""
        end = int((self._now() + FAILURE_KEPT).timestamp())
        update = {
            "TableName": self._table,
            "Key": _encode({"pk": f"FAILURE#{message_id}", "sk": kind}),
            "UpdateExpression": "SET expires_at = :end ADD failures :one",
            "ExpressionAttributeValues": _encode({":one": 1, ":end": end}),
            "ReturnValues": "UPDATED_NEW",
        }
        answer = self._settled(self._db.update_item, update)
        return int(_decode(answer["Attributes"])["failures"])

    def mark_published(self, event_id: str, at: str) -> None:
        """Remember that the event's change is on the bus. A record that was erased meanwhile stays erased."""
        key = {"pk": f"EVENT#{event_id}", "sk": "EVENT"}
        self._try(self._set(key, {"published_at": at}, "attribute_exists(pk)", remove=("due_kind", "due_at")))

    def advance_poll(self, submission: Submission, polls: int, next_due_at: str) -> None:
        """Set the number of polls and the next time (UTC).

        Does nothing when another poll was faster or the submission has been decided meanwhile.
        """
        key = {"pk": f"SUBMISSION#{submission.submission_id}", "sk": "SUBMISSION"}
        said = {"polls": polls, "due_at": next_due_at}
        self._try(self._set(key, said, "due_at = :known", known={"known": submission.due_at}))

    def due_submissions(self, now: str) -> Iterator[Submission]:
        """Open submissions whose poll is due at `now` (UTC), the longest overdue first."""
        return map(_submission, self._due(POLL, now))

    def all_submissions(self) -> Iterator[Submission]:
        """Every submission, decided or not, in no order. Reads the whole table: for an operator's rare question."""
        found = self._items(
            "scan",
            FilterExpression="begins_with(pk, :pk)",
            ExpressionAttributeValues=_encode({":pk": "SUBMISSION#"}),
        )
        yield from map(_submission, found)

    def everything(self) -> Iterator[Stored]:
        """Every item of the table, also what has expired, in no order, for a restore: it reads the whole table."""
        for page in self._db.get_paginator("scan").paginate(TableName=self._table, ConsistentRead=True):
            yield from map(_stored, page["Items"])

    def missing(self, stored: Sequence[Stored]) -> list[Stored]:
        """Those items of another table whose key is not in this one."""
        keys = [_decode({name: each.item[name] for name in ("pk", "sk")}) for each in stored]
        there = {(item["pk"], item["sk"]) for item in self._batch(keys, expired=True)}
        return [each for each, key in zip(stored, keys, strict=True) if (key["pk"], key["sk"]) not in there]

    def put_back(self, stored: Stored, erased: Collection[str] = ()) -> bool:
        """Write an item of another table as it is; False where this table has one under its key, which stays.

        What a recon file shows loses the authorizations whose SHA-256 is in `erased`.
        """
        item = dict(stored.item)
        for name in _SAMPLES:
            if name in item:
                names = [each["S"] for each in item[name]["L"]]
                names = [ERASED_ID if authorization_hash(each) in erased else each for each in names]
                item[name] = {"L": [{"S": each} for each in names]}
        put = {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return self._write(self._db.put_item, put)

    def unpublished(self, now: str) -> Iterator[EventRecord]:
        """Applied events whose change should have been on the bus by `now` (UTC)."""
        return map(_event_record, self._due(PUBLISH, now))

    def _due(self, kind: str, now: str) -> Iterator[Item]:
        yield from self._query(
            IndexName="due",
            KeyConditionExpression="due_kind = :kind AND due_at <= :now",
            ExpressionAttributeValues=_encode({":kind": kind, ":now": now}),
        )

    def _get(self, pk: str, sk: str) -> Item | None:
        answer = self._db.get_item(TableName=self._table, Key=_encode({"pk": pk, "sk": sk}), ConsistentRead=True)
        return next(self._living([answer["Item"]]), None) if "Item" in answer else None

    def _under(self, pk: str, prefix: str, *, expired: bool = False) -> Iterator[Item]:
        """The items of a partition whose sort keys begin with `prefix`, in order, read consistently."""
        return self._query(
            expired=expired,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=_encode({":pk": pk, ":sk": prefix}),
            ConsistentRead=True,
        )

    def _query(self, *, expired: bool = False, **request: Any) -> Iterator[Item]:
        return self._items("query", expired=expired, **request)

    def _items(self, operation: Literal["query", "scan"], *, expired: bool = False, **request: Any) -> Iterator[Item]:
        """What a query or scan finds, page by page as it is taken."""
        for page in self._db.get_paginator(operation).paginate(TableName=self._table, **request):
            yield from self._living(page["Items"], expired=expired)

    def _living(self, items: Iterable[Mapping[str, Any]], *, expired: bool = False) -> Iterator[Item]:
        """The items that have not expired, decoded: every reader's items come through here."""
        now = self._epoch()
        for item in items:
            if expired or "expires_at" not in item or int(item["expires_at"]["N"]) > now:
                yield _decode(item)

    def _epoch(self) -> int:
        return int(self._now().timestamp())

    def _expiring(self, entry: Item) -> Item:
        """A timeline entry with the end of its time, if it has one."""
        if not self._timeline_days:
            return entry
        expires = datetime.fromisoformat(entry["at"]) + timedelta(days=self._timeline_days)
        return {**entry, "expires_at": int(expires.timestamp())}

    def _new(self, item: Item) -> Item:
        return {
            "TableName": self._table,
            "Item": _encode(item),
            # What has expired may still be there, and counts for nothing.
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": _encode({":now": self._epoch()}),
        }

    def _status_put(self, effect: Effect) -> Item:
        after = effect.after if effect.withdraws else with_former(effect.before, effect.after)
        put = self._new(_status_item(after))
        if effect.before:
            # The version fences: what was read from the provider began after the last applied reading ended.
            # `read_at` says the same in time, for a table restored or repaired by hand.
            put["ConditionExpression"] = "version = :version AND (attribute_not_exists(read_at) OR read_at <= :read_at)"
            put["ExpressionAttributeValues"] = _encode(
                {":version": effect.before.version, ":read_at": effect.after.read_at or effect.at}
            )
        return put

    def _session_use(self, use: SessionUse) -> Item:
        return {
            "TableName": self._table,
            "Key": _encode({"pk": f"SESSION#{use.nonce}", "sk": "SESSION"}),
            "UpdateExpression": "SET used_token = :token, #result = :result",
            "ConditionExpression": "expires_at > :now AND attribute_not_exists(used_token)",
            "ExpressionAttributeNames": {"#result": "result"},
            "ExpressionAttributeValues": _encode(
                {":token": use.used_token, ":result": use.result, ":now": self._epoch()}
            ),
        }

    def _link_put(self, status: UserStatus) -> Item:
        put = self._new(
            {
                "pk": f"PAYPAY#{status.user_authorization_id}",
                "sk": "LINK",
                "user_id": status.user_id,
                "scopes": list(status.scopes),
            }
        )
        put["ConditionExpression"] = "attribute_not_exists(pk) OR user_id = :user_id"
        put["ExpressionAttributeValues"] = _encode({":user_id": status.user_id})
        return put

    def _absent(self, key: Item) -> Item:
        return {"TableName": self._table, "Key": _encode(key), "ConditionExpression": "attribute_not_exists(pk)"}

    def _ledger_writes(self, heard: Heard) -> list[tuple[Item, type[HonninError]]]:
        shard = ledger_shard(heard.user_authorization_id.encode())
        lines = [(heard.day, shard)] + ([(heard.late_for, f"late-{shard}")] if heard.late_for else [])
        return [({"Update": self._ledger_update(heard, *line)}, ConcurrentUpdateError) for line in lines]

    def _ledger_update(self, heard: Heard, day: str, shard: str) -> Item:
        expires = max(datetime.fromisoformat(heard.at), self._now()) + LEDGER_KEPT
        return {
            "TableName": self._table,
            "Key": _encode({"pk": f"LEDGER#{heard.ledger}#{day}#{shard}", "sk": heard.user_authorization_id}),
            "UpdateExpression": "SET first_seen = if_not_exists(first_seen, :at), expires_at = :expires",
            "ExpressionAttributeValues": _encode({":at": heard.at, ":expires": int(expires.timestamp())}),
        }

    def _poll_end(self, submission_id: str) -> Item:
        return {
            "TableName": self._table,
            "Key": _encode({"pk": f"SUBMISSION#{submission_id}", "sk": "SUBMISSION"}),
            "UpdateExpression": "REMOVE due_kind, due_at",
            "ConditionExpression": "attribute_exists(pk)",
        }

    def _withdrawal(self, effect: Effect) -> Item:
        # Without a user it is nothing that an erasure would have to find.
        key = {"pk": f"SUBMISSION#{effect.withdraws}", "sk": "SUBMISSION"}
        said = {"user_id": "", "status": "NOT_SENT", "withdrawn_at": effect.at}
        return self._set(key, said, "attribute_exists(pk)", remove=("due_kind", "due_at"))

    def _submission_update(self, effect: Effect) -> Item:
        expression = "SET #status = :status" + (", outcome = :outcome" if effect.outcome else "")
        values: Item = {":status": effect.after.status, ":outcome": effect.outcome}
        if effect.after.status not in OPEN:
            expression += " REMOVE due_kind, due_at"
        elif effect.withdraws or not effect.before or effect.before.status not in OPEN:
            # Open again, so back on the poll: the next run asks, and sets the time after that.
            expression += ", due_kind = :poll, due_at = :now"
            values |= {":poll": POLL, ":now": effect.at}
        return {
            "TableName": self._table,
            "Key": _encode({"pk": f"SUBMISSION#{effect.after.submission_id}", "sk": "SUBMISSION"}),
            "UpdateExpression": expression,
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": _encode(_without_none(values)),
        }


def _reasons(error: ClientError) -> set[str]:
    """Why DynamoDB refused a write: its code and, for a transaction, the codes of all its items."""
    answer: Any = error.response
    items = [reason.get("Code") or "" for reason in answer.get("CancellationReasons", [])]
    return {answer["Error"].get("Code", ""), *items}


def _pause_if(wanted: object) -> None:
    # boto3 takes a half-done batch for a success and does not back off by itself.
    if wanted:
        time.sleep(random.uniform(0.05, 0.5))


def ledger_shard(user_authorization_id: bytes) -> str:
    """The ledger's shard of an id, 0 to f: by the id itself, so that a day of a million users is no hot partition."""
    return hashlib.sha256(user_authorization_id).hexdigest()[0]


def _ledger_keys(user_authorization_id: str, until: str) -> list[Item]:
    """Where lines of an authorization can be that are kept until then (UTC)."""
    shard = ledger_shard(user_authorization_id.encode())
    first = datetime.fromisoformat(until) - LEDGER_KEPT - timedelta(days=1)
    days = [(first + timedelta(days=number)).date().isoformat() for number in range(LEDGER_KEPT.days + 3)]
    return [
        {"pk": f"LEDGER#{ledger}#{day}#{each}", "sk": user_authorization_id}
        for ledger in LEDGERS
        for day in days
        for each in (shard, f"late-{shard}")
    ]


def _event_item(effect: Effect) -> Item:
    item: Item = {**_record(effect.event_id, effect.at), "user_id": effect.after.user_id}
    item |= {"what": effect.what, "to_status": effect.after.status}
    if effect.change:
        overdue = datetime.fromisoformat(effect.at) + PUBLISH_OVERDUE
        item |= {"change": dict(effect.change), "due_kind": PUBLISH, "due_at": utc_text(overdue)}
    return item


def _record(event_id: str, at: str) -> Item:
    """The record that makes an event take effect once."""
    expires = datetime.fromisoformat(at) + EVENT_KEPT
    return {
        "pk": f"EVENT#{event_id}",
        "sk": "EVENT",
        "event_id": event_id,
        "applied_at": at,
        "expires_at": int(expires.timestamp()),
    }


def _unattached_item(waiting: Unattached) -> Item:
    return {
        "pk": f"PAYPAY#{waiting.subject}",
        "sk": f"AT#{waiting.at}#{waiting.event_id}",
        "at": waiting.at,
        "event_id": waiting.event_id,
        "provider": waiting.provider,
        "what": waiting.what,
        "cause": waiting.cause,
        "detail": dict(waiting.detail),
    }


def _unattached(item: Item) -> Unattached:
    return Unattached(
        event_id=item["event_id"],
        provider=item["provider"],
        what=item["what"],
        cause=item["cause"],
        at=item["at"],
        subject=item["pk"].removeprefix("PAYPAY#"),
        detail=item.get("detail", {}),
    )


def _timeline_item(effect: Effect) -> Item:
    return _without_none(
        {
            "pk": f"USER#{effect.after.user_id}",
            "sk": f"AT#{effect.at}#{effect.event_id}",
            "at": effect.at,
            "event_id": effect.event_id,
            "provider": effect.after.provider,
            "what": effect.what,
            "cause": effect.cause,
            "from_status": effect.before.status if effect.before else None,
            "to_status": effect.after.status,
            "detail": dict(effect.detail),
        }
    )


def _status_item(status: UserStatus) -> Item:
    return _without_none(
        {
            "pk": f"USER#{status.user_id}",
            "sk": f"STATUS#{status.provider}",
            "user_id": status.user_id,
            "provider": status.provider,
            "status": status.status,
            "version": status.version,
            "provider_status": status.provider_status,
            "read_at": status.read_at,
            "submission_id": status.submission_id,
            "submitted_at": status.submitted_at,
            "stale_at": status.stale_at,
            "user_authorization_id": status.user_authorization_id,
            "scopes": list(status.scopes) or None,
            "code_id": status.code_id,
            "kyc_read_at": status.kyc_read_at,
            "account_read_at": status.account_read_at,
            "former_authorization_ids": list(status.former_authorization_ids) or None,
            "former_submission_ids": list(status.former_submission_ids) or None,
            "reason": status.reason,
        }
    )


def _session_items(session: LinkSession) -> list[Item]:
    items = [
        _without_none(
            {
                "pk": f"SESSION#{session.nonce}",
                "sk": "SESSION",
                "nonce": session.nonce,
                "user_id": session.user_id,
                "scopes": list(session.scopes),
                "return_url": session.return_url,
                "code_id": session.code_id,
                "code_verifier": session.code_verifier,
                "expires_at": session.expires_at,
            }
        )
    ]
    if session.code_id and session.code_verifier:
        items.append(
            {
                "pk": f"CODE#{session.code_id}",
                "sk": "CODE",
                "user_id": session.user_id,
                "code_verifier": session.code_verifier,
                "expires_at": session.code_expires_at,
            }
        )
    return items


def _link_session(item: Item) -> LinkSession:
    return LinkSession(
        nonce=item["nonce"],
        user_id=item["user_id"],
        scopes=tuple(item["scopes"]),
        return_url=item["return_url"],
        expires_at=int(item["expires_at"]),
        code_id=item.get("code_id"),
        used_token=item.get("used_token"),
        result=item.get("result"),
    )


def _passport_qr(item: Item) -> PassportQr:
    return PassportQr(
        code_id=item["pk"].removeprefix("CODE#"),
        user_id=item["user_id"],
        code_verifier=item["code_verifier"],
        expires_at=int(item["expires_at"]),
    )


def _submission_item(submission: Submission) -> Item:
    return _without_none(
        {
            "pk": f"SUBMISSION#{submission.submission_id}",
            "sk": "SUBMISSION",
            "submission_id": submission.submission_id,
            "user_id": submission.user_id,
            "status": submission.status,
            "submitted_at": submission.submitted_at,
            "polls": submission.polls,
            "outcome": submission.outcome,
            "due_at": submission.due_at,
            "due_kind": POLL if submission.due_at else None,
        }
    )


def _user_status(item: Item) -> UserStatus:
    return UserStatus(
        user_id=item["user_id"],
        provider=item["provider"],
        status=item["status"],
        version=int(item["version"]),
        provider_status=item.get("provider_status"),
        read_at=item.get("read_at"),
        submission_id=item.get("submission_id"),
        submitted_at=item.get("submitted_at"),
        stale_at=item.get("stale_at"),
        user_authorization_id=item.get("user_authorization_id"),
        scopes=tuple(item.get("scopes", ())),
        code_id=item.get("code_id"),
        kyc_read_at=item.get("kyc_read_at"),
        account_read_at=item.get("account_read_at"),
        former_authorization_ids=tuple(item.get("former_authorization_ids", ())),
        former_submission_ids=tuple(item.get("former_submission_ids", ())),
        reason=item.get("reason"),
    )


def _submission(item: Item) -> Submission:
    return Submission(
        submission_id=item["submission_id"],
        user_id=item["user_id"],
        status=item["status"],
        submitted_at=item["submitted_at"],
        polls=int(item["polls"]),
        outcome=item.get("outcome"),
        due_at=item.get("due_at"),
    )


def _timeline_entry(item: Item) -> TimelineEntry:
    return TimelineEntry(
        at=item["at"],
        event_id=item["event_id"],
        provider=item["provider"],
        what=item["what"],
        cause=item["cause"],
        from_status=item.get("from_status"),
        to_status=item["to_status"],
        detail=item.get("detail", {}),
    )


def _event_record(item: Item) -> EventRecord:
    return EventRecord(
        event_id=item["event_id"],
        applied_at=item["applied_at"],
        published="published_at" in item,
        change=item.get("change"),
        user_id=item.get("user_id"),
        what=item.get("what"),
        to_status=item.get("to_status"),
    )


def with_former(before: UserStatus | None, after: UserStatus) -> UserStatus:
    """`after`, as it is written: it remembers what the user had at the provider before, so that it can be erased."""
    if before is None:
        return after
    return replace(
        after,
        former_authorization_ids=_former(
            before.former_authorization_ids, before.user_authorization_id, after.user_authorization_id
        ),
        former_submission_ids=_former(before.former_submission_ids, before.submission_id, after.submission_id),
    )


def _former(known: Sequence[str], old: str | None, new: str | None) -> tuple[str, ...]:
    return (*known, old) if old and old != new and old not in known else tuple(known)


def _submission_of(entry: Item) -> str | None:
    """The Vexora submission that an entry is about: its events name it in their second part."""
    parts = str(entry["event_id"]).split(":")
    return parts[1] if entry["provider"] == "vexora" and len(parts) > 2 else None


def _erased_key(user_authorization_id: str) -> Item:
    # Its hash only: an authorization id is random, so nobody gets from the one to the other.
    return {"pk": f"ERASED#{authorization_hash(user_authorization_id)}", "sk": "ERASED"}


def _erasing_key(user_id: str) -> Item:
    return {"pk": f"USER#{user_id}", "sk": "ERASING"}


def _certificate_key(certificate: Certificate) -> Item:
    return {"pk": f"USER#{certificate.user_id}", "sk": f"ERASURE#{certificate.begun_at}"}


def _certificate(item: Item) -> Certificate:
    return Certificate(
        certificate_id=item["certificate_id"],
        user_id=item["user_id"],
        begun_at=item["sk"].removeprefix("ERASURE#"),
        completed_at=item.get("completed_at"),
        counts={name.removeprefix("n_"): int(number) for name, number in item.items() if name.startswith("n_")},
    )


# What an item is where the family of its key (`<FAMILY>#…`) does not say it: by the first word of the sort key.
_KINDS = {
    ("USER", "STATUS"): "status",
    ("USER", "AT"): "timeline",
    ("USER", "ERASURE"): "certificate",
    ("PAYPAY", "LINK"): "link",
    ("PAYPAY", "AT"): "waiting",
}

# What of an item tells whom it names; the rest of it a restore passes on unread.
_NAMING = ("pk", "sk", "user_id", "event_id", "user_authorization_id", "former_authorization_ids")


def _stored(item: Mapping[str, Any]) -> Stored:
    known = _decode({name: item[name] for name in (*_NAMING, "completed_at", "expires_at") if name in item})
    family, _, name = str(known["pk"]).partition("#")
    return Stored(
        kind=_KINDS.get((family, str(known["sk"]).partition("#")[0]), family.lower()),
        # A blanked submission has the empty text.
        user_id=name if family == "USER" else known.get("user_id") or None,
        authorizations=_named_authorizations(family, name, known),
        completed_at=known.get("completed_at"),
        expires_at=int(known["expires_at"]) if "expires_at" in known else None,
        item=item,
    )


def _named_authorizations(family: str, name: str, known: Item) -> frozenset[str]:
    if family == "ERASED":
        return frozenset({name})
    named = [known.get("user_authorization_id"), *known.get("former_authorization_ids", ())]
    if family == "PAYPAY":
        named.append(name)
    if family == "LEDGER":
        named.append(known["sk"])
    if family == "EVENT":
        # The id of a repair by recon ends with the authorization, which may have colons of its own.
        parts = name.split(":")
        named += [":".join(parts[start:]) for start in range(1, len(parts))]
    return frozenset(authorization_hash(each) for each in named if each)


def authorization_hash(user_authorization_id: str) -> str:
    """What an erased authorization is remembered by: its SHA-256, in hexadecimal."""
    return hashlib.sha256(user_authorization_id.encode()).hexdigest()


def _recon_key(file_type: str, day: str, name: str) -> Item:
    return {"pk": f"RECON#{file_type}", "sk": f"{day}#{name}"}


def _recon_end(day: str, now: datetime) -> int:
    """When a recon file's item goes, as its report does: epoch seconds. One of a day long past is worked on now."""
    end = max(datetime.fromisoformat(day).replace(tzinfo=UTC) + RECON_KEPT, now + LEDGER_KEPT)
    return int(end.timestamp())


def _recon_names(file: ReconFile, now: datetime) -> Item:
    return {
        "file_type": file.file_type,
        "day": file.day,
        "file_name": file.name,
        "expires_at": _recon_end(file.day, now),
    }


def _recon_file(item: Item) -> ReconFile:
    return ReconFile(
        file_type=item["file_type"],
        day=item["day"],
        name=item["file_name"],
        state=item.get("state", "STORED"),
        url=item.get("url"),
        requested_at=item.get("requested_at"),
        deadline=item.get("deadline"),
        received_at=item.get("received_at"),
        reason=item.get("reason"),
        name_says=item.get("name_says", {}),
        stored_at=item.get("stored_at"),
        sha256=item.get("sha256"),
        size=int(item["size"]) if "size" in item else None,
        revision_of=item.get("revision_of"),
        compared_at=item.get("compared_at"),
        reported_at=item.get("reported_at"),
        reminders=int(item.get("reminders", 0)),
        completed_at=item.get("completed_at"),
        shards_done=frozenset(item.get("shards_done", ())),
        sent={shard: int(item[f"sent_{shard}"]) for shard in SHARDS if f"sent_{shard}" in item},
        counts={name: int(value) for name, value in item.get("counts", {}).items()},
        repairs={name: int(value) for name, value in item.get("repairs", {}).items()},
        compare_ms=int(item["compare_ms"]) if "compare_ms" in item else None,
        bad_sample=tuple(item.get("bad_sample", ())),
        missed_sample=tuple(item.get("missed_sample", ())),
        extra_sample=tuple(item.get("extra_sample", ())),
    )


def _cursor(sk: str) -> str:
    return base64.urlsafe_b64encode(sk.encode()).decode().rstrip("=")


def _start_key(user_id: str, cursor: str) -> Item:
    try:
        sk = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        sk = ""
    if not sk.startswith("AT#"):
        raise InvalidFieldError("cursor", "must be a cursor of an earlier answer")
    return _encode({"pk": f"USER#{user_id}", "sk": sk})


def _without_none(item: Item) -> Item:
    return {name: value for name, value in item.items() if value is not None}


def _encode(item: Mapping[str, Any]) -> Item:
    serializer = TypeSerializer()
    return {name: serializer.serialize(value) for name, value in item.items()}


def _decode(item: Mapping[str, Any]) -> Item:
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in item.items()}
