"""`users`, `counts`, `changes`, `events replay`, `reindex`: what is asked, what is shown, what is published again."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from honnin import commit
from honnin.publish import Publisher
from honnin.store import Store, UserStatus
from honnin.times import jst_day, utc_text
from honninctl import command, overview_commands
from honninctl import replay as replaying
from tests.fakes.cli import FakeDeployment, Service, run, state_table
from tests.fakes.memory import dynamodb, memory_aws
from tests.fakes.paypay_user import paypay_user

AT = "2026-04-01T03:00:00.000Z"
USERS = [
    {"userId": f"user-{number}", "provider": "paypay", "status": "RISK_FLAGGED", "since": AT} for number in range(3)
]
CHANGE = {
    "at": AT,
    "userId": "user-1",
    "provider": "paypay",
    "from": None,
    "to": "LINKED",
    "cause": "api",
    "eventId": "e-1",
}


class Bus:
    """EventBridge: what was published, and how many entries it refuses at first."""

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] = []
        self.refuses = 0

    def put_events(self, *, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        answers: list[dict[str, str]] = []
        for entry in Entries:
            if self.refuses:
                self.refuses -= 1
                answers.append({"ErrorCode": "ThrottlingException"})
            else:
                self.published.append({"type": entry["DetailType"], **json.loads(entry["Detail"])})
                answers.append({"EventId": "1"})
        return {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}


class Stack:
    """A stack with a table and a bus in memory, whose merchant API answers what the test says."""

    def __init__(self) -> None:
        # Not the clock of the day on which the tests run: what was published ends after 400 days.
        self.store = Store(state_table(), dynamodb(), now=lambda: self.now)
        self.bus = Bus()
        self.deployment = FakeDeployment({"StateTableName": "StateTable", "EventBusName": "bus"})
        self.deployment.services["events"] = Service(put_events=self.bus.put_events)
        self.now = datetime(2026, 4, 1, 3, tzinfo=UTC)
        self.number = 0

    def move(self, user_id: str, status: str, provider: str = "paypay", *, stale: bool = False) -> dict[str, Any]:
        """A change, published as the functions do; what was published."""
        self.number += 1
        self.now += timedelta(minutes=1)
        before = self.store.users.status(user_id, provider)
        after = before or UserStatus(user_id, provider, status, 0)
        after = replace(after, status=status, read_at=utc_text(self.now))
        made = commit.effect(f"e-{self.number}", "read", before, after, {}, at=self.now, cause="webhook")
        made = replace(made, stale=stale)
        self.store.events.apply(made)
        record = self.store.events.get(made.event_id)
        assert record is not None
        Publisher("bus", self.store, self.deployment.client("events")).publish(record)
        return self.bus.published[-1]


@pytest.fixture
def stack(aws_environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    monkeypatch.setitem(replaying.replay.__kwdefaults__ or {}, "sleep", lambda _: None)
    with memory_aws():
        made = Stack()
        monkeypatch.setattr(FakeDeployment, "store", property(lambda _: made.store))
        monkeypatch.setattr(command, "Deployment", lambda _: made.deployment)
        yield made


# --- lists ---


def test_users_gives_all_pages(stack: Stack) -> None:
    stack.deployment.api.extend(
        [
            {"users": USERS[:2], "cursor": "next", "rebuilding": False},
            {"users": USERS[2:], "cursor": None, "rebuilding": False},
        ]
    )
    ended = run("users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--since", "2026-04-01", "--json")

    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == {"users": USERS, "rebuilding": False}
    query = {"provider": "paypay", "status": "RISK_FLAGGED", "since": "2026-04-01", "limit": "100"}
    assert stack.deployment.asked == [
        ("GET", "/overview/users", query),
        ("GET", "/overview/users", query | {"cursor": "next"}),
    ]


def test_a_rebuilding_that_ends_between_two_pages_is_said(stack: Stack) -> None:
    stack.deployment.api.extend(
        [
            {"users": USERS[:2], "cursor": "next", "rebuilding": True},
            {"users": USERS[2:], "cursor": None, "rebuilding": False},
        ]
    )
    ended = run("users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--json")

    assert json.loads(ended.stdout)["rebuilding"] is True


def test_users_as_a_table_ends_with_their_number(stack: Stack) -> None:
    stack.deployment.api.append({"users": USERS, "cursor": None, "rebuilding": True})
    ended = run("users", "--provider", "paypay", "--status", "RISK_FLAGGED")

    assert ended.exit_code == 0
    assert "user-2" in ended.stdout
    assert ended.stdout.rstrip().endswith("3 users")
    assert "being rebuilt" in ended.stderr


def test_users_as_csv_is_csv_and_nothing_else(stack: Stack) -> None:
    stack.deployment.api.append({"users": USERS, "cursor": None, "rebuilding": True})
    ended = run("users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--csv")

    assert list(csv.DictReader(io.StringIO(ended.stdout))) == USERS
    assert ended.stdout.isascii()


@pytest.mark.parametrize("user_id", ["-1+2", "@SUM", "0012", "3-4", "12E5", "2026-10-01"])
def test_an_id_stays_a_text_in_a_spreadsheet_and_is_itself_for_programs(stack: Stack, user_id: str) -> None:
    listed = {"users": [USERS[0] | {"userId": user_id}], "cursor": None, "rebuilding": False}
    stack.deployment.api.extend([listed, listed])
    asked = ("users", "--provider", "paypay", "--status", "RISK_FLAGGED")
    [row] = csv.DictReader(io.StringIO(run(*asked, "--csv").stdout))
    assert row["userId"] == f"'{user_id}"
    assert json.loads(run(*asked, "--json").stdout)["users"][0]["userId"] == user_id


@pytest.mark.parametrize(
    "arguments", [["users", "--provider", "paypay"], ["users", "--status", "VERIFIED"], ["changes"], ["users"]]
)
def test_what_is_needed_is_asked_for(stack: Stack, arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_csv_and_json_are_not_both(stack: Stack) -> None:
    stack.deployment.api.append({"users": USERS, "cursor": None, "rebuilding": False})
    assert run("users", "--provider", "paypay", "--status", "RISK_FLAGGED", "--csv", "--json").exit_code == 2


COUNTED = {
    "counts": {"vexora": {"APPROVED": 12, "PENDING": 0}, "paypay": {"VERIFIED": 30}},
    "approximate": True,
    "countedAt": AT,
    "rebuilding": False,
}


def test_counts_are_shown_in_each_form(stack: Stack) -> None:
    stack.deployment.api.extend([COUNTED, COUNTED, COUNTED])

    assert json.loads(run("counts", "--json").stdout) == COUNTED
    rows = list(csv.reader(io.StringIO(run("counts", "--csv").stdout)))
    assert rows[0] == ["provider", "status", "users"]
    assert ["vexora", "APPROVED", "12"] in rows
    ended = run("counts")
    assert "42 in all" in ended.stdout
    assert "estimated" in ended.stderr


def test_changes_of_a_day(stack: Stack) -> None:
    stack.deployment.api.extend([{"changes": [CHANGE], "cursor": None, "rebuilding": False}] * 3)

    ended = run("changes", "2026-04-01", "--to-status", "LINKED", "--provider", "paypay", "--json")
    assert json.loads(ended.stdout) == {"changes": [CHANGE], "rebuilding": False}
    assert stack.deployment.asked[0][2] == {
        "from": "2026-04-01",
        "to": "2026-04-01",
        "provider": "paypay",
        "toStatus": "LINKED",
        "limit": "100",
    }
    table = run("changes", "2026-04-01", "--to", "2026-04-03").stdout
    assert "user-1" in table
    assert stack.deployment.asked[1][2]["to"] == "2026-04-03"
    rows = list(csv.DictReader(io.StringIO(run("changes", "2026-04-01", "--csv").stdout)))
    assert rows == [{**CHANGE, "from": ""}]


def test_what_runs_out(stack: Stack) -> None:
    end = {"userId": "user-1", "provider": "paypay", "what": "link", "endsAt": AT}
    stack.deployment.api.extend([{"expiring": [end], "until": AT, "cursor": None}] * 3)

    assert json.loads(run("expiring", "--within", "30d", "--json").stdout) == {"expiring": [end]}
    assert stack.deployment.asked[0] == ("GET", "/overview/expiring", {"within": "30d", "limit": "100"})
    assert list(csv.DictReader(io.StringIO(run("expiring", "--csv").stdout))) == [end]
    assert "user-1" in run("expiring").stdout


def test_yesterday_is_japans(stack: Stack) -> None:
    today = jst_day(datetime.now(UTC))
    assert overview_commands._day("today") >= today
    assert overview_commands._day("yesterday") < overview_commands._day("today")
    assert overview_commands._day("2026-04-01") == "2026-04-01"


# --- replay ---


def replay(*arguments: str) -> dict[str, Any]:
    ended = run("events", "replay", *arguments, "--yes", "--json")
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_events_come_again_as_they_were_the_oldest_first(stack: Stack) -> None:
    published = [stack.move(f"user-{number % 7}", "LINKED" if number < 7 else "VERIFIED") for number in range(14)]
    published.append(stack.move("user-1", "PENDING", "vexora"))
    published.append(stack.move("user-1", "PENDING", "vexora", stale=True))
    stack.bus.published.clear()

    found = replay("--since", "2026-04-01", "--until", "2026-04-01")

    assert stack.bus.published == published
    assert found["published"] == {"KycStatusChanged": 15, "SubmissionStale": 1}
    assert (found["since"], found["until"]) == ("2026-03-31T15:00:00.000Z", "2026-04-01T15:00:00.000Z")
    assert found["lastAt"] == published[-1]["occurredAt"]


def test_a_replay_is_of_its_time_its_user_and_its_type(stack: Stack) -> None:
    for number in range(6):
        stack.move(f"user-{number % 2}", "LINKED" if number < 2 else "VERIFIED")
        stack.move(f"user-{number % 2}", "RISK_FLAGGED")
    stack.move("user-0", "PENDING", "vexora")
    stack.move("user-0", "PENDING", "vexora", stale=True)
    everything = [*stack.bus.published]

    def published(*arguments: str) -> list[dict[str, Any]]:
        stack.bus.published.clear()
        replay(*arguments)
        return [*stack.bus.published]

    middle = everything[5]["occurredAt"]
    assert published("--since", middle) == everything[5:]
    assert published("--since", "2026-04-01", "--until", middle) == everything[:5]
    assert published("--since", "2026-04-01", "--user", "user-1") == [e for e in everything if e["userId"] == "user-1"]
    assert published("--since", "2026-04-01", "--type", "SubmissionStale") == everything[-1:]
    assert published("--since", "2026-04-02") == []


def test_a_dry_run_publishes_nothing(stack: Stack) -> None:
    stack.move("user-1", "LINKED")
    stack.bus.published.clear()

    ended = run("events", "replay", "--since", "2026-04-01", "--dry-run")

    assert ended.exit_code == 0
    assert "1 × KycStatusChanged" in ended.stdout
    assert "1 events would be published again." in ended.stdout
    assert stack.bus.published == []


def _replay(stack: Stack, sleep: Callable[[float], None], monotonic: Callable[[], float]) -> None:
    """Everything that was published in April, ten a second."""
    replaying.replay(
        stack.deployment,
        "2026-03-31T15:00:00.000Z",
        "2026-05-01T00:00:00.000Z",
        user_id=None,
        types=(),
        per_second=10,
        dry_run=False,
        seen=lambda _: None,
        replayed=replaying.Replayed(),
        sleep=sleep,
        monotonic=monotonic,
    )


def test_nobody_who_is_erased_comes_again_not_even_in_the_middle_of_a_replay(stack: Stack) -> None:
    """The index follows the table a moment later: each ten events are looked up in the table."""
    for number in range(20):
        stack.move(f"user-{number}", "LINKED")
    records = stack.store.replay.published("2026-03-31T15:00:00.000Z", "2026-05-01T00:00:00.000Z")
    first = next(records)
    for key in stack.store.table.items("scan"):
        if key["pk"] in ("USER#user-3", "USER#user-15") and key["sk"].startswith("AT#"):
            plain = {name: value for name, value in key.items() if name != "told"}
            # As if the index did not have it yet.
            stack.store.table.put([plain])
    second = next(records)

    assert [each.user_id for each in first] == [f"user-{number}" for number in range(10)]
    assert [each.user_id for each in second] == [f"user-{number}" for number in range(10, 20) if number != 15]


def test_what_the_bus_does_not_take_is_offered_again(stack: Stack) -> None:
    for number in range(12):
        stack.move(f"user-{number}", "LINKED")
    published = {each["eventId"] for each in stack.bus.published}
    stack.bus.published.clear()
    stack.bus.refuses = 7

    replay("--since", "2026-04-01")

    assert {each["eventId"] for each in stack.bus.published} == published
    assert len(stack.bus.published) == 12


def test_a_bus_that_takes_nothing_ends_it_and_says_where_to_go_on(stack: Stack) -> None:
    made = stack.move("user-1", "LINKED")
    stack.bus.refuses = 1000

    ended = run("events", "replay", "--since", "2026-04-01", "--yes")

    assert ended.exit_code == 1
    assert f"--since {made['occurredAt']}" in ended.stderr


def test_an_error_of_aws_ends_it_and_says_where_to_go_on(stack: Stack) -> None:
    made = [stack.move(f"user-{number}", "LINKED") for number in range(25)]
    stack.bus.published.clear()
    took = stack.bus.put_events

    def ends(**request: Any) -> dict[str, Any]:
        if len(stack.bus.published) == 20:
            raise ClientError({"Error": {"Code": "ExpiredTokenException", "Message": "x"}}, "PutEvents")
        return took(**request)

    stack.deployment.services["events"] = Service(put_events=ends)
    ended = run("events", "replay", "--since", "2026-04-01", "--yes")

    assert ended.exit_code == 4
    assert f"20 were published. To continue: --since {made[19]['occurredAt']}" in ended.stderr


def test_a_replay_does_not_make_up_for_a_stop(stack: Stack) -> None:
    """--per-second is how fast it is at most, also after EventBridge took nothing for a while."""
    for number in range(40):
        stack.move(f"user-{number}", "LINKED")
    stack.bus.published.clear()
    clock, took = [0.0], stack.bus.put_events
    reported_at: list[float] = []

    def slow(**request: Any) -> dict[str, Any]:
        if not reported_at:
            clock[0] += 60
        reported_at.append(clock[0])
        return took(**request)

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    stack.deployment.services["events"] = Service(put_events=slow)
    _replay(stack, sleep, lambda: clock[0])

    assert reported_at == pytest.approx([60, 61, 62, 63])


def test_a_replay_is_paced(stack: Stack) -> None:
    for number in range(30):
        stack.move(f"user-{number}", "LINKED")
    slept: list[float] = []
    _replay(stack, slept.append, lambda: sum(slept))

    assert slept == pytest.approx([1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--since"),
        (["--since", "tuesday"], "neither a day in Japan"),
        (["--since", "2026-04-01T00:00:00"], "neither a day in Japan"),
        (["--since", "2026-04-02", "--until", "2026-04-01"], "must be before"),
        (["--since", "2026-04-01", "--type", "UserErased"], "must be one of AuthorizationExpired"),
        (["--since", "2026-04-01", "--type", "ReconCompleted"], "must be one of AuthorizationExpired"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(stack: Stack, arguments: list[str], said: str) -> None:
    ended = run("events", "replay", *arguments, "--yes")

    assert ended.exit_code == 2
    assert said in ended.output


def test_nobody_is_asked_where_nobody_can_be(stack: Stack) -> None:
    assert run("events", "replay", "--since", "2026-04-01").exit_code == 2


def test_what_was_told_of_ends_comes_again_under_its_own_id(stack: Stack) -> None:
    """Such events have records of their own; of a residence period a user has one, which names the latest."""
    before = paypay_user("user-1", "VERIFIED", 1, linked="auth-1", at=AT)
    first = commit.effect("e-1", "linked", None, replace(before, version=0), {}, at=stack.now)
    stack.store.events.apply(replace(first, links=True))
    stack.bus.published.clear()
    for number, day in ((2, "2026-04-20"), (3, "2026-05-20")):
        stack.now += timedelta(minutes=1)
        known = stack.store.users.status("user-1", "paypay")
        assert known is not None
        after = replace(known, link_end_reported=f"{day}T00:00:00.000Z", residence_end_reported=day)
        stack.store.events.apply(commit.effect(f"e-{number}", "told", known, after, {}, at=stack.now))

    found = replay("--since", "2026-04-01", "--until", "2026-04-01")

    assert found["published"] == {
        "KycStatusChanged": 1,
        "AuthorizationExpiring": 2,
        "ResidencePeriodExpiring": 1,
    }
    assert [each["eventId"] for each in stack.bus.published] == [
        "e-1",
        "e-2:AuthorizationExpiring",
        "e-3:AuthorizationExpiring",
        "e-3:ResidencePeriodExpiring",
    ]


# --- reindex ---


def test_reindex_says_what_it_did(stack: Stack) -> None:
    stack.move("user-1", "LINKED")
    for item in list(stack.store.table.items("scan")):
        stack.store.table.put([{name: value for name, value in item.items() if not name.startswith("overview_")}])

    ended = run("reindex", "--json")

    said = json.loads(ended.stdout)
    assert said["mended"] == 2
    assert said["lookedAt"] >= 3
    assert not stack.store.overview.rebuilding()
    assert "0 of them were corrected" in run("reindex").stdout
