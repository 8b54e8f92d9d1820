"""What erasing a user needs: finding and deleting everything, counting it once, and the marks that keep it erased.

A run may be interrupted anywhere, and the next run continues it. For that, and for a correct certificate:

- Each authorization and submission that a user has, or had, has an item of its own under the user (`Former`). When its
  data is erased, a transaction stamps the item with the certificate and the counts. A later run skips stamped items,
  with one read and no write.
- Timeline entries stay, without their details, and with the certificate's id. They are counted by reading them.
- S3 takes no part in transactions. The number of objects is recorded before they are deleted.
- `settle` counts all of this once, in the transaction that deletes the statuses. Nothing else is left by then, and no
  worker can write about the user any more, because it would need the old status. The stamped items are deleted last,
  and only then is the certificate completed.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import batched
from typing import Any

from honnin.domain_events import USER_ERASED
from honnin.errors import ConcurrentUpdateError
from honnin.event import Provider
from honnin.store.certificates import Certificate, certificate_of, certificates, key_of, request_of
from honnin.store.contracts import Contract, contract_check, contract_delete
from honnin.store.events import event_item, to_publish
from honnin.store.expiries import expiry_deletes
from honnin.store.footprint import Footprint, footprint, former_of, stamped_delete, taken_over, without_names
from honnin.store.keys import (
    Item,
    due,
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
from honnin.store.submissions import EARLIER_CONTRACT
from honnin.store.table import (
    LIVING,
    AlreadyAppliedError,
    OvertakenError,
    Table,
    attributes,
    decode,
    encode,
)
from honnin.store.users import UNLINKED, Former, TimelineEntry, UserStatus

# After this number of erased authorizations, the run checks its time: they take seconds if there are many recon files.
# A filter has 4 KB at most, and each authorization takes some 70 characters of it.
_AT_ONCE = 40

# The kind in the index `due` of an erasure that is not completed: whoever began it may never repeat it.
_UNFINISHED = "erasure_unfinished"

# The maximum number of writes in a transaction.
_MOST_TOGETHER = 100

# The counts of a certificate.
_OBJECTS, _ENTRIES, _STATUSES = "vaultObjects", "timelineEntries", "statuses"
_LINKS, _WAITING, _SUBMISSIONS = "links", "waitingEvents", "submissions"


class Erasures:
    """Erases users from the table, and stores who was erased."""

    def __init__(self, table: Table) -> None:
        self._table = table

    # --- the marks ---

    def mark(self, user_authorization_id: str, at: str) -> None:
        """Record that the user of an authorization was erased: its events are dropped from now on."""
        key = erased_key(user_authorization_id)
        self._table.attempt(self._table.update(key, {"at": at}, "", remove=("expires_at",)))

    def is_erased(self, user_authorization_id: str) -> bool:
        """Whether the user of a PayPay authorization was erased."""
        return self._table.get(erased_key(user_authorization_id)) is not None

    def erased(self, user_authorization_ids: Sequence[str]) -> set[str]:
        """Those of the authorizations whose user was erased."""
        marks = {erased_key(each)["pk"]: each for each in user_authorization_ids}
        keys = ({"pk": pk, "sk": "ERASED"} for pk in marks)
        return {marks[item["pk"]] for item in self._table.batch(keys, consistent=True)}

    # --- one run at a time, and its certificate ---

    def claim(self, user_id: str, now: str, until: str) -> bool:
        """Claim a user for erasing until `until` (UTC); False while another run holds the claim."""
        expires = {"claimed_until": until, "expires_at": int(datetime.fromisoformat(until).timestamp())}
        condition = "attribute_not_exists(pk) OR claimed_until < :now"
        return self._table.attempt(self._table.update(erasing_key(user_id), expires, condition, known={"now": now}))

    def release(self, user_id: str, until: str) -> None:
        """Release a claim that lasts until `until`. A claim that is not released expires."""
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
        return certificates(self._table, user_id)

    def begin(self, certificate: Certificate, contract: Contract | None = None) -> None:
        """Store that an erasure has begun, and by whom and why. It is listed as unfinished until it is completed.

        With `contract`, only if that has not changed: nothing of a contract that began again is erased.

        Raises
        ------
        ConcurrentUpdateError
            The contract has changed; nothing has begun.
        """
        said = {"certificate_id": certificate.certificate_id, "user_id": certificate.user_id, **request_of(certificate)}
        key = key_of(certificate)
        begun = self._table.update(key, said | due(_UNFINISHED, certificate.begun_at, key), "")
        if contract is None:
            self._table.attempt(begun)
            return
        unchanged = {"ConditionCheck": contract_check(self._table, contract)}
        writes = [({"Update": begun}, ConcurrentUpdateError), (unchanged, ConcurrentUpdateError)]
        self._table.transact(certificate.certificate_id, writes)

    def unfinished(self, now: str) -> Iterator[Certificate]:
        """The erasures that were begun by `now` (UTC) and are not completed, the oldest first."""
        return map(certificate_of, self._table.due(_UNFINISHED, now))

    def is_under_way(self, user_id: str) -> bool:
        """Whether an erasure of the user has begun, which will also erase what is added to the user until its end."""
        return any(not (each.counted_at or each.completed_at) for each in self.certificates(user_id))

    def unlinked(self, user_id: str, user_authorization_id: str, at: str) -> None:
        """Record that an authorization was ended at PayPay, so that a repeated erasure need not request it again."""
        key = former_key(user_id, Provider.PAYPAY, user_authorization_id)
        self._table.attempt(self._table.update(key, {"left_at": at, f"n_{UNLINKED}": 1}, ""))

    def note_objects(self, certificate: Certificate, number: int) -> Certificate:
        """Record the number of the vault's objects before they are deleted, and again after that (0).

        If there were objects at the last check and there are none now, an interrupted run has deleted them: they are
        counted.
        """
        known = self._latest(certificate)
        left = known.vault_left or 0
        if number == left == 0:
            return known
        total = known.counts.get(_OBJECTS, 0) + max(0, number - left)
        self._table.attempt(self._table.update(key_of(known), {f"n_{_OBJECTS}": total, "vault_left": number}, ""))
        return replace(known, counts={**known.counts, _OBJECTS: total}, vault_left=number)

    def end(self, certificate: Certificate, at: str) -> Certificate:
        """Delete the stamped items. Then complete the certificate, with the tombstone and the event to be published."""
        user_id = certificate.user_id
        stamped = [each for each in former_of(self._table, user_id) if each.erased_by == certificate.certificate_id]
        for some in batched(stamped, _MOST_TOGETHER, strict=False):
            gone = [stamped_delete(self._table, user_id, each) for each in some]
            if not self._together(certificate, [{"Delete": each} for each in gone]):
                # The user is back, and has had one of them again since: the next erasure must find that.
                for each in gone:
                    self._table.write(self._table.db.delete_item, each)
        tombstone = TimelineEntry(at, f"erase:{certificate.certificate_id}", "honnin", "erased", "api", None, "ERASED")
        entry = entry_key(user_id, at, tombstone.event_id) | attributes(tombstone)
        completed = self._table.update(
            key_of(certificate),
            {"completed_at": at},
            "attribute_not_exists(completed_at)",
            remove=("due_kind", "due_at"),
        )
        record = event_item(certificate.report_id, at) | {"user_id": user_id, "what": "erased"}
        record |= to_publish(certificate.report_id, USER_ERASED, replace(certificate, completed_at=at).report, at)
        # Another run may have completed it, if this one took longer than its claim.
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
        """What the table holds about a user. An erasure also needs expired items, as long as they exist."""
        return footprint(self._table, user_id, expired=expired)

    def forget(
        self,
        footprint: Footprint,
        certificate: Certificate,
        event_ids: Callable[[str], Iterable[str]],
        file_types: Collection[str],
        may_go_on: Callable[[], None] = lambda: None,
    ) -> Sequence[UserStatus] | None:
        """Erase a footprint except the statuses, which are returned as they are now.

        None if a worker has changed the user meanwhile; the footprint must then be read again. `event_ids` gives the
        ids of all events that may contain an authorization. `file_types` are the types of recon files that may show
        one. `may_go_on` is called between steps of a few seconds, and raises an error if there is no time for another
        step.
        """
        ids, present = footprint.authorization_ids, footprint.present
        self._mark_all(ids, certificate.begun_at)
        statuses = self._overtake(footprint)
        if statuses is None:
            return None
        # An authorization that another user took over before this. From now on, taking over needs the raised version.
        taken = footprint.taken | taken_over(self._table, certificate.user_id, ids)
        self._table.delete(erased_key(each) for each in taken)
        # The data that a status refers to may have been used since it was stamped.
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

        False if something was added since `forget` returned the statuses; the user must then be read again. The
        statuses are deleted at the end, because a worker that is running fails by their versions.
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
        counted = self._table.update(key_of(known), {**said, "counted_at": at}, "attribute_not_exists(counted_at)")
        writes: list[Item] = [{"Update": counted}, *map(self._status_delete, statuses)]
        writes += [{"Delete": each} for each in expiry_deletes(self._table, certificate.user_id)]
        writes.append({"Delete": contract_delete(self._table, certificate.user_id)})
        codes = {code for each in statuses for code in (each.code_id, each.asked_code_id) if code}
        writes += [{"Delete": each} for each in code_deletes(self._table, codes, certificate.user_id)]
        absent = set(Provider) - {each.provider for each in statuses}
        checks = [status_key(certificate.user_id, each) for each in absent if each != Provider.HONNIN]
        writes += [{"ConditionCheck": self._table.absent(key)} for key in checks]
        return self._together(certificate, writes)

    def _mark_all(self, authorization_ids: Sequence[str], at: str) -> None:
        """Mark all authorizations, so that no event changes the user from now on."""
        marked = self.erased(authorization_ids)
        self._table.put({**erased_key(each), "at": at} for each in authorization_ids if each not in marked)

    def _overtake(self, footprint: Footprint) -> Sequence[UserStatus] | None:
        """Raise the version of each status, so that a worker that is processing an event of the user fails.

        An event that comes later is dropped because of the marks. So nothing is written again that is erased from now
        on.
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
        """Delete the link and the events that wait for the authorization."""
        found = self._table.items(
            "query",
            expired=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=encode({":pk": f"PAYPAY#{former.name}"}),
            ConsistentRead=True,
        )
        items = list(found)
        # A waiting event that was moved to the timeline has expired here, and is counted there.
        living = [each for each in items if each.get("expires_at", self._table.epoch + 1) > self._table.epoch]
        self._table.delete({"pk": each["pk"], "sk": each["sk"]} for each in items if each not in living)
        counts = Counter(former.counts)
        # It is one transaction, unless very many events wait for the authorization.
        rest = [*batched(living, _MOST_TOGETHER - 1, strict=False)] or [()]
        for some in rest:
            counts.update(_LINKS if each["sk"] == "LINK" else _WAITING for each in some)
            gone = [{"Delete": self._delete_living(each, certificate.user_id)} for each in some]
            stamp = self._stamp(certificate, former, counts, done=some is rest[-1])
            if not self._together(certificate, [*gone, stamp]):
                return False
        return True

    def _forget_submissions(self, certificate: Certificate, some: Sequence[Former]) -> bool:
        """Stop polling submissions and remove the user from them."""
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
        return self._table.update(key, blank, "attribute_exists(pk)", remove=("due_kind", "due_at", EARLIER_CONTRACT))

    def _delete_living(self, item: Item, user_id: str) -> Item:
        """The delete of an item that still exists, and of a link that still belongs to this user."""
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
        """Remove authorizations from recon files' samples; False if a comparison was writing one of the files."""
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
        """Remove the details from the timeline, and authorization ids from the names of its entries.

        The timeline is read again: now no waiting event is left that could still be moved to it.
        """
        # They are numbered, because one file may have named two authorizations of the user at the same moment.
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
        """The writes for an entry, three at most; none if there is nothing to remove."""
        event_id = without_names(str(entry["event_id"]), names)
        named = event_id != entry["event_id"]
        if not (entry["detail"] or named or entry.get("told")):
            return []
        # It loses its place in the index `overview`, so no list and no replay names an erased user.
        plain = unplaced(entry) | {"event_id": event_id, "sk": f"AT#{entry['at']}#{event_id}", "detail": {}}
        plain |= {"erased_by": certificate.certificate_id} if entry["detail"] or named else {}
        writes: list[Item] = [{"Put": {"TableName": self._table.name, "Item": encode(plain)}}]
        old = [{"pk": entry["pk"], "sk": entry["sk"]}, event_key(str(entry["event_id"]))]
        writes += [{"Delete": {"TableName": self._table.name, "Key": encode(key)}} for key in (old if named else ())]
        return writes

    def _together(self, certificate: Certificate, writes: Sequence[Item]) -> bool:
        """Make all writes or none; False if a condition fails."""
        with suppress(OvertakenError):
            self._table.transact(certificate.certificate_id, [(each, OvertakenError) for each in writes])
            return True
        return False

    def _delete_those_there(self, keys: Iterable[Item]) -> None:
        """Delete items of which few exist: reading a hundred keys takes one call, but deleting them would take four."""
        there = self._table.batch(keys, consistent=True, expired=True)
        self._table.delete({"pk": each["pk"], "sk": each["sk"]} for each in there)
