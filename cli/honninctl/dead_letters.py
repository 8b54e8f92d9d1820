"""The dead-letter queues: what is in each. Bodies carry ids only; PayPay's are masked all the same."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from honninctl import masking
from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError
from honninctl.language import _
from honninctl.queue_walk import Message, sent_ms, walk

# What a queue itself moved there has no error's type.
RECEIVED_TOO_OFTEN = "(received too often)"
# Lambda says what failed in words only, which may hold anything.
RUN_FAILED = "(the run failed)"

# The parameter without which a stack sends no merchant webhooks and has no queues for them (docs/api.md).
_WEBHOOK_URL = "MerchantWebhookUrl"


class Queue(StrEnum):
    """The dead-letter queues, as `--queue` names them."""

    EVENTS = "events"
    WEBHOOKS = "webhooks"
    SCHEDULE = "schedule"
    RECON_DOWNLOAD = "recon-download"


# The outputs of template.yaml that say where each is. That of the merchant webhooks is not in every stack.
OUTPUTS = {
    Queue.EVENTS: "DeadLetterQueueUrl",
    Queue.SCHEDULE: "ScheduleDeadLetterQueueUrl",
    Queue.RECON_DOWNLOAD: "ReconDownloadDeadLetterQueueUrl",
}

WEBHOOK_DEAD_LETTERS = "MerchantWebhookDeadLetterQueue"  # its logical id

# Whose failed runs lie there, by logical id. A stack of an older version puts recon_download's with the schedule's.
RUNS: Mapping[Queue, tuple[str, ...]] = {
    Queue.SCHEDULE: (
        "VexoraStatusPollFunction",
        "ExpiryWatchFunction",
        "RetentionFunction",
        "ReconDeadlineFunction",
        "ReconDownloadFunction",
    ),
    Queue.RECON_DOWNLOAD: ("ReconDownloadFunction",),
}

# Whose failed run nobody repeats by hand: the next one, an hour later, does the rest. It erases people.
BY_ITSELF = "RetentionFunction"

# Whose failed probes lie with the schedule's. Nobody repeats a probe by hand: the next one comes within a minute.
PROBED = "MerchantWebhookFunction"


class WebhooksOffError(NotFoundError):
    """The stack sends no merchant webhooks."""

    def __init__(self, stack: str) -> None:
        super().__init__(
            _(
                "{stack} sends no merchant webhooks: set the parameter {parameter} to the https address of your "
                "receiver and deploy (docs/api.md, Merchant webhooks)"
            ).format(stack=stack, parameter=_WEBHOOK_URL)
        )


@dataclass(frozen=True)
class Places:
    """The URL of each queue, and those that the stack's outputs do not name: its version is older than this program."""

    urls: Mapping[Queue, str]
    unknown: tuple[Queue, ...] = ()


def find(deployment: Deployment, only: Queue | None = None) -> Places:
    """Where the queues are, or one of them.

    Raises `NotFoundError` when the one that was asked for, or the events' own, is not there.
    """
    if only is Queue.WEBHOOKS:
        return Places({only: webhook_resource(deployment, WEBHOOK_DEAD_LETTERS)})
    if only:
        return Places({only: deployment.output(OUTPUTS[only])})
    deployment.output(OUTPUTS[Queue.EVENTS])
    urls = {each: deployment.outputs[name] for each, name in OUTPUTS.items() if name in deployment.outputs}
    unknown = tuple(each for each in OUTPUTS if each not in urls)
    if sends_webhooks(deployment):
        urls[Queue.WEBHOOKS] = deployment.resource(WEBHOOK_DEAD_LETTERS)
    return Places({each: urls[each] for each in Queue if each in urls}, unknown)


def sends_webhooks(deployment: Deployment) -> bool:
    """Whether the stack sends merchant webhooks."""
    return bool(deployment.parameters.get(_WEBHOOK_URL))


def webhook_resource(deployment: Deployment, logical_id: str) -> str:
    """The physical id of a resource of the merchant webhooks. Raises `WebhooksOffError` where there are none."""
    if not sends_webhooks(deployment):
        raise WebhooksOffError(deployment.name)
    return deployment.resource(logical_id)


def letters(
    deployment: Deployment,
    places: Places,
    *,
    takes: Callable[[Message], bool] = lambda _: True,
    reveal: bool = False,
    seen: Callable[[int], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """The messages that `takes` chooses, the oldest first; all stay there. `seen` is called with each number read.

    Each is `{"queue", "messageId", "sentAt", "errorType", "bodyBytes", "event", "function", "webhook"}`. `event` is the
    envelope, `function` whose run failed, `webhook` the domain event that could not be delivered; null for what it is
    not. With `reveal` also `body`, for what is none of ours, and `error`, for what Lambda or the Scheduler said of a
    run.
    """
    found = [
        letter(queue, message, reveal=reveal)
        for queue, message in _messages(deployment, places, seen)
        if takes(message)
    ]
    return sorted(found, key=lambda each: str(each["sentAt"]))


def message(deployment: Deployment, places: Places, name: str) -> tuple[Queue, Message]:
    """The message of that message id, event id or webhook id. Raises `NotFoundError` when there is none."""
    for queue, found in _messages(deployment, places, lambda _: None):
        webhook = _webhook(found["Body"]) if queue is Queue.WEBHOOKS else None
        named = (event(found["Body"]) or {}).get("event_id") or (webhook or {}).get("webhookId")
        if name in (found["MessageId"], named):
            return queue, found
    raise NotFoundError(_("no dead letter has the message id, event id or webhook id {name}").format(name=name))


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


def error_type(message: Message) -> str:
    """Why a message is there: what Honnin, EventBridge, the Scheduler or Lambda wrote beside it, or did not."""
    attributes = message.get("MessageAttributes", {})
    for name in ("errorType", "ERROR_CODE"):
        if name in attributes:
            return str(attributes[name]["StringValue"])
    return RUN_FAILED if "ErrorMessage" in attributes else RECEIVED_TOO_OFTEN


def about(letter: Mapping[str, Any]) -> str | None:
    """What a letter is about, in one text: an event's id, or a function."""
    found = (letter["event"] or {}).get("event_id") or (letter["webhook"] or {}).get("webhookId") or letter["function"]
    return str(found) if found else None


def event(body: str) -> dict[str, Any] | None:
    """The envelope (`honnin.event.Event`) as JSON, or None for what is not one."""
    from honnin.event import Event

    try:
        Event.from_json(body)
    except (ValueError, TypeError):
        return None
    found: dict[str, Any] = json.loads(body)
    return found


def is_ours(body: str) -> bool:
    """Whether Honnin wrote a message: an event, or a merchant webhook."""
    return event(body) is not None or _webhook(body) is not None


def about_users(body: str) -> set[str]:
    """The users, by your own ids, that a message names itself: a domain event, alone or as EventBridge sends it."""
    return {str(each["userId"]) for each in _domain_event(body) if "userId" in each}


def _domain_event(body: str) -> Iterator[Mapping[str, Any]]:
    try:
        found = json.loads(body)
    except ValueError:
        return
    for each in (found, found.get("detail") if isinstance(found, dict) else None):
        if isinstance(each, dict):
            yield each


def _messages(deployment: Deployment, places: Places, seen: Callable[[int], None]) -> Iterable[tuple[Queue, Message]]:
    """What lies in all queues: read side by side, for each takes as long as its last poll."""
    sqs, stop = deployment.client("sqs"), threading.Event()

    def in_queue(url: str) -> list[Message]:
        found: list[Message] = []

        def keep(messages: Iterable[Message]) -> tuple[()]:
            before = len(found)
            found.extend(messages)
            seen(len(found) - before)
            return ()

        walk(sqs, url, keep, stop)
        return found

    with ThreadPoolExecutor(max_workers=len(Queue)) as readers:
        try:
            read = list(readers.map(in_queue, places.urls.values()))
        except BaseException:
            # Ctrl-C reaches this thread only; the readers show what they have hidden again, and end.
            stop.set()
            raise
    return [(queue, message) for queue, found in zip(places.urls, read, strict=True) for message in found]


def letter(queue: Queue, message: Message, *, reveal: bool) -> dict[str, Any]:
    """A message as `letters` gives it."""
    sent = datetime.fromtimestamp(sent_ms(message) / 1000, UTC)
    envelope = event(message["Body"])
    found = {
        "queue": str(queue),
        "messageId": message["MessageId"],
        "sentAt": sent.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "errorType": error_type(message),
        "bodyBytes": len(message["Body"].encode()),
        "event": _shown(envelope, reveal=reveal) if envelope else None,
        "function": _function(queue, message) if queue in RUNS else None,
        "webhook": _webhook(message["Body"]) if queue is Queue.WEBHOOKS else None,
    }
    if reveal and about(found) is None:
        found["body"] = message["Body"]
    if reveal and queue in RUNS:
        found["error"] = _said(message)
    return found


def _webhook(body: str) -> dict[str, Any] | None:
    """A merchant webhook as your endpoint would have got it, in short: `{"webhookId", "type", "userId"}`."""
    from honnin.merchant_webhook.message import Message as Webhook

    try:
        found = Webhook.from_event(body)
    except ValueError:
        return None
    event = json.loads(found.body)
    return {"webhookId": found.message_id, "type": event["type"], "userId": event["data"].get("userId")}


def _function(queue: Queue, message: Mapping[str, Any]) -> str | None:
    """The logical id of the function whose run failed. Its schedule's name holds it: in the payload, or beside it."""
    if _is_probe(message["Body"]):
        return PROBED
    candidates = RUNS[queue]
    if len(candidates) == 1:
        return candidates[0]
    attributes = message.get("MessageAttributes", {})
    texts = [
        message["Body"],
        *(attributes.get(name, {}).get("StringValue", "") for name in ("SCHEDULE_ARN", "TARGET_ARN")),
    ]
    return next((each for each in candidates if any(each in text for text in texts)), None)


def _is_probe(body: str) -> bool:
    """Whether a run was the probe of the merchant's endpoint, whose payload names no schedule."""
    try:
        return bool(json.loads(body) == {"probe": True})
    except ValueError:
        return False


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
