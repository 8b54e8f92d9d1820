"""One range of a file: who is read again and on which queue, what is counted, and that a killed run does no harm."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from honnin.paypay_facets import Call
from honnin.recon import plan
from honnin.recon.bucket import FileId
from honnin.recon.plan import Range
from tests.fakes.recon_engine import ACCOUNT, DAY, KYC, NOON, NOTIFIED, RISK, Engine, comparison

BEFORE, AFTER = "2026-03-31T17:59:59.999Z", "2026-03-31T18:00:00.001Z"


def counts(engine: Engine, file_type: str = KYC) -> Mapping[str, int]:
    """The counts of the file, without those that are nothing."""
    return {name: number for name, number in engine.file(file_type).counts.items() if number}


# Who is read again


@pytest.mark.parametrize("received", [None, {"kyc": NOON}], ids=["no webhook", "a webhook"])
@pytest.mark.parametrize(("read_at", "is_read"), [(NOON, True), (BEFORE, True), (NOTIFIED, True), (AFTER, False)])
def test_what_was_read_decides_and_not_what_was_received(
    read_at: str, received: dict[str, str] | None, *, is_read: bool
) -> None:
    engine = Engine()
    engine.put(engine.link("ann", read_at=read_at, received=received))

    engine.run()

    assert engine.queued("repairs") + engine.queued("rereads") == (["auth-ann"] if is_read else [])
    assert counts(engine).get("reRead", 0) == is_read
    assert counts(engine).get("upToDate", 0) == (not is_read)
    assert counts(engine).get("webhookNeverReceived", 0) == (received is None)


@pytest.mark.parametrize(
    ("file_type", "call", "is_read"),
    [
        (KYC, Call.KYC_PASSPORT, False),
        (KYC, Call.KYC_INFO, False),
        (KYC, Call.KYC_PASSPORT_QR, False),
        (KYC, Call.AUTHORIZATION, True),
        (RISK, Call.KYC_PASSPORT, False),
        (RISK, Call.KYC_INFO, True),
        (RISK, Call.KYC_PASSPORT_QR, True),
        (RISK, Call.AUTHORIZATION, True),
        (ACCOUNT, Call.AUTHORIZATION, False),
        (ACCOUNT, Call.KYC_PASSPORT, True),
    ],
)
def test_only_the_call_that_answers_the_files_question_counts(file_type: str, call: Call, *, is_read: bool) -> None:
    engine = Engine()
    engine.put(engine.link("ann", read_at=AFTER, calls=[call]), file_type=file_type)

    engine.run()

    assert bool(engine.queued("repairs")) == is_read


@pytest.mark.parametrize(
    ("file_type", "call", "is_read"),
    [(KYC, Call.KYC_PASSPORT, True), (KYC, Call.KYC_INFO, False), (RISK, Call.KYC_PASSPORT, False)],
)
def test_where_a_kyc_type_is_required_of_everybody_only_the_read_that_knows_types_counts(
    file_type: str, call: Call, *, is_read: bool
) -> None:
    """As for a webhook: the processor asks `kyc_info` then, too."""
    engine = Engine(required_kyc_type="EKYC")
    scopes = ("mini_app_kyc_passport", "get_kyc_info")
    engine.put(engine.link("ann", read_at=AFTER, calls=[call], scopes=scopes), file_type=file_type)

    engine.run()

    assert bool(engine.queued("repairs")) == is_read


@pytest.mark.parametrize(
    ("received", "queue"),
    [
        (None, "repairs"),
        ({"kyc": NOON}, "rereads"),
        ({"kyc": "2026-03-30T15:00:00.000Z"}, "rereads"),  # the day's midnight in Japan
        ({"kyc": "2026-03-30T14:59:59.999Z"}, "repairs"),
        ({"kyc": AFTER}, "rereads"),
        ({"risk": NOON}, "repairs"),
    ],
)
def test_whose_webhook_never_came_goes_before_the_others(received: dict[str, str] | None, queue: str) -> None:
    engine = Engine()
    engine.put(engine.link("ann", received=received))

    engine.run()

    assert (engine.queued("repairs"), engine.queued("rereads")) == (
        (["auth-ann"], []) if queue == "repairs" else ([], ["auth-ann"])
    )


def test_with_missed_whose_webhook_came_is_left_out() -> None:
    engine = Engine(recheck_all=False)
    engine.put(engine.link("ann", received={"kyc": NOON}), engine.link("bob"))

    engine.run()

    assert (engine.queued("repairs"), engine.queued("rereads")) == (["auth-bob"], [])
    assert counts(engine)["leftOut"] == 1


def test_an_event_names_file_type_day_user_and_comparison() -> None:
    engine = Engine()
    engine.put(engine.link("ann"))

    engine.run()

    [event] = engine.queues["repairs"]
    assert event.event_id == f"recon:{KYC}:{DAY}:auth-ann:1"
    assert (event.provider, event.kind, event.cause, event.subject) == ("paypay", "kyc", "recon", "auth-ann")
    assert event.detail == {"file": "a.csv", "day": DAY}


# Who is not ours


def test_who_is_linked_to_nobody_here_is_counted_apart_and_paypay_is_asked_whose_they_are() -> None:
    engine = Engine()
    engine.put(*(f"stranger-{number}" for number in range(300)))

    engine.run()

    assert counts(engine) == {"rows": 300, "notLinkedHere": 300}
    assert len(engine.queued("rereads")) == 300
    # Nobody waits for them.
    assert engine.file().repairs_open == 0


@pytest.mark.parametrize(("foreign", "asked"), [(True, []), (False, ["stranger"])])
def test_only_in_another_owners_file_nobody_is_asked_about_strangers(foreign: bool, asked: list[str]) -> None:
    """A warning about the day or the transfer says nothing about whose users they are."""
    engine = Engine()
    file = engine.put("stranger", engine.link("ann"))
    stored = engine.store.recon.file(file.file_type, file.day, file.name)
    assert stored is not None
    warnings = ("the server did not give the length of the file",)
    engine.store.recon.stored(replace(stored, warnings=warnings, foreign=foreign))

    engine.run()

    assert (engine.queued("repairs"), engine.queued("rereads")) == (["auth-ann"], asked)
    assert counts(engine)["warnings"] == 1


def test_an_erased_user_is_left_alone() -> None:
    engine = Engine()
    engine.store.erasure.mark("auth-gone", NOON)
    engine.put("auth-gone")

    engine.run()

    assert counts(engine) == {"rows": 1, "erased": 1}
    assert engine.queued("rereads") == []


def test_the_old_authorization_of_a_user_who_has_linked_anew_is_nobodys() -> None:
    engine = Engine()
    linked = engine.link("ann")
    before = engine.store.users.status("ann", "paypay")
    assert before is not None
    status = {"pk": {"S": "USER#ann"}, "sk": {"S": "STATUS#paypay"}}
    engine.table.update_item(
        Key=status,
        UpdateExpression="SET user_authorization_id = :new",
        ExpressionAttributeValues={":new": {"S": "auth-new"}},
    )
    engine.put(linked)

    engine.run()

    assert counts(engine) == {"rows": 1, "notLinkedHere": 1}


# What is counted


def test_rows_duplicates_and_malformed_rows_are_counted() -> None:
    engine = Engine(rows=200)
    engine.put(engine.link("ann"), engine.link("bob"), "auth-ann", "not an id, at all!", *["auth-bob"] * 96)

    engine.run()

    found = counts(engine)
    assert (found["rows"], found["duplicates"], found["malformed"], found["reRead"]) == (99, 97, 1, 2)
    [malformed] = engine.report()["malformedRows"]
    assert malformed["line"] == 5


def test_the_same_user_in_two_ranges_has_one_event() -> None:
    engine = Engine(rows=2)
    engine.put(engine.link("ann"), engine.link("bob"), engine.link("cem"), "auth-ann")

    engine.run()

    assert {each.event_id for each in engine.queues["repairs"]} == {
        f"recon:{KYC}:{DAY}:auth-{name}:1" for name in ("ann", "bob", "cem")
    }


# Killed runs


def killed(engine: Engine, service: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let the next write to a service fail once; what it returns ends that."""
    owner, name = (engine, "send_message_batch") if service == "sqs" else (engine.objects, "put_object")
    real = getattr(owner, name)

    def fail(**request: Any) -> Any:
        if service == "done" and not request["Key"].endswith(".done"):
            return real(**request)
        raise ConnectionResetError

    monkeypatch.setattr(owner, name, fail)
    return lambda: monkeypatch.setattr(owner, name, real)


@pytest.mark.parametrize("service", ["sqs", "done", "s3"])
def test_a_range_that_was_killed_sends_the_same_events_again(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(rows=10)
    engine.put(engine.link("ann"), engine.link("bob", received={"kyc": NOON}))
    planned = plan.write(engine.bucket, comparison(), 10)
    [part] = [Range(**each) for each in engine.read(planned["key"])]
    mend = killed(engine, service, monkeypatch)
    with pytest.raises(ConnectionResetError):
        engine.comparison.run(comparison(), part, planned["etag"])
    mend()
    # Meanwhile somebody was read: what was written down once is what is sent.
    again = len(engine.queues["repairs"])

    engine.comparison.run(comparison(), part, planned["etag"])
    engine.comparison.run(comparison(), part, planned["etag"])

    assert {each.event_id for each in engine.queues["repairs"]} == {f"recon:{KYC}:{DAY}:auth-ann:1"}
    assert len(engine.queues["repairs"]) == again + 1
    assert engine.bucket.part(FileId(KYC, DAY, "a.csv"), 1, "00000.done")["counts"]["reRead"] == 2


def test_a_range_is_of_the_bytes_that_were_planned() -> None:
    engine = Engine()
    file = engine.put(engine.link("ann"))
    planned = plan.write(engine.bucket, comparison(), 10)
    engine.objects.put_object(Key=FileId.of(file).key, Body=b"other bytes\n")

    with pytest.raises(ClientError, match="PreconditionFailed"):
        engine.comparison.run(comparison(), Range("00000", 0, 20), planned["etag"])

    assert engine.queues["repairs"] == []


def test_of_two_runs_at_once_the_first_result_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(rows=10)
    engine.put(engine.link("ann"))
    planned = plan.write(engine.bucket, comparison(), 10)
    [part] = plan.planned(engine.bucket, comparison())
    put_once = engine.bucket.put_once

    def other_first(file: FileId, number: int, name: str, found: Any) -> bool:
        assert put_once(file, number, name, json.loads(json.dumps(found)) | {"repairs": ["auth-of-the-other-run"]})
        return put_once(file, number, name, found)

    monkeypatch.setattr(engine.bucket, "put_once", other_first)

    engine.comparison.run(comparison(), part, planned["etag"])

    assert engine.queued("repairs") == ["auth-of-the-other-run"]
