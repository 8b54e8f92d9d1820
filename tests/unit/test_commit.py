"""Committing what was decided: races won and lost, deadlines, repeats, and a bus that is down."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from honnin import commit
from honnin.commit import CALLER_WAITS, Commits
from honnin.errors import ConcurrentUpdateError, HonninError
from honnin.publish import Publisher
from honnin.store import AlreadyAppliedError, Dropped, Effect, Store, Unattached, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence, Vault, selfie
from tests.fakes import FakeBus, FakeClock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

USER = UserStatus("user-1", "paypay", "LINKED", 1, read_at="2026-04-01T02:00:00.000Z")
SECOND = timedelta(seconds=1)


class Desk:
    """One user in a table in memory, a bus, and others who move the user while a decision is made."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store("table", cast("DynamoDBClient", MemoryDynamoDB()), now=self.clock)
        self.bus = FakeBus()
        self.commits = Commits(self.store, Publisher("bus", self.store, self.bus.client).publish_or_leave, self.clock)
        self.decisions = 0
        self.slept: list[float] = []
        self.bucket = MemoryS3()
        self.may_delete = True
        self.store.events.apply(Effect("first", "linked", "api", "2026-04-01T02:00:00.000Z", None, USER, {}))

    def sleep(self, seconds: float) -> None:
        """Time passes."""
        self.slept.append(seconds)
        self.clock.advance(seconds=seconds)

    def user(self) -> UserStatus:
        """The user as in the table."""
        found = self.store.users.status("user-1", "paypay")
        assert found is not None
        return found

    def effect(self, before: UserStatus, status: str = "VERIFIED", event_id: str = "event-1") -> Effect:
        """The user gets that status."""
        after = replace(before, status=status)
        return commit.effect(event_id, "kyc_read", before, after, {"product": "kyc_info"}, at=self.clock())

    def overtake(self, status: str = "NOT_COMPLETED") -> None:
        """Another worker moves the user."""
        self.store.events.apply(self.effect(self.user(), status, f"other-{self.user().version}"))

    def decide(self, races: int, *, takes: timedelta = SECOND) -> Callable[[], Effect]:
        """A decision that so many times is overtaken while it is made."""

        def decide() -> Effect:
            self.decisions += 1
            before = self.user()
            self.clock.now += takes
            if self.decisions <= races:
                self.overtake()
            return self.effect(before)

        return decide

    def versions(self) -> list[str]:
        """The keys of all versions in the vault."""
        return [each["Key"] for each in self.bucket.list_object_versions().get("Versions", [])]

    def entries(self) -> list[tuple[str, str | None, str]]:
        """The timeline: event, from, to."""
        return [
            (each.event_id, each.from_status, each.to_status) for each in self.store.users.timeline("user-1", 100)[0]
        ]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(commit, "sleep", made.sleep)
    return made


# The one way to build an effect


def test_an_effect_has_the_next_version_and_no_empty_details(desk: Desk) -> None:
    made = commit.effect("e", "kyc_read", USER, USER, {"a": "1", "b": ""}, at=desk.clock(), cause="poll")

    assert made == Effect(
        "e",
        "kyc_read",
        "poll",
        "2026-04-01T03:00:00.000Z",
        USER,
        replace(USER, version=desk.clock.epoch_ms()),
        {"a": "1"},
    )


def test_the_version_of_a_new_user_is_the_time_and_so_greater_than_before_an_erasure(desk: Desk) -> None:
    made = commit.effect("e", "linked", None, replace(USER, version=0), {}, at=desk.clock())

    assert (made.before, made.after.version, made.cause) == (None, desk.clock.epoch_ms(), "api")


@pytest.mark.parametrize("ahead", [0, 1, 5_000])
def test_the_version_grows_even_within_a_millisecond_and_behind_a_clock_that_was_ahead(desk: Desk, ahead: int) -> None:
    before = replace(USER, version=desk.clock.epoch_ms() + ahead)
    assert commit.effect("e", "read", before, before, {}, at=desk.clock()).after.version == before.version + 1


# Races


def test_what_was_decided_is_applied_and_published(desk: Desk) -> None:
    done = desk.commits.run(desk.decide(0))

    assert desk.user() == done.after
    assert desk.user().status == "VERIFIED"
    assert desk.user().version > USER.version
    assert len(desk.bus.entries) == 1
    record = desk.store.events.get("event-1")
    assert record is not None
    assert record.published


@pytest.mark.parametrize("races", [1, 4])
def test_a_lost_race_is_decided_again_from_what_the_winner_left(desk: Desk, races: int) -> None:
    done = desk.commits.run(desk.decide(races), until=desk.clock() + 9 * SECOND)

    assert desk.decisions == races + 1
    assert done.before is not None
    assert done.before.status == "NOT_COMPLETED"
    assert done.after.version > done.before.version > USER.version
    assert ("event-1", "NOT_COMPLETED", "VERIFIED") in desk.entries()
    assert len(desk.bus.entries) == 1


@pytest.mark.parametrize(("seconds", "decisions"), [(0, 1), (1, 2), (5, 4), (9, 6)])
def test_the_last_race_is_the_one_that_is_lost_after_the_deadline(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, seconds: int, decisions: int
) -> None:
    monkeypatch.setattr("random.uniform", lambda _least, most: most)
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(99), until=desk.clock() + seconds * SECOND)

    assert desk.decisions == decisions
    assert desk.user().status == "NOT_COMPLETED"
    assert "event-1" not in {event_id for event_id, _, _ in desk.entries()}
    assert list(desk.bus.entries) == []


# Between two tries


@pytest.mark.parametrize("behind_s", [0.5, 3, 4.9])
def test_a_clock_that_is_behind_costs_a_few_tries_until_it_has_caught_up(desk: Desk, behind_s: float) -> None:
    """Found: a clock 3 s behind asked PayPay 20 times for one event."""
    ahead = utc_text(desk.clock() + timedelta(seconds=behind_s))
    before = desk.user()
    desk.store.events.apply(
        replace(desk.effect(before, "VERIFIED", "other"), after=replace(before, version=2, read_at=ahead))
    )

    def decide() -> Effect:
        desk.decisions += 1
        now = desk.user()
        return commit.effect(
            "event-1", "kyc_read", now, replace(now, read_at=utc_text(desk.clock())), {}, at=desk.clock()
        )

    done = desk.commits.run(decide, until=desk.clock() + timedelta(seconds=5))

    assert desk.user() == done.after
    assert desk.decisions <= 8
    assert sum(desk.slept) >= behind_s


@pytest.mark.parametrize("seconds", [1, 4, 5, 60])
def test_tries_that_take_no_time_are_few_all_the_same(desk: Desk, seconds: int) -> None:
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(999, takes=timedelta()), until=desk.clock() + seconds * SECOND)

    assert desk.decisions <= 8 + seconds / 1.6


def test_pauses_grow_and_differ_between_workers(desk: Desk) -> None:
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(999, takes=timedelta()), until=desk.clock() + 60 * SECOND)
    first = desk.slept[:-1]
    assert all(least / 2 <= each <= least for each, least in zip(first, [0.2, 0.4, 0.8, 1.6, 3.2], strict=False))
    assert max(first) <= 3.2

    desk.slept.clear()
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(9999, takes=timedelta()), until=desk.clock() + 60 * SECOND)
    assert desk.slept[:5] != first[:5]


# The evidence of a reading


def evidence(desk: Desk, body: bytes = b"{}", retention_days: int = 0) -> Evidence:
    """PayPay's answer at this moment."""
    client = cast("S3Client", desk.bucket)
    vault = Vault("vault", client, retention_days=retention_days, may_delete=desk.may_delete)
    return vault.evidence(
        provider="paypay", user_id="user-1", product="kyc_info", read_at=desk.clock(), body=body, kept=desk.user().kept
    )


def reads(desk: Desk, races: int = 0, body: bytes = b"{}", event_id: str = "event-1") -> Callable[[], Effect]:
    """A decision from an answer of PayPay's, that so many times is overtaken while it is made."""

    def decide() -> Effect:
        desk.decisions += 1
        before = desk.user()
        proof = evidence(desk, body)
        if desk.decisions <= races:
            desk.overtake()
        after = replace(before, status="VERIFIED", read_at=utc_text(desk.clock()))
        return commit.effect(event_id, "kyc_read", before, after, {}, at=desk.clock(), evidence=proof)

    return decide


@pytest.mark.parametrize("races", [0, 1, 7])
def test_a_reading_that_lost_its_race_leaves_no_object(desk: Desk, races: int) -> None:
    done = desk.commits.run(reads(desk, races))

    assert desk.versions() == [done.detail["snapshot"]]
    assert desk.user().kept == {"kyc_info": {"snapshot": done.detail["snapshot"]}}


@pytest.mark.parametrize("races", [1, 99])
def test_who_gives_up_leaves_no_object(desk: Desk, races: int) -> None:
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(reads(desk, races), until=desk.clock() - SECOND)

    assert desk.versions() == []
    assert desk.user().kept is None


@pytest.mark.parametrize("may_delete", [True, False])
def test_what_is_kept_too_late_has_its_object(desk: Desk, *, may_delete: bool) -> None:
    desk.may_delete = may_delete
    done = desk.commits.run(reads(desk, 99), until=desk.clock() + CALLER_WAITS, late=desk.commits.unmoved)

    assert desk.versions() == [done.detail["snapshot"]]


def overtaken_at_the_last_moment(desk: Desk, monkeypatch: pytest.MonkeyPatch, races: int) -> None:
    """Another worker moves the user when the object is written already, so many times."""
    apply, left = desk.store.events.apply, iter(range(races))

    def late(effect: Effect) -> None:
        if effect.evidence and next(left, None) is not None:
            monkeypatch.setattr(desk.store.events, "apply", apply)
            desk.overtake()
            monkeypatch.setattr(desk.store.events, "apply", late)
        apply(effect)

    monkeypatch.setattr(desk.store.events, "apply", late)


@pytest.mark.parametrize("races", [1, 3])
@pytest.mark.parametrize("may_delete", [True, False])
def test_a_race_that_is_lost_when_the_object_is_there_leaves_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, races: int, *, may_delete: bool
) -> None:
    desk.may_delete = may_delete
    overtaken_at_the_last_moment(desk, monkeypatch, races)

    done = desk.commits.run(reads(desk))

    assert desk.decisions == races + 1
    assert desk.versions() == [done.detail["snapshot"]]
    assert desk.user().kept == {"kyc_info": {"snapshot": done.detail["snapshot"]}}


def test_what_may_not_be_deleted_is_not_named_for_another_answer(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.may_delete = False
    overtaken_at_the_last_moment(desk, monkeypatch, 1)
    bodies = iter([b"before", b"after"])

    done = desk.commits.run(lambda: reads(desk, body=next(bodies))())

    assert desk.bucket.objects[done.detail["snapshot"]] == b"after"
    assert len(desk.versions()) == 2


def test_a_race_that_is_lost_before_the_object_is_written_costs_no_call_of_s3(desk: Desk) -> None:
    with mock.patch.object(desk.bucket, "put_object", wraps=desk.bucket.put_object) as puts:
        desk.commits.run(reads(desk, 7))

    assert puts.call_count == 1


def test_a_repeat_of_an_event_leaves_the_object_of_the_first_only(desk: Desk) -> None:
    first = desk.commits.run(reads(desk))
    with pytest.raises(AlreadyAppliedError):
        desk.commits.once(reads(desk, body=b"[1]")())

    assert desk.versions() == [first.detail["snapshot"]]


def test_the_object_of_a_transaction_without_an_answer_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it was written is not known, and a status must never name what is not there."""
    apply = desk.store.events.apply

    def lost(effect: Effect) -> None:
        apply(effect)
        raise ReadTimeoutError(endpoint_url="https://aws.example.com/")

    monkeypatch.setattr(desk.store.events, "apply", lost)
    with pytest.raises(ReadTimeoutError):
        desk.commits.run(reads(desk))

    [key] = desk.versions()
    assert desk.user().kept == {"kyc_info": {"snapshot": key}}


def test_evidence_that_a_repeated_transaction_has_won_with_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = desk.store.events.apply

    def twice(effect: Effect) -> None:
        apply(effect)
        apply(effect)

    monkeypatch.setattr(desk.store.events, "apply", twice)
    with pytest.raises(AlreadyAppliedError):
        desk.commits.run(reads(desk))

    [key] = desk.versions()
    assert desk.user().kept == {"kyc_info": {"snapshot": key}}


def test_a_selfie_beside_what_is_kept_already_is_taken_back_by_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The object is named by the status, and stays; the selfie could not be fetched at the first reading."""
    first = desk.commits.run(reads(desk))
    snapshot = first.detail["snapshot"]
    overtaken_at_the_last_moment(desk, monkeypatch, 2)

    def again() -> Effect:
        proof = evidence(desk)
        proof.add("selfie", selfie(proof.facts["snapshot"], b"png", "image/png"))
        before = desk.user()
        after = replace(before, read_at=utc_text(desk.clock()))
        return commit.effect("event-2", "kyc_read", before, after, {}, at=desk.clock(), evidence=proof)

    done = desk.commits.run(again)

    assert sorted(desk.versions()) == sorted([snapshot, done.detail["selfie"]])
    assert desk.user().kept == {"kyc_info": {"snapshot": snapshot, "selfie": done.detail["selfie"]}}


def test_what_cannot_be_taken_back_hides_no_lost_race(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(**_: object) -> None:
        raise ClientError({"Error": {"Code": "SlowDown"}}, "DeleteObject")

    monkeypatch.setattr(desk.bucket, "delete_object", refused)
    done = desk.commits.run(reads(desk, 1))

    assert done.detail["snapshot"] in desk.versions()
    assert desk.user().status == "VERIFIED"


@pytest.mark.parametrize("body", [b"{}", b'{"lastName":"\xe6\x9e\xb6\xe7\xa9\xba"}', b""])
def test_what_the_vault_has_is_named_again_and_not_written_again(desk: Desk, body: bytes) -> None:
    first = desk.commits.run(reads(desk, body=body))
    desk.clock.advance(days=30)
    second = desk.commits.run(reads(desk, body=body, event_id="event-2"))
    desk.clock.advance(days=30)
    other = desk.commits.run(reads(desk, body=b"other", event_id="event-3"))
    back = desk.commits.run(reads(desk, body=body, event_id="event-4"))

    assert second.detail == first.detail
    # "The same as the newest": the older one is not searched for.
    assert len({each.detail["snapshot"] for each in (first, other, back)}) == 3
    assert desk.versions() == sorted(each.detail["snapshot"] for each in (first, other, back))


@pytest.mark.parametrize(("days", "again"), [(1, False), (49, False), (50, True), (120, True)])
def test_an_object_that_has_half_of_its_time_behind_it_is_written_anew(desk: Desk, days: int, again: bool) -> None:
    first = desk.commits.run(reads(desk))
    desk.clock.advance(days=days)

    assert (evidence(desk, retention_days=100).facts["snapshot"] != first.detail["snapshot"]) is again


def test_the_older_of_two_readings_is_not_the_newest_evidence(desk: Desk) -> None:
    older = reads(desk, body=b"older", event_id="event-2")()
    desk.clock.advance(seconds=1)
    newer = desk.commits.run(reads(desk, body=b"newer"))

    late = desk.commits.unmoved(older)
    desk.commits.once(late)

    assert late.detail["snapshot"] != newer.detail["snapshot"]
    assert desk.user().kept == {"kyc_info": {"snapshot": newer.detail["snapshot"]}}


def test_without_a_deadline_it_is_decided_until_it_wins(desk: Desk) -> None:
    desk.commits.run(desk.decide(30))

    assert desk.user().status == "VERIFIED"


def test_a_race_inside_of_the_decision_is_the_callers(desk: Desk) -> None:
    def decide() -> Effect:
        desk.decisions += 1
        raise ConcurrentUpdateError("another transaction has the item")

    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(decide)
    assert desk.decisions == 1


# Too late


def test_who_is_too_late_keeps_what_was_read_and_leaves_the_status_to_the_winner(desk: Desk) -> None:
    done = desk.commits.run(desk.decide(9), until=desk.clock() + CALLER_WAITS, late=desk.commits.unmoved)

    assert desk.decisions == 4
    assert (desk.user().status, done.after.status) == ("NOT_COMPLETED", "NOT_COMPLETED")
    assert ("event-1", "NOT_COMPLETED", "NOT_COMPLETED") in desk.entries()
    assert done.detail == {"product": "kyc_info"}
    assert list(desk.bus.entries) == []


def test_what_is_kept_too_late_may_lose_races_of_its_own(desk: Desk) -> None:
    late = iter([desk.overtake, desk.overtake, lambda: None])

    def unmoved(decided: Effect) -> Effect:
        kept = desk.commits.unmoved(decided)
        next(late)()
        return kept

    desk.commits.run(desk.decide(1), until=desk.clock(), late=unmoved)

    assert next(late, None) is None
    assert ("event-1", "NOT_COMPLETED", "NOT_COMPLETED") in desk.entries()


def test_what_is_kept_too_late_has_a_deadline_of_its_own(desk: Desk) -> None:
    def unmoved(decided: Effect) -> Effect:
        kept = desk.commits.unmoved(decided)
        desk.clock.now += SECOND
        desk.overtake()
        return kept

    begun = desk.clock()
    with pytest.raises(ConcurrentUpdateError):
        desk.commits.run(desk.decide(1), until=begun, late=unmoved)
    assert SECOND + CALLER_WAITS < desk.clock() - begun <= SECOND + CALLER_WAITS + SECOND


def test_who_was_erased_meanwhile_gets_no_entry(desk: Desk) -> None:
    gone = desk.effect(replace(USER, user_id="erased"))

    with pytest.raises(ConcurrentUpdateError):
        desk.commits.unmoved(gone)


# Repeats


def test_an_event_that_was_applied_before_is_an_error_and_changes_nothing(desk: Desk) -> None:
    desk.commits.run(desk.decide(0))
    before = desk.entries(), len(desk.bus.entries)

    with pytest.raises(AlreadyAppliedError):
        desk.commits.run(desk.decide(0))
    with pytest.raises(AlreadyAppliedError):
        desk.commits.once(desk.effect(desk.user()))
    assert (desk.entries(), len(desk.bus.entries)) == before


def test_a_caller_may_take_a_repeat_for_a_lost_race(desk: Desk) -> None:
    desk.commits.once(desk.effect(desk.user(), event_id="event-1"))
    ids = iter(["event-1", "event-2"])
    lost: tuple[type[HonninError], ...] = (ConcurrentUpdateError, AlreadyAppliedError)

    done = desk.commits.run(lambda: desk.effect(desk.user(), "RISK_FLAGGED", next(ids)), lost=lost)

    assert (done.event_id, desk.user().status) == ("event-2", "RISK_FLAGGED")


# Publishing


def test_a_bus_that_is_down_leaves_the_change_to_the_poll(desk: Desk) -> None:
    desk.bus.failures.append("ThrottlingException")

    desk.commits.run(desk.decide(0))

    assert list(desk.bus.entries) == []
    later = (desk.clock() + timedelta(minutes=3)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert [each.event_id for each in desk.store.events.unpublished(later) if each.event_id != "first"] == ["event-1"]


def test_an_error_of_publishing_is_no_lost_race(desk: Desk) -> None:
    def publish(_: Effect) -> None:
        raise ConcurrentUpdateError("the record is taken")

    with pytest.raises(ConcurrentUpdateError):
        Commits(desk.store, publish, desk.clock).run(desk.decide(0))
    assert (desk.decisions, desk.user().status) == (1, "VERIFIED")


# What is no effect


@pytest.mark.parametrize("decision", [None, Dropped("event-1", "erased"), USER])
def test_anything_else_than_a_decision_ends_the_loop_and_writes_nothing(desk: Desk, decision: object) -> None:
    assert desk.commits.run(lambda: decision) is decision

    assert [each for each, _, _ in desk.entries()] == ["first"]
    assert desk.store.events.get("event-1") is None


def test_an_event_of_an_unknown_user_waits(desk: Desk) -> None:
    waiting = Unattached("event-1", "paypay", "unknown_user", "webhook", "2026-04-01T03:00:00.000Z", "auth-1", {})

    assert desk.commits.run(lambda: waiting) is waiting

    assert [each.event_id for each in desk.store.links.waiting("auth-1")] == ["event-1"]
    assert list(desk.bus.entries) == []


@pytest.mark.parametrize(("subject", "shared"), [("-", False), ("uaid-1", True)])
def test_events_that_name_nobody_do_not_stand_in_each_others_way(desk: Desk, subject: str, *, shared: bool) -> None:
    """DynamoDB cancels one of two transactions that check or write the same item at one moment."""
    touched: list[set[str]] = []

    def transact(*, TransactItems: list[dict[str, Any]]) -> None:  # noqa: N803
        keys = [each.get("Key") or each["Item"] for write in TransactItems for each in write.values()]
        touched.append({f"{key['pk']['S']} {key['sk']['S']}" for key in keys})

    with mock.patch.object(desk.store.table.db, "transact_write_items", transact):
        for number in range(2):
            at = utc_text(desk.clock())
            desk.store.events.keep(Unattached(f"event-{number}", "paypay", "x", "webhook", at, subject))

    assert bool(touched[0] & touched[1]) == shared
