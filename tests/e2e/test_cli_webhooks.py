"""`honninctl webhooks` and redrive by filter on the deployed stack, whose merchant's back end is the sandbox's shop."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from local.stack import Stack
from tests.e2e import dead_letters
from tests.e2e.program import honninctl, ok

pytestmark = pytest.mark.e2e

AT = "2026-11-21T12:00:00.000Z"


@pytest.fixture
def secret(stack: Stack) -> Iterator[str]:
    """The name of the secret; afterwards it is what it was."""
    client, name = stack.client("secretsmanager"), stack.physical_id("MerchantWebhookSecret")
    before = client.get_secret_value(SecretId=name)["SecretString"]
    yield name
    client.put_secret_value(SecretId=name, SecretString=before)


def _give_up(stack: Stack, user_id: str) -> None:
    """Put a domain event about somebody into the dead-letter queue of the webhooks, as the function does."""
    detail = {"userId": user_id, "submissionId": "sub-1", "status": "PENDING", "submittedAt": AT, "version": 1}
    detail |= {"occurredAt": AT, "eventId": f"poll:{user_id}"}
    event = {"version": "0", "source": "honnin", "detail-type": "SubmissionStale", "time": AT, "detail": detail}
    attributes: Any = {"errorType": {"DataType": "String", "StringValue": "WebhookNotDeliveredError"}}
    stack.client("sqs").send_message(
        QueueUrl=stack.physical_id("MerchantWebhookDeadLetterQueue"),
        MessageBody=json.dumps(event),
        MessageAttributes=attributes,
    )


def test_a_webhook_that_was_given_up_is_listed_and_sent_once_more_and_the_others_stay(stack: Stack) -> None:
    tried = ok(stack, "webhooks", "test")
    assert (tried["delivered"], tried["status"]) == (True, 204)
    mine, other = (f"user.{uuid.uuid4().hex[:12]}" for _ in range(2))
    for user_id in (mine, other):
        _give_up(stack, user_id)
    listed = honninctl(stack, "webhooks", "list", "--user", mine, "--json")
    assert listed.code == 1, listed.stderr
    assert listed.json["circuit"]["mapping"] == "Enabled"
    [letter] = listed.json["deadLetters"]
    assert (letter["webhook"]["userId"], letter["errorType"]) == (mine, "WebhookNotDeliveredError")
    assert "WebhookNotDeliveredError" in honninctl(stack, "webhooks", "list").stdout
    assert ok(stack, "webhooks", "redrive", "--user", mine, "--since", "2026-01-01", "--dry-run")["total"] == 1
    moved = ok(stack, "webhooks", "redrive", "--user", mine, "--yes")
    assert (moved["total"], moved["notMatching"]["WebhookNotDeliveredError"]) == (1, 1)
    assert honninctl(stack, "webhooks", "list", "--user", mine, "--json").json["deadLetters"] == []
    assert ok(stack, "webhooks", "redrive", "--user", other, "--yes")["total"] == 1


def test_the_secret_is_rotated_while_webhooks_go_out(stack: Stack, secret: str) -> None:
    client = stack.client("secretsmanager")
    old = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])["current"]
    rotated = honninctl(stack, "webhooks", "rotate")
    keys = json.loads(client.get_secret_value(SecretId=secret)["SecretString"])
    assert (rotated.code, keys["previous"]) == (0, old)
    assert keys["current"] not in rotated.stdout + rotated.stderr
    assert honninctl(stack, "webhooks", "rotate").code == 1
    assert ok(stack, "webhooks", "test")["delivered"] is True
    assert honninctl(stack, "webhooks", "rotate", "--drop-previous").code == 0
    assert json.loads(client.get_secret_value(SecretId=secret)["SecretString"]) == {"current": keys["current"]}


def test_events_of_one_error_are_put_back_and_the_others_stay(stack: Stack) -> None:
    kinds = [f"Error{uuid.uuid4().hex[:8]}" for _ in range(2)]
    wanted, other = (dead_letters.add_event(stack, f"nobody-{kind}", kind) for kind in kinds)
    assert ok(stack, "deadletters", "redrive", "--error-type", kinds[0], "--dry-run")["byErrorType"] == {kinds[0]: 1}
    assert ok(stack, "deadletters", "redrive", "--error-type", kinds[0], "--yes")["total"] == 1
    assert honninctl(stack, "deadletters", "show", wanted).code == 3
    assert ok(stack, "deadletters", "show", other)["errorType"] == kinds[1]
    assert ok(stack, "deadletters", "redrive", "--error-type", kinds[1], "--yes")["total"] == 1
