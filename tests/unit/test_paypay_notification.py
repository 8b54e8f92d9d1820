"""What a PayPay notification does, with PayPay in the test's hand: readings, races, days, waits."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin import worker
from honnin.errors import (
    ConcurrentUpdateError,
    HonninError,
    MaintenanceError,
    MalformedEventError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from honnin.event import Event
from honnin.paypay.archive import KycArchive
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import Rules, products_for
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.recon.notification import ReconNotifications
from honnin.status import KycProduct
from honnin.store import Effect, Link, ReceivedDay, Store, TimelineEntry, UserStatus
from honnin.times import utc_text
from honnin.vault import Vault
from tests.fakes import FakeBus, FakeClock, FakeLambdaContext, FakeQueue, FakeVexora
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.fakes.paypay import FakePayPay, answer
from tests.fakes.paypay_user import RULES, paypay_user
from tests.paypay_answers import STATUS_OF
from tests.tables import create_table

LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
PASSPORT = ("mini_app_kyc_passport",)


class Bench:
    """A table in memory, a fake PayPay, and as many workers as a test wants; all share one clock."""

    def __init__(self) -> None:
        self.db = dynamodb()
        self.s3 = s3("vault")
        self.clock = FakeClock()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self.paypay = FakePayPay()
        self.bus = FakeBus()
        self.rules = RULES
        self.processor = self.worker()

    def worker(self, paypay: FakePayPay | None = None) -> EventProcessor:
        """A worker of its own: what it remembers, no other knows."""
        rule = PayPayNotifications(
            store=self.store,
            client=paypay or self.paypay,
            archive=KycArchive(Vault("vault", self.s3), Selfies(())),
            rules=self.rules,
            now=self.clock,
        )
        return EventProcessor(
            store=self.store,
            publisher=Publisher("bus", self.store, self.bus.client),
            vexora=FakeVexora(),
            now=self.clock,
            paypay=rule,
            recon=ReconNotifications(self.store, ("kyc_passport_sync_recon",)),
        )

    def link(
        self,
        status: str = "LINKED",
        user_id: str = "user-1",
        linked: str = LINKED,
        scopes: tuple[str, ...] = PASSPORT,
    ) -> None:
        """A user with an account linked."""
        before = self.store.users.status(user_id, "paypay")
        at = utc_text(self.clock())
        after = paypay_user(user_id, status, linked=linked, scopes=scopes, at=at, before=before)
        after = replace(after, scopes=scopes)
        self.store.events.apply(Effect(f"api:linked:{linked}:{at}", "linked", "api", at, before, after, {}, links=True))

    def batch(self, *events: Event) -> None:
        """One SQS batch through the first worker."""
        batch = self.processor.batch()
        for group in batch.divide(events):
            for member in group.members:
                self.clock.advance(seconds=1)
                group.process(events[member])
        batch.end()

    def status(self, user_id: str = "user-1") -> UserStatus:
        """The user's present status."""
        found = self.store.users.status(user_id, "paypay")
        assert found is not None
        return found

    def timeline(self, user_id: str = "user-1") -> list[TimelineEntry]:
        """The user's timeline, newest first."""
        return self.store.users.timeline(user_id, 100)[0]

    def keys(self, prefix: str) -> list[tuple[str, str]]:
        """The keys of the items under that kind of partition, without those whose time is over."""
        now = self.clock().timestamp()
        items = self.db.scan(TableName="StateTable")["Items"]
        living = [each for each in items if "expires_at" not in each or int(each["expires_at"]["N"]) > now]
        return sorted((i["pk"]["S"], i["sk"]["S"]) for i in living if i["pk"]["S"].startswith(prefix))


@pytest.fixture
def bench() -> Iterator[Bench]:
    with memory_aws():
        yield Bench()


def event(
    notification_id: str,
    kind: str = "kyc",
    *,
    subject: str = LINKED,
    cause: str = "webhook",
    received_at: str = "2026-04-01T03:00:00.000Z",
    detail: Mapping[str, str] | None = None,
) -> Event:
    return Event(f"paypay:{kind}:{notification_id}", "paypay", kind, cause, subject, received_at, detail or {})


# One reading for several events


def later(seconds: float) -> str:
    """A moment after those that events have by default."""
    return utc_text(datetime(2026, 4, 1, 3, tzinfo=UTC) + timedelta(seconds=seconds))


def test_a_reading_that_began_later_serves_all_events_of_the_user(bench: Bench) -> None:
    bench.link()
    bench.batch(event("1"), event("2"), event("3"))
    bench.batch(event("4"))
    bench.worker().process(event("5"))
    assert bench.paypay.asked == ["kyc_passport"]
    assert [entry.what for entry in bench.timeline()] == ["kyc_read"] * 5 + ["linked"]
    assert len({entry.detail["snapshot"] for entry in bench.timeline()[:5]}) == 1
    assert len({entry.detail["providerCode"] for entry in bench.timeline()[:5]}) == 1
    first, *others = [entry.detail.get("readAt") for entry in reversed(bench.timeline()[:5])]
    assert first is None
    assert set(others) == {bench.status().read_at}
    assert len(bench.timeline()) == 6


def test_a_reading_that_began_before_the_event_was_received_does_not_serve_it(bench: Bench) -> None:
    bench.link()
    bench.batch(event("1"))
    bench.paypay.flag = "UNACCEPTABLE_OP"
    began = bench.status().read_at
    assert began is not None
    bench.batch(event("2", received_at=began))
    assert bench.status().status == "RISK_FLAGGED"


def test_what_a_group_has_read_serves_its_whole_batch_whatever_the_clocks_say(bench: Bench) -> None:
    """The batch was received before anything of it was read; the clock of the webhook function may be ahead."""
    bench.link()
    bench.batch(*(event(str(each), received_at=later(3600)) for each in range(10)))
    assert bench.paypay.asked == ["kyc_passport"]
    bench.batch(event("x", received_at=later(3600)))
    assert bench.paypay.asked == ["kyc_passport"] * 2


def test_a_reading_serves_the_question_that_it_answers_and_no_other_user(bench: Bench) -> None:
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE"}}
    bench.link()
    bench.link(user_id="user-2", linked="other")
    bench.batch(event("1"), event("2", "account_status"), event("3", subject="other"), event("4", "risk"))
    assert bench.paypay.asked == ["kyc_passport", "authorization", "kyc_passport"]


@pytest.mark.parametrize(
    ("rules", "asked"), [(RULES, []), (replace(RULES, required_kyc_type="EKYC"), ["kyc_info"])], ids=["none", "EKYC"]
)
def test_only_the_read_that_knows_a_required_type_answers_for_it(bench: Bench, rules: Rules, asked: list[str]) -> None:
    bench.link("VERIFIED", scopes=(*PASSPORT, "get_kyc_info"))
    bench.batch(event("1", "risk"))
    bench.rules = rules
    bench.worker().process(event("2"))
    assert bench.paypay.asked == ["kyc_passport", *asked]


def test_an_unanswered_or_refused_reading_serves_nobody(bench: Bench) -> None:
    bench.link()
    bench.paypay.failure = ProviderUnavailableError("paypay", "503")
    with pytest.raises(ProviderUnavailableError):
        bench.batch(event("1"))
    bench.paypay.failure = ProviderRefusedError("paypay", "m", http_status=400, code="INVALID_PARAMS")
    bench.batch(event("2"))
    bench.paypay.failure = None
    bench.batch(event("3"))
    assert bench.paypay.asked == ["kyc_passport"] * 3
    assert bench.status().status == "VERIFIED"


def test_who_links_anew_is_read_anew(bench: Bench) -> None:
    bench.link()
    bench.batch(event("1"))
    bench.clock.advance(seconds=1)
    bench.link(linked="another")
    bench.batch(event("2", subject="another"))
    assert bench.paypay.asked == ["kyc_passport"] * 2


def test_a_worker_that_lost_the_race_takes_the_reading_of_the_one_that_won(bench: Bench) -> None:
    """The other worker reads and writes while our answer is on its way: ours is the older one."""
    bench.link()
    newer = FakePayPay()
    newer.flag = "UNACCEPTABLE_OP"

    def other_worker() -> None:
        bench.worker(newer).process(event("x", "risk"))

    bench.paypay.meanwhile = [other_worker]
    bench.batch(event("1"))
    assert (bench.paypay.asked, newer.asked) == (["kyc_passport"], ["kyc_passport"])
    assert bench.status().status == "RISK_FLAGGED"
    assert {entry.event_id for entry in bench.timeline()} >= {"paypay:kyc:1", "paypay:risk:x"}


def test_an_event_that_another_worker_applied_meanwhile_has_one_entry(bench: Bench) -> None:
    bench.link()
    newer = FakePayPay()
    newer.flag = "UNACCEPTABLE_OP"

    def other_worker() -> None:
        bench.worker(newer).process(event("1"))

    bench.paypay.meanwhile = [other_worker]
    bench.batch(event("1"), event("2"))
    assert bench.paypay.asked == ["kyc_passport"]
    assert bench.status().status == "RISK_FLAGGED"
    assert [entry.event_id for entry in bench.timeline()].count("paypay:kyc:1") == 1


def test_a_worker_that_loses_for_five_seconds_gives_the_event_back(bench: Bench) -> None:
    bench.link()
    number = iter(range(100))

    def other_worker() -> None:
        # Another question each time, which answers none of ours.
        bench.clock.advance(seconds=1)
        newer = FakePayPay()
        newer.authorizations = {LINKED: {"status": "ACTIVE"}}
        at = utc_text(bench.clock())
        bench.worker(newer).process(event(f"x{next(number)}", "account_status", received_at=at))

    bench.paypay.meanwhile = [other_worker] * 20
    with pytest.raises(ConcurrentUpdateError):
        bench.batch(event("1"))
    assert len(bench.paypay.asked) < 10


def test_an_event_applied_twice_has_one_entry(bench: Bench) -> None:
    bench.link()
    bench.batch(event("1"), event("1"))
    bench.batch(event("1"))
    assert bench.paypay.asked == ["kyc_passport"]
    assert len(bench.timeline()) == 2


# Whose authorization it is


def test_an_unknown_id_is_healed_by_its_reference_id(bench: Bench) -> None:
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE", "referenceIds": ["user-1"], "scopes": list(PASSPORT)}}
    bench.batch(event("1"))
    assert bench.paypay.asked == ["authorization", "kyc_passport"]
    assert bench.status().status == "VERIFIED"
    assert [entry.what for entry in reversed(bench.timeline())] == ["linked", "kyc_read"]
    assert bench.status().scopes == PASSPORT


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param({"status": "ACTIVE", "referenceIds": []}, id="none"),
        pytest.param({"status": "ACTIVE", "referenceIds": ["user-1", "user-2"]}, id="two"),
        pytest.param({"status": "ACTIVE", "referenceIds": ["not one of ours!"]}, id="not ours"),
        pytest.param({"status": "ACTIVE", "referenceIds": ["user-1", "not one of ours!"]}, id="one of two not ours"),
        pytest.param({"status": "INACTIVE", "referenceIds": ["user-1"]}, id="inactive"),
    ],
)
def test_what_names_no_user_of_ours_waits(bench: Bench, authorization: dict[str, Any]) -> None:
    bench.paypay.authorizations = {LINKED: authorization}
    bench.batch(event("1"))
    assert bench.store.users.status("user-1", "paypay") is None
    assert len(bench.keys(f"PAYPAY#{LINKED}")) == 1


def test_an_unknown_id_never_takes_over_a_user_who_is_linked(bench: Bench) -> None:
    bench.link(linked="the-present-one")
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE", "referenceIds": ["user-1"]}}
    before = bench.status()
    bench.batch(event("1"))
    assert bench.status() == before
    assert bench.store.links.user(LINKED) is None
    assert len(bench.keys(f"PAYPAY#{LINKED}")) == 1


def test_an_answer_about_another_id_links_nobody(bench: Bench) -> None:
    found = {"userAuthorizationId": LINKED, "status": "ACTIVE", "referenceIds": ["user-1"]}
    bench.paypay.authorizations = {LINKED.upper(): found}
    bench.batch(event("1", subject=LINKED.upper()))
    assert bench.store.links.user(LINKED.upper()) is None


def test_an_event_of_a_former_authorization_asks_whose_it_is_and_changes_nothing(bench: Bench) -> None:
    bench.link("VERIFIED")
    bench.clock.advance(seconds=1)
    bench.link("LINKED", linked="the-present-one")
    bench.batch(event("1", "account_status"), event("2"), event("3", "risk"))
    assert bench.paypay.asked == ["authorization"]
    assert bench.status().status == "LINKED"
    assert bench.timeline()[0].what == "other_authorization"


def test_a_heal_whose_id_a_notification_has_taken_comes_to_an_end(bench: Bench) -> None:
    """`<id>:link` is also what a notification may be called."""
    bench.batch(event("1:link"))
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE", "referenceIds": ["user-1"], "scopes": list(PASSPORT)}}
    bench.batch(event("1"))
    assert bench.status().status == "VERIFIED"
    assert {entry.event_id for entry in bench.timeline()} >= {"paypay:kyc:1", "paypay:kyc:1:link"}


# What waits is attached once


def test_what_waited_is_attached_when_the_link_appears(bench: Bench) -> None:
    bench.batch(event("1"), event("2", "risk"))
    assert bench.store.users.status("user-1", "paypay") is None
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE", "referenceIds": ["user-1"], "scopes": list(PASSPORT)}}
    bench.batch(event("3"))
    whats = {entry.event_id: entry.what for entry in bench.timeline()}
    assert whats["paypay:kyc:1"] == whats["paypay:risk:2"] == "unknown_user"
    assert bench.keys(f"PAYPAY#{LINKED}") == [(f"PAYPAY#{LINKED}", "LINK")]


def test_a_crash_between_two_moves_leaves_the_rest_for_the_next_call(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.batch(event("1"), event("2"), event("3"))
    bench.link()
    moves = []
    transact = bench.db.transact_write_items

    def dies_at_the_second(**request: Any) -> Any:
        moves.append(request)
        if len(moves) == 2:
            raise KeyboardInterrupt
        return transact(**request)

    with monkeypatch.context() as patch:
        patch.setattr(bench.db, "transact_write_items", dies_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            bench.store.links.attach(LINKED, "user-1", "LINKED")
    assert bench.store.links.attach(LINKED, "user-1", "LINKED") == 2
    assert bench.store.links.attach(LINKED, "user-1", "LINKED") == 0
    assert sorted(entry.event_id for entry in bench.timeline()) == [
        f"api:linked:{LINKED}:{utc_text(bench.clock())}",
        "paypay:kyc:1",
        "paypay:kyc:2",
        "paypay:kyc:3",
    ]


def test_a_crash_before_the_first_move_is_made_good_on_redelivery(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.batch(event("1"))
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE", "referenceIds": ["user-1"], "scopes": list(PASSPORT)}}

    def dies(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("honnin.store.links.Links.attach", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.batch(event("2"))
    assert bench.store.links.user(LINKED) == "user-1"
    bench.batch(event("2"))
    assert [entry.event_id for entry in bench.timeline()].count("paypay:kyc:1") == 1
    assert bench.keys(f"PAYPAY#{LINKED}") == [(f"PAYPAY#{LINKED}", "LINK")]


def test_an_event_that_is_kept_while_the_link_appears_is_not_left_behind(bench: Bench) -> None:
    def links() -> None:
        bench.link()
        bench.store.links.attach(LINKED, "user-1", "LINKED")

    bench.paypay.meanwhile = [links]
    bench.batch(event("1"))
    assert [entry.event_id for entry in bench.timeline()].count("paypay:kyc:1") == 1
    assert bench.keys(f"PAYPAY#{LINKED}") == [(f"PAYPAY#{LINKED}", "LINK")]


# Account status


@pytest.mark.parametrize(
    ("before", "found", "after"),
    [
        ("VERIFIED", {"status": "ACTIVE"}, "VERIFIED"),
        ("RISK_FLAGGED", {"status": "ACTIVE"}, "RISK_FLAGGED"),
        ("LINKED", {"status": "ACTIVE"}, "LINKED"),
        ("VERIFIED", {"status": "INACTIVE"}, "INACTIVE"),
        ("VERIFIED", {"status": "A_NEW_WORD"}, "INACTIVE"),
        ("VERIFIED", {"status": "ACTIVE", "expireAt": 1775012401}, "EXPIRED"),  # the moment of the reading
        ("VERIFIED", {"status": "ACTIVE", "expireAt": 1775012402}, "VERIFIED"),
        ("VERIFIED", {"status": "ACTIVE", "expireAt": None}, "VERIFIED"),
        ("INACTIVE", {"status": "ACTIVE"}, "VERIFIED"),
        ("EXPIRED", {"status": "ACTIVE"}, "VERIFIED"),
        ("UNLINKED", {"status": "ACTIVE"}, "VERIFIED"),
    ],
)
def test_the_status_after_an_account_event(bench: Bench, before: str, found: dict[str, Any], after: str) -> None:
    bench.link(before)
    bench.paypay.authorizations = {LINKED: found}
    bench.batch(event("1", "account_status"))
    assert bench.status().status == after
    back = before in ("INACTIVE", "EXPIRED", "UNLINKED")
    assert bench.paypay.asked == ["authorization", "kyc_passport"][: 1 + back]


@pytest.mark.parametrize(("code", "status"), STATUS_OF)
@pytest.mark.parametrize("kind", ["kyc", "risk", "account_status"])
def test_each_answer_about_the_user_becomes_the_status(bench: Bench, kind: str, code: str, status: str) -> None:
    bench.link("VERIFIED")
    bench.paypay.failure = answer(code)
    bench.batch(event("1", kind))
    assert (bench.status().status, bench.status().provider_status) == (status, code)
    newest = bench.timeline()[0]
    assert (newest.from_status, newest.to_status, newest.cause) == ("VERIFIED", status, "webhook")
    assert (newest.detail["providerCode"], newest.detail["requestId"]) == (code, "OPA2")


def test_an_account_that_is_active_again_but_flagged(bench: Bench) -> None:
    bench.link("INACTIVE")
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE"}}
    bench.paypay.flag = "KYC_UPDATE_REQUIRED"
    bench.batch(event("1", "account_status"))
    assert bench.status().status == "UPDATE_REQUIRED"


# What was received


@pytest.mark.parametrize(
    ("received_at", "day"),
    [
        ("2026-03-31T14:59:59.999Z", "2026-03-31"),
        ("2026-03-31T15:00:00.000Z", "2026-04-01"),
        ("2026-04-01T14:59:59.999Z", "2026-04-01"),
        ("2026-12-31T15:00:00.000Z", "2027-01-01"),
        ("2028-02-28T15:00:00.000Z", "2028-02-29"),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_a_webhook_counts_for_the_jst_day_on_which_it_came(
    bench: Bench, received_at: str, day: str, *, known: bool
) -> None:
    if known:
        bench.link()
    # It may be processed on another day.
    bench.clock.advance(days=2)
    bench.batch(event("1", received_at=received_at), event("2", received_at=received_at))
    bench.batch(event("2", received_at=received_at), event("3", received_at=received_at))
    assert bench.store.received.of("kyc", day) == ReceivedDay("kyc", day, received_at, received_at, 3)
    assert [pk for pk, _ in bench.keys("RECEIVED#")] == [f"RECEIVED#kyc#{day}"]
    if known:
        assert bench.status().received == {"kyc": received_at}


def test_the_last_webhook_of_each_kind_is_noted_with_the_user(bench: Bench) -> None:
    bench.link()
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE"}}
    later, earlier = "2026-04-01T02:00:00.000Z", "2026-04-01T01:00:00.000Z"
    bench.batch(event("1", received_at=later), event("2", received_at=earlier), event("3", "risk", received_at=earlier))
    bench.batch(event("4", "unrecognised", received_at=later), event("5", cause="recon", received_at=later))
    assert bench.status().received == {"kyc": later, "risk": earlier}
    assert bench.store.received.of("kyc", "2026-04-01") == ReceivedDay("kyc", "2026-04-01", earlier, later, 2)


@pytest.mark.parametrize("cause", ["recon", "api"])
def test_only_a_webhook_counts_as_received(bench: Bench, cause: str) -> None:
    bench.link()
    bench.batch(event("1", cause=cause), event("2", subject="unknown", cause=cause))
    assert bench.keys("RECEIVED#") == []
    assert bench.status().received is None


# Publishing


def test_a_change_is_told_once_and_no_change_never(bench: Bench) -> None:
    bench.link()
    bench.batch(event("1"), event("2"))
    assert len(bench.bus.entries) == 1


def test_a_crash_between_commit_and_publish_is_made_good_on_redelivery(bench: Bench) -> None:
    bench.link()
    bench.bus.failures.append(RuntimeError("killed"))
    with pytest.raises(RuntimeError, match="killed"):
        bench.batch(event("1"))
    assert bench.status().status == "VERIFIED"
    assert bench.bus.entries == []
    bench.batch(event("1"))
    bench.batch(event("1"))
    assert len(bench.bus.entries) == 1
    assert bench.paypay.asked == ["kyc_passport"]


def test_a_crash_between_publish_and_its_mark_tells_it_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.link()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("honnin.store.events.Events.mark_published", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.batch(event("1"))
    bench.batch(event("1"))
    assert len({entry["Detail"] for entry in bench.bus.entries}) == 1
    assert len(bench.bus.entries) == 2


# A recon file's notification


def test_a_notification_of_a_recon_file_is_recorded_and_asks_paypay_nothing(bench: Bench) -> None:
    url = "https://recon.paypay.ne.jp/kyc_passport_9_20260331_20260331.csv?signature=s"
    notified = {"path": url, "requestedAt": "1775012400"}
    bench.batch(event("1", "recon_file", subject="kyc_passport_sync_recon", detail=notified))
    bench.batch(event("1", "recon_file", subject="kyc_passport_sync_recon", detail=notified))
    [found] = bench.store.notifications.to_fetch()
    assert (found.file_type, found.day, found.url) == ("kyc_passport_sync_recon", "2026-03-31", url)
    assert bench.paypay.asked == []
    assert bench.bus.entries == []


# What cannot be processed


@pytest.mark.parametrize("kind", ["", "KYC", "kyc_result", "recon"])
def test_an_unknown_kind_is_malformed(bench: Bench, kind: str) -> None:
    with pytest.raises(MalformedEventError):
        bench.batch(event("1", kind))


@pytest.mark.parametrize(
    ("scopes", "code_id", "product", "for_risk"),
    [
        (("get_kyc_info",), None, KycProduct.KYC_INFO, None),
        (("get_kyc_info", "kyc_foreign_status"), None, KycProduct.KYC_INFO, None),
        (("mini_app_kyc_passport",), None, KycProduct.KYC_PASSPORT, KycProduct.KYC_PASSPORT),
        (("get_kyc_info", "mini_app_kyc_passport"), "c-1", KycProduct.KYC_PASSPORT, KycProduct.KYC_PASSPORT),
        (("kyc_passport_qr",), "c-1", KycProduct.KYC_PASSPORT_QR, KycProduct.KYC_PASSPORT_QR),
        (("kyc_passport_qr",), None, None, None),
        (("get_kyc_info", "kyc_passport_qr"), None, KycProduct.KYC_INFO, None),
        ((), "c-1", None, None),
    ],
)
def test_the_read_that_fits_the_scopes(
    scopes: tuple[str, ...], code_id: str | None, product: KycProduct | None, for_risk: KycProduct | None
) -> None:
    link = Link("user-1", scopes, code_id=code_id, code_verifier=code_id and "v")
    assert next(iter(products_for(link, Rules())), None) is product
    assert next(iter(products_for(link, Rules(), passport_only=True)), None) is for_risk


@pytest.mark.parametrize(("kind", "scopes"), [("risk", ("get_kyc_info",)), ("kyc", ("kyc_passport_qr",)), ("kyc", ())])
def test_an_event_that_no_read_fits_is_noted_and_asks_nothing(bench: Bench, kind: str, scopes: tuple[str, ...]) -> None:
    bench.link("VERIFIED", scopes=scopes)
    read_at = bench.status().read_at
    bench.batch(event("1", kind))
    assert bench.paypay.asked == []
    assert bench.status().status == "VERIFIED"
    assert bench.timeline()[0].what == "no_read_fits_scopes"
    # Nothing says that the user was read.
    assert bench.status().read_at == read_at


@pytest.mark.parametrize("before", ["INACTIVE", "EXPIRED", "UNLINKED"])
def test_an_account_that_is_active_again_but_whose_kyc_no_read_fits_is_linked(bench: Bench, before: str) -> None:
    bench.link(before, scopes=())
    bench.paypay.authorizations = {LINKED: {"status": "ACTIVE"}}
    bench.batch(event("1", "account_status"))
    assert bench.status().status == "LINKED"


# Outages: what the queue does, on a clock that the waits move


def outage(error: HonninError, hours: float, seed: int) -> tuple[int, float]:
    """How often one message is received until an outage is over, and how late after it (seconds) it is applied."""
    random.seed(seed)
    queue = FakeQueue()
    now, receives = 0.0, 0

    def process(_: Event) -> None:
        if now < hours * 3600:
            raise error

    while True:
        receives += 1
        record = {
            "messageId": "m",
            "receiptHandle": "r",
            "body": event("1").to_json(),
            "attributes": {"ApproximateReceiveCount": str(receives), "SentTimestamp": "1775012400000"},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
        }
        answered = worker.run(
            {"Records": [record]}, FakeLambdaContext(), parse=Event.from_json, process=process, queue=queue
        )
        assert queue.dead_lettered == {}
        if not answered["batchItemFailures"]:
            return receives, now - hours * 3600
        now += queue.delays["m"]


@pytest.mark.parametrize(
    "error", [ProviderUnavailableError("paypay", "500"), MaintenanceError("paypay", "maintenance")]
)
def test_an_outage_of_twelve_hours_ends_below_the_receives_that_the_queue_allows(error: HonninError) -> None:
    ends = [outage(error, 12, seed) for seed in range(25)]
    assert max(receives for receives, _ in ends) < 200
    assert max(late for _, late in ends) <= 900


def test_even_the_shortest_waits_outlast_twelve_hours() -> None:
    waits = [worker.backoff_s(receives, draw=lambda low, _: low) for receives in range(1, 200)]
    assert sum(waits) > 12 * 3600
    # And the message is not too old: the queue keeps it for 14 days.
    longest = [worker.backoff_s(receives, draw=lambda _, high: high) for receives in range(1, 200)]
    assert sum(longest) < 13 * 86_400


@given(receives=st.integers(1, 200))
def test_maintenance_begins_with_two_and_a_half_to_five_minutes(receives: int) -> None:
    first = worker.backoff_s(1, first_s=300)
    later = worker.backoff_s(receives, first_s=300)
    assert 150 <= first <= 300
    assert 150 <= later <= 900


def test_the_clock_of_the_bench_begins_where_the_expiry_tests_think() -> None:
    assert FakeClock()() + timedelta(seconds=1) == datetime.fromtimestamp(1775012401, UTC)
