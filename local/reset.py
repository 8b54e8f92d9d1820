"""Empties a running local stack: as it was when it got ready, in a second or two instead of a new deployment.

Whatever of the template holds state, found by its type: items of tables, all versions of objects, messages, running
state machines, event source mappings that were switched off. And the sandbox. What stays: the secrets' values, log
groups, metrics.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from local import deployment, stack
from local.stack import Stack

_BATCH = 25
_OBJECTS = 1000


def reset(running: Stack) -> None:
    """Empty the stack and its sandbox.

    A call or a message that is being worked on meanwhile may write afterwards: wait for what you have begun before.
    """
    if running.sandbox_url:
        running.sandbox("POST", "/reset")  # first: nothing more is sent to the queues
        stack.register_webhooks(running)
    by_type: dict[str, list[str]] = {}
    pages = running.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=deployment.STACK_NAME):
        for each in page["StackResourceSummaries"]:
            by_type.setdefault(each["ResourceType"], []).append(each["PhysicalResourceId"])
    for service in ("sqs", "stepfunctions", "dynamodb", "s3"):
        running.client(service)  # made here once, not by each of the threads
    # First what makes work, then where the work would be written.
    for kinds in (("AWS::SQS::Queue", "AWS::StepFunctions::StateMachine"), ("AWS::DynamoDB::Table", "AWS::S3::Bucket")):
        tasks = [(_EMPTIED[kind], name) for kind in kinds for name in by_type.get(kind, ())]
        with ThreadPoolExecutor(4) as some:
            list(some.map(lambda task: task[0](running, task[1]), tasks))
    _switch_on(running, by_type.get("AWS::Lambda::EventSourceMapping", []))


def _purged(running: Stack, url: str) -> None:
    running.client("sqs").purge_queue(QueueUrl=url)


def _stopped(running: Stack, arn: str) -> None:
    machine = running.client("stepfunctions")
    for each in machine.list_executions(stateMachineArn=arn, statusFilter="RUNNING")["executions"]:
        machine.stop_execution(executionArn=each["executionArn"], cause="honninctl local reset")


def _emptied_table(running: Stack, name: str) -> None:
    table = running.client("dynamodb")
    keys = [each["AttributeName"] for each in table.describe_table(TableName=name)["Table"]["KeySchema"]]
    names = {f"#{number}": key for number, key in enumerate(keys)}
    wanted = {"ProjectionExpression": ",".join(names), "ExpressionAttributeNames": names}
    for page in table.get_paginator("scan").paginate(TableName=name, **wanted):
        items = page["Items"]
        for begin in range(0, len(items), _BATCH):
            requests = [{"DeleteRequest": {"Key": key}} for key in items[begin : begin + _BATCH]]
            left = {name: requests}
            while left:
                left = table.batch_write_item(RequestItems=left).get("UnprocessedItems") or {}


def _emptied_bucket(running: Stack, name: str) -> None:
    bucket = running.client("s3")
    for page in bucket.get_paginator("list_object_versions").paginate(Bucket=name):
        found = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        for begin in range(0, len(objects), _OBJECTS):
            bucket.delete_objects(Bucket=name, Delete={"Objects": objects[begin : begin + _OBJECTS], "Quiet": True})


def _switch_on(running: Stack, mappings: list[str]) -> None:
    """`repairs stop` and the circuit of the merchant webhooks switch these off."""
    functions = running.client("lambda")
    for each in mappings:
        if functions.get_event_source_mapping(UUID=each)["State"] in ("Disabled", "Disabling"):
            functions.update_event_source_mapping(UUID=each, Enabled=True)


_EMPTIED: Mapping[str, Callable[[Stack, str], Any]] = {
    "AWS::SQS::Queue": _purged,
    "AWS::StepFunctions::StateMachine": _stopped,
    "AWS::DynamoDB::Table": _emptied_table,
    "AWS::S3::Bucket": _emptied_bucket,
}
