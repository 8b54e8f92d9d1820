"""Putting dead letters back, and deleting those that nothing can be done with any more.

What had taken effect before takes none again, so redriving twice, or stopping in the middle, does no harm.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from honninctl.dead_letters import RUNS, Queue, error_type
from honninctl.deployment import Deployment

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Where the messages of a queue came from, by output. Failed runs (RUNS) came from no queue.
SOURCES = {Queue.EVENTS: "EventQueueUrl"}
# Events have queues of their own by their kind, and by their cause where they can wait.
_OF_KIND = {"recon_file": "ReconNoticeQueueUrl"}
_OF_CAUSE = {"recon": "RepairQueueUrl", "operator": "RereadQueueUrl", "settle": "RereadQueueUrl"}

# Long enough to move one message; a message of a run that was killed shows up again after it.
_VISIBILITY_S = 60
_LONG_POLL_S = 5


def put_back(
    deployment: Deployment, queue: Queue, url: str, moved: Callable[[int], None] = lambda _: None
) -> Counter[str]:
    """Put the messages of a queue back where they came from; how many there were of each `errorType`."""
    source = deployment.output(SOURCES[queue])

    def target(body: str) -> str:
        output = _output_of(body) if queue is Queue.EVENTS else None
        return deployment.outputs.get(output or "", source)

    return move(deployment.client("sqs"), url, target, moved)


def _output_of(body: str) -> str | None:
    """The output with the queue of an event that is no live one; None for a live event, and for what is no event."""
    from honnin.event import Event

    try:
        event = Event.from_json(body)
    except ValueError:
        return None
    return _OF_KIND.get(event.kind) or _OF_CAUSE.get(event.cause)


def discard(deployment: Deployment, url: str, gone: Callable[[int], None] = lambda _: None) -> Counter[str]:
    """Delete the messages of a queue; how many there were of each `errorType`."""
    return move(deployment.client("sqs"), url, None, gone)


def make_up(deployment: Deployment, queue: Queue, functions: Iterable[str | None]) -> list[str]:
    """The commands that do by hand what failed runs did not: of those functions, of all where one is not known."""
    named = list(functions)
    wanted = [each for each in RUNS[queue] if each in named or (None in named and f"{each}Name" in deployment.outputs)]
    names = [deployment.outputs.get(f"{each}Name", f"<{each}>") for each in wanted]
    options = "".join(f" {each}" for each in deployment.aws_options)
    # A run takes up to 15 minutes. By default the AWS CLI gives up after one, and calls the function a second time.
    patient = "--cli-read-timeout 0"
    return [f"aws lambda invoke --function-name {name} {patient}{options} run.json && cat run.json" for name in names]


def move(
    sqs: "SQSClient",
    source_url: str,
    target: Callable[[str], str] | str | None,
    moved: Callable[[int], None] = lambda _: None,
) -> Counter[str]:
    """Move every message that was there at the start, or delete it where there is no target.

    The target is a queue's URL, or what gives it for a message's body.

    Returns how many there were of each `errorType`; `moved` is called with each number done. A message is deleted only
    after the target has taken it: a crash between the two repeats it.
    """
    begun_ms = _now_ms(sqs, source_url)
    done: Counter[str] = Counter()
    while message := _next(sqs, source_url):
        # What is moved there meanwhile would keep this loop going for ever; it stays for the next run. The queue has no
        # order: older ones may come behind it.
        if int(message["Attributes"]["SentTimestamp"]) > begun_ms:
            continue
        if target:
            url = target if isinstance(target, str) else target(message["Body"])
            sqs.send_message(QueueUrl=url, MessageBody=message["Body"])
        sqs.delete_message(QueueUrl=source_url, ReceiptHandle=message["ReceiptHandle"])
        done[error_type(message)] += 1
        moved(1)
    return done


def _now_ms(sqs: "SQSClient", url: str) -> int:
    """The time by the queue's clock, which dates the messages: with this machine's, messages would be taken for new."""
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    here = time.time()
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    # Whole seconds only. Where this machine's clock is within that second, it knows the rest of it.
    there = parsedate_to_datetime(date).timestamp() if date else here
    return int((here if there <= here < there + 1 else there + 1) * 1000)


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
