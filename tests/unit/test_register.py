"""The register: it agrees with a full recomputation from the table, while users move, are erased and come back."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from typing import Any
from unittest import mock

import pytest

from honnin import commit
from honnin.register import VERIFIED, Register, Row
from honnin.store.table import decode
from honnin.times import utc_text
from tests.fakes.memory import memory_aws
from tests.fakes.register_world import END, FIRST, SHA, STATUSES, World


@pytest.fixture
def world(aws_environment: None) -> Iterator[World]:
    with memory_aws():
        yield World()


# --- which periods ---


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        # Got it in the period; on its first and on its last millisecond; and just outside.
        ([("VERIFIED", "2026-10-05T03:00:00.000Z")], [("2026-10-05T03:00:00.000Z", None)]),
        ([("VERIFIED", "2026-09-30T15:00:00.000Z")], [("2026-09-30T15:00:00.000Z", None)]),
        ([("VERIFIED", "2026-10-31T14:59:59.999Z")], [("2026-10-31T14:59:59.999Z", None)]),
        ([("VERIFIED", "2026-10-31T15:00:00.000Z")], []),
        # Had it since before.
        ([("VERIFIED", "2026-09-10T03:00:00.000Z")], [("2026-09-10T03:00:00.000Z", None)]),
        (
            [("VERIFIED", "2026-09-10T03:00:00.000Z"), ("UNLINKED", "2026-12-01T00:00:00.000Z")],
            [("2026-09-10T03:00:00.000Z", "2026-12-01T00:00:00.000Z")],
        ),
        # Lost it as the period began, and just after.
        ([("VERIFIED", "2026-09-10T03:00:00.000Z"), ("UNLINKED", "2026-09-30T15:00:00.000Z")], []),
        (
            [("VERIFIED", "2026-09-10T03:00:00.000Z"), ("UNLINKED", "2026-09-30T15:00:00.001Z")],
            [("2026-09-10T03:00:00.000Z", "2026-09-30T15:00:00.001Z")],
        ),
        # Twice, and again after the period.
        (
            [
                ("VERIFIED", "2026-09-10T03:00:00.000Z"),
                ("RISK_FLAGGED", "2026-10-02T03:00:00.000Z"),
                ("VERIFIED", "2026-10-03T03:00:00.000Z"),
                ("UNLINKED", "2026-11-05T03:00:00.000Z"),
                ("VERIFIED", "2026-11-06T03:00:00.000Z"),
            ],
            [
                ("2026-09-10T03:00:00.000Z", "2026-10-02T03:00:00.000Z"),
                ("2026-10-03T03:00:00.000Z", "2026-11-05T03:00:00.000Z"),
            ],
        ),
        ([("LINKED", "2026-10-05T03:00:00.000Z")], []),
    ],
)
def test_a_period_counts_if_any_moment_of_it_lies_between_the_days_of_japan(
    world: World, moves: list[tuple[str, str]], expected: list[tuple[str, str | None]]
) -> None:
    world.move("user-1", "LINK_PENDING", at="2026-09-02T00:00:00.000Z")
    for status, at in moves:
        world.move("user-1", status, at=at)
    world.now = datetime(2026, 12, 10, tzinfo=UTC)
    assert [(each.since, each.until) for each in world.rows()] == expected


def test_a_row_has_the_evidence_of_the_answer_that_verified_and_the_flags_since(world: World) -> None:
    world.move("user-1", "LINKED", at="2026-10-01T00:00:00.000Z")
    at = world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    world.move("user-1", "VERIFIED", at="2026-10-06T03:00:00.000Z")
    flagged = world.move("user-1", "RISK_FLAGGED", at="2026-11-06T03:00:00.000Z")
    assert world.rows() == [
        Row(
            user_id="user-1",
            provider="paypay",
            status="VERIFIED",
            since=at,
            cause="webhook",
            event_id="e-2",
            product="kyc_info",
            request_id="req-2",
            object=f"paypay/user-1/kyc_info/{at}-{SHA}.json",
            sha256=SHA,
            until=flagged,
            ended_by="RISK_FLAGGED",
            flags=((flagged, "RISK_FLAGGED"),),
        )
    ]


def test_another_status_and_one_provider_alone_can_be_asked_for(world: World) -> None:
    world.move("user-1", "RISK_FLAGGED", at="2026-10-05T03:00:00.000Z")
    world.move("user-2", "APPROVED", "vexora", at="2026-10-06T03:00:00.000Z")
    world.move("user-3", "VERIFIED", at="2026-10-07T03:00:00.000Z")
    assert [each.user_id for each in world.rows(wanted={"paypay": "RISK_FLAGGED"})] == ["user-1"]
    assert [each.user_id for each in world.rows(wanted={"vexora": "APPROVED"})] == ["user-2"]


# --- against a recomputation ---


def recomputed(world: World) -> Counter[tuple[Any, ...]]:
    """The same from every item of the table, without the index and without `honnin.history`."""
    items = [decode(item) for page in [world.db.scan(TableName="StateTable")] for item in page["Items"]]
    found: Counter[tuple[Any, ...]] = Counter()
    by_user: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        if item["pk"].startswith("USER#") and item["sk"].startswith("AT#"):
            by_user.setdefault(item["pk"].removeprefix("USER#"), []).append(item)
    for user_id, entries in by_user.items():
        entries.sort(key=lambda item: item["at"])
        ends = [item["at"] for item in entries if item["what"] == "erased"]
        for provider, status in VERIFIED.items():
            own = [item for item in entries if item["provider"] in (provider, "honnin")]
            for number, item in enumerate(own):
                begins = item["to_status"] == status and (number == 0 or own[number - 1]["to_status"] != status)
                if not begins:
                    continue
                left = [each for each in own[number:] if each["to_status"] != status]
                until = left[0]["at"] if left else None
                if item["at"] < END and (until is None or until > FIRST):
                    erased = next((at for at in ends if at >= item["at"]), None)
                    found[None if erased else user_id, provider, item["at"], until, erased] += 1
    return found


def shown(rows: list[Row]) -> Counter[tuple[Any, ...]]:
    return Counter((each.user_id, each.provider, each.since, each.until, each.erased_at) for each in rows)


@pytest.mark.parametrize("seed", range(6))
def test_the_register_is_what_a_recomputation_of_the_whole_table_gives(world: World, seed: int) -> None:
    chance = random.Random(seed)
    users = [f"user-{number}" for number in range(120)]
    for step in range(900):
        world.now = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(hours=2 * step + chance.random())
        user_id = chance.choice(users)
        if chance.random() < 0.03:
            if world.store.users.statuses(user_id):
                world.erase(user_id)
            continue
        provider = chance.choice(["paypay", "paypay", "vexora"])
        world.move(user_id, chance.choice(STATUSES[provider]), provider)

    rows = world.rows(erased=True)
    assert shown(rows) == recomputed(world)
    assert any(each.erased_at for each in rows)
    without = world.rows()
    assert shown(without) == Counter({key: n for key, n in recomputed(world).items() if key[0]})


# --- erased users ---


def test_an_erased_user_is_there_on_request_without_anything_that_says_who_it_was(world: World) -> None:
    at = world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    world.erase("user-1")
    back = world.move("user-1", "VERIFIED", at="2026-10-20T03:00:00.000Z")

    assert [(each.user_id, each.since) for each in world.rows()] == [("user-1", back)]
    [row] = [each for each in world.rows(erased=True) if each.erased_at]
    assert (row.user_id, row.provider, row.status, row.since) == (None, "paypay", "VERIFIED", at)
    assert row.until == row.erased_at
    assert (row.event_id, row.request_id, row.object, row.sha256, row.flags) == (None, None, None, None, ())
    assert "user-1" not in repr(row)


# --- while users move ---


def _meanwhile(world: World, moves: Sequence[Callable[[], object]]) -> list[Row]:
    """The register, with a move after each timeline that it reads."""
    read = world.store.users.whole_timeline
    left, lock = list(moves), Lock()

    def then_move(user_id: str) -> Any:
        found = read(user_id)
        with lock:
            if left:
                left.pop()()
        return found

    with mock.patch.object(world.store.users, "whole_timeline", then_move):
        return world.rows()


def test_nobody_is_missed_or_given_twice_while_others_move(world: World) -> None:
    users = [f"user-{number}" for number in range(100)]
    for user_id in users:
        world.move(user_id, "VERIFIED")
    world.now = datetime(2026, 11, 15, tzinfo=UTC)
    moves = [partial(world.move, each, "UNLINKED") for each in users[::2]]
    rows = _meanwhile(world, moves)

    assert Counter(each.user_id for each in rows) == Counter(users)
    # All were verified at the moment for which the register speaks.
    assert {each.until for each in rows} == {None}


def test_whoever_loses_the_status_while_the_list_is_read_is_given_once(world: World) -> None:
    users = [f"user-{number}" for number in range(60)]
    for user_id in users:
        world.move(user_id, "VERIFIED")
    world.now = datetime(2026, 11, 15, tzinfo=UTC)
    listed = world.store.overview.of_shard
    left = iter(users[::2])

    def then_move(*place: str) -> Any:
        for each in listed(*place):
            yield each
            for user_id in left:
                world.move(user_id, "UNLINKED")
                break

    with mock.patch.object(world.store.overview, "of_shard", then_move):
        rows = world.rows()
    world.now += timedelta(days=1)

    assert Counter(each.user_id for each in rows) == Counter(users)
    assert sum(each.until is not None for each in rows) == 30


def test_a_list_that_is_behind_gives_nobody_twice(world: World) -> None:
    """The index still has a user as verified who has just been unlinked."""
    world.move("user-1", "VERIFIED")
    world.now = datetime(2026, 11, 15, tzinfo=UTC)
    with mock.patch.object(
        world.store.overview,
        "of_shard",
        lambda provider, _status, shard: (
            [("user-1", "2026-09-01T03:00:01.000Z#user-1")] if (provider, shard) == ("paypay", "0") else []
        ),
    ):
        at = world.move("user-1", "UNLINKED")
        world.now += timedelta(seconds=5)
        assert [(each.user_id, each.until) for each in world.rows()] == [("user-1", at)]


# --- what is not kept any more ---


def test_whoever_has_no_timeline_any_more_is_there_with_what_the_status_says(aws_environment: None) -> None:
    with memory_aws():
        world = World(timeline_days=30)
        at = world.move("user-1", "VERIFIED")
        world.now += timedelta(days=40)
        assert world.store.users.whole_timeline("user-1") == []
        [row] = world.rows()
        key = f"paypay/user-1/kyc_info/{at}-{SHA}.json"
        assert (row.user_id, row.since, row.object, row.sha256, row.product) == ("user-1", at, key, SHA, "kyc_info")
        assert row.event_id is None


def test_without_a_timeline_the_evidence_is_the_newest_of_all_products(aws_environment: None) -> None:
    with memory_aws():
        world = World(timeline_days=30)
        at = world.move("user-1", "VERIFIED")
        before = world.store.users.status("user-1", "paypay")
        assert before is not None
        # Its name sorts after kyc_info, but it was read a day earlier.
        earlier = f"paypay/user-1/kyc_passport/2026-08-31T03:00:00.000Z-{SHA[::-1]}.json"
        kept = {**(before.kept or {}), "kyc_passport": {"snapshot": earlier}}
        effect = commit.effect("e-kept", "kyc_read", before, replace(before, kept=kept), {}, at=world.now)
        world.store.events.apply(effect)
        world.now += timedelta(days=40)
        [row] = world.rows()
        assert (row.product, row.sha256) == ("kyc_info", SHA)
        assert row.object == f"paypay/user-1/kyc_info/{at}-{SHA}.json"


def test_a_beginning_that_is_not_kept_is_known_from_the_status(aws_environment: None) -> None:
    with memory_aws():
        world = World(timeline_days=30)
        at = world.move("user-1", "VERIFIED")
        world.now += timedelta(days=20)
        world.move("user-1", "VERIFIED")
        world.now += timedelta(days=20)
        [row] = world.rows()
        assert (row.since, row.event_id) == (at, None)


def test_an_entry_without_its_user_is_nobody(world: World) -> None:
    """Erased between the index and the timeline."""
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    with mock.patch.object(world.store.users, "whole_timeline", return_value=[]):
        assert world.rows() == []


def test_each_user_that_was_looked_at_is_seen(world: World) -> None:
    for number in range(70):
        world.move(f"user-{number}", "VERIFIED", at=f"2026-10-05T03:{number % 60:02}:{number // 60:02}.000Z")
    world.now = datetime(2026, 11, 15, tzinfo=UTC)
    seen: list[int] = []
    made = Register(world.store, VERIFIED, FIRST, END, seen=seen.append)
    assert len(list(made.rows())) == sum(seen) == 70
    assert made.as_of == utc_text(world.now)
