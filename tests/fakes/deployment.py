"""What template.yaml deploys, on moto: tables, queues, bus, secrets, and the functions with their own environment."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeDeserializer

from honnin import aws, config
from honnin.store import Store
from honnin.webhook import callback_token
from sandbox.paypay.account import PayPayAccount
from tests import moto_state
from tests.fakes import FakeLambdaContext
from tests.handlers import load
from tests.tables import create_table, template

EVENTS = Path(__file__).resolve().parents[2] / "events"
# The samples in events/ hold a token that was made under this key.
CALLBACK_KEY = "sample-callback-key"
WEBHOOK_KEY = "4fZ2" * 16
PAYPAY = PayPayAccount()
PROVIDERS = {
    "vexora_merchant_no": "1027749636",
    "vexora_app_secret": "sandbox-app-secret",
    "paypay_api_key": PAYPAY.api_key,
    "paypay_api_secret": PAYPAY.api_secret,
    "paypay_merchant_id": PAYPAY.merchant_id,
}
WEBHOOK_API_URL = "https://hooks.example.com/v1"
RETURN_URL = "https://shop.example.jp/kyc/done?order=7"
PAYPAY_SCOPES = ("get_kyc_info", "mini_app_kyc_passport", "kyc_passport_qr")
# Parameters of the template that have no default, or not one that leads to the sandbox.
PARAMETERS = {
    "PayPayTokenAudience": PAYPAY.client_id,
    "ReturnUrlAllowlist": "https://shop.example.jp/kyc,shopapp://kyc",
    "LoopbackFiles": "true",
    "PayPayVerifiedStatuses": "COMPLETED",
}


class SqsStandIn:
    """A loopback SQS for `sqs_send`, which speaks over a real socket; hands each message on to moto's.

    `fail_with` makes it answer that HTTP status instead.
    """

    def __init__(self, sqs: Any) -> None:
        self.fail_with = 0
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            """Takes `SendMessage` of the AWS JSON protocol."""

            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer: dict[str, Any] = {"__type": "ServiceUnavailable"}
                if not stand_in.fail_with:
                    answer = {"MessageId": sqs.send_message(**request)["MessageId"]}
                body = json.dumps(answer).encode()
                self.send_response(stand_in.fail_with or 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base class's name
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve until the block ends. One request at a time: moto is not safe under threads."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join(timeout=2)


@cache
def _deployed(vexora_base_url: str) -> tuple[Mapping[str, str], bytes]:
    """The names of what the template makes, and moto's state with all of it: made once, restored for each test."""
    sqs, events, s3, secrets = (
        boto3.client("sqs"),
        boto3.client("events"),
        boto3.client("s3"),
        boto3.client("secretsmanager"),
    )

    def queue(name: str) -> str:
        return sqs.create_queue(QueueName=name)["QueueUrl"]

    def secret(name: str, values: Mapping[str, str]) -> str:
        return secrets.create_secret(Name=name, SecretString=json.dumps(values))["ARN"]

    queues = ("DeadLetterQueue", "EventQueue", "ReconNoticeQueue", "RepairQueue", "RereadQueue", "Mails", "Tap")
    names = {name: queue(name) for name in (*queues, "MerchantWebhookQueue", "MerchantWebhookDeadLetterQueue")}
    events.create_event_bus(Name="EventBus")
    # A queue that gets whatever comes over the bus, and one that gets whatever is published on the topic.
    events.put_rule(Name="all", EventBusName="EventBus", EventPattern=json.dumps({"source": ["honnin"]}))
    tap = _queue_arn(sqs, names["Tap"])
    events.put_targets(Rule="all", EventBusName="EventBus", Targets=[{"Id": "tap", "Arn": tap}])
    for bucket in ("personal-data", "recon"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    s3.put_bucket_versioning(Bucket="personal-data", VersioningConfiguration={"Status": "Enabled"})
    db = boto3.client("dynamodb")
    names |= {
        "PersonalDataBucket": "personal-data",
        "ReconBucket": "recon",
        "ReconComparison": _state_machine(),
        "AlarmTopic": _topic(_queue_arn(sqs, names["Mails"])),
        "StateTable": create_table(db, "StateTable"),
        "IdempotencyTable": create_table(db, "IdempotencyTable"),
        "EventBus": "EventBus",
        "ProvidersSecret.Id": secret("ProvidersSecret", PROVIDERS),
        "CallbackKeySecret.Id": secret("CallbackKeySecret", {"current": CALLBACK_KEY}),
        # As the template has it generated: letters and digits.
        "MerchantWebhookSecret.Id": secret("MerchantWebhookSecret", {"current": WEBHOOK_KEY}),
        "VexoraBaseUrl": vexora_base_url,
        "VexoraPollDelays": template()["Parameters"]["VexoraPollDelays"]["Default"],
        "VexoraSourceCidrs": "192.0.2.0/24",
    }
    return names, moto_state.saved()


def _queue_arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def _state_machine() -> str:
    """One that takes executions, and runs none of them."""
    machine = {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    role = "arn:aws:iam::123456789012:role/recon"
    states = boto3.client("stepfunctions")
    made = states.create_state_machine(name="ReconComparison", definition=json.dumps(machine), roleArn=role)
    return str(made["stateMachineArn"])


def _topic(queue_arn: str) -> str:
    sns = boto3.client("sns")
    topic = sns.create_topic(Name="AlarmTopic")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    return topic


class MovedDatetime(datetime):
    """`datetime` with a `now` that a test has moved ahead."""

    ahead = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "MovedDatetime":
        """The real time, and `ahead` more."""
        moment = datetime.now(tz) + cls.ahead
        return cls.fromtimestamp(moment.timestamp(), tz)


class Function:
    """One Lambda function: its module anew, and the variables that the template gives it, no more."""

    def __init__(self, deployment: "Deployment", name: str) -> None:
        self.name = name
        self._deployment = deployment
        self._module: ModuleType = load(name)
        if hasattr(self._module, "datetime"):
            self._module.datetime = MovedDatetime  # type: ignore[attr-defined]

    def __call__(self, event: Mapping[str, Any], *remaining_ms: int) -> Any:
        """Invoke it as Lambda would."""
        self._deployment.enter(self.name)
        return self._module.lambda_handler(dict(event), FakeLambdaContext(*remaining_ms))


class Deployment:
    """The deployed stack. `vexora_base_url` is the sandbox's.

    `parameters` are those of the template that differ from their defaults; a test may change them.
    """

    def __init__(self, environment: pytest.MonkeyPatch, vexora_base_url: str) -> None:
        self._environment = environment
        self._set: set[str] = set()
        self.dynamodb = boto3.client("dynamodb")
        self.sqs = boto3.client("sqs")
        self.events = boto3.client("events")
        self.secrets = boto3.client("secretsmanager")
        self.s3 = boto3.client("s3")
        aws.forget()
        self.parameters = PARAMETERS | {"PayPayBaseUrl": vexora_base_url.removesuffix("/japan")}
        self.stand_in = SqsStandIn(self.sqs)
        self._names, state = _deployed(vexora_base_url)
        moto_state.restore(state)
        self.store = Store(self._names["StateTable"], self.dynamodb)
        # boto3 stays with moto; `sqs_send` alone goes to the stand-in.
        environment.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        environment.setenv("AWS_ENDPOINT_URL", self.stand_in.url)

    # --- functions ---

    def function(self, name: str) -> Function:
        """The function of that folder, cold."""
        return Function(self, name)

    def enter(self, name: str) -> None:
        """Put the variables of one function into the environment, and take those of another out."""
        resource = "".join(part.title() for part in name.split("_")).replace("Paypay", "PayPay") + "Function"
        variables = template()["Resources"][resource]["Properties"]["Environment"]["Variables"]
        for old in self._set:
            self._environment.delenv(old, raising=False)
        self._set = set(variables)
        for variable, value in variables.items():
            self._environment.setenv(variable, self._resolve(value))
        config.settings.cache_clear()

    def _resolve(self, value: Any) -> str:
        match value:
            case str():
                return value
            case {"Ref": name} if name in self.parameters:
                return self.parameters[name]
            case {"Ref": name} if name in self._names:
                return self._names[name]
            case {"Ref": name}:
                return str(template()["Parameters"][name]["Default"])
            case {"Fn::If": ["IsLocal", _, elsewhere]}:
                return self._resolve(elsewhere)
            case {"Fn::GetAtt": [name, attribute]}:
                return self._names[f"{name}.{attribute}"]
            case {"Fn::Join": [",", inner]}:
                return self._resolve(inner)
            case {"Fn::Sub": str(text)}:
                known = {"AWS::StackName": "stack"}
                return re.sub(
                    r"\$\{([\w:]+)\}", lambda name: known.get(name[1]) or self._resolve({"Ref": name[1]}), text
                )
            case {"Fn::ToJsonString": _}:  # PUBLISHED_WITH, which no function reads
                return "[]"
        raise ValueError(f"cannot resolve {value}")

    # --- looking at it ---

    def items(self, table: str = "StateTable") -> list[dict[str, Any]]:
        """Every item of a table but for the counted calls (`honnin.pace`), which come and go by the second."""
        return [item for item in self.everything(table) if not str(item.get("pk", "")).startswith("PACE#")]

    def everything(self, table: str = "StateTable") -> list[dict[str, Any]]:
        """Every item of a table."""
        deserializer = TypeDeserializer()
        return [
            {name: deserializer.deserialize(value) for name, value in item.items()}
            for item in self.dynamodb.scan(TableName=table)["Items"]
        ]

    def receive(self, queue: str = "EventQueue", visibility_s: int = 0) -> list[Any]:
        """The messages on a queue that are visible, with all their attributes."""
        return self.sqs.receive_message(
            QueueUrl=self._names[queue],
            MaxNumberOfMessages=10,
            VisibilityTimeout=visibility_s,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])

    def send(self, body: str, queue: str = "EventQueue") -> None:
        """Put a body on a queue: that of the events by default."""
        self.sqs.send_message(QueueUrl=self._names[queue], MessageBody=body)

    def mails(self) -> list[dict[str, str]]:
        """What has been published on the alarm topic since the last call: `Subject` and `Message`."""
        return [json.loads(message["Body"]) for message in self._drain(self._names["Mails"])]

    def _drain(self, url: str) -> list[Any]:
        messages: list[Any] = []
        while batch := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                messages.append(message)
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def published(self) -> list[dict[str, Any]]:
        """Everything that has come over the bus since the last call."""
        return [json.loads(message["Body"]) for message in self._drain(self._names["Tap"])]

    def put_providers_secret(self, values: Mapping[str, str]) -> None:
        """Set the providers' credentials."""
        self.secrets.put_secret_value(SecretId="ProvidersSecret", SecretString=json.dumps(values))

    def process(self, processor: Function, *remaining_ms: int) -> list[str]:
        """Let the processor take what is on its queues; returns the ids that it reports as failed."""
        queues = ("ReconNoticeQueue", "EventQueue", "RepairQueue", "RereadQueue")
        return [failed for queue in queues for failed in self.work(processor, queue, *remaining_ms)]

    def work(self, function: Function, queue: str, *remaining_ms: int) -> list[str]:
        """Let a queue's worker take one batch; returns the ids that it reports as failed."""
        messages = self.receive(queue, visibility_s=720)
        if not messages:
            return []
        answer = function({"Records": [sqs_record(message, queue) for message in messages]}, *remaining_ms)
        failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        for message in messages:
            if message["MessageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self._names[queue], ReceiptHandle=message["ReceiptHandle"])
        return failed

    def drain(self, queue: str) -> list[Any]:
        """Take every visible message off a queue; returns their bodies, read as JSON."""
        return [json.loads(message["Body"]) for message in self._drain(self._names[queue])]

    def pass_time(self, **ahead: float) -> None:
        """Move the functions' clock ahead of the real one by so much in all (a `timedelta`'s arguments)."""
        MovedDatetime.ahead = timedelta(**ahead)


def header(answer: Mapping[str, Any], name: str) -> str | None:
    """One header of a function's answer."""
    values = answer["multiValueHeaders"].get(name)
    return str(values[0]) if values else None


def sample(name: str) -> dict[str, Any]:
    """events/<name>.json."""
    event: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return event


def sqs_record(message: Mapping[str, Any], queue: str = "EventQueue") -> dict[str, Any]:
    """A message received from a queue in the form in which Lambda gets it."""
    record = dict(sample("event_processor")["Records"][0])
    return record | {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "eventSourceARN": f"arn:aws:sqs:ap-northeast-1:123456789012:{queue}",
        "attributes": record["attributes"]
        | {"ApproximateReceiveCount": message["Attributes"]["ApproximateReceiveCount"]},
    }


def callback(
    submission_id: str, body: str, *, token: str = "", content_type: str = "application/json"
) -> dict[str, Any]:
    """The result callback for a submission, as API Gateway hands it over."""
    event = sample("vexora_result_webhook")
    event["pathParameters"] = {
        "submissionId": submission_id,
        "token": token or callback_token(submission_id, CALLBACK_KEY),
    }
    return event | {"body": body, "headers": {"Content-Type": content_type}}


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)


def submitter(function: Function) -> Callable[..., dict[str, Any]]:
    """Submit a user; the answer with its body read."""

    def call(body: object = None, *, key: str | None = None, user_id: str = "user-0001") -> dict[str, Any]:
        event = sample("vexora_submission")
        if key is not None:
            event["headers"]["Idempotency-Key"] = key
            event["multiValueHeaders"]["Idempotency-Key"] = [key]
        event["body"] = json.dumps({"userId": user_id, "usernameFurigana": "テスト ハナコ"} if body is None else body)
        answer: dict[str, Any] = function(event)
        return answer | {"json": json.loads(answer["body"])}

    return call
