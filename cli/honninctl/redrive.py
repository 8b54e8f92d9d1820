"""Putting dead letters back, and deleting those that nothing can be done with any more.

What had taken effect before takes none again, so redriving twice, or stopping in the middle, does no harm.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from honninctl.dead_letter_filter import Filter
from honninctl.dead_letters import RUNS, Queue, error_type, webhook_resource
from honninctl.deployment import Deployment
from honninctl.queue_walk import BATCH, Message, delete, walk

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Where the messages of a queue came from, by output. Failed runs (RUNS) came from no queue.
SOURCES = {Queue.EVENTS: "EventQueueUrl"}
# Events have queues of their own by their kind, and by their cause where they can wait.
_OF_KIND = {"recon_file": "ReconNoticeQueueUrl"}
_OF_CAUSE = {"recon": "RepairQueueUrl", "operator": "RereadQueueUrl", "settle": "RereadQueueUrl"}
# Where merchant webhooks wait, by logical id.
_WEBHOOKS = "MerchantWebhookQueue"

# SQS takes no more in one call, and counts what is around a body, too.
_MOST_BYTES = 250_000

# Results for messages: the ids of those that are done. Which queue a body is sent to.
type Act = Callable[[Sequence[Message]], set[str]]
type Target = Callable[[str], str]


@dataclass
class Moved:
    """How many messages of each `errorType` were moved (deleted, or chosen), and how many were left.

    `refused` are those that SQS would not take. `is_whole` is False where the queue holds too many to look at all.
    """

    done: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    is_whole: bool = True


def put_back(
    deployment: Deployment,
    queue: Queue,
    url: str,
    wanted: Filter | None = None,
    moved: Callable[[int], None] = lambda _: None,
) -> Moved:
    """Put the messages of a queue back where they came from, or those of them that are wanted."""
    sqs, target = deployment.client("sqs"), _target(deployment, queue)
    return move(sqs, url, sending(sqs, url, target), wanted, moved)


def discard(
    deployment: Deployment, url: str, wanted: Filter | None = None, gone: Callable[[int], None] = lambda _: None
) -> Moved:
    """Delete the messages of a queue, or those of them that are wanted."""
    sqs = deployment.client("sqs")
    return move(sqs, url, lambda messages: delete(sqs, url, messages), wanted, gone)


def look(
    deployment: Deployment, url: str, wanted: Filter | None = None, seen: Callable[[int], None] = lambda _: None
) -> Moved:
    """What `put_back` or `discard` would take; everything stays."""
    return move(deployment.client("sqs"), url, None, wanted, seen)


def move(
    sqs: "SQSClient",
    url: str,
    act: Act | None,
    wanted: Filter | None = None,
    looked_at: Callable[[int], None] = lambda _: None,
) -> Moved:
    """Do something with each message that was there at the start and is wanted; with no `act`, count them.

    The others are left as they are. `looked_at` is called with each number that was looked at.
    """
    found = Moved()

    def take(messages: Sequence[Message]) -> set[str]:
        chosen = [each for each in messages if not wanted or wanted.takes(each)]
        done = act(chosen) if act else {each["MessageId"] for each in chosen}
        found.done.update(error_type(each) for each in chosen if each["MessageId"] in done)
        found.left.update(error_type(each) for each in messages if each not in chosen)
        found.refused += len(chosen) - len(done)
        looked_at(len(messages))
        return done if act else set()

    found.is_whole = walk(sqs, url, take).is_whole
    return found


def sending(sqs: "SQSClient", url: str, target: Target) -> Act:
    """Send messages of a queue to the queue of each, and delete them here: only after that has taken them.

    A crash between the two repeats some.
    """
    return lambda messages: _sent(sqs, url, messages, target)


def make_up(deployment: Deployment, queue: Queue, functions: Iterable[str | None]) -> list[str]:
    """The commands that do by hand what failed runs did not: of those functions, of all where one is not known.

    A probe of the merchant's endpoint has none (`dead_letters.PROBED`).
    """
    named = list(functions)
    wanted = [each for each in RUNS[queue] if each in named or (None in named and f"{each}Name" in deployment.outputs)]
    names = [deployment.outputs.get(f"{each}Name", f"<{each}>") for each in wanted]
    options = "".join(f" {each}" for each in deployment.aws_options)
    # A run takes up to 15 minutes. By default the AWS CLI gives up after one, and calls the function a second time.
    patient = "--cli-read-timeout 0"
    return [f"aws lambda invoke --function-name {name} {patient}{options} run.json && cat run.json" for name in names]


def _target(deployment: Deployment, queue: Queue) -> Target:
    """Which queue a message of a dead-letter queue belongs to."""
    if queue is Queue.WEBHOOKS:
        webhooks = webhook_resource(deployment, _WEBHOOKS)
        return lambda _: webhooks
    source = deployment.output(SOURCES[queue])
    return lambda body: deployment.outputs.get(_output_of(body) or "", source)


def _output_of(body: str) -> str | None:
    """The output with the queue of an event that is no live one; None for a live event, and for what is no event."""
    from honnin.event import Event

    try:
        event = Event.from_json(body)
    except ValueError:
        return None
    return _OF_KIND.get(event.kind) or _OF_CAUSE.get(event.cause)


def _sent(sqs: "SQSClient", url: str, messages: Iterable[Message], target: Target) -> set[str]:
    by_target: defaultdict[str, list[Message]] = defaultdict(list)
    for each in messages:
        by_target[target(each["Body"])].append(each)
    gone: set[str] = set()
    for to, some in by_target.items():
        for batch in _batches(some):
            entries: Any = [{"Id": str(n), "MessageBody": each["Body"]} for n, each in enumerate(batch)]
            answer = sqs.send_message_batch(QueueUrl=to, Entries=entries)
            gone |= delete(sqs, url, [batch[int(each["Id"])] for each in answer.get("Successful", ())])
    return gone


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """As many messages together as one call takes, by number and by bytes; a longer one alone."""
    batch: list[Message] = []
    size = 0
    for each in messages:
        length = len(each["Body"].encode())
        if batch and (len(batch) == BATCH or size + length > _MOST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += length
    if batch:
        yield batch
