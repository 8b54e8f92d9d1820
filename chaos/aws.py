"""The AWS services around the code under test, in memory, each behind the boundary."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.parameters.base import BaseProvider
from botocore.exceptions import ClientError, ReadTimeoutError

from chaos.boundary import Boundary, Clock, InjectedBugError
from chaos.dynamodb import MemoryDynamoDB, TransactionCanceledException
from honnin.sqs_send import SendError

_HIDDEN_S = 720
_MOST_RECEIVES = 200


def aws_failure(operation: str, kind: str) -> Exception:
    """What botocore raises for a kind of fault."""
    if kind == "lost":
        return ReadTimeoutError(endpoint_url="https://aws.example.com/")
    code, status = ("ThrottlingException", 400) if kind in ("throttled", "conflict") else ("InternalServerError", 500)
    answer: Any = {"Error": {"Code": code, "Message": kind}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def _raising(operation: str) -> Callable[[str], Any]:
    def fail(kind: str) -> Any:
        raise aws_failure(operation, kind)

    return fail


class GuardedDynamoDB:
    """The table's client as `honnin.store` uses it, behind the boundary."""

    def __init__(self, client: MemoryDynamoDB, boundary: Boundary) -> None:
        self._client = client
        self._boundary = boundary
        self.exceptions = client.exceptions

    def get_item(self, **request: Any) -> Any:
        """Read one item."""
        return self._call("GetItem", lambda: self._client.get_item(**request))

    def query(self, **request: Any) -> Any:
        """Read one partition."""
        return self._call("Query", lambda: self._client.query(**request))

    def update_item(self, **request: Any) -> Any:
        """Change one item."""
        return self._call("UpdateItem", lambda: self._client.update_item(**request))

    def transact_write_items(self, **request: Any) -> Any:
        """Write all or nothing; the SDK's own repetition carries a token, by which it takes effect once."""
        done: list[Any] = []

        def once() -> Any:
            if not done:
                done.append(self._client.transact_write_items(**request))
            return done[0]

        def fail(kind: str) -> Any:
            if kind == "conflict":
                reasons = [{"Code": "TransactionConflict"} for _ in request["TransactItems"]]
                answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
                raise TransactionCanceledException(answer, "TransactWriteItems")
            raise aws_failure("TransactWriteItems", kind)

        return self._boundary.call("transaction", once, fail)

    def get_paginator(self, operation: str) -> "_Pages":
        """Pages of `query`; here there is one, for no partition of a schedule fills a page."""
        if operation != "query":
            raise NotImplementedError(operation)
        return _Pages(self)

    def _call(self, operation: str, effect: Callable[[], Any]) -> Any:
        return self._boundary.call("dynamodb", effect, _raising(operation))


class _Pages:
    def __init__(self, client: GuardedDynamoDB) -> None:
        self._client = client

    def paginate(self, **request: Any) -> Any:
        """Yield the only page."""
        yield self._client.query(**request)


class Bucket:
    """The personal-data bucket, as `honnin.vault` uses it."""

    def __init__(self, boundary: Boundary) -> None:
        self.objects: dict[str, bytes] = {}
        self._boundary = boundary

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, ContentType: str) -> Any:  # noqa: ARG002, N803
        """Keep the object."""
        return self._boundary.call("s3", lambda: self.objects.update({Key: Body}), _raising("PutObject"))


class Bus:
    """The event bus. `changes` holds what was published; `early` what was before its effect was in the table."""

    def __init__(self, boundary: Boundary, is_applied: Callable[[str], bool]) -> None:
        self.changes: list[dict[str, Any]] = []
        self.early: list[str] = []
        self._boundary = boundary
        self._is_applied = is_applied

    def put_events(self, *, Entries: list[Mapping[str, Any]]) -> Any:  # noqa: N803
        """Take every entry."""

        def publish() -> Any:
            for entry in Entries:
                change = json.loads(entry["Detail"])
                self.changes.append(change)
                if not self._is_applied(change["eventId"]):
                    self.early.append(change["eventId"])
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}

        def fail(kind: str) -> Any:
            if kind == "refused":
                return {"FailedEntryCount": len(Entries), "Entries": [{"ErrorCode": "InternalFailure"}]}
            raise aws_failure("PutEvents", kind)

        return self._boundary.call("events", publish, fail)


class Secrets(BaseProvider):
    """Secrets Manager behind Powertools Parameters, whose cache stays the real one."""

    def __init__(self, value: Callable[[], str], boundary: Boundary) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        self._value = value
        self._boundary = boundary

    def _get(self, name: str, **sdk_options: Any) -> str:  # noqa: ARG002
        value: str = self._boundary.call("secrets", self._value, _raising("GetSecretValue"))
        return value

    def _get_multiple(self, path: str, **sdk_options: Any) -> dict[str, str]:
        raise NotImplementedError


@dataclass
class Message:
    """One message: how often it was received, and when it is due (again)."""

    id: str
    body: str
    due: datetime
    receives: int = 0


class Queue:
    """A standard queue with its dead letters: at least once, in any order."""

    def __init__(self, boundary: Boundary, clock: Clock) -> None:
        self.waiting: list[Message] = []
        self.dead: list[Message] = []
        self.sent: list[str] = []
        self.parked: list[str] = []
        self._boundary = boundary
        self._clock = clock

    def accept(self, body: str) -> str:
        """The ack path's `send`. Raises `SendError` for a fault."""

        def fail(_: str) -> str:
            raise SendError("chaos")

        return self._boundary.call("sqs", lambda: self._add(body), fail)

    def echo(self, index: int) -> None:
        """Hand out once more what has been sent before."""
        if self.sent:
            self.waiting.append(Message(f"m{len(self.sent)}e{len(self.waiting)}", self._nth(index), self._clock.peek()))

    def receive(self, size: int, order: str) -> list[Message]:
        """Up to `size` of the messages that are due; they are hidden for their visibility time-out."""
        now = self._clock.peek()
        due = [message for message in self.waiting if message.due <= now]
        if order == "reversed":
            due.reverse()
        elif order == "rotated":
            due = due[1:] + due[:1]
        taken = due[:size]
        for message in taken:
            message.receives += 1
            message.due = now + timedelta(seconds=_HIDDEN_S)
            if message.receives > _MOST_RECEIVES:
                self.waiting.remove(message)
                self.dead.append(message)
        return [message for message in taken if message.receives <= _MOST_RECEIVES]

    def delete(self, message_id: str) -> None:
        """What Lambda's poller does with a message that is done."""
        try:
            self._boundary.call("sqs", lambda: self._remove(message_id), _raising("DeleteMessage"))
        except (ClientError, ReadTimeoutError, InjectedBugError):
            return  # then it comes again

    def next_due(self) -> datetime | None:
        """When the next message is due."""
        return min((message.due for message in self.waiting), default=None)

    def redrive(self) -> None:
        """Put the dead letters back."""
        now = self._clock.peek()
        self.waiting += [Message(each.id, each.body, now) for each in self.dead]
        self.dead.clear()

    # --- the SQS client as `worker.Queue` uses it ---

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> Any:  # noqa: ARG002, N803
        """Set when a message is due again."""

        def change() -> None:
            for message in self.waiting:
                if message.id == ReceiptHandle:
                    message.due = self._clock.peek() + timedelta(seconds=VisibilityTimeout)

        return self._boundary.call("sqs", change, _raising("ChangeMessageVisibility"))

    def send_message(self, *, QueueUrl: str, MessageBody: str, MessageAttributes: Mapping[str, Any]) -> Any:  # noqa: ARG002, N803
        """Park a message in the dead-letter queue."""

        def park() -> None:
            self.parked.append(MessageAttributes["errorType"]["StringValue"])
            self.dead.append(Message(f"dead-{len(self.parked)}", MessageBody, self._clock.peek()))

        return self._boundary.call("sqs", park, _raising("SendMessage"))

    def _nth(self, index: int) -> str:
        return self.sent[index % len(self.sent)]

    def _add(self, body: str) -> str:
        self.sent.append(body)
        self.waiting.append(Message(f"m{len(self.sent)}", body, self._clock.peek()))
        return self.waiting[-1].id

    def _remove(self, message_id: str) -> None:
        self.waiting = [message for message in self.waiting if message.id != message_id]
