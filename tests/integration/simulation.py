"""What the world of recon (test_recon_property.py) is made of: crashes, a clock, and stores in memory.

The worlds of PayPay and Vexora are in `chaos/`.
"""

import io
import itertools
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError


class Crash(BaseException):
    """The execution environment is gone in the middle of something. Nothing of Honnin's may catch it."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Clock:
    """Aware UTC; every look at it takes a millisecond, so that no two moments are the same. `now` looks for free."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """The present moment."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Boundary[S]:
    """Counts the moments just before and just after each call out of the process.

    At the n-th of them the caller crashes (None), or that step is played by `interlude` meanwhile.
    """

    def __init__(self, interruptions: Mapping[int, S | None], interlude: Callable[[S], None]) -> None:
        self._interruptions = interruptions
        self._interlude = interlude
        self._busy = False
        self.off = False
        self.passed = 0

    @contextmanager
    def around(self) -> Iterator[None]:
        """Surround one call."""
        self._pass()
        yield
        self._pass()

    def _pass(self) -> None:
        if self._busy or self.off:
            return
        number, self.passed = self.passed, self.passed + 1
        if number not in self._interruptions:
            return
        step = self._interruptions[number]
        if step is None:
            raise Crash
        self._busy = True
        try:
            self._interlude(step)
        finally:
            self._busy = False


class Guarded:
    """Any AWS client with a boundary around each of its operations."""

    def __init__(self, client: object, boundary: Boundary[Any]) -> None:
        self._client = client
        self._boundary = boundary

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in ("exceptions", "get_paginator"):
            return attribute

        def call(*arguments: Any, **request: Any) -> Any:
            with self._boundary.around():
                return attribute(*arguments, **request)

        return call


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ViolationError(otherwise)


# --- a faster table ---


class _CanceledError(ClientError):
    """A condition of a transaction does not hold."""


class _ConflictError(ClientError):
    """Never raised: here, calls come one after the other."""


class _ConditionError(ClientError):
    """The condition of a single write does not hold."""


class MemoryTable:
    """DynamoDB in memory, as far as `Store` uses it: for schedules by the hundred, some twenty times as fast as moto.

    What uses it also plays some schedules on moto. An expression that it does not know ends in an error.
    """

    exceptions = SimpleNamespace(
        TransactionCanceledException=_CanceledError,
        ConditionalCheckFailedException=_ConditionError,
        TransactionConflictException=_ConflictError,
    )

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def get_item(self, *, Key: Mapping[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803
        """Read one item."""
        found = self.items.get(_key(Key))
        return {"Item": found} if found else {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Read up to 100 items."""
        [(table, wanted)] = RequestItems.items()
        _hold(1 <= len(wanted["Keys"]) <= 100, "DynamoDB takes 1 to 100 keys")
        found = [self.items[_key(key)] for key in wanted["Keys"] if _key(key) in self.items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def query(self, **request: Any) -> dict[str, Any]:
        """Read one partition of the table or of an index, in the order of the sort key."""
        order = "due_at" if "IndexName" in request else "sk"
        found = [each for each in self.items.values() if order in each and _holds(each, request, "KeyCondition")]
        found.sort(key=lambda item: str(item[order]["S"]), reverse=not request.get("ScanIndexForward", True))
        return {"Items": found[: request.get("Limit")]}

    def scan(self, **_: object) -> dict[str, Any]:
        """Every item."""
        return {"Items": list(self.items.values())}

    def get_paginator(self, operation: str) -> Any:
        """A paginator of one page."""
        return SimpleNamespace(paginate=lambda **request: iter([getattr(self, operation)(**request)]))

    def put_item(self, *, Item: dict[str, Any], **_: object) -> None:  # noqa: N803
        """Write one item."""
        self.items[_key(Item)] = Item

    def update_item(self, **request: Any) -> None:
        """Change one item if its condition holds."""
        if not _holds(self.items.get(_key(request["Key"])), request):
            raise _ConditionError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._write("Update", request)

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> None:  # noqa: N803
        """Write all or nothing."""
        writes = [(kind, request) for each in TransactItems for kind, request in each.items()]
        keys = [_key(request.get("Key") or request["Item"]) for _, request in writes]
        _hold(len(set(keys)) == len(keys), "one item twice in a transaction")
        passed = [_holds(self.items.get(key), request) for key, (_, request) in zip(keys, writes, strict=True)]
        if not all(passed):
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}}
            answer["CancellationReasons"] = [{"Code": "None" if each else "ConditionalCheckFailed"} for each in passed]
            raise _CanceledError(answer, "TransactWriteItems")
        for kind, request in writes:
            self._write(kind, request)

    def _write(self, kind: str, request: Mapping[str, Any]) -> None:
        match kind:
            case "Put":
                self.items[_key(request["Item"])] = request["Item"]
            case "Delete":
                self.items.pop(_key(request["Key"]), None)
            case "Update":
                self.items[_key(request["Key"])] = _updated(self.items.get(_key(request["Key"])), request)


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


_CONDITIONS = (
    (re.compile(r"([#\w]+) BETWEEN (:\w+) AND (:\w+)"), r"between('\1', '\2', '\3')"),
    (re.compile(r"([#\w]+) IN \(([^)]*)\)"), r"is_in('\1', '\2')"),
    (re.compile(r"(attribute_(?:not_)?exists)\(([#\w]+)\)"), r"\1('\2')"),
    (re.compile(r"begins_with\(([#\w]+), (:\w+)\)"), r"begins_with('\1', '\2')"),
    (re.compile(r"(?<!')([#\w]+) (=|<>|<=|<|>=|>) (:\w+)"), r"compare('\1', '\2', '\3')"),
    (re.compile(r"\b(AND|OR|NOT)\b"), lambda word: word[1].lower()),
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@cache
def _compiled(expression: str) -> Any:
    for pattern, replacement in _CONDITIONS:
        expression = pattern.sub(replacement, expression)
    return compile(expression, "condition", "eval")


def _holds(item: Mapping[str, Any] | None, request: Mapping[str, Any], kind: str = "Condition") -> bool:
    """Whether an item meets a request's condition; a comparison with an attribute that is not there is false."""
    expression = request.get(f"{kind}Expression")
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})

    def attribute(name: str) -> Any:
        return (item or {}).get(names.get(name, name))

    def compare(name: str, sign: str, value: str) -> bool:
        if sign == "<>":
            return not compare(name, "=", value)
        left, right = attribute(name), values[value]
        return left is not None and left.keys() == right.keys() and _COMPARISONS[sign](_plain(left), _plain(right))

    functions = {
        "attribute_exists": lambda name: attribute(name) is not None,
        "attribute_not_exists": lambda name: attribute(name) is None,
        "begins_with": lambda name, value: attribute(name)["S"].startswith(values[value]["S"]),
        "between": lambda name, first, last: compare(name, ">=", first) and compare(name, "<=", last),
        "is_in": lambda name, among: any(compare(name, "=", each) for each in among.split(", ")),
        "compare": compare,
        "__builtins__": {},
    }
    return expression is None or bool(eval(_compiled(expression), functions))


def _plain(value: Mapping[str, Any]) -> Any:
    [(kind, plain)] = value.items()
    return int(plain) if kind == "N" else plain


def _updated(item: Mapping[str, Any] | None, request: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(item or request["Key"])
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    parts = re.split(r"\s*\b(SET|REMOVE|ADD)\b\s+", request["UpdateExpression"])[1:]
    for verb, clauses in itertools.batched(parts, 2, strict=True):
        for clause in re.split(r", (?![^(]*\))", clauses):
            name, _, rest = clause.partition(" ")
            name = names.get(name, name)
            if verb == "REMOVE":
                made.pop(name, None)
            elif verb == "ADD":
                made[name] = {"SS": sorted({*made.get(name, {"SS": []})["SS"], *values[rest]["SS"]})}
            elif default := re.fullmatch(r"= if_not_exists\(([#\w]+), (:\w+)\)", rest):
                made[name] = made.get(names.get(default[1], default[1]), values[default[2]])
            else:
                made[name] = values[rest.removeprefix("= ")]
    return made


# --- a bucket ---


class NoSuchKeyError(ClientError):
    """S3 has no such object."""


class MemoryBucket:
    """S3 in memory, as far as the layer uses it; each new key is told to `told`."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKeyError)

    def __init__(self, told: Callable[[str], None]) -> None:
        self.content: dict[str, bytes] = {}
        self._told = told

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str = "", **_: object) -> None:  # noqa: N803
        """Keep an object, or refuse as S3 does."""
        if IfNoneMatch and Key in self.content:
            raise ClientError({"Error": {}, "ResponseMetadata": _http(412)}, "PutObject")
        self.content[Key] = Body
        self._told(Key)

    def get_object(self, *, Key: str, **_: object) -> dict[str, io.BytesIO]:  # noqa: N803
        """One object."""
        if Key not in self.content:
            raise NoSuchKeyError({"Error": {}, "ResponseMetadata": _http(404)}, "GetObject")
        return {"Body": io.BytesIO(self.content[Key])}

    def head_object(self, *, Key: str, **_: object) -> None:  # noqa: N803
        """Whether there is such an object."""
        if Key not in self.content:
            raise ClientError({"Error": {}, "ResponseMetadata": _http(404)}, "HeadObject")

    def upload_fileobj(self, source: Any, _bucket: str, key: str, **_: object) -> None:
        """Keep an object from an open file."""
        self.content[key] = source.read()


def _http(code: int) -> Any:
    return {"HTTPStatusCode": code}
