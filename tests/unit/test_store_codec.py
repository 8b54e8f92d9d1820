"""How the records of `honnin.store` become items and come back: by their fields, so a new field is all it takes."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from honnin.store import (
    Access,
    Certificate,
    Comparison,
    Contract,
    EventRecord,
    LinkSession,
    Notification,
    PassportQr,
    ReceivedDay,
    ReconFile,
    Reread,
    Submission,
    TimelineEntry,
    Unattached,
    UserStatus,
)
from honnin.store.links import Link
from honnin.store.rereads import Mark
from honnin.store.table import UNSTORED, attributes, decode, encode, read

AT = "2026-04-01T03:00:00.000Z"
_COUNTS = {"rows": 3, "missed": 0}

# Every record class that is written or read by its fields, once with all it may hold and once with as little.
RECORDS: list[Any] = [
    Access(AT, "listed", "arn:aws:iam::111122223333:user/ito", "cli", "users"),
    Access(AT, "looked", "arn:aws:iam::111122223333:user/ito", "console", "user", "u", "ticket 1"),
    UserStatus("u", "paypay", "LINKED", 1),
    UserStatus(
        *("u", "paypay", "LINKED", 7, "X", AT, "s", AT, AT, "auth", ("a", "b"), "c", AT, {"link": "ACTIVE"}),
        *(({"call": "kyc_info", "at": AT, "http": 200, "data": True},), ("a",), "c", "v", "why"),
        since=AT,
        received={"kyc": AT},
    ),
    TimelineEntry(AT, "e", "vexora", "submitted", "api", None, "PENDING"),
    TimelineEntry(
        AT, "e", "vexora", "approved", "poll", "PENDING", "APPROVED", {"sign": "valid"}, ("KycStatusChanged",)
    ),
    Submission("s", "u", "PENDING", AT),
    Submission("s", "u", "PENDING", AT, 3, "unclear", AT, {"started_at": AT, "ended_on": "2026-03-31"}),
    LinkSession("n", "u", (), "https://shop.example.jp", 1_775_000_000),
    LinkSession("n", "u", ("a",), "https://shop.example.jp", 1_775_000_000, "c", "v", 1_776_000_000, "t", "succeeded"),
    PassportQr("c", "u", "v", 1_775_000_000),
    Link("u", ()),
    Link("u", ("a",), "c", "v", "EKYC"),
    Unattached("e", "paypay", "x", "webhook", AT, "auth"),
    Unattached("e", "paypay", "x", "webhook", AT, "auth", {"type": "kyc"}),
    EventRecord("e", AT, published=False, change=None),
    EventRecord("e", AT, published=True, change={"to": "PENDING"}, user_id="u", what="submitted", to_status="PENDING"),
    EventRecord("e", AT, published=False, change=None, what="reading_refused"),
    Certificate("c", "u", AT),
    Certificate("c", "u", AT, AT, _COUNTS, AT, 0, "desk", "why", "T-1"),
    Contract("u"),
    Contract("u", AT, "s", "2026-03-31", AT, "arn", "why", AT),
    Notification("t", "2026-03-31", "f.csv", "https://x", AT),
    Notification("t", "2026-03-31", "f.csv", "https://x", AT, AT, 3, "why", "f.csv", whole=True, reported_at=AT),
    Reread("r", "all", AT),
    Reread("r", "status", AT, "paypay", "VERIFIED", 8, 2, AT, 3, True, *range(8)),
    Mark(AT),
    Mark(AT, 3, {"paypay": (0, 2), "vexora": (1,)}),
    ReconFile("t", "2026-03-31", "f.csv", "MISSING"),
    ReconFile(
        *("t", "2026-03-31", "f.csv", "COMPARED", AT, AT, AT, "why", AT, "0" * 64, 12, "g.csv"),
        own_name=True,
        foreign=True,
        webhooks=True,
        warnings=("x", "y"),
        doubt="why",
        compared_at=AT,
        reported_at=AT,
        completed_at=AT,
        comparisons=(1, 3),
        waited_for=(3,),
        counts=_COUNTS,
        repairs_open=2,
        done_at=AT,
        repairs_stopped_at=AT,
        malformed_sample=({"line": 3, "reason": "x"},),
        changed_sample=("auth-1", "erased"),
        not_read_sample=("auth-2",),
    ),
    Comparison("t", "2026-03-31", "f.csv", 2),
    ReceivedDay("kyc", "2026-03-31", AT, AT, 3),
]


def unstored(record: Any) -> dict[str, Any]:
    """What the item does not hold as an attribute of that name."""
    return {each.name: getattr(record, each.name) for each in fields(record) if not each.metadata.get("stored", True)}


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_every_record_survives_the_table(record: Any) -> None:
    item = decode(encode(attributes(record)))
    found = read(type(record), item, **unstored(record))

    assert found == record
    assert [type(value) for value in vars(found).values()] == [type(value) for value in vars(record).values()]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_an_attribute_that_nobody_knows_is_passed_over(record: Any) -> None:
    item = decode(encode(attributes(record))) | {"of_a_later_release": "x", "expires_at_": Decimal(1)}

    assert read(type(record), item, **unstored(record)) == record


@pytest.mark.parametrize("kind", dict.fromkeys(map(type, RECORDS)), ids=lambda kind: kind.__name__)
def test_a_missing_attribute_is_its_default_or_none_and_else_an_error(kind: type[Any]) -> None:
    least = next(each for each in RECORDS if type(each) is kind)
    item = decode(encode(attributes(least)))
    for each in fields(kind):
        if each.name not in attributes(least):
            continue
        without = {name: value for name, value in item.items() if name != each.name}
        if each.default is MISSING and each.default_factory is MISSING:
            with pytest.raises(KeyError, match=f"^'{each.name}'$"):
                read(kind, without, **unstored(least))
        else:
            default = each.default_factory() if callable(each.default_factory) else each.default
            assert getattr(read(kind, without, **unstored(least)), each.name) == default


@dataclass(frozen=True)
class Grown:
    """A record of a later release."""

    name: str
    nothing: str | None
    empty: tuple[str, ...]
    number: int = 0
    share: Decimal = Decimal(0)
    none_yet: tuple[str, ...] = ()
    seen: frozenset[str] = frozenset()
    detail: Mapping[str, Any] = field(default_factory=dict)
    from_the_key: str = field(default="", metadata=UNSTORED)


def test_what_is_written_is_what_there_is() -> None:
    """None and empty defaults take no attribute; what has no default is written though it is empty."""
    record = Grown("x", None, ())
    assert attributes(record) == {"name": "x", "empty": (), "number": 0, "share": 0, "detail": {}}
    assert read(Grown, decode(encode(attributes(record)))) == record


def test_values_come_back_as_they_were() -> None:
    record = Grown("x", "y", ("a",), 7, Decimal("0.5"), ("b", "c"), frozenset("de"), {"n": 1, "l": ({"m": 2},)})
    found = read(Grown, decode(encode(attributes(record))), from_the_key="k")

    assert found == Grown(**{**vars(record), "from_the_key": "k"})
    assert (type(found.number), type(found.detail["n"]), type(found.share)) == (int, int, Decimal)


class _Word(StrEnum):
    ONE = "one"


@pytest.mark.parametrize(
    "value",
    [
        *("", "本人", 0, -7, 10**38 - 1, 1 - 10**38, True, False, None, Decimal("1.50"), b"x", _Word.ONE),
        *([], (), {}, [1, ["a", (True, None)]], {"a": {"b": [0, {"c": "d"}]}}, {"a"}, frozenset({1}), {b"x"}),
    ],
)
def test_a_value_is_stored_as_boto3_stores_it(value: object) -> None:
    assert encode({"value": value}) == {"value": TypeSerializer().serialize(value)}


@pytest.mark.parametrize("value", [10**38 + 1, -(10**38) - 1, 1.5, [1.5], {"a": 1.5}, object()])
def test_what_boto3_refuses_is_refused(value: object) -> None:
    with pytest.raises((ArithmeticError, TypeError)):
        encode({"value": value})
