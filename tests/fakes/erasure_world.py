"""A table and a versioned vault in memory, with users who are erased: what several tests of erasures need."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from unittest import mock

from boto3.dynamodb.types import TypeDeserializer

from honnin.erasure import UNEXPLAINED, Erasure, ErasureRequest, ErasureSweep
from honnin.errors import (
    HonninError,
)
from honnin.event import Event
from honnin.paypay.archive import KycArchive
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.store import Certificate, Effect, LinkSession, Store, Unattached
from honnin.times import utc_text
from honnin.vault import Evidence, Vault, VaultObject
from honnin.vexora.models import Reading
from honnin.vexora.submission import Submissions
from tests.fakes import FakeBus, FakeClock, FakeVexora
from tests.fakes.memory import dynamodb, s3
from tests.fakes.paypay import FakePayPay, answer
from tests.fakes.paypay_user import RULES, paypay_user
from tests.tables import create_table

USER = "user-1"
FORMER = "auth-former-5b0c"
LINKED = "auth-present-9d2e"
NEIGHBOUR = "auth-neighbour-77aa"
CODE = "code-41f6"
VERIFIER = "verifier-0a1b2c3d4e5f6071829304a5b6c7d8e9f0a1b2c3"
SCOPES = ("mini_app_kyc_passport",)
MISSED = f"recon:kyc_passport_sync_recon:2026-04-01:{LINKED}:1"
# What the message queue does before a message is moved to the dead-letter queue.
RECEIVES = 3


class Crash(BaseException):
    """The execution environment is gone. Nothing of Honnin's may catch it."""


class Moments:
    """Counts the moments just before and just after each AWS call; `at` says what happens at one of them."""

    def __init__(self, *clients: Any) -> None:
        self._clients = clients
        self.passed = 0
        self.dead = False
        self.at: dict[int, Callable[[], object]] = {}
        for client in clients:
            client.meta.events.register("before-call", self._pass)
            client.meta.events.register("after-call", self._pass)

    def from_now(self, at: Mapping[int, Callable[[], object]] | None = None) -> None:
        """Begin to count anew."""
        self.passed, self.at, self.dead = 0, dict(at or {}), False

    def off(self) -> None:
        """Let go of the clients."""
        for client in self._clients:
            client.meta.events.unregister("before-call", self._pass)
            client.meta.events.unregister("after-call", self._pass)

    def die(self) -> None:
        """The execution environment ends here: until the next count, no call comes through."""
        self.dead = True
        raise Crash

    def _pass(self, **_: object) -> None:
        if self.dead:
            raise Crash
        number, self.passed = self.passed, self.passed + 1
        # What happens meanwhile makes calls of its own, which nothing interrupts.
        if (happens := self.at.pop(number, None)) is not None:
            later, self.at = self.at, {}
            happens()
            self.at = later


class PayPay(FakePayPay):
    """PayPay as the test says; an authorization can be unlinked once."""

    def __init__(self) -> None:
        super().__init__()
        self.unlinked: list[str] = []

    def unlink(self, user_authorization_id: str) -> str | None:
        """End an authorization."""
        self._called("unlink")
        if user_authorization_id in self.unlinked:
            raise answer("INVALID_USER_AUTHORIZATION_ID")
        self.unlinked.append(user_authorization_id)
        return "OPA3"


class Vexora(FakeVexora):
    """Vexora; what is in `meanwhile` happens while a call is under way, once each."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Take the application."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return super().apply(user_id=user_id, username_furigana=username_furigana, callback_url=callback_url)

    def query_status(self, user_id: str) -> Reading:
        """Answer with the user's status."""
        if self.meanwhile:
            self.meanwhile.pop(0)()
        return super().query_status(user_id)


class World:
    """A table and a versioned vault in memory, the two providers as fakes, and the code under test over them."""

    def __init__(self, timeline_days: int = 0) -> None:
        db, bucket = dynamodb(), s3("vault")
        self.store = Store(create_table(db, "StateTable"), db, timeline_days=timeline_days, now=lambda: self.clock())
        self.moments = Moments(db, bucket)
        self.vault = Vault("vault", bucket)
        self.clock = FakeClock()
        self.paypay, self.vexora, self.bus = PayPay(), Vexora(), FakeBus()
        self.later: list[Event] = []
        self.publisher = publisher = Publisher("bus", self.store, self.bus.client)
        self.submissions = Submissions(
            store=self.store,
            client=self.vexora,
            publisher=publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: "callback-key",
            poll_delays_s=(600, 3600),
            now=self.tick,
        )
        self.processor = EventProcessor(
            store=self.store,
            publisher=publisher,
            vexora=self.vexora,
            now=self.tick,
            paypay=PayPayNotifications(
                store=self.store,
                client=self.paypay,
                archive=KycArchive(self.vault, Selfies(())),
                rules=RULES,
                now=self.tick,
            ),
            sweep=ErasureSweep(self.store, self.vault),
        )

    def tick(self) -> datetime:
        """The present moment; no two are the same."""
        return self.clock.advance(seconds=0.001)

    # --- what happens ---

    def erase(self, user_id: str = USER, *, unlink: bool = False, request: ErasureRequest = UNEXPLAINED) -> Certificate:
        """Erase a user, as one request would."""
        erasure = Erasure(
            store=self.store,
            vault=self.vault,
            registers=mock.Mock(),
            paypay=lambda: self.paypay,
            sweep_later=self.later.append,
            publish=self.publisher.user_erased,
            now=self.tick,
        )
        return erasure.erase(user_id, unlink=unlink, request=request)

    def link(self, linked: str = LINKED, user_id: str = USER, *, code_id: str | None = None) -> None:
        """A PayPay account is linked, over a QR of its own."""
        before = self.store.users.status(user_id, "paypay")
        at = utc_text(self.tick())
        after = paypay_user(user_id, linked=linked, scopes=SCOPES, code_id=code_id, at=at, before=before)
        session = LinkSession(
            nonce=f"nonce-{at}",
            user_id=user_id,
            scopes=SCOPES,
            return_url="https://shop.example.jp/kyc/done",
            expires_at=int(self.clock.now.timestamp()) + 3600,
            code_id=code_id,
            code_verifier=VERIFIER if code_id else None,
            code_expires_at=int(self.clock.now.timestamp()) + 86_400,
        )
        effect = Effect(f"api:linked:{at}", "linked", "api", at, before, after, {}, session=session, links=True)
        self.store.events.apply(effect)

    def submit(self, user_id: str = USER) -> str:
        """The merchant submits a user to Vexora; returns the submission's id."""
        self.submissions.submit(user_id, "テスト ハナコ")
        found = self.store.users.status(user_id, "vexora")
        assert found is not None
        assert found.submission_id is not None
        return found.submission_id

    def process(self, *events: Event) -> None:
        """One SQS batch. A message that fails comes again, until it would be a dead letter: then the test fails."""
        for each in events:
            if each.received_at == JUST_NOW:
                each.received_at = utc_text(self.tick())
        batch = self.processor.batch()
        for group in batch.divide(events):
            for member in group.members:
                for receive in range(1, RECEIVES + 1):
                    try:
                        group.process(events[member])
                    except HonninError as error:
                        if receive == RECEIVES and not error.retryable:
                            raise
                    else:
                        break
        batch.end()

    def overtake_a_dying_worker(self, kind: str = "kyc") -> None:
        """The user is erased just before a worker writes to the vault; it dies before it takes that back."""
        put = self.vault.put
        erasures = [self.erase]

        def overtaken(item: VaultObject) -> str:
            while erasures:
                erasures.pop()()
            return put(item)

        with mock.patch.object(self.vault, "put", overtaken), mock.patch.object(Evidence, "take_back"):
            self.process(event("in-flight", kind))

    def sweep(self) -> None:
        """A quarter of an hour later, what the erasures have asked for."""
        self.clock.advance(seconds=900)
        self.process(*self.later)
        self.later.clear()

    def wait_unattached(self, event_id: str, subject: str = LINKED) -> None:
        """An event that came when nobody knew whose the authorization is, and was not attached since."""
        at = utc_text(self.tick())
        self.store.events.keep(Unattached(event_id, "paypay", "unknown_user", "webhook", at, subject, {"type": "x"}))

    def compared(self) -> None:
        """A recon file of two days has been compared: events of recon can be about anybody."""
        for day in ("2026-04-01", "2026-04-02"):
            self.store.comparisons.first("kyc_passport_sync_recon", day, "a.csv", "2026-04-01T18:00:00.000Z")

    # --- looking at it ---

    def items(self) -> list[dict[str, Any]]:
        """Every item of the table, in order."""
        deserializer = TypeDeserializer()
        found = [
            {name: deserializer.deserialize(value) for name, value in item.items()}
            for item in dynamodb().scan(TableName="StateTable")["Items"]
        ]
        return sorted(found, key=lambda item: (item["pk"], item["sk"]))

    def naming(self, *marks: str) -> list[tuple[str, str]]:
        """The keys of the items that hold one of these texts anywhere."""
        texts = {(item["pk"], item["sk"]): json.dumps(item, default=str, ensure_ascii=False) for item in self.items()}
        return [key for key, text in texts.items() if any(mark in text for mark in marks)]

    def kept(self, user_id: str = USER) -> list[tuple[str, str]]:
        """The versions and delete markers of a user in the vault: key and version."""
        found = s3().list_object_versions(Bucket="vault", Prefix=f"paypay/{user_id}/")
        both = [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
        return [(each["Key"], each["VersionId"]) for each in both]

    def timeline(self, user_id: str = USER) -> list[dict[str, Any]]:
        """A user's timeline entries as they are in the table, oldest first."""
        return [item for item in self.items() if item["pk"] == f"USER#{user_id}" and item["sk"].startswith("AT#")]


# Events that a test does not date are received when they are processed.
JUST_NOW = "9999"


def event(
    notification_id: str, kind: str = "kyc", subject: str = LINKED, *, cause: str = "webhook", event_id: str = ""
) -> Event:
    """One event of PayPay's."""
    named = event_id or f"paypay:{kind}:{notification_id}"
    detail = {"type": "x"} if cause == "webhook" else {"file": "x.csv", "day": "2026-04-01"}
    return Event(named, "paypay", kind, cause, subject, JUST_NOW, detail)
