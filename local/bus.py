"""The domain events of a local stack's bus, for tests and for whoever wants to see them."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError

from local.errors import LocalError
from local.stack import Stack

_SOURCE = "honnin"
_POLL_S = 0.2


@contextlib.contextmanager
def listening(running: Stack) -> Iterator[Iterator[dict[str, Any] | None]]:
    """Events from now on, in the order of their arrival, as EventBridge gives them to a queue.

    Yields an iterator that has None whenever nothing has come for a moment. A rule and a queue of its own, which go at
    the end: nobody else's events are taken away. LocalError when the stack has ended meanwhile.
    """
    name = f"follow-{uuid.uuid4().hex[:12]}"
    bus = running.outputs["EventBusName"]
    sqs, events = running.client("sqs"), running.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = events.put_rule(
            Name=name, EventBusName=bus, EventPattern=json.dumps({"source": [_SOURCE]}), State="ENABLED"
        )["RuleArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_policy(arn, rule))})
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "queue", "Arn": arn}])
        try:
            yield _received(sqs, url, running.name)
        finally:
            with contextlib.suppress(Exception):  # the stack may have ended, and these with it
                events.remove_targets(Rule=name, EventBusName=bus, Ids=["queue"])
                events.delete_rule(Name=name, EventBusName=bus)
    finally:
        with contextlib.suppress(Exception):
            sqs.delete_queue(QueueUrl=url)


def _policy(queue_arn: str, rule_arn: str) -> dict[str, Any]:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _received(sqs: Any, url: str, name: str) -> Iterator[dict[str, Any] | None]:
    while True:
        try:
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        except BotoCoreError:
            raise LocalError(f"The local stack {name!r} does not answer any more.") from None
        for each in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
            event: dict[str, Any] = json.loads(each["Body"])
            yield event
        if not messages:
            time.sleep(_POLL_S)
            yield None
