"""What a comparison comes to: while it waits, once nobody waits any more, after a day, and when it is made again."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from chaos.states import FailedError
from honnin.paypay_facets import Call
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.report_api import ReconCounts
from honnin.times import utc_text
from tests.fakes.counts import counted
from tests.fakes.recon_engine import DAY, KYC, NOON, RISK, Engine, comparison


def settle(engine: Engine, **applied: str) -> None:
    """The events are worked off, and the state machine looks again."""
    engine.apply(**applied)
    engine.later()


def test_only_the_report_of_a_completed_comparison_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reports before it are written over, and S3 would keep each of them."""
    engine, locks = Engine(), []
    engine.put(engine.link("ann"))
    written = ReconBucket.put_report

    def put(bucket: ReconBucket, file: FileId, report: Any, locked_until: datetime | None = None) -> None:
        locks.append(locked_until)
        written(bucket, file, report)

    monkeypatch.setattr(ReconBucket, "put_report", put)
    monkeypatch.setattr(engine.summaries, "_lock_days", 30)
    engine.run()
    settle(engine)
    completed = engine.file().completed_at
    assert completed is not None
    assert locks == [None] * (len(locks) - 1) + [datetime.fromisoformat(completed) + timedelta(days=30)]
    assert len(locks) > 1


def test_a_comparison_waits_until_everybody_is_read() -> None:
    engine = Engine()
    engine.put(*(engine.link(name) for name in ("ann", "bob", "cem")))

    engine.run()

    waiting = engine.file()
    assert (waiting.state, waiting.repairs_open, waiting.completed_at) == ("COMPARED", 3, None)
    assert engine.report()["repairsOpen"] == 3
    assert engine.published == []
    engine.later()
    assert engine.file().completed_at is None

    settle(engine)

    done = engine.file()
    assert (done.repairs_open, done.completed_at) == (0, "2026-03-31T18:25:12.000Z")
    assert [each.status for each in engine.states.executions.values()] == ["SUCCEEDED"]
    [event] = engine.published
    assert (event["fileType"], event["day"], event["fileName"], event["comparison"]) == (KYC, DAY, "a.csv", 1)
    assert event["counts"] == dict(done.counts) == engine.report()["counts"]
    assert "auth-" not in json.dumps(event)


def test_a_file_in_which_nobody_is_to_be_read_is_over_at_once() -> None:
    engine = Engine()
    engine.put()

    engine.run()

    assert engine.file().completed_at is not None
    assert len(engine.published) == 1
    assert engine.store.comparisons.due("9999") == []
    # Every count that the merchant API tells stands in the report, too, be it 0.
    names = {each.alias or each.serialization_alias for each in ReconCounts.model_fields.values()}
    assert {*engine.report()["counts"]} == names


def test_changed_lists_everyone_whose_status_moved_and_nobody_else() -> None:
    engine = Engine()
    engine.put(engine.link("ann"), engine.link("bob"), engine.link("cem", received={"kyc": NOON}))
    engine.run()
    engine.queues["repairs"] = [each for each in engine.queues["repairs"] if each.subject == "auth-ann"]

    engine.apply(becomes="NOT_COMPLETED")
    engine.later()

    assert engine.file().counts["changed"] == 2
    assert [(each["userAuthorizationId"], each["from"], each["to"]) for each in engine.report()["changed"]] == [
        ("auth-ann", "VERIFIED", "NOT_COMPLETED"),
        ("auth-cem", "VERIFIED", "NOT_COMPLETED"),
    ]
    assert engine.file().repairs_open == 1


def test_after_a_day_it_is_over_and_who_still_waits_was_not_read() -> None:
    engine = Engine()
    engine.put(engine.link("ann"), engine.link("bob"))
    engine.run()
    engine.later(24 * 60)

    done = engine.file()
    assert done.completed_at is not None
    assert (done.counts["notRead"], done.repairs_open) == (2, 0)
    assert len(engine.published) == 1


@pytest.mark.parametrize("what", ["reading_refused", "no_read_fits_scopes"])
def test_who_was_not_read_is_compared_again_each_morning_for_seven_days(what: str) -> None:
    engine = Engine()
    engine.put(engine.link("ann"), engine.link("bob"))
    engine.run()
    # Bob's event never takes effect: a day later he was not read, either.
    engine.queues["repairs"] = [each for each in engine.queues["repairs"] if each.subject == "auth-ann"]
    engine.apply(what=what)
    engine.later()
    assert [each["why"] for each in engine.report()["notRead"]] == [what]
    engine.later(24 * 60)
    assert engine.file().counts["notRead"] == 2
    mornings: list[int] = []
    for _ in range(12):
        if due := engine.store.comparisons.due("9999"):
            engine.now = datetime.fromisoformat("2026-04-01T21:00:00Z") + timedelta(days=len(mornings) + 1)
            engine.run()
            mornings.append(due[0].number)
            settle(engine, what=what)

    # From the third of April to the eighth: the second one passed while Bob was waited for.
    assert mornings == [2, 3, 4, 5, 6, 7]
    assert engine.store.comparisons.due("9999") == []


def test_who_was_not_read_and_is_then_read_is_done() -> None:
    engine = Engine()
    engine.put(engine.link("ann"))
    engine.run()
    settle(engine, what="reading_refused")
    assert engine.file().counts["notRead"] == 1
    [due] = engine.store.comparisons.due("9999")
    assert due.number == 2

    engine.later(27 * 60)
    settle(engine, becomes="NOT_COMPLETED")

    assert engine.file().comparisons == (1, 2)
    assert (engine.file().counts["notRead"], engine.file().counts["changed"]) == (0, 1)
    assert engine.store.comparisons.due("9999") == []
    assert [each["comparison"] for each in engine.published] == [1, 2]


def test_a_revision_has_events_of_its_own_and_reads_only_who_was_not_read_since() -> None:
    engine = Engine()
    ann, bob = engine.link("ann"), engine.link("bob")
    engine.put(ann)
    engine.run()
    settle(engine)
    engine.put(ann, bob, name="a.csv.rev-1", notified="2026-03-31T19:00:00.000Z")
    engine.now += timedelta(hours=1)

    engine.run()

    assert {each.event_id for each in engine.queues["repairs"]} == {
        f"recon:{KYC}:{DAY}:{ann}:2",
        f"recon:{KYC}:{DAY}:{bob}:2",
    }
    settle(engine)
    revision = engine.file(name="a.csv.rev-1")
    assert (revision.comparisons, revision.counts["reRead"]) == ((2,), 2)
    assert engine.file().comparisons == (1,)


def test_an_earlier_comparison_that_was_stopped_is_waited_for_and_told() -> None:
    engine = Engine()
    engine.put(engine.link("ann"))
    engine.starting.run()
    engine.states.work(2)
    assert engine.queued("repairs") == ["auth-ann"]
    engine.states.kill()
    engine.apply(becomes="NOT_COMPLETED")

    engine.run()
    engine.later()

    assert engine.file().comparisons == (1, 2)
    assert (engine.file().counts["upToDate"], engine.file().counts["changed"]) == (1, 1)
    assert [each["to"] for each in engine.report()["changed"]] == ["NOT_COMPLETED"]


def test_a_range_that_was_stopped_before_its_events_were_sent_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who is to be read again was written down, and no event sent: only the next comparison asks for them."""
    engine = Engine()
    engine.put(*(engine.link(name) for name in ("ann", "bob", "cem")))

    def refuse(**_: Any) -> None:
        raise FailedError

    with monkeypatch.context() as patched:
        patched.setattr(engine, "send_message_batch", refuse)
        engine.starting.run()
        engine.states.work(3)
    engine.states.kill()
    assert engine.queues == {}

    engine.run()
    settle(engine, becomes="NOT_COMPLETED")

    assert engine.file().comparisons == (1, 2)
    assert engine.file().completed_at is not None
    assert engine.file().repairs_open == 0
    assert engine.file().counts["changed"] == 3


def test_what_a_range_has_sent_before_it_was_stopped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """All its events were sent and took effect; only the mark that says so is lacking."""
    engine = Engine()
    engine.put(engine.link("ann"))
    put = engine.objects.put_object

    def refuse(**request: Any) -> Any:
        if request["Key"].endswith(".done"):
            raise FailedError
        return put(**request)

    with monkeypatch.context() as patched:
        patched.setattr(engine.objects, "put_object", refuse)
        engine.starting.run()
        engine.states.work(3)
    engine.states.kill()
    engine.apply(becomes="NOT_COMPLETED")

    engine.run()
    engine.later()

    assert (engine.file().counts["upToDate"], engine.file().counts["changed"]) == (1, 1)
    assert engine.file().completed_at is not None
    assert [each["to"] for each in engine.report()["changed"]] == ["NOT_COMPLETED"]


def test_of_36_million_rows_no_step_is_given_or_answers_more_than_step_functions_takes() -> None:
    """They are 361 ranges. Here a range has one row, for only the number of ranges is in what the machine hands on."""
    engine = Engine(rows=1)
    engine.put(*(engine.link(f"user-{number}") for number in range(360)))

    engine.run()
    engine.later()
    assert engine.file().repairs_open == 360
    settle(engine)

    assert engine.calls.count("ReconCompareFunction") == 361
    assert engine.file().counts["reRead"] == 360
    assert [each.status for each in engine.states.executions.values()] == ["SUCCEEDED"]


@pytest.mark.parametrize(("function", "answer"), [("ReconPlanFunction", 262_145), ("ReconCompareFunction", 800)])
def test_a_result_that_step_functions_does_not_take_ends_the_execution(
    function: str, answer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a Map, the results of all ranges count together."""
    engine = Engine(rows=1)
    engine.put(*(f"auth-{number}" for number in range(360)), warnings=("nobody is asked about",))
    call = engine.call

    def answering(called: str, event: dict[str, Any]) -> Any:
        found = call(called, event)
        return "x" * answer if called == function else found

    monkeypatch.setattr(engine.states, "_call", answering)

    engine.run()

    assert [each.status for each in engine.states.executions.values()] == ["FAILED"]


@pytest.mark.parametrize("function", ["ReconPlanFunction", "ReconCompareFunction", "ReconSummaryFunction"])
def test_a_function_that_always_fails_ends_in_another_comparison(function: str) -> None:
    engine = Engine()
    engine.put(engine.link("ann"))
    engine.broken = {function}
    for _ in range(8):
        engine.later()
    assert next(iter(engine.states.executions.values())).status == "FAILED"

    engine.broken = set()
    engine.later()
    settle(engine)

    assert engine.file().completed_at is not None
    assert [each.status for each in engine.states.executions.values()][-1] == "SUCCEEDED"


def adds_up(counts: Mapping[str, int]) -> bool:
    """Whether each row of a file is counted in one place."""
    places = ("duplicates", "upToDate", "reRead", "leftOut", "notLinkedHere", "erased")
    return counts["rows"] == sum(counts.get(each, 0) for each in places)


def test_an_erased_user_is_in_no_sample_and_in_no_report_that_is_written_later() -> None:
    engine = Engine()
    engine.put(engine.link("ann"), engine.link("bob"), engine.link("cem"))
    engine.run()
    engine.queues["repairs"] = [each for each in engine.queues["repairs"] if each.subject != "auth-cem"]
    engine.apply(becomes="NOT_COMPLETED")
    engine.store.erasure.mark("auth-ann", NOON)
    # Who is erased before the event comes: nobody waits for that.
    engine.store.erasure.mark("auth-cem", NOON)

    engine.later()

    assert engine.file().changed_sample == ("erased", "auth-bob")
    assert [each["userAuthorizationId"] for each in engine.report()["changed"]] == ["auth-bob"]
    assert engine.file().counts["erased"] == 1
    assert engine.file().counts["reRead"] == 2
    assert adds_up(engine.file().counts)
    assert engine.file().completed_at is not None


def test_the_report_says_when_the_night_will_be_done() -> None:
    engine = Engine(rows=4)
    engine.put(*(engine.link(f"user-{number}") for number in range(4)))
    engine.run()
    engine.queues["repairs"] = [each for each in engine.queues["repairs"] if each.subject == "auth-user-0"]
    engine.apply()
    engine.later(15)

    # One of four in a quarter of an hour: three quarters more.
    assert engine.file().done_at == "2026-03-31T19:15:00.000Z"
    assert engine.report()["doneAt"] == engine.file().done_at


def test_the_pace_is_that_of_the_last_minutes_and_an_alarm_rings_where_it_is_too_slow(
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = Engine(rows=100)
    engine.put(*(engine.link(f"user-{number:02}") for number in range(100)))
    engine.run()
    waiting = engine.queues["repairs"]

    def read(number: int, minutes: int) -> str | None:
        engine.queues["repairs"] = waiting[:number]
        del waiting[:number]
        engine.apply()
        engine.later(minutes)
        return engine.file().done_at

    started = datetime.fromisoformat(engine.file().compared_at or "")
    assert read(90, 10) == utc_text(started + timedelta(minutes=10 + 10 / 9))
    # Too short to tell: the last estimate stands. Then nobody is read, and after that hardly anybody.
    assert read(0, 5) == utc_text(started + timedelta(minutes=10 + 10 / 9))
    assert read(0, 10) is None
    assert "ReconTooSlow" not in capsys.readouterr().out
    assert read(1, 185) == utc_text(started + timedelta(minutes=210 + 200 * 9))
    assert capsys.readouterr().out.count('"ReconTooSlow":[1.0]') == 1
    read(0, 300)
    assert "ReconTooSlow" not in capsys.readouterr().out
    read(0, 60)
    assert capsys.readouterr().out.count('"ReconTooSlow":[1.0]') == 1


def test_a_revision_counts_only_whose_webhook_was_not_known_to_be_missing(capsys: pytest.CaptureFixture[str]) -> None:
    engine = Engine()
    ann, bob = engine.link("ann"), engine.link("bob")
    engine.put(ann)
    engine.run()
    assert counted(capsys.readouterr().out)["ReconMissed"] == 1
    engine.put(ann, bob, name="a.csv.rev-1")
    engine.run()
    assert engine.file(name="a.csv.rev-1").counts["webhookNeverReceived"] == 2
    assert counted(capsys.readouterr().out)["ReconMissed"] == 1


def test_while_repairs_are_stopped_the_report_says_so_and_nobody_is_given_up() -> None:
    engine = Engine(rows=4)
    engine.put(*(engine.link(f"user-{number}") for number in range(4)))
    engine.run()
    changes = engine.store.mass_change
    changes.stop(changes.read())
    engine.later(30)
    stop = changes.read().stop
    assert stop
    assert (engine.file().repairs_open, engine.file().done_at) == (4, None)
    assert engine.report()["repairsStoppedAt"] == stop.at

    changes.resume()
    engine.apply()
    engine.later()
    assert engine.file().completed_at is not None
    assert (engine.report()["repairsStoppedAt"], engine.file().counts["notRead"]) == (None, 0)


def test_a_risk_that_no_read_can_tell_is_not_read() -> None:
    engine = Engine()
    engine.put(engine.link("ann", scopes=("get_kyc_info",), calls=[Call.KYC_INFO]), file_type=RISK)
    engine.run()

    settle(engine, what="no_read_fits_scopes")

    assert engine.file(RISK).counts["notRead"] == 1


def test_a_summary_that_is_repeated_says_the_same() -> None:
    engine = Engine()
    engine.put(engine.link("ann"))
    engine.run()
    settle(engine)
    before = engine.report()

    assert engine.summaries.run(comparison()) == {"settled": True}

    assert {name: value for name, value in engine.report().items() if name != "reportedAt"} == before | {
        "completedAt": engine.report()["completedAt"]
    } or engine.report() == before
    assert engine.store.comparisons.due("9999") == []


# --- whether a file closes its day ---

STRANGERS = tuple(f"a85fe9e9-b4c9-45cf-a392-834c57d83a{number:02}" for number in range(9))


@pytest.mark.parametrize("rows", [2, 100])
@pytest.mark.parametrize(
    ("text", "facts", "doubt"),
    [
        ("", {}, "the file is empty"),
        ("OK", {"own_name": True}, "the file is not a list of ids; it may be a web page or a message"),
        ("<html>\n" * 9, {"own_name": True}, "the file is not a list of ids; it may be a web page or a message"),
        ("\n".join(STRANGERS), {}, "no user in the file is linked here, and the file name does not contain our own id"),
        # Half of the rows are no ids, all of them in the last ranges.
        ("\n".join([*STRANGERS, *["a b <c>"] * 9]), {"own_name": True}, None),
        (
            "\n".join([*STRANGERS, *["a b <c>"] * 10]),
            {"own_name": True},
            "the file is not a list of ids; it may be a web page",
        ),
        ("\n".join(STRANGERS), {"own_name": True}, None),
        ("userAuthorizationId\r\n", {}, None),
        (
            "userAuthorizationId\r\n",
            {"webhooks": True},
            "the file lists no user, although webhooks were received on its day",
        ),
        ("\n".join([*STRANGERS, "auth-ann"]), {}, None),
    ],
)
def test_a_files_doubt_is_that_of_all_its_ranges(
    text: str, facts: dict[str, Any], doubt: str | None, rows: int
) -> None:
    engine = Engine(rows=rows)
    engine.link("ann")
    engine.put(text=text, **facts)

    engine.run()

    found = engine.file()
    assert bool(found.doubt) is bool(doubt)
    assert (found.doubt or "").startswith(doubt or "")
    assert found.closes_day is (doubt is None)
    assert engine.report()["doubt"] == found.doubt


def test_a_comparison_that_finds_somebody_takes_the_doubt_back() -> None:
    engine = Engine()
    engine.put("auth-ann")
    engine.run()
    assert engine.file().doubt

    engine.link("ann")
    engine.store.comparisons.another(comparison(), NOON)
    engine.later()

    assert engine.file().doubt is None
    assert engine.file().closes_day
