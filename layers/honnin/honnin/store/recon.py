"""Recon files, from their notification to their report, and the request id that a resend request names."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from honnin.store.events import event_item
from honnin.store.keys import Item, due, provider_key, recon_key
from honnin.store.ledger import LEDGER_KEPT, SHARDS
from honnin.store.table import FETCH, UNSTORED, AlreadyAppliedError, OvertakenError, Table, attributes, encode, read

# What was found on a day is kept as long as its report in the bucket (template.yaml, ReconBucket).
RECON_KEPT = timedelta(days=400)

# What a recon file carries while there is something to fetch. The URL holds a signature and goes first of all.
_FETCH_ATTRIBUTES = ("url", "due_kind", "due_at", "claimed_until")

# Some of the ids that a comparison found, in the recon file's item; ERASED_ID stands there for an erased one.
SAMPLES = ("missed_sample", "extra_sample")
ERASED_ID = "erased"


@dataclass(frozen=True)
class Announcement:
    """A recon file that PayPay offers. `day` is its JST processing day; times are UTC; the URL holds a signature.

    `state` is ANNOUNCED, or REFUSED or IGNORED with the reason and without a URL; `name_says` is what the name holds.
    """

    event_id: str = field(metadata=UNSTORED)
    file_type: str
    file_name: str
    day: str
    url: str = field(repr=False, metadata=UNSTORED)
    requested_at: str
    deadline: str
    received_at: str
    at: str = field(metadata=UNSTORED)
    state: str = field(default="ANNOUNCED", metadata=UNSTORED)
    reason: str = field(default="", metadata=UNSTORED)
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


class Recon:
    """Records what happens to each recon file."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- announced ---

    def announce(self, announcement: Announcement) -> None:
        """Record an announced recon file, or the fresh URL of one that was announced before.

        What is stored stays stored: a renewed notification only sets what there is to fetch. One that is refused or
        ignored never takes the place of a good one.

        Raises
        ------
        AlreadyAppliedError
            The event's record is there: nothing was written.
        """
        record = event_item(announcement.event_id, announcement.at)
        first = ({"Put": self._table.new(record)}, AlreadyAppliedError)
        for update in self._announcement_updates(announcement):
            with suppress(OvertakenError):
                self._table.transact(announcement.event_id, [first, ({"Update": update}, OvertakenError)])
                return
        # Overtaken by a newer notification: only the event is recorded.
        self._table.transact(announcement.event_id, [first])

    def _announcement_updates(self, announcement: Announcement) -> list[Item]:
        """The ways to record a notification; the first one whose condition holds is the right one."""
        key = recon_key(announcement.file_type, announcement.day, announcement.file_name)
        values = attributes(announcement) | {"expires_at": _end(announcement.day, self._table.now())}
        update = self._table.update
        if announcement.state != "ANNOUNCED":
            values |= {"state": announcement.state, "reason": announcement.reason}
            return [update(key, values, "attribute_not_exists(pk) OR #state = :state")]
        # The newest one has the newest URL; when it came to us, we know better than the notification itself.
        newer = "(attribute_not_exists(received_at) OR received_at <= :received_at)"
        values |= {"url": announcement.url, **due(FETCH, announcement.deadline, key)}
        stored = {"stored": "STORED", "compared": "COMPARED"}
        is_stored = "#state IN (:stored, :compared)"
        invalid = {"invalid": "INVALID"}
        return [
            update(
                key,
                values | {"state": "ANNOUNCED"},
                f"attribute_not_exists(pk) OR (NOT {is_stored} AND #state <> :invalid AND {newer})",
                known=stored | invalid,
                remove=("reason",),
            ),
            # An invalid file is fetched again by any notification.
            update(key, values, f"#state = :invalid AND {newer}", known=invalid),
            # The same notification, sent again under another id, is no reason to fetch a stored file again. Whether it
            # is older cannot be told from what it says of itself: a forged one could say the year 2286.
            update(key, values, f"{is_stored} AND {newer} AND requested_at <> :requested_at", known=stored),
        ]

    def missing(self, file_type: str, day: str, at: str) -> None:
        """Remember that no file of that day was announced, so that the missing day is looked for again."""
        values: Item = {"state": "MISSING", "file_type": file_type, "day": day, "file_name": "", "since": at}
        values |= {"expires_at": _end(day, self._table.now())}
        self._table.attempt(self._table.update(recon_key(file_type, day, ""), values, "attribute_not_exists(pk)"))

    # --- read ---

    def file(self, file_type: str, day: str, name: str) -> ReconFile | None:
        """One recon file."""
        item = self._table.get(recon_key(file_type, day, name))
        return _recon_file(item) if item else None

    def files(self, file_type: str, first_day: str, last_day: str) -> list[ReconFile]:
        """The files of a type whose JST days lie within the two, by day and name."""
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            # "~" comes after every character of a file name.
            ExpressionAttributeValues=encode(
                {":pk": f"RECON#{file_type}", ":first": f"{first_day}#", ":last": f"{last_day}#~"}
            ),
            ConsistentRead=True,
        )
        return [_recon_file(item) for item in found]

    def to_fetch(self) -> list[ReconFile]:
        """Every announced file that is not fetched yet, the oldest deadline first."""
        return [_recon_file(item) for item in self._table.due(FETCH, "9999")]

    # --- fetched ---

    def claim(self, file: ReconFile, now: str, until: str) -> bool:
        """Take a file for fetching until then (UTC); False while another worker has it, or when it is done."""
        return self._update(
            file,
            {"claimed_until": until},
            "attribute_exists(#url) AND (attribute_not_exists(claimed_until) OR claimed_until < :now)",
            known={"now": now},
            names=("url",),
        )

    def release(self, file: ReconFile, until: str, reason: str) -> None:
        """Give a file back that is still claimed until then; it stays to be fetched."""
        known, remove = {"ours": until}, ("claimed_until",)
        self._update(file, {"reason": reason}, "claimed_until = :ours", known=known, remove=remove)

    def end_fetch(self, file: ReconFile, state: str, reason: str) -> bool:
        """Stop fetching under this URL. A file that is stored keeps its state; another gets `state`.

        False when a newer notification came meanwhile: then that one counts, and nothing was written.
        """
        values = {"reason": reason} if file.is_stored else {"state": state, "reason": reason}
        known = {"received": file.received_at}
        return self._update(file, values, "received_at = :received", known=known, remove=_FETCH_ATTRIBUTES)

    def stored(self, file: ReconFile, *, name: str, sha256: str, size: int, at: str) -> None:
        """Record that a file was stored under `name`: its own, or that of a revision beside it.

        The comparison may have been faster: then only the facts are added, and its state stays.
        """
        kept = replace(file, name=name)
        values = {"sha256": sha256, "size": size, "stored_at": at, **self._names(kept)}
        values |= {"requested_at": file.requested_at, "name_says": dict(file.name_says)}
        if name != file.name:
            values["revision_of"] = file.name
        begun = self._update(
            kept,
            values | {"state": "STORED"},
            "NOT #state IN (:compared, :invalid)",
            known={"compared": "COMPARED", "invalid": "INVALID"},
        )
        if not begun:
            self._update(kept, values, "attribute_exists(pk)")
        self._update(
            file,
            {"fetched_at": at},
            "received_at = :received",
            known={"received": file.received_at},
            remove=(*_FETCH_ATTRIBUTES, "reason"),
        )

    # --- compared ---

    def shard_done(self, file: ReconFile, shard: str) -> None:
        """Remember that a shard of the ledger was compared and its missed users are on the queue."""
        # The comparison may be faster than the record that the file is stored; a file put in by hand has none at all.
        update = self._table.update(_key(file), self._names(file), "")
        update["UpdateExpression"] += ", #state = if_not_exists(#state, :state) ADD shards_done :shard"
        update["ExpressionAttributeNames"]["#state"] = "state"
        update["ExpressionAttributeValues"] |= encode({":state": "STORED", ":shard": {shard}})
        self._table.attempt(update)

    def shard_sent(self, file: ReconFile, shard: str, number: int) -> None:
        """Remember how many events of a shard are on the queue."""
        self._update(file, {**self._names(file), f"sent_{shard}": number}, "")

    def end_comparison(self, file: ReconFile, state: str, facts: Mapping[str, Any]) -> None:
        """Record how a comparison ended: COMPARED or INVALID, and what it found."""
        self._update(file, {**facts, **self._names(file), "state": state}, "")

    def reported(
        self, file: ReconFile, at: str, repairs: Mapping[str, int], *, completed: bool = False, reminders: int = 0
    ) -> None:
        """Remember that the report was written, and what the repairs had led to by then.

        `completed`: everything was done that follows a comparison; there is no need to do it again. `reminders` is how
        many reminders have been answered.
        """
        values: Item = {"reported_at": at, "repairs": dict(repairs), "reminders": reminders or None}
        values["completed_at"] = at if completed else None
        self._update(file, values, "attribute_exists(pk)")

    # --- for resend requests ---

    def note_request_id(self, provider: str, request_id: str, at: str) -> None:
        """Keep the last X-REQUEST-ID of a provider: its support asks for one."""
        item = {**provider_key(provider), "request_id": request_id, "at": at}
        self._table.write(self._table.db.put_item, {"TableName": self._table.name, "Item": encode(item)})

    def last_request_id(self, provider: str) -> str | None:
        """The last X-REQUEST-ID that was kept."""
        item = self._table.get(provider_key(provider))
        return str(item["request_id"]) if item else None

    def _update(
        self,
        file: ReconFile,
        values: Mapping[str, Any],
        condition: str,
        *,
        known: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> bool:
        update = self._table.update(_key(file), values, condition, known=known, remove=remove, names=names)
        return self._table.attempt(update)

    def _names(self, file: ReconFile) -> Item:
        """What every item of a file holds."""
        return {
            "file_type": file.file_type,
            "day": file.day,
            "file_name": file.name,
            "expires_at": _end(file.day, self._table.now()),
        }


def _key(file: ReconFile) -> Item:
    return recon_key(file.file_type, file.day, file.name)


def _end(day: str, now: datetime) -> int:
    """When a recon file's item goes, as its report does: epoch seconds. One of a day long past is worked on now."""
    end = max(datetime.fromisoformat(day).replace(tzinfo=UTC) + RECON_KEPT, now + LEDGER_KEPT)
    return int(end.timestamp())


def _recon_file(item: Item) -> ReconFile:
    sent = {shard: int(item[f"sent_{shard}"]) for shard in SHARDS if f"sent_{shard}" in item}
    return read(ReconFile, {"state": "STORED", **item}, name=item["file_name"], sent=sent)
