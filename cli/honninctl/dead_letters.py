"""The dead letters: what is parked, and putting it back. Bodies carry ids only; PayPay's are masked all the same."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# What the queue itself moved there has no error's type (operations.redrive says the same).
RECEIVED_TOO_OFTEN = "(received too often)"

_BATCH = 10
# While the list is read, each message is hidden from the next receive; then all are shown again. What a killed run
# had hidden shows up again by itself.
_HIDDEN_S = 120
# A long poll asks every server of the queue; a short one often finds nothing although something is there.
_LONG_POLL_S = 2


def letters(
    deployment: Deployment, *, reveal: bool = False, seen: Callable[[int], None] = lambda _: None
) -> list[dict[str, Any]]:
    """All parked messages, the oldest first; they stay parked. `seen` is called with each number read.

    Each is `{"messageId", "sentAt", "errorType", "bodyBytes", "event"}`; `event` is the envelope, or null for a body
    that is not one of ours (its text only with `reveal`, as `body`).
    """
    found = []
    for message in _messages(deployment, seen):
        found.append(_letter(message, reveal=reveal))
    return sorted(found, key=lambda each: str(each["sentAt"]))


def letter(deployment: Deployment, name: str, *, reveal: bool) -> dict[str, Any]:
    """The parked message of that message id or event id. Raises `NotFoundError` when none is parked under it."""
    for message in _messages(deployment, lambda _: None):
        event = _event(message["Body"]) or {}
        if name in (message["MessageId"], event.get("event_id")):
            return _letter(message, reveal=reveal)
    raise NotFoundError(f"no dead letter has the message id or event id {name}")


def count(deployment: Deployment) -> int:
    """About how many messages are parked (SQS counts roughly)."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    url = deployment.output("DeadLetterQueueUrl")
    answer = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(answer["Attributes"][each]) for each in names)


def redrive(deployment: Deployment, moved: Callable[[int], None] = lambda _: None) -> Counter[str]:
    """Put every dead letter back on the events queue; how many there were of each `errorType`.

    `moved` is called with each number put back.
    """
    from operations import redrive as mover

    urls = (deployment.output("DeadLetterQueueUrl"), deployment.output("EventQueueUrl"))
    return mover.redrive(deployment.client("sqs"), *urls, cast("Progress", _Progress(moved)))


class _Progress:
    """As much of rich's Progress as the mover uses."""

    def __init__(self, moved: Callable[[int], None]) -> None:
        self._moved = moved

    def add_task(self, description: str, total: float | None = None) -> "TaskID":  # noqa: ARG002 -- rich's signature
        return cast("TaskID", 0)

    def advance(self, task: "TaskID", number: float = 1) -> None:  # noqa: ARG002 -- rich's signature
        self._moved(int(number))


def _messages(deployment: Deployment, seen: Callable[[int], None]) -> Iterator[dict[str, Any]]:
    sqs, url = deployment.client("sqs"), deployment.output("DeadLetterQueueUrl")
    hidden: dict[str, str] = {}
    try:
        while True:
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_HIDDEN_S,
                WaitTimeSeconds=_LONG_POLL_S,
                MessageAttributeNames=["All"],
                AttributeNames=["SentTimestamp"],
            )
            fresh = [each for each in answer.get("Messages", []) if each["MessageId"] not in hidden]
            hidden |= {each["MessageId"]: each["ReceiptHandle"] for each in answer.get("Messages", [])}
            if not fresh:
                return
            seen(len(fresh))
            yield from fresh
    finally:
        _show_again(sqs, url, list(hidden.values()))


def _show_again(sqs: Any, url: str, handles: list[str]) -> None:
    for start in range(0, len(handles), _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + _BATCH])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _letter(message: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    error_type = message.get("MessageAttributes", {}).get("errorType", {}).get("StringValue")
    event = _event(message["Body"])
    found = {
        "messageId": message["MessageId"],
        "sentAt": sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "errorType": error_type or RECEIVED_TOO_OFTEN,
        "bodyBytes": len(message["Body"].encode()),
        "event": _shown(event, reveal=reveal) if event else None,
    }
    return found | ({"body": message["Body"]} if reveal and event is None else {})


def _event(body: str) -> dict[str, Any] | None:
    """The envelope (`honnin.webhook.Event`) as JSON, or None for what is not one."""
    from honnin.webhook import Event

    try:
        Event.from_json(body)
    except (ValueError, TypeError):
        return None
    event: dict[str, Any] = json.loads(body)
    return event


def _shown(event: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    detail = {name: masking.url(text) if "://" in text else text for name, text in event.get("detail", {}).items()}
    # At PayPay the subject is a userAuthorizationId, but for a recon notice: there it is the file's type.
    names_person = event["provider"] == "paypay" and event["kind"] != "recon_file"
    subject = masking.authorization(event["subject"], reveal=reveal) if names_person else event["subject"]
    name = masking.event_id(event["event_id"], reveal=reveal)
    return {**event, "event_id": name, "subject": subject, "detail": detail}
