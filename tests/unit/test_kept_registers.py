"""Kept registers: complete, for 30 days, and without whoever is erased, whatever happens at the same time."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import honnin.kept_registers
import honnin.register
from honnin.errors import ConcurrentUpdateError
from honnin.kept_registers import FOLDER, KeptRegisters, NewRegister, RegisterEndedError, line_of, new_name, row_of
from honnin.register import VERIFIED, Register, Row
from tests.fakes.memory import memory_aws, s3
from tests.fakes.register_world import END, FIRST, World

# A few parts instead of 256, so that users share them.
SHARDS = ("a", "b", "c")


class OneByOne:
    """In place of threads: a run can be repeated."""

    def __init__(self, *_: Any) -> None: ...

    def __enter__(self) -> "OneByOne":
        return self

    def __exit__(self, *_: object) -> None: ...

    map = staticmethod(map)


@pytest.fixture
def few_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(honnin.kept_registers, "PARTS", SHARDS)
    monkeypatch.setattr(honnin.kept_registers, "part_of", lambda name: SHARDS[sum(name.encode()) % len(SHARDS)])
    for module in (honnin.kept_registers, honnin.register):
        monkeypatch.setattr(module, "ThreadPoolExecutor", OneByOne)


@pytest.fixture
def world(aws_environment: None, few_parts: None) -> Iterator[World]:
    with memory_aws():
        yield World()


def keep(world: World, folder: Path, *, made: Callable[[], object] = lambda: None) -> str:
    """Keep a register of October, as the command does; `made` is called before its rows are written."""
    folder.mkdir(parents=True)
    name = new_name(world.now)
    written = NewRegister("recon", name, folder, world.store.erasure.certificates, s3())
    for row in Register(world.store, VERIFIED, FIRST, END).rows():
        written.add(row)
    made()
    rows = written.write()
    world.registers.end(name, {"name": name, "rows": rows})
    return name


def everything() -> list[tuple[str, bytes]]:
    """Every version of every object of the bucket, current or not."""
    client = s3()
    pages = client.get_paginator("list_object_versions").paginate(Bucket="recon", Prefix=FOLDER)
    return [
        (
            each["Key"],
            client.get_object(Bucket="recon", Key=each["Key"], VersionId=each["VersionId"])["Body"].read(),
        )
        for page in pages
        for each in page.get("Versions", [])
    ]


def named() -> set[str]:
    """Whoever is named by any version of anything that is kept."""
    rows = [row_of(line) for key, body in everything() if "/about/" not in key for line in body.splitlines()[1:]]
    return {each.user_id for each in rows if each.user_id}


def in_it(world: World, name: str) -> list[str]:
    return sorted(each.user_id or "" for each in world.registers.rows(name))


def test_a_kept_register_has_the_rows_of_the_register(world: World, tmp_path: Path) -> None:
    for number in range(40):
        world.move(f"user-{number}", "VERIFIED", at=f"2026-10-05T03:00:{number:02}.000Z")
    world.move("user-1", "RISK_FLAGGED", at="2026-10-07T03:00:00.000Z")
    name = keep(world, tmp_path / "1")

    assert world.registers.names() == [name]
    assert sorted(map(line_of, world.registers.rows(name))) == sorted(map(line_of, world.rows()))


@pytest.mark.parametrize("user_id", ["user-1", '"=1\n\u2028"', "山田 太郎", "a\r\nb", "~"])
def test_a_row_is_read_as_it_was_written(user_id: str) -> None:
    row = Row(user_id, "paypay", "VERIFIED", "2026-10-05T03:00:00.000Z", flags=(("2026-11-01", "RISK_FLAGGED"),))
    assert row_of(line_of(row)) == row
    assert b"\n" not in line_of(row)


def test_a_register_that_was_not_completed_is_not_shown(world: World, tmp_path: Path) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    with pytest.raises(InterruptedError):
        keep(world, tmp_path / "1", made=mock.Mock(side_effect=InterruptedError))
    assert world.registers.names() == []


def test_a_part_that_has_ended_is_no_register_without_its_rows(world: World, tmp_path: Path) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    name = keep(world, tmp_path / "1")
    s3().delete_object(Bucket="recon", Key=f"{FOLDER}b/{name}")
    with pytest.raises(RegisterEndedError):
        list(world.registers.rows(name))


# --- erasing ---


def test_an_erased_user_is_in_no_version_of_any_register_and_others_stay(world: World, tmp_path: Path) -> None:
    for number in range(9):
        world.move(f"user-{number}", "VERIFIED", at=f"2026-10-05T03:00:0{number}.000Z")
    names = []
    for number in range(3):
        world.now += timedelta(days=1)
        names.append(keep(world, tmp_path / str(number)))
    world.erase("user-4")

    assert named() == {f"user-{number}" for number in range(9)} - {"user-4"}
    for name in names:
        assert in_it(world, name) == sorted(f"user-{number}" for number in range(9) if number != 4)


def test_whoever_came_back_stays_in_a_register_that_was_made_since(world: World, tmp_path: Path) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    world.erase("user-1")
    world.move("user-1", "VERIFIED", at="2026-10-20T03:00:00.000Z")
    name = keep(world, tmp_path / "1")
    # Only what is older than the erasure goes, whenever the bucket is looked through.
    world.registers.forget("user-1", "2026-10-05T03:02:00.000Z")
    assert in_it(world, name) == ["user-1"]
    world.erase("user-1")
    assert in_it(world, name) == []


def test_an_erasure_while_a_register_is_being_written_is_not_undone_by_it(world: World, tmp_path: Path) -> None:
    for number in range(9):
        world.move(f"user-{number}", "VERIFIED", at=f"2026-10-05T03:00:0{number}.000Z")
    name = keep(world, tmp_path / "1", made=lambda: world.erase("user-4"))
    assert in_it(world, name) == sorted(f"user-{number}" for number in range(9) if number != 4)
    assert "user-4" not in named()
    about = world.registers.about(name)
    assert about
    assert about["rows"] == 8


def test_whoever_was_erased_long_ago_and_came_back_is_not_left_out_because_another_one_is_erased(
    world: World, tmp_path: Path
) -> None:
    world.move("user-1", "VERIFIED", at="2026-09-05T03:00:00.000Z")
    world.erase("user-1")
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    world.move("user-4", "VERIFIED", at="2026-10-06T03:00:00.000Z")  # in the same part
    name = keep(world, tmp_path / "1", made=lambda: world.erase("user-4"))
    assert in_it(world, name) == ["user-1"]


def test_a_register_that_is_begun_just_before_the_timeline_says_erased(world: World, tmp_path: Path) -> None:
    """The index, which follows the table, still has the user; the timeline does not say yet that they are erased."""
    since = world.move("user-1", "VERIFIED", at="2026-09-05T03:00:00.000Z")
    listed = [("user-1", f"{since}#user-1")]
    stale = mock.patch.object(
        world.store.overview, "of_shard", lambda *place: listed if place == ("paypay", "VERIFIED", "0") else []
    )
    end, names = world.store.erasure.end, []

    def kept_before(*arguments: Any) -> Any:
        with stale:
            names.append(keep(world, tmp_path / "1"))
        assert named() == {"user-1"}
        return end(*arguments)

    with mock.patch.object(world.store.erasure, "end", kept_before):
        world.erase("user-1")
    assert names == world.registers.names()
    assert named() == set()


def test_two_users_of_one_part_who_are_erased_at_the_same_time_are_both_gone(world: World, tmp_path: Path) -> None:
    for user_id in ("user-1", "user-4"):
        world.move(user_id, "VERIFIED", at="2026-10-05T03:00:00.000Z")
    keep(world, tmp_path / "1")
    read, others = s3().get_object, [lambda: world.registers.forget("user-4")]

    def then_another(**request: Any) -> Any:
        found = read(**request)
        if others and "/about/" not in request["Key"]:
            others.pop()()
        return found

    with mock.patch.object(s3(), "get_object", then_another, create=True):
        world.registers.forget("user-1")
    assert named() == set()


@pytest.mark.parametrize("call", [1, 2])
def test_a_certificate_is_completed_after_the_registers_and_a_repeat_goes_on(
    world: World, tmp_path: Path, call: int
) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    keep(world, tmp_path / "1")
    forget, outcomes = world.registers.forget, [Killed] if call == 1 else [None, Killed]

    def killed(*arguments: Any, **more: Any) -> Any:
        if outcomes and outcomes.pop(0):
            raise Killed
        return forget(*arguments, **more) if call == 1 else frozenset()

    with mock.patch.object(world.registers, "forget", killed), pytest.raises(Killed):
        world.erase("user-1")
    [certificate] = world.store.erasure.certificates("user-1")
    assert bool(certificate.completed_at) == (call == 2)
    world.erase("user-1")
    assert named() == set()


def test_a_register_that_was_given_up_names_nobody_who_is_erased_later(world: World, tmp_path: Path) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    with (
        mock.patch.object(KeptRegisters, "end", side_effect=InterruptedError),
        pytest.raises(InterruptedError),
    ):
        keep(world, tmp_path / "1")
    assert named() == {"user-1"}
    world.erase("user-1")
    assert named() == set()


def test_an_erasure_never_lengthens_the_life_of_a_register_beyond_its_thirty_days(world: World, tmp_path: Path) -> None:
    """S3 counts from the last time that an object was written."""
    for user_id in ("user-1", "user-4"):
        world.move(user_id, "VERIFIED", at="2026-10-05T03:00:00.000Z")
    keep(world, tmp_path / "1")
    world.now += timedelta(days=31)
    world.registers.forget("user-1")
    assert named() == set()  # user-4 is in the same part


def test_the_time_of_an_erasure_may_end_between_two_registers_and_the_next_call_goes_on(
    world: World, tmp_path: Path
) -> None:
    world.move("user-1", "VERIFIED", at="2026-10-05T03:00:00.000Z")
    for number in range(4):
        world.now += timedelta(days=1)
        keep(world, tmp_path / str(number))
    calls = 0
    while "user-1" in named():
        may_go_on = mock.Mock(side_effect=[*[None] * 6, ConcurrentUpdateError("no time")])
        with suppress(ConcurrentUpdateError):
            world.registers.forget("user-1", may_go_on=may_go_on)
        calls += 1
        assert calls < 10
    assert calls > 1


# --- at any moment ---


class Killed(BaseException):
    """The process is gone."""


class Interleaved:
    """Before each call of S3 or of the table, something else may happen, or the process may be killed."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world = world
        self.chance = chance
        self.left = 0
        self.busy = False
        self.erased: set[str] = set()
        self.users = [f"user-{number}" for number in range(6)]
        for client in (s3(), world.db):
            for operation in ("put_object", "get_object", "delete_object", "list_object_versions", "query"):
                if (client is s3()) == (operation != "query"):
                    setattr(client, operation, self._before(getattr(client, operation)))

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def then(**request: Any) -> Any:
            self._happens()
            return call(**request)

        return then

    def _happens(self) -> None:
        if self.left > 0 and self.chance.random() < 0.15:
            self.left -= 1
            if self.chance.random() < 0.3:
                raise Killed
            if not self.busy:
                self.busy = True
                try:
                    self.erase(self.chance.choice(self.users))
                finally:
                    self.busy = False

    def erase(self, user_id: str) -> None:
        """Erase a user who is known; the caller repeats it until it is answered."""
        if not self.world.store.users.statuses(user_id) and user_id not in self.erased:
            return
        for _ in range(20):
            with suppress(Killed, ConcurrentUpdateError):
                self.world.erase(user_id)
                self.erased.add(user_id)
                return
        raise AssertionError("the erasure never ends")


@given(st.randoms(use_true_random=False), st.integers(1, 12))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_registers_erasures_and_crashes_in_any_order_leave_nobody_named_who_was_erased(
    aws_environment: None, few_parts: None, tmp_path_factory: pytest.TempPathFactory, chance: random.Random, left: int
) -> None:
    with memory_aws():
        world = World()
        world.now = datetime(2026, 10, 3, tzinfo=UTC)
        mixed = Interleaved(world, chance)
        for user_id in mixed.users:
            world.move(user_id, "VERIFIED")
        kept: list[str] = []
        for number in range(3):
            world.now += timedelta(hours=1)
            mixed.left = left
            with suppress(Killed):
                kept.append(keep(world, tmp_path_factory.mktemp("register") / str(number)))
            if chance.random() < 0.5:
                with suppress(Killed):
                    mixed.erase(chance.choice(mixed.users))
            mixed.left = 0
            assert not named() & mixed.erased, json.dumps([key for key, _ in everything()])
        # Whoever is not erased is in each register that was completed, once.
        there = set(mixed.users) - mixed.erased
        for name in kept:
            assert there <= set(in_it(world, name))
            assert len(in_it(world, name)) == len(set(in_it(world, name)))
