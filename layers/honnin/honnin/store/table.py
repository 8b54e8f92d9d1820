"""The table itself (docs/architecture.md, "The table"): how records become items, reads and writes.

Only `honnin.store` knows keys and attributes. Each subject has a module of its own next to this one.
"""

import heapq
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import batched
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from honnin import aws
from honnin.errors import ConcurrentUpdateError, HonninError
from honnin.observability import loggable
from honnin.store.keys import DUE_SHARDS, Item
from honnin.wording import Wording

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The attributes of the index `due`.
POLL = "vexora_poll"
PUBLISH = "publish"
FETCH = "recon_fetch"
COMPARE = "recon_compare"

# The condition that the item exists and has not expired.
LIVING = "attribute_exists(pk) AND (attribute_not_exists(expires_at) OR expires_at > :now)"

# The two texts of a `Wording`.
_ENGLISH, _JAPANESE = "en", "ja"

# The maximum of BatchGetItem and of BatchWriteItem.
_MOST_KEYS = 100
_MOST_WRITES = 25

# If another transaction holds an item, the item is free again within milliseconds. botocore repeats neither such a
# write nor a throttled transaction, because it cannot know whether the conditions are still meant. Values are seconds.
_COLLISION_PAUSES = (0.05, 0.1, 0.2, 0.4)
_COLLISIONS = frozenset({"TransactionConflictException", "TransactionConflict"})
_THROTTLED = frozenset({"ThrottlingError", "ProvisionedThroughputExceeded"})


class AlreadyAppliedError(HonninError):
    """The event has already taken effect."""


class SessionUsedError(HonninError):
    """The account-link session no longer exists, or an answer has already used it."""


class OvertakenError(HonninError):
    """The data in the table is newer, or has changed since it was read."""


# One write of a transaction, and the error to raise when its condition fails.
Write = tuple[Item, type[HonninError]]


# --- records and items ---

# A number of DynamoDB has 38 digits; boto3 refuses one that has more.
_EXACT = 10**38

# Metadata of a field that is no attribute of the item: it is a part of its key, or is written elsewhere.
UNSTORED: Mapping[str, bool] = {"stored": False}


def attributes(record: Any) -> Item:
    """A record's fields as attributes of the same names; None and an empty default are left out."""
    given = ((each, getattr(record, each.name)) for each in _stored(record.__class__))
    return {each.name: value for each, value in given if not _is_left_out(each, value)}


def read[R](kind: type[R], item: Mapping[str, Any], **given: Any) -> R:
    """The record of an item; unknown attributes are ignored. `given` are values of fields that are not attributes.

    Raises
    ------
    KeyError
        An attribute is missing, and its field has no default and cannot be None.
    """
    found = given
    for name, missing in _missing(cast("Any", kind)).items():
        if name in given:
            continue
        if name in item:
            found[name] = _plain(item[name])
        elif missing is None:
            found[name] = None
        elif missing is MISSING:
            raise KeyError(name)
    return kind(**found)


def without_none(item: Mapping[str, Any]) -> Item:
    """The attributes that have a value."""
    return {name: value for name, value in item.items() if value is not None}


def encode(item: Mapping[str, Any]) -> Item:
    """Attributes in DynamoDB's format."""
    serializer = _Serializer()
    return {name: serializer.serialize(value) for name, value in item.items()}


class _Serializer(TypeSerializer):
    """Also stores both texts of a `Wording`. What most values are is looked for first: boto3 tries eight types."""

    def serialize(self, value: Any) -> Any:
        """A value in DynamoDB's format."""
        kind = type(value)
        if kind is str:
            return {"S": value}
        if kind is int and -_EXACT < value < _EXACT:
            return {"N": str(value)}
        if kind is dict:
            return {"M": {name: self.serialize(each) for name, each in value.items()}}
        if kind is list or kind is tuple:
            return {"L": [self.serialize(each) for each in value]}
        both = {_ENGLISH: str(value), _JAPANESE: value.japanese} if isinstance(value, Wording) else value
        return super().serialize(both)


def decode(item: Mapping[str, Any]) -> Item:
    """Attributes from DynamoDB's format."""
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in item.items()}


@cache
def _stored(kind: Any) -> tuple[Field[Any], ...]:
    return tuple(each for each in fields(kind) if each.metadata.get("stored", True))


@cache
def _missing(kind: Any) -> Mapping[str, object]:
    """The value of each field if its attribute is missing:

    None, its default (`...`), or MISSING if that is an error.
    """
    found: dict[str, object] = {}
    for each in _stored(kind):
        has_default = each.default is not MISSING or each.default_factory is not MISSING
        found[each.name] = ... if has_default else None if type(None) in get_args(each.type) else MISSING
    return found


def _is_left_out(each: Field[Any], value: object) -> bool:
    # DynamoDB has no empty set.
    return value is None or value == frozenset() or value == () == each.default


def _plain(value: Any) -> Any:
    """A value of the table in the types of records: whole numbers, tuples, frozen sets."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else value
    if isinstance(value, list):
        return tuple(map(_plain, value))
    if isinstance(value, set):
        return frozenset(map(_plain, value))
    if isinstance(value, dict):
        if value.keys() == {_ENGLISH, _JAPANESE}:
            return Wording(value[_ENGLISH], value[_JAPANESE])
        return {name: _plain(each) for name, each in value.items()}
    return value


# --- reads and writes ---


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class Table:
    """One DynamoDB table. Pass a client to use another one than the function's own.

    `timeline_days` is how long timeline entries are kept, `waiting_days` how long an event waits for a link (0: for
    ever). `now` gives aware moments. DynamoDB deletes an item only days after its `expires_at` (its guide, "Working
    with expired items"). From that moment on, only erasure and restore still read it, and a new item may take its key.
    """

    def __init__(
        self,
        name: str,
        client: "DynamoDBClient | None" = None,
        *,
        timeline_days: int = 0,
        waiting_days: int = 0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.name = name
        self.now = now
        self._given = client
        self._timeline_days = timeline_days
        self._waiting_days = waiting_days

    @property
    def db(self) -> "DynamoDBClient":
        """The client."""
        return self._given or aws.dynamodb()

    @property
    def hurried(self) -> "DynamoDBClient":
        """The client for calls for which nobody should wait long."""
        return self._given or aws.dynamodb(hurried=True)

    @property
    def epoch(self) -> int:
        """The present moment in epoch seconds."""
        return int(self.now().timestamp())

    def get(self, key: Item) -> Item | None:
        """One item, read consistently."""
        answer = self.db.get_item(TableName=self.name, Key=encode(key), ConsistentRead=True)
        return next(self._living([answer["Item"]]), None) if "Item" in answer else None

    def under(self, pk: str, prefix: str, *, expired: bool = False) -> Iterator[Item]:
        """The items of a partition whose sort keys begin with `prefix`, in order, read consistently."""
        return self.items(
            "query",
            expired=expired,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=encode({":pk": pk, ":sk": prefix}),
            ConsistentRead=True,
        )

    def due(self, kind: str, now: str, *, since: str = "0") -> Iterator[Item]:
        """The items of a kind that are due from `since` to `now` (UTC), the longest overdue first, read page by page.

        It makes at least one query for each shard. An index is updated a little later than its table, so an item may
        have changed since. Only a condition on the write can exclude that.
        """
        shards = (
            self.items(
                "query",
                IndexName="due",
                KeyConditionExpression="due_kind = :kind AND due_at BETWEEN :since AND :now",
                ExpressionAttributeValues=encode({":kind": f"{kind}#{shard}", ":since": since, ":now": now}),
            )
            for shard in DUE_SHARDS
        )
        return heapq.merge(*shards, key=itemgetter("due_at"))

    def items(self, operation: Literal["query", "scan"], *, expired: bool = False, **request: Any) -> Iterator[Item]:
        """The items of a query or scan. Each page is read when it is needed."""
        for page in self.db.get_paginator(operation).paginate(TableName=self.name, **request):
            yield from self._living(page["Items"], expired=expired)

    def page(self, request: Mapping[str, Any]) -> tuple[list[Item], Item | None]:
        """One page of a query, and the key after which the next page begins (None: it was the last page)."""
        page = self.db.query(**request)
        last = page.get("LastEvaluatedKey")
        return list(self._living(page["Items"])), decode(last) if last else None

    def batch(self, keys: Iterable[Item], *, consistent: bool = False, expired: bool = False) -> Iterator[Item]:
        """The existing items of many keys, each once, in no order; 100 in a call."""
        unique = {(key["pk"], key["sk"]): key for key in keys}
        for some in batched(unique.values(), _MOST_KEYS, strict=False):
            wanted: Any = {self.name: {"Keys": [encode(key) for key in some], "ConsistentRead": consistent}}
            while wanted:
                answer = self.db.batch_get_item(RequestItems=wanted)
                yield from self._living(answer["Responses"].get(self.name, []), expired=expired)
                # The keys that did not fit into the answer, or were throttled.
                wanted = answer.get("UnprocessedKeys")
                _pause_if(wanted)

    def _living(self, items: Iterable[Mapping[str, Any]], *, expired: bool = False) -> Iterator[Item]:
        """The items that have not expired, decoded. The items for every reader pass through here."""
        now = self.epoch
        for item in items:
            if expired or "expires_at" not in item or int(item["expires_at"]["N"]) > now:
                yield decode(item)

    def expiring(self, entry: Item) -> Item:
        """A timeline entry with the time when it expires, if it does."""
        return _expiring(entry, self._timeline_days)

    def waiting(self, item: Item) -> Item:
        """An event that waits for a link, with its expiry time, because there may never be a link or an erasure."""
        return _expiring(item, self._waiting_days)

    def new(self, item: Item) -> Item:
        """The put of an item whose key must not exist."""
        return {"TableName": self.name, "Item": encode(item), **self._free()}

    def absent(self, key: Item) -> Item:
        """The check that a key does not exist."""
        return {"TableName": self.name, "Key": encode(key), **self._free()}

    def _free(self) -> Item:
        # An expired item may still be in the table; it counts as not existing.
        condition = "attribute_not_exists(pk) OR expires_at <= :now"
        return {"ConditionExpression": condition, "ExpressionAttributeValues": encode({":now": self.epoch})}

    def end(self, key: Item) -> Item:
        """The update by which an item expires now, so that no reader gets it.

        The role does not need to delete for this.
        """
        # A minute ago: the clock of the next reader may be behind ours.
        return self.update(key, {"expires_at": self.epoch - 60}, LIVING, known={"now": self.epoch})

    def update(
        self,
        key: Item,
        values: Mapping[str, Any],
        condition: str,
        *,
        known: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        names: Sequence[str] = (),
    ) -> Item:
        """The update that sets attributes to `values`, but for None, and removes those in `remove`.

        The condition may name each of them as `#name` and its value as `:name`, further attributes in `names`, and
        further values in `known`.
        """
        given = without_none(values)
        used = {*given, *remove, *names} | ({"state"} if "#state" in condition else set())
        expression = "SET " + ", ".join(f"#{name} = :{name}" for name in given)
        if remove:
            expression += " REMOVE " + ", ".join(f"#{name}" for name in remove)
        return {
            "TableName": self.name,
            "Key": encode(key),
            "UpdateExpression": expression,
            **({"ConditionExpression": condition} if condition else {}),
            "ExpressionAttributeNames": {f"#{name}": name for name in used},
            "ExpressionAttributeValues": encode(
                {f":{name}": each for name, each in {**given, **(known or {})}.items()}
            ),
        }

    def count(self, key: Item, kept: timedelta) -> int:
        """Increase the item's count by one; it is kept for `kept` after the last time. Returns the new count."""
        update = {
            "TableName": self.name,
            "Key": encode(key),
            "UpdateExpression": "SET expires_at = :end ADD failures :one",
            "ExpressionAttributeValues": encode({":one": 1, ":end": int((self.now() + kept).timestamp())}),
            "ReturnValues": "UPDATED_NEW",
        }
        return int(decode(self.settled(self.db.update_item, update)["Attributes"])["failures"])

    def attempt(self, update: Item) -> bool:
        """Make an update; False if its condition fails. Raises as `settled`."""
        return self.write(self.db.update_item, update)

    def write(self, write: Callable[..., Any], request: Mapping[str, Any]) -> bool:
        """Make a write of one item; False if its condition fails. Raises as `settled`."""
        try:
            self.settled(write, request)
        except self.db.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def delete(self, keys: Iterable[Item]) -> None:
        """Delete items, 25 in a call, whether they exist or not."""
        self._write_all({"DeleteRequest": {"Key": encode(key)}} for key in keys)

    def put(self, items: Iterable[Item]) -> None:
        """Write items, 25 in a call, and replace existing ones."""
        self._write_all({"PutRequest": {"Item": encode(item)}} for item in items)

    def _write_all(self, requests: Iterable[Item]) -> None:
        for some in batched(requests, _MOST_WRITES, strict=False):
            wanted: Any = {self.name: list(some)}
            while wanted:
                wanted = self.settled(self.db.batch_write_item, {"RequestItems": wanted}).get("UnprocessedItems")
                _pause_if(wanted)

    def transact(self, event_id: str, writes: Sequence[Write]) -> None:
        """Make all writes or none. Raises the error of the first write whose condition fails, or as `settled`."""
        try:
            self.settled(self.db.transact_write_items, {"TransactItems": [write for write, _ in writes]})
        except self.db.exceptions.TransactionCanceledException as error:
            codes = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
            for code, (_, meaning) in zip(codes, writes, strict=False):
                if code == "ConditionalCheckFailed":
                    raise meaning(f"event {loggable(event_id)}") from None
            raise

    def settled(self, write: Callable[..., Any], request: Mapping[str, Any]) -> Any:
        """Make a write. If it collides with a transaction, repeat it, five times within a second.

        Every write of the table uses this, because any of them may meet a transaction. DynamoDB then answers a single
        write with TransactionConflictException, and cancels a transaction with the reason TransactionConflict. In both
        cases nothing was written. (botocore itself repeats throttled calls and TransactionInProgressException.)

        Raises
        ------
        ConcurrentUpdateError
            Other transactions held the item each time.
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
                        raise ConcurrentUpdateError("another transaction is changing the item at this moment") from None
                    raise
            time.sleep(random.uniform(pause_s / 2, pause_s))
        raise AssertionError("unreachable")


def _reasons(error: ClientError) -> set[str]:
    """Why DynamoDB refused a write: its code and, for a transaction, the codes of all its items."""
    answer: Any = error.response
    items = [reason.get("Code") or "" for reason in answer.get("CancellationReasons", [])]
    return {answer["Error"].get("Code", ""), *items}


def _pause_if(wanted: object) -> None:
    # boto3 counts a partly done batch as a success, and does not wait before a retry.
    if wanted:
        time.sleep(random.uniform(0.05, 0.5))


def _expiring(item: Item, days: int) -> Item:
    """An item that expires this number of days after its `at`; 0: never."""
    if not days:
        return item
    expires = datetime.fromisoformat(item["at"]) + timedelta(days=days)
    return {**item, "expires_at": int(expires.timestamp())}
