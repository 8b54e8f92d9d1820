"""What the bus tells: `docs/events/` against the code, and what is really published against `docs/events/`.

`FakeBus` holds every entry of every test against its schema, too.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft4Validator, ValidationError  # type: ignore[import-untyped]

from honnin import commit
from honnin.domain_events import EVENTS
from honnin.erasure import Erasure
from honnin.errors import ConflictError, PublishError, RepairsStoppedError
from honnin.event import Event
from honnin.mass_change import BatchWatch
from honnin.problem_codes import ProblemCode
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.store import Effect, Store, UserStatus
from honnin.times import utc_text
from honnin.vault import Vault
from honnin.vexora.poll import poll
from honnin.vexora.submission import Submissions
from operations import event_schemas
from tests.fakes import FakeBus, FakeClock, FakeVexora
from tests.fakes.aws import check_event
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.tables import create_table

DAY_S = 86_400
DELAYS_S = (600, 3_600, 21_600, DAY_S)

# --- the files ---


def test_the_files_are_what_the_code_says() -> None:
    held = {path: path.read_text(encoding="utf-8") for path in event_schemas.PLACE.glob("*.json")}
    assert held == dict(event_schemas.files()), "stale: run make event-schemas and commit docs/events"


@pytest.mark.parametrize("name", EVENTS)
def test_each_schema_is_one_that_the_registry_takes(name: str) -> None:
    schema = event_schemas.schemas()[name]

    Draft4Validator.check_schema(schema)
    assert schema["$schema"] == "http://json-schema.org/draft-04/schema#"
    # Of later drafts; a validator of Draft 4 would overlook them.
    assert not {"const", "examples", "$defs", "if", "propertyNames"} & set(_words(schema))
    assert all(each["description"] for each in schema["properties"]["detail"]["properties"].values())


def _words(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, value in schema.items():
            yield name
            yield from _words(value)


CHANGE = {
    "userId": "u",
    "provider": "vexora",
    "from": None,
    "to": "PENDING",
    "verified": False,
    "verifiedReason": "NOT_VERIFIED",
    "cause": "api",
    "version": 1,
    "occurredAt": "2026-04-01T03:00:00.000Z",
    "eventId": "e",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "VERY_VERIFIED"},
        {"provider": "another"},
        {"userId": 5},
        {"occurredAt": None},
        {"lastName": "架空"},
        {"from": "nothing"},
        {"to": None},
        {"verified": "yes"},
        {"verifiedReason": "BECAUSE"},
    ],
)
def test_what_a_schema_does_not_allow_fails_in_tests(wrong: dict[str, Any]) -> None:
    entry = {"Source": "honnin", "DetailType": "KycStatusChanged"}
    check_event(entry | {"Detail": json.dumps(CHANGE)})
    with pytest.raises(ValidationError):
        check_event(entry | {"Detail": json.dumps(CHANGE | wrong)})


@pytest.mark.parametrize("name", sorted(CHANGE))
def test_what_a_schema_requires_must_be_there(name: str) -> None:
    detail = {key: value for key, value in CHANGE.items() if key != name}
    with pytest.raises(ValidationError):
        check_event({"Source": "honnin", "DetailType": "KycStatusChanged", "Detail": json.dumps(detail)})


# --- what is published ---


class World:
    """One table in memory, Vexora as a fake, a bus, and the code under test over them."""

    def __init__(self) -> None:
        self.clock, self.bus, self.vexora = FakeClock(), FakeBus(), FakeVexora()
        self.queue: list[str] = []
        self.store = Store(create_table(dynamodb(), "StateTable"), dynamodb(), now=self.clock)
        self.publisher = Publisher("bus", self.store, self.bus.client)
        self.vault = Vault("vault", s3("vault"))
        self.submissions = Submissions(
            store=self.store,
            client=self.vexora,
            publisher=self.publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: "callback-key",
            poll_delays_s=DELAYS_S,
            now=self.tick,
        )
        self.processor = EventProcessor(store=self.store, publisher=self.publisher, vexora=self.vexora, now=self.tick)

    def tick(self) -> datetime:
        """The present moment; no two are the same."""
        return self.clock.advance(seconds=0.001)

    def poll(self) -> None:
        """One run of the poll, and of the processor on what is queued. What fails comes again at the next run."""

        def send(body: str) -> str:
            self.queue.append(body)
            return "1"

        poll(
            store=self.store,
            publisher=self.publisher,
            send=send,
            delays_s=DELAYS_S,
            now=self.tick(),
            left_ms=lambda: 300_000,
        )
        while self.queue:
            self.processor.process(Event.from_json(self.queue[0]))
            del self.queue[0]

    def days(self, number: int) -> None:
        """So many days with a run of the poll each."""
        for _ in range(number):
            self.clock.advance(days=1)
            self.poll()

    def published(self, detail_type: str) -> list[dict[str, Any]]:
        """The contents of the events of a type."""
        return [json.loads(each["Detail"]) for each in self.bus.entries if each["DetailType"] == detail_type]

    def status(self, user_id: str = "user-1") -> UserStatus:
        """The user at Vexora."""
        found = self.store.users.status(user_id, "vexora")
        assert found is not None
        return found

    def erase(self, user_id: str = "user-1") -> str:
        """Erase a user; the certificate's id."""
        erasure = Erasure(
            store=self.store,
            vault=self.vault,
            registers=mock.Mock(),
            paypay=lambda: pytest.fail("PayPay is not asked"),
            sweep_later=lambda _: None,
            publish=self.publisher.user_erased,
            now=self.tick,
        )
        return erasure.erase(user_id, unlink=False).certificate_id


@pytest.fixture
def world() -> Iterator[World]:
    with memory_aws():
        yield World()


@pytest.mark.parametrize(("says", "status"), [("1", "UNDER_REVIEW"), ("2", "APPROVED"), ("3", "REJECTED")])
def test_a_change_names_the_providers_word_and_the_submission(world: World, says: str, status: str) -> None:
    submission_id = world.submissions.submit("user-1", "テスト ハナコ").submission_id
    world.vexora.statuses["user-1"] = says
    world.clock.advance(seconds=700)
    world.poll()

    changes = world.published("KycStatusChanged")
    assert [each["to"] for each in changes] == ["SUBMITTING", "PENDING", status]
    assert {each["submissionId"] for each in changes} == {submission_id}
    assert [each.get("providerStatus") for each in changes] == [None, "0", says]


def test_a_change_at_paypay_names_its_code(world: World) -> None:
    at = utc_text(world.clock())
    after = UserStatus("user-1", "paypay", "RISK_FLAGGED", 1, provider_status="UNACCEPTABLE_OP", read_at=at)
    effect = Effect("event-1", "kyc_read", "webhook", at, None, after, {})
    world.store.events.apply(effect)
    world.publisher.publish_or_leave(effect)

    [change] = world.published("KycStatusChanged")
    assert (change["providerStatus"], "submissionId" in change) == ("UNACCEPTABLE_OP", False)


# --- stale submissions ---


@pytest.mark.parametrize("status", ["0", "1"])
def test_a_submission_that_is_open_for_a_month_is_told_once(world: World, status: str) -> None:
    submission_id = world.submissions.submit("user-1", "テスト ハナコ").submission_id
    world.vexora.statuses["user-1"] = status
    world.days(30)
    assert world.published("SubmissionStale") == []

    world.days(60)

    [published] = world.published("SubmissionStale")
    now = world.status()
    assert published == {
        "userId": "user-1",
        "submissionId": submission_id,
        "status": now.status,
        "submittedAt": now.submitted_at,
        "version": published["version"],
        "occurredAt": published["occurredAt"],
        "eventId": published["eventId"],
    }
    assert 0 < published["version"] <= now.version
    assert (now.stale_at or "") <= published["occurredAt"] <= utc_text(world.clock())
    # Everything that was published is marked so.
    assert list(world.store.events.unpublished("2099-01-01T00:00:00.000Z")) == []


def test_a_decided_submission_is_never_stale(world: World) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    world.vexora.statuses["user-1"] = "2"
    world.days(60)

    assert world.published("SubmissionStale") == []


def test_a_change_on_the_day_is_told_as_a_change_and_the_next_question_tells_the_rest(world: World) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    world.days(30)
    world.vexora.statuses["user-1"] = "1"
    world.days(2)
    assert world.published("KycStatusChanged")[-1]["to"] == "UNDER_REVIEW"

    world.days(14)

    assert [each["status"] for each in world.published("SubmissionStale")] == ["UNDER_REVIEW"]


def test_each_submission_of_a_user_is_told_by_itself(world: World) -> None:
    for _ in range(2):
        world.submissions.submit("user-1", "テスト ハナコ")
        world.days(40)
        world.vexora.statuses["user-1"] = "3"
        world.days(8)

    published = world.published("SubmissionStale")
    assert len({each["submissionId"] for each in published}) == len(published) == 2


def test_what_a_crash_left_untold_is_told_when_its_event_comes_again(world: World) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    world.days(30)
    world.bus.failures.extend(["InternalFailure"] * 1)
    with pytest.raises(Exception, match="InternalFailure"):
        world.days(3)
    assert world.published("SubmissionStale") == []

    world.clock.advance(seconds=300)
    world.poll()

    assert len(world.published("SubmissionStale")) == 1


def test_what_a_message_brings_again_is_not_put_into_the_index_of_what_is_to_publish(world: World) -> None:
    """The poll looks for what no message brings: what a call of the API has changed."""
    waiting: list[list[str]] = []
    apply = world.store.events.apply

    def noting(effect: Effect) -> None:
        apply(effect)
        waiting.append([each.event_id for each in world.store.events.unpublished("9999")])

    world.store.events.apply = noting  # type: ignore[method-assign]
    world.submissions.submit("user-1", "テスト ハナコ")
    by_api = len(waiting)
    assert all(waiting)
    world.vexora.statuses["user-1"] = "2"
    world.days(1)

    assert world.status().status == "APPROVED"
    assert waiting[by_api:] == [[]]
    assert [each["to"] for each in world.published("KycStatusChanged")][-1] == "APPROVED"


def test_what_a_crash_left_untold_of_a_repair_is_told_though_repairs_are_stopped_then(world: World) -> None:
    """Its message comes again, but waits for a person who resumes the repairs: the poll publishes its change."""
    watch = BatchWatch(world.store, Decimal(5), lambda _stop: None, world.tick)
    world.processor = EventProcessor(
        store=world.store, publisher=world.publisher, vexora=world.vexora, now=world.tick, watch=watch
    )
    world.submissions.submit("user-1", "テスト ハナコ")
    world.vexora.statuses["user-1"] = "2"
    world.bus.failures.append("InternalFailure")
    watch.begin(may_wait=True)
    with pytest.raises(PublishError):
        world.days(1)
    assert world.status().status == "APPROVED"
    world.store.mass_change.stop(world.store.mass_change.read(), "a person")

    watch.begin(may_wait=True)
    world.clock.advance(seconds=300)
    with pytest.raises(RepairsStoppedError):
        world.poll()
    assert [each["to"] for each in world.published("KycStatusChanged")][-1] == "APPROVED"


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_change_that_the_bus_refuses_stands_in_no_others_way(world: World, refused: int) -> None:
    world.bus.failures.extend(["InternalFailure"] * 6)
    for number in range(3):
        world.submissions.submit(f"user-{number}", "テスト ハナコ")
    world.bus.failures.clear()
    assert world.bus.entries == []
    world.clock.advance(seconds=300)
    put = world.bus.client.put_events

    def put_events(**request: Any) -> Any:
        if f"user-{refused}" in request["Entries"][0]["Detail"]:
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "MalformedDetail"}]}
        return put(**request)

    with mock.patch.object(world.bus.client, "put_events", put_events), pytest.raises(PublishError):
        world.poll()
    published = {each["userId"] for each in world.published("KycStatusChanged")}
    assert published == {f"user-{number}" for number in range(3)} - {f"user-{refused}"}

    world.poll()
    assert len(world.published("KycStatusChanged")) == 6


# --- submissions beside PayPay ---


@pytest.mark.parametrize("changes", [1, 2])
def test_a_change_at_paypay_at_that_moment_keeps_no_submission_from_starting(
    world: World, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    monkeypatch.setattr(commit, "sleep", lambda _: None)
    transact, left = dynamodb().transact_write_items, iter(range(changes))

    def paypay_moves() -> None:
        before = world.store.users.status("user-1", "paypay")
        version = before.version + 1 if before else 1
        after = UserStatus("user-1", "paypay", ("LINKED", "VERIFIED")[version % 2], version)
        at = utc_text(world.tick())
        world.store.events.apply(Effect(f"paypay:{version}", "kyc_read", "webhook", at, before, after, {}))

    def overtaken(**request: Any) -> Any:
        if "submission_started" in str(request) and next(left, None) is not None:
            paypay_moves()
        return transact(**request)

    monkeypatch.setattr(dynamodb(), "transact_write_items", overtaken)
    assert world.submissions.submit("user-1", "テスト ハナコ").status == "PENDING"
    started = next(each for each in world.published("KycStatusChanged") if each["to"] == "SUBMITTING")
    paypay = world.store.users.status("user-1", "paypay")
    assert paypay is not None
    assert started["verified"] == (paypay.status == "VERIFIED")
    assert len(world.vexora.applied) == 1


def test_another_submission_at_that_moment_is_a_conflict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "sleep", lambda _: None)
    transact, left = dynamodb().transact_write_items, iter([1])

    def overtaken(**request: Any) -> Any:
        if "submission_started" in str(request) and next(left, None):
            world.submissions.submit("user-1", "テスト ハナコ")
        return transact(**request)

    monkeypatch.setattr(dynamodb(), "transact_write_items", overtaken)
    with pytest.raises(ConflictError) as caught:
        world.submissions.submit("user-1", "テスト ハナコ")
    assert caught.value.code is ProblemCode.SUBMISSION_STARTING
    assert len(world.vexora.applied) == 1


# --- erasures ---


def test_an_erasure_is_told_once_and_names_nothing_personal(world: World) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    world.clock.advance(seconds=1)
    certificate_id = world.erase()
    assert world.erase() == certificate_id

    [published] = world.published("UserErased")
    [certificate] = world.store.erasure.certificates("user-1")
    assert published == {
        "userId": "user-1",
        "certificateId": certificate_id,
        "version": published["version"],
        "completedAt": certificate.completed_at,
    }
    # Greater than everything before it, smaller than everything that a user who comes back leads to.
    assert published["version"] > max(each["version"] for each in world.published("KycStatusChanged"))
    world.clock.advance(seconds=1)
    world.submissions.submit("user-1", "テスト ハナコ")
    assert world.published("KycStatusChanged")[-1]["version"] > published["version"]
    world.clock.advance(seconds=300)
    world.poll()
    assert len(world.published("UserErased")) == 1


@pytest.mark.parametrize("failure", ["InternalFailure", ClientError({"Error": {"Code": "Throttling"}}, "PutEvents")])
def test_an_erasure_that_the_bus_did_not_take_is_told_by_the_poll(world: World, failure: Exception | str) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    world.bus.failures.append(failure)
    certificate_id = world.erase()
    assert world.published("UserErased") == []
    world.poll()
    assert world.published("UserErased") == [], "it is not overdue yet"

    world.clock.advance(seconds=121)
    world.poll()
    world.poll()

    assert [each["certificateId"] for each in world.published("UserErased")] == [certificate_id]


def test_a_run_that_dies_before_it_tells_is_told_by_the_poll(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.submissions.submit("user-1", "テスト ハナコ")
    with monkeypatch.context() as patched:
        patched.setattr(world.publisher, "user_erased", lambda _: pytest.fail("dies"))
        with pytest.raises(pytest.fail.Exception):
            world.erase()

    world.clock.advance(seconds=121)
    world.poll()
    world.erase()

    assert len(world.published("UserErased")) == 1


def test_who_came_back_and_is_erased_again_is_told_again(world: World) -> None:
    for _ in range(2):
        world.vexora.statuses.clear()
        world.submissions.submit("user-1", "テスト ハナコ")
        world.erase()
        world.clock.advance(seconds=1)

    published = world.published("UserErased")
    assert len({each["certificateId"] for each in published}) == len(published) == 2


def test_records_of_the_first_edition_are_published_as_changes(world: World) -> None:
    at = utc_text(world.clock())
    after = UserStatus("user-1", "vexora", "APPROVED", 1, provider_status="2", read_at=at)
    world.store.events.apply(Effect("event-1", "result_read", "webhook", at, None, after, {}))
    key = {"pk": {"S": "EVENT#event-1"}, "sk": {"S": "EVENT"}}
    dynamodb().update_item(TableName="StateTable", Key=key, UpdateExpression="REMOVE detail_type")
    record = world.store.events.get("event-1")
    assert record is not None

    world.publisher.publish(replace(record))

    assert [each["to"] for each in world.published("KycStatusChanged")] == ["APPROVED"]
