"""What template.yaml deploys, on moto: tables, queues, bus, secrets, and the functions with their own environment."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from boto3.dynamodb.types import TypeDeserializer

from honnin import aws, config
from honnin.event import Event
from honnin.recon.bucket import FileId
from honnin.recon.file_types import FILE_TYPES
from honnin.store import Announcement, Effect, Heard, ReconFile, Store, Unattached, UserStatus
from honnin.times import utc_text
from honnin.webhook import callback_token
from sandbox.paypay.account import PayPayAccount
from tests.fakes import FakeLambdaContext
from tests.handlers import load
from tests.tables import create_table, template

EVENTS = Path(__file__).resolve().parents[2] / "events"
# The samples in events/ hold a token that was made under this key.
CALLBACK_KEY = "sample-callback-key"
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
        self._names = self._make(vexora_base_url)
        self.store = Store(self._names["StateTable"], self.dynamodb)
        # boto3 stays with moto; `sqs_send` alone goes to the stand-in.
        environment.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
        environment.setenv("AWS_ENDPOINT_URL", self.stand_in.url)

    def _make(self, vexora_base_url: str) -> dict[str, str]:
        dead = self.sqs.create_queue(QueueName="DeadLetterQueue")["QueueUrl"]
        queue = self.sqs.create_queue(QueueName="EventQueue")["QueueUrl"]
        notices = self.sqs.create_queue(QueueName="ReconNoticeQueue")["QueueUrl"]
        self.events.create_event_bus(Name="EventBus")
        self._tap("EventBus")
        self.s3.create_bucket(
            Bucket="personal-data", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
        )
        self.s3.put_bucket_versioning(Bucket="personal-data", VersioningConfiguration={"Status": "Enabled"})
        self.s3.create_bucket(Bucket="recon", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        compare_queue = self.sqs.create_queue(QueueName="CompareQueue")["QueueUrl"]
        return {
            "PersonalDataBucket": "personal-data",
            "ReconBucket": "recon",
            "CompareQueue": compare_queue,
            "CompareDeadLetterQueue": self.sqs.create_queue(QueueName="CompareDeadLetterQueue")["QueueUrl"],
            "AlarmTopic": self._alarm_topic(),
            "StateTable": create_table(self.dynamodb, "StateTable"),
            "IdempotencyTable": create_table(self.dynamodb, "IdempotencyTable"),
            "DeadLetterQueue": dead,
            "EventQueue": queue,
            "ReconNoticeQueue": notices,
            "EventBus": "EventBus",
            "ProvidersSecret.Id": self._secret("ProvidersSecret", PROVIDERS),
            "CallbackKeySecret.Id": self._secret("CallbackKeySecret", {"current": CALLBACK_KEY}),
            "VexoraBaseUrl": vexora_base_url,
            "VexoraPollDelays": template()["Parameters"]["VexoraPollDelays"]["Default"],
            "VexoraSourceCidrs": "192.0.2.0/24",
        }

    def _secret(self, name: str, values: Mapping[str, str]) -> str:
        return self.secrets.create_secret(Name=name, SecretString=json.dumps(values))["ARN"]

    def _alarm_topic(self) -> str:
        """The topic, with a queue that gets whatever is published."""
        sns = boto3.client("sns")
        topic = sns.create_topic(Name="AlarmTopic")["TopicArn"]
        self._letters_url = self.sqs.create_queue(QueueName="Letters")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self._letters_url, AttributeNames=["QueueArn"])
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=attributes["Attributes"]["QueueArn"])
        return topic

    def _tap(self, bus: str) -> None:
        """A queue that gets whatever comes over the bus."""
        self._tap_url = self.sqs.create_queue(QueueName="Tap")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self._tap_url, AttributeNames=["QueueArn"])["Attributes"]
        self.events.put_rule(Name="all", EventBusName=bus, EventPattern=json.dumps({"source": ["honnin"]}))
        self.events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "tap", "Arn": attributes["QueueArn"]}])

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
            case {"Fn::GetAtt": [name, attribute]}:
                return self._names[f"{name}.{attribute}"]
            case {"Fn::Join": [",", inner]}:
                return self._resolve(inner)
            case {"Fn::ToJsonString": _}:  # PUBLISHED_WITH, which no function reads
                return "[]"
        raise ValueError(f"cannot resolve {value}")

    # --- looking at it ---

    def items(self, table: str = "StateTable") -> list[dict[str, Any]]:
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

    def letters(self) -> list[dict[str, str]]:
        """What has been published on the alarm topic since the last call: `Subject` and `Message`."""
        return [json.loads(message["Body"]) for message in self._drain(self._letters_url)]

    def _drain(self, url: str) -> list[Any]:
        messages: list[Any] = []
        while batch := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in batch:
                messages.append(message)
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return messages

    def published(self) -> list[dict[str, Any]]:
        """Everything that has come over the bus since the last call."""
        return [json.loads(message["Body"]) for message in self._drain(self._tap_url)]

    def put_providers_secret(self, values: Mapping[str, str]) -> None:
        """Set the providers' credentials."""
        self.secrets.put_secret_value(SecretId="ProvidersSecret", SecretString=json.dumps(values))

    def process(self, processor: Function, *remaining_ms: int) -> list[str]:
        """Let the processor take what is on its two queues; returns the ids that it reports as failed."""
        queues = ("ReconNoticeQueue", "EventQueue")
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


class Merchant:
    """A merchant's back end and its user's browser, with the two PayPay functions behind them."""

    def __init__(self, stack: Deployment) -> None:
        self._link = stack.function("paypay_account_link")
        self._kyc = stack.function("paypay_kyc")

    def ask(self, user_id: str = "user-0001", **fields: Any) -> dict[str, Any]:
        """`POST /paypay/account-links`; `fields` join or replace those of the request."""
        body = {"userId": user_id, "scopes": list(PAYPAY_SCOPES), "returnUrl": RETURN_URL, **fields}
        return self.post(json.dumps({name: value for name, value in body.items() if value is not ...}))

    def post(self, body: str) -> dict[str, Any]:
        """`POST /paypay/account-links` with a body as it is; the answer with its JSON read."""
        event = sample("paypay_account_link") | {"body": body, "stageVariables": {"webhookApiUrl": WEBHOOK_API_URL}}
        answer: dict[str, Any] = self._link(event)
        return answer | {"json": json.loads(answer["body"])}

    def press(self, asked: Mapping[str, Any], decision: str = "allow") -> str:
        """What the user does on PayPay's page; returns where PayPay sends the browser."""
        url = asked["json"]["linkQRCodeURL"]
        pressed = requests.post(url, data={"decision": decision}, allow_redirects=False, timeout=5)
        return pressed.headers["Location"]

    def come_back(self, location: str) -> dict[str, Any]:
        """The browser at our callback."""
        parameters = {name: values[-1] for name, values in parse_qs(urlsplit(location).query).items()}
        path = "/paypay/account-links/callback"
        event = sample("paypay_account_link") | {"httpMethod": "GET", "resource": path, "path": path, "body": None}
        event["queryStringParameters"] = parameters or None
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in parameters.items()} or None
        answer: dict[str, Any] = self._link(event)
        return answer

    def link(self, user_id: str = "user-0001", **fields: Any) -> dict[str, Any]:
        """All of it; the answer that showed the QR."""
        asked = self.ask(user_id, **fields)
        self.come_back(self.press(asked))
        return asked

    def read(self, path: str, method: str = "GET", **query: str) -> dict[str, Any]:
        """One of the KYC reads; the answer with its JSON read."""
        event = sample("paypay_kyc") | {"path": path, "httpMethod": method, "queryStringParameters": query or None}
        event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()} or None
        answer: dict[str, Any] = self._kyc(event)
        return answer | {"json": json.loads(answer["body"])}

    def kyc(self, user_id: str = "user-0001", **query: str) -> dict[str, Any]:
        """`GET /paypay/users/{userId}/kyc`."""
        return self.read(f"/paypay/users/{user_id}/kyc", **query)

    def passport(self, user_id: str = "user-0001") -> dict[str, Any]:
        """`GET /paypay/users/{userId}/kyc-passport`."""
        return self.read(f"/paypay/users/{user_id}/kyc-passport")

    def completed_qr(self, code_id: str) -> dict[str, Any]:
        """`POST /paypay/kyc-passport-qr/{codeId}`."""
        return self.read(f"/paypay/kyc-passport-qr/{code_id}", "POST")


class ReconDay:
    """One type's recon files of one JST day, as they lie in the bucket, and who was heard on that day."""

    def __init__(self, stack: Deployment, file_type: str = "kyc_passport_sync_recon", day: str = "2026-03-31") -> None:
        self._stack = stack
        self._function = stack.function("recon_compare")
        self.type = FILE_TYPES[file_type]
        self.day = day
        self.name = f"{self.type.prefix}900000000000000001_{day.replace('-', '')}_{day.replace('-', '')}.csv"

    def at(self, time_of_day: str, days: int = 0) -> str:
        """A time in Japan on this day, or so many days later, as the table keeps it (UTC)."""
        return utc_text(datetime.fromisoformat(f"{self.day}T{time_of_day}+09:00") + timedelta(days=days))

    def file_id(self, name: str = "") -> FileId:
        """The file of that name; the usual one by default."""
        return FileId(self.type.name, self.day, name or self.name)

    def heard(self, *ids: str) -> None:
        """Webhooks named these authorizations at noon; nobody knows whose they are."""
        at = self.at("12:00:00")
        for each in ids:
            event_id = f"paypay:{self.type.kind}:noon-{self.day}-{each}"
            heard = Heard(self.type.kind, self.day, each, at)
            self._stack.store.events.keep(
                Unattached(event_id, "paypay", "unknown_user", "webhook", at, each, {}, heard)
            )

    def hear(self, processor: Function, user_authorization_id: str, at: str) -> None:
        """A webhook that came at that time (UTC) goes through the queue and the processor."""
        event_id = f"paypay:{self.type.kind}:{at}-{user_authorization_id}"
        self._stack.send(Event(event_id, "paypay", self.type.kind, "webhook", user_authorization_id, at).to_json())
        assert self._stack.process(processor, 120_000) == []

    def link(self, user_authorization_id: str, user_id: str, read_at: str = "") -> None:
        """Link an authorization to a user whose last reading was at that time (UTC), noon by default."""
        read_at = read_at or self.at("12:00:00")
        status = UserStatus(
            user_id,
            "paypay",
            "LINKED",
            1,
            read_at=read_at,
            kyc_read_at=read_at,
            account_read_at=read_at,
            user_authorization_id=user_authorization_id,
        )
        effect = Effect(f"link:{user_id}", "linked", "api", read_at, None, status, {}, links=True)
        self._stack.store.events.apply(effect)

    def announce(self, name: str = "", requested_at: str = "") -> None:
        """Record the file as announced."""
        requested_at = requested_at or self.at("03:00:00", days=1)
        url = "https://recon.example.jp/files/x.csv?signature=sample"
        self._stack.store.recon.announce(
            Announcement(
                event_id=f"paypay:recon_file:{name or self.name}-{requested_at}",
                file_type=self.type.name,
                file_name=name or self.name,
                day=self.day,
                url=url,
                requested_at=requested_at,
                deadline=self.at("05:00:00", days=1),
                received_at=requested_at,
                at=requested_at,
            )
        )

    def store(self, content: bytes | str, name: str = "") -> None:
        """Put a file into the bucket, as a person or the download would, and let S3 tell of it."""
        raw = content.encode() if isinstance(content, str) else content
        self._stack.s3.put_object(Bucket="recon", Key=self.file_id(name).key, Body=raw)
        self.tell(self.file_id(name).key)

    def tell(self, *keys: str) -> None:
        """S3's notification of these objects."""
        record = json.loads(sample("recon_compare")["Records"][0]["body"])["Records"][0]
        records = [{**record, "s3": {**record["s3"], "object": {"key": key}}} for key in keys]
        self._stack.send(json.dumps({"Records": records}), "CompareQueue")

    def arrive(self, content: bytes | str, name: str = "", requested_at: str = "") -> None:
        """The file is announced, fetched and stored, and S3 tells of it."""
        self.announce(name, requested_at)
        file = self.file(name)
        at = self.at("03:05:00", days=1)
        self._stack.store.recon.stored(file, name=file.name, sha256="0" * 64, size=len(content), at=at)
        self.store(content, name)

    def listing(self, *ids: str) -> str:
        """The content of a file that names these authorizations, in the usual form."""
        return "".join(f"{each}\r\n" for each in ("userAuthorizationId", *ids))

    def compare(self, *remaining_ms: int) -> list[str]:
        """Let the comparison take what is on its queue; returns the ids of the messages that stay."""
        return self._stack.work(self._function, "CompareQueue", *(remaining_ms or (900_000,)))

    def file(self, name: str = "") -> ReconFile:
        """The file as it is in the table."""
        found = self._stack.store.recon.file(self.type.name, self.day, name or self.name)
        assert found is not None
        return found

    def report(self, name: str = "") -> dict[str, Any]:
        """The report in the bucket."""
        body = self._stack.s3.get_object(Bucket="recon", Key=self.file_id(name).report_key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def repaired(self) -> list[str]:
        """The authorizations whose repair was queued since the last call, as often as it was."""
        bodies = self._stack.drain("EventQueue")
        assert {(each["cause"], each["kind"]) for each in bodies} <= {("recon", self.type.kind)}
        assert all(each["event_id"] == f"recon:{self.type.name}:{self.day}:{each['subject']}" for each in bodies)
        return sorted(each["subject"] for each in bodies)


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
