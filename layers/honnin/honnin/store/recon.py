"""Recon files, from their notification to their report, and the request id that a resend request contains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from honnin.store.comparisons import Comparison, Comparisons
from honnin.store.keys import Item, own_ids_key, provider_key, recon_key
from honnin.store.received import RECEIVED_KEPT
from honnin.store.table import Table, encode, read

# The results of a day are kept as long as its report in the bucket (template.yaml, ReconBucket).
RECON_KEPT = timedelta(days=400)

# Some of the ids that a comparison found, in the recon file's item. ERASED_ID replaces the id of an erased user.
SAMPLES = ("changed_sample", "not_read_sample")
ERASED_ID = "erased"


@dataclass(frozen=True)
class ReconFile:
    """A recon file and its present state. Times are UTC, `day` is JST.

    `state` is ANNOUNCED → STORED → COMPARED, or EXPIRED (not fetched in time), IGNORED (a type that we do not use), or
    MISSING (no notification came; such a file has no name). `received_at` is when its notification came; of a stored
    file, it is the notification that led to these bytes. These facts are from the moment when the file was stored:
    `own_name` and `webhooks` (see `recon.closing.StoredFacts`), `foreign` (whether its name contains another owner than
    us) and `warnings` (what did not fit). `doubt` says why a compared file does not close its day.

    `comparisons` are the numbers of its comparisons. `waited_for` are those whose events are waited for: the newest
    one, and any before it that were stopped. These fields are about the newest comparison: `compared_at` is when all
    rows were compared, `completed_at` when nothing was open any more or a day had passed, and `done_at` when that is
    expected at the present pace. The pace is measured since `paced_at`, when `paced_open` users waited.
    `repairs_stopped_at` is since when repairs are stopped, if some user waits for them. `counts` are those of the
    report.
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
    foreign: bool = False
    warnings: tuple[str, ...] = ()
    doubt: str | None = None
    comparisons: tuple[int, ...] = ()
    waited_for: tuple[int, ...] = ()
    compared_at: str | None = None
    reported_at: str | None = None
    completed_at: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    repairs_open: int | None = None
    paced_at: str | None = None
    paced_open: int | None = None
    done_at: str | None = None
    repairs_stopped_at: str | None = None
    malformed_sample: tuple[Mapping[str, Any], ...] = ()
    changed_sample: tuple[str, ...] = field(default=(), repr=False)
    not_read_sample: tuple[str, ...] = field(default=(), repr=False)

    @property
    def comparison(self) -> int | None:
        """The number of the newest comparison that has a result."""
        return self.comparisons[-1] if self.comparisons else None

    @property
    def is_stored(self) -> bool:
        """Whether there is a file in the bucket."""
        return self.state in ("STORED", "COMPARED")

    @property
    def closes_day(self) -> bool:
        """Whether no other file of this file's type and day needs to be fetched."""
        return self.state == "COMPARED" and not self.doubt


class Recon:
    """Records what happens to each recon file."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- notifications ---

    def notified(self, file: ReconFile) -> None:
        """Record that the notification of a file came, or that of a type that we do not use (IGNORED).

        The data of a stored file stays unchanged, and so does the data from a newer notification.
        """
        values: Item = {**self._names(file), "state": file.state, "received_at": file.received_at}
        values |= {"requested_at": file.requested_at, "deadline": file.deadline, "reason": file.reason}
        condition = "attribute_not_exists(pk) OR (NOT #state IN (:stored, :compared) AND received_at < :received_at)"
        known = {"stored": "STORED", "compared": "COMPARED"}
        remove = () if file.reason else ("reason",)
        self._update(file, values, condition, known=known, remove=remove)

    def not_yet(self, file: ReconFile, reason: str) -> None:
        """Record why the last try to fetch a file has failed."""
        self._update(file, {"reason": reason}, "#state = :notified", known={"notified": "ANNOUNCED"})

    def expired(self, file: ReconFile, reason: str) -> None:
        """Record that a file was not fetched in time, unless it is stored or its notification came again."""
        values: Item = {**self._names(file), "state": "EXPIRED", "reason": reason, "received_at": file.received_at}
        values |= {"requested_at": file.requested_at, "deadline": file.deadline}
        condition = "attribute_not_exists(pk) OR (NOT #state IN (:stored, :compared) AND received_at <= :received_at)"
        self._update(file, values, condition, known={"stored": "STORED", "compared": "COMPARED"})

    def missing(self, file_type: str, day: str, at: str) -> None:
        """Record that no notification of a file of that day came, so that the missing day is checked again."""
        values: Item = {"state": "MISSING", "file_type": file_type, "day": day, "file_name": "", "since": at}
        values |= {"expires_at": _end(day, self._table.now())}
        self._table.attempt(self._table.update(recon_key(file_type, day, ""), values, "attribute_not_exists(pk)"))

    # --- read ---

    def file(self, file_type: str, day: str, name: str) -> ReconFile | None:
        """One recon file."""
        item = self._table.get(recon_key(file_type, day, name))
        return _recon_file(item) if item else None

    def files(self, file_type: str, first_day: str, last_day: str) -> list[ReconFile]:
        """The files of a type with JST days from `first_day` to `last_day`, by day and name."""
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            # "~" sorts after every character of a file name.
            ExpressionAttributeValues=encode(
                {":pk": f"RECON#{file_type}", ":first": f"{first_day}#", ":last": f"{last_day}#~"}
            ),
            ConsistentRead=True,
        )
        return [_recon_file(item) for item in found]

    def first_notified(self, file_type: str) -> str | None:
        """The JST day of the first notification of a file of this type; None if there never was one."""
        found = self._table.items(
            "query",
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"RECON#{file_type}"}),
            ConsistentRead=True,
            Limit=5,
        )
        return next((str(item["day"]) for item in found if item["state"] != "MISSING"), None)

    # --- fetched ---

    def stored(self, file: ReconFile) -> None:
        """Record that a file is stored, with all that is known of it.

        If the comparison was faster, only the facts are added, and the state stays as it is.
        """
        values: Item = {**self._names(file), "sha256": file.sha256, "size": file.size, "stored_at": file.stored_at}
        values |= {"received_at": file.received_at, "requested_at": file.requested_at, "deadline": file.deadline}
        values |= {"revision_of": file.revision_of, "warnings": list(file.warnings) or None}
        values |= {"own_name": file.own_name, "webhooks": file.webhooks, "foreign": file.foreign}
        compared = {"compared": "COMPARED"}
        state = {"state": "STORED"}
        # This comes first: if the run is killed after it, the next run finds the file in the bucket and records it.
        Comparisons(self._table).first(file.file_type, file.day, file.name, file.stored_at or "")
        if not self._update(file, values | state, "NOT #state IN (:compared)", known=compared, remove=("reason",)):
            self._update(file, values, "attribute_exists(pk)", remove=("reason",))

    # --- compared ---

    def compared(self, done: Comparison, facts: Mapping[str, Any]) -> None:
        """Record what a comparison has found so far. Facts that are None are removed."""
        file = ReconFile(done.file_type, done.day, done.file_name, "COMPARED")
        gone = (*(name for name, value in facts.items() if value is None), "reason")
        self._update(file, {**facts, **self._names(file), "state": "COMPARED"}, "", remove=gone)

    # --- for resend requests ---

    def note_request_id(self, provider: str, request_id: str, at: str) -> None:
        """Store the last X-REQUEST-ID of a provider, because its support asks for one."""
        item = {**provider_key(provider), "request_id": request_id, "at": at}
        self._table.write(self._table.db.put_item, {"TableName": self._table.name, "Item": encode(item)})

    def last_request_id(self, provider: str) -> str | None:
        """The last X-REQUEST-ID that was stored."""
        item = self._table.get(provider_key(provider))
        return str(item["request_id"]) if item else None

    def note_own_ids(self, own_ids: Mapping[str, str]) -> None:
        """Store those of our own ids at PayPay that are known, for functions that may not read the secret."""
        known = {name: value for name, value in own_ids.items() if value}
        self._table.attempt(self._table.update(own_ids_key(), {"own_ids": {**self.own_ids(), **known}}, ""))

    def own_ids(self) -> Mapping[str, str]:
        """Our own ids at PayPay, as they were last stored: `merchant_id`, `client_id`."""
        item = self._table.get(own_ids_key()) or {}
        return {str(name): str(value) for name, value in item.get("own_ids", {}).items()}

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
        """The attributes that every item of a file has."""
        return {
            "file_type": file.file_type,
            "day": file.day,
            "file_name": file.name,
            "expires_at": _end(file.day, self._table.now()),
        }


def _key(file: ReconFile) -> Item:
    return recon_key(file.file_type, file.day, file.name)


def _end(day: str, now: datetime) -> int:
    """When a recon file's item expires, as its report does, in epoch seconds.

    For a day that is long past it counts from now.
    """
    end = max(datetime.fromisoformat(day).replace(tzinfo=UTC) + RECON_KEPT, now + RECEIVED_KEPT)
    return int(end.timestamp())


def _recon_file(item: Item) -> ReconFile:
    return read(ReconFile, {"state": "STORED", **item}, name=item["file_name"])
