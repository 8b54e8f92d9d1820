"""Recon files, from their notification to their report, and the request id that a resend request names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from honnin.store.keys import Item, provider_key, recon_key
from honnin.store.ledger import LEDGER_KEPT, SHARDS
from honnin.store.table import Table, encode, read

# What was found on a day is kept as long as its report in the bucket (template.yaml, ReconBucket).
RECON_KEPT = timedelta(days=400)

# Some of the ids that a comparison found, in the recon file's item; ERASED_ID stands there for an erased one.
SAMPLES = ("missed_sample", "extra_sample")
ERASED_ID = "erased"


@dataclass(frozen=True)
class ReconFile:
    """A recon file and what became of it. Times are UTC, `day` is JST.

    `state` is that of what is stored: ANNOUNCED → STORED → COMPARED, or EXPIRED (not fetched in time), IGNORED (a type
    that we do not take), MISSING (never announced; it has no name). `received_at` is when its notification came: of a
    stored file, the one that led to these bytes. `own_name` and `webhooks` are facts of the moment when it was stored
    (`recon.closing.StoredFacts`), `warnings` what did not fit then. `doubt` says why a compared file does not close its
    day.
    """

    file_type: str
    day: str
    name: str
    state: str
    requested_at: str | None = None
    deadline: str | None = None
    received_at: str | None = None
    reason: str | None = None
    stored_at: str | None = None
    sha256: str | None = None
    size: int | None = None
    revision_of: str | None = None
    own_name: bool = False
    webhooks: bool = False
    warnings: tuple[str, ...] = ()
    doubt: str | None = None
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
        return self.state in ("STORED", "COMPARED")

    @property
    def closes_day(self) -> bool:
        """Whether nothing more of this file's type and day need be fetched."""
        return self.state == "COMPARED" and not self.doubt


class Recon:
    """Records what happens to each recon file."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- announced ---

    def announced(self, file: ReconFile) -> None:
        """Record that a file was announced, or that one of a type that we do not take was (IGNORED).

        What is stored stays what it is, and so does what a newer notification said.
        """
        values: Item = {**self._names(file), "state": file.state, "received_at": file.received_at}
        values |= {"requested_at": file.requested_at, "deadline": file.deadline, "reason": file.reason}
        condition = "attribute_not_exists(pk) OR (NOT #state IN (:stored, :compared) AND received_at < :received_at)"
        known = {"stored": "STORED", "compared": "COMPARED"}
        remove = () if file.reason else ("reason",)
        self._update(file, values, condition, known=known, remove=remove)

    def not_yet(self, file: ReconFile, reason: str) -> None:
        """Record why the last try to fetch an announced file failed."""
        self._update(file, {"reason": reason}, "#state = :announced", known={"announced": "ANNOUNCED"})

    def expired(self, file: ReconFile, reason: str) -> None:
        """Record that a file was not fetched in time, unless it is stored or was announced again."""
        values: Item = {**self._names(file), "state": "EXPIRED", "reason": reason, "received_at": file.received_at}
        values |= {"requested_at": file.requested_at, "deadline": file.deadline}
        condition = "attribute_not_exists(pk) OR (NOT #state IN (:stored, :compared) AND received_at <= :received_at)"
        self._update(file, values, condition, known={"stored": "STORED", "compared": "COMPARED"})

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

    # --- fetched ---

    def stored(self, file: ReconFile) -> None:
        """Record that a file is stored, with all that is known of it.

        The comparison may have been faster: then only the facts are added, and its state stays.
        """
        values: Item = {**self._names(file), "sha256": file.sha256, "size": file.size, "stored_at": file.stored_at}
        values |= {"received_at": file.received_at, "requested_at": file.requested_at, "deadline": file.deadline}
        values |= {"revision_of": file.revision_of, "warnings": list(file.warnings) or None}
        values |= {"own_name": file.own_name, "webhooks": file.webhooks}
        compared = {"compared": "COMPARED"}
        state = {"state": "STORED"}
        if not self._update(file, values | state, "NOT #state IN (:compared)", known=compared, remove=("reason",)):
            self._update(file, values, "attribute_exists(pk)", remove=("reason",))

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
        """Record how a comparison ended (COMPARED), and what it found."""
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
