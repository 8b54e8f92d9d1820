"""A wrong key or header must not unlink everybody: the deployed processor, and a night with the fault harness."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast

import boto3
import pytest

from chaos import recon_world
from chaos.environment import prepared
from chaos.paypay import RULES
from chaos.recon_schedule import Change, Compare, Download, Night, ReconSchedule
from chaos.recon_world import PASSPORT, ReconWorld
from chaos.replacing import replaced
from chaos.schedule import Wait, Work
from chaos.sqs import Queue
from honnin import aws, secret_store
from honnin.event import Event
from honnin.mass_change import LEAST_USERS, BatchWatch
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.notification import PayPayNotifications
from honnin.processor import EventProcessor
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.notification import ReconNotifications
from honnin.store import Loss
from honnin.times import utc_text
from sandbox.paypay.account import PayPayAccount
from sandbox.server import RunningSandbox
from tests.fakes.cli import Service
from tests.fakes.deployment import Deployment
from tests.fakes.merchant import Merchant

# --- the deployed processor ---


class Bench:
    """The processor, its two mappings, and users who are linked and verified."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box
        self.processor = stack.function("event_processor")
        self.merchant = Merchant(stack)
        self.mappings = {"repair": True, "reread": True}
        boto3.client("ssm").put_parameter(Name="/honnin/stack/repair-mappings", Value="repair,reread", Type="String")

    def update(self, *, UUID: str, Enabled: bool) -> None:  # noqa: N803 -- Lambda's names
        """Lambda's UpdateEventSourceMapping."""
        self.mappings[UUID] = Enabled

    def verified(self, user_id: str) -> str:
        """A user who is linked and verified; the authorization id."""
        self.merchant.link(user_id, scopes=["mini_app_kyc_passport"])
        assert self.read(user_id) == "VERIFIED"
        return self.of(user_id).user_authorization_id or ""

    def read(self, user_id: str) -> str:
        """The merchant reads a user; the status."""
        return str(self.merchant.read(f"/paypay/users/{user_id}/kyc-passport")["json"]["status"])

    def of(self, user_id: str) -> Any:
        """The user's present status."""
        return self.stack.store.users.status(user_id, "paypay")

    def queue(self, queue: str, authorization_id: str, cause: str) -> None:
        """An event about a user on a queue of the processor."""
        event_id, received_at = f"{cause}:{authorization_id}:{queue}", utc_text(datetime.now(UTC))
        event = Event(event_id, "paypay", "account_status", cause, authorization_id, received_at)
        self.stack.send(event.to_json(), queue)


@pytest.fixture
def bench(stack: Deployment, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(stack, box)
    with monkeypatch.context() as ours:
        ours.setattr(aws, "lambdas", lambda: Service(update_event_source_mapping=made.update))
        yield made
    box.paypay.dials.reset()


@pytest.mark.parametrize(
    ("queue", "cause"), [("RepairQueue", "recon"), ("RereadQueue", "settle"), ("RereadQueue", "operator")]
)
def test_the_deployed_processor_stops_what_may_wait_tells_people_and_goes_on_live(
    bench: Bench, queue: str, cause: str
) -> None:
    one, two = bench.verified("user-1"), bench.verified("user-2")
    # Nineteen users before them, as other environments have read them.
    bench.stack.store.mass_change.add(100, {Loss("paypay", "VERIFIED", "UNLINKED", "recon"): LEAST_USERS - 1})
    bench.box.paypay.dials.put({"authorization_fault": {"kind": "INVALID_USER_AUTHORIZATION_ID"}})

    bench.queue(queue, one, cause)
    assert len(bench.stack.work(bench.processor, queue)) == 1
    assert bench.of("user-1").status == "VERIFIED"
    assert bench.mappings == {"repair": False, "reread": False}
    [mail] = bench.stack.mails()
    assert "many users lost their verification" in mail["Subject"]
    assert "VERIFIED -> UNLINKED (recon)" in mail["Message"]

    # A batch that is received all the same is not even asked about, and no second mail is sent.
    calls = bench.box.paypay.register.view("user-2")["calls"]
    bench.queue(queue, two, cause)
    assert len(bench.stack.work(bench.processor, queue)) == 1
    assert bench.box.paypay.register.view("user-2")["calls"] == calls
    assert bench.stack.mails() == []

    # Live events go on.
    bench.queue("EventQueue", two, "webhook")
    assert bench.stack.work(bench.processor, "EventQueue") == []
    assert bench.of("user-2").status == "UNLINKED"

    # Mended and resumed, what waited is worked off.
    bench.box.paypay.dials.reset()
    bench.stack.store.mass_change.resume()
    bench.queue(queue, two, f"{cause}2")
    assert bench.stack.work(bench.processor, queue) == []
    assert bench.of("user-2").status == "VERIFIED"


def test_readings_of_the_merchant_api_count(bench: Bench) -> None:
    before = bench.stack.store.mass_change.read().readings
    bench.verified("user-1")
    bench.box.paypay.dials.put({"kyc_passport_fault": {"kind": "UNACCEPTABLE_OP"}})
    assert bench.read("user-1") == "RISK_FLAGGED"
    counted = bench.stack.store.mass_change.read()
    assert counted.readings >= before + 2
    assert counted.losses == {Loss("paypay", "VERIFIED", "RISK_FLAGGED", "api"): 1}


# --- a night, with the fault harness ---

USERS = 30
_LATER = "2027-01-01T00:00:00.000Z"
_ACCOUNT = PayPayAccount()


class WrongMerchantWorld(ReconWorld):
    """Recon's world, in which Honnin says that it is another merchant until that is mended."""

    is_wrong = True
    are_right = False
    stopped_with: Sequence[str] = ()

    def processor(self) -> EventProcessor:
        """A processor that is watched, and sends the wrong header as long as it is wrong."""
        client = PayPayClient(
            recon_world._BASE_URL,
            secret_store.paypay_credentials,
            paths=PayPayPaths(_ACCOUNT.paths.kyc_info, _ACCOUNT.paths.kyc_passport, _ACCOUNT.paths.kyc_passport_qr),
            assume_merchant="somebody-else" if self.is_wrong else "",
            epoch=lambda: self.clock.peek().timestamp(),
            sleep=self.clock.advance,
        )
        return EventProcessor(
            store=self.store,
            publisher=self.publisher,
            vexora=cast("Any", None),
            now=self.clock,
            paypay=PayPayNotifications(
                store=self.store, client=client, archive=self._archive, rules=RULES, now=self.clock
            ),
            recon=ReconNotifications(self.store, tuple(FILE_TYPES)),
            watch=BatchWatch(self.store, Decimal(5), lambda _: None, self.clock),
        )

    @property
    def is_stopped(self) -> bool:
        """Whether the mappings are disabled."""
        return self.store.mass_change.read().stop is not None

    def _work(self, queue: Queue, size: int, order: str) -> None:
        if queue is self.queue or not self.is_stopped:
            super()._work(queue, size, order)

    def next_due(self) -> datetime | None:
        """When the next message is due on a queue that is worked off."""
        return self.queue.next_due() if self.is_stopped else super().next_due()

    def calm(self) -> None:
        """Nothing is mended until somebody has looked."""
        super().calm()
        self.stopped_with = self.statuses() if self.is_stopped else []
        self.is_wrong = False
        self._idle.clear()
        # Whoever sees that the changes are right lets all of them pass.
        self.store.mass_change.resume(_LATER if self.are_right else None)
        # honninctl reread --status UNLINKED
        for authorization_id, user_id in self.owners().items():
            status = self.store.users.status(user_id, "paypay")
            if status and status.status == "UNLINKED":
                for kind in ("account_status", "kyc"):
                    event_id = f"operator:{user_id}:{kind}"
                    event = Event(event_id, "paypay", kind, "operator", authorization_id, utc_text(self.clock()))
                    self.queues[2].add(event.to_json())

    def statuses(self) -> list[str]:
        """How all users stand."""
        found = (self.store.users.status(user_id, "paypay") for user_id in self.owners().values())
        return sorted(each.status if each else "-" for each in found)

    def _change(self, user: str, what: str, notification: str) -> None:
        super()._change(user, what, notification)
        self.sandbox.paypay.dials.put({"wrong_merchant": "answered"})

    def _night(self, notification: str, day: str = "") -> None:
        super()._night(notification, day)
        self.sandbox.paypay.dials.put({"wrong_merchant": "answered"})


@pytest.mark.timeout(400)
@pytest.mark.parametrize("what", ["verified", "flagged"])
def test_a_night_as_another_merchant_unlinks_fewer_than_twenty_and_ends_in_the_truth(what: str) -> None:
    changes = tuple(Change(user, what, "lost") for user in range(USERS))
    night = (Wait(40_000), Night(), Work(10), Download(), Compare(200), Work(10), Work(10), Work(10), Work(10))
    schedule = ReconSchedule((*changes, *night), (), recheck_all=True)
    said: list[list[str]] = []
    with prepared(), replaced((recon_world, "_SCOPES", (PASSPORT,) * USERS)):
        world = WrongMerchantWorld(schedule)
        world.are_right = what == "flagged"
        world.play(lambda _: None, lambda it: said.append(it.statuses()))
    assert world.stopped_with.count("UNLINKED") == LEAST_USERS - 1
    assert world.stopped_with.count("VERIFIED") == USERS - LEAST_USERS + 1
    assert said == [["RISK_FLAGGED" if what == "flagged" else "VERIFIED"] * USERS]
