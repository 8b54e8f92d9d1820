"""Put dead letters back on the events queue: `make redrive STACK=honnin-prod`.

Uses the caller's AWS credentials and the stack's outputs. An event that had taken effect before takes none again, so
redriving twice, or stopping in the middle, does no harm. Without this program, on AWS itself:

    aws sqs start-message-move-task --source-arn <ARN of the dead-letter queue> \\
        --destination-arn <ARN of the events queue>
"""

import argparse
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Long enough to move one message; a message of a run that was killed shows up again after it.
_VISIBILITY_S = 60
_LONG_POLL_S = 5


def redrive(sqs: "SQSClient", source_url: str, target_url: str, progress: Progress | None = None) -> Counter[str]:
    """Move every message that was there at the start; returns how many there were of each `errorType`.

    A message is deleted only after the events queue has taken it: a crash between the two repeats it.
    """
    begun_ms = int(time.time() * 1000)
    moved: Counter[str] = Counter()
    task = progress.add_task("Putting back", total=None) if progress else None
    while message := _next(sqs, source_url):
        # What is parked anew meanwhile would keep this loop going for ever; it stays for the next run. The queue has no
        # order: older ones may come behind it.
        if int(message["Attributes"]["SentTimestamp"]) > begun_ms:
            continue
        sqs.send_message(QueueUrl=target_url, MessageBody=message["Body"])
        sqs.delete_message(QueueUrl=source_url, ReceiptHandle=message["ReceiptHandle"])
        attribute = message.get("MessageAttributes", {}).get("errorType", {})
        moved[attribute.get("StringValue", "(received too often)")] += 1
        if progress and task is not None:
            progress.advance(task)
    return moved


def _next(sqs: "SQSClient", url: str) -> Any:
    found = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=1,
        VisibilityTimeout=_VISIBILITY_S,
        # A long poll asks every server of the queue; a short one often finds nothing although something is there.
        WaitTimeSeconds=_LONG_POLL_S,
        MessageAttributeNames=["All"],
        AttributeNames=["SentTimestamp"],
    )
    messages = found.get("Messages", [])
    return messages[0] if messages else None


def main() -> int:
    """The command; 0 when it moved what was there, 1 with one sentence when it could not."""
    parser = argparse.ArgumentParser(prog="python -m operations.redrive", description=__doc__)
    parser.add_argument("--stack", required=True, help="name of the CloudFormation stack, for example honnin-prod")
    stack = parser.parse_args().stack
    screen = Console()
    try:
        found = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
        with Progress(console=screen) as progress:
            moved = redrive(boto3.client("sqs"), outputs["DeadLetterQueueUrl"], outputs["EventQueueUrl"], progress)
    except (BotoCoreError, ClientError) as error:
        print(f"The dead letters of {stack} could not be put back: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyError as missing:
        print(f"{stack} has no output {missing}: is it a stack of Honnin?", file=sys.stderr)  # noqa: T201
        return 1
    for kind, number in moved.most_common():
        screen.print(f"{number} × {kind}")
    screen.print(f"{moved.total()} put back." if moved else "There were no dead letters.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
