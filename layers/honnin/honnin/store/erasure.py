"""What erasing a user takes: finding everything, taking it, the certificate, and the marks that keep it erased."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import batched
from typing import Any

from honnin.errors import ConcurrentUpdateError
from honnin.store.ledger import ledger_keys
from honnin.store.recon import ERASED_ID, SAMPLES
from honnin.store.table import (
    UNSTORED,
    AlreadyAppliedError,
    Item,
    OvertakenError,
    Table,
    attributes,
    certificate_key,
    code_key,
    decode,
    encode,
    entry_key,
    erased_key,
    erasing_key,
    event_key,
    read,
    status_key,
    submission_key,
)
from honnin.store.users import TimelineEntry, UserStatus

# A filter has 4 KB at most, and some 70 characters for each authorization; a transaction has 100 writes, and three for
# each entry of a timeline.
_MOST_NAMED = 40
_MOST_REDACTED = 30


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
    begun_at: str = field(metadata=UNSTORED)
    completed_at: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, metadata=UNSTORED)


class Erasures:
    """Erases users from the table, and remembers who was erased."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- the marks ---

    def mark(self, user_authorization_id: str, at: str) -> None:
        """Remember that the user of an authorization was erased: its events are dropped from now on."""
        self._table.attempt(self._table.update(erased_key(user_authorization_id), {"at": at}, ""))

    def is_erased(self, user_authorization_id: str) -> bool:
        """Whether the user of a PayPay authorization was erased."""
        return self._table.get(erased_key(user_authorization_id)) is not None

    def erased(self, user_authorization_ids: Sequence[str]) -> set[str]:
        """Those of whom the user was erased."""
        marks = {erased_key(each)["pk"]: each for each in user_authorization_ids}
        keys = ({"pk": pk, "sk": "ERASED"} for pk in marks)
        return {marks[item["pk"]] for item in self._table.batch(keys, consistent=True)}

    # --- one run at a time, and its certificate ---

    def claim(self, user_id: str, now: str, until: str) -> bool:
        """Take a user for erasing until then (UTC); False while another run has the user."""
        expires = {"claimed_until": until, "expires_at": int(datetime.fromisoformat(until).timestamp())}
        condition = "attribute_not_exists(pk) OR claimed_until < :now"
        return self._table.attempt(self._table.update(erasing_key(user_id), expires, condition, known={"now": now}))

    def release(self, user_id: str, until: str) -> None:
        """Give a user back that is still claimed until then. What is not given back ends by itself."""
        gone = {
            "TableName": self._table.name,
            "Key": encode(erasing_key(user_id)),
            "ConditionExpression": "claimed_until = :ours",
            "ExpressionAttributeValues": encode({":ours": until}),
        }
        with suppress(ConcurrentUpdateError):
            self._table.write(self._table.db.delete_item, gone)

    def certificates(self, user_id: str) -> list[Certificate]:
        """The certificates of the user's erasures, finished or not, the oldest first."""
        return [_certificate(item) for item in self._table.under(f"USER#{user_id}", "ERASURE#")]

    def begin(self, certificate: Certificate) -> None:
        """Keep that an erasure has begun, so that another run completes it."""
        self._table.attempt(self._table.update(_key(certificate), attributes(certificate), ""))

    def count(self, certificate: Certificate, counts: Mapping[str, int]) -> None:
        """Add to what the certificate says was erased."""
        counted = {name: number for name, number in counts.items() if number}
        if counted:
            self._table.attempt(self._adding(certificate, counted))

    def end(self, certificate: Certificate, at: str) -> Certificate:
        """Put the tombstone on the timeline and complete the certificate, both or neither."""
        tombstone = TimelineEntry(at, f"erase:{certificate.certificate_id}", "honnin", "erased", "api", None, "ERASED")
        entry = entry_key(certificate.user_id, at, tombstone.event_id) | attributes(tombstone)
        completed = self._table.update(_key(certificate), {"completed_at": at}, "attribute_not_exists(completed_at)")
        # Another run may have completed it, when this one took longer than its claim.
        with suppress(AlreadyAppliedError):
            self._table.transact(
                tombstone.event_id,
                [
                    ({"Update": completed}, AlreadyAppliedError),
                    ({"Put": self._table.new(self._table.expiring(entry))}, AlreadyAppliedError),
                ],
            )
        return self.certificates(certificate.user_id)[-1]

    # --- what there is, and taking it ---

    def footprint(
        self, user_id: str, submission_of: Callable[[str, str], str | None], *, expired: bool = True
    ) -> Footprint:
        """What there is of a user. Erasure also takes what has expired, as long as it is there.

        `submission_of` says which submission an entry is about, by its provider and event id.
        """
        statuses = [read(UserStatus, item) for item in self._table.under(f"USER#{user_id}", "STATUS#")]
        entries = list(self._table.under(f"USER#{user_id}", "AT#", expired=expired))
        submissions = {each.submission_id for each in statuses}
        submissions |= {submission_of(str(each["provider"]), str(each["event_id"])) for each in entries}
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

    def forget(
        self,
        footprint: Footprint,
        certificate: Certificate,
        event_ids: Callable[[str], Iterable[str]],
        file_types: Iterable[str],
    ) -> bool:
        """Erase a footprint; False when a worker has moved the user meanwhile, and it must be taken anew.

        The marks go first: from then on no event touches the user. The statuses go last: they are what the rest is
        found by, should this break off, and their version is what a worker that is at work runs against.
        `event_ids` gives the ids of all events that may name an authorization; `file_types` are those of recon files
        that may show one.
        """
        for each in footprint.authorization_ids:
            self.mark(each, certificate.begun_at)
            self._delete_those_there([event_key(event_id) for event_id in event_ids(each)])
            self._forget_authorization(each, certificate)
        if not all(self._forget_samples(file_type, footprint.authorization_ids) for file_type in file_types):
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
            self._table.transact(certificate.certificate_id, [(each, OvertakenError) for each in (*writes, counted)])
        except OvertakenError:
            return False
        return True

    def _adding(self, certificate: Certificate, counts: Mapping[str, int]) -> Item:
        return {
            "TableName": self._table.name,
            "Key": encode(_key(certificate)),
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in counts),
            "ExpressionAttributeNames": {f"#{name}": f"n_{name}" for name in counts},
            "ExpressionAttributeValues": encode({f":{name}": number for name, number in counts.items()}),
        }

    def _forget_authorization(self, user_authorization_id: str, certificate: Certificate) -> None:
        """Delete the link, what waits under the authorization, and its lines in the ledger."""
        found = self._table.db.get_paginator("query").paginate(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"PAYPAY#{user_authorization_id}"}),
        )
        for key in [{"pk": item["pk"], "sk": item["sk"]} for page in found for item in page["Items"]]:
            gone = {"TableName": self._table.name, "Key": key, "ConditionExpression": "attribute_exists(pk)"}
            self._counted(certificate, "links" if key["sk"]["S"] == "LINK" else "waitingEvents", {"Delete": gone})
        self._delete_those_there(ledger_keys(user_authorization_id, certificate.begun_at))

    def _forget_samples(self, file_type: str, authorization_ids: Sequence[str]) -> bool:
        """Take authorizations out of what recon files show; False when a comparison was at work on one of them."""
        done = True
        for some in batched(authorization_ids, _MOST_NAMED, strict=False):
            named = {f":id{number}": each for number, each in enumerate(some)}
            pages = self._table.db.get_paginator("query").paginate(
                TableName=self._table.name,
                KeyConditionExpression="pk = :pk",
                FilterExpression=" OR ".join(f"contains({sample}, {name})" for name in named for sample in SAMPLES),
                ExpressionAttributeValues=encode({":pk": f"RECON#{file_type}", **named}),
                ConsistentRead=True,
            )
            for item in [decode(item) for page in pages for item in page["Items"]]:
                done &= self._forget_sample(item, some)
        return done

    def _forget_sample(self, item: Item, authorization_ids: Collection[str]) -> bool:
        shown = {name: item[name] for name in SAMPLES if name in item}
        left = {name: [ERASED_ID if each in authorization_ids else each for each in ids] for name, ids in shown.items()}
        unchanged = " AND ".join(f"{name} = :old_{name}" for name in shown)
        known = {f"old_{name}": value for name, value in shown.items()}
        return self._table.attempt(
            self._table.update({"pk": item["pk"], "sk": item["sk"]}, left, unchanged, known=known)
        )

    def _forget_submission(self, submission_id: str, certificate: Certificate) -> None:
        blanked = self._table.update(
            submission_key(submission_id),
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
        writes: list[Item] = [{"Put": {"TableName": self._table.name, "Item": encode(plain)}}]
        old = [{"pk": entry["pk"], "sk": entry["sk"]}, event_key(str(entry["event_id"]))]
        writes += [{"Delete": {"TableName": self._table.name, "Key": encode(key)}} for key in (old if named else ())]
        return writes

    def _forget_status(self, status: UserStatus, certificate: Certificate) -> bool:
        if status.code_id:
            self._table.delete([code_key(status.code_id)])
        gone = {
            "TableName": self._table.name,
            "Key": encode(status_key(status.user_id, status.provider)),
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": encode({":version": status.version}),
        }
        return self._counted(certificate, "statuses", {"Delete": gone})

    def _delete_those_there(self, keys: Sequence[Item]) -> None:
        """Delete items of which few exist: to look for a hundred takes one call, to delete them would take four."""
        there = self._table.batch(keys, consistent=True, expired=True)
        self._table.delete([{"pk": each["pk"], "sk": each["sk"]} for each in there])


def _key(certificate: Certificate) -> Item:
    return certificate_key(certificate.user_id, certificate.begun_at)


def _certificate(item: Item) -> Certificate:
    counts = {name.removeprefix("n_"): int(number) for name, number in item.items() if name.startswith("n_")}
    return read(Certificate, item, begun_at=item["sk"].removeprefix("ERASURE#"), counts=counts)
