"""The three dead-letter queues: what is in each. Bodies carry ids only; PayPay's are masked all the same."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError

# What a queue itself moved there has no error's type.
RECEIVED_TOO_OFTEN = "(received too often)"
# Lambda says what failed in words only, which may hold anything.
RUN_FAILED = "(the run failed)"

_BATCH = 10
# While the list is read, each message is hidden from the next receive; then all are shown again. What a killed run
# had hidden shows up again by itself.
_HIDDEN_S = 120
# A long poll asks every server of the queue; a short one often finds nothing although something is there.
_LONG_POLL_S = 2


class Queue(StrEnum):
    """The dead-letter queues, as `--queue` names them."""

    EVENTS = "events"
    SCHEDULE = "schedule"
    RECON_DOWNLOAD = "recon-download"


# The outputs of template.yaml that say where each is.
OUTPUTS = {
    Queue.EVENTS: "DeadLetterQueueUrl",
    Queue.SCHEDULE: "ScheduleDeadLetterQueueUrl",
    Queue.RECON_DOWNLOAD: "ReconDownloadDeadLetterQueueUrl",
}

# Whose failed runs lie there, by logical id. A stack of an older version puts recon_download's with the schedule's.
RUNS: Mapping[Queue, tuple[str, ...]] = {
    Queue.SCHEDULE: (
        "VexoraStatusPollFunction",
        "ExpiryWatchFunction",
        "ReconDeadlineFunction",
        "ReconDownloadFunction",
    ),
    Queue.RECON_DOWNLOAD: ("ReconDownloadFunction",),
}


@dataclass(frozen=True)
class Places:
    """The URL of each queue, and those that the stack's outputs do not name: its version is older than this program."""

    urls: Mapping[Queue, str]
    unknown: tuple[Queue, ...] = ()


def find(deployment: Deployment, only: Queue | None = None) -> Places:
    """Where the queues are, or one of them.

    Raises `NotFoundError` when the one that was asked for, or the events' own, is not among the stack's outputs.
    """
    if only:
        return Places({only: deployment.output(OUTPUTS[only])})
    deployment.output(OUTPUTS[Queue.EVENTS])
    urls = {each: deployment.outputs[name] for each, name in OUTPUTS.items() if name in deployment.outputs}
    return Places(urls, tuple(each for each in Queue if each not in urls))


def letters(
    deployment: Deployment, places: Places, *, reveal: bool = False, seen: Callable[[int], None] = lambda _: None
) -> list[dict[str, Any]]:
    """All messages there, the oldest first; they stay there. `seen` is called with each number read.

    Each is `{"queue", "messageId", "sentAt", "errorType", "bodyBytes", "event", "function"}`. `event` is the envelope,
    `function` whose run failed; null for what it is not. With `reveal` also `body`, for what is none of ours, and
    `error`, for what Lambda or the Scheduler said of a run.
    """
    found = [_letter(queue, message, reveal=reveal) for queue, message in _messages(deployment, places, seen)]
    return sorted(found, key=lambda each: str(each["sentAt"]))


def letter(deployment: Deployment, places: Places, name: str, *, reveal: bool) -> dict[str, Any]:
    """The message of that message id or event id. Raises `NotFoundError` when there is none."""
    for queue, message in _messages(deployment, places, lambda _: None):
        event = _event(message["Body"]) or {}
        if name in (message["MessageId"], event.get("event_id")):
            return _letter(queue, message, reveal=reveal)
    raise NotFoundError(f"no dead letter has the message id or event id {name}")


def counts(deployment: Deployment, places: Places) -> dict[Queue, int]:
    """About how many messages are in each queue (SQS counts roughly)."""
    return {queue: waiting(deployment, url) for queue, url in places.urls.items()}


def count(deployment: Deployment) -> int:
    """About how many messages are in all queues."""
    return sum(counts(deployment, find(deployment)).values())


def waiting(deployment: Deployment, url: str) -> int:
    """About how many messages a queue holds: those that wait, are worked on, or are to come later."""
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    answer = deployment.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
    return sum(int(answer["Attributes"].get(each, 0)) for each in names)


def error_type(message: Mapping[str, Any]) -> str:
    """Why a message is there: what Honnin's processor, the Scheduler or Lambda wrote beside it, or did not."""
    attributes = message.get("MessageAttributes", {})
    for name in ("errorType", "ERROR_CODE"):
        if name in attributes:
            return str(attributes[name]["StringValue"])
    return RUN_FAILED if "ErrorMessage" in attributes else RECEIVED_TOO_OFTEN


def about(letter: Mapping[str, Any]) -> str | None:
    """What a letter is about, in one text: an event's id, or a function."""
    event = letter["event"] or {}
    found = event.get("event_id") or letter["function"]
    return str(found) if found else None


def _messages(
    deployment: Deployment, places: Places, seen: Callable[[int], None]
) -> Iterable[tuple[Queue, dict[str, Any]]]:
    """What lies in all queues: read side by side, for each takes as long as its last poll."""
    sqs, stop = deployment.client("sqs"), threading.Event()
    with ThreadPoolExecutor(max_workers=len(Queue)) as readers:
        try:
            read = list(readers.map(lambda url: _in_queue(sqs, url, seen, stop), places.urls.values()))
        except BaseException:
            # Ctrl-C reaches this thread only; the readers show what they have hidden again, and end.
            stop.set()
            raise
    return [(queue, message) for queue, found in zip(places.urls, read, strict=True) for message in found]


def _in_queue(sqs: Any, url: str, seen: Callable[[int], None], stop: threading.Event) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    handles: dict[str, str] = {}
    try:
        while not stop.is_set():
            answer = sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=_BATCH,
                VisibilityTimeout=_HIDDEN_S,
                WaitTimeSeconds=_LONG_POLL_S,
                MessageAttributeNames=["All"],
                AttributeNames=["SentTimestamp"],
            )
            messages = answer.get("Messages", [])
            fresh = {each["MessageId"]: each for each in messages if each["MessageId"] not in found}
            handles |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
            if not fresh:
                break
            found |= fresh
            seen(len(fresh))
        return list(found.values())
    finally:
        _show_again(sqs, url, list(handles.values()))


def _show_again(sqs: Any, url: str, handles: list[str]) -> None:
    for start in range(0, len(handles), _BATCH):
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
            for number, handle in enumerate(handles[start : start + _BATCH])
        ]
        sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)


def _letter(queue: Queue, message: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    sent = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    event = _event(message["Body"])
    found = {
        "queue": str(queue),
        "messageId": message["MessageId"],
        "sentAt": sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "errorType": error_type(message),
        "bodyBytes": len(message["Body"].encode()),
        "event": _shown(event, reveal=reveal) if event else None,
        "function": _function(queue, message) if queue in RUNS else None,
    }
    if reveal and about(found) is None:
        found["body"] = message["Body"]
    if reveal and queue in RUNS:
        found["error"] = _said(message)
    return found


def _event(body: str) -> dict[str, Any] | None:
    """The envelope (`honnin.webhook.Event`) as JSON, or None for what is not one."""
    from honnin.event import Event

    try:
        Event.from_json(body)
    except (ValueError, TypeError):
        return None
    event: dict[str, Any] = json.loads(body)
    return event


def _function(queue: Queue, message: Mapping[str, Any]) -> str | None:
    """The logical id of the function whose run failed. Its schedule's name holds it: in the payload, or beside it."""
    candidates = RUNS[queue]
    if len(candidates) == 1:
        return candidates[0]
    attributes = message.get("MessageAttributes", {})
    texts = [
        message["Body"],
        *(attributes.get(name, {}).get("StringValue", "") for name in ("SCHEDULE_ARN", "TARGET_ARN")),
    ]
    return next((each for each in candidates if any(each in text for text in texts)), None)


def _said(message: Mapping[str, Any]) -> str | None:
    attributes = message.get("MessageAttributes", {})
    for name in ("ERROR_MESSAGE", "ErrorMessage"):
        if name in attributes:
            return str(attributes[name]["StringValue"])
    return None


def _shown(event: dict[str, Any], *, reveal: bool) -> dict[str, Any]:
    from honnin.webhook import SEVERAL

    detail = {name: masking.url(text) if "://" in text else text for name, text in event.get("detail", {}).items()}
    if event["kind"] == SEVERAL and "notifications" in detail:
        detail["notifications"] = _notifications(event["detail"]["notifications"], reveal=reveal)
    # At PayPay the subject is a userAuthorizationId; in a notification of a recon file it is the file's type.
    names_person = event["provider"] == "paypay" and event["kind"] != "recon_file"
    subject = masking.authorization(event["subject"], reveal=reveal) if names_person else event["subject"]
    name = masking.event_id(event["event_id"], reveal=reveal)
    return {**event, "event_id": name, "subject": subject, "detail": detail}


def _notifications(text: str, *, reveal: bool) -> str:
    """The notifications of an array as they may be shown: they name authorizations, and signed addresses of files."""
    try:
        shown = [
            {
                name: masking.authorization(value, reveal=reveal)
                if name == "user_authorization_id"
                else masking.url(value)
                for name, value in each.items()
            }
            for each in json.loads(text)
        ]
    except (ValueError, TypeError, AttributeError):
        return "…"
    return json.dumps(shown, ensure_ascii=False)
