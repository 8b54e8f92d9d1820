"""Delete a stack, after saying what goes and what stays: `make delete-stack STACK=honnin-dev`.

Uses the caller's AWS credentials. First it prints what is deleted, what outlives the stack, and for each of the latter
the command that removes it for good; it runs none of those. Then it asks for the stack's name, and deletes the stack.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import WaiterError
from rich.console import Console
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from honninctl import streams
from honninctl.deployment import Deployment, Where
from honninctl.failures import explained

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_sqs import SQSClient

# Goes with its function, whatever the policy says.
_GOES_ANYWAY = {"AWS::Lambda::Version"}

# How to remove for good what a deleted stack leaves behind, in the order in which it should be done: the keys come
# last, because without them nothing of the rest can be read any more. {id} is the physical id.
REMOVAL: Mapping[str, Sequence[str]] = {
    "AWS::SQS::Queue": ("aws sqs delete-queue --queue-url {id}",),
    "AWS::S3::Bucket": (
        "aws s3api delete-objects --bucket {id} --delete"
        ' "$(aws s3api list-object-versions --bucket {id} --max-items 250 --output json'
        " --query '{{Objects: [Versions, DeleteMarkers][].{{Key: Key, VersionId: VersionId}}}}')\""
        "    # again and again, until it says that Objects is empty",
        "aws s3api delete-bucket --bucket {id}",
    ),
    "AWS::DynamoDB::Table": (
        "aws dynamodb update-table --table-name {id} --no-deletion-protection-enabled",
        "aws dynamodb delete-table --table-name {id}",
    ),
    "AWS::SecretsManager::Secret": ("aws secretsmanager delete-secret --secret-id {id} --recovery-window-in-days 30",),
    "AWS::ApiGateway::Account": ("# a setting of the account, shared by all its APIs: nothing to remove",),
    "AWS::IAM::Role": (
        "# only if no other API of the account writes access logs with it:",
        "aws iam detach-role-policy --role-name {id}"
        " --policy-arn arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        "aws iam delete-role --role-name {id}",
    ),
    "AWS::KMS::Key": ("aws kms schedule-key-deletion --key-id {id} --pending-window-in-days 30",),
}


@dataclass(frozen=True)
class Resource:
    """A resource of the stack as it is deployed."""

    logical_id: str
    physical_id: str
    kind: str
    stays: bool


def main() -> int:
    """The command; 0 when the stack is gone, 1 when it is not, with one sentence about why."""
    parser = argparse.ArgumentParser(prog="python -m operations.delete_stack", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the CloudFormation stack, for example honnin-dev")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    arguments = parser.parse_args()
    streams.prepare()
    try:
        return _run(arguments.stack, ask=not arguments.yes)
    except Exception as error:
        print(f"{arguments.stack} could not be deleted: {explained(error)}", file=sys.stderr)  # noqa: T201
        return 1


def _run(stack: str, *, ask: bool) -> int:
    deployment = Deployment(Where(stack, os.environ.get("AWS_ENDPOINT_URL")))
    cloudformation = deployment.client("cloudformation")
    resources = deployed(cloudformation, stack)
    waiting = waiting_messages(deployment.client("sqs"), resources)
    screen = Console(soft_wrap=True, highlight=False, markup=False)
    screen.print("\n".join(explanation(stack, resources, waiting)))
    if ask and not _confirmed(stack):
        screen.print("Nothing was deleted.")
        return 1
    cloudformation.delete_stack(StackName=stack)
    screen.print(f"Deleting {stack} …")
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)
    except WaiterError:
        print(f"{stack} is not gone: aws cloudformation describe-stack-events --stack-name {stack}", file=sys.stderr)  # noqa: T201
        return 1
    screen.print(f"{stack} is deleted. What stays is listed above.")
    return 0


def deployed(cloudformation: "CloudFormationClient", stack: str) -> list[Resource]:
    """What the stack has deployed, and whether it outlives the stack by the template that was deployed."""
    body: Any = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    template: Any = yaml_parse(body) if isinstance(body, str) else body
    policies = {name: each.get("DeletionPolicy", "Delete") for name, each in template["Resources"].items()}
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    summaries = [each for page in pages for each in page["StackResourceSummaries"]]
    return [
        Resource(
            each["LogicalResourceId"],
            each.get("PhysicalResourceId", ""),
            each["ResourceType"],
            stays=policies.get(each["LogicalResourceId"]) == "Retain" and each["ResourceType"] not in _GOES_ANYWAY,
        )
        for each in summaries
        if each["ResourceStatus"] != "DELETE_COMPLETE"
    ]


def waiting_messages(sqs: "SQSClient", resources: Sequence[Resource]) -> dict[str, int]:
    """How many messages each queue holds, by logical id; empty queues are left out."""
    names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = {}
    for each in resources:
        if each.kind == "AWS::SQS::Queue":
            attributes = sqs.get_queue_attributes(QueueUrl=each.physical_id, AttributeNames=names)["Attributes"]
            found[each.logical_id] = sum(map(int, attributes.values()))
    return {name: number for name, number in found.items() if number}


def explanation(stack: str, resources: Sequence[Resource], waiting: Mapping[str, int]) -> list[str]:
    """What is said before anything is done, line by line."""
    goes = Counter(each.kind for each in resources if not each.stays)
    order = {kind: place for place, kind in enumerate(REMOVAL)}
    stays = sorted((each for each in resources if each.stays), key=lambda each: order.get(each.kind, -1))
    lines = [f"Deleting {stack} removes {goes.total()} resources for good, every log and alarm among them:"]
    lines += [f"  {number:3d} {kind}" for kind, number in sorted(goes.items())]
    lines += ["", "Both APIs go: the URLs that the providers know stop working, and a new stack has others."]
    for name, number in waiting.items():
        lines.append(f"{name} holds about {number} messages, which nothing will work on any more.")
    if not stays:
        return [*lines, "", "Nothing outlives the stack."]
    lines += [
        "",
        "What follows outlives the stack, and goes on to cost. A new stack of the same name does not take it over.",
        "To remove it for good, afterwards, in this order:",
    ]
    for each in stays:
        commands = REMOVAL.get(each.kind, ("# no command is known here for this type",))
        lines += ["", f"  {each.logical_id} ({each.kind}): {each.physical_id}"]
        lines += [f"    {command.format(id=each.physical_id)}" for command in commands]
    return [*lines, ""]


def _confirmed(stack: str) -> bool:
    try:
        return input(f"Type {stack} to delete it: ").strip() == stack
    except EOFError:
        return False


if __name__ == "__main__":
    sys.exit(main())
