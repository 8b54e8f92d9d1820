"""Erasure of a user: what goes, what stays, and that crashes, races and late events bring nothing back."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

import honnin.erasure
from honnin import http_client
from honnin.erasure import Erasure, ErasureSweep
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    EventNotReadyError,
    HonninError,
    NotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    UserAnswerError,
)
from honnin.event import Event
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.secret_store import PayPayCredentials
from honnin.store import Certificate, Effect, LinkSession, ReconFile, Store, Unattached, UserStatus
from honnin.store.events import Events
from honnin.times import utc_text
from honnin.vault import Evidence, Vault, VaultObject
from honnin.vexora.models import Reading
from honnin.vexora.submission import Submissions
from tests.fakes import FakeBus, FakeClock, FakeVexora, LoopbackServer, Reply
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.fakes.paypay import FakePayPay, answer
from tests.fakes.paypay_user import RULES, paypay_user
from tests.fakes.recon_file import became
from tests.tables import create_table

USER = "user-1"
FORMER = "auth-former-5b0c"
LINKED = "auth-present-9d2e"
NEIGHBOUR = "auth-neighbour-77aa"
CODE = "code-41f6"
VERIFIER = "verifier-0a1b2c3d4e5f6071829304a5b6c7d8e9f0a1b2c3"
SCOPES = ("mini_app_kyc_passport",)
MISSED = f"recon:kyc_passport_sync_recon:2026-04-01:{LINKED}:1"
# What the message queue does before a message is moved to the dead-letter queue.
RECEIVES = 3
# Just before and just after each AWS call of one whole erasure.
MOMENTS = 98


class Crash(BaseException):
    """The execution environment is gone. Nothing of Honnin's may catch it."""


class Moments:
    """Counts the moments just before and just after each AWS call; `at` says what happens at one of them."""

    def __init__(self, *clients: Any) -> None:
        self._clients = clients
        self.passed = 0
        self.dead = False
        self.at: dict[int, Callable[[], object]] = {}
        for client in clients:
            client.meta.events.register("before-call", self._pass)
            client.meta.events.register("after-call", self._pass)

    def from_now(self, at: Mapping[int, Callable[[], object]] | None = None) -> None:
        """Begin to count anew."""
        self.passed, self.at, self.dead = 0, dict(at or {}), False

    def off(self) -> None:
        """Let go of the clients."""
        for client in self._clients:
            client.meta.events.unregister("before-call", self._pass)
            client.meta.events.unregister("after-call", self._pass)

    def die(self) -> None:
        """The execution environment ends here: until the next count, no call comes through."""
        self.dead = True
        raise Crash

    def _pass(self, **_: object) -> None:
        if self.dead:
            raise Crash
        number, self.passed = self.passed, self.passed + 1
        # What happens meanwhile makes calls of its own, which nothing interrupts.
        if (happens := self.at.pop(number, None)) is not None:
            later, self.at = self.at, {}
            happens()
            self.at = later


class PayPay(FakePayPay):
    """PayPay as the test says; an authorization can be unlinked once."""

    def __init__(self) -> None:
        super().__init__()
        self.unlinked: list[str] = []

    def unlink(self, user_authorization_id: str) -> str | None:
        """End an authorization."""
        self._called("unlink")
        if user_authorization_id in self.unlinked:
            raise answer("INVALID_USER_AUTHORIZATION_ID")
        self.unlinked.append(user_authorization_id)
        return "OPA3"


class Vexora(FakeVexora):
    """Vexora; what is in `meanwhile` happens while a call is under way, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Take the application."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return super().apply(user_id=user_id, username_furigana=username_furigana, callback_url=callback_url)

    def query_status(self, user_id: str) -> Reading:
        """Answer with the user's status."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return super().query_status(user_id)


class World:
    """A table and a versioned vault in memory, the two providers as fakes, and the code under test over them."""

    def __init__(self, timeline_days: int = 0) -> None:
        db, bucket = dynamodb(), s3("vault")
        self.store = Store(create_table(db, "StateTable"), db, timeline_days=timeline_days, now=lambda: self.clock())
        self.moments = Moments(db, bucket)
        self.vault = Vault("vault", bucket)
        self.clock = FakeClock()
        self.paypay, self.vexora, self.bus = PayPay(), Vexora(), FakeBus()
        self.later: list[Event] = []
        self.publisher = publisher = Publisher("bus", self.store, self.bus.client)
        self.submissions = Submissions(
            store=self.store,
            client=self.vexora,
            publisher=publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: "callback-key",
            poll_delays_s=(600, 3600),
            now=self.tick,
        )
        self.processor = EventProcessor(
            store=self.store,
            publisher=publisher,
            vexora=self.vexora,
            now=self.tick,
            paypay=PayPayNotifications(
                store=self.store,
                client=self.paypay,
                archive=KycArchive(self.vault, Selfies(())),
                rules=RULES,
                now=self.tick,
            ),
            sweep=ErasureSweep(self.store, self.vault),
        )

    def tick(self) -> datetime:
        """The present moment; no two are the same."""
        return self.clock.advance(seconds=0.001)

    # --- what happens ---

    def erase(self, user_id: str = USER, *, unlink: bool = False) -> Certificate:
        """Erase a user, as one request would."""
        erasure = Erasure(
            store=self.store,
            vault=self.vault,
            registers=mock.Mock(),
            paypay=lambda: self.paypay,
            sweep_later=self.later.append,
            publish=self.publisher.user_erased,
            now=self.tick,
        )
        return erasure.erase(user_id, unlink=unlink)

    def link(self, linked: str = LINKED, user_id: str = USER, *, code_id: str | None = None) -> None:
        """A PayPay account is linked, over a QR of its own."""
        before = self.store.users.status(user_id, "paypay")
        at = utc_text(self.tick())
        after = paypay_user(user_id, linked=linked, scopes=SCOPES, code_id=code_id, at=at, before=before)
        session = LinkSession(
            nonce=f"nonce-{at}",
            user_id=user_id,
            scopes=SCOPES,
            return_url="https://shop.example.jp/kyc/done",
            expires_at=int(self.clock.now.timestamp()) + 3600,
            code_id=code_id,
            code_verifier=VERIFIER if code_id else None,
            code_expires_at=int(self.clock.now.timestamp()) + 86_400,
        )
        effect = Effect(f"api:linked:{at}", "linked", "api", at, before, after, {}, session=session, links=True)
        self.store.events.apply(effect)

    def submit(self, user_id: str = USER) -> str:
        """The merchant submits a user to Vexora; returns the submission's id."""
        self.submissions.submit(user_id, "テスト ハナコ")
        found = self.store.users.status(user_id, "vexora")
        assert found is not None
        assert found.submission_id is not None
        return found.submission_id

    def process(self, *events: Event) -> None:
        """One SQS batch. A message that fails comes again, until it would be a dead letter: then the test fails."""
        for each in events:
            if each.received_at == JUST_NOW:
                each.received_at = utc_text(self.tick())
        batch = self.processor.batch()
        for group in batch.divide(events):
            for member in group.members:
                for receive in range(1, RECEIVES + 1):
                    try:
                        group.process(events[member])
                    except HonninError as error:
                        if receive == RECEIVES and not error.retryable:
                            raise
                    else:
                        break
        batch.end()

    def overtake_a_dying_worker(self, kind: str = "kyc") -> None:
        """The user is erased just before a worker writes to the vault; it dies before it takes that back."""
        put = self.vault.put
        erasures = [self.erase]

        def overtaken(item: VaultObject) -> str:
            while erasures:
                erasures.pop()()
            return put(item)

        with mock.patch.object(self.vault, "put", overtaken), mock.patch.object(Evidence, "take_back"):
            self.process(event("in-flight", kind))

    def sweep(self) -> None:
        """A quarter of an hour later, what the erasures have asked for."""
        self.clock.advance(seconds=900)
        self.process(*self.later)
        self.later.clear()

    def wait_unattached(self, event_id: str, subject: str = LINKED) -> None:
        """An event that came when nobody knew whose the authorization is, and was not attached since."""
        at = utc_text(self.tick())
        self.store.events.keep(Unattached(event_id, "paypay", "unknown_user", "webhook", at, subject, {"type": "x"}))

    def compared(self) -> None:
        """A recon file of two days has been compared: events of recon can be about anybody."""
        for day in ("2026-04-01", "2026-04-02"):
            self.store.comparisons.first("kyc_passport_sync_recon", day, "a.csv", "2026-04-01T18:00:00.000Z")

    # --- looking at it ---

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, in order."""
        deserializer = TypeDeserializer()
        found = [
            {name: deserializer.deserialize(value) for name, value in item.items()}
            for item in dynamodb().scan(TableName="StateTable")["Items"]
        ]
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))

    def naming(self, *marks: str) -> list[tuple[str, str]]:
        """The keys of the items that hold one of these texts anywhere."""
        texts = {(item["pk"], item["sk"]): json.dumps(item, default=str, ensure_ascii=False) for item in self.items()}
        return [key for key, text in texts.items() if any(mark in text for mark in marks)]

    def kept(self, user_id: str = USER) -> list[tuple[str, str]]:
        """The versions and delete markers of a user in the vault: key and version."""
        found = s3().list_object_versions(Bucket="vault", Prefix=f"paypay/{user_id}/")
        both = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
        return [(each["Key"], each["VersionId"]) for each in both]

    def timeline(self, user_id: str = USER) -> list[dict[str, Any]]:
        """A user's timeline entries as they are in the table, oldest first."""
        return [item for item in self.items() if item["pk"] == f"USER#{user_id}" and item["sk"].startswith("AT#")]


# Events that a test does not date are received when they are processed.
JUST_NOW = "9999"


def event(
    notification_id: str, kind: str = "kyc", subject: str = LINKED, *, cause: str = "webhook", event_id: str = ""
) -> Event:
    """One event of PayPay's."""
    named = event_id or f"paypay:{kind}:{notification_id}"
    detail = {"type": "x"} if cause == "webhook" else {"file": "x.csv", "day": "2026-04-01"}
    return Event(named, "paypay", kind, cause, subject, JUST_NOW, detail)


def result(submission_id: str, event_id: str = "", cause: str = "webhook") -> Event:
    """One event of Vexora's."""
    named = event_id or f"vexora:{submission_id}:{'0' * 32}"
    return Event(named, "vexora", "kyc_result", cause, submission_id, JUST_NOW, {"sign": "absent"})


def late_risk() -> Event:
    """A webhook of 00:10 in Japan, which may have been meant for the day before."""
    return Event("paypay:risk:late", "paypay", "risk", "webhook", LINKED, "2026-03-31T15:10:00.000Z", {})


def lived(world: World) -> tuple[str, str]:
    """A user at both providers, with a past; returns the former and the present submission."""
    first = world.submit()
    world.vexora.statuses[USER] = "3"
    world.process(result(first))
    second = world.submit()
    world.wait_unattached("paypay:kyc:waited-former", FORMER)
    world.link(FORMER)
    world.link(LINKED, code_id=CODE)
    world.process(event("one"))
    world.process(event("two"), late_risk(), event("", cause="recon", event_id=MISSED), event("four", "account_status"))
    world.link(NEIGHBOUR, "user-10")
    world.process(event("five", subject=NEIGHBOUR))
    return first, second


@pytest.fixture
def short(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An erasure has all the time that it needs."""
    monkeypatch.setattr(honnin.erasure, "_RUN_S", 3600)  # nothing here depends on the speed of the machine


@pytest.fixture
def world(short: None) -> Iterator[World]:
    with memory_aws():
        made = World()
        yield made
        made.moments.off()


# What goes and what stays


def test_nothing_is_left_that_identifies_the_user_at_paypay(world: World) -> None:
    lived(world)
    assert (f"EVENT#{MISSED}", "EVENT") in world.naming(LINKED)

    world.erase()

    assert world.naming(LINKED, FORMER) == []
    assert world.store.links.passport_qr(CODE) is None
    assert world.kept() == []
    assert world.store.users.statuses(USER) == []
    assert world.store.links.user(LINKED) is None
    assert world.store.erasure.is_erased(LINKED)
    assert world.store.erasure.is_erased(FORMER)


def test_the_reason_of_a_rejection_is_erased(world: World) -> None:
    submission_id = world.submit()
    world.vexora.next_query.append(Reading("3", "marked reason"))
    world.process(result(submission_id))
    everything = repr(list(world.store.restore.everything()) + [each.item for each in world.store.restore.everything()])
    assert everything.count("marked reason") >= 2

    world.erase()

    assert "marked reason" not in repr([each.item for each in world.store.restore.everything()])


def test_dates_and_statuses_stay_and_details_do_not(world: World) -> None:
    lived(world)
    before = world.timeline()

    certificate = world.erase()

    *after, tombstone = world.timeline()
    columns = ("at", "provider", "what", "cause", "from_status", "to_status")
    assert [[each.get(name) for name in columns] for each in after] == [
        [each.get(name) for name in columns] for each in before
    ]
    assert any(each["detail"] for each in before)
    assert not any(each["detail"] for each in after)
    assert [each["event_id"] for each in before if LINKED not in each["event_id"]] == [
        each["event_id"] for each in after if "erased" not in each["event_id"]
    ]
    assert (tombstone["what"], tombstone["to_status"]) == ("erased", "ERASED")
    assert (tombstone["at"], tombstone["event_id"]) == (
        certificate.completed_at,
        f"erase:{certificate.certificate_id}",
    )


def test_the_certificate_says_what_and_how_much(world: World) -> None:
    lived(world)
    details = sum(bool(each["detail"]) for each in world.timeline())
    objects = len(world.kept())
    assert objects

    certificate = world.erase(unlink=True)

    assert certificate == world.store.erasure.certificates(USER)[-1]
    assert certificate.completed_at is not None
    assert certificate.begun_at < certificate.completed_at
    assert certificate.counts == {
        "unlinkedAtPayPay": 2,
        "links": 2,
        "waitingEvents": 1,
        "submissions": 2,
        "timelineEntries": details,
        "statuses": 2,
        "vaultObjects": objects,
    }


def test_submissions_have_no_user_any_more_and_leave_the_poll(world: World) -> None:
    first, second = lived(world)
    assert [each.submission_id for each in world.store.submissions.due("9999")] == [second]

    world.erase()

    assert list(world.store.submissions.due("9999")) == []
    for each in (first, second):
        found = world.store.submissions.get(each)
        assert found is not None
        assert found.user_id == ""


def test_another_user_whose_id_begins_alike_is_not_touched(world: World) -> None:
    lived(world)
    world.submit("user-10")
    theirs = [item for item in world.items() if "user-10" in json.dumps(item, default=str) or NEIGHBOUR in str(item)]
    kept = world.kept("user-10")
    assert kept

    world.erase()
    world.sweep()

    assert [item for item in world.items() if item in theirs] == theirs
    assert world.kept("user-10") == kept


def test_a_user_who_only_submitted_is_erased(world: World) -> None:
    submission = world.submit()

    certificate = world.erase(unlink=True)

    assert certificate.counts == {"submissions": 1, "statuses": 1, "timelineEntries": 2}
    assert world.paypay.asked == []
    found = world.store.submissions.get(submission)
    assert found is not None
    assert found.user_id == ""


def test_who_was_never_known_is_not_found_and_nothing_is_written(world: World) -> None:
    with pytest.raises(NotFoundError):
        world.erase("nobody", unlink=True)
    assert (world.items(), world.later) == ([], [])


def test_the_records_of_recon_events_that_waited_go_too(world: World) -> None:
    world.compared()
    world.wait_unattached(MISSED)
    world.link()

    world.erase()

    assert world.naming(LINKED) == []


def test_records_whose_timeline_entries_have_expired_go_too(world: World) -> None:
    world.compared()
    world.link()
    world.process(event("", cause="recon", event_id=MISSED))
    expire_timeline(world)

    world.erase()

    assert world.naming(LINKED) == []


def compared(world: World, day: str, missed: list[str], extra: list[str]) -> ReconFile:
    """A recon file whose comparison found these."""
    file = ReconFile("kyc_passport_risk_sync_recon", day, f"kyc_passport_risk_1_{day}.csv", "STORED")
    facts = {"changed_sample": missed, "not_read_sample": extra, "counts": {"missed": len(missed)}}
    became(world.store.table, file, "COMPARED", facts)
    return file


def test_the_samples_of_recon_files_forget_the_user_and_nobody_else(world: World) -> None:
    world.link(FORMER)
    world.link()
    first = compared(world, "2026-03-01", [NEIGHBOUR, LINKED, "auth-x"], [FORMER])
    second = compared(world, "2026-03-30", [NEIGHBOUR], [LINKED, "auth-y"])
    third = compared(world, "2026-03-31", [NEIGHBOUR], ["auth-y"])

    world.erase()

    assert world.naming(LINKED, FORMER) == []
    found = [world.store.recon.file(each.file_type, each.day, each.name) for each in (first, second, third)]
    assert [(each.changed_sample, each.not_read_sample, each.counts) for each in found if each] == [
        ((NEIGHBOUR, "erased", "auth-x"), ("erased",), {"missed": 3}),
        ((NEIGHBOUR,), ("erased", "auth-y"), {"missed": 1}),
        ((NEIGHBOUR,), ("auth-y",), {"missed": 1}),
    ]


def test_a_user_with_very_many_authorizations_and_entries_is_erased(world: World) -> None:
    """A filter may have 4 KB, a transaction 100 writes. The table in memory knows the second limit only."""
    world.link()
    before = world.store.users.status(USER, "paypay")
    assert before is not None
    many = tuple(f"auth-{number:036d}" for number in range(90))
    for each in many:
        world.link(each)
    for each in many:
        status = world.store.users.status(USER, "paypay")
        assert status is not None
        later = utc_text(world.tick())
        moved = replace(status, version=status.version + 1)
        world.store.events.apply(Effect(f"recon:x:2026-04-01:{each}:1", "x", "recon", later, status, moved, {"a": "b"}))
    filters: list[str] = []
    world.store.table.db.meta.events.register(
        "provide-client-params.dynamodb.Query", lambda params, **_: filters.append(params.get("FilterExpression", ""))
    )

    certificate = world.erase()

    assert certificate.counts["timelineEntries"] == 90
    assert world.naming(*many) == []
    assert max(map(len, filters)) < 4_000
    assert len({each["event_id"] for each in world.timeline()}) == len(world.timeline())


def test_a_comparison_that_ends_meanwhile_keeps_what_it_found(world: World) -> None:
    world.link()
    compared(world, "2026-03-30", [LINKED, "auth-x"], [])
    taken = world.store.erasure._forget_sample

    def overtaken(item: dict[str, Any], authorization_ids: Collection[str]) -> bool:
        world.store.erasure._forget_sample = taken  # type: ignore[method-assign]
        compared(world, "2026-03-30", [LINKED, "auth-x", "auth-z"], [])
        return taken(item, authorization_ids)

    world.store.erasure._forget_sample = overtaken  # type: ignore[method-assign]
    world.erase()

    assert world.naming(LINKED) == []
    [file] = world.store.recon.files("kyc_passport_risk_sync_recon", "2026-03-30", "2026-03-30")
    assert file.changed_sample == ("erased", "auth-x", "auth-z")


def test_a_callback_for_a_submission_whose_entries_have_expired_is_not_dead_lettered(world: World) -> None:
    first = world.submit()
    world.vexora.statuses[USER] = "3"
    world.process(result(first))
    expire_timeline(world)
    world.submit()

    world.erase()

    world.process(result(first, f"vexora:{first}:{'1' * 32}"))


def expire_timeline(world: World) -> None:
    """What DynamoDB's TTL does under `TimelineRetentionDays`."""
    for entry in world.timeline():
        dynamodb().delete_item(TableName="StateTable", Key={"pk": {"S": entry["pk"]}, "sk": {"S": entry["sk"]}})


# Once


def test_the_second_call_gives_the_same_certificate_and_writes_nothing(world: World) -> None:
    lived(world)
    first = world.erase(unlink=True)
    before, asked = world.items(), list(world.paypay.asked)
    world.clock.advance(days=1)

    assert world.erase(unlink=True) == first

    assert world.items() == before
    assert world.paypay.asked == asked
    assert len(world.later) == 1


def test_an_erasure_that_races_a_worker_for_ever_says_so_and_can_be_repeated(world: World) -> None:
    world.link()

    def moves() -> None:
        """Another worker moves the user, just before the status would be deleted."""
        found = world.store.users.status(USER, "paypay")
        assert found is not None
        after = replace(found, version=found.version + 1)
        at = utc_text(world.tick())
        world.store.events.apply(Effect(f"move:{at}", "x", "api", at, found, after, {}))

    settle = world.store.erasure.settle

    def overtaken(certificate: Certificate, statuses: Sequence[UserStatus], at: str) -> bool:
        moves()
        return settle(certificate, statuses, at)

    world.store.erasure.settle = overtaken  # type: ignore[method-assign]
    with pytest.raises(ConcurrentUpdateError):
        world.erase()
    world.store.erasure.settle = settle  # type: ignore[method-assign]

    certificate = world.erase()

    assert certificate.completed_at is not None
    assert world.naming(LINKED) == []
    assert certificate.counts["statuses"] == 1


# Unlinking


@pytest.mark.parametrize("code", ["INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID", "CANCELED_USER"])
def test_what_paypay_has_ended_itself_counts_as_unlinked(world: World, code: str) -> None:
    world.link()
    world.paypay.failure = answer(code)

    assert world.erase(unlink=True).completed_at is not None
    assert world.paypay.asked == ["unlink"]
    assert world.naming(LINKED) == []


@pytest.fixture
def over_the_wire(world: World) -> Iterator[LoopbackServer]:
    """PayPay's answer to an unlink as it comes over a socket, for the real client to read."""
    with LoopbackServer(Reply(200, b"")) as server:
        secret = PayPayCredentials("key", "secret", "merchant")
        paths = PayPayPaths("/info", "/passport", "/qr/{codeId}")
        world.paypay = PayPayClient(server.url, lambda **_: secret, paths=paths)  # type: ignore[assignment]
        yield server
        http_client.session().close()


def _said(code: object) -> bytes:
    return json.dumps({"resultInfo": {"code": code, "message": "m"}, "data": None}).encode()


_PAGE = b"<html><title>200 OK</title>INVALID_USER_AUTHORIZATION_ID</html>"


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("http_status", "body"),
    [
        (202, _said("REQUEST_ACCEPTED")),
        (202, _said("SUCCESS")),
        (202, _said("INVALID_USER_AUTHORIZATION_ID")),
        (202, _said("CANCELED_USER")),
        (202, b""),
        (200, _said("REQUEST_ACCEPTED")),
        (200, _said("A_NEW_CODE")),
        (200, _said("success")),
        (200, _said(None)),
        (200, _PAGE),
        (200, b""),
        (204, b""),
        (302, _said("SUCCESS")),
        (400, _said("INVALID_REQUEST_PARAMS")),
        (400, _said("SUCCESS")),
        (400, b""),
        (401, _said("UNAUTHORIZED")),
        (401, _said("OP_OUT_OF_SCOPE")),
        (401, _said("USER_STATE_IS_NOT_ACTIVE")),
        (404, _PAGE),
        (404, _said("A_NEW_CODE")),
        (404, _said("SESSION_NOT_FOUND")),
        (429, _said("INVALID_USER_AUTHORIZATION_ID")),
        (500, _said("SERVICE_ERROR")),
        (500, _said("SUCCESS")),
        (503, _said("MAINTENANCE_MODE")),
        (502, _PAGE),
    ],
)
def test_what_does_not_say_that_the_link_has_ended_erases_nothing(
    world: World, over_the_wire: LoopbackServer, http_status: int, body: bytes
) -> None:
    world.link()
    before = world.items()
    over_the_wire.replies[0] = Reply(http_status, body)
    with pytest.raises(ProviderError):
        world.erase(unlink=True)
    assert world.items() == before


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    ("http_status", "body"),
    [
        (200, _said("SUCCESS")),
        (401, _said("INVALID_USER_AUTHORIZATION_ID")),
        (404, _said("INVALID_USER_AUTHORIZATION_ID")),
        (401, _said("EXPIRED_USER_AUTHORIZATION_ID")),
        (400, _said("CANCELED_USER")),
        (200, _said("CANCELED_USER")),
    ],
)
def test_what_says_that_the_link_has_ended_is_enough(
    world: World, over_the_wire: LoopbackServer, http_status: int, body: bytes
) -> None:
    world.link()
    over_the_wire.replies[0] = Reply(http_status, body)
    assert world.erase(unlink=True).counts["unlinkedAtPayPay"] == 1
    assert [each.method for each in over_the_wire.received] == ["DELETE"]


def test_the_last_qr_goes_although_nobody_has_linked_by_it(world: World) -> None:
    world.link()
    status = world.store.users.status(USER, "paypay")
    assert status is not None
    session = LinkSession("nonce", USER, SCOPES, "https://shop.example.jp", 2**31, CODE, VERIFIER, 2**31)
    after = replace(status, version=status.version + 1, asked_code_id=CODE, asked_code_verifier=VERIFIER)
    at = utc_text(world.tick())
    world.store.events.apply(Effect("api:link:1", "link_requested", "api", at, status, after, {}, session=session))
    world.erase()
    assert world.store.links.passport_qr(CODE) is None


def test_without_unlink_paypay_is_not_asked(world: World) -> None:
    world.link()
    world.erase()
    assert world.paypay.asked == []


def test_while_paypay_is_down_nothing_is_erased_and_the_repeat_works(world: World) -> None:
    lived(world)
    before, kept = world.items(), world.kept()
    world.paypay.failure = ProviderUnavailableError("paypay", "HTTP 500", http_status=500)

    with pytest.raises(ProviderUnavailableError):
        world.erase(unlink=True)

    assert (world.items(), world.kept(), world.later) == (before, kept, [])
    world.paypay.failure = None
    assert world.erase(unlink=True).counts["unlinkedAtPayPay"] == 2
    assert world.paypay.unlinked == [LINKED, FORMER]
    assert world.naming(LINKED) == []


def test_an_answer_that_does_not_say_that_it_is_over_erases_nothing(world: World) -> None:
    lived(world)
    before, kept = world.items(), world.kept()
    world.paypay.failure = answer("USER_STATE_IS_NOT_ACTIVE")

    with pytest.raises(UserAnswerError):
        world.erase(unlink=True)

    assert (world.items(), world.kept(), world.later) == (before, kept, [])


def test_unlinking_after_an_erasure_without_it_is_refused_and_not_passed_over(world: World) -> None:
    lived(world)
    certificate = world.erase()

    with pytest.raises(ConflictError):
        world.erase(unlink=True)

    assert world.paypay.asked.count("unlink") == 0
    assert world.erase() == certificate


def test_unlinking_when_only_vexora_came_back_is_refused_too(world: World) -> None:
    lived(world)
    world.erase()
    world.submit()

    with pytest.raises(ConflictError):
        world.erase(unlink=True)

    assert world.store.users.status(USER, "vexora") is not None
    assert world.erase().completed_at


def test_unlinking_somebody_who_was_never_linked_repeats_the_certificate(world: World) -> None:
    world.submit()
    assert world.erase(unlink=True) == world.erase(unlink=True)


def test_many_authorizations_at_a_slow_paypay_end_in_time_and_the_repeat_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(world)
    before = world.items()
    with monkeypatch.context() as patched:
        patched.setattr(honnin.erasure, "_UNLINK_S", 0.05)
        world.paypay.meanwhile.append(lambda: time.sleep(0.06))
        with pytest.raises(ProviderTimeoutError):
            world.erase(unlink=True)
    assert world.paypay.unlinked == [LINKED]
    noted = {"pk": f"USER#{USER}", "sk": f"FORMER#paypay#{LINKED}"}
    assert [item for item in world.items() if item.items() & noted.items() != noted.items()] == before

    assert world.erase(unlink=True).counts["unlinkedAtPayPay"] == 2
    assert world.paypay.unlinked == [LINKED, FORMER]


# One at a time


def test_without_time_for_all_it_says_so_and_the_repeat_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lived(world)
    with monkeypatch.context() as patched:
        patched.setattr(honnin.erasure, "_RUN_S", 0)
        with pytest.raises(ConcurrentUpdateError, match="continues where it stopped"):
            world.erase()
    assert world.store.erasure.is_erased(LINKED)
    assert world.naming("claimed_until") == []

    certificate = world.erase()

    assert_complete(world, certificate)
    assert certificate.counts["statuses"] == 2


def test_an_item_in_a_transaction_of_another_is_a_race_and_not_a_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(world)
    db = dynamodb()

    def conflict(**_: object) -> None:
        raise db.exceptions.TransactionConflictException(
            {"Error": {"Code": "TransactionConflictException", "Message": "x"}}, "UpdateItem"
        )

    with monkeypatch.context() as patched:
        patched.setattr(world.store.table.db, "update_item", conflict)
        with pytest.raises(ConcurrentUpdateError):
            world.erase()

    assert world.erase().completed_at


def test_what_is_attached_behind_its_back_is_erased_too(world: World) -> None:
    """A worker moves what waited to the timeline, after the erasure has looked there."""
    world.link()
    taken = world.store.erasure._forget_samples

    def attached(file_type: str, authorization_ids: Sequence[str]) -> bool:
        world.store.erasure._forget_samples = taken  # type: ignore[method-assign]
        at = utc_text(world.tick())
        entry = {"pk": f"USER#{USER}", "sk": f"AT#{at}#recon:x:2026-04-01:{LINKED}:1", "at": at, "detail": {"a": "b"}}
        entry |= {"event_id": f"recon:x:2026-04-01:{LINKED}:1", "provider": "paypay", "what": "x", "cause": "recon"}
        serializer = TypeSerializer()
        item = {name: serializer.serialize(value) for name, value in (entry | {"to_status": "LINKED"}).items()}
        dynamodb().put_item(TableName="StateTable", Item=item)
        return taken(file_type, authorization_ids)

    world.store.erasure._forget_samples = attached  # type: ignore[method-assign]
    certificate = world.erase()

    assert world.naming(LINKED) == []
    assert not any(each["detail"] for each in world.timeline())
    assert world.erase() == certificate


def test_a_second_call_meanwhile_is_told_to_come_again_and_makes_no_second_certificate(world: World) -> None:
    lived(world)
    refused: list[Exception] = []

    def second() -> None:
        with pytest.raises(ConcurrentUpdateError) as caught:
            world.erase()
        refused.append(caught.value)

    world.moments.from_now({6: second, 40: second})
    certificate = world.erase()

    assert len(refused) == 2
    assert world.store.erasure.certificates(USER) == [certificate]
    assert world.erase() == certificate


def test_the_claim_of_a_run_that_died_ends_by_itself(world: World) -> None:
    lived(world)
    world.moments.from_now({20: world.moments.die})
    with suppress(Crash):
        world.erase()
    world.moments.from_now()

    with pytest.raises(ConcurrentUpdateError):
        world.erase()
    world.clock.advance(seconds=31)

    assert_complete(world, world.erase())


# Crashes


@dataclass(frozen=True)
class Ending:
    """How an erasure that broke off, and was repeated, has ended. `moments` are those of the last run."""

    certificate: Certificate
    moments: int
    code_is_kept: bool


def erased_in_spite_of(*crashes: int) -> Ending:
    """Erase a user; the n-th run breaks off at the n-th of these moments. Then once more, to the end."""
    with memory_aws():
        world = World()
        try:
            lived(world)
            for moment in crashes:
                world.moments.from_now({moment: world.moments.die})
                with suppress(Crash):
                    world.erase(unlink=True)
                # The claim of the run that died is over by then.
                world.clock.advance(seconds=31)
            world.moments.from_now()
            certificate = world.erase(unlink=True)
            moments = world.moments.passed
            world.sweep()
            assert_complete(world, certificate)
            return Ending(certificate, moments, world.store.links.passport_qr(CODE) is not None)
        finally:
            world.moments.off()


def assert_complete(world: World, certificate: Certificate) -> None:
    """All is gone that must go, and there is one completed certificate for it."""
    assert world.naming(LINKED, FORMER) == []
    assert world.kept() == []
    assert world.kept("user-10")
    assert world.store.users.statuses(USER) == []
    assert not any(each["detail"] for each in world.timeline())
    assert certificate.completed_at
    assert world.store.erasure.certificates(USER) == [certificate]
    tombstones = [each["event_id"] for each in world.timeline() if each["what"] == "erased"]
    assert tombstones == [f"erase:{certificate.certificate_id}"]
    assert world.naming("claimed_until") == []


@pytest.mark.parametrize("moment", range(0, MOMENTS, 7))
def test_after_a_crash_the_repeat_completes_it(short: None, moment: int) -> None:
    erased_in_spite_of(moment)


def test_the_crashes_above_reach_the_end(short: None) -> None:
    assert MOMENTS - 10 < erased_in_spite_of().moments <= MOMENTS


@settings(max_examples=4)
@given(st.lists(st.integers(0, MOMENTS), min_size=2, max_size=3))
def _crashes(moments: list[int]) -> None:
    erased_in_spite_of(*moments)


def test_crashes_one_after_the_other(short: None) -> None:
    _crashes()


def test_a_crash_does_not_keep_the_verifier_of_a_qr(short: None) -> None:
    # From before the transaction that takes both the status and the code to after it.
    for moment in range(MOMENTS - 16, MOMENTS - 8):
        assert not erased_in_spite_of(moment).code_is_kept, f"a crash at {moment}"


def test_the_certificate_is_right_in_spite_of_a_crash(short: None) -> None:
    whole = erased_in_spite_of().certificate.counts
    for moment in range(3, MOMENTS, 4):
        assert erased_in_spite_of(moment).certificate.counts == whole, f"a crash at {moment}"


# What comes later


@pytest.mark.parametrize(
    "late",
    [
        event("late-kyc"),
        event("late-risk", "risk"),
        event("late-account", "account_status"),
        event("late-unknown-type", "unrecognised"),
        event("late-former", subject=FORMER),
        event("", cause="recon", event_id=MISSED),
        event("", cause="recon", event_id=f"recon:kyc_passport_sync_recon:2026-04-02:{LINKED}:1"),
        event("two"),
    ],
    ids=lambda each: each.event_id,
)
def test_a_later_event_of_paypay_is_dropped_unread(world: World, late: Event) -> None:
    lived(world)
    world.erase()
    # PayPay goes on naming our user for it.
    for each in (LINKED, FORMER):
        world.paypay.authorizations[each] = {
            "userAuthorizationId": each,
            "referenceIds": [USER],
            "status": "ACTIVE",
            "scopes": list(SCOPES),
        }
    world.paypay.asked.clear()
    before, said = world.items(), len(world.bus.entries)

    world.process(late)

    # That a webhook came on that day is counted; it names nobody.
    ours = ("PROVIDER#paypay", "RECEIVED#")
    assert [item for item in world.items() if not item["pk"].startswith(ours)] == [
        item for item in before if not item["pk"].startswith(ours)
    ]
    assert world.paypay.asked == []
    assert world.kept() == []
    assert len(world.bus.entries) == said


@pytest.mark.parametrize("which", [0, 1], ids=["former submission", "present submission"])
@pytest.mark.parametrize("cause", ["webhook", "poll"])
def test_a_later_result_of_vexora_is_dropped_unread(world: World, which: int, cause: str) -> None:
    submission = lived(world)[which]
    world.erase()
    before, asked = world.items(), len(world.vexora.queried)

    world.process(result(submission, f"{cause}:{submission}:later", cause))

    assert (world.items(), len(world.vexora.queried)) == (before, asked)


def test_an_authorization_that_came_after_the_erasure_heals_nothing(world: World) -> None:
    """The redirect was lost: PayPay has the authorization, and we do not know it when the user is erased."""
    at = utc_text(world.tick())
    pending = UserStatus(USER, "paypay", "LINK_PENDING", 1)
    world.store.events.apply(Effect("api:link:1", "link_requested", "api", at, None, pending, {}))
    world.erase()
    world.paypay.authorizations["auth-unknown"] = {
        "userAuthorizationId": "auth-unknown",
        "referenceIds": [USER],
        "status": "ACTIVE",
        "scopes": list(SCOPES),
    }

    world.process(event("late", subject="auth-unknown"))

    assert world.store.users.statuses(USER) == []
    assert world.kept() == []


# Workers in flight


def assert_gone(world: World) -> None:
    """Nothing of the user is there, and nothing of PayPay's name for him or her."""
    assert world.store.users.statuses(USER) == []
    assert world.naming(LINKED) == []
    assert world.kept() == []
    assert world.store.erasure.is_erased(LINKED)


@pytest.mark.parametrize("kind", ["kyc", "risk"])
def test_a_worker_that_is_asking_paypay_writes_no_status_and_leaves_no_object(world: World, kind: str) -> None:
    world.link()
    world.paypay.meanwhile.append(world.erase)

    world.process(event("in-flight", kind))

    assert world.kept() == []
    assert_gone(world)


@pytest.mark.parametrize("kind", ["kyc", "risk"])
def test_what_a_worker_could_not_take_back_is_swept(world: World, kind: str) -> None:
    world.link()

    world.overtake_a_dying_worker(kind)

    assert len(world.kept()) == 1, "the worker had its object in the vault after the erasure"
    world.sweep()
    assert_gone(world)


def test_a_worker_that_is_asking_for_the_account_leaves_nothing(world: World) -> None:
    world.link()
    world.paypay.meanwhile.append(world.erase)
    world.process(event("in-flight", "account_status"))
    assert_gone(world)


def test_a_worker_that_is_asking_vexora_leaves_nothing(world: World) -> None:
    submission = world.submit()
    world.vexora.meanwhile.append(world.erase)
    world.process(result(submission))
    assert world.store.users.statuses(USER) == []
    assert not any(each["detail"] for each in world.timeline())


def left_by_a_worker(make: Callable[[World], Event]) -> dict[int, str]:
    """The moments of a worker at which an erasure leaves something behind, and what."""
    left: dict[int, str] = {}
    moment = 0
    while True:
        with memory_aws():
            world = World()
            try:
                event = make(world)
                world.moments.from_now({moment: world.erase})
                world.process(event)
                if world.moments.at:  # the worker was done before
                    return left
                world.moments.from_now()
                world.process(event)
                world.sweep()
                assert_gone(world)
            except AssertionError as error:
                left[moment] = str(error).splitlines()[0]
            finally:
                world.moments.off()
        moment += 1


def linked_and_told(kind: str, *, heals: bool) -> Callable[[World], Event]:
    def make(world: World) -> Event:
        world.link()
        if heals:
            world.paypay.authorizations[LINKED] = {
                "userAuthorizationId": LINKED,
                "referenceIds": [USER],
                "status": "ACTIVE",
                "scopes": list(SCOPES),
            }
        return event("in-flight", kind)

    return make


@pytest.mark.parametrize("heals", [True, False], ids=["PayPay still names the user", "unlinked at PayPay"])
@pytest.mark.parametrize("kind", ["kyc", "unrecognised"])
def test_an_erasure_at_any_moment_of_a_worker_leaves_nothing(short: None, kind: str, *, heals: bool) -> None:
    assert left_by_a_worker(linked_and_told(kind, heals=heals)) == {}


class ImpatientEvents(Events):
    """Are not applied without end."""

    applied = 0

    def apply(self, effect: Effect) -> None:
        """Apply, twenty times at most."""
        self.applied += 1
        assert self.applied < 20, "the submission writes without end"
        super().apply(effect)


def test_a_submission_in_flight_ends_when_its_user_is_erased(world: World) -> None:
    impatient = Store("StateTable", dynamodb())
    impatient.events = ImpatientEvents(impatient.table)
    world.submissions._store = impatient
    world.vexora.meanwhile.append(world.erase)
    world.vexora.next_apply.append(ProviderTimeoutError("vexora", "no answer"))

    world.submissions.submit(USER, "テスト ハナコ")

    assert world.store.users.statuses(USER) == []


# The user comes back


def test_a_user_who_links_again_has_come_back(world: World) -> None:
    lived(world)
    first = world.erase()
    world.link()

    assert not world.store.erasure.is_erased(LINKED)
    world.process(event("after"))
    new = world.kept()
    assert new
    world.sweep()
    assert world.kept() == new, "the sweep of before must not take what is new"
    found = world.store.users.status(USER, "paypay")
    assert found is not None
    assert found.status == "VERIFIED"
    assert any(each["what"] == "erased" for each in world.timeline())

    second = world.erase()
    assert second.certificate_id != first.certificate_id
    assert world.store.erasure.certificates(USER)[-1] == second
    assert world.naming(LINKED) == []
    assert world.kept() == []


def test_what_a_user_who_came_back_has_left_behind_anew_is_found_by_the_next_erasure(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user links again, and then another account, while the run that has counted all deletes what it stamped."""
    lived(world)
    transact, left = dynamodb().transact_write_items, iter([1])

    def overtaken(**request: Any) -> Any:
        if any("FORMER#" in str(each.get("Delete")) for each in request["TransactItems"]) and next(left, None):
            world.link()
            world.link("auth-3")
        return transact(**request)

    monkeypatch.setattr(dynamodb(), "transact_write_items", overtaken)
    first = world.erase()

    former = [item["sk"] for item in world.items() if item["sk"].startswith("FORMER#")]
    assert former == [f"FORMER#paypay#{LINKED}"]
    second = world.erase()
    assert second.certificate_id != first.certificate_id
    assert world.naming(LINKED, FORMER, "auth-3") == []


def test_a_user_who_submits_again_is_a_new_one_at_vexora(world: World) -> None:
    first, second = lived(world)
    world.erase()

    third = world.submit()
    submitted = world.store.users.status(USER, "vexora")
    world.vexora.statuses[USER] = "2"
    world.process(result(first, "vexora:x:1"), result(second, "vexora:x:2"))
    found = world.store.users.status(USER, "vexora")
    assert found is not None
    assert found == submitted, "old callbacks do not move the new submission"
    assert found.status == "PENDING"
    world.process(result(third))
    found = world.store.users.status(USER, "vexora")
    assert found is not None
    assert found.status == "APPROVED"
    assert world.erase().counts["submissions"] >= 1


def test_who_comes_back_at_vexora_alone_is_swept_at_paypay_all_the_same(world: World) -> None:
    world.link()
    world.overtake_a_dying_worker()
    assert world.kept()
    world.submit()

    world.sweep()

    assert world.kept() == []


def test_what_an_overtaken_worker_kept_is_swept_although_the_user_came_back_at_once(world: World) -> None:
    world.link()
    world.overtake_a_dying_worker()
    [(overtaken, _)] = world.kept()
    world.link()
    world.process(event("after"))
    [new] = [key for key, _ in world.kept() if key != overtaken]

    world.sweep()

    assert [key for key, _ in world.kept()] == [new]


def test_what_a_user_who_came_back_gave_later_needs_no_timeline_to_stay(world: World) -> None:
    lived(world)
    world.erase()
    world.clock.advance(seconds=121)
    world.link()
    world.process(event("after"))
    expire_timeline(world)
    new = world.kept()

    world.sweep()

    assert world.kept() == new != []


def test_repeating_the_call_sweeps_at_once_and_counts_it(world: World) -> None:
    world.link()
    world.overtake_a_dying_worker()
    assert len(world.kept()) == 1

    certificate = world.erase()

    assert world.kept() == []
    assert certificate.counts["vaultObjects"] == 1
    assert world.store.erasure.certificates(USER) == [certificate]


def test_the_sweep_of_an_erasure_that_broke_off_waits_for_its_completion(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(world)
    with monkeypatch.context() as patched:
        patched.setattr(world.store.erasure, "end", lambda *_: world.moments.die())
        with suppress(Crash):
            world.erase()
    world.moments.from_now()
    [sweep] = world.later

    with pytest.raises(EventNotReadyError):
        world.processor.process(sweep)

    world.clock.advance(seconds=31)
    certificate = world.erase()
    world.process(sweep)
    assert_complete(world, certificate)


# How long the timeline is kept


@pytest.mark.parametrize("days", [1, 400])
def test_timeline_entries_expire_after_the_days_of_the_setting(short: None, days: int) -> None:
    with memory_aws():
        world = World(timeline_days=days)
        try:
            lived(world)
            world.erase()
            # Attached ones keep the time at which they came.
            world.wait_unattached("paypay:kyc:waiting", "auth-new")
            world.link("auth-new")
            assert world.store.links.attach("auth-new", USER, "LINKED") == 1
            entries = world.timeline()
        finally:
            world.moments.off()
    assert {"erased", "unknown_user", "linked", "result_read", "kyc_read"} <= {each["what"] for each in entries}
    for each in entries:
        expires = datetime.fromisoformat(each["at"]) + timedelta(days=days)
        assert each["expires_at"] == int(expires.timestamp()), each["what"]


def test_by_default_no_timeline_entry_expires(world: World) -> None:
    lived(world)
    world.erase()
    assert not [each for each in world.timeline() if "expires_at" in each]


def test_the_certificate_and_the_mark_never_expire(short: None) -> None:
    with memory_aws():
        world = World(timeline_days=1)
        try:
            lived(world)
            world.erase()
            kept = [item for item in world.items() if item["pk"].startswith("ERASED#") or "ERASURE#" in item["sk"]]
        finally:
            world.moments.off()
    assert len(kept) == 3
    assert not [each for each in kept if "expires_at" in each]
