"""`reread`: what it queues, what it waits for, what it says. Vexora's events go through the processor itself."""

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from honnin.errors import ProviderRefusedError
from honnin.event import Event
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.store import Certificate, Effect, Store, Submission, UserStatus
from honninctl import command, reread
from honninctl.failures import ExitCode
from tests.fakes import FakeBus, FakeVexora
from tests.fakes.cli import FakeDeployment, Service, client_error, run, state_table
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.paypay_user import paypay_user

AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
AT = "2026-04-01T03:00:00.000Z"


class Merchant:
    """One table, the rereads queue, and a worker that may stand behind it."""

    def __init__(self) -> None:
        self.store = Store(state_table(), dynamodb())
        self.vexora = FakeVexora()
        self.processor = EventProcessor(
            store=self.store,
            publisher=Publisher("bus", self.store, FakeBus().client),
            vexora=self.vexora,
            now=lambda: datetime.now(UTC),
        )
        self.queued: list[Event] = []
        self.work: Callable[[Event], None] = lambda _: None
        self.deployment = FakeDeployment({"StateTableName": "StateTable", "RereadQueueUrl": "https://sqs/rereads"})
        self.deployment.services["sqs"] = Service(send_message=self._send)

    def _send(self, *, QueueUrl: str, MessageBody: str) -> dict[str, str]:  # noqa: N803
        assert QueueUrl == "https://sqs/rereads"
        event = Event.from_json(MessageBody)
        self.queued.append(event)
        with contextlib.redirect_stdout(io.StringIO()):  # the worker's log, which is another process's
            self.work(event)
        return {"MessageId": "1"}

    def submit(self, user_id: str, status: str = "PENDING", *, stale: bool = False) -> None:
        """A user with a submission in that state."""
        after = UserStatus(
            user_id,
            "vexora",
            status,
            1,
            submission_id=f"sub-{user_id}",
            submitted_at=AT,
            stale_at=AT if stale else None,
        )
        opens = Submission(f"sub-{user_id}", user_id, status, AT, due_at=None)
        self.store.events.apply(Effect(f"api:{user_id}", "submission_started", "api", AT, None, after, {}, opens=opens))

    def link(self, user_id: str, authorization: str | None = AUTHORIZATION, status: str = "VERIFIED") -> UserStatus:
        """A user who was asked to link an account, or has done so."""
        status = status if authorization else "LINK_PENDING"
        after = paypay_user(user_id, status, linked=authorization)
        self.store.events.apply(
            Effect(f"link:{user_id}", "linked", "api", AT, None, after, {}, links=bool(authorization))
        )
        return after

    def paypay_says(self, what: str, status: str, code: str) -> None:
        """From now on an event of PayPay's leads to this at once."""

        def work(event: Event) -> None:
            before = self.store.users.status("u-1", "paypay")
            assert before
            after = replace(before, status=status, version=before.version + 1)
            self.store.events.apply(
                Effect(event.event_id, what, event.cause, AT, before, after, {"providerCode": code} if code else {})
            )

        self.work = work


@pytest.fixture
def merchant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Merchant]:
    with memory_aws():
        made = Merchant()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def test_vexora_is_asked_through_the_queue_and_the_answer_is_shown(merchant: Merchant) -> None:
    merchant.submit("u-1")
    merchant.vexora.statuses["u-1"] = "2"
    merchant.work = merchant.processor.process
    ended = run("reread", "u-1")
    assert (ended.exit_code, ended.stdout.strip()) == (0, "Vexora, result: PENDING → APPROVED")
    [event] = merchant.queued
    assert (event.provider, event.kind, event.cause, event.subject) == ("vexora", "kyc_result", "operator", "sub-u-1")
    newest = merchant.store.users.timeline("u-1", 1)[0][0]
    assert (newest.cause, newest.event_id, newest.to_status) == ("operator", event.event_id, "APPROVED")


@pytest.mark.parametrize(("before", "stale"), [("UNDER_REVIEW", True), ("SUBMITTING", True), ("FAILED", False)])
def test_a_stale_submission_and_a_failed_one_are_asked_for(merchant: Merchant, before: str, stale: bool) -> None:
    merchant.submit("u-1", before, stale=stale)
    merchant.vexora.statuses["u-1"] = "2"
    merchant.work = merchant.processor.process
    [reading] = json.loads(run("reread", "u-1", "--json").stdout)["readings"]
    assert (reading["from"], reading["to"], reading["what"]) == (before, "APPROVED", "result_read")


def test_a_question_that_vexora_refuses_changes_nothing_and_is_1(merchant: Merchant) -> None:
    merchant.submit("u-1")
    merchant.vexora.next_query.append(ProviderRefusedError("vexora", "テスト ハナコ", http_status=200, code="2001"))
    merchant.work = merchant.processor.process
    ended = run("reread", "u-1")
    assert ended.exit_code == ExitCode.FINDING
    assert "PENDING, not read: the provider refused the read (2001)" in ended.stdout
    assert "ハナコ" not in ended.output


def test_paypay_is_asked_for_the_authorization_and_for_the_kyc(merchant: Merchant) -> None:
    merchant.link("u-1")
    merchant.submit("u-1")
    merchant.paypay_says("kyc_read", "RISK_FLAGGED", "UNACCEPTABLE_OP")
    ended = run("reread", "u-1", "--no-wait", "--json")
    assert ended.exit_code == 0
    assert sorted((each.provider, each.kind) for each in merchant.queued) == [
        ("paypay", "account_status"),
        ("paypay", "kyc"),
        ("vexora", "kyc_result"),
    ]
    assert {each.subject for each in merchant.queued} == {AUTHORIZATION, "sub-u-1"}
    answer = json.loads(ended.stdout)
    assert answer["waited"] is False
    assert {each["to"] for each in answer["readings"]} == {None}
    assert "timeline u-1" in ended.stderr


def test_no_id_of_an_authorization_is_in_an_events_id_or_shown(merchant: Merchant) -> None:
    merchant.link("u-1")
    merchant.paypay_says("kyc_read", "RISK_FLAGGED", "UNACCEPTABLE_OP")
    shown = run("reread", "u-1")
    assert shown.exit_code == 0
    assert "PayPay, KYC: RISK_FLAGGED, unchanged (UNACCEPTABLE_OP)" in shown.stdout
    assert "PayPay, authorization: VERIFIED → RISK_FLAGGED" in shown.stdout
    again = run("reread", "u-1", "--json")
    ids = [each.event_id for each in merchant.queued]
    assert len(set(ids)) == 4
    assert all(each.startswith("operator:") and AUTHORIZATION not in each for each in ids)
    assert AUTHORIZATION not in shown.output + again.output


def test_a_user_whose_scopes_fit_no_read_is_1(merchant: Merchant) -> None:
    merchant.link("u-1")
    merchant.paypay_says("no_read_fits_scopes", "VERIFIED", "")
    ended = run("reread", "u-1")
    assert ended.exit_code == ExitCode.FINDING
    assert "scopes allow no KYC read" in ended.stdout


def test_an_outcome_that_does_not_come_is_5_and_says_where_to_look(merchant: Merchant) -> None:
    merchant.submit("u-1")
    ended = run("reread", "u-1", "--timeout", "1")
    assert ended.exit_code == ExitCode.UNREACHABLE
    assert "PENDING; no outcome yet" in ended.stdout
    assert "deadletters list" in ended.stdout


def test_it_waits_until_the_last_outcome(merchant: Merchant) -> None:
    merchant.link("u-1")
    asked = reread.ask(merchant.deployment, "u-1")
    merchant.paypay_says("kyc_read", "VERIFIED", "SUCCESS")
    left, clock = list(merchant.queued), iter(range(100))
    done: list[int] = []

    def sleep(_: float) -> None:
        merchant.work(left.pop())

    found = reread.outcomes(
        merchant.deployment, "u-1", asked, timeout_s=50, done=done.append, monotonic=lambda: next(clock), sleep=sleep
    )
    assert all(each.entry for each in found)
    assert done == [0, 1, 1]


def test_a_user_nobody_knows_and_one_who_was_erased_are_3(merchant: Merchant) -> None:
    merchant.store.erasure.begin(Certificate("c-1", "u-2", AT, None, {}))
    for user, said in (("u-1", "no provider knows"), ("u-2", "was erased")):
        ended = run("reread", user)
        assert (ended.exit_code, ended.stdout) == (ExitCode.NOT_FOUND, "")
        assert said in ended.stderr
    assert merchant.queued == []


def test_a_user_who_has_not_agreed_yet_has_nothing_to_be_read(merchant: Merchant) -> None:
    merchant.link("u-1", None)
    ended = run("reread", "u-1")
    assert ended.exit_code == ExitCode.USAGE
    assert "has not agreed" in ended.stderr


def test_a_queue_that_refuses_says_so(merchant: Merchant) -> None:
    merchant.submit("u-1")
    refused: Any = client_error("AccessDenied", "SendMessage", "canonical string with a token")
    merchant.deployment.services["sqs"] = Service(send_message=refused)
    ended = run("reread", "u-1")
    assert ended.exit_code == ExitCode.NO_ACCESS
    assert "SendMessage" in ended.stderr
    assert "token" not in ended.stderr
