"""PayPay's rules on one table in memory: linking, notifications and the merchant's reads; PayPay says what a test says.

Everything that a test may want to break or to look at is a public attribute.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from honnin.erasure import Erasure
from honnin.event import Event
from honnin.kept_registers import KeptRegisters
from honnin.paypay.account_link import AccountLinks, LinkRequest
from honnin.paypay.archive import KycArchive
from honnin.paypay.expiry import PayPayExpiries
from honnin.paypay.kyc_reading import KycReads
from honnin.paypay.models import AccountLink
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import Rules
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.recon.notification import ReconNotifications
from honnin.settling import Settling
from honnin.status import VerifiedNeeds
from honnin.store import Link, Store, TimelineEntry, UserStatus
from honnin.times import utc_text
from honnin.vault import Vault
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.response_token import response_token
from tests.fakes import FakeBus, FakeClock, FakeVexora
from tests.fakes.memory import dynamodb, s3
from tests.fakes.paypay import FakePayPay
from tests.fakes.paypay_user import RULES
from tests.tables import create_table

USER = "user-1"
LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
PASSPORT = "mini_app_kyc_passport"
INFO = "get_kyc_info"
QR = "kyc_passport_qr"

_ACCOUNT = PayPayAccount(client_id="client")


class LinkingPayPay(FakePayPay):
    """A PayPay that also makes account-link QRs."""

    def __init__(self) -> None:
        """Begin with a code id for QRs of the KYC Passport flow."""
        super().__init__()
        self.code_id: str | None = "code-1"
        self.nonces: list[str] = []

    def create_account_link(self, request: Mapping[str, Any]) -> AccountLink:
        """Make a QR."""
        self.nonces.append(request["nonce"])
        code_id = self.code_id if request.get("accountLinkFlow") else None
        return AccountLink("https://qr.example.com/x", code_id, "OPA4")


class PayPayWorld:
    """One table, one PayPay, one clock; a `settings` change makes new workers with the next call."""

    def __init__(self) -> None:
        self.db = dynamodb()
        self.s3 = s3("vault")
        s3("recon")
        self.clock = FakeClock()
        self.needs = VerifiedNeeds.ANY
        self.rules: Rules = RULES
        self.paypay = LinkingPayPay()
        self.bus = FakeBus()
        self.vexora = FakeVexora()
        self.settling: Settling | None = None
        create_table(self.db, "StateTable")
        self._serial = 0

    @property
    def store(self) -> Store:
        """The table."""
        return Store("StateTable", self.db, verified_needs=self.needs, now=self.clock)

    # --- linking ---

    def ask(self, user_id: str = USER, scopes: tuple[str, ...] = (PASSPORT,), *, flow: bool = False) -> str:
        """The merchant asks for a QR; returns its nonce."""
        fields = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}} if flow else {}
        self.clock.advance(seconds=1)
        self._links().create(LinkRequest(user_id, scopes, "https://shop.example.jp", fields), "https://x.example.jp")
        return self.paypay.nonces[-1]

    def answer(self, nonce: str, user_id: str = USER, linked: str = LINKED, result: str = "succeeded") -> str:
        """The browser comes back; returns where it is sent. PayPay knows the authorization from then on."""
        self.clock.advance(seconds=1)
        claims: dict[str, object] = {"nonce": nonce, "referenceId": user_id, "result": result}
        if result == "succeeded":
            claims["userAuthorizationId"] = linked
            self.paypay.authorizations.setdefault(linked, {"status": "ACTIVE", "referenceIds": [user_id]})
        return self.come_back(self.token(claims))

    def token(self, claims: dict[str, object]) -> str:
        """What PayPay gives the browser on its way."""
        return response_token(_ACCOUNT, claims, now=self.clock().timestamp(), ttl_s=600)

    def come_back(self, token: str) -> str:
        """The browser comes back with a token; returns where it is sent."""
        return self._links().finish(token)

    def link(
        self, user_id: str = USER, linked: str = LINKED, scopes: tuple[str, ...] = (PASSPORT,), *, flow: bool = False
    ) -> None:
        """A QR and its answer."""
        self.answer(self.ask(user_id, scopes, flow=flow), user_id, linked)
        self.paypay.asked.clear()

    # --- reading ---

    def notify(
        self, kind: str = "kyc", subject: str = LINKED, cause: str = "webhook", received: datetime | None = None
    ) -> None:
        """One event, just received, processed by a fresh worker."""
        self._serial += 1
        now = self.clock.advance(seconds=1)
        received_at = utc_text(received or now)
        event = Event(f"paypay:{kind}:n{self._serial}", "paypay", kind, cause, subject, received_at)
        self.processor().process(event)

    def processor(self) -> EventProcessor:
        """A worker that remembers nothing."""
        store = self.store
        paypay = PayPayNotifications(
            store=store, client=self.paypay, archive=self._archive(), rules=self.rules, now=self.clock
        )
        return EventProcessor(
            store=store,
            publisher=Publisher("bus", store, self.bus.client),
            vexora=self.vexora,
            now=self.clock,
            paypay=paypay,
            expiries=PayPayExpiries(paypay, self.rules, self.clock),
            recon=ReconNotifications(store, ()),
            settling=self.settling,
        )

    def reads(self) -> KycReads:
        """The merchant's reads."""
        self.clock.advance(seconds=1)
        store = self.store
        return KycReads(
            store=store,
            client=self.paypay,
            archive=self._archive(),
            rules=self.rules,
            publisher=Publisher("bus", store, self.bus.client),
            now=self.clock,
        )

    def erase(self, user_id: str, *, unlink: bool = False) -> None:
        """The merchant has a user erased."""
        self.clock.advance(seconds=1)
        later: list[Event] = []
        Erasure(
            store=self.store,
            vault=Vault("vault", self.s3),
            registers=KeptRegisters("recon", self.s3, self.clock),
            paypay=lambda: self.paypay,
            sweep_later=later.append,
            publish=Publisher("bus", self.store, self.bus.client).user_erased,
            now=self.clock,
        ).erase(user_id, unlink=unlink)

    # --- what there is ---

    @property
    def publisher(self) -> Publisher:
        """The bus."""
        return Publisher("bus", self.store, self.bus.client)

    def items(self) -> list[Any]:
        """Every item of the table, also what has expired."""
        return list(self.db.scan(TableName="StateTable")["Items"])

    def user(self, user_id: str = USER) -> UserStatus:
        """The user's present status."""
        found = self.store.users.status(user_id, "paypay")
        assert found is not None
        return found

    def status(self, user_id: str = USER) -> tuple[str, str | None]:
        """The user's status, and PayPay's own word."""
        found = self.user(user_id)
        return found.status, found.provider_status

    def kept(self, linked: str = LINKED) -> Link:
        """What is kept with a link."""
        found = self.store.links.get(linked)
        assert found is not None
        return found

    def timeline(self, user_id: str = USER) -> list[TimelineEntry]:
        """The user's timeline, newest first."""
        return self.store.users.timeline(user_id, 100)[0]

    def _archive(self) -> KycArchive:
        return KycArchive(Vault("vault", self.s3), Selfies(()))

    def _links(self) -> AccountLinks:
        store = self.store
        return AccountLinks(
            store=store,
            client=self.paypay,
            publisher=Publisher("bus", store, self.bus.client),
            api_secret=_api_secret,
            audience=_ACCOUNT.client_id,
            pkce_field="kycPassport.codeChallenge",
            session_life=timedelta(hours=1),
            rules=self.rules,
            reader=self.paypay,
            now=self.clock,
        )


def _api_secret(*, refresh: bool = False) -> str:
    return _ACCOUNT.api_secret
