"""A queue of SQS as honninctl reads it: in any order, with copies, hidden messages that show up again, and a limit.

One call takes `call_s`; no real time passes.
"""

import heapq
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# When it all happens, in milliseconds of the epoch.
NOW_MS = 1_790_000_000_000


@dataclass
class Message:
    """One message; `receives` counts how often it was given out, and `handle` is that of the last time."""

    id: str
    body: str
    attributes: Mapping[str, Any]
    sent_ms: int
    receives: int = 0
    handle: str = ""
    due_ms: int = 0


@dataclass
class BigQueue:
    """The messages, by id; `visible` are the ids of those that a receive may give out."""

    messages: dict[str, Message] = field(default_factory=dict)
    visible: list[str] = field(default_factory=list)
    hidden: list[tuple[int, str]] = field(default_factory=list)

    def add(self, body: str, error_type: str | None, sent_ms: int) -> Message:
        """Put one in."""
        attributes = {"errorType": {"DataType": "String", "StringValue": error_type}} if error_type else {}
        message = Message(f"m-{len(self.messages)}-{id(self)}", body, attributes, sent_ms)
        self.messages[message.id] = message
        self.visible.append(message.id)
        return message

    @property
    def bodies(self) -> list[str]:
        """All bodies, in order."""
        return sorted(each.body for each in self.messages.values())


class BigQueues:
    """The client of such queues by URL. `dies_at` (a call's name and its number) raises before the call's effect."""

    def __init__(self, *, call_s: float = 0.02, most_hidden: int = 120_000, seed: int = 3) -> None:
        self.queues: dict[str, BigQueue] = {}
        self.calls: dict[str, int] = {}
        self.dies_at: tuple[str, int] | None = None
        self.copies = 0.0  # how often a receive gives out a hidden message, or a deleted one, too
        self.refused: Callable[[str], bool] = lambda _body: False
        self.after_send: Callable[[], None] = lambda: None
        self._deleted: dict[str, list[Message]] = {}
        self._call_ms = int(call_s * 1000)
        self._most_hidden = most_hidden
        self._random = random.Random(seed)
        self.now_ms = NOW_MS

    def queue(self, url: str) -> BigQueue:
        """The queue of that URL, made where there is none."""
        return self.queues.setdefault(url, BigQueue())

    def shown(self, url: str) -> int:
        """How many another reader could receive now."""
        return sum(each.due_ms <= self.now_ms for each in self.queue(url).messages.values())

    @property
    def client(self) -> "SQSClient":
        """Itself, under the type that honninctl takes."""
        return cast("SQSClient", self)

    def add(self, url: str, body: str, error_type: str | None = None, *, age_s: float = 60) -> Message:
        """Put a message in that was sent some time ago."""
        return self.queue(url).add(body, error_type, self.now_ms - int(age_s * 1000))

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: Sequence[str]) -> dict[str, Any]:  # noqa: N803
        """How many there are, and by the queue's clock when."""
        queue = self._call("get_queue_attributes", QueueUrl)
        shown = self.shown(QueueUrl)
        counts = {
            "ApproximateNumberOfMessages": shown,
            "ApproximateNumberOfMessagesNotVisible": len(queue.messages) - shown,
        }
        told = {name: str(number) for name, number in counts.items() if name in AttributeNames}
        date = formatdate(self.now_ms / 1000, usegmt=True)
        return {"Attributes": told, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def receive_message(self, *, QueueUrl: str, VisibilityTimeout: int, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Give out up to ten in any order, and hide them."""
        queue = self._call("receive_message", QueueUrl)
        while queue.hidden and queue.hidden[0][0] <= self.now_ms:
            due, name = heapq.heappop(queue.hidden)
            if name in queue.messages and queue.messages[name].due_ms == due:
                queue.visible.append(name)
        found: list[Message] = []
        free = self._most_hidden - (len(queue.messages) - len(queue.visible))
        while queue.visible and len(found) < min(10, free):
            place = self._random.randrange(len(queue.visible))
            queue.visible[place], queue.visible[-1] = queue.visible[-1], queue.visible[place]
            name = queue.visible.pop()
            if name in queue.messages:
                found.append(queue.messages[name])
        if found and self._random.random() < self.copies:
            hidden = [queue.messages[name] for _, name in queue.hidden[:5] if name in queue.messages]
            others = [*hidden, *self._deleted.get(QueueUrl, [])[-2:]]
            found += [each for each in others if each not in found][: 10 - len(found)]
        for each in found:
            each.receives += 1
            each.handle = f"{each.id}#{each.receives}"
            each.due_ms = self.now_ms + VisibilityTimeout * 1000
            heapq.heappush(queue.hidden, (each.due_ms, each.id))
        return {"Messages": [_told(each) for each in found]} if found else {}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> dict[str, Any]:  # noqa: N803
        """Show messages again; what is gone is said to have failed."""
        queue = self._call("change_message_visibility_batch", QueueUrl)
        assert len(Entries) <= 10
        failed = []
        for each in Entries:
            message = queue.messages.get(each["ReceiptHandle"].rpartition("#")[0])
            if message is None:
                failed.append({"Id": each["Id"], "Code": "InvalidParameterValue", "SenderFault": True})
            elif message.due_ms > self.now_ms:
                assert each["VisibilityTimeout"] == 0
                message.due_ms = 0
                queue.visible.append(message.id)
        return {"Failed": failed} if failed else {}

    def send_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> dict[str, Any]:  # noqa: N803
        """Take up to ten, but for those that are refused."""
        queue = self._call("send_message_batch", QueueUrl)
        assert len(Entries) <= 10
        assert sum(len(each["MessageBody"].encode()) for each in Entries) <= 262_144
        done = [each for each in Entries if not self.refused(each["MessageBody"])]
        for each in done:
            queue.add(each["MessageBody"], None, self.now_ms)
        self.after_send()
        return {"Successful": [{"Id": each["Id"]} for each in done]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: Sequence[Any]) -> dict[str, Any]:  # noqa: N803
        """Delete up to ten."""
        queue = self._call("delete_message_batch", QueueUrl)
        assert len(Entries) <= 10
        for each in Entries:
            message = queue.messages.pop(each["ReceiptHandle"].rpartition("#")[0], None)
            self._deleted.setdefault(QueueUrl, []).extend([message] if message else [])
        return {"Successful": [{"Id": each["Id"]} for each in Entries]}

    def _call(self, name: str, url: str) -> BigQueue:
        self.now_ms += self._call_ms
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.dies_at == (name, self.calls[name]):
            raise KeyboardInterrupt
        return self.queue(url)


def _told(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"MessageId": message.id, "ReceiptHandle": message.handle, "Body": message.body}
    told["Attributes"] = {"SentTimestamp": str(message.sent_ms)}
    return told | ({"MessageAttributes": message.attributes} if message.attributes else {})
