"""AWS as far as the layer uses it: the Lambda context, EventBridge, SQS, SNS and Secrets Manager."""

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.parameters.base import BaseProvider
from aws_lambda_powertools.utilities.typing import LambdaContext
from jsonschema import Draft4Validator  # type: ignore[import-untyped]

from honnin import worker
from operations.event_schemas import PLACE as EVENT_SCHEMAS

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


@cache
def _event_schema(detail_type: str) -> Draft4Validator:
    schema = json.loads((EVENT_SCHEMAS / f"{detail_type}.json").read_text(encoding="utf-8"))
    # Others may find more there; what we publish ourselves is described.
    schema["properties"]["detail"]["additionalProperties"] = False
    return Draft4Validator(schema, format_checker=Draft4Validator.FORMAT_CHECKER)


def check_event(entry: Mapping[str, Any]) -> None:
    """Raise `jsonschema.ValidationError` unless an entry for the bus is as `docs/events/` says."""
    event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    _event_schema(entry["DetailType"]).validate(event)


class FakeLambdaContext(LambdaContext):
    """The context of one invocation. `remaining_ms` holds the times left: one per question, the last one stays."""

    def __init__(self, *remaining_ms: int, function_name: str = "honnin-test") -> None:
        self._remaining = deque(remaining_ms or (60_000,))
        self._function_name = function_name
        self._function_version = "$LATEST"
        self._invoked_function_arn = f"arn:aws:lambda:ap-northeast-1:000000000000:function:{function_name}"
        self._memory_limit_in_mb = 512
        self._aws_request_id = "00000000-0000-4000-8000-000000000001"
        self._log_group_name = f"/aws/lambda/{function_name}"
        self._log_stream_name = "2026/04/01/[$LATEST]0"

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools types it as a static method
        """The next of the times that the test gave."""
        return self._remaining.popleft() if len(self._remaining) > 1 else self._remaining[0]


class FakeBus:
    """The EventBridge client as far as `Publisher` uses it. `failures` are taken first: raised, or refused.

    Each entry is held against its published schema.
    """

    def __init__(self) -> None:
        self.entries: list[Mapping[str, Any]] = []
        self.failures: deque[Exception | str] = deque()

    def put_events(self, *, Entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:  # noqa: N803
        """Keep the entries, or fail as the test said."""
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, Exception):
                raise failure
            return {"FailedEntryCount": len(Entries), "Entries": [{"ErrorCode": failure} for _ in Entries]}
        for entry in Entries:
            check_event(entry)
        self.entries.extend(Entries)
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(self.entries))} for _ in Entries]}

    @property
    def client(self) -> "EventBridgeClient":
        """Itself, under the type that `Publisher` takes."""
        return cast("EventBridgeClient", self)


class FakeQueueClient:
    """The SQS client as far as `worker.Queue` uses it: what was asked of it, in order."""

    def __init__(self) -> None:
        self.visibilities: list[dict[str, Any]] = []
        self.messages: list[Mapping[str, Any]] = []

    def change_message_visibility(self, **request: Any) -> None:
        """Keep the request."""
        self.visibilities.append(request)

    def send_message(self, **request: Any) -> Mapping[str, Any]:
        """Keep the request."""
        self.messages.append(request)
        return {"MessageId": str(len(self.messages))}

    @property
    def client(self) -> "SQSClient":
        """Itself, under the type that `worker.Queue` takes."""
        return cast("SQSClient", self)


class FakeQueue(worker.Queue):
    """What the worker did with each message: `delays` by message id, `dead_lettered` with the error's type."""

    def __init__(self) -> None:
        self.overdue_s = math.inf
        self.delays: dict[str, int] = {}
        self.dead_lettered: dict[str, str] = {}

    def delay(self, record: worker.Received, seconds: int) -> None:
        """Remember the visibility time-out."""
        self.delays[cast("SQSRecord", record).message_id] = seconds

    def move_to_dead_letters(self, record: worker.Received, error: Exception) -> None:
        """Remember that the message was moved, and for what."""
        self.dead_lettered[cast("SQSRecord", record).message_id] = type(error).__name__


def _by_mail(request: Mapping[str, str]) -> str:
    """What a subscriber by mail gets of a message that says other things over other protocols."""
    told: dict[str, str] = json.loads(request["Message"])
    assert request["MessageStructure"] == "json"
    return told.get("email", told["default"])


class FakeTopic:
    """The SNS client as far as `people.send` uses it. `failures` are taken first."""

    def __init__(self) -> None:
        self.mails: list[Mapping[str, str]] = []
        self.failures: deque[Exception] = deque()

    def publish(self, **request: str) -> None:
        """Keep the mail, or fail as the test said."""
        if self.failures:
            raise self.failures.popleft()
        self.mails.append(request | {"Message": _by_mail(request)})

    @property
    def client(self) -> "SNSClient":
        """Itself, under the type that `ResendAlarm` takes."""
        return cast("SNSClient", self)


class FakeSecrets(BaseProvider):
    """Secrets Manager behind Powertools Parameters, whose cache stays the real one. `reads` counts past it."""

    def __init__(self, **values: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        self.values = dict(values)
        self.reads = 0

    def _get(self, name: str, **sdk_options: Any) -> str:
        self.reads += 1
        return self.values[name]

    def _get_multiple(self, path: str, **sdk_options: Any) -> dict[str, str]:
        raise NotImplementedError
