"""Redrive by filter (`--error-type`, `--user`, `--since`): what matches is moved once, the rest stays as it was."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from honnin.store import Effect, Store, Submission, UserStatus
from honninctl import command, queue_walk, redrive
from honninctl.dead_letter_filter import Filter
from honninctl.dead_letters import OUTPUTS, WEBHOOK_DEAD_LETTERS, Queue
from tests.fakes.big_queue import NOW_MS, BigQueues
from tests.fakes.cli import FakeDeployment, Service, run, state_table
from tests.fakes.memory import dynamodb, memory_aws

AT = "2026-04-01T03:00:00.000Z"
DEAD = "https://sqs/dead"
MINE, HERS = "a85fe9e9-b4c9-45cf-a392-834c57d83af7", "b85fe9e9-b4c9-45cf-a392-834c57d83af8"
SINCE_TEXT = datetime.fromtimestamp(NOW_MS / 1000 - 600, UTC).isoformat()


class Stack:
    """A stack with messages in its dead-letter queues; user `mine` is linked and has submitted to Vexora."""

    def __init__(self) -> None:
        self.sqs = BigQueues()
        self.urls = {queue: f"https://sqs/dead-{queue}" for queue in Queue}
        sources = ("EventQueueUrl", "ReconNoticeQueueUrl", "RepairQueueUrl", "RereadQueueUrl")
        self.deployment = FakeDeployment(
            {
                "StateTableName": state_table(),
                **{OUTPUTS[queue]: url for queue, url in self.urls.items() if queue in OUTPUTS},
                **{name: f"https://sqs/{name}" for name in sources},
            },
            {"MerchantWebhookUrl": "https://shop.example/hooks"},
        )
        ids = {WEBHOOK_DEAD_LETTERS: self.urls[Queue.WEBHOOKS], "MerchantWebhookQueue": "https://sqs/webhooks"}
        self.deployment.services["cloudformation"].answers["describe_stack_resource"] = lambda **asked: {
            "StackResourceDetail": {"PhysicalResourceId": ids[asked["LogicalResourceId"]]}
        }
        self.deployment.services["sqs"] = self.sqs
        store = Store(self.deployment.outputs["StateTableName"], dynamodb())
        for after in (
            UserStatus("mine", "paypay", "LINKED", 1, user_authorization_id=MINE),
            UserStatus("mine", "vexora", "PENDING", 1, submission_id="sub-1"),
            UserStatus("hers", "paypay", "LINKED", 1, user_authorization_id=HERS),
        ):
            opens = Submission("sub-1", "mine", "PENDING", AT) if after.submission_id else None
            effect = Effect(f"{after.provider}:{after.user_id}", "linked", "api", AT, None, after, {}, opens=opens)
            store.events.apply(effect)

    def add(self, body: str, error_type: str | None = None, queue: Queue = Queue.EVENTS, *, age_s: float = 60) -> str:
        """Put a dead letter in."""
        self.sqs.add(self.urls[queue], body, error_type, age_s=age_s)
        return body

    def left(self, queue: Queue = Queue.EVENTS) -> list[str]:
        """The bodies that are there, and that another reader could receive at once."""
        found = self.sqs.queue(self.urls[queue])
        assert self.sqs.shown(self.urls[queue]) == len(found.messages), "some are still hidden"
        return found.bodies

    def on(self, name: str) -> list[str]:
        """The bodies on one of the queues that messages are put back on."""
        return self.sqs.queue(f"https://sqs/{name}").bodies


def event(number: int = 0, **changes: Any) -> str:
    """An event's body."""
    fields = {"event_id": f"e-{number}", "provider": "paypay", "kind": "kyc", "cause": "webhook", "subject": HERS}
    return json.dumps({"v": 1, **fields, "received_at": AT, "detail": {}, **changes})


def several(*authorizations: str) -> str:
    """An array of notifications."""
    named = [{"notification_type": "kyc", "user_authorization_id": each} for each in authorizations]
    return event(kind="several", subject="-", detail={"sha256": "0", "notifications": json.dumps(named)})


def told(user: str) -> str:
    """A domain event as EventBridge hands it to a queue."""
    detail = {"userId": user, "eventId": f"d-{user}"}
    return json.dumps({"version": "0", "source": "honnin", "detail-type": "KycStatusChanged", "detail": detail})


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with memory_aws():
        made = Stack()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def redriven(*arguments: str, code: int = 0) -> dict[str, Any]:
    """Run the command with --yes and --json."""
    ended = run("deadletters", "redrive", *arguments, "--yes", "--json")
    assert ended.exit_code == code, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


# What matches


def test_only_what_failed_of_that_error_is_put_back(stack: Stack) -> None:
    wanted = [stack.add(event(n), "KeyError") for n in range(12)]
    stay = [stack.add(event(n), "MalformedEventError") for n in range(12, 40)]
    stay += [stack.add(event(n)) for n in range(40, 50)]
    found = redriven("--error-type", "KeyError")
    assert (found["total"], found["byErrorType"]) == (12, {"KeyError": 12})
    assert found["notMatching"] == {"MalformedEventError": 28, "(received too often)": 10}
    assert stack.on("EventQueueUrl") == sorted(wanted)
    assert stack.left() == sorted(stay)


@pytest.mark.parametrize("typed", ["(received too often)", "received too often"])
def test_several_errors_may_be_named_and_that_of_sqs_without_its_brackets(stack: Stack, typed: str) -> None:
    stack.add(event(1), "KeyError")
    stack.add(event(2))
    stay = stack.add(event(3), "TypeError")
    assert redriven("--error-type", typed, "--error-type", "KeyError")["total"] == 2
    assert stack.left() == [stay]


def test_a_user_is_found_under_every_id_that_a_message_may_carry(stack: Stack) -> None:
    mine = [
        stack.add(event(1, subject=MINE)),
        stack.add(event(2, provider="vexora", kind="kyc_result", subject="sub-1")),
        stack.add(event(3, provider="honnin", kind="sweep", cause="api", subject="mine")),
        stack.add(several(HERS, MINE)),
    ]
    not_mine = [
        stack.add(event(5)),
        stack.add(event(6, provider="vexora", kind="kyc_result", subject="sub-2")),
        stack.add(several(HERS)),
        stack.add(event(7, kind="recon_file", subject="mine")),  # a file's type is no user
        stack.add("mine"),
        stack.add(json.dumps(["mine"])),
    ]
    webhook = stack.add(told("mine"), "ReceiverError", Queue.WEBHOOKS)
    other = stack.add(told("hers"), "ReceiverError", Queue.WEBHOOKS)
    assert redriven("--user", "mine")["byQueue"] == {"events": 4, "webhooks": 1}
    assert stack.on("EventQueueUrl") == sorted(mine)
    assert stack.on("webhooks") == [webhook]
    assert (stack.left(), stack.left(Queue.WEBHOOKS)) == (sorted(not_mine), [other])


def test_an_unknown_user_is_said_and_what_names_the_id_itself_is_found(stack: Stack) -> None:
    stack.add(told("erased"), "ReceiverError", Queue.WEBHOOKS)
    stack.add(event(1))
    ended = run("deadletters", "redrive", "--user", "erased", "--dry-run")
    assert (ended.exit_code, "Nothing is known of the user erased" in ended.stderr) == (0, True)
    assert "webhooks: 1 × ReceiverError" in ended.stdout


@pytest.mark.parametrize("since", [SINCE_TEXT, SINCE_TEXT.replace("+00:00", "Z")])
def test_since_takes_what_came_at_that_moment_or_later(stack: Stack, since: str) -> None:
    old = stack.add(event(1), age_s=601)
    stack.add(event(2), age_s=600)
    stack.add(event(3), age_s=5)
    assert redriven("--since", since)["total"] == 2
    assert stack.left() == [old]


def test_since_takes_a_day_in_japan(stack: Stack) -> None:
    midnight = datetime.fromisoformat("2026-09-21T00:00:00+09:00").timestamp()
    old = stack.add(event(1), age_s=NOW_MS / 1000 - midnight + 1)
    stack.add(event(2), age_s=NOW_MS / 1000 - midnight)
    assert redriven("--since", "2026-09-21")["total"] == 1
    assert stack.left() == [old]


def test_filters_together_must_all_match(stack: Stack) -> None:
    stack.add(event(1, subject=MINE), "KeyError", age_s=5)
    stay = [
        stack.add(event(2, subject=MINE), "KeyError", age_s=900),
        stack.add(event(3, subject=MINE), "TypeError", age_s=5),
        stack.add(event(4), "KeyError", age_s=5),
    ]
    assert redriven("--user", "mine", "--error-type", "KeyError", "--since", SINCE_TEXT)["total"] == 1
    assert stack.left() == sorted(stay)


@pytest.mark.parametrize("since", ["yesterday", "2026-11-20T03:00:00", "2026-13-01", "0001-01-01"])
def test_a_moment_that_is_none_is_wrong_usage_and_nothing_moves(stack: Stack, since: str) -> None:
    stack.add(event(1))
    ended = run("deadletters", "redrive", "--since", since, "--yes")
    assert (ended.exit_code, "--since" in ended.stderr) == (2, True)
    assert len(stack.left()) == 1


def test_the_list_takes_the_same_filters(stack: Stack) -> None:
    stack.add(event(1, subject=MINE), "KeyError")
    stack.add(event(2), "KeyError")
    stack.add("{}", None, Queue.SCHEDULE)
    ended = run("deadletters", "list", "--user", "mine", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["total"]) == (1, 1)
    none = run("deadletters", "list", "--error-type", "TypeError")
    assert (none.exit_code, none.stdout) == (0, "There are no such dead letters.\n")


def test_failed_runs_are_filtered_before_they_are_deleted(stack: Stack) -> None:
    stay = stack.add("{}", None, Queue.SCHEDULE, age_s=900)
    stack.add('{"n": 1}', None, Queue.SCHEDULE, age_s=5)
    tried = run("deadletters", "redrive", "--queue", "schedule", "--discard", "--since", SINCE_TEXT, "--dry-run")
    assert (tried.exit_code, "1 × (received too often) would be deleted" in tried.stdout) == (0, True)
    assert len(stack.left(Queue.SCHEDULE)) == 2
    assert redriven("--queue", "schedule", "--discard", "--since", SINCE_TEXT)["discarded"] == {"schedule": 1}
    assert stack.left(Queue.SCHEDULE) == [stay]


# What is said


def test_a_dry_run_counts_by_error_and_moves_nothing(stack: Stack) -> None:
    for number in range(3):
        stack.add(event(number), ["KeyError", "KeyError", "TypeError"][number], age_s=5)
    stack.add(event(9), "KeyError", age_s=900)
    ended = run("deadletters", "redrive", "--since", SINCE_TEXT, "--dry-run")
    assert (ended.exit_code, ended.stdout.splitlines()) == (
        0,
        ["events: 2 × KeyError", "events: 1 × TypeError", "3 would be put back, 1 do not match and stay."],
    )
    found = json.loads(run("deadletters", "redrive", "--dry-run", "--json").stdout)
    assert (found["dryRun"], found["byErrorType"]) == (True, {"KeyError": 3, "TypeError": 1})
    assert len(stack.left()) == 4
    assert stack.on("EventQueueUrl") == []


def test_where_nothing_matches_it_says_what_is_there(stack: Stack) -> None:
    stack.add(event(1), "KeyError")
    for option in ("--dry-run", "--yes"):
        shown = run("deadletters", "redrive", "--error-type", "Keyerr", option).stdout
        assert "What is there: 1 × KeyError" in shown
    assert len(stack.left()) == 1


def test_it_asks_with_the_number_that_matches(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.add(event(1), "KeyError")
    stack.add(event(2), "TypeError")
    asked: list[str] = []

    def no(_screen: Any, question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr("honninctl.screen.Screen.ask", no)
    assert run("deadletters", "redrive", "--error-type", "KeyError").exit_code == 1
    assert asked == ["Put 1 dead letters back (events, webhooks)? [y/N] "]
    assert len(stack.left()) == 2


def test_what_sqs_does_not_take_stays_and_is_said(stack: Stack) -> None:
    bodies = [stack.add(event(n), "KeyError") for n in range(5)]
    stack.sqs.refused = lambda body: body == bodies[2]
    ended = run("deadletters", "redrive", "--yes")
    assert "4 put back." in ended.stdout
    assert "events: 1 stay, for SQS did not take them. Run this again." in ended.stderr
    assert stack.left() == [bodies[2]]


# Large queues, crashes, copies


def _filled(number: int, **how: Any) -> tuple[BigQueues, list[str], list[str]]:
    """A queue with every seventh message of the error that is looked for: the client, those bodies, the others."""
    sqs = BigQueues(**how)
    bodies = [f"{n:06}" for n in range(number)]
    for n, body in enumerate(bodies):
        sqs.add(DEAD, body, "KeyError" if n % 7 == 0 else "TypeError")
    return sqs, bodies[::7], [each for n, each in enumerate(bodies) if n % 7]


def _move(sqs: BigQueues) -> redrive.Moved:
    clock = SimpleNamespace(time=lambda: sqs.now_ms / 1000, monotonic=lambda: sqs.now_ms / 1000)
    with mock.patch.object(queue_walk, "time", clock):
        return _moved(sqs)


def _moved(sqs: BigQueues) -> redrive.Moved:
    act = redrive.sending(sqs.client, DEAD, lambda _: "https://sqs/events")
    return redrive.move(sqs.client, DEAD, act, Filter(frozenset({"KeyError"})))


@pytest.mark.parametrize(("number", "call_s"), [(100_000, 0.02), (4_000, 1)])
def test_a_queue_of_100_000_is_gone_through_once(number: int, call_s: float) -> None:
    """Also where a call takes so long that what was hidden first shows up again before the end."""
    sqs, wanted, others = _filled(number, call_s=call_s)
    found = _move(sqs)
    assert (found.done, found.left) == ({"KeyError": len(wanted)}, {"TypeError": len(others)})
    assert sqs.queue("https://sqs/events").bodies == wanted
    dead = sqs.queue(DEAD)
    assert (dead.bodies, sqs.shown(DEAD)) == (others, len(others))
    if call_s < 1:
        assert max(each.receives for each in dead.messages.values()) == 1


def test_a_queue_that_holds_more_than_sqs_hides_is_said_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 100_000 < queue_walk._MOST_HIDDEN < 120_000
    monkeypatch.setattr(queue_walk, "_MOST_HIDDEN", 1_150)
    sqs, wanted, others = _filled(1_500, most_hidden=1_200)
    found = _move(sqs)
    assert not found.is_whole
    moved, dead = sqs.queue("https://sqs/events").bodies, sqs.queue(DEAD)
    assert sorted([*moved, *dead.bodies]) == sorted([*wanted, *others])
    assert sqs.shown(DEAD) == len(dead.messages)


@pytest.mark.parametrize("seed", range(8))
def test_copies_that_sqs_gives_out_are_neither_moved_twice_nor_kept(seed: int) -> None:
    sqs, wanted, others = _filled(700, seed=seed)
    sqs.copies = 0.5
    assert _move(sqs).done == {"KeyError": len(wanted)}
    assert sqs.queue("https://sqs/events").bodies == wanted
    assert (sqs.queue(DEAD).bodies, sqs.shown(DEAD)) == (others, len(others))


@pytest.mark.parametrize("name", ["receive_message", "send_message_batch", "delete_message_batch"])
@pytest.mark.parametrize("at", [1, 3, 7])
def test_stopped_anywhere_nothing_is_lost_and_the_next_run_does_the_rest(name: str, at: int) -> None:
    sqs, wanted, others = _filled(300)
    sqs.dies_at = (name, at)
    with pytest.raises(KeyboardInterrupt):
        _move(sqs)
    dead, events = sqs.queue(DEAD), sqs.queue("https://sqs/events")
    assert {*dead.bodies, *events.bodies} == {*wanted, *others}
    assert sqs.shown(DEAD) == len(dead.messages), "what stays is shown again at once"
    _move(sqs)
    assert dead.bodies == others
    twice = [body for body, number in Counter(events.bodies).items() if number > 1]
    assert {*events.bodies} == {*wanted}
    assert len(twice) <= (10 if name == "delete_message_batch" else 0), "no more than one call's"


def test_what_fails_again_at_once_does_not_keep_it_going() -> None:
    sqs, wanted, _ = _filled(140)
    again = iter(range(10_000))

    def fails_again() -> None:
        sqs.now_ms += 1500  # the queue gives its time in whole seconds
        for _ in range(10):
            sqs.add(DEAD, f"again-{next(again)}", "KeyError", age_s=0)

    sqs.after_send = fails_again
    assert _move(sqs).done == {"KeyError": len(wanted)}
    assert sqs.queue("https://sqs/events").bodies == wanted


def test_bodies_that_are_too_long_together_go_in_several_calls() -> None:
    sqs = BigQueues()
    for number in range(10):
        sqs.add(DEAD, f"{number}" + "あ" * 30_000, "KeyError")
    assert _move(sqs).done == {"KeyError": 10}
    assert sqs.calls["send_message_batch"] == 5


def test_the_fake_of_cloudformation_is_asked_for_the_webhooks_queue_only_where_there_are_any(stack: Stack) -> None:
    stack.deployment.given["Parameters"] = [{"ParameterKey": "MerchantWebhookUrl", "ParameterValue": ""}]
    cloudformation: Service = stack.deployment.services["cloudformation"]
    assert redriven()["byQueue"] == {"events": 0}
    assert not [each for each in cloudformation.calls if each[0] == "describe_stack_resource"]
    asked = run("deadletters", "list", "--queue", "webhooks")
    assert asked.exit_code == 3
    assert "set the parameter MerchantWebhookUrl" in asked.stderr
