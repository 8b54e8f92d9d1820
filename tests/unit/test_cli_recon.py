"""`recon DAY`, `--dry-run` and `recon calendar`: read-only, masked, and in words that need no colour."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from honnin import times
from honnin.recon.days import REPORTED_AT, CalendarDay, DayState, of_files
from honnin.store import ReconFile
from honninctl import command, recon
from tests.fakes.cli import run
from tests.fakes.cli_recon import DAY, NOON, TYPE, USERS, Recon
from tests.fakes.memory import memory_aws

OTHERS = ("kyc_passport_risk_sync_recon", "kyc_passport_account_status_sync_recon")
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recon]:
    with memory_aws():
        made = Recon()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def _json(*arguments: str, code: int) -> dict[str, Any]:
    ended = run("recon", *arguments, "--json")
    assert ended.exit_code == code, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _days_ago(back: int) -> str:
    return times.jst_day(datetime.now(UTC) - timedelta(days=back))


# --dry-run


def test_dry_run_names_who_would_be_read_and_writes_nothing(world: Recon) -> None:
    world.put(*USERS.values())
    before = world.everything()
    [found] = _json(DAY, "--dry-run", "--reveal", "--reason", "r", code=1)["files"]
    assert (found["counts"]["rows"], found["counts"]["reRead"], found["counts"]["webhookNeverReceived"]) == (4, 2, 2)
    # The parameter ReconRecheck is `missed` in this stack: whose webhook came is left out.
    assert sorted(found["wouldRead"], key=lambda each: each["userId"]) == [
        {"userAuthorizationId": USERS[name], "userId": name} for name in ("user-2", "user-3")
    ]
    assert world.everything() == before


def test_dry_run_masks_without_reveal(world: Recon) -> None:
    world.put(*USERS.values())
    for option in ([], ["--json"]):
        shown = run("recon", DAY, "--dry-run", *option).output
        assert "user-3" in shown
        assert USERS["user-3"] not in shown


def test_dry_run_of_a_day_without_a_stored_file_is_3(world: Recon) -> None:
    world.store.recon.missing(TYPE, DAY, NOON)
    assert run("recon", DAY, "--dry-run", "--json").exit_code == 3


# The report


def test_the_report_says_whose_status_changed_and_who_was_not_read(world: Recon) -> None:
    world.put(*USERS.values())
    world.compared(USERS["user-2"], not_read=(USERS["user-3"],), waiting=1)
    found = _json(DAY, "--reveal", "--reason", "r", code=1)["files"]
    assert [each["state"] for each in found] == ["COMPARED", "NONE", "NONE"]
    assert found[0]["repairsOpen"] == 1
    assert found[0]["changed"] == [
        {
            "userAuthorizationId": USERS["user-2"],
            "userId": "user-2",
            "from": "VERIFIED",
            "to": "RISK_FLAGGED",
            "appliedAt": "2026-11-21T00:10:00.000Z",
        }
    ]
    assert [(each["userId"], each["why"]) for each in found[0]["notRead"]] == [("user-3", "reading_refused")]
    shown = run("recon", DAY).output
    assert USERS["user-2"] not in shown
    assert "1 had another status; 1 not read; 1 still waiting." in shown


def test_a_settled_day_is_0(world: Recon) -> None:
    world.deployment.given["Parameters"] = [{"ParameterKey": "ReconFileTypes", "ParameterValue": TYPE}]
    world.put(*USERS.values())
    world.compared(USERS["user-2"])
    [found] = _json(DAY, code=0)["files"]
    assert found["repairsOpen"] == 0


def test_a_day_that_was_missing_and_came_after_all_shows_the_file_only(world: Recon) -> None:
    world.store.recon.missing(TYPE, DAY, NOON)
    assert _json(DAY, code=1)["files"][0]["state"] == "MISSING"
    world.put(*USERS.values())
    world.compared()
    assert [each["state"] for each in _json(DAY, code=0)["files"]] == ["COMPARED", "NONE", "NONE"]


def test_a_missing_day_comes_with_the_week_and_the_request_to_paypay(world: Recon) -> None:
    day = _days_ago(2)
    world.put(*USERS.values())
    world.store.recon.note_own_ids({"merchant_id": "m-1", "client_id": ""})
    world.store.recon.missing(TYPE, day, times.utc_now())
    kyc, risk, _ = _json(day, code=1)["types"]
    assert (kyc["fileType"], kyc["everAnnounced"], kyc["week"][0]["state"]) == (TYPE, True, "missing")
    assert [each["day"] for each in kyc["week"]][-1] == (date.fromisoformat(day) - timedelta(days=6)).isoformat()
    assert "- merchant id: m-1\n" in kyc["resendRequest"]["en"]
    assert (risk["everAnnounced"], risk["resendRequest"]) == (False, None)
    shown = run("recon", day).output
    assert f"件名: リコンファイル通知の再送のお願い（{TYPE}、{day}）" in shown
    assert f"{OTHERS[0]}: no notification was ever received" in shown


def test_a_day_that_paypay_has_no_more_is_not_asked_for(world: Recon) -> None:
    world.put(*USERS.values())
    world.store.recon.missing(TYPE, "2026-01-05", NOON)
    assert [each["resendRequest"] for each in _json("2026-01-05", code=1)["types"]] == [None] * 3


def test_a_revision_is_marked_as_one(world: Recon) -> None:
    world.put(*USERS.values())
    file = world.store.recon.files(TYPE, DAY, DAY)[0]
    world.store.recon.stored(replace(file, name=f"{file.name}.rev-1", revision_of=file.name))
    assert f"  revision of {file.name}\n" in run("recon", DAY).output


def test_a_day_of_which_nothing_is_known_is_3(world: Recon) -> None:
    assert run("recon", DAY, "--json").exit_code == 3


@pytest.mark.parametrize("word", ["2026-11-31", "2026-13-01"])
def test_what_is_no_day_is_wrong_usage(world: Recon, word: str) -> None:
    assert run("recon", word).exit_code == 2


def test_another_word_is_no_command() -> None:
    assert run("recon", "kalender").exit_code == 2


def test_yesterday_is_japans(world: Recon) -> None:
    ended = run("recon", "yesterday")
    yesterday = date.fromisoformat(times.jst_day(datetime.now(UTC))) - timedelta(days=1)
    assert yesterday.isoformat() in ended.stderr


# The calendar


def _file(state: str, **facts: Any) -> ReconFile:
    return ReconFile(TYPE, DAY, "name", state, **facts)


IN_TIME = "2026-11-21T01:14:59.999Z"  # 10:15 in Japan is 01:15 UTC
TOO_LATE = "2026-11-21T01:15:00.001Z"


def _compared(changed: int = 0, waiting: int = 0, *, at: str = IN_TIME, never: int = 0) -> ReconFile:
    """A compared file."""
    counts = {"changed": changed, "webhookNeverReceived": never}
    return _file("COMPARED", compared_at=at, counts=counts, repairs_open=waiting)


def _doubtful(**more: Any) -> ReconFile:
    return _file("COMPARED", compared_at=IN_TIME, doubt="the file is empty", **more)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([], DayState.NONE),
        ([_file("MISSING")], DayState.MISSING),
        ([_file("ANNOUNCED")], DayState.ANNOUNCED),
        ([_file("STORED"), _file("MISSING")], DayState.STORED),
        ([_doubtful(received_at="b"), _file("EXPIRED", received_at="a")], DayState.DOUBTFUL),
        # A second name, expired or doubtful, does not hide the file that is under way.
        ([_file("STORED", received_at="a"), _file("EXPIRED", received_at="b")], DayState.STORED),
        ([_file("ANNOUNCED", received_at="a"), _doubtful(received_at="b")], DayState.ANNOUNCED),
        ([_file("ANNOUNCED", received_at="b"), _file("STORED", received_at="a")], DayState.ANNOUNCED),
        ([_file("EXPIRED")], DayState.EXPIRED),
        ([_doubtful()], DayState.DOUBTFUL),
        # What this version does not know is neither good nor bad.
        ([_file("TOO_LARGE")], DayState.NONE),
        # Its notification came before its type was taken, and it has been missed since.
        ([_file("IGNORED"), _file("MISSING")], DayState.EXPIRED),
        # The download itself does not run.
        ([_file("ANNOUNCED", deadline="2026-11-21T01:59:59.000Z")], DayState.EXPIRED),
        ([_file("ANNOUNCED", deadline="2026-11-21T02:00:01.000Z")], DayState.ANNOUNCED),
        ([_file("IGNORED")], DayState.NONE),
        ([_file("COMPARED", compared_at=IN_TIME)], DayState.COMPARED),
        ([_file("COMPARED", compared_at=TOO_LATE), _file("MISSING")], DayState.LATE),
        ([_compared(2)], DayState.REPAIRED),
        ([_compared(1, 1)], DayState.REPAIRING),
        ([_compared(0, 1)], DayState.REPAIRING),
        ([_compared(never=3)], DayState.COMPARED),
        ([_file("COMPARED", compared_at=IN_TIME), _doubtful()], DayState.COMPARED),
    ],
)
def test_what_becomes_of_a_day(files: list[ReconFile], expected: DayState) -> None:
    assert of_files(DAY, TYPE, files, NOW).state is expected


def test_a_day_is_due_until_the_deadline() -> None:
    before = datetime(2026, 11, 21, 0, 59, 59, tzinfo=UTC)
    assert of_files(DAY, TYPE, [], before).state is DayState.DUE
    assert of_files(DAY, TYPE, [], before + timedelta(seconds=1)).state is DayState.NONE


def test_revisions_count_together_and_lateness_is_the_first_ones() -> None:
    files = [_compared(1, never=3), _compared(2, 1, at=TOO_LATE, never=4), _compared(0, 4, at=TOO_LATE)]
    assert of_files(DAY, TYPE, files, NOW) == CalendarDay(
        DAY, TYPE, DayState.REPAIRING, changed=3, open=5, never_received=4
    )


def test_the_calendar_has_every_day_and_type_newest_first(world: Recon) -> None:
    world.put(*USERS.values())
    world.compared(USERS["user-2"])
    found = recon.calendar(world.deployment, 30, NOW)
    assert len(found) == 90
    assert [each.day for each in found[:4]] == [DAY, DAY, DAY, "2026-11-19"]
    assert [each.file_type for each in found[:3]] == [TYPE, *OTHERS]
    assert (found[0].state, found[0].changed, found[1].state) == (DayState.REPAIRED, 1, DayState.NONE)


def test_todays_file_is_in_the_calendar_once_it_is_there(world: Recon) -> None:
    world.put(*USERS.values())
    world.compared(USERS["user-2"])
    on_the_day = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    found = recon.calendar(world.deployment, 2, on_the_day)
    assert [each.day for each in found[::3]] == [DAY, "2026-11-19", "2026-11-18"]
    assert [each.state for each in found[:3]] == [DayState.REPAIRED, DayState.DUE, DayState.DUE]
    before = recon.calendar(world.deployment, 2, on_the_day - timedelta(days=1))
    assert [each.day for each in before[::3]] == ["2026-11-18", "2026-11-17"]


def test_the_calendar_is_readable_without_colours(world: Recon, monkeypatch: pytest.MonkeyPatch) -> None:
    day = _days_ago(2)
    days = [
        CalendarDay(day, TYPE, DayState.REPAIRED, late=True, changed=3),
        CalendarDay(day, OTHERS[0], DayState.REPAIRING, open=2),
        CalendarDay(day, OTHERS[1], DayState.MISSING, reason="no notification was received"),
    ]
    monkeypatch.setattr(recon, "calendar", lambda *_: days)
    ended = run("recon", "calendar")
    assert ended.exit_code == 1
    assert "\x1b" not in ended.stdout
    for text in ("repaired 3, late", "repairing 2", "missing", "ask PayPay to resend", "account status"):
        assert text in ended.stdout
    assert _json("calendar", code=1)["days"][2] == {
        "day": day,
        "fileType": OTHERS[1],
        "state": "missing",
        "late": False,
        "changed": 0,
        "open": 0,
        "webhookNeverReceived": 0,
        "reason": "no notification was received",
    }


def test_a_missing_day_that_paypay_keeps_no_more_is_no_finding(world: Recon, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one that may still come: today's, by a notification that leads nowhere."""
    states = {0: DayState.EXPIRED, 9: DayState.MISSING}
    days = [CalendarDay(_days_ago(back), TYPE, states.get(back, DayState.COMPARED)) for back in range(10)]
    monkeypatch.setattr(recon, "calendar", lambda *_: days)
    assert run("recon", "calendar").exit_code == 0


def test_every_state_has_its_colour_and_legend() -> None:
    from honninctl import recon_commands

    assert set(recon_commands._STYLES) == set(recon_commands._LEGEND) == set(DayState)


def test_the_report_is_made_when_it_is_said_to_be() -> None:
    """The time after which the calendar calls a file late is that of the daily report in template.yaml."""
    from tests.tables import template

    [schedule] = template()["Resources"]["ReconDeadlineFunction"]["Properties"]["Events"].values()
    assert schedule["Properties"]["ScheduleExpression"] == f"cron({REPORTED_AT:%-M %-H} * * ? *)"
    assert schedule["Properties"]["ScheduleExpressionTimezone"] == "Asia/Tokyo"
