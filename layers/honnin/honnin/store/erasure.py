"""What erasing a user takes: finding everything, taking it, counting it once, and the marks that keep it erased.

A run may end anywhere, and the next one goes on. What makes that possible, and the certificate right:

- Each authorization and submission that a user has, or had, has an item of its own under the user (`Former`). When
  what it names is erased, a transaction stamps the item with the certificate and with how much that was. A later run
  passes over what is stamped: that costs a read and no write.
- Timeline entries stay, without their details, and carry the certificate's id. They are counted by looking.
- S3 has no part in transactions. How many objects there are is noted before they are deleted.
- `settle` counts all of this once, in the transaction that deletes the statuses. By then nothing else is left, and no
  worker can write about the user any more: it would need the status as it was. The stamped items go last, and only
  then is the certificate completed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched
from typing import Any

from honnin.domain_events import USER_ERASED
from honnin.errors import ConcurrentUpdateError
from honnin.event import Provider
from honnin.store.events import event_item, to_publish
from honnin.store.expiries import expiry_deletes
from honnin.store.footprint import Footprint, counts_of, footprint, former_of, stamped_delete, taken_over, without_names
from honnin.store.keys import (
    Item,
    certificate_key,
    entry_key,
    erased_key,
    erasing_key,
    event_key,
    former_key,
    status_key,
    submission_key,
)
from honnin.store.links import code_deletes
from honnin.store.overview import unplaced
from honnin.store.recon import ERASED_ID, SAMPLES
from honnin.store.table import (
    LIVING,
    UNSTORED,
    AlreadyAppliedError,
    OvertakenError,
    Table,
    attributes,
    decode,
    encode,
    read,
)
from honnin.store.users import UNLINKED, Former, TimelineEntry, UserStatus

# Authorizations that are erased before the run is asked whether it may go on: seconds, where recon files are many. A
# filter has 4 KB at most, and some 70 characters for each of them.
_AT_ONCE = 40

# A transaction has no more writes.
_MOST_TOGETHER = 100

# What a certificate counts.
_OBJECTS, _ENTRIES, _STATUSES = "vaultObjects", "timelineEntries", "statuses"
_LINKS, _WAITING, _SUBMISSIONS = "links", "waitingEvents", "submissions"


@dataclass(frozen=True)
class Certificate:
    """That a user was erased: how many of what, and from when to when (UTC).

    From `counted_at` on nothing is left but the list of what it was. `vault_left` is how many objects were to be
    deleted when last looked.
    """

    certificate_id: str
    user_id: str
    begun_at: str = field(metadata=UNSTORED)
    completed_at: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict, metadata=UNSTORED)
    counted_at: str | None = None
    vault_left: int | None = None

    @property
    def told_by(self) -> str:
        """The event that tells of it; not that of the sweep, which is still to come."""
        return f"erased:{self.certificate_id}"

    @property
    def told(self) -> Mapping[str, str]:
        """The content of `UserErased`."""
        completed_at = self.completed_at or ""
        return {"userId": self.user_id, "certificateId": self.certificate_id, "completedAt": completed_at}


class Erasures:
    """Erases users from the table, and remembers who was erased."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- the marks ---

    def mark(self, user_authorization_id: str, at: str) -> None:
        """Remember that the user of an authorization was erased: its events are dropped from now on."""
        key = erased_key(user_authorization_id)
        self._table.attempt(self._table.update(key, {"at": at}, "", remove=("expires_at",)))

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
        said = {"certificate_id": certificate.certificate_id, "user_id": certificate.user_id}
        self._table.attempt(self._table.update(_key(certificate), said, ""))

    def unlinked(self, user_id: str, user_authorization_id: str, at: str) -> None:
        """Remember that an authorization was ended at PayPay, so that a repeat need not ask for it again."""
        key = former_key(user_id, Provider.PAYPAY, user_authorization_id)
        self._table.attempt(self._table.update(key, {"left_at": at, f"n_{UNLINKED}": 1}, ""))

    def note_objects(self, certificate: Certificate, number: int) -> Certificate:
        """Count the vault's objects before they are deleted, and once more when that is done (0).

        What was there when last looked, and is not there now, was deleted by a run that broke off: it is counted.
        """
        known = self._latest(certificate)
        left = known.vault_left or 0
        if number == left == 0:
            return known
        total = known.counts.get(_OBJECTS, 0) + max(0, number - left)
        self._table.attempt(self._table.update(_key(known), {f"n_{_OBJECTS}": total, "vault_left": number}, ""))
        return replace(known, counts={**known.counts, _OBJECTS: total}, vault_left=number)

    def end(self, certificate: Certificate, at: str) -> Certificate:
        """Delete the stamped items; then complete the certificate, with the tombstone and what is to be published."""
        user_id = certificate.user_id
        stamped = [each for each in former_of(self._table, user_id) if each.erased_by == certificate.certificate_id]
        for some in batched(stamped, _MOST_TOGETHER, strict=False):
            gone = [stamped_delete(self._table, user_id, each) for each in some]
            if not self._together(certificate, [{"Delete": each} for each in gone]):
                # The user is back, and has left one of them behind anew: the next erasure must find that.
                for each in gone:
                    self._table.write(self._table.db.delete_item, each)
        tombstone = TimelineEntry(at, f"erase:{certificate.certificate_id}", "honnin", "erased", "api", None, "ERASED")
        entry = entry_key(user_id, at, tombstone.event_id) | attributes(tombstone)
        completed = self._table.update(_key(certificate), {"completed_at": at}, "attribute_not_exists(completed_at)")
        record = event_item(certificate.told_by, at) | {"user_id": user_id, "what": "erased"}
        record |= to_publish(certificate.told_by, USER_ERASED, replace(certificate, completed_at=at).told, at)
        # Another run may have completed it, when this one took longer than its claim.
        with suppress(AlreadyAppliedError):
            self._table.transact(
                tombstone.event_id,
                [
                    ({"Update": completed}, AlreadyAppliedError),
                    ({"Put": self._table.new(self._table.expiring(entry))}, AlreadyAppliedError),
                    ({"Put": self._table.new(record)}, AlreadyAppliedError),
                ],
            )
        return self._latest(certificate)

    def _latest(self, certificate: Certificate) -> Certificate:
        known = self.certificates(certificate.user_id)
        return next(each for each in known if each.begun_at == certificate.begun_at)

    # --- what there is, and taking it ---

    def footprint(self, user_id: str, *, expired: bool = True) -> Footprint:
        """What there is of a user. Erasure also takes what has expired, as long as it is there."""
        return footprint(self._table, user_id, expired=expired)

    def forget(
        self,
        footprint: Footprint,
        certificate: Certificate,
        event_ids: Callable[[str], Iterable[str]],
        file_types: Collection[str],
        may_go_on: Callable[[], None] = lambda: None,
    ) -> Sequence[UserStatus] | None:
        """Erase a footprint but for the statuses, which are returned as they now are.

        None when a worker has moved the user meanwhile, and the footprint must be taken anew. `event_ids` gives the
        ids of all events that may name an authorization; `file_types` are those of recon files that may show one.
        `may_go_on` is asked between steps of a few seconds, and raises where there is no time for another.
        """
        ids, present = footprint.authorization_ids, footprint.present
        self._mark_all(ids, certificate.begun_at)
        statuses = self._overtake(footprint)
        if statuses is None:
            return None
        # An authorization that another user took over before this: from now on, that needs the raised version.
        taken = footprint.taken | taken_over(self._table, certificate.user_id, ids)
        self._table.delete(erased_key(each) for each in taken)
        # What a status names may have been used since it was stamped.
        done = certificate.certificate_id
        todo = [each for each in footprint.former if each.erased_by != done or each.name in present]
        for each in todo:
            if each.name in taken and not self._together(certificate, [self._stamp(certificate, each, each.counts)]):
                return None
        todo = [each for each in todo if each.name not in taken]
        for some in batched((each for each in todo if each.provider == Provider.PAYPAY), _AT_ONCE, strict=False):
            may_go_on()
            if not self._forget_authorizations(certificate, some, event_ids, file_types):
                return None
        submissions = (each for each in todo if each.provider == Provider.VEXORA)
        for blanked in batched(submissions, _MOST_TOGETHER // 2, strict=False):
            may_go_on()
            if not self._forget_submissions(certificate, blanked):
                return None
        self._redact(certificate, (*ids, *taken), may_go_on)
        return statuses

    def settle(self, certificate: Certificate, statuses: Sequence[UserStatus], at: str) -> bool:
        """Delete the statuses and count what was erased, in one transaction.

        False when something has come since the statuses were returned by `forget`: then the user is to be looked at
        anew. The statuses go in the end: they are what a worker that is at work runs against.
        """
        known, now = self._latest(certificate), self.footprint(certificate.user_id)
        names = dict.fromkeys((*now.authorization_ids, *now.taken), ERASED_ID)
        if any(each.erased_by != known.certificate_id for each in now.former):
            return False
        if any(self._redacting(each, names, known) for each in now.entries):
            return False
        counts = sum((Counter(each.counts) for each in now.former), Counter(known.counts))
        counts[_ENTRIES] = sum(each.get("erased_by") == known.certificate_id for each in now.entries)
        counts[_STATUSES] = len(statuses)
        said = {f"n_{name}": number for name, number in counts.items() if number}
        counted = self._table.update(_key(known), {**said, "counted_at": at}, "attribute_not_exists(counted_at)")
        writes: list[Item] = [{"Update": counted}, *map(self._status_delete, statuses)]
        writes += [{"Delete": each} for each in expiry_deletes(self._table, certificate.user_id)]
        codes = {code for each in statuses for code in (each.code_id, each.asked_code_id) if code}
        writes += [{"Delete": each} for each in code_deletes(self._table, codes, certificate.user_id)]
        absent = set(Provider) - {each.provider for each in statuses}
        checks = [status_key(certificate.user_id, each) for each in absent if each != Provider.HONNIN]
        writes += [{"ConditionCheck": self._table.absent(key)} for key in checks]
        return self._together(certificate, writes)

    def _mark_all(self, authorization_ids: Sequence[str], at: str) -> None:
        """From now on no event touches the user."""
        marked = self.erased(authorization_ids)
        self._table.put({**erased_key(each), "at": at} for each in authorization_ids if each not in marked)

    def _overtake(self, footprint: Footprint) -> Sequence[UserStatus] | None:
        """Raise the version of each status: whoever is at work on an event of the user comes too late for it.

        What asks anew is dropped, for the marks are there: nothing that is erased from now on is written again.
        """
        raised = []
        for each in footprint.statuses:
            key = status_key(each.user_id, each.provider)
            higher = {"version": each.version + 1}
            if not self._table.attempt(
                self._table.update(key, higher, "version = :known", known={"known": each.version})
            ):
                return None
            raised.append(replace(each, version=each.version + 1))
        return raised

    def _forget_authorizations(
        self,
        certificate: Certificate,
        some: Sequence[Former],
        event_ids: Callable[[str], Iterable[str]],
        file_types: Collection[str],
    ) -> bool:
        names = [each.name for each in some]
        self._delete_those_there(event_key(event_id) for name in names for event_id in event_ids(name))
        if not all(self._forget_samples(file_type, names) for file_type in file_types):
            return False
        return all(self._forget_authorization(certificate, each) for each in some)

    def _forget_authorization(self, certificate: Certificate, former: Former) -> bool:
        """Delete the link and what waits under the authorization."""
        found = self._table.items(
            "query",
            expired=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"PAYPAY#{former.name}"}),
            ConsistentRead=True,
        )
        items = list(found)
        # What has moved to the timeline has expired here, and is counted there.
        living = [each for each in items if each.get("expires_at", self._table.epoch + 1) > self._table.epoch]
        self._table.delete({"pk": each["pk"], "sk": each["sk"]} for each in items if each not in living)
        counts = Counter(former.counts)
        # One transaction, but for an authorization under which very many events wait.
        rest = [*batched(living, _MOST_TOGETHER - 1, strict=False)] or [()]
        for some in rest:
            counts.update(_LINKS if each["sk"] == "LINK" else _WAITING for each in some)
            gone = [{"Delete": self._delete_living(each, certificate.user_id)} for each in some]
            stamp = self._stamp(certificate, former, counts, done=some is rest[-1])
            if not self._together(certificate, [*gone, stamp]):
                return False
        return True

    def _forget_submissions(self, certificate: Certificate, some: Sequence[Former]) -> bool:
        """Take submissions off the poll and off the user."""
        keys = (submission_key(each.name) for each in some)
        items = {item["submission_id"]: item for item in self._table.batch(keys, consistent=True)}
        writes: list[Item] = []
        for each in some:
            item = items.get(each.name, {})
            ours = item.get("user_id") == certificate.user_id
            if ours or (item.get("user_id") == "" and "due_at" in item):
                writes.append({"Update": self._blanking(certificate, each.name)})
            if ours or each.erased_by != certificate.certificate_id:
                writes.append(self._stamp(certificate, each, {**each.counts, **({_SUBMISSIONS: 1} if ours else {})}))
        return not writes or self._together(certificate, writes)

    def _stamp(self, certificate: Certificate, former: Former, counts: Mapping[str, int], *, done: bool = True) -> Item:
        said: Item = {f"n_{name}": number for name, number in counts.items()}
        said |= {"left_at": former.left_at or certificate.begun_at}
        said |= {"erased_by": certificate.certificate_id} if done else {}
        return {"Update": self._table.update(former_key(certificate.user_id, former.provider, former.name), said, "")}

    def _blanking(self, certificate: Certificate, submission_id: str) -> Item:
        blank = {"erased_at": certificate.begun_at, "user_id": ""}
        key = submission_key(submission_id)
        return self._table.update(key, blank, "attribute_exists(pk)", remove=("due_kind", "due_at"))

    def _delete_living(self, item: Item, user_id: str) -> Item:
        """The delete of an item that is still there, and of a link that is still this user's."""
        ours = " AND user_id = :user" if item["sk"] == "LINK" else ""
        values: Item = {":now": self._table.epoch, **({":user": user_id} if ours else {})}
        return {
            "TableName": self._table.name,
            "Key": encode({"pk": item["pk"], "sk": item["sk"]}),
            "ConditionExpression": LIVING + ours,
            "ExpressionAttributeValues": encode(values),
        }

    def _status_delete(self, status: UserStatus) -> Item:
        return {
            "Delete": {
                "TableName": self._table.name,
                "Key": encode(status_key(status.user_id, status.provider)),
                "ConditionExpression": "version = :version",
                "ExpressionAttributeValues": encode({":version": status.version}),
            }
        }

    def _forget_samples(self, file_type: str, authorization_ids: Sequence[str]) -> bool:
        """Take authorizations out of what recon files show; False when a comparison was at work on one of them."""
        named = {f":id{number}": each for number, each in enumerate(authorization_ids)}
        pages = self._table.db.get_paginator("query").paginate(
            TableName=self._table.name,
            KeyConditionExpression="pk = :pk",
            FilterExpression=" OR ".join(f"contains({sample}, {name})" for name in named for sample in SAMPLES),
            ExpressionAttributeValues=encode({":pk": f"RECON#{file_type}", **named}),
            ConsistentRead=True,
        )
        shown = [decode(item) for page in pages for item in page["Items"]]
        return all(self._forget_sample(item, authorization_ids) for item in shown)

    def _forget_sample(self, item: Item, authorization_ids: Collection[str]) -> bool:
        shown = {name: item[name] for name in SAMPLES if name in item}
        left = {name: [ERASED_ID if each in authorization_ids else each for each in ids] for name, ids in shown.items()}
        unchanged = " AND ".join(f"{name} = :old_{name}" for name in shown)
        known = {f"old_{name}": value for name, value in shown.items()}
        update = self._table.update({"pk": item["pk"], "sk": item["sk"]}, left, unchanged, known=known)
        return self._table.attempt(update)

    def _redact(
        self, certificate: Certificate, authorization_ids: Sequence[str], may_go_on: Callable[[], None]
    ) -> None:
        """Take the details off the timeline, and authorization ids out of the names of its entries.

        The timeline is read anew: by now nothing waits that could still be moved there.
        """
        # Numbered: one file may have named two authorizations of the user at the same moment.
        names = {each: f"{ERASED_ID}-{number}" for number, each in enumerate(sorted(authorization_ids), 1)}
        together: list[Item] = []
        for entry in list(self._table.under(f"USER#{certificate.user_id}", "AT#", expired=True)):
            writes = self._redacting(entry, names, certificate)
            if len(together) + len(writes) > _MOST_TOGETHER:
                may_go_on()
                self._together(certificate, together)
                together = []
            together += writes
        if together:
            self._together(certificate, together)

    def _redacting(self, entry: Mapping[str, Any], names: Mapping[str, str], certificate: Certificate) -> list[Item]:
        """The writes that an entry takes, three at most; none where there is nothing to take off."""
        event_id = without_names(str(entry["event_id"]), names)
        named = event_id != entry["event_id"]
        if not (entry["detail"] or named or entry.get("told")):
            return []
        # Without its place in the index `overview`: no list and no replay names an erased user.
        plain = unplaced(entry) | {"event_id": event_id, "sk": f"AT#{entry['at']}#{event_id}", "detail": {}}
        plain |= {"erased_by": certificate.certificate_id} if entry["detail"] or named else {}
        writes: list[Item] = [{"Put": {"TableName": self._table.name, "Item": encode(plain)}}]
        old = [{"pk": entry["pk"], "sk": entry["sk"]}, event_key(str(entry["event_id"]))]
        writes += [{"Delete": {"TableName": self._table.name, "Key": encode(key)}} for key in (old if named else ())]
        return writes

    def _together(self, certificate: Certificate, writes: Sequence[Item]) -> bool:
        """Make all writes or none; False where a condition does not hold."""
        with suppress(OvertakenError):
            self._table.transact(certificate.certificate_id, [(each, OvertakenError) for each in writes])
            return True
        return False

    def _delete_those_there(self, keys: Iterable[Item]) -> None:
        """Delete items of which few exist: to look for a hundred takes one call, to delete them would take four."""
        there = self._table.batch(keys, consistent=True, expired=True)
        self._table.delete({"pk": each["pk"], "sk": each["sk"]} for each in there)


def _key(certificate: Certificate) -> Item:
    return certificate_key(certificate.user_id, certificate.begun_at)


def _certificate(item: Item) -> Certificate:
    return read(Certificate, item, begun_at=item["sk"].removeprefix("ERASURE#"), counts=counts_of(item))
