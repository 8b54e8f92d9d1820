"""Going once through everything that lies in a queue, and leaving there what nobody wants.

SQS has no other way to read: whatever is received is hidden for a time. So what stays is hidden until the whole queue
was looked at, and then shown again, which leaves it as it was: its age and its retention count on. (SQS's own
`StartMessageMoveTask` moves all of a queue, and cannot choose.) What a killed run had hidden shows up again by itself.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import batched
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

type Message = Mapping[str, Any]

# SQS takes and gives no more in one call.
BATCH = 10
# A long poll asks every server of the queue; a short one often finds nothing although something is there.
_LONG_POLL_S = 2
# How long a message is hidden: for this, and for the time that the whole queue takes. Where that was too short, what
# shows up before the end is hidden once more, and for longer.
_HIDDEN_S = 120
_MESSAGES_PER_S = 100
_LONGEST_HIDDEN_S = 43_200
# SQS hides 120,000 messages of a queue at most, and then gives out none.
_MOST_HIDDEN = 115_000
# So many receives in a row that bring nothing to look at end a walk (and some more in a large queue): new messages may
# come all the time.
_ENOUGH = 100
_THREADS = 8


@dataclass(frozen=True)
class Walk:
    """What came of it. `is_whole` is False where the queue holds more than SQS hides at once."""

    looked_at: int
    is_whole: bool


def walk(
    sqs: "SQSClient",
    url: str,
    take: Callable[[Sequence[Message]], Collection[str]],
    stop: threading.Event | None = None,
) -> Walk:
    """Hand over each message that was in the queue at the start, up to ten at a time, each once.

    `take` returns the message ids of those that it has deleted. The others are shown again at the end, however it
    comes: also after an error, Ctrl-C, or `stop`. What came later stays, too.
    """
    begun_ms, hidden_s = _start(sqs, url)
    begun = time.monotonic()
    kept: dict[str, str] = {}  # the receipt handles of what is hidden, by message id
    gone: set[str] = set()
    looked_at = others = 0
    try:
        while len(kept) < _MOST_HIDDEN and not (stop and stop.is_set()):
            messages = _receive(sqs, url, hidden_s)
            if not messages or others > _ENOUGH + looked_at // BATCH:
                return Walk(looked_at, is_whole=True)
            names = {each["MessageId"] for each in messages}
            if len(names & kept.keys()) * 2 > len(names):
                hidden_s = min(_LONGEST_HIDDEN_S, max(hidden_s, int(2 * (time.monotonic() - begun))))
            fresh = [each for each in messages if each["MessageId"] not in kept and sent_ms(each) <= begun_ms]
            # Now and then SQS gives out once more what was deleted.
            again = [each for each in fresh if each["MessageId"] in gone]
            fresh = [each for each in fresh if each["MessageId"] not in gone]
            kept |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
            gone |= delete(sqs, url, again) | (set(take(fresh)) if fresh else set())
            for name in names & gone:
                del kept[name]
            looked_at += len(fresh)
            others = 0 if fresh else others + 1
        return Walk(looked_at, is_whole=False)
    finally:
        _show_again(sqs, url, list(kept.values()))


def delete(sqs: "SQSClient", url: str, messages: Iterable[Message]) -> set[str]:
    """Delete received messages; returns the message ids of those that are gone."""
    gone: set[str] = set()
    for some in batched(messages, BATCH, strict=False):
        entries: Any = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(some)]
        answer = sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        gone |= {some[int(each["Id"])]["MessageId"] for each in answer.get("Successful", ())}
    return gone


def sent_ms(message: Message) -> int:
    """When a message was sent, in milliseconds of the epoch. What SQS itself moved keeps the time of its queue."""
    return int(message["Attributes"]["SentTimestamp"])


def _receive(sqs: "SQSClient", url: str, hidden_s: int) -> Sequence[Message]:
    answer = sqs.receive_message(
        QueueUrl=url,
        MaxNumberOfMessages=BATCH,
        VisibilityTimeout=hidden_s,
        WaitTimeSeconds=_LONG_POLL_S,
        MessageAttributeNames=["All"],
        AttributeNames=["SentTimestamp"],
    )
    # It may give the same one twice in an answer.
    return list({each["MessageId"]: each for each in answer.get("Messages", ())}.values())


def _start(sqs: "SQSClient", url: str) -> tuple[int, int]:
    """The time by the queue's clock, which dates the messages, and how long to hide them.

    By this machine's clock, messages could be taken for new.
    """
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    number = int(answer.get("Attributes", {}).get("ApproximateNumberOfMessages", 0))
    hidden_s = min(_LONGEST_HIDDEN_S, _HIDDEN_S + number // _MESSAGES_PER_S)
    here = time.time()
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    # Whole seconds only. Where this machine's clock is within that second, it knows the rest of it.
    there = parsedate_to_datetime(date).timestamp() if date else here
    return int((here if there <= here < there + 1 else there + 1) * 1000), hidden_s


def _show_again(sqs: "SQSClient", url: str, handles: Sequence[str]) -> None:
    def show(some: tuple[str, ...]) -> None:
        entries: Any = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0} for number, handle in enumerate(some)
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    some = ThreadPoolExecutor(_THREADS)
    try:
        list(some.map(show, batched(handles, BATCH, strict=False)))
    finally:
        # A second Ctrl-C ends this as well; the rest shows up later.
        some.shutdown(cancel_futures=True)
