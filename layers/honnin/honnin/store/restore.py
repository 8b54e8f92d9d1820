"""Operations on the whole table for operators: a restore, and rare questions. No function uses it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from honnin.event import Provider
from honnin.store.keys import Item, authorization_hash, named_in
from honnin.store.links import LinkSession, PassportQr, read_session
from honnin.store.recon import ERASED_ID, SAMPLES
from honnin.store.segments import pages
from honnin.store.submissions import Submission
from honnin.store.table import Table, decode, encode, read

# The kind of an item by the first word of its sort key, if the family of its key (`<FAMILY>#…`) does not show the kind.
KINDS = {
    ("USER", "STATUS"): "status",
    ("USER", "AT"): "timeline",
    ("USER", "FORMER"): "former",
    ("USER", "EXPIRY"): "expiry",
    ("USER", "ERASURE"): "certificate",
    ("PAYPAY", "LINK"): "link",
    ("PAYPAY", "AT"): "waiting",
}

# The attributes that show which user an item is about. A restore does not read the others and copies them unchanged.
_NAMING = ("pk", "sk", "user_id", "event_id", "user_authorization_id")


@dataclass(frozen=True)
class Stored:
    """An item of any kind as a restore uses it: its kind, and the ids in it.

    `kind` is status, timeline, former, expiry, certificate, link or waiting; otherwise the family of its key
    (submission, session, code, event, received, erased, recon, comparison, comparisons, rereads, reread, provider,
    overview, pace, access, user). `authorizations` are the SHA-256 hashes (hexadecimal) of the PayPay authorizations in
    it, as in the mark of an erased one. `expires_at` is in epoch seconds.
    """

    kind: str
    user_id: str | None
    authorizations: frozenset[str]
    completed_at: str | None
    expires_at: int | None
    item: Mapping[str, Any] = field(repr=False)


class Restore:
    """Reads the whole table, and writes items of another table back into it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def everything(self, segment: int = 0, segments: int = 1) -> Iterator[Stored]:
        """Every item of a segment of the table, including expired ones, in no order, for a restore.

        All segments together are the whole table; with `segments` = 1, the one segment is the whole table.
        """
        for items, _ in pages(self._table, segment, segments, ConsistentRead=True):
            yield from map(_stored, items)

    def missing(self, stored: Sequence[Stored]) -> list[Stored]:
        """Those items of another table whose key does not exist in this one."""
        keys = [decode({name: each.item[name] for name in ("pk", "sk")}) for each in stored]
        there = {(item["pk"], item["sk"]) for item in self._table.batch(keys, expired=True)}
        return [each for each, key in zip(stored, keys, strict=True) if (key["pk"], key["sk"]) not in there]

    def put_back(self, stored: Stored, erased: Collection[str] = (), *, without: Collection[str] = ()) -> bool:
        """Write an item of another table unchanged; False if this table has an item with its key, which then stays.

        In a recon file's item, authorizations whose SHA-256 is in `erased` are removed.
        `without` are attributes that are not written.
        """
        item = {name: value for name, value in stored.item.items() if name not in without}
        for name in SAMPLES:
            if name in item:
                names = [each["S"] for each in item[name]["L"]]
                names = [ERASED_ID if authorization_hash(each) in erased else each for each in names]
                item[name] = {"L": [{"S": each} for each in names]}
        put = {"TableName": self._table.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        return self._table.write(self._table.db.put_item, put)

    def submissions(self) -> Iterator[Submission]:
        """Every submission, decided or not, in no order. Reads the whole table: for an operator's rare question."""
        found = self._table.items(
            "scan",
            FilterExpression="begins_with(pk, :pk)",
            ExpressionAttributeValues=encode({":pk": "SUBMISSION#"}),
        )
        for item in found:
            yield read(Submission, item)

    def erased_users(self) -> Iterator[tuple[str, str]]:
        """The user and the certificate id of every erasure, in no order. Reads the whole table, as `submissions`."""
        found = self._table.items(
            "scan",
            ProjectionExpression="user_id, certificate_id",
            FilterExpression="begins_with(pk, :user) AND begins_with(sk, :certificate)",
            ExpressionAttributeValues=encode({":user": "USER#", ":certificate": "ERASURE#"}),
        )
        for item in found:
            yield str(item["user_id"]), str(item["certificate_id"])

    def qrs_of(self, user_id: str) -> Iterator[LinkSession | PassportQr]:
        """The user's account-link sessions and KYC Passport QRs, in no order.

        They are kept under their nonce and code: this reads the whole table, for an operator's rare question.
        """
        found = self._table.items(
            "scan",
            FilterExpression="user_id = :user AND sk IN (:session, :code)",
            ExpressionAttributeValues=encode({":user": user_id, ":session": "SESSION", ":code": "CODE"}),
        )
        for item in found:
            if item["sk"] == "SESSION":
                yield read_session(item)
            else:
                yield read(PassportQr, item, code_id=item["pk"].removeprefix("CODE#"))


def _stored(item: Mapping[str, Any]) -> Stored:
    known = decode({name: item[name] for name in (*_NAMING, "completed_at", "expires_at") if name in item})
    family, _, name = str(known["pk"]).partition("#")
    return Stored(
        kind=KINDS.get((family, str(known["sk"]).partition("#")[0]), family.lower()),
        # An erased submission has the empty text as its user.
        user_id=name if family in ("USER", "ACCESS") and name else known.get("user_id") or None,
        authorizations=_named_authorizations(family, name, known),
        completed_at=known.get("completed_at"),
        expires_at=int(known["expires_at"]) if "expires_at" in known else None,
        item=item,
    )


def _named_authorizations(family: str, name: str, known: Item) -> frozenset[str]:
    if family == "ERASED":
        return frozenset({name})
    named = [known.get("user_authorization_id")]
    if family == "USER" and str(known["sk"]).startswith(former := f"FORMER#{Provider.PAYPAY}#"):
        named.append(str(known["sk"]).removeprefix(former))
    if family == "PAYPAY":
        named.append(name)
    if family == "EVENT":
        named += named_in(name)
    return frozenset(authorization_hash(each) for each in named if each)
