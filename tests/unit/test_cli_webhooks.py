"""`webhooks test|list|redrive|rotate`: what is said, what is never said, and what to do where there are none."""

import base64
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from honninctl import command, webhooks
from honninctl.app import program
from tests.fakes.big_queue import BigQueues
from tests.fakes.cli import FakeDeployment, Service, client_error, run, state_table
from tests.fakes.memory import memory_aws

DEAD, WAITING = "https://sqs/dead-webhooks", "https://sqs/webhooks"
OLD = "A" * 64  # as CloudFormation generates it: letters and digits only
COMMANDS = (["test"], ["list"], ["redrive", "--yes"], ["rotate"], ["rotate", "--drop-previous"])


class Secrets(Service):
    """One secret, and how often it was written."""

    def __init__(self) -> None:
        super().__init__(get_secret_value=self._read, put_secret_value=self._write)
        self.keys = {"current": OLD}

    def _read(self, **_: Any) -> dict[str, str]:
        return {"SecretString": json.dumps(self.keys)}

    def _write(self, *, SecretId: str, SecretString: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == "arn:secret"
        self.keys = json.loads(SecretString)
        return {}


class Stack:
    """A stack with merchant webhooks."""

    def __init__(self) -> None:
        self.deployment = FakeDeployment(
            {"StateTableName": state_table(), "DeadLetterQueueUrl": "https://sqs/dead"},
            {"MerchantWebhookUrl": "https://shop.example/hooks"},
        )
        ids = {
            "MerchantWebhookSecret": "arn:secret",
            "MerchantWebhookQueue": WAITING,
            "MerchantWebhookDeadLetterQueue": DEAD,
            "MerchantWebhookFunction": "honnin-MerchantWebhookFunction-1X",
            "MerchantWebhookSource": "mapping-1",
        }
        services = self.deployment.services
        services["cloudformation"].answers["describe_stack_resource"] = lambda **asked: {
            "StackResourceDetail": {"PhysicalResourceId": ids[asked["LogicalResourceId"]]}
        }
        self.sqs = services["sqs"] = BigQueues()
        self.secrets = services["secretsmanager"] = Secrets()
        self.functions = services["lambda"] = Service(get_event_source_mapping={"State": "Enabled"})
        self.metrics = services["cloudwatch"] = Service(get_metric_statistics={"Datapoints": []})

    def answers(self, **said: Any) -> None:
        """What the function answers to a test."""
        self.functions.answers["invoke"] = lambda **_: {
            "StatusCode": 200,
            "Payload": io.BytesIO(json.dumps(said).encode()),
        }

    def give_up(self, user: str, error_type: str | None = "WebhookNotDeliveredError", *, age_s: float = 60) -> str:
        """Put a webhook into the dead-letter queue."""
        detail = {"userId": user, "provider": "paypay", "to": "LINKED", "version": 1, "eventId": f"e-{user}"}
        detail["occurredAt"] = "2026-11-21T12:00:00.000Z"
        event = {"version": "0", "source": "honnin", "detail-type": "KycStatusChanged", "detail": detail}
        self.sqs.add(DEAD, json.dumps(event), error_type, age_s=age_s)
        return json.dumps(event)


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    with memory_aws():
        made = Stack()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("parameters", [[], [{"ParameterKey": "MerchantWebhookUrl", "ParameterValue": ""}]])
def test_a_stack_without_webhooks_is_said_with_what_to_do(stack: Stack, arguments: list[str], parameters: Any) -> None:
    """Also one of an older version, which has no such parameter; nothing is read or changed."""
    stack.deployment.given["Parameters"] = parameters
    ended = run("webhooks", *arguments)
    assert (ended.exit_code, ended.stdout) == (3, "")
    assert "honnin-test sends no merchant webhooks: set the parameter MerchantWebhookUrl" in ended.stderr
    assert stack.secrets.calls == []
    assert webhooks.held_since(stack.deployment) is None


# test


def test_a_delivered_test_is_0_and_says_the_status(stack: Stack) -> None:
    stack.answers(delivered=True, status=204, reason="", seconds=0.312)
    ended = run("webhooks", "test")
    assert (ended.exit_code, ended.stdout) == (0, "Delivered: your endpoint answered HTTP 204 after 0.3 s.\n")
    [(_, asked)] = stack.functions.calls
    assert asked == {"FunctionName": "honnin-MerchantWebhookFunction-1X", "Payload": b'{"test": true}'}


@pytest.mark.parametrize(
    ("status", "reason", "advice"),
    [
        (500, "the response was HTTP 500", "own log"),
        (301, "the response was HTTP 301", "No redirect is followed"),
        (401, "the response was HTTP 401", "Does your receiver have the secret?"),
        (None, "no connection", "the certificate and the firewall"),
    ],
)
def test_what_was_not_delivered_is_1_with_the_reason_and_what_to_look_at(
    stack: Stack, status: int | None, reason: str, advice: str
) -> None:
    said = {"delivered": False, "status": status, "reason": reason, "seconds": 15.0}
    stack.answers(**said)
    ended = run("webhooks", "test")
    assert ended.exit_code == 1
    assert ended.stdout.startswith(f"Not delivered: {reason} (after 15.0 s).\n")
    assert advice in ended.stdout
    as_json = run("webhooks", "test", "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, said)


def test_a_function_that_fails_is_one_sentence_without_its_words(stack: Stack) -> None:
    stack.functions.answers["invoke"] = {
        "FunctionError": "Unhandled",
        "Payload": io.BytesIO(b'{"errorMessage": "s3cret"}'),
    }
    ended = run("webhooks", "test")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "its log says why" in ended.stderr
    assert "s3cret" not in ended.output


# list


def test_a_stack_in_order_is_0(stack: Stack) -> None:
    ended = run("webhooks", "list")
    assert ended.exit_code == 0
    assert ended.stdout.splitlines() == [
        "The circuit is closed.",
        "0 waiting, 0 in flight.",
        "There are no dead letters.",
    ]


def test_an_open_circuit_is_1_with_since_when_and_why(stack: Stack) -> None:
    for _ in range(10):
        stack.deployment.store.circuit.fail("the response was HTTP 503", "endpoint")
    stack.deployment.store.circuit.open("2026-11-21T12:00:00.000Z")
    stack.functions.answers["get_event_source_mapping"] = {"State": "Disabled"}
    stack.sqs.add(WAITING, "{}")
    stack.sqs.add(WAITING, "{}")
    stack.sqs.receive_message(QueueUrl=WAITING, VisibilityTimeout=60)
    stack.sqs.add(WAITING, "{}")
    at = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    points = [{"Timestamp": at, "Maximum": 3700.0}, {"Timestamp": at.replace(minute=1), "Maximum": 3760.0}]
    stack.metrics.answers["get_metric_statistics"] = {"Datapoints": points}
    assert webhooks.held_since(stack.deployment) == "2026-11-21T12:00:00.000Z"
    ended = run("webhooks", "list")
    assert ended.exit_code == 1
    assert ended.stdout.splitlines()[:3] == [
        "The circuit is open since 2026-11-21 12:00 UTC: the response was HTTP 503.",
        "One message is tried each minute. Try it yourself: honninctl webhooks test",
        "1 waiting, 2 in flight; age of the oldest: 1:02:40.",
    ]
    found = json.loads(run("webhooks", "list", "--json").stdout)
    assert found == {
        "circuit": {
            "open": True,
            "since": "2026-11-21T12:00:00.000Z",
            "reason": "the response was HTTP 503",
            "failures": 10,
            "mapping": "Disabled",
        },
        "waiting": 1,
        "inFlight": 2,
        "oldestSeconds": 3760,
        "deadLetters": [],
    }


def test_a_mapping_that_somebody_has_disabled_is_said(stack: Stack) -> None:
    stack.functions.answers["get_event_source_mapping"] = {"State": "Disabled"}
    ended = run("webhooks", "list")
    assert (ended.exit_code, "nothing is sent: the mapping is Disabled" in ended.stdout) == (1, True)


def test_without_the_permission_for_cloudwatch_the_rest_is_shown(stack: Stack) -> None:
    stack.metrics.answers["get_metric_statistics"] = client_error("AccessDenied", "GetMetricStatistics")
    assert run("webhooks", "list").exit_code == 0
    stack.metrics.answers["get_metric_statistics"] = client_error("Throttling", "GetMetricStatistics")
    assert run("webhooks", "list").exit_code == 1


def test_dead_letters_show_type_user_error_and_since_when_within_80_columns(stack: Stack) -> None:
    stack.give_up("user-100")
    stack.give_up("user-200", None)
    ended = run("webhooks", "list")
    assert ended.exit_code == 1
    [row] = [line.split() for line in ended.stdout.splitlines() if "user-100" in line]
    assert row[2:] == ["kyc.status.changed", "user-100", "WebhookNotDeliveredError"]
    assert re.fullmatch(r"2026-\d\d-\d\d", row[0])
    assert max(map(len, (line.rstrip() for line in ended.stdout.splitlines()))) <= 80
    assert len(json.loads(run("webhooks", "list", "--user", "user-100", "--json").stdout)["deadLetters"]) == 1
    assert run("webhooks", "list", "--user", "user-300").stdout.splitlines()[-1] == "There are no such dead letters."


# redrive


def test_redrive_is_that_of_the_dead_letters_with_the_same_filters(stack: Stack) -> None:
    mine = stack.give_up("user-100")
    other = stack.give_up("user-200")
    found = json.loads(run("webhooks", "redrive", "--user", "user-100", "--yes", "--json").stdout)
    assert (found["byQueue"], found["notMatching"]) == ({"webhooks": 1}, {"WebhookNotDeliveredError": 1})
    assert stack.sqs.queue(WAITING).bodies == [mine]
    assert stack.sqs.queue(DEAD).bodies == [other]
    tried = run("webhooks", "redrive", "--error-type", "WebhookNotDeliveredError", "--dry-run")
    assert tried.stdout.splitlines()[-1] == "1 would be put back, 0 do not match and stay."


def test_a_dead_letter_is_found_by_the_id_that_the_endpoint_knows(stack: Stack) -> None:
    stack.give_up("user-100")
    [letter] = json.loads(run("webhooks", "list", "--json").stdout)["deadLetters"]
    name = letter["webhook"]["webhookId"]
    assert name.startswith("msg_")
    shown = run("deadletters", "show", name, "--queue", "webhooks")
    assert (shown.exit_code, "kyc.status.changed" in shown.stdout) == (0, True)


# rotate


def test_a_new_secret_signs_beside_the_old_one_and_is_not_shown(stack: Stack) -> None:
    ended = run("webhooks", "rotate")
    assert ended.exit_code == 0
    new = stack.secrets.keys["current"]
    assert stack.secrets.keys == {"current": new, "previous": OLD}
    assert new.startswith("whsec_")
    assert len(base64.b64decode(new.removeprefix("whsec_"), validate=True)) == 32
    Webhook(new)
    assert new not in ended.output
    assert OLD not in ended.output
    assert "aws secretsmanager get-secret-value --secret-id arn:secret --query SecretString" in ended.stdout
    assert "--drop-previous" in ended.stdout


def test_the_secret_is_shown_only_when_asked(stack: Stack) -> None:
    shown = run("webhooks", "rotate", "--reveal", "--reason", "r").stdout
    assert stack.secrets.keys["current"] in shown.splitlines()
    stack.secrets.keys = {"current": OLD}
    assert json.loads(run("webhooks", "rotate", "--json").stdout)["secret"] is None
    stack.secrets.keys = {"current": OLD}
    shown = run("webhooks", "rotate", "--reveal", "--reason", "r", "--json").stdout
    assert json.loads(shown)["secret"] == stack.secrets.keys["current"]


def test_a_second_rotation_is_refused_while_the_old_secret_still_signs(stack: Stack) -> None:
    run("webhooks", "rotate")
    before = dict(stack.secrets.keys)
    ended = run("webhooks", "rotate", "--reveal", "--reason", "r")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "--drop-previous" in ended.stderr
    assert stack.secrets.keys == before


def test_dropping_leaves_the_current_secret_alone(stack: Stack) -> None:
    run("webhooks", "rotate")
    new = stack.secrets.keys["current"]
    ended = run("webhooks", "rotate", "--drop-previous")
    assert ended.exit_code == 0
    assert stack.secrets.keys == {"current": new}
    assert new not in ended.output
    assert run("webhooks", "rotate", "--drop-previous", "--reveal", "--reason", "r").exit_code == 2


@pytest.mark.parametrize("name", ["test", "list", "redrive", "rotate"])
def test_the_help_fits_80_columns_and_shows_an_example(name: str) -> None:
    from typer.testing import CliRunner

    shown = CliRunner().invoke(program(), ["webhooks", name, "--help"], env={"COLUMNS": "80"}).output
    assert f"Example: honninctl webhooks {name}" in shown
    assert max(map(len, shown.splitlines())) <= 80
