"""One schedule's world: PayPay, the merchant, the queue and its workers around Honnin's own code.

Real: `webhook.acknowledge_paypay`, `worker.run`, `EventProcessor`, `PayPayNotifications`, `Store`, `Publisher`,
`Vault`, `PayPayClient` and `http_client` down to the connection, `secret_store` with Powertools' cache, `AccountLinks`,
`KycReads`, and the poll. Simulated: DynamoDB, S3, SQS, EventBridge, Secrets Manager and PayPay.

Workers overlap without threads: at a boundary of the plan one pauses, the next steps of the schedule happen
(another worker's whole batch, a change at PayPay, a redirect), then it goes on.
"""

import io
import json
import logging
import os
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from chaos.aws import Bucket, Bus, GuardedDynamoDB, Message, Queue, Secrets
from chaos.boundary import Boundary, Clock, Crash, InjectedBugError
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.paypay import BASE_URL, CHANGED, KYC_INFO_PATH, KYC_PASSPORT_PATH, Authorization, PayPay
from chaos.schedule import SCOPES, Change, Echo, Link, Notify, Poll, Read, Rotate, Schedule, Step, Wait, Work
from honnin import config, observability, secret_store, webhook, worker
from honnin.errors import HonninError
from honnin.events import EventProcessor
from honnin.paypay.account_link import AccountLinks, LinkRequest
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.kyc_reading import KycReads
from honnin.paypay.notification import PayPayNotifications
from honnin.publish import Publisher
from honnin.recon.notification import ReconFiles
from honnin.store import Store, utc_text
from honnin.vault import Vault
from honnin.vexora.poll import poll
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.response_token import response_token

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

    from honnin.paypay.selfie import Selfies
    from honnin.vexora.client import VexoraClient

_TRIES = 3
_ACK_S = 10
_API_S = 29
_WORKER_S = 120

# Pauses within pauses: three workers on one user at once.
_DEEPEST = 3

# Every schedule drains long before: more means that something never comes to rest.
_MOST_BATCHES = 400

# How an invocation may fail under a fault plan. Anything else is a mistake, here or in the code under test.
_EXPLAINED = (HonninError, BotoCoreError, ClientError, InjectedBugError)

# (service, when, kind) of each fault that was met.
type Injected = Counter[tuple[str, str, str]]

_TYPES = {kind: name for name, kind in webhook.PAYPAY_KINDS.items()}
_ACCOUNT = PayPayAccount(client_id="chaos-client")


class ViolationError(AssertionError):
    """An invariant does not hold; `kind` is lost, twice, diverged or broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test of the harness itself puts a broken one in."""

    store: type[Store] = Store
    notifications: type[PayPayNotifications] = PayPayNotifications
    processor: type[EventProcessor] = EventProcessor
    table: type[MemoryDynamoDB] = MemoryDynamoDB


@dataclass(frozen=True)
class Heard:
    """A notification that was acknowledged at `at`."""

    event_id: str
    kind: str
    authorization_id: str
    at: datetime


class _Context(LambdaContext):
    """As much of a Lambda context as the worker asks for."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools types it as a static method
        """What is left of the invocation, on the world's clock."""
        return self._boundary.remaining_ms()


class World:
    """Plays one schedule. What happened is in its public attributes, for `chaos.checks`."""

    def __init__(self, schedule: Schedule, parts: Parts | None = None) -> None:
        self._parts = parts or Parts()
        self._steps = deque(schedule.steps)
        self._depth = 0
        self._serial = 0
        self._scopes: dict[str, tuple[str, ...]] = {}
        self._late: list[Callable[[], None]] = []
        self._idle: list[EventProcessor] = []
        self.clock = Clock()
        self.boundary = Boundary(schedule.faults, self.clock, self._meanwhile)
        self.table = self._parts.table(self.clock.peek)
        self.paypay = PayPay(self.clock)
        self.connections = Connections(self.boundary, self.clock, self.paypay.answer, self.paypay.fail)
        self.bucket = Bucket(self.boundary)
        self.queue = Queue(self.boundary, self.clock)
        self.bus = Bus(self.boundary, lambda event_id: self.table.find(f"EVENT#{event_id}", "EVENT") is not None)
        self.heard: list[Heard] = []
        self.reads: list[tuple[str, datetime]] = []
        self.log = io.StringIO()
        self._secret_key = self.paypay.api_key
        self._store = self._parts.store(
            "StateTable",
            cast("DynamoDBClient", GuardedDynamoDB(self.table, self.boundary)),
            now=self.clock.peek,
        )
        self._publisher = Publisher("bus", self._store, cast("EventBridgeClient", self.bus))
        # No answer here names a selfie.
        self._archive = KycArchive(Vault("bucket", cast("S3Client", self.bucket)), cast("Selfies", None))
        self._sqs = worker.Queue("events", "dead", cast("SQSClient", self.queue))

    def play(self, at_rest: Callable[["World"], None], closed: Callable[["World"], None]) -> None:
        """Play the schedule; call `at_rest` when the queue has drained, `closed` after one more notification each."""
        with self._installed():
            while self._steps:
                self._step(self._steps.popleft())
            self.boundary.off = True
            self._arrive()
            self._come_to_rest()
            at_rest(self)
            self._close()
            self._come_to_rest()
            closed(self)

    # --- steps ---

    def _meanwhile(self, steps: int) -> None:
        if self._depth >= _DEEPEST:
            return
        self._depth += 1
        try:
            for _ in range(steps):
                self._step(self._steps.popleft() if self._steps else Work())
        finally:
            self._depth -= 1

    def _step(self, step: Step) -> None:
        match step:
            case Link(user, scopes, redirect):
                self._link(_name(user), SCOPES[scopes], redirect)
            case Change(user, what, notice):
                self._change(_name(user), what, notice)
            case Notify(user, kind, copies, old):
                self._notify_again(_name(user), kind, copies, old=old)
            case Work(size, order, wait_s):
                self.clock.advance(wait_s)
                self._work(size, order)
            case Echo(index):
                self.queue.echo(index)
            case Read(user):
                self._read(_name(user))
            case Rotate():
                self._rotate()
            case Poll():
                self._poll()
            case Wait(seconds):
                self.clock.advance(seconds)
                self._arrive()

    def _link(self, user_id: str, scopes: tuple[str, ...], redirect: str) -> None:
        # A user is asked for the same scopes every time: what PayPay does with others is not published.
        scopes = self._scopes.setdefault(user_id, scopes)
        request = LinkRequest(user_id, scopes, "https://shop.example.com/done", {})
        if self._invoke(lambda: self._links().create(request, "https://api.example.com/back"), _API_S) is None:
            return
        mine = self.paypay.authorizations.get(user_id)
        if mine and mine[-1].state.account != "active":
            return  # PayPay's own login stops here
        nonce = next(each for whose, each in reversed(self.paypay.nonces) if whose == user_id)
        claims = {"nonce": nonce, "referenceId": user_id, "profileIdentifier": "*****67", "result": "declined"}
        if redirect != "declined":
            claims |= {"result": "succeeded", "userAuthorizationId": self.paypay.grant(user_id, scopes).id}
        token = response_token(_ACCOUNT, claims, now=self.clock().timestamp(), ttl_s=600)
        for _ in range({"lost": 0, "twice": 2}.get(redirect, 1)):
            self._invoke(lambda: self._links().finish(token), _API_S)

    def _change(self, user_id: str, what: str, notice: str) -> None:
        if user_id not in self.paypay.authorizations:
            return
        kind, changed = CHANGED[what]
        self.paypay.change(user_id, **changed)
        notification = self._notification(kind, self.paypay.authorizations[user_id][-1])
        match notice:
            case "sent" | "twice":
                for _ in range(2 if notice == "twice" else 1):
                    self._notify(*notification)
            case "late":
                self._late.append(lambda: self._notify(*notification))

    def _notify_again(self, user_id: str, kind: str, copies: int, *, old: bool) -> None:
        mine = self.paypay.authorizations.get(user_id)
        if mine:
            notification = self._notification(kind, mine[0 if old else -1])
            for _ in range(copies):
                self._notify(*notification)

    def _notification(self, kind: str, authorization: Authorization) -> tuple[Heard, str]:
        self._serial += 1
        fields = {"notification_id": f"n{self._serial}", "user_authorization_id": authorization.id}
        ours = kind
        match kind:
            case "recon":
                ours = "recon_file"
                fields = {
                    "notification_id": f"n{self._serial}",
                    "fileType": "KYC",
                    "path": f"https://files.example.com/kyc_passport_1_2026033{self._serial % 2}_20260331.csv",
                    "requestedAt": "1775055600",
                }
            case "customer":
                ours = "unrecognised"
                fields = {"notification_id": f"n{self._serial}", "userAuthorizationId": authorization.id}
        name = _TYPES.get(ours) or f"{kind}.authroization.succeeded"
        event_id = f"paypay:{ours}:n{self._serial}"
        heard = Heard(event_id, ours, authorization.id, self.clock.peek())
        return heard, json.dumps({"notification_type": name, **fields})

    def _notify(self, notification: Heard, body: str) -> None:
        """PayPay delivers: three tries, then never again."""
        request = {"requestContext": {"identity": {"sourceIp": "192.0.2.10"}}, "body": body}
        for _ in range(_TRIES):
            answer = self._invoke(
                lambda: webhook.acknowledge_paypay(request, source_cidrs=("192.0.2.0/24",), send=self.queue.accept),
                _ACK_S,
            )
            if answer and answer["statusCode"] == 200:
                heard = (notification.event_id, notification.kind, notification.authorization_id)
                self.heard.append(Heard(*heard, self.clock.peek()))
                return

    def _arrive(self) -> None:
        self.connections.thaw()
        while self._late:
            self._late.pop()()

    def _work(self, size: int, order: str) -> None:
        messages = self.queue.receive(size, order)
        if not messages:
            return
        environment = self._idle.pop() if self._idle else self._cold()

        def handle() -> Any:
            environment.begin_batch()
            batch = {"Records": [_sqs_record(message) for message in messages]}
            return worker.run(batch, _Context(self.boundary), process=environment.process, queue=self._sqs)

        answer = self._invoke(handle, _WORKER_S)
        if answer is None:
            return
        self._idle.append(environment)
        kept = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in messages:
            if message.id not in kept:
                self._ignoring_crashes(partial(self.queue.delete, message.id))

    def _read(self, user_id: str) -> None:
        begun = self.clock()
        item = self.table.find(f"USER#{user_id}", "STATUS#paypay") or {}
        scopes = [each["S"] for each in item.get("scopes", {"L": []})["L"]]
        if not {"get_kyc_info", "mini_app_kyc_passport"} & set(scopes):
            return
        reads = KycReads(
            store=self._store,
            client=self._client(),
            archive=self._archive,
            publisher=self._publisher,
            now=self.clock,
        )

        def read() -> Any:
            return reads.kyc_passport(user_id) if "mini_app_kyc_passport" in scopes else reads.kyc_info(user_id, None)

        if self._invoke(read, _API_S) is not None:
            self.reads.append((user_id, begun))

    def _rotate(self) -> None:
        self._secret_key = f"key-{int(self._secret_key.removeprefix('key-')) + 1}"
        self.paypay.api_key = self._secret_key

    def _poll(self) -> None:
        def run() -> Any:
            return poll(
                store=self._store,
                publisher=self._publisher,
                send=self.queue.accept,
                delays_s=(600,),
                now=self.clock(),
                left_ms=self.boundary.remaining_ms,
            )

        self._invoke(run, _WORKER_S)

    # --- the end ---

    def _come_to_rest(self) -> None:
        """No fault any more: the queue drains, dead letters are put back, the poll publishes what is overdue."""
        self._drain()
        self.queue.redrive()
        self._drain()
        self.clock.advance(180)
        self._poll()

    def _drain(self) -> None:
        for _ in range(_MOST_BATCHES):
            due = self.queue.next_due()
            if due is None:
                return
            self.clock.now = max(self.clock.now, due)
            self._work(10, "as sent")
        raise ViolationError("broken", "the queue does not drain")

    def _close(self) -> None:
        """One more notification of each kind for whoever is linked."""
        for mine in list(self.paypay.authorizations.values()):
            for authorization in mine:
                for kind in ("account_status", "kyc"):
                    self._notify(*self._notification(kind, authorization))

    # --- environments ---

    def _invoke[T](self, function: Callable[[], T], seconds: float) -> T | None:
        """Run one invocation; None when it failed or its environment died. What no fault explains is raised."""
        try:
            with self.boundary.invocation(seconds):
                return function()
        except Crash:
            self._idle.clear()
            return None
        except _EXPLAINED as error:
            self.log.write(f"invocation failed: {type(error).__name__}\n")
            return None

    def _ignoring_crashes(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Crash:
            return

    def _cold(self) -> EventProcessor:
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        DEFAULT_PROVIDERS["secrets"] = Secrets(self._secret, self.boundary)
        return self._parts.processor(
            store=self._store,
            paypay=self._parts.notifications(
                store=self._store,
                client=self._client(),
                archive=self._archive,
                recon_files=ReconFiles((), ()),  # no event here is about a file
                now=self.clock,
            ),
            publisher=self._publisher,
            vexora=cast("VexoraClient", None),  # no event here is Vexora's
            now=self.clock,
        )

    def _client(self) -> PayPayClient:
        return PayPayClient(
            BASE_URL,
            secret_store.paypay_credentials,
            paths=PayPayPaths(KYC_INFO_PATH, KYC_PASSPORT_PATH, "/kyc/qr/{codeId}"),
            epoch=lambda: self.clock.peek().timestamp(),
            sleep=self.clock.advance,
        )

    def _links(self) -> AccountLinks:
        return AccountLinks(
            store=self._store,
            client=self._client(),
            publisher=self._publisher,
            api_secret=_api_secret,
            audience=_ACCOUNT.client_id,
            pkce_field="kycPassport.codeChallenge",
            session_life=timedelta(hours=1),
            now=self.clock,
        )

    def _secret(self) -> str:
        return json.dumps({"paypay_api_key": self._secret_key, "paypay_api_secret": _ACCOUNT.api_secret})

    @contextmanager
    def _installed(self) -> Iterator[None]:
        """This world's clock, HTTP exchange, secrets and log, in place of the process's own."""
        randomness, stdout = random.getstate(), sys.stdout
        utc_now = webhook.utc_now
        random.seed(0)
        webhook.utc_now = lambda: utc_text(self.clock())
        DEFAULT_PROVIDERS["secrets"] = Secrets(self._secret, self.boundary)
        sys.stdout = _Log.redirect(self.log)
        try:
            with self.connections.installed():
                yield
        finally:
            sys.stdout, webhook.utc_now = stdout, utc_now
            random.setstate(randomness)
            DEFAULT_PROVIDERS.clear()


class _Log(io.TextIOBase):
    """One stream for the whole process, since Powertools' logger keeps the one that it was made with."""

    _only: "_Log | None" = None
    _target: io.StringIO

    @classmethod
    def redirect(cls, target: io.StringIO) -> "_Log":
        """The stream, which from now on writes to `target`."""
        cls._only = cls._only or cls()
        cls._only._target = target
        return cls._only

    def write(self, text: str) -> int:
        """Pass it on."""
        return self._target.write(text)


@contextmanager
def prepared() -> Iterator[None]:
    """The environment variables and the logger of a function, around any number of worlds."""
    wanted = {"PROVIDERS_SECRET_ARN": "arn:chaos:providers", "POWERTOOLS_SERVICE_NAME": "honnin-chaos"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    _forget()
    stdout, sys.stdout = sys.stdout, _Log.redirect(io.StringIO())
    observability.logger()
    sys.stdout = stdout
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    config.settings.cache_clear()
    observability.logger.cache_clear()
    logging.Logger.manager.loggerDict.pop("honnin-chaos", None)


def _api_secret(*, refresh: bool = False) -> str:  # noqa: ARG001 -- this one is never rotated
    return _ACCOUNT.api_secret


def _name(user: int) -> str:
    return f"user-{user}"


def _sqs_record(message: Message) -> Mapping[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives), "SentTimestamp": "1775012400000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
        "awsRegion": "ap-northeast-1",
    }
