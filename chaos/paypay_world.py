"""One schedule's world: PayPay, the merchant, the queue and its workers around Honnin's own code.

Real: `webhook.acknowledge_paypay`, `worker.run`, `EventProcessor`, `PayPayNotifications`, `Store`, `Publisher`,
`Vault`, `PayPayClient` and `http_client` down to the connection, `secret_store` with Powertools' cache, `AccountLinks`,
`KycReads`, and the poll. Simulated: DynamoDB, S3, SQS, EventBridge, Secrets Manager and PayPay.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from chaos.aws import Guarded
from chaos.checks import plain
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.environment import API_S, WORKER_S, Environment
from chaos.paypay import (
    BASE_URL,
    CHANGED,
    KYC_INFO_PATH,
    KYC_PASSPORT_PATH,
    PASSPORT_SCOPE,
    QR_PATH,
    QR_SCOPE,
    RULES,
    Authorization,
    PayPay,
)
from chaos.paypay_schedule import SCOPES, Change, Extend, Link, Notify, PayPaySchedule, Read, Step
from chaos.s3 import MemoryS3
from honnin import event_queue, secret_store, webhook
from honnin.paypay.account_link import KYC_PASSPORT_FLOW, AccountLinks, LinkRequest
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.expiry import PayPayExpiries, watch
from honnin.paypay.kyc_reading import KycReads
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import Rules
from honnin.processor import EventProcessor
from honnin.recon.notification import ReconNotifications
from honnin.settling import Settling
from honnin.store import Store
from honnin.vault import Vault
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.response_token import response_token

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from honnin.paypay.selfie import Selfies
    from honnin.vexora.client import VexoraClient

_TRIES = 3
# The defaults of the parameter `SettleDelays`.
_SETTLE_DELAYS_S = (60, 900)

_TYPES = {kind: name for name, kind in webhook.PAYPAY_KINDS.items()}
_ACCOUNT = PayPayAccount(client_id="chaos-client")


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test of the harness itself puts a broken one in."""

    store: type[Store] = Store
    notifications: type[PayPayNotifications] = PayPayNotifications
    processor: type[EventProcessor] = EventProcessor
    table: type[MemoryDynamoDB] = MemoryDynamoDB
    vault: type[Vault] = Vault
    links: type[AccountLinks] = AccountLinks
    rules: Rules = RULES
    settling: type[Settling] = Settling
    watch: Callable[..., dict[str, int]] = watch
    # Settling mends much of what is broken elsewhere: without both, that can be seen.
    lags: bool = True


@dataclass(frozen=True)
class Received:
    """A notification that was acknowledged at `at`."""

    event_id: str
    kind: str
    authorization_id: str
    at: datetime


def recon_file_name(event_id: str) -> str:
    """The file that this notification names: now that of one day, now that of the next."""
    serial = int(event_id.rpartition("n")[2])
    return f"kyc_passport_1_2026033{serial % 2}_20260331.csv"


class PayPayWorld(Environment[Step]):
    """Plays one schedule. What happened is in its public attributes, for `chaos.paypay_checks`."""

    def __init__(self, schedule: PayPaySchedule, parts: Parts | None = None) -> None:
        self._parts = parts or Parts()
        super().__init__(schedule, self._parts.store, self._parts.table)
        self._serial = 0
        self._scopes: dict[str, tuple[str, ...]] = {}
        self.paypay = PayPay(self.clock)
        self.connections = Connections(self.boundary, self.clock, self.paypay.answer, self.paypay.fail)
        self.bucket = MemoryS3()
        self.received: list[Received] = []
        self.reads: list[tuple[str, datetime]] = []
        self._secret_key = self.paypay.api_key
        s3 = cast("S3Client", Guarded(self.bucket, self.boundary, "s3"))
        # No answer here names a selfie.
        self._archive = KycArchive(self._parts.vault("bucket", s3), cast("Selfies", None))

    # --- steps ---

    def step(self, step: Step) -> None:
        """Play one step."""
        match step:
            case Link(user, scopes, redirect, life_s):
                self._link(_name(user), SCOPES[scopes], redirect, life_s)
            case Extend(user):
                if _name(user) in self.paypay.authorizations:
                    self.paypay.extend(_name(user))
            case Change(user, what, delivery, lag_s):
                self._change(_name(user), what, delivery, lag_s)
            case Notify(user, kind, copies, old):
                self._notify_again(_name(user), kind, copies, old=old)
            case Read(user):
                self._read(_name(user))
            case _:
                super().step(step)

    def _link(self, user_id: str, scopes: tuple[str, ...], redirect: str, life_s: int) -> None:
        # A user is asked for the same scopes every time: what PayPay does with others is not published.
        scopes = self._scopes.setdefault(user_id, scopes)
        flow = {"accountLinkFlow": KYC_PASSPORT_FLOW} if QR_SCOPE in scopes else {}
        request = LinkRequest(user_id, scopes, "https://shop.example.com/done", flow)
        result, _ = self.invoke(lambda: self._links().create(request, "https://api.example.com/back"), API_S)
        if result is None:
            return
        mine = self.paypay.authorizations.get(user_id)
        if mine and mine[-1].state.account != "active":
            return  # PayPay's own login stops here
        nonce = next(each for whose, each in reversed(self.paypay.nonces) if whose == user_id)
        claims = {"nonce": nonce, "referenceId": user_id, "profileIdentifier": "*****67", "result": "declined"}
        if redirect != "declined":
            agreed = self.paypay.grant(user_id, scopes, life_s)
            claims |= {"result": "succeeded", "userAuthorizationId": agreed.id}
            if result.code_id:
                self.paypay.qrs[result.code_id] = agreed.id
        token = response_token(_ACCOUNT, claims, now=self.clock().timestamp(), ttl_s=600)
        for _ in range({"lost": 0, "twice": 2}.get(redirect, 1)):
            self.invoke(lambda: self._links().finish(token), API_S)

    def _change(self, user_id: str, what: str, delivery: str, lag_s: int) -> None:
        if user_id not in self.paypay.authorizations:
            return
        kind, changed = CHANGED[what]
        self.paypay.change(user_id, lag_s if self._parts.lags else 0, **changed)
        notification = self._notification(kind, self.paypay.authorizations[user_id][-1])
        match delivery:
            case "sent" | "twice":
                for _ in range(2 if delivery == "twice" else 1):
                    self._notify(*notification)
            case "late":
                self.later(self.clock.peek(), lambda: self._notify(*notification))

    def _notify_again(self, user_id: str, kind: str, copies: int, *, old: bool) -> None:
        mine = self.paypay.authorizations.get(user_id)
        if mine:
            notification = self._notification(kind, mine[0 if old else -1])
            for _ in range(copies):
                self._notify(*notification)

    def _notification(self, kind: str, authorization: Authorization) -> tuple[Received, str]:
        self._serial += 1
        fields = {"notification_id": f"n{self._serial}", "user_authorization_id": authorization.id}
        ours = {"recon": "recon_file", "customer": "account_status"}.get(kind, kind)
        event_id = f"paypay:{ours}:n{self._serial}"
        match kind:
            case "recon":
                fields = {
                    "notification_id": f"n{self._serial}",
                    "fileType": "KYC",
                    "path": f"https://files.example.com/{recon_file_name(event_id)}",
                    "requestedAt": "1775055600",
                }
            case "customer":
                fields = {"notification_id": f"n{self._serial}", "userAuthorizationId": authorization.id}
        name = "customer.authroization.revoked" if kind == "customer" else _TYPES.get(ours, "payment.completed")
        received = Received(event_id, ours, authorization.id, self.clock.peek())
        return received, json.dumps({"notification_type": name, **fields})

    def _notify(self, notification: Received, body: str) -> None:
        """PayPay delivers: three tries, then never again."""
        for _ in range(_TRIES):
            answer = self.acknowledge_paypay(body)
            if answer and answer["statusCode"] == 200:
                received = (notification.event_id, notification.kind, notification.authorization_id)
                self.received.append(Received(*received, self.clock.peek()))
                return

    def _read(self, user_id: str) -> None:
        begun = self.clock()
        item = self.table.find(f"USER#{user_id}", "STATUS#paypay") or {}
        status = plain(item)
        scopes = status.get("scopes", [])
        code_id = status.get("asked_code_id") or status.get("code_id")
        if not {"get_kyc_info", PASSPORT_SCOPE} & set(scopes) and code_id is None:
            return
        reads = KycReads(
            store=self.store,
            client=self._client(),
            archive=self._archive,
            rules=self._parts.rules,
            publisher=self.publisher,
            now=self.clock,
        )

        def read() -> Any:
            if code_id:
                return reads.completed_qr(code_id)
            return reads.kyc_passport(user_id) if PASSPORT_SCOPE in scopes else reads.kyc_info(user_id, None)

        result, _ = self.invoke(read, API_S)
        if result is not None:
            self.reads.append((user_id, begun))

    def rotate(self) -> None:
        """In Secrets Manager and at PayPay."""
        self._secret_key = f"key-{int(self._secret_key.removeprefix('key-')) + 1}"
        self.paypay.api_key = self._secret_key

    # --- the end ---

    def poll(self) -> None:
        """Both schedules run: the poll, and the one that looks for what has ended."""
        super().poll()

        def run() -> Any:
            return self._parts.watch(
                store=self.store,
                send=lambda events, delay_s: event_queue.send_later(
                    "events", ((each, delay_s) for each in events), self.sqs
                ),
                ahead=timedelta(minutes=30),
                now=self.clock(),
                left_ms=self.boundary.remaining_ms,
            )

        self.invoke(run, WORKER_S)

    def come_to_rest(self) -> None:
        """The poll publishes what is overdue, and whatever has ended by now is looked for."""
        super().come_to_rest()
        self.clock.advance(180)
        self.poll()
        super().come_to_rest()
        self.paypay.pass_time()

    def close(self) -> None:
        """One more notification of each kind for whoever is linked, once the reads show all there is.

        By then, what was not answered when a link ended is asked for again.
        """
        self.clock.advance(24 * 3600)
        for mine in list(self.paypay.authorizations.values()):
            for authorization in mine:
                for kind in ("account_status", "kyc"):
                    self._notify(*self._notification(kind, authorization))

    # --- what Lambda makes ---

    def processor(self) -> EventProcessor:
        """The processor of a fresh environment."""
        notifications = self._parts.notifications(
            store=self.store,
            client=self._client(),
            archive=self._archive,
            rules=self._parts.rules,
            now=self.clock,
        )
        return self._parts.processor(
            store=self.store,
            paypay=notifications,
            recon=ReconNotifications(self.store, ()),
            publisher=self.publisher,
            vexora=cast("VexoraClient", None),  # no event here is Vexora's
            expiries=PayPayExpiries(notifications, self._parts.rules, self.clock),
            settling=self._parts.settling(
                _SETTLE_DELAYS_S, partial(event_queue.send_later, "rereads", client=self.sqs), self.clock
            ),
            now=self.clock,
        )

    def _client(self) -> PayPayClient:
        return PayPayClient(
            BASE_URL,
            secret_store.paypay_credentials,
            paths=PayPayPaths(KYC_INFO_PATH, KYC_PASSPORT_PATH, QR_PATH + "{codeId}"),
            epoch=lambda: self.clock.peek().timestamp(),
            sleep=self.clock.advance,
        )

    def _links(self) -> AccountLinks:
        return self._parts.links(
            store=self.store,
            client=self._client(),
            publisher=self.publisher,
            api_secret=_api_secret,
            audience=_ACCOUNT.client_id,
            session_life=timedelta(hours=1),
            pkce_field="kycPassport.codeChallenge",
            rules=self._parts.rules,
            reader=self._client(),
            now=self.clock,
        )

    def secret(self) -> str:
        """PayPay's credentials."""
        return json.dumps({"paypay_api_key": self._secret_key, "paypay_api_secret": _ACCOUNT.api_secret})


def _api_secret(*, refresh: bool = False) -> str:  # noqa: ARG001 -- this one is never rotated
    return _ACCOUNT.api_secret


def _name(user: int) -> str:
    return f"user-{user}"
