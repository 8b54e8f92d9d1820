"""SQS in memory: standard queues with their dead letters, at least once and in any order."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

_MOST_IN_A_BATCH = 10
_LONGEST_DELAY_S = 900
_LONGEST_HIDDEN_S = 43_200


@dataclass
class Message:
    """One message: how often it was received, and when it is due (again)."""

    id: str
    body: str
    due: datetime
    receives: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """The receipt handle of its last receive."""
        return f"{self.id}#{self.receives}"


class Queue:
    """One queue. `sent` are the bodies of all that was ever put in, `attributes` theirs."""

    def __init__(self, name: str, now: Callable[[], datetime], dead: "Queue | None" = None) -> None:
        self.name = name
        self.waiting: list[Message] = []
        self.sent: list[str] = []
        self.attributes: list[Mapping[str, Any]] = []
        self.hidden_s = 720
        self.most_receives = 200
        self._dead = dead
        self._now = now

    def add(self, body: str, delay_s: int = 0, attributes: Mapping[str, Any] | None = None) -> Message:
        """Put a message in."""
        self.sent.append(body)
        self.attributes.append(attributes or {})
        due = self._now() + timedelta(seconds=delay_s)
        self.waiting.append(Message(f"{self.name}-{len(self.sent)}", body, due, attributes=attributes or {}))
        return self.waiting[-1]

    def echo(self, index: int) -> None:
        """Hand out once more what has been sent before."""
        if self.sent:
            body = self.sent[index % len(self.sent)]
            self.waiting.append(Message(f"{self.name}-{len(self.sent)}e{len(self.waiting)}", body, self._now()))

    def receive(self, size: int, order: str = "as sent", hidden_s: int | None = None) -> list[Message]:
        """Up to `size` of the messages that are due, as they are now; they are hidden for their visibility time-out."""
        now = self._now()
        due = [message for message in self.waiting if message.due <= now]
        if order == "reversed":
            due.reverse()
        elif order == "rotated":
            due = due[1:] + due[:1]
        taken = due[:size]
        for message in taken:
            message.receives += 1
            message.due = now + timedelta(seconds=self.hidden_s if hidden_s is None else hidden_s)
            if message.receives > self.most_receives and self._dead is not None:
                self.waiting.remove(message)
                self._dead.waiting.append(Message(message.id, message.body, now, attributes=message.attributes))
        return [replace(message) for message in taken if message.receives <= self.most_receives]

    def delete(self, handle: str) -> None:
        """Take a message out, by the handle of its last receive; an older one deletes nothing."""
        self.waiting = [message for message in self.waiting if message.handle != handle]

    def next_due(self) -> datetime | None:
        """When the next message is due."""
        return min((message.due for message in self.waiting), default=None)

    def redrive(self) -> None:
        """Put the dead letters back."""
        if self._dead is not None:
            now = self._now()
            self.waiting += [Message(each.id, each.body, now) for each in self._dead.waiting]
            self._dead.waiting.clear()


class MemorySQS:
    """The client of some queues, each under its URL."""

    def __init__(self, now: Callable[[], datetime], queues: Mapping[str, Queue]) -> None:
        self._now = now
        self._queues = queues

    def send_message(self, *, QueueUrl: str, MessageBody: str, **options: Any) -> dict[str, Any]:  # noqa: N803
        """Put one message in."""
        queue = self._queue(QueueUrl, "SendMessage")
        return _put(queue, {"MessageBody": MessageBody, **options}, "SendMessage")

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Put up to ten messages in."""
        queue = self._queue(QueueUrl, "SendMessageBatch")
        _check_batch(Entries, "SendMessageBatch")
        return {
            "Successful": [{"Id": each["Id"], **_put(queue, each, "SendMessageBatch")} for each in Entries],
        }

    def receive_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803
        MaxNumberOfMessages: int = 1,  # noqa: N803
        VisibilityTimeout: int | None = None,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        """Take up to ten of the messages that are due."""
        queue = self._queue(QueueUrl, "ReceiveMessage")
        if not 1 <= MaxNumberOfMessages <= _MOST_IN_A_BATCH:
            raise _refused("InvalidParameterValue", "ReceiveMessage")
        found = queue.receive(MaxNumberOfMessages, hidden_s=VisibilityTimeout)
        return {"Messages": [_received(each) for each in found]} if found else {}

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> dict[str, Any]:  # noqa: N803
        """Set when a message is due again."""
        operation = "ChangeMessageVisibility"
        queue = self._queue(QueueUrl, operation)
        if not 0 <= VisibilityTimeout <= _LONGEST_HIDDEN_S:
            raise _refused("InvalidParameterValue", operation)
        message = _of_handle(queue, ReceiptHandle, operation)
        now = self._now()
        if message is not None and message.receives and message.due <= now:
            raise _refused("MessageNotInflight", operation)
        if message is not None:
            message.due = now + timedelta(seconds=VisibilityTimeout)
        return {}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> dict[str, Any]:  # noqa: N803
        """Take a message out; one that is gone already, or was received again since, is no error."""
        queue = self._queue(QueueUrl, "DeleteMessage")
        _of_handle(queue, ReceiptHandle, "DeleteMessage")
        queue.delete(ReceiptHandle)
        return {}

    def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Take up to ten messages out."""
        self._queue(QueueUrl, "DeleteMessageBatch")
        _check_batch(Entries, "DeleteMessageBatch")
        done, failed = [], []
        for each in Entries:
            try:
                self.delete_message(QueueUrl=QueueUrl, ReceiptHandle=each["ReceiptHandle"])
                done.append({"Id": each["Id"]})
            except ClientError as error:
                failed.append({"Id": each["Id"], "Code": error.response["Error"]["Code"], "SenderFault": True})
        return ({"Successful": done} if done else {}) | ({"Failed": failed} if failed else {})

    def _queue(self, url: str, operation: str) -> Queue:
        if url not in self._queues:
            raise _refused("AWS.SimpleQueueService.NonExistentQueue", operation)
        return self._queues[url]


def _put(queue: Queue, request: Mapping[str, Any], operation: str) -> dict[str, Any]:
    delay_s = request.get("DelaySeconds", 0)
    if not 0 <= delay_s <= _LONGEST_DELAY_S:
        raise _refused("InvalidParameterValue", operation)
    message = queue.add(request["MessageBody"], delay_s, request.get("MessageAttributes"))
    return {"MessageId": message.id, "MD5OfMessageBody": _md5(message.body)}


def _of_handle(queue: Queue, handle: str, operation: str) -> Message | None:
    """The message of a receipt handle, also of one that a later receive has replaced; None when it is gone."""
    name, number = handle.rpartition("#")[::2]
    if not name.startswith(f"{queue.name}-") or not number.isdecimal():
        raise _refused("ReceiptHandleIsInvalid", operation)
    return next((message for message in queue.waiting if message.id == name), None)


def _received(message: Message) -> dict[str, Any]:
    record = {"MessageId": message.id, "ReceiptHandle": message.handle, "Body": message.body}
    record["MD5OfBody"] = _md5(message.body)
    attributes = {"Attributes": {"ApproximateReceiveCount": str(message.receives)}}
    return {**record, **attributes, **({"MessageAttributes": message.attributes} if message.attributes else {})}


def _check_batch(entries: Sequence[Mapping[str, Any]], operation: str) -> None:
    if not entries:
        raise _refused("AWS.SimpleQueueService.EmptyBatchRequest", operation)
    if len(entries) > _MOST_IN_A_BATCH:
        raise _refused("AWS.SimpleQueueService.TooManyEntriesInBatchRequest", operation)
    if len({each["Id"] for each in entries}) != len(entries):
        raise _refused("AWS.SimpleQueueService.BatchEntryIdsNotDistinct", operation)


def _refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
