"""The one loop over a batch from a queue: which messages are done, come again, or are moved away.

Retrying happens here and nowhere else (docs/decisions.md#4): a retryable failure lengthens the message's
visibility time-out; what no retry can mend is moved to the dead-letter queue at the third failure *of that kind*.
SQS counts receives of any cause, so an outage before would leave such a message no second try.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws
from honnin.errors import (
    ConfigurationError,
    HonninError,
    MaintenanceError,
    MalformedEventError,
    ProviderConfigurationError,
    ProviderError,
    RepairsStoppedError,
)
from honnin.observability import count, logger, measure_s

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# One event may race for 5 s, ask a provider up to three times for 12 s each and fetch a selfie for 4 s: with less
# time than this left, the next message is not begun.
_MIN_LEFT_MS = 50_000

_FIRST_DELAY_S = 5
_FIRST_MAINTENANCE_DELAY_S = 300
_LONGEST_DELAY_S = 900
_PARK_AT_FAILURE = 3

# Counts one more failure of a message by its kind (the error's type), and says how many there were.
type CountFailure = Callable[[str, str], int]

# A person must act, and the events wait for that.
_CONFIGURATION_FAULTS = (ConfigurationError, ProviderConfigurationError)


class NotEnoughTimeError(HonninError):
    """The batch is near the Lambda time-out; this message was not begun, or not ended."""

    retryable = True


def queue_of(batch: Mapping[str, Any], urls: Sequence[str]) -> str:
    """Which of the queues the batch came from: SQS names it by its ARN, and is spoken to by its URL.

    Raises
    ------
    MalformedEventError
        It came from none of them.
    """
    arns = {record["eventSourceARN"] for record in batch["Records"]}
    for url in urls:
        if {arn.rpartition(":")[2] for arn in arns} == {url.rpartition("/")[2]}:
            return url
    raise MalformedEventError("the batch came from a queue that is none of ours")


class Queue:
    """A queue as its worker needs it, and the dead-letter queue beside it."""

    def __init__(self, url: str, dead_letter_url: str, client: "SQSClient | None" = None) -> None:
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._given = client

    @property
    def _sqs(self) -> "SQSClient":
        return self._given or aws.sqs()

    def delay(self, record: SQSRecord, seconds: int) -> None:
        """Let the message come again after `seconds` (0: at once)."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=record.receipt_handle, VisibilityTimeout=seconds
        )

    def park(self, record: SQSRecord, error: Exception) -> None:
        """Put the message into the dead-letter queue, with the error's type as the attribute `errorType`."""
        self._sqs.send_message(
            QueueUrl=self._dead_letter_url,
            MessageBody=record.body,
            MessageAttributes={"errorType": {"DataType": "String", "StringValue": type(error).__name__}},
        )


def run[M](
    batch: Mapping[str, Any],
    context: LambdaContext,
    *,
    parse: Callable[[str], M],
    process: Callable[[M], None],
    queue: Queue,
    count_failure: CountFailure | None = None,
) -> PartialItemFailureResponse:
    """Process a batch; the answer names the messages that SQS must keep.

    `parse` reads a body for `process`, for example `Event.from_json`; its `ValueError` means that no retry can mend
    the message. `process` may raise `NotEnoughTimeError` for the rest to come again at once.

    `count_failure` is asked only about what no retry can mend: `Events.count_failure`, since a message seldom comes
    back to the same environment. Without it every receive counts, whatever its cause.
    """
    return process_partial_response(
        event=dict(batch),
        record_handler=partial(
            _one,
            context=context,
            process=lambda body: process(_parsed(body, parse)),
            queue=queue,
            count_failure=count_failure,
        ),
        processor=BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False),
    )


def backoff_s(
    receives: int, *, first_s: int = _FIRST_DELAY_S, draw: Callable[[float, float], float] = random.uniform
) -> int:
    """Seconds until the next try after `receives` receives: doubling from `first_s`, jittered, at most 15 min."""
    ceiling = min(_LONGEST_DELAY_S, first_s * 2 ** min(receives - 1, 10))
    return round(draw(ceiling / 2, ceiling))


def _one(
    record: SQSRecord,
    *,
    context: LambdaContext,
    process: Callable[[str], None],
    queue: Queue,
    count_failure: CountFailure | None,
) -> None:
    try:
        if context.get_remaining_time_in_millis() < _MIN_LEFT_MS:
            raise NotEnoughTimeError
        process(record.body)
    except NotEnoughTimeError:
        queue.delay(record, 0)
        raise
    except RepairsStoppedError:
        # It waits for a person. As seldom as can be: each time uses up one of its receives.
        queue.delay(record, _LONGEST_DELAY_S)
        raise
    except Exception as error:
        receives = int(record.attributes.approximate_receive_count)
        parked = not _may_be_mended(error) and _is_third(record, error, count_failure)
        _report(record, error, receives, parked=parked)
        if parked:
            queue.park(record, error)
            return
        maintenance = isinstance(error, MaintenanceError)
        first_s = _FIRST_MAINTENANCE_DELAY_S if maintenance else _FIRST_DELAY_S
        queue.delay(record, backoff_s(receives, first_s=first_s))
        raise


def _is_third(record: SQSRecord, error: Exception, count_failure: CountFailure | None) -> bool:
    if count_failure is None:
        return int(record.attributes.approximate_receive_count) >= _PARK_AT_FAILURE
    try:
        return count_failure(record.message_id, type(error).__name__) >= _PARK_AT_FAILURE
    except (BotoCoreError, ClientError):
        # Not counted: the message comes again, and is counted then.
        return False


def _parsed[M](body: str, parse: Callable[[str], M]) -> M:
    try:
        return parse(body)
    except ValueError as error:
        raise MalformedEventError(str(error)) from None


def _may_be_mended(error: Exception) -> bool:
    """Whether time or a person can mend it: providers, races, our configuration, AWS itself."""
    if isinstance(error, HonninError):
        return error.retryable or isinstance(error, _CONFIGURATION_FAULTS)
    return isinstance(error, BotoCoreError | ClientError)


def _report(record: SQSRecord, error: Exception, receives: int, *, parked: bool) -> None:
    kind = type(error).__name__
    # The traceback of an unexpected error is needed; its message could hold anything and is left out.
    frames = [] if isinstance(error, HonninError) else _frames(error)
    unexpected = not isinstance(error, HonninError | BotoCoreError | ClientError)
    logger().error(
        "event moved to the dead-letter queue" if parked else "event comes again",
        message_id=record.message_id,
        aws_error=error.response["Error"].get("Code", "") if isinstance(error, ClientError) else "",
        reason=str(error) if isinstance(error, HonninError) else "",
        **(error.logged() if isinstance(error, ProviderError) else {"error": kind}),
        receives=receives,
        unexpected=unexpected,
        frames=frames,
    )
    count("EventParked" if parked else "EventFailed", error=kind)
    # SQS leaves a message out of ApproximateAgeOfOldestMessage from its third receive on: just those that fail.
    sent_s = int(record.attributes.sent_timestamp) / 1000
    measure_s("EventAge", time.time() - sent_s, queue=record.event_source_arn.rpartition(":")[2])
    if unexpected:
        count("UnexpectedError")
    if isinstance(error, _CONFIGURATION_FAULTS) or aws.is_denied(error):
        count("ConfigurationFault")


def _frames(error: Exception) -> list[str]:
    frames = []
    trace = error.__traceback__
    while trace:
        frames.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames
