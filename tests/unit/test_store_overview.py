"""The index `overview`: lists of users and changes agree with the table, whatever happened to it."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from time import sleep
from typing import Any
from unittest import mock

import pytest

import honnin.erasure
from honnin import commit
from honnin.erasure import Erasure
from honnin.errors import HonninError
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store import Effect, Page, PublishedEntry, Standing, Store, UserStatus
from honnin.store import overview as index
from honnin.store.keys import entry_key, segment_key, status_key
from honnin.store.overview import IndexNotReadyError
from honnin.store.table import decode, encode
from honnin.times import jst_day, utc_text
from honnin.vault import Vault
from honninctl.restore import LiveFacts, why_left_out
from operations import costs_nights
from tests.fakes import FakeClock
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.tables import create_table, template

STATUSES: dict[str, list[str]] = {"paypay": list(PayPayStatus), "vexora": list(VexoraStatus)}
INDEX = ("user_id", "provider", "status", "since", "at", "event_id", "cause", "from_status", "to_status", "told")


class Crash(BaseException):
    """The execution environment is gone."""


class World:
    """A table in memory, and what moves its users."""

    def __init__(self, timeline_days: int = 0) -> None:
        self.clock = FakeClock()
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, timeline_days=timeline_days, now=self.clock)
        self.vault = Vault("vault", s3("vault"))
        self._number = 0

    def move(self, user_id: str, status: str, provider: str = "paypay", *, stale: bool = False) -> Effect:
        """One event that takes a user to a status."""
        self._number += 1
        self.clock.advance(seconds=1)
        before = self.store.users.status(user_id, provider)
        after = before or UserStatus(user_id, provider, status, 0)
        after = replace(after, status=status, read_at=utc_text(self.clock()))
        event = f"event-{self._number}"
        made = commit.effect(event, "read", before, after, {"code": "X"}, at=self.clock(), cause="webhook")
        made = replace(made, stale=stale)
        self.store.events.apply(made)
        return made

    def erase(self, user_id: str) -> None:
        """Erase a user, as one request would."""
        self.clock.advance(seconds=60)
        erasure = Erasure(
            store=self.store,
            vault=self.vault,
            registers=mock.Mock(),
            paypay=mock.Mock(),
            sweep_later=mock.Mock(),
            publish=mock.Mock(),
            now=self.clock,
        )
        erasure.erase(user_id, unlink=False)

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table."""
        return [decode(item) for item in self.db.scan(TableName="StateTable")["Items"]]

    # --- lists, page by page ---

    def users(self, provider: str, status: str, limit: int = 7, **more: Any) -> list[Standing]:
        """All pages of a list of users."""
        return walked(lambda before: self.store.overview.users(provider, status, limit=limit, before=before, **more))

    def changes(self, first: str, last: str, limit: int = 7, **more: Any) -> list[PublishedEntry]:
        """All pages of a list of changes."""
        return walked(lambda before: self.store.overview.changes(first, last, limit=limit, before=before, **more))

    def check(self) -> None:
        """The lists say what a scan of the whole table says."""
        items = self.items()
        statuses = [item for item in items if item["sk"].startswith("STATUS#")]
        entries = [item for item in items if item["pk"].startswith("USER#") and item["sk"].startswith("AT#")]
        erased = {item["pk"] for item in items if item["sk"].startswith("ERASURE#")} - {item["pk"] for item in statuses}
        for provider, names in STATUSES.items():
            for status in names:
                expected = [item for item in statuses if (item["provider"], item["status"]) == (provider, status)]
                found = self.users(provider, status)
                assert {each.user_id for each in found} == {item["user_id"] for item in expected}
                assert len(found) == len(expected)
                assert [each.since for each in found] == sorted((each.since for each in found), reverse=True)
        counted = Counter((item["provider"], item["status"]) for item in statuses)
        shown = self.store.overview.counts(lambda: True)
        assert shown.exact
        assert {name: number for name, number in shown.users.items() if number} == counted
        days = sorted({jst_day_of(entry) for entry in entries}) or ["2026-04-01"]
        changed = {entry["event_id"] for entry in entries if "told" in entry}
        found_changes = self.changes(days[0], days[-1], limit=100)
        assert {each.event_id for each in found_changes} == changed
        assert len(found_changes) == len(changed)
        assert not {f"USER#{each.user_id}" for each in found_changes} & erased
        placed = [item for item in items if "overview_pk" in item]
        assert all(index.placed(item) == item for item in placed)
        assert not {item["pk"] for item in placed} & erased


def jst_day_of(entry: dict[str, Any]) -> str:
    """The JST day of a timeline entry."""
    from datetime import datetime

    return jst_day(datetime.fromisoformat(entry["at"]))


def walked[R](page: Callable[[str | None], Page[R]]) -> list[R]:
    """What all pages of a list hold."""
    found: list[R] = []
    before: str | None = None
    while True:
        here = page(before)
        found += here.found
        before = here.following
        if before is None:
            return found


@pytest.fixture
def world(aws_environment: None) -> Iterator[World]:
    with memory_aws():
        yield World()


# --- what is written ---


def test_a_reading_that_changes_nothing_leaves_the_index_as_it_is(world: World) -> None:
    world.move("user-1", "VERIFIED")
    first = world.db.get_item(TableName="StateTable", Key=encode(status_key("user-1", "paypay")))["Item"]
    read = world.move("user-1", "VERIFIED")
    second = world.db.get_item(TableName="StateTable", Key=encode(status_key("user-1", "paypay")))["Item"]
    entry = entry_key("user-1", read.at, read.event_id)

    projected = {"pk", "sk", "overview_pk", "overview_sk", *INDEX, "expires_at"}
    assert first != second
    assert {name: value for name, value in first.items() if name in projected} == {
        name: value for name, value in second.items() if name in projected
    }
    assert "overview_pk" not in world.db.get_item(TableName="StateTable", Key=encode(entry))["Item"]


def test_the_index_adds_no_call_and_no_write_to_the_transaction(world: World) -> None:
    with (
        mock.patch.object(index, "placed", side_effect=lambda item: item),
        mock.patch("honnin.store.events.placed", side_effect=lambda item: item),
    ):
        without = calls_of(world, "user-1")
    assert calls_of(world, "user-2") == without


def calls_of(world: World, user_id: str) -> list[tuple[str, int]]:
    """The calls of a change, each with the number of writes in it."""
    seen: list[tuple[str, int]] = []

    def note(params: Any, **_: Any) -> None:
        seen.append(("call", len(params.get("TransactItems", ()))))

    events = world.db.meta.events
    events.register("provide-client-params.dynamodb.TransactWriteItems", note)
    events.register("provide-client-params.dynamodb.GetItem", note)
    world.move(user_id, "LINKED")
    world.move(user_id, "VERIFIED")
    events.unregister("provide-client-params.dynamodb.TransactWriteItems", note)
    events.unregister("provide-client-params.dynamodb.GetItem", note)
    return seen


def test_what_the_index_holds_of_an_item_is_in_the_template() -> None:
    indexes = template()["Resources"]["StateTable"]["Properties"]["GlobalSecondaryIndexes"]
    projection = next(each for each in indexes if each["IndexName"] == "overview")["Projection"]

    assert projection["ProjectionType"] == "INCLUDE"
    assert {*projection["NonKeyAttributes"]} == {*INDEX, "expires_at"}


def test_a_thousand_changes_a_second_meet_no_hot_partition() -> None:
    """A partition of an index takes 1,000 writes a second; the shards share them evenly."""
    places = Counter(
        str(
            index.placed(status_key(f"user-{number:05}", "paypay") | {"status": "VERIFIED", "since": "2026"})[
                "overview_pk"
            ]
        )
        for number in range(10_000)
    )

    assert len(places) == 16
    assert max(places.values()) < 1.2 * 10_000 / 16


def test_what_docs_costs_says_a_status_takes_in_the_index_is_so(world: World) -> None:
    world.move("user-0000-0000-0000", "RISK_FLAGGED")
    place = next(each["overview_pk"] for each in world.items() if "since" in each)
    held: Any = world.db.query(
        TableName="StateTable",
        IndexName="overview",
        KeyConditionExpression="overview_pk = :pk",
        ExpressionAttributeValues={":pk": {"S": place}},
    )
    [item] = held["Items"]
    size = sum(len(name) + len(next(iter(value.values()))) for name, value in item.items())

    assert 0.8 * costs_nights.INDEXED_BYTES < size <= costs_nights.INDEXED_BYTES


# --- what is read ---


def test_the_latest_change_comes_first_and_since_leaves_out_what_is_older(world: World) -> None:
    moments = [world.move(f"user-{number:02}", "VERIFIED").at for number in range(40)]

    assert [each.user_id for each in world.users("paypay", "VERIFIED")] == [f"user-{n:02}" for n in range(39, -1, -1)]
    late = world.users("paypay", "VERIFIED", since=moments[30])
    assert [each.since for each in late] == moments[:29:-1]


@pytest.mark.parametrize("limit", [1, 3, 16, 40, 100])
def test_nobody_who_stays_is_missed_or_shown_twice_while_others_move(world: World, limit: int) -> None:
    chance = random.Random(limit)
    for number in range(120):
        world.move(f"user-{number}", "RISK_FLAGGED")
    movers = {f"user-{number}" for number in range(0, 120, 3)}
    seen: list[str] = []
    before: str | None = None
    while True:
        page = world.store.overview.users("paypay", "RISK_FLAGGED", limit=limit, before=before)
        assert len(page.found) <= limit
        seen += [each.user_id for each in page.found]
        for user_id in chance.sample(sorted(movers), 5):
            world.move(user_id, chance.choice(["RISK_FLAGGED", "VERIFIED"]))
        if (before := page.following) is None:
            break

    stayed = [each for each in seen if each not in movers]
    assert sorted(stayed) == sorted({f"user-{number}" for number in range(120)} - movers)


def test_users_who_moved_in_the_same_millisecond_are_all_there(world: World) -> None:
    with mock.patch.object(FakeClock, "advance"):
        for number in range(50):
            world.move(f"user-{number}", "VERIFIED")

    assert len({each.user_id for each in world.users("paypay", "VERIFIED", limit=3)}) == 50


def test_changes_are_of_japanese_days(world: World) -> None:
    world.clock.now = world.clock.now.replace(hour=14, minute=59, second=58)  # 23:59:58 in Japan
    first, second = world.move("user-1", "LINKED"), world.move("user-1", "VERIFIED")
    days = [jst_day(world.clock.now - timedelta(days=1)), jst_day(world.clock.now)]
    assert first.at[:10] == second.at[:10]

    assert [each.event_id for each in world.changes(days[1], days[1])] == [second.event_id]
    assert [each.event_id for each in world.changes(days[0], days[0])] == [first.event_id]
    assert [each.event_id for each in world.changes(days[0], days[1], limit=1)] == [second.event_id, first.event_id]


def test_changes_over_a_year_of_silence_are_found_in_a_few_pages(world: World) -> None:
    made = world.move("user-1", "LINKED")
    day = jst_day(world.clock())

    assert [each.event_id for each in world.changes("2025-04-01", day)] == [made.event_id]
    world.clock.advance(seconds=86_400 * 300)
    assert [each.event_id for each in world.changes(day, jst_day(world.clock()))] == [made.event_id]


def test_changes_are_filtered(world: World) -> None:
    for number in range(30):
        world.move(f"user-{number}", "LINKED")
        world.move(f"user-{number}", "RISK_FLAGGED" if number % 10 == 0 else "VERIFIED")
        world.move(f"user-{number}", "APPROVED", "vexora")
    day = jst_day(world.clock())

    flagged = world.changes(day, day, to_status="RISK_FLAGGED")
    assert [each.user_id for each in flagged] == ["user-20", "user-10", "user-0"]
    assert len(world.changes(day, day, provider="vexora")) == 30
    assert world.changes(day, day, provider="vexora", to_status="RISK_FLAGGED") == []


def test_a_filtered_list_goes_on_where_a_page_of_the_index_ended(world: World) -> None:
    """One page of each shard is enough for one call, however little of it is wanted."""
    for number in range(60):
        world.move(f"user-{number}", "VERIFIED" if number % 20 else "RISK_FLAGGED")
    day = jst_day(world.clock())
    query = world.db.query

    def of_two(**request: Any) -> Any:
        return query(**{**request, "Limit": 2})

    pages: list[Page[PublishedEntry]] = []
    with mock.patch.object(world.store.table.db, "query", of_two, create=True):
        before: str | None = None
        while True:
            page = world.store.overview.changes(day, day, limit=10, before=before, to_status="RISK_FLAGGED")
            pages.append(page)
            if (before := page.following) is None:
                break

    assert [each.user_id for page in pages for each in page.found] == ["user-40", "user-20", "user-0"]
    assert len(pages) > 2


def test_what_was_told_without_a_change_is_replayed_and_is_no_change(world: World) -> None:
    submitted = world.move("user-1", "PENDING", "vexora")
    stale = world.move("user-1", "PENDING", "vexora", stale=True)
    day = jst_day(world.clock())

    assert [each.event_id for each in world.changes(day, day)] == [submitted.event_id]
    published = list(world.store.overview.published(submitted.at, utc_text(world.clock.now + timedelta(days=1))))
    assert [(each.event_id, each.told) for each in published] == [
        (submitted.event_id, ("KycStatusChanged",)),
        (stale.event_id, ("SubmissionStale",)),
    ]
    assert [each.event_id for each in world.store.overview.published(stale.at, utc_text(world.clock.now))] == []
    assert [each.event_id for each in world.store.overview.published(submitted.at, stale.at)] == [submitted.event_id]


def test_many_entries_without_a_change_take_few_calls(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which many ends are published ahead."""
    monkeypatch.setattr(index, "PLACES", ("0",))
    monkeypatch.setattr(index, "_shard", lambda _: "0")
    day = jst_day(world.clock())
    for _ in range(2_000):
        world.clock.advance(seconds=1)
        at, user = utc_text(world.clock()), {"provider": "paypay", "cause": "poll", "to_status": "VERIFIED"}
        entry = entry_key("user-1", at, f"notification-{at}") | {"at": at, "event_id": f"notification-{at}", **user}
        world.store.table.put([index.placed(entry | {"told": ["AuthorizationExpiring"]})])
    pages = mock.Mock(wraps=world.store.table.page)
    monkeypatch.setattr(world.store.table, "page", pages)

    assert world.changes(day, jst_day(world.clock()), limit=50) == []
    assert pages.call_count < 15


def test_a_replay_of_everything_reads_no_day_of_which_nothing_can_be_left(world: World) -> None:
    made = world.move("user-1", "LINKED")
    asked = mock.Mock(wraps=world.store.table.items)
    with mock.patch.object(world.store.table, "items", asked):
        [[record]] = world.store.replay.published("2000-01-01T00:00:00.000Z", "9999-12-01T00:00:00.000Z")

    assert record.event_id == made.event_id
    assert asked.call_count < 16 * 405


def test_what_has_expired_is_in_no_list(aws_environment: None) -> None:
    with memory_aws():
        world = World(timeline_days=30)
        made = world.move("user-1", "LINKED")
        day = jst_day(world.clock())
        assert [each.event_id for each in world.changes(day, day)] == [made.event_id]
        world.clock.advance(seconds=86_400 * 31)
        assert world.changes(day, day) == []


# --- counts ---


def test_counts_that_find_no_time_are_estimated_from_the_shards_that_were_counted(world: World) -> None:
    for number in range(4_000):
        world.store.table.put(
            [index.placed(status_key(f"u{number}", "paypay") | {"status": "VERIFIED", "since": "2026-04-01"})]
        )
    asked = Counter[str]()

    def half() -> bool:
        asked["times"] += 1
        return asked["times"] <= 34 * 8

    with mock.patch.object(index, "_AT_ONCE", 1):
        counts = world.store.overview.counts(half)

    assert not counts.exact
    assert counts.users["paypay", "VERIFIED"] == pytest.approx(4_000, rel=0.1)


@pytest.mark.parametrize("pages", [0, 1, 33])
def test_counts_without_one_whole_shard_are_no_counts(world: World, pages: int) -> None:
    for number in range(100):
        world.move(f"user-{number}", "APPROVED", "vexora")
    left = iter(range(pages))

    with mock.patch.object(index, "_AT_ONCE", 1), pytest.raises(IndexNotReadyError):
        world.store.overview.counts(lambda: next(left, None) is not None)


# --- items that nobody of ours wrote ---


@pytest.mark.parametrize(
    "odd",
    [
        {"sk": "STATUS#paypay"},
        {"sk": "STATUS#paypay", "status": "VERIFIED"},
        {"sk": "STATUS#paypay", "version": 3},
        {"sk": "AT#2026-04-01T03:00:00.000Z#x", "told": "KycStatusChanged"},
        {"sk": "AT#2026-04-01T03:00:00.000Z#x"},
        {"sk": "STRANGE"},
    ],
)
def test_an_odd_item_stops_no_rebuilding(world: World, odd: dict[str, Any]) -> None:
    world.move("user-1", "APPROVED", "vexora")
    world.store.table.put([{"pk": "USER#odd", **odd}, {"pk": "USER#user-1", **odd}])
    seen: list[int] = []

    world.store.reindex.run(
        world.store.reindex.begin("2026-04-01T03:00:00.000Z", 2), lambda page: seen.append(page.looked_at)
    )

    assert sum(seen) > 2
    assert world.store.reindex.under_way() is None


# --- after 3,000 changes ---


@pytest.mark.timeout(300)
def test_lists_agree_with_a_full_scan_after_3_000_changes_with_crashes_and_erasures(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(honnin.erasure, "_RUN_S", 3600)
    chance = random.Random(15)
    moments = Counter[str]()

    def passing(**_: object) -> None:
        moments["left"] -= 1
        if moments["left"] == 0:
            raise Crash

    for name in ("before-call", "after-call"):
        world.db.meta.events.register(name, passing)
    users = [f"user-{number}" for number in range(100)]
    done = Counter[str]()
    while done["moved"] < 3_000:
        user_id, provider = chance.choice(users), chance.choice([*STATUSES])
        moments["left"] = chance.randint(1, 40) if chance.random() < 0.05 else 0
        try:
            if chance.random() < 0.01:
                world.erase(user_id)
                done["erased"] += 1
            else:
                world.move(user_id, chance.choice(STATUSES[provider]), provider)
                done["moved"] += 1
                if chance.random() < 0.0017:
                    world.clock.advance(seconds=86_400)
        except Crash:
            done["crashed"] += 1
        except HonninError:
            done["refused"] += 1
        finally:
            moments["left"] = 0

    world.check()
    assert done["erased"] > 15
    assert done["crashed"] > 15
    for user_id in chance.sample(users, 20):
        world.erase(user_id) if world.store.users.statuses(user_id) else None
    world.check()


# --- an erased user ---


def test_an_erased_user_is_in_no_list_no_count_and_no_replay(world: World) -> None:
    world.move("user-1", "LINKED")
    world.move("user-1", "RISK_FLAGGED")
    world.move("user-1", "APPROVED", "vexora")
    world.move("user-2", "RISK_FLAGGED")
    first = "2026-03-01T00:00:00.000Z"
    world.erase("user-1")
    later = utc_text(world.clock.now + timedelta(days=1))

    world.check()
    assert [each.user_id for each in world.users("paypay", "RISK_FLAGGED")] == ["user-2"]
    assert {each.user_id for each in world.store.overview.published(first, later)} == {"user-2"}
    assert not [item for item in world.items() if item.get("overview_sk", "").endswith("user-1")]


def test_a_user_who_comes_back_is_in_the_lists_again_and_the_past_is_not(world: World) -> None:
    world.move("user-1", "RISK_FLAGGED")
    world.erase("user-1")
    again = world.move("user-1", "LINKED")
    day = jst_day(world.clock())

    assert [each.event_id for each in world.changes("2026-03-01", day)] == [again.event_id]
    assert [each.user_id for each in world.users("paypay", "LINKED")] == ["user-1"]


# --- rebuilding ---


def test_a_rebuilt_index_is_the_same(world: World) -> None:
    for number in range(30):
        world.move(f"user-{number}", "LINKED")
        world.move(f"user-{number}", "VERIFIED")
        world.move(f"user-{number}", "VERIFIED")
    world.erase("user-3")
    before = world.items()
    for item in before:
        world.store.table.put(
            [{name: item[name] for name in item if name not in ("overview_pk", "overview_sk", "since")}]
        )
    assert world.users("paypay", "VERIFIED") == []

    reindex = world.store.reindex
    started = reindex.begin("2026-05-01T00:00:00.000Z", 4)
    assert world.store.overview.rebuilding()
    mended: list[int] = []
    reindex.run(started, lambda progress: mended.append(progress.mended))

    key = lambda item: (item["pk"], item["sk"])  # noqa: E731
    assert sorted(world.items(), key=key) == sorted(before, key=key)
    assert sum(mended) == 29 * 3
    assert not world.store.overview.rebuilding()
    world.check()


def test_a_run_that_broke_off_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honnin.store.reindex._PAGE", 10)
    for number in range(60):
        world.move(f"user-{number}", "VERIFIED")
    for item in world.items():
        world.store.table.put([{name: item[name] for name in item if name not in ("overview_pk", "overview_sk")}])
    looked_at: list[int] = []

    def dying(progress: Any) -> None:
        looked_at.append(progress.looked_at)
        if len(looked_at) == 7:
            raise Crash

    reindex = world.store.reindex
    with pytest.raises(Crash):
        reindex.run(reindex.begin("2026-05-01T00:00:00.000Z", 2), dying)
    assert world.store.overview.rebuilding()
    resumed = reindex.begin("2026-06-01T00:00:00.000Z", 16)

    assert (resumed.started_at, resumed.segments) == ("2026-05-01T00:00:00.000Z", 2)
    more: list[int] = []
    reindex.run(resumed, lambda progress: more.append(progress.looked_at))
    assert sum(looked_at) + sum(more) < 2 * 180
    assert not world.store.overview.rebuilding()
    assert not [item for item in world.items() if item["pk"] == "OVERVIEW"]
    world.check()


def test_what_another_run_has_left_behind_counts_for_nothing(world: World) -> None:
    """Of two runs at once the slower one wrote on after the faster one had ended, and was stopped then."""
    for number in range(10):
        world.move(f"user-{number}", "VERIFIED")
    slow = world.store.reindex.begin("2026-05-01T00:00:00.000Z", 1)

    def overtaken(_: Any) -> None:
        world.store.reindex.run(world.store.reindex.begin("2026-05-01T00:00:01.000Z", 1), lambda _: None)
        world.store.table.put([segment_key(0) | {"run": slow.started_at, "done": True}])
        raise Crash

    with pytest.raises(Crash):
        world.store.reindex.run(slow, overtaken)
    assert not world.store.overview.rebuilding()
    for item in world.items():
        world.store.table.put([{name: item[name] for name in item if not name.startswith("overview_")}])

    world.store.reindex.run(world.store.reindex.begin("2026-06-01T00:00:00.000Z", 1), lambda _: None)

    world.check()


def test_the_end_of_a_run_leaves_the_marker_of_the_next_one(world: World) -> None:
    world.move("user-1", "VERIFIED")
    reindex = world.store.reindex
    slow = reindex.begin("2026-05-01T00:00:00.000Z", 1)
    reindex.run(slow, lambda _: None)
    reindex.begin("2026-06-01T00:00:00.000Z", 1)

    reindex.run(slow, lambda _: None)

    assert world.store.overview.rebuilding()


def test_a_segment_that_fails_stops_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops it on a large table does not wait for the ends of eight segments."""
    monkeypatch.setattr("honnin.store.reindex._PAGE", 1)
    for number in range(60):
        world.move(f"user-{number}", "VERIFIED")
    pages: list[int] = []

    def stopped(progress: Any) -> None:
        pages.append(progress.looked_at)
        if len(pages) == 1:
            raise Crash
        sleep(0.005)

    reindex = world.store.reindex
    with pytest.raises(Crash):
        reindex.run(reindex.begin("2026-05-01T00:00:00.000Z", 4), stopped)

    assert len(pages) < 12


def test_a_status_that_does_not_say_since_when_has_it_from_the_timeline(world: World) -> None:
    world.move("user-1", "LINKED")
    began = world.move("user-1", "VERIFIED").at
    world.move("user-1", "APPROVED", "vexora")
    world.move("user-1", "VERIFIED")
    item = next(each for each in world.items() if each["sk"] == "STATUS#paypay")
    world.store.table.put([{name: value for name, value in item.items() if name not in ("since", "overview_pk")}])

    world.store.reindex.run(world.store.reindex.begin(began, 1), lambda _: None)

    assert [each.since for each in world.users("paypay", "VERIFIED")] == [began]


def test_a_rebuilding_is_not_brought_back_from_a_restored_table(world: World) -> None:
    """Its marker would say for ever that the lists are being rebuilt."""
    world.store.reindex.begin("2026-05-01T00:00:00.000Z", 4)
    facts = LiveFacts(frozenset(), frozenset(), frozenset())

    [stored] = [each for each in world.store.restore.everything() if each.kind == "overview"]

    assert why_left_out(stored, facts, 0) == "of a rebuilding of the index"
