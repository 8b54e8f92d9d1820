"""`deadletters`: all three queues are looked into, the list takes nothing away, ids are masked, what cannot be put
back is said."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from honninctl import command, dead_letters, queue_walk
from honninctl import redrive as mover
from honninctl.dead_letters import OUTPUTS, Queue
from tests.fakes.cli import FakeDeployment, run, state_table
from tests.moto_state import moto

pytestmark = pytest.mark.usefixtures("aws_environment", "fresh_caches")

AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


class DeadLetters:
    """The three dead-letter queues, and those that their messages are put back on."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        self.urls = {queue: self._made(f"dead-{queue}") for queue in OUTPUTS}
        self.events = self._made("events")
        self.notifications, self.repairs, self.rereads = map(self._made, ("notifications", "repairs", "rereads"))
        functions = (
            "VexoraStatusPollFunction",
            "ExpiryWatchFunction",
            "RetentionFunction",
            "ReconDeadlineFunction",
            "ReconDownloadFunction",
        )
        self.deployment = FakeDeployment(
            {
                **{OUTPUTS[queue]: url for queue, url in self.urls.items()},
                "StateTableName": state_table(),
                "EventQueueUrl": self.events,
                "ReconNoticeQueueUrl": self.notifications,
                "RepairQueueUrl": self.repairs,
                "RereadQueueUrl": self.rereads,
                **{f"{each}Name": f"honnin-test-{each}-1X" for each in functions},
            }
        )

    def _made(self, name: str) -> str:
        return self.sqs.create_queue(QueueName=name)["QueueUrl"]

    def add(self, body: str, error_type: str | None = None, queue: Queue = Queue.EVENTS, **attributes: str) -> str:
        """Add a dead letter with attributes; returns its message id."""
        texts = attributes | ({"errorType": error_type} if error_type else {})
        beside: Any = {name: {"DataType": "String", "StringValue": text} for name, text in texts.items()}
        return self.sqs.send_message(QueueUrl=self.urls[queue], MessageBody=body, MessageAttributes=beside)["MessageId"]

    def visible(self, queue: Queue = Queue.EVENTS) -> int:
        """How many messages somebody else could receive at once."""
        return len(self.bodies(self.urls[queue]))

    def bodies(self, url: str) -> list[str]:
        """The messages of a queue, which are hidden afterwards."""
        found: dict[str, str] = {}
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            found |= {each["MessageId"]: each["Body"] for each in messages}
        return sorted(found.values())


def event(**changes: Any) -> str:
    """An event's body."""
    fields = {
        "event_id": "paypay:kyc:evt_1",
        "provider": "paypay",
        "kind": "kyc",
        "cause": "webhook",
        "subject": AUTHORIZATION,
        "received_at": "2026-04-01T03:00:00.000Z",
        "detail": {},
    }
    return json.dumps({"v": 1, **fields, **changes})


def several(*notifications: dict[str, str]) -> str:
    """The body of an array of notifications."""
    return event(kind="several", subject="-", detail={"sha256": "0" * 64, "notifications": json.dumps(notifications)})


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeadLetters]:
    monkeypatch.setattr(queue_walk, "_LONG_POLL_S", 0)
    with moto():
        made = DeadLetters()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def test_the_list_is_whole_counted_by_error_and_takes_nothing_away(dead: DeadLetters) -> None:
    for number in range(25):
        dead.add(event(event_id=f"paypay:kyc:{number:02}"), ["KeyError", None][number % 2])
    ended = run("deadletters", "list", "--json")
    found = json.loads(ended.stdout)
    assert ended.exit_code == 1
    assert (found["total"], found["byErrorType"]) == (25, {"KeyError": 13, "(received too often)": 12})
    assert {each["event"]["event_id"] for each in found["deadLetters"]} == {f"paypay:kyc:{n:02}" for n in range(25)}
    assert dead.visible() == 25


def test_no_dead_letters_is_0(dead: DeadLetters) -> None:
    assert run("deadletters", "list").exit_code == 0
    assert json.loads(run("deadletters", "list", "--json").stdout) == {
        "total": 0,
        "byErrorType": {},
        "byQueue": {"events": 0, "schedule": 0, "recon-download": 0},
        "notLookedAt": [],
        "deadLetters": [],
    }


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        (event(), AUTHORIZATION),
        (event(event_id=f"recon:kyc_passport_sync_recon:2026-11-20:{AUTHORIZATION}"), AUTHORIZATION),
        (event(kind="recon_file", subject="t", detail={"path": "https://h/f.csv?signature=topsecret"}), "topsecret"),
        (several({"notification_type": "kyc", "user_authorization_id": AUTHORIZATION}), AUTHORIZATION),
        (several({"fileType": "t", "path": "https://h/f.csv?signature=topsecret"}), "topsecret"),
        (several({"fileType": "t", "path": "https://h/f"}, {"user_authorization_id": AUTHORIZATION}), AUTHORIZATION),
        (event(kind="several", subject="-", detail={"notifications": f"[{AUTHORIZATION}"}), AUTHORIZATION),
        (event(kind="several", subject="-", detail={"notifications": f'["{AUTHORIZATION}"]'}), AUTHORIZATION),
        ("テスト ハナコ is no event", "ハナコ"),
    ],
)
def test_nothing_is_shown_that_names_a_person(dead: DeadLetters, body: str, hidden: str) -> None:
    message_id = dead.add(body, "KeyError")
    for arguments in (["list"], ["show", message_id]):
        for option in ([], ["--json"]):
            ended = run("deadletters", *arguments, *option)
            assert ended.exit_code in (0, 1)
            assert message_id in ended.stdout
            assert hidden not in ended.output


def test_reveal_shows_ids_and_strange_bodies_but_no_signed_address(dead: DeadLetters) -> None:
    notification = {"event_id": "paypay:recon_file:1", "kind": "recon_file", "subject": "t"}
    dead.add(event(**notification, detail={"path": "https://h/f.csv?signature=topsecret"}))
    assert "topsecret" not in run("deadletters", "list", "--json", "--reveal", "--reason", "r").stdout
    strange = dead.add("no event", "MalformedEventError")
    shown = run("deadletters", "show", strange, "--json", "--reveal", "--reason", "r").stdout
    assert json.loads(shown)["body"] == "no event"
    dead.add(event())
    assert AUTHORIZATION in run("deadletters", "show", "paypay:kyc:evt_1", "--reveal", "--reason", "r").stdout
    file = {"fileType": "t", "path": "https://h/f.csv?signature=topsecret"}
    array = dead.add(several(file, {"user_authorization_id": AUTHORIZATION}))
    shown = run("deadletters", "show", array, "--json", "--reveal", "--reason", "r").stdout
    assert AUTHORIZATION in shown
    assert "topsecret" not in shown


def test_a_vexora_submission_id_is_not_masked(dead: DeadLetters) -> None:
    dead.add(event(event_id="vexora:s:1", provider="vexora", subject="db1cb34f-0000-4000-8000-000000000001"))
    found = json.loads(run("deadletters", "show", "vexora:s:1", "--json").stdout)
    assert found["event"]["subject"] == "db1cb34f-0000-4000-8000-000000000001"


def test_show_of_something_else_is_3(dead: DeadLetters) -> None:
    dead.add(event())
    ended = run("deadletters", "show", "paypay:kyc:other", "--json")
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert dead.visible() == 1


def test_redrive_asks_first(dead: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    dead.add(event())
    assert run("deadletters", "redrive").exit_code == 2  # nobody can be asked
    monkeypatch.setattr("honninctl.screen.Screen.ask", lambda *_: "n")
    assert run("deadletters", "redrive").exit_code == 1
    assert dead.visible() == 1


def test_redrive_moves_everything_and_counts_it(dead: DeadLetters) -> None:
    bodies = [event(event_id=f"e{number}") for number in range(3)]
    for body in bodies:
        dead.add(body, "KeyError")
    ended = run("deadletters", "redrive", "--yes", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (
        0,
        {
            "dryRun": False,
            "total": 3,
            "byErrorType": {"KeyError": 3},
            "byQueue": {"events": 3},
            "notMatching": {},
            "discarded": {},
            "left": {},
            "notLookedAt": [],
        },
    )
    assert dead.visible() == 0
    assert dead.bodies(dead.events) == bodies
    assert "There were no dead letters to put back." in run("deadletters", "redrive", "--yes").stdout


def test_what_another_reader_hides_is_not_called_nothing(dead: DeadLetters) -> None:
    dead.add(event())
    assert dead.visible() == 1  # and is hidden now
    ended = run("deadletters", "redrive", "--yes")
    assert "Nothing was put back." in ended.stdout
    assert "There were no" not in ended.stdout
    assert "events: about 1 stay" in ended.stderr
    assert json.loads(run("deadletters", "redrive", "--yes", "--json").stdout)["total"] == 0


# Every queue

SCHEDULE = "arn:aws:scheduler:ap-northeast-1:1:schedule/default/honnin-test-ReconDeadlineFunctionAtQuarterPastTen-5Z"
RUN = json.dumps({"source": "aws.scheduler", "detail": "{}", "resources": [SCHEDULE]})


def test_the_list_looks_into_every_queue_and_says_which(dead: DeadLetters) -> None:
    """One of each kind: an event, a run that Lambda gave up, and one that the Scheduler could not begin."""
    dead.add(event(), "KeyError")
    dead.add(RUN, queue=Queue.SCHEDULE, RequestID="r", ErrorCode="200", ErrorMessage="for テスト ハナコ")
    scheduler = {"ERROR_CODE": "AWS.Scheduler.AccessDenied", "SCHEDULE_ARN": SCHEDULE, "ERROR_MESSAGE": "not allowed"}
    dead.add("{}", queue=Queue.RECON_DOWNLOAD, **scheduler)
    listed = run("deadletters", "list", "--json")
    found = json.loads(listed.stdout)
    said = sorted((each["queue"], each["errorType"], each["function"]) for each in found["deadLetters"])
    assert said == [
        ("events", "KeyError", None),
        ("recon-download", "AWS.Scheduler.AccessDenied", "ReconDownloadFunction"),
        ("schedule", "(the run failed)", "ReconDeadlineFunction"),
    ]
    assert found["byQueue"] == {"events": 1, "schedule": 1, "recon-download": 1}
    assert "ハナコ" not in listed.output
    assert "ハナコ" not in run("deadletters", "list").output
    shown = run("deadletters", "list", "--queue", "schedule", "--json", "--reveal", "--reason", "r").stdout
    [schedule] = json.loads(shown)["deadLetters"]
    assert schedule["error"] == "for テスト ハナコ"
    assert [dead.visible(each) for each in OUTPUTS] == [1, 1, 1]


def test_the_list_for_people_has_a_column_and_the_way_out_of_each(dead: DeadLetters) -> None:
    dead.add(event(), "KeyError")
    dead.add(RUN, queue=Queue.SCHEDULE, ErrorMessage="timed out")
    shown = run("deadletters", "list").stdout
    assert shown.splitlines()[1].split()[0] == "queue"
    for text in (
        "events: 1 × KeyError",
        "honninctl deadletters redrive --queue events",
        "schedule: Nothing to put back",
        # Of the function whose run it was, and of no other.
        "aws lambda invoke --function-name honnin-test-ReconDeadlineFunction-1X --cli-read-timeout 0 --region "
        "ap-northeast-1 run.json",
        "run.json must not contain errorType",
        "honninctl deadletters redrive --queue schedule --discard",
    ):
        assert text in shown
    assert "recon-download" not in shown
    assert shown.count("aws lambda invoke") == 1


def test_a_failed_probe_of_the_merchants_endpoint_asks_for_no_run_by_hand(dead: DeadLetters) -> None:
    dead.add('{"probe": true}', queue=Queue.SCHEDULE, ErrorMessage="timed out")
    shown = run("deadletters", "list").stdout
    assert "MerchantWebhookFunction" in shown
    assert "honninctl deadletters redrive --queue schedule --discard" in shown
    for each in ("do not wait", "aws lambda invoke", "run.json"):
        assert each not in shown


def test_a_run_of_an_unknown_function_names_all_that_it_can_be(dead: DeadLetters) -> None:
    dead.add("{}", queue=Queue.SCHEDULE, ErrorMessage="timed out")
    shown = run("deadletters", "list").stdout
    assert shown.count("aws lambda invoke") == 4


def test_each_event_is_put_back_on_the_queue_of_its_kind(dead: DeadLetters) -> None:
    sent = {
        dead.events: [event(), event(cause="poll", provider="vexora", kind="kyc_result"), "no event", "[]", "{}"],
        dead.notifications: [event(kind="recon_file", subject="-")],
        dead.repairs: [event(cause="recon")],
        dead.rereads: [event(cause="operator"), event(cause="settle")],
    }
    for bodies in sent.values():
        for body in bodies:
            dead.add(body, "KeyError")
    mover.put_back(dead.deployment, Queue.EVENTS, dead.urls[Queue.EVENTS])
    assert {url: dead.bodies(url) for url in sent} == {url: sorted(bodies) for url, bodies in sent.items()}


def test_failed_runs_are_not_put_back_but_said(dead: DeadLetters) -> None:
    dead.add(event(), "KeyError")
    dead.add(RUN, queue=Queue.SCHEDULE, ErrorMessage="timed out")
    ended = run("deadletters", "redrive", "--yes", "--json")
    found = json.loads(ended.stdout)
    assert (ended.exit_code, found["total"], found["left"], found["discarded"]) == (0, 1, {"schedule": 1}, {})
    assert "aws lambda invoke" in ended.stderr
    alone = run("deadletters", "redrive", "--queue", "schedule", "--yes")
    assert alone.exit_code == 1
    assert "--queue schedule --discard" in alone.stdout
    assert dead.visible(Queue.SCHEDULE) == 1


def test_discard_asks_and_deletes_failed_runs_only(dead: DeadLetters, monkeypatch: pytest.MonkeyPatch) -> None:
    for queue in OUTPUTS:
        dead.add(event(), "KeyError", queue)
    assert run("deadletters", "redrive", "--discard", "--queue", "events").exit_code == 2
    assert run("deadletters", "redrive", "--discard", "--queue", "schedule").exit_code == 2  # nobody can be asked
    asked: list[str] = []

    def no(_screen: Any, question: str) -> str:
        asked.append(question)
        return "n"

    monkeypatch.setattr("honninctl.screen.Screen.ask", no)
    assert run("deadletters", "redrive", "--discard", "--queue", "schedule").exit_code == 1
    assert "Delete the messages of about 1 failed runs (schedule)?" in asked[0]
    assert [dead.visible(each) for each in OUTPUTS] == [1, 1, 1]


def test_discard_deletes_what_was_there(dead: DeadLetters) -> None:
    for queue in OUTPUTS:
        dead.add(event(), "KeyError", queue)
    ended = run("deadletters", "redrive", "--discard", "--yes", "--json")
    found = json.loads(ended.stdout)
    assert (ended.exit_code, found["discarded"]) == (0, {"schedule": 1, "recon-download": 1})
    assert found["byQueue"] == {"events": 1}
    assert [dead.visible(each) for each in OUTPUTS] == [0, 0, 0]


def test_a_stack_of_an_older_version_is_said_and_the_rest_is_looked_at(dead: DeadLetters) -> None:
    dead.add(event(), "KeyError")
    outputs: Any = dead.deployment.given["Outputs"]
    dead.deployment.given["Outputs"] = [each for each in outputs if "ReconDownloadDead" not in each["OutputKey"]]
    ended = run("deadletters", "list", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["total"]) == (1, 1)
    assert json.loads(ended.stdout)["notLookedAt"] == ["recon-download"]
    assert ended.stderr == (
        "Not looked at: recon-download. honnin-test has no output ReconDownloadDeadLetterQueueUrl; "
        "deploy the current version.\n"
    )
    asked = run("deadletters", "list", "--queue", "recon-download")
    assert (asked.exit_code, asked.stdout) == (3, "")
    assert "ReconDownloadDeadLetterQueueUrl" in asked.stderr
    assert run("deadletters", "redrive", "--yes", "--json").exit_code == 0


def test_the_queues_are_those_of_the_template() -> None:
    """Every dead-letter queue of the template is known: by its output, or by its name where not every stack has it."""
    from tests.tables import template

    resources, outputs = template()["Resources"], template()["Outputs"]
    queues = {name for name, each in resources.items() if each["Type"] == "AWS::SQS::Queue" and "DeadLetter" in name}
    named = {value["Value"]["Ref"] for key, value in outputs.items() if key in OUTPUTS.values()}
    assert named == queues - {dead_letters.WEBHOOK_DEAD_LETTERS}
    assert {f"{each}Name" for functions in dead_letters.RUNS.values() for each in functions} <= outputs.keys()
    assert set(mover.SOURCES.values()) <= outputs.keys()


def test_interrupted_while_it_reads_everything_is_shown_again(
    dead: DeadLetters, monkeypatch: pytest.MonkeyPatch
) -> None:
    for queue in OUTPUTS:
        for _ in range(12):
            dead.add(event(), "KeyError", queue)

    def interrupted(_number: int) -> None:
        raise KeyboardInterrupt

    places = dead_letters.find(dead.deployment)
    with pytest.raises(KeyboardInterrupt):
        dead_letters.letters(dead.deployment, places, seen=interrupted)
    assert [dead.visible(each) for each in OUTPUTS] == [12, 12, 12]
    monkeypatch.setattr(dead_letters, "_messages", lambda *_: interrupted(1))
    ended = run("deadletters", "list", "--json")
    assert (ended.exit_code, ended.stdout, ended.stderr) == (130, "", "Interrupted.\n")
