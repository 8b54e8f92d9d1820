"""What is said before a stack is deleted (`honninctl delete-stack`): what goes, what stays, and how to remove that."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from honninctl.failures import CommandError
from honninctl.language import N_, _

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
    "AWS::Backup::BackupVault": (
        "aws backup list-recovery-points-by-backup-vault --backup-vault-name {id}"
        " --query 'RecoveryPoints[].[RecoveryPointArn]' --output text"
        " | xargs -n 1 aws backup delete-recovery-point --backup-vault-name {id} --recovery-point-arn",
        "aws backup delete-backup-vault --backup-vault-name {id}",
    ),
    "AWS::SecretsManager::Secret": ("aws secretsmanager delete-secret --secret-id {id} --recovery-window-in-days 30",),
    "AWS::ApiGateway::Account": (N_("# a setting of the account, shared by all its APIs: nothing to remove"),),
    "AWS::IAM::Role": (
        N_("# only if no other API of the account writes access logs with it:"),
        "aws iam detach-role-policy --role-name {id}"
        " --policy-arn arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs",
        "aws iam delete-role --role-name {id}",
    ),
    "AWS::KMS::Key": ("aws kms schedule-key-deletion --key-id {id} --pending-window-in-days 30",),
}

# The same of a resource that others of its type are not like, by its logical id.
REMOVAL_OF: Mapping[str, Sequence[str]] = {
    "BackupRole": (
        N_("# only when no backup is left: AWS Backup deletes what has expired with it"),
        "aws iam delete-role-policy --role-name {id} --policy-name BackUpTheStateTable",
        "aws iam delete-role --role-name {id}",
    ),
}


@dataclass(frozen=True)
class Resource:
    """A resource of the stack as it is deployed."""

    logical_id: str
    physical_id: str
    kind: str
    stays: bool


def deployed(cloudformation: "CloudFormationClient", stack: str) -> list[Resource]:
    """What the stack has deployed, and whether it outlives the stack by the template that was deployed."""
    from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

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
    lines = [
        _("Deleting {stack} removes {number} resources for good, every log and alarm among them:").format(
            stack=stack, number=goes.total()
        )
    ]
    lines += [f"  {number:3d} {kind}" for kind, number in sorted(goes.items())]
    lines += [
        "",
        _("Both APIs are deleted: the URLs that the providers know stop working, and a new stack has other URLs."),
    ]
    if domains := [each.physical_id for each in resources if each.kind == "AWS::ApiGateway::DomainName"]:
        template = _("It has the same URLs under {domains}, if you give it the same domain parameters.")
        lines.append(template.format(domains=_(" and ").join(domains)))
    if policies := [each.physical_id for each in resources if each.kind == "AWS::IAM::ManagedPolicy"]:
        lines.append(
            _("IAM deletes no policy that one of your roles or permission sets still has. Detach these first:")
        )
        lines += [f"  {each}" for each in policies]
    for name, number in waiting.items():
        template = _("{name} has about {number} messages, which nothing will process any more.")
        lines.append(template.format(name=name, number=number))
    if not stays:
        return [*lines, "", _("Nothing stays after the deletion.")]
    lines += [
        "",
        _(
            "The resources below stay after the deletion, and continue to cost money. A new stack of the same name "
            "does not use them."
        ),
        _("To remove them for good, afterwards, in this order:"),
    ]
    for each in stays:
        known = REMOVAL_OF.get(each.logical_id) or REMOVAL.get(each.kind)
        commands = known or (N_("# no command is known here for this type"),)
        lines += ["", f"  {each.logical_id} ({each.kind}): {each.physical_id}"]
        lines += [f"    {_(command).format(id=each.physical_id)}" for command in commands]
    return [*lines, ""]


def as_json(resources: Sequence[Resource]) -> dict[str, object]:
    """What was deleted with the stack, and what stays, for a script."""
    return {
        "deleted": True,
        "goes": dict(Counter(each.kind for each in resources if not each.stays)),
        "stays": [
            {"logicalId": each.logical_id, "physicalId": each.physical_id, "type": each.kind}
            for each in resources
            if each.stays
        ],
    }


def delete(cloudformation: "CloudFormationClient", stack: str, say: Callable[[str], None]) -> None:
    """Delete the stack, and wait for it. Raises `CommandError` when it is not gone in the end."""
    from botocore.exceptions import WaiterError

    cloudformation.delete_stack(StackName=stack)
    say(f"Deleting {stack} …")
    try:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack)
    except WaiterError:
        raise CommandError(
            _(
                "{stack} could not be deleted; see: aws cloudformation describe-stack-events --stack-name {stack}"
            ).format(stack=stack)
        ) from None
