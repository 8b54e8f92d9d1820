"""The one loop over a batch from a queue: it decides which messages are done, are retried, or are moved away.

A batch is divided into groups. The groups run at the same time, each in a thread of its own. A thread makes the calls
and reports how each message has ended. The main thread counts, decides what happens to each message and builds the
batch's answer. The loop returns only after all threads have ended, so nothing of a batch is still running when Lambda
freezes the environment.

Messages are retried here and nowhere else (docs/decisions.md#4). A retryable failure lengthens the message's
visibility time-out. A message with an error that no retry can fix is moved to the dead-letter queue at its third
failure *of that kind*. SQS's own receive count cannot be used for this: it counts receives for any cause, so after an
outage such a message would be moved away without a second try. An error may have waits of its own, and an end of them
(`HonninError.schedule_s`).
"""

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from itertools import count as numbers
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws, http_client
from honnin.errors import (
    ConfigurationError,
    HonninError,
    MaintenanceError,
    MalformedEventError,
    ProviderConfigurationError,
    ProviderError,
)
from honnin.observability import Counted, count, count_for_alarm, frames, is_unexpected, keeping, logger, write

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# One event may take 5 s for lost races, three provider calls of 12 s each, and 4 s for a selfie. When less time than
# this is left, the next message is not started.
_MIN_LEFT_MS = 50_000

# How many groups may run at the same time: as many as the largest batch has messages (template.yaml, BatchSize).
_THREADS = aws.CONNECTIONS

_FIRST_DELAY_S = 5
_FIRST_MAINTENANCE_DELAY_S = 300
_LONGEST_DELAY_S = 900
_MOVED_AT_FAILURE = 3

# Counts one more failure of a message, by the error's type, and returns how many failures of that type there were.
type CountFailure = Callable[[str, str], int]

# A person must act on these errors; until then the events wait.
_CONFIGURATION_FAULTS = (ConfigurationError, ProviderConfigurationError)


class NotEnoughTimeError(HonninError):
    """The batch is near the Lambda time-out; this message was not started or not finished."""

    retryable = True


def queue_of(batch: Mapping[str, Any], urls: Sequence[str]) -> str:
    """Find the queue that the batch came from. SQS names a queue by its ARN in a batch; calls to it need its URL.

    Raises
    ------
    MalformedEventError
        It came from none of them.
    """
    arns = {record["eventSourceARN"] for record in batch["Records"]}
    for url in urls:
        if {arn.rpartition(":")[2] for arn in arns} == {url.rpartition("/")[2]}:
            return url
    raise MalformedEventError("the batch came from a queue that this function does not know")


class Received(Protocol):
    """A message that was received, and is hidden from others for now."""

    @property
    def body(self) -> str:
        """Its content."""

    @property
    def receipt_handle(self) -> str:
        """What SQS knows this receive by."""


class Queue:
    """A queue as its worker needs it, together with its dead-letter queue.

    An event that fails although it was sent more than `overdue_s` ago raises an alarm.
    """

    def __init__(
        self, url: str, dead_letter_url: str, client: "SQSClient | None" = None, *, overdue_s: float = math.inf
    ) -> None:
        self.overdue_s = overdue_s
        self.url = url
        self._dead_letter_url = dead_letter_url
        self._given = client

    @property
    def sqs(self) -> "SQSClient":
        """The client."""
        return self._given or aws.sqs()

    def delay(self, record: Received, seconds: int) -> None:
        """Make the message visible again after `seconds` (0: immediately)."""
        self.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=seconds
        )

    def move_to_dead_letters(self, record: Received, error: Exception) -> None:
        """Put the message into the dead-letter queue, with the error's type as the attribute `errorType`."""
        self.sqs.send_message(
            QueueUrl=self._dead_letter_url,
            MessageBody=record.body,
            MessageAttributes={"errorType": {"DataType": "String", "StringValue": type(error).__name__}},
        )


@dataclass(frozen=True)
class Group[M]:
    """Messages (by their index in the batch) that are processed in order, and the function that processes each."""

    members: Sequence[int]
    process: Callable[[M], None]


@dataclass
class Task:
    """A group that is running. `process` takes a message's index. `ended` holds each message's error (None: done)."""

    places: Sequence[int]
    process: Callable[[int], None]
    ended: dict[int, Exception | None] = field(default_factory=dict)
    counts: list[Counted] = field(default_factory=list)

    def run(self) -> None:
        """Process the group's messages; how each ended is kept.

        An exception that is no `Exception` ends the group early.
        """
        with keeping(self.counts):
            for place in self.places:
                try:
                    self.process(place)
                    self.ended[place] = None
                except Exception as error:
                    self.ended[place] = error


# Runs all tasks and yields each one when it has ended.
type Overlap = Callable[[Sequence[Task]], Iterable[Task]]


def overlapping(tasks: Sequence[Task]) -> Iterator[Task]:
    """Run the tasks in parallel, each thread with its own HTTP session. When the loop ends, all tasks have ended.

    An exception that is no `Exception`, such as `SystemExit`, is raised again after that. It ends the invocation, and
    SQS delivers the whole batch again.
    """
    sessions = numbers()
    with ThreadPoolExecutor(
        _THREADS, thread_name_prefix="group", initializer=lambda: http_client.use_session(next(sessions))
    ) as threads:
        running = {threads.submit(each.run): each for each in tasks}
        for ended in as_completed(running):
            yield running[ended]
        for ended in running:
            ended.result()


def one_after_another(tasks: Sequence[Task]) -> Iterator[Task]:
    """Run the tasks one by one in this thread, for a fault test harness that numbers each call."""
    for each in tasks:
        each.run()
        yield each


def run[M](
    batch: Mapping[str, Any],
    context: LambdaContext,
    *,
    parse: Callable[[str], M],
    queue: Queue,
    process: Callable[[M], None] | None = None,
    divide: Callable[[Sequence[M]], Sequence[Group[M]]] | None = None,
    count_failure: CountFailure | None = None,
    overlap: Overlap | None = None,
) -> PartialItemFailureResponse:
    """Process a batch; the answer names the messages that SQS must keep.

    `parse` reads a message body, for example `Event.from_json`. Its `ValueError` means that no retry can fix the
    message. `divide` makes groups of the messages that could be read. If it raises a transient error, all messages fail
    with it. If it raises another error, it is called for each message separately, so that one bad message does not fail
    the others. If only `process` is given, all messages are one group. Processing may raise `NotEnoughTimeError`: the
    remaining messages then come again immediately.

    `count_failure` is called for errors that no retry can fix, or that have a schedule of their own. It is
    `Events.count_failure`, which counts in the table, because a message seldom comes back to the same environment.
    Without it every receive counts, for any cause.
    """
    records = [SQSRecord(each) for each in batch["Records"]]
    messages: dict[int, M] = {}
    kept: set[int] = set()

    def end(place: int, error: Exception | None) -> None:
        if not _is_over(records[place], error, queue, count_failure):
            kept.add(place)

    for place, record in enumerate(records):
        try:
            messages[place] = parse(record.body)
        except ValueError as error:
            end(place, MalformedEventError(str(error)))
    tasks = _tasks(messages, context, process, divide)
    counts: list[Counted] = []
    try:
        for task in (overlap or overlapping)(tasks):
            counts += task.counts
            for place, failed in task.ended.items():
                end(place, failed)
    finally:
        write(counts)
    for place in messages.keys() - {place for task in tasks for place in task.places}:
        end(place, NotEnoughTimeError())  # no group has it
    return {"batchItemFailures": [{"itemIdentifier": records[place].message_id} for place in sorted(kept)]}


def _tasks[M](
    messages: Mapping[int, M],
    context: LambdaContext,
    process: Callable[[M], None] | None,
    divide: Callable[[Sequence[M]], Sequence[Group[M]]] | None,
) -> list[Task]:
    places, given = list(messages), list(messages.values())

    def task(group: Group[M]) -> Task:
        def one(place: int) -> None:
            if context.get_remaining_time_in_millis() < _MIN_LEFT_MS:
                raise NotEnoughTimeError
            group.process(messages[place])

        return Task([places[each] for each in group.members], one)

    try:
        groups = divide(given) if divide and given else [Group(range(len(given)), process)] if process else []
    except Exception as error:
        if len(places) == 1 or aws.is_transient(error):
            return [Task(places, partial(_raise, error))]
        alone = ({place: message} for place, message in messages.items())
        return [each for one in alone for each in _tasks(one, context, process, divide)]
    return [task(each) for each in groups]


def _raise(error: Exception, _place: int) -> None:
    raise error


def backoff_s(
    receives: int, *, first_s: int = _FIRST_DELAY_S, draw: Callable[[float, float], float] = random.uniform
) -> int:
    """Seconds until the next try after `receives` receives: starts at `first_s`, doubles, jittered, at most 15 min."""
    ceiling = min(_LONGEST_DELAY_S, first_s * 2 ** min(receives - 1, 10))
    return round(draw(ceiling / 2, ceiling))


def _is_over(record: SQSRecord, error: Exception | None, queue: Queue, count_failure: CountFailure | None) -> bool:
    """Whether SQS may delete the message, because it is done or moved.

    If not, this sets when it becomes visible again.
    """
    if error is None:
        return True
    try:
        if isinstance(error, NotEnoughTimeError):
            queue.delay(record, 0)
            return False
        if isinstance(error, HonninError) and error.wait_s is not None:
            queue.delay(record, error.wait_s)
            return False
        receives = int(record.attributes.approximate_receive_count)
        scheduled_s = _scheduled_s(record, error, count_failure)
        dead_lettered = scheduled_s is None and _is_final(record, error, count_failure)
        _report(record, error, receives, dead_lettered=dead_lettered, overdue_s=queue.overdue_s)
        if dead_lettered:
            queue.move_to_dead_letters(record, error)
            return True
        maintenance = isinstance(error, MaintenanceError)
        first_s = _FIRST_MAINTENANCE_DELAY_S if maintenance else _FIRST_DELAY_S
        queue.delay(record, backoff_s(receives, first_s=first_s) if scheduled_s is None else scheduled_s)
    except Exception as refused:
        # The message comes again anyway, when its visibility time-out is over.
        if is_unexpected(refused):
            count_for_alarm("UnexpectedError")
        logger().warning(
            "the message could not be delayed or moved; it is received again after its visibility time-out",
            message_id=record.message_id,
            error=type(refused).__name__,
        )
    return False


def _scheduled_s(record: SQSRecord, error: Exception, count_failure: CountFailure | None) -> int | None:
    """When a message with a schedule of its own comes again; None if it has none, or if this was its last try."""
    schedule_s = error.schedule_s if isinstance(error, HonninError) else ()
    if not schedule_s:
        return None
    try:
        tries = _failures(record, error, count_failure)
    except (BotoCoreError, ClientError):
        tries = 1  # not counted: this try does not bring the message nearer to its end
    return round(random.uniform(1, 1.2) * schedule_s[tries - 1]) if tries <= len(schedule_s) else None


def _is_final(record: SQSRecord, error: Exception, count_failure: CountFailure | None) -> bool:
    if isinstance(error, HonninError) and error.schedule_s:
        return True
    return not _may_succeed_later(error) and _is_third(record, error, count_failure)


def _failures(record: SQSRecord, error: Exception, count_failure: CountFailure | None) -> int:
    """How often the message has failed in this way. Raises as `count_failure`."""
    if count_failure is None:
        return int(record.attributes.approximate_receive_count)
    return count_failure(record.message_id, type(error).__name__)


def _is_third(record: SQSRecord, error: Exception, count_failure: CountFailure | None) -> bool:
    try:
        return _failures(record, error, count_failure) >= _MOVED_AT_FAILURE
    except (BotoCoreError, ClientError):
        # The failure could not be counted now: the message comes again and is counted then.
        return False


def _may_succeed_later(error: Exception) -> bool:
    """Whether time or a person can fix it: providers, lost races, our configuration, AWS itself."""
    if isinstance(error, HonninError):
        return error.retryable or isinstance(error, _CONFIGURATION_FAULTS)
    return isinstance(error, BotoCoreError | ClientError)


def _report(record: SQSRecord, error: Exception, receives: int, *, dead_lettered: bool, overdue_s: float) -> None:
    kind = type(error).__name__
    # The traceback of an unexpected error is needed. Its message is left out, because it could contain personal data.
    unexpected = is_unexpected(error)
    logger().error(
        "event moved to the dead-letter queue" if dead_lettered else "event comes again",
        message_id=record.message_id,
        aws_error=error.response["Error"].get("Code", "") if isinstance(error, ClientError) else "",
        reason=str(error) if isinstance(error, HonninError) else "",
        **(error.logged() if isinstance(error, ProviderError) else {"error": kind}),
        receives=receives,
        unexpected=unexpected,
        frames=[] if isinstance(error, HonninError) else frames(error),
    )
    count("EventParked" if dead_lettered else "EventFailed", error=kind)
    # From its third receive on, SQS no longer includes a message in ApproximateAgeOfOldestMessage. These are exactly
    # the messages that fail.
    if time.time() - int(record.attributes.sent_timestamp) / 1000 >= overdue_s:
        count_for_alarm("EventOverdue", queue=record.event_source_arn.rpartition(":")[2], error=kind)
    if unexpected:
        count_for_alarm("UnexpectedError")
    if isinstance(error, _CONFIGURATION_FAULTS) or aws.is_denied(error):
        count_for_alarm("ConfigurationFault")
