"""Merchant webhooks: what is sent, how it is signed, when it comes again, and what the circuit does."""

import base64
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from chaos.aws import aws_failure
from chaos.dynamodb import MemoryDynamoDB
from chaos.sqs import MemorySQS, Queue
from honnin import remote_file, worker
from honnin.domain_events import EVENTS
from honnin.errors import SecretIncompleteError, WebhookHeldError, WebhookNotDeliveredError
from honnin.merchant_webhook.circuit import MOST_FAILURES, EndpointCircuit
from honnin.merchant_webhook.delivery import Endpoint, Outcome, signed
from honnin.merchant_webhook.message import Message, webhook_type
from honnin.merchant_webhook.sender import MerchantWebhook
from honnin.merchant_webhook.waiting import WaitingQueue
from honnin.store import Certificate, Circuit, Store
from honnin.times import utc_text
from honnin.wording import in_japanese
from tests.fakes import FakeClock, FakeLambdaContext, LoopbackServer, RawServer, Reply
from tests.fakes.clocks import START

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

KEY = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OLD_KEY = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
# A detail of each type, as the bus has it. Values that must not be sent are marked.
LEAKS = "marked-id-of-an-authorization"
DETAILS: Mapping[str, Mapping[str, Any]] = {
    "KycStatusChanged": {
        "from": None, "userId": "user-1", "provider": "paypay", "to": "VERIFIED", "providerStatus": "COMPLETED",
        "verified": True, "verifiedReason": "PAYPAY_VERIFIED", "cause": "recon", "version": 7,
        "occurredAt": "2026-04-01T03:00:00.000Z", "eventId": f"recon:kyc:2026-03-31:{LEAKS}:1",
    },
    "SubmissionStale": {
        "userId": "user-1", "submissionId": "sub-1", "status": "PENDING", "submittedAt": "2026-03-01T03:00:00.000Z",
        "version": 8, "occurredAt": "2026-04-01T03:00:00.000Z", "eventId": LEAKS,
    },
    "UserErased": {
        "userId": "user-1", "certificateId": "c-1", "version": 9, "completedAt": "2026-04-01T03:00:00.000Z",
    },
    "ReconCompleted": {
        "fileType": "kyc_passport_sync_recon", "day": "2026-03-31", "fileName": "a.csv", "comparison": 2,
        "comparedAt": "2026-04-01T03:00:00.000Z", "sha256": "00", "counts": {"rows": 3}, "reportKey": "reports/a",
    },
    "AuthorizationExpiring": {
        "userId": "user-1", "provider": "paypay", "status": "VERIFIED", "linkExpiresAt": "2026-05-01T03:00:00.000Z",
        "version": 8, "occurredAt": "2026-04-01T03:00:00.000Z", "eventId": LEAKS,
    },
    "AuthorizationExpired": {
        "userId": "user-1", "provider": "paypay", "expiredAt": "2026-04-01T02:00:00.000Z", "providerStatus": "expireAt",
        "version": 8, "occurredAt": "2026-04-01T03:00:00.000Z", "eventId": LEAKS,
    },
    "ResidencePeriodExpiring": {
        "userId": "user-1", "provider": "paypay", "status": "VERIFIED", "residenceEndsOn": "2026-05-02",
        "version": 8, "occurredAt": "2026-04-01T03:00:00.000Z", "eventId": LEAKS,
    },
}  # fmt: skip


def event(kind: str = "KycStatusChanged", *, time: str = "2026-04-01T03:00:01Z", **detail: Any) -> str:
    """A domain event as EventBridge gives it to the queue."""
    told = {**DETAILS[kind], **detail}
    return json.dumps(
        {"version": "0", "id": "b-1", "detail-type": kind, "source": "honnin", "time": time, "detail": told}
    )


# --- the message ---


def test_there_is_a_detail_of_every_event_that_the_bus_tells() -> None:
    assert DETAILS.keys() == EVENTS.keys()
    for kind, detail in DETAILS.items():
        assert detail.keys() == EVENTS[kind][0].__annotations__.keys() - ({"submissionId"} - detail.keys())


def test_a_message_has_type_moment_and_content() -> None:
    message = Message.from_event(event())
    assert json.loads(message.body) == {
        "type": "kyc.status.changed",
        "timestamp": "2026-04-01T03:00:00.000Z",
        "data": {
            "userId": "user-1", "provider": "paypay", "from": None, "to": "VERIFIED", "providerStatus": "COMPLETED",
            "verified": True, "verifiedReason": "PAYPAY_VERIFIED", "cause": "recon", "version": 7,
            "occurredAt": "2026-04-01T03:00:00.000Z",
        },
    }  # fmt: skip


def test_each_type_has_a_name_of_plain_words() -> None:
    assert {webhook_type(each) for each in EVENTS} == {
        "kyc.status.changed",
        "submission.stale",
        "user.erased",
        "recon.completed",
        "authorization.expiring",
        "authorization.expired",
        "residence.period.expiring",
    }


@pytest.mark.parametrize("kind", DETAILS)
def test_the_same_event_is_the_same_message_however_it_comes(kind: str) -> None:
    """It is published twice at two times, and the table gives its content in any order."""
    backwards = dict(reversed(list(DETAILS[kind].items())))
    again = json.dumps(
        {"detail-type": kind, "source": "honnin", "time": "2026-04-02T00:00:00Z", "id": "b-2", "detail": backwards}
    )
    assert Message.from_event(event(kind)) == Message.from_event(again)


def test_different_events_have_different_ids() -> None:
    told = [event(kind) for kind in DETAILS]
    told += [event(eventId="e-2"), event("UserErased", certificateId="c-2"), event("ReconCompleted", comparison=3)]
    assert len({Message.from_event(each).message_id for each in told}) == len(told)


@pytest.mark.parametrize("hostile", ["a.b", "a\r\nX-Evil: 1", "a b,c", "利用者", "x" * 5000, LEAKS])
def test_an_id_is_one_of_a_header_whatever_the_events_own_is(hostile: str) -> None:
    message = Message.from_event(event(eventId=hostile))
    assert message.message_id.startswith("msg_")
    assert message.message_id[4:].isalnum()
    assert len(message.message_id) == 36
    assert hostile not in message.body.decode()


@pytest.mark.parametrize("kind", DETAILS)
def test_no_message_has_a_date_of_a_person_or_an_authorization(kind: str) -> None:
    body = Message.from_event(event(kind, furigana="テスト ハナコ", birthday="1990-01-01")).body.decode()
    assert LEAKS not in body
    assert not {"residenceEndsOn", "furigana", "birthday", "eventId"} & json.loads(body)["data"].keys()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "7",
        '{"source": "honnin"}',
        event().replace('"honnin"', '"aws.ec2"'),
        event().replace("KycStatusChanged", "SomethingElse"),
        json.dumps({"source": "honnin", "detail-type": "KycStatusChanged", "detail": "text"}),
        json.dumps({"source": "honnin", "detail-type": "KycStatusChanged", "detail": {}}),
        event(occurredAt="yesterday"),
        event(occurredAt=7),
        event(userId=None),
        event(userId=7),
    ],
)
def test_what_is_no_domain_event_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"domain event|Expecting value"):
        Message.from_event(text)


# --- the signature ---


def test_the_reference_library_verifies_it() -> None:
    message, now = Message.from_event(event()), datetime.now(UTC)
    headers = dict(signed(message, (KEY,), now))
    assert Webhook(KEY).verify(message.body, headers) == json.loads(message.body)
    assert headers["webhook-timestamp"] == str(int(now.timestamp()))
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD_KEY).verify(message.body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(KEY).verify(message.body.replace(b"VERIFIED", b"LINKED"), headers)


@pytest.mark.parametrize("known", [KEY, OLD_KEY])
def test_during_a_rotation_either_key_verifies_it(known: str) -> None:
    message = Message.from_event(event())
    headers = dict(signed(message, (KEY, OLD_KEY), datetime.now(UTC)))
    assert Webhook(known).verify(message.body, headers)
    assert [each.partition(",")[0] for each in headers["webhook-signature"].split(" ")] == ["v1", "v1"]


def test_each_try_is_signed_at_its_own_moment_under_the_same_id() -> None:
    message = Message.from_event(event())
    first, later = (signed(message, (KEY,), START + timedelta(days=n)) for n in (0, 2))
    assert first["webhook-id"] == later["webhook-id"]
    assert int(later["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 2 * 86_400
    assert first["webhook-signature"] != later["webhook-signature"]


# --- one delivery ---


def endpoint(url: str, *, loopback: bool = True, total_s: float = 3.0) -> Endpoint:
    return Endpoint(url, lambda: (KEY,), loopback=loopback, total_s=total_s)


MESSAGE = Message.from_event(event())


@pytest.fixture
def receiver() -> Iterator[LoopbackServer]:
    with LoopbackServer() as server:
        yield server


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(receiver: LoopbackServer, status: int) -> None:
    receiver.replies[0] = Reply(status, b"")
    outcome = endpoint(f"{receiver.url}/hooks?a=1").send(MESSAGE)
    assert (outcome.delivered, outcome.status, outcome.reason) == (True, status, "")
    [request] = receiver.received
    assert (request.method, request.path, request.body) == ("POST", "/hooks?a=1", MESSAGE.body)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"]
    assert Webhook(KEY).verify(request.body, dict(request.headers))


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 400, 401, 404, 409, 410, 418, 429, 500, 502, 503])
def test_any_other_status_is_a_failure_and_no_redirect_is_followed(receiver: LoopbackServer, status: int) -> None:
    receiver.replies[0] = Reply(status, b"", {"Location": f"{receiver.url}/elsewhere"})
    outcome = endpoint(receiver.url).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (False, status)
    assert str(status) in outcome.reason
    assert outcome.is_gone is (status == 410)
    assert len(receiver.received) == 1


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(instead="close"), id="closes"),
        pytest.param(Reply(instead="reset"), id="resets"),
        pytest.param(Reply(wait_s=20), id="slow"),
        pytest.param(Reply(drip_s=0.2, drips="headers", headers={"X": "y" * 200}), id="drips"),
    ],
)
def test_without_an_answer_in_time_it_is_a_failure(receiver: LoopbackServer, reply: Reply) -> None:
    receiver.replies[0] = reply
    outcome = endpoint(receiver.url, total_s=0.7).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (False, None)
    assert outcome.reason
    assert outcome.seconds < 10


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(body=b"x" * 4096, forever=True, framing="chunked"), id="without an end"),
        pytest.param(Reply(body=b"x" * 100_000, says_length=100_000_000), id="100 MB"),
        pytest.param(Reply(body=b"x" * 300, drip_s=0.2), id="drips"),
        pytest.param(Reply(body=b"x" * 300, short_by=200), id="breaks off"),
    ],
)
def test_behind_a_2xx_the_rest_of_the_answer_does_not_matter(receiver: LoopbackServer, reply: Reply) -> None:
    receiver.replies[0] = reply
    outcome = endpoint(receiver.url, total_s=1.0).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (True, 200)
    assert outcome.seconds < 10


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n", id="chunks"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", id="until the end"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n", id="a length"),
    ],
)
def test_nobody_waits_for_what_comes_after_4_kib_of_an_answer(head: bytes) -> None:
    with RawServer(head + b"x" * 4096 + b"\r\n", pause_s=60) as server:
        outcome = endpoint(server.url, total_s=20).send(MESSAGE)
    assert outcome.delivered
    assert outcome.seconds < 15


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize(
    "lengths", ["Content-Length: 5\r\nContent-Length: 7", "Content-Length: none", "Content-Length: -1"]
)
def test_a_2xx_whose_length_makes_no_sense_is_a_success(lengths: str) -> None:
    with RawServer(f"HTTP/1.1 202 Accepted\r\n{lengths}\r\n\r\n{{}}".encode()) as server:
        outcome = endpoint(server.url).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (True, 202)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_what_is_no_http_is_a_failure() -> None:
    with RawServer(b"SSH-2.0-OpenSSH_9.6\r\n") as server:
        outcome = endpoint(server.url).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (False, None)


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.jp/hooks",
        "https://10.0.0.1/hooks",
        "https://[::1]/hooks",
        "https://2130706433/hooks",
        "https://user:password@shop.example.jp/hooks",
        "https://shop.example.jp:8443/hooks",
        "http://127.0.0.1:9000/hooks",
    ],
)
def test_an_url_that_breaks_a_rule_is_not_called(url: str) -> None:
    outcome = endpoint(url, loopback=False).send(MESSAGE)
    assert (outcome.delivered, outcome.status) == (False, None)
    assert outcome.reason


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "::1", "fd00::1"])
def test_a_name_that_leads_to_a_private_address_is_not_connected(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    looked_up = []

    def getaddrinfo(host: str, *_: Any, **__: Any) -> list[Any]:
        looked_up.append(host)
        return [(family, socket.SOCK_STREAM, 6, "", (address, 443))]

    class NoSocket:
        def __init__(self, *_: Any) -> None:
            """Open nothing."""

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(socket, "socket", NoSocket)
    # With the switch of the local stack, too: it allows 127.0.0.1 as such and no name that leads there.
    outcome = endpoint("https://shop.example.jp/hooks").send(MESSAGE)
    assert (outcome.delivered, looked_up) == (False, ["shop.example.jp"])
    assert "not public" in outcome.reason


@contextmanager
def tls_server(folder: Path, name: str) -> Iterator[tuple[int, Path, list[bytes]]]:
    """An endpoint on 127.0.0.1 with a certificate for `name`: its port, who vouches for it, and what it received."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(
        subject, subject, key.public_key(), x509.random_serial_number(), now - timedelta(1), now + timedelta(1)
    ).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    received: list[bytes] = []

    def serve() -> None:
        # Ends when the listener is closed; a client that refuses the certificate ends its connection only.
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(peer, server_side=True) as secure:
                    received.append(secure.recv(65_536))
                    secure.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1], certificate, received
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def send_over_tls(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, host: str = "shop.example.jp"
) -> tuple[Outcome, list[bytes]]:
    """Send to a host that leads to a server with a certificate for `name` by an authority that we know."""
    with tls_server(folder, name) as (port, certificate, received):
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address])
        # 127.0.0.1 stands for a public address here.
        monkeypatch.setattr(remote_file, "_refuse_private", lambda _: None)
        monkeypatch.setattr(remote_file, "_tls", lambda: ssl.create_default_context(cafile=certificate))
        return endpoint(f"https://{host}/hooks", loopback=False).send(MESSAGE), received


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("host", ["shop.example.jp", "SHOP.example.jp:443", "shop.example.jp."])
def test_a_certificate_for_the_name_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, host: str) -> None:
    outcome, received = send_over_tls(monkeypatch, tmp_path, "shop.example.jp", host)
    assert (outcome.delivered, outcome.reason) == (True, "")
    assert MESSAGE.body in received[0]


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_certificate_for_another_name_gets_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outcome, received = send_over_tls(monkeypatch, tmp_path, "other.example.jp")
    assert (outcome.delivered, outcome.status) == (False, None)
    assert "certificate is not valid" in outcome.reason
    assert received in ([], [b""])


# --- the queue, the circuit and the endpoint together ---


class CrashError(BaseException):
    """The execution environment dies."""


class Faulty:
    """A client some of whose calls fail: with an answer of AWS's, with a lost answer, or with the environment's end."""

    def __init__(self, client: Any, world: "World") -> None:
        self._client, self._world = client, world

    def __getattr__(self, name: str) -> Any:
        operation = getattr(self._client, name)
        if not callable(operation) or name == "exceptions":
            return operation
        if name == "get_paginator":
            return operation

        def call(**request: Any) -> Any:
            fault = self._world.faults.pop(0) if self._world.faults else ""
            if fault in ("crash before", "crash after"):
                if fault == "crash after":
                    operation(**request)
                raise CrashError
            if fault == "refused":
                raise aws_failure(name, "internal")
            answer = operation(**request)
            if fault == "lost":
                raise aws_failure(name, "lost")
            return answer

        return call


class FakeMapping:
    """The event source mapping, and the parameter with its id."""

    def __init__(self) -> None:
        self.enabled = True
        self.changes: list[bool] = []

    def get_event_source_mapping(self, *, UUID: str) -> dict[str, str]:  # noqa: N803
        assert UUID == "mapping-1"
        return {"State": "Enabled" if self.enabled else "Disabled"}

    def update_event_source_mapping(self, *, UUID: str, Enabled: bool) -> None:  # noqa: N803
        assert UUID == "mapping-1"
        self.enabled = Enabled
        self.changes.append(Enabled)

    def get_parameter(self, *, Name: str) -> dict[str, Any]:  # noqa: N803
        assert Name == "/mapping"
        return {"Parameter": {"Value": "mapping-1"}}


class World:
    """One deployment on AWS in memory, whose time the test moves, and an endpoint that answers as the test says."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.faults: list[str] = []
        self.dead = Queue("dead", self.clock)
        self.queue = Queue("hooks", self.clock, self.dead)
        self.queue.most_receives = 1000
        self.mapping = FakeMapping()
        self.answer: Callable[[Message], int | None] = lambda _: 204
        self.delivered: Counter[str] = Counter()
        self.tries: list[tuple[datetime, str]] = []
        self.db = cast("DynamoDBClient", Faulty(MemoryDynamoDB(), self))
        self.store = Store("table", self.db, now=self.clock)
        self._sqs = cast("SQSClient", Faulty(MemorySQS(self.clock, {"hooks": self.queue, "dead": self.dead}), self))
        self._lambdas: Any = Faulty(self.mapping, self)
        self.webhook = self.deployed("https://shop.example.jp/hooks")

    def deployed(self, url: str) -> MerchantWebhook:
        """What a deployment with that URL makes of it."""
        return MerchantWebhook(
            store=self.store,
            endpoint=cast("Endpoint", self),
            circuit=EndpointCircuit(
                self.store,
                "/mapping",
                url,
                self.clock,
                lambdas=cast("LambdaClient", self._lambdas),
                ssm=self._lambdas,
            ),
            queue=WaitingQueue("hooks", "dead", self._sqs),
            now=self.clock,
            overlap=worker.one_after_another,
        )

    def send(self, message: Message) -> Outcome:
        """The endpoint."""
        status = self.answer(message)
        self.tries.append((self.clock(), message.message_id))
        if status and 200 <= status < 300:
            self.delivered[message.message_id] += 1
            return Outcome(True, status, "", 0.1)
        return Outcome(False, status, remote_file.answered(status) if status else "no answer", 0.1)

    def tell(self, event_id: str, **detail: Any) -> str:
        """Put an event on the queue; returns its message id."""
        body = event(eventId=event_id, **detail)
        self.queue.add(body)
        return Message.from_event(body).message_id

    def poll(self) -> None:
        """What Lambda does with the mapping, until nothing is visible."""
        while self.mapping.enabled and (messages := self.queue.receive(10)):
            records = [
                {
                    "messageId": each.id,
                    "receiptHandle": each.handle,
                    "body": each.body,
                    "attributes": {"ApproximateReceiveCount": str(each.receives), "SentTimestamp": "1775012400000"},
                    "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:hooks",
                }
                for each in messages
            ]
            try:
                answer = self.webhook.batch({"Records": records}, FakeLambdaContext())
            except (CrashError, Exception):
                continue
            kept = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for each in messages:
                if each.id not in kept:
                    self.queue.delete(each.handle)

    def probe(self) -> None:
        """What the Scheduler does each minute."""
        try:
            self.webhook.probe()
        except (CrashError, Exception):
            return

    def pass_time(self, *, step_s: int = 60, **time: float) -> None:
        """Time with the probe in each minute (or step), and the mapping between."""
        end = self.clock() + timedelta(**time)
        while self.clock() < end:
            self.clock.advance(seconds=step_s)
            self.probe()
            self.poll()

    def settle(self) -> None:
        """Time until nothing waits."""
        for _ in range(1000):
            self.pass_time(minutes=1)
            if not self.queue.waiting and self.mapping.enabled:
                return
            self.skip_to_due()
        raise AssertionError("messages go on waiting")

    def skip_to_due(self) -> None:
        """Move on to when the next message is visible, and let the mapping work."""
        due = self.queue.next_due()
        if due and due > self.clock():
            self.clock.now = due
        self.poll()


def always(status: int | None) -> Callable[[Message], int | None]:
    """An endpoint that gives every message this answer."""
    return lambda _: status


@pytest.fixture
def world() -> World:
    return World()


def test_what_the_endpoint_takes_is_sent_once(world: World) -> None:
    ids = [world.tell(f"e-{n}") for n in range(25)]
    world.poll()
    assert world.delivered == Counter(ids)
    assert not world.queue.waiting
    assert not world.dead.waiting


def test_one_event_that_is_never_taken_is_tried_for_three_days_and_then_a_dead_letter(world: World) -> None:
    bad = world.tell("bad")
    world.answer = lambda message: 500 if message.message_id == bad else 204
    while not world.dead.waiting:
        world.tell(f"good-{len(world.tries)}")  # else the circuit would open
        world.poll()
        world.skip_to_due()
    tries = [at for at, name in world.tries if name == bad]
    waits = [(later - at).total_seconds() for at, later in pairwise(tries)]
    assert len(tries) == len(WebhookNotDeliveredError.schedule_s) + 1
    for wait_s, planned_s in zip(waits, WebhookNotDeliveredError.schedule_s, strict=True):
        assert planned_s <= wait_s <= 1.2 * planned_s + 1 <= 43_200
    assert timedelta(days=3) <= tries[-1] - tries[0] <= timedelta(days=4)
    [letter] = world.dead.waiting
    assert letter.attributes["errorType"]["StringValue"] == "WebhookNotDeliveredError"
    assert world.mapping.changes == []


def test_what_is_no_event_is_a_dead_letter_soon_and_holds_nothing_up(world: World) -> None:
    world.queue.add("not json")
    good = world.tell("e-1")
    world.pass_time(minutes=5)
    assert [each.body for each in world.dead.waiting] == ["not json"]
    assert world.delivered == Counter([good])


def test_after_so_many_failures_in_a_row_the_circuit_opens_and_the_mapping_is_disabled(world: World) -> None:
    world.answer = lambda _: 503
    for n in range(MOST_FAILURES - 1):
        world.tell(f"e-{n}")
    world.poll()
    assert world.mapping.enabled
    world.tell("one more")
    world.poll()
    assert not world.mapping.enabled
    reason = world.store.circuit.read().reason
    assert (reason, in_japanese(reason or "")) == ("the response was HTTP 503", "レスポンスが HTTP 503 だった")
    tries = len(world.tries)
    world.poll()
    assert len(world.tries) == tries


def test_a_success_counts_the_failures_from_zero(world: World) -> None:
    for n in range(3 * MOST_FAILURES):
        status = 204 if n % 5 == 0 else 500
        world.answer = always(status)
        world.tell(f"e-{n}")
        world.poll()
        world.queue.waiting.clear()
    assert world.mapping.changes == []


def test_410_opens_the_circuit_at_once(world: World) -> None:
    world.answer = lambda _: 410
    world.tell("e-1")
    world.poll()
    assert not world.mapping.enabled
    assert world.store.circuit.read().reason == "the response was HTTP 410"


def opened(world: World, messages: int = 30) -> list[str]:
    """The ids of events that wait behind the open circuit."""
    world.answer = lambda _: None
    ids = [world.tell(f"e-{n}") for n in range(messages)]
    world.poll()
    assert not world.mapping.enabled
    world.tries.clear()
    return ids


def test_while_it_is_open_only_the_probe_sends_one_message_a_minute(world: World) -> None:
    opened(world)
    world.pass_time(minutes=30)
    assert len(world.tries) == 30
    assert not world.mapping.enabled


def test_the_probes_success_closes_it_and_everything_is_delivered_once(world: World) -> None:
    ids = opened(world)
    world.pass_time(hours=2)
    world.answer = lambda _: 204
    world.pass_time(minutes=1)
    assert world.mapping.enabled
    world.settle()
    assert world.delivered == Counter(ids)
    assert not world.dead.waiting


def test_however_long_it_is_open_no_message_uses_up_its_life(world: World) -> None:
    ids = opened(world, messages=12)
    world.pass_time(days=9, step_s=600)
    assert not world.dead.waiting
    world.answer = lambda _: 204
    world.settle()
    assert world.delivered == Counter(ids)


def test_one_message_alone_is_not_received_so_often_that_sqs_takes_it_away(world: World) -> None:
    world.answer = lambda _: 410
    world.tell("e-1")
    world.poll()
    world.pass_time(days=13)
    # From the tenth day on it is a dead letter, before SQS deletes it.
    [letter] = world.dead.waiting
    assert letter.attributes["errorType"]["StringValue"] == "WebhookNotDeliveredError"
    assert len(world.tries) < 700


def test_what_is_too_old_becomes_a_dead_letter_and_younger_messages_go_on_waiting(world: World) -> None:
    ids = opened(world)
    world.pass_time(days=5, step_s=600)
    young = world.tell("young")
    world.pass_time(days=5, hours=12, step_s=600)
    assert len(world.dead.waiting) == len(ids)
    assert [Message.from_event(each.body).message_id for each in world.queue.waiting] == [young]


def test_a_message_that_the_endpoint_never_takes_does_not_keep_the_circuit_open(world: World) -> None:
    bad = world.tell("bad")
    world.answer = lambda _: 410
    world.poll()
    assert not world.mapping.enabled
    world.answer = lambda message: 500 if message.message_id == bad else 204
    good = world.tell("good")
    world.pass_time(minutes=3)
    assert world.mapping.enabled
    assert world.delivered == Counter([good])


def test_a_mapping_that_somebody_enables_is_disabled_again_and_no_message_is_tried(world: World) -> None:
    opened(world)
    world.clock.advance(seconds=3600)
    world.mapping.enabled = True
    world.poll()
    assert not world.mapping.enabled
    assert world.tries == []


def test_a_mapping_that_somebody_disables_is_enabled_again(world: World) -> None:
    world.mapping.enabled = False
    world.probe()
    assert world.mapping.enabled


def test_what_is_held_is_no_try() -> None:
    assert WebhookHeldError.wait_s is not None
    assert not WebhookHeldError.schedule_s


# --- erased users ---


def erased(world: World, user_id: str, *, done: bool = True) -> None:
    at = utc_text(world.clock())
    certificate = Certificate("c-1", user_id, at)
    world.store.erasure.begin(certificate)
    if done:
        world.store.erasure.end(certificate, at)


@pytest.mark.parametrize("done", [True, False])
def test_an_event_of_a_user_who_was_erased_meanwhile_is_dropped(world: World, *, done: bool) -> None:
    occurred = utc_text(world.clock())
    world.clock.advance(seconds=60)
    erased(world, "user-1", done=done)
    world.tell("e-1", occurredAt=occurred)
    other = world.tell("e-2", userId="user-2", occurredAt=occurred)
    world.poll()
    assert world.delivered == Counter([other])
    assert not world.queue.waiting
    assert not world.dead.waiting


def test_the_probe_drops_it_too_and_goes_on_to_the_next_message(world: World) -> None:
    opened(world)
    erased(world, "user-1")
    other = world.tell("e-x", userId="user-2")
    world.answer = lambda _: 204
    world.pass_time(hours=2)
    assert world.delivered == Counter([other])
    assert world.mapping.enabled
    assert not world.queue.waiting


def test_that_a_user_was_erased_is_told_and_so_is_one_who_came_back(world: World) -> None:
    erased(world, "user-1")
    world.queue.add(event("UserErased", completedAt=utc_text(world.clock())))
    world.clock.advance(seconds=60)
    world.tell("back", occurredAt=utc_text(world.clock()))
    world.poll()
    assert sum(world.delivered.values()) == 2


def test_a_circuit_that_closes_for_a_moment_lets_no_message_grow_so_old_that_sqs_deletes_it(world: World) -> None:
    ids = opened(world)
    world.pass_time(days=8, step_s=600)
    # One success, and the endpoint is down again: the outage is of eight days, the circuit of a minute.
    first = world.tell("taken")
    world.answer = lambda message: 204 if message.message_id == first else None
    while not world.delivered:
        world.pass_time(minutes=10, step_s=600)
    world.pass_time(days=5, step_s=600)
    assert not world.mapping.enabled
    left = {Message.from_event(each.body).message_id for each in world.dead.waiting}
    assert left == set(ids)


def test_a_success_between_failures_counts_whoever_has_seen_them(world: World) -> None:
    """The circuit is read once for a batch: what fails in it is seen only by what the batch has noted itself."""
    answers = iter([500] * (MOST_FAILURES - 1) + [204] + [500])
    world.answer = lambda _: next(answers)
    for n in range(MOST_FAILURES + 1):
        world.tell(f"e-{n}")
    world.poll()
    assert world.mapping.changes == []
    assert world.store.circuit.read().failures == 1


def test_what_was_delivered_is_done_even_if_the_success_cannot_be_noted(world: World) -> None:
    world.answer = always(500)
    world.tell("e-1")
    world.poll()
    world.answer = always(204)
    world.clock.advance(seconds=10)
    world.faults = ["", "", *["refused"] * 10]  # the circuit and the certificates are read; the rest fails
    world.poll()
    assert sum(world.delivered.values()) == 1
    assert not world.queue.waiting


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "ParameterNotFound"])
def test_a_mapping_that_is_gone_raises_the_alarm(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    def gone(**_: Any) -> None:
        raise ClientError({"Error": {"Code": code}}, "GetEventSourceMapping")

    monkeypatch.setattr(world.mapping, "get_event_source_mapping", gone)
    world.probe()
    assert "ConfigurationFault" in capsys.readouterr().out


def test_a_mapping_that_is_still_changing_is_no_fault_and_the_next_probe_changes_it(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lambda takes a while to enable or disable one, and refuses another change meanwhile."""

    def busy(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "ResourceInUseException"}}, "UpdateEventSourceMapping")

    ids = opened(world)
    world.answer = always(204)
    with monkeypatch.context() as patch:
        patch.setattr(world.mapping, "update_event_source_mapping", busy)
        patch.setattr(world.mapping, "get_event_source_mapping", lambda **_: {"State": "Disabling"})
        world.probe()
    assert not world.mapping.enabled
    assert not world.store.circuit.read().is_open
    assert "ConfigurationFault" not in capsys.readouterr().out
    world.settle()
    assert world.delivered == Counter(ids)


def test_another_endpoint_does_not_inherit_the_circuit(world: World) -> None:
    """A deployment has changed the URL: the failures of the old one say nothing about the new one."""
    opened(world)
    world.webhook = world.deployed("https://new.example.jp/hooks")
    world.answer = lambda _: 204
    world.clock.advance(seconds=60)
    world.probe()
    assert world.mapping.enabled
    assert world.store.circuit.read() == Circuit()
    # With nothing waiting, too: else the alarm would go on, about an endpoint that has not failed.
    for _ in range(MOST_FAILURES - 1):
        world.store.circuit.fail("the response was HTTP 500", "another")
    world.probe()
    assert world.store.circuit.read().failures == 0


def test_an_event_during_an_erasure_that_is_not_finished_waits_and_is_not_lost(world: World) -> None:
    erased(world, "user-1", done=False)
    world.clock.advance(seconds=60)
    world.tell("e-1", occurredAt=utc_text(world.clock()))
    world.pass_time(hours=3)
    assert not world.delivered
    assert len(world.queue.waiting) == 1
    [certificate] = world.store.erasure.certificates("user-1")
    world.store.erasure.end(certificate, utc_text(world.clock()))
    world.pass_time(hours=1)
    assert not world.delivered
    assert not world.queue.waiting
    assert not world.dead.waiting


def test_the_probe_leaves_an_event_of_a_user_who_is_being_erased_and_tries_another(world: World) -> None:
    world.answer = lambda _: 410
    first = world.tell("e-0", userId="user-2")
    world.poll()
    erased(world, "user-1", done=False)
    world.clock.advance(seconds=60)
    world.tell("e-1", occurredAt=utc_text(world.clock()))
    world.answer = lambda _: 204
    world.pass_time(minutes=10)
    assert world.delivered == Counter([first])
    assert world.mapping.enabled
    assert len(world.queue.waiting) == 1


# --- the test on request ---


def test_a_test_is_sent_at_once_whatever_the_circuit_says(world: World) -> None:
    assert world.webhook.test() == {"delivered": True, "status": 204, "reason": "", "seconds": 0.1}
    opened(world)
    assert world.webhook.test() == {"delivered": False, "status": None, "reason": "no answer", "seconds": 0.1}
    assert world.store.circuit.read().failures >= MOST_FAILURES
    made = [json.loads(Message.test(START).body) for _ in range(2)]
    assert made[0] == {"type": "honnin.test", "timestamp": "2026-04-01T03:00:00.000Z", "data": {}}
    assert Message.test(START).message_id != Message.test(START).message_id


def test_a_test_without_a_key_says_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_: Message) -> Outcome:
        raise SecretIncompleteError("arn", "current")

    monkeypatch.setattr(world, "send", send)
    answer = world.webhook.test()
    assert not answer["delivered"]
    assert "current" in answer["reason"]


def test_without_a_key_messages_wait_and_the_circuit_stays_closed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(_: Message) -> Outcome:
        raise SecretIncompleteError("arn", "current")

    monkeypatch.setattr(world, "send", send)
    for n in range(2 * MOST_FAILURES):
        world.tell(f"e-{n}")
    world.pass_time(hours=5)
    assert world.mapping.changes == []
    assert len(world.queue.waiting) == 2 * MOST_FAILURES


# --- whatever happens ---

_STEPS = st.one_of(
    st.tuples(st.just("tell"), st.integers(1, 12)),
    st.tuples(st.just("answer"), st.sampled_from([204, 204, 500, 410, 301, None])),
    st.tuples(st.just("pass"), st.sampled_from([1, 1, 2, 5, 30, 240])),
    st.tuples(st.just("deploy"), st.sampled_from(["https://shop.example.jp/hooks", "https://new.example.jp/hooks"])),
    st.tuples(st.just("fault"), st.tuples(st.integers(0, 12), st.sampled_from(
        ["refused", "lost", "crash before", "crash after"]))),
)  # fmt: skip


@settings(max_examples=150)
@given(st.lists(_STEPS, max_size=25))
def test_whatever_fails_nothing_is_lost_and_the_mapping_is_enabled_in_the_end(
    steps: list[tuple[str, Any]],
) -> None:
    world, broken = World(), False
    told: list[str] = []
    for step, value in steps:
        match step:
            case "tell":
                told += [world.tell(f"e-{len(told) + n}") for n in range(value)]
            case "answer":
                world.answer = always(value)
            case "pass":
                world.pass_time(minutes=value)
            case "deploy":
                world.webhook = world.deployed(value)
            case "fault":
                place, kind = value
                world.faults = [""] * place + [kind]
                broken = True
    # In the end everything works again.
    world.faults.clear()
    world.answer = lambda _: 204
    told.append(world.tell("last"))
    world.settle()
    left = [Message.from_event(each.body).message_id for each in world.dead.waiting]
    assert set(told) == set(world.delivered) | set(left)
    assert not world.store.circuit.read().is_open
    if not broken:
        assert world.delivered == Counter(told)
    assert world.store.circuit.read().failures == 0
