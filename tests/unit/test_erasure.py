"""Erasure of a user: what goes, what stays, and that crashes, races and late events bring nothing back."""

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

import honnin.erasure
from honnin import http_client
from honnin.erasure import ErasureRequest
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    EventNotReadyError,
    NotFoundError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    UserAnswerError,
)
from honnin.event import Event
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.secret_store import PayPayCredentials
from honnin.store import Certificate, Effect, LinkSession, ReconFile, Store, UserStatus
from honnin.store.events import Events
from honnin.times import utc_text
from honnin.vexora.models import Reading
from tests.fakes import LoopbackServer, Reply
from tests.fakes.erasure_world import (
    CODE,
    FORMER,
    JUST_NOW,
    LINKED,
    MISSED,
    NEIGHBOUR,
    SCOPES,
    USER,
    VERIFIER,
    Crash,
    World,
    event,
)
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.paypay import answer
from tests.fakes.recon_file import became

# Just before and just after each AWS call of one whole erasure.
MOMENTS = 98


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


def test_an_interrupted_erasure_keeps_the_request_that_began_it() -> None:
    first, second = ErasureRequest("desk", "first", "T-1"), ErasureRequest("other", "second", None)
    for moment in range(0, MOMENTS, 5):
        with memory_aws():
            world = World()
            lived(world)
            world.moments.from_now({moment: world.moments.die})
            with suppress(Crash):
                world.erase(request=first)
            world.moments.from_now()
            begun = world.store.erasure.certificates(USER)
            world.clock.advance(seconds=31)
            done = world.erase(request=second)
            expected = first if begun else second
            assert (done.requested_by, done.reason, done.ticket) == (
                expected.requested_by,
                expected.reason,
                expected.ticket,
            )
            assert len(world.store.erasure.certificates(USER)) == 1
            world.moments.off()


def test_a_user_who_came_back_is_erased_for_the_new_reason() -> None:
    with memory_aws():
        world = World()
        lived(world)
        world.erase(request=ErasureRequest("desk", "first", None))
        world.clock.advance(seconds=60)
        world.submit()
        world.erase(request=ErasureRequest("desk", "second", None))
        assert [each.reason for each in world.store.erasure.certificates(USER)] == ["first", "second"]
        world.moments.off()


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
