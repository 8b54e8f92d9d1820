"""The queue of the messages that wait. While the circuit is open its mapping is disabled, and the probe takes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from honnin.http_client import Deadline
from honnin.worker import Queue

# Longer than a probe takes with what it has received.
_HIDDEN_S = 60
# A long poll asks every server of the queue; a short one often finds nothing although something is there. It must end
# before the client's own time-out.
_LONG_POLL_S = 2
_BATCH = 10
# In so many seconds some thousand messages are moved.
_RESCUE_S = 30.0


@dataclass(frozen=True)
class Waiting:
    """A message that was taken from the queue and is hidden there for a minute."""

    body: str = field(repr=False)
    receipt_handle: str = field(repr=False)
    sent_at: datetime


class WaitingQueue(Queue):
    """The queue, with its dead-letter queue. Errors are botocore's."""

    def take(self) -> Waiting | None:
        """One message that is visible now; None if there is none."""
        return next(iter(self._receive(1)), None)

    def delete(self, taken: Waiting) -> None:
        """Delete a message: it is done."""
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=taken.receipt_handle)

    def move(self, taken: Waiting, error: Exception) -> None:
        """Move a message to the dead-letter queue."""
        self.move_to_dead_letters(taken, error)
        self.delete(taken)

    def rescue(self, older_than: datetime, error: Exception) -> None:
        """Move messages that were sent before a moment to the dead-letter queue, as many as can be in half a minute.

        SQS hands out the oldest ones first, more or less. So it ends at the first batch without such a message.
        """
        deadline = Deadline(_RESCUE_S)
        moved = True
        while moved and deadline.remaining_s > 0:
            moved = False
            for each in self._receive(_BATCH):
                if each.sent_at < older_than:
                    self.move(each, error)
                    moved = True
                else:
                    self.delay(each, 0)

    def _receive(self, most: int) -> Sequence[Waiting]:
        answer = self.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=_HIDDEN_S,
            WaitTimeSeconds=_LONG_POLL_S,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return [
            Waiting(
                each["Body"],
                each["ReceiptHandle"],
                datetime.fromtimestamp(int(each["Attributes"]["SentTimestamp"]) / 1000, UTC),
            )
            for each in answer.get("Messages", [])
        ]
