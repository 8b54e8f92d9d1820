"""Links that end: none early, none missed, none twice; an extension is found; no answer verifies nobody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from honnin import overview_api
from honnin.errors import ProviderConfigurationError, ProviderRefusedError, ProviderUnavailableError
from honnin.paypay.expiry import PATIENCE
from honnin.paypay.readings import Rules
from honnin.store.table import Table
from honnin.times import utc_text
from tests.fakes.clocks import START
from tests.fakes.expiry_world import ExpiryWorld
from tests.fakes.memory import memory_aws
from tests.fakes.paypay_world import LINKED, USER

END = START + timedelta(days=100)
DOWN = ProviderUnavailableError("paypay", "down", http_status=503)
REFUSED = ProviderRefusedError("paypay", "no", http_status=400, code="INVALID_REQUEST_PARAMS")
FOREIGN = ProviderConfigurationError("paypay", "no", http_status=401, code="UNAUTHORIZED")


@pytest.fixture
def world() -> Iterator[ExpiryWorld]:
    with memory_aws():
        yield ExpiryWorld()


def test_a_link_expires_at_its_end_and_not_before(world: ExpiryWorld) -> None:
    world.ahead = timedelta(0)
    world.linked(END)
    world.clock.now = END - timedelta(seconds=1)
    assert world.watch()["ended"] == 0
    world.clock.now = END
    assert world.watch()["ended"] == 1
    world.deliver()
    assert (world.user().status, world.user().link_expires_at) == ("EXPIRED", utc_text(END))
    entry = world.timeline()[0]
    assert (entry.what, entry.cause) == ("account_read", "poll")
    assert (entry.from_status, entry.to_status) == ("VERIFIED", "EXPIRED")
    [event] = world.events("AuthorizationExpired")
    assert event["expiredAt"] == utc_text(END)
    [*_, changed] = world.events("KycStatusChanged")
    assert changed["to"] == "EXPIRED"
    assert not changed["verified"]
    asked = len(world.ending.asked_at)
    world.run(30 * 24)
    assert len(world.ending.asked_at) == asked, "an end that PayPay has confirmed is not asked for again"
    assert len(world.events("AuthorizationExpired")) == 1


def test_links_that_end_in_the_same_hour_are_no_mass_change(world: ExpiryWorld) -> None:
    """PayPay is asked about each, and its answers are readings; that they would end was known."""
    ends = world.clock() + timedelta(days=3)
    for number in range(3):
        world.linked(ends, f"user-{number}", f"auth-{number}")
    world.clock.now = ends
    world.run(2)
    assert {world.user(f"user-{number}").status for number in range(3)} == {"EXPIRED"}
    counted = world.store.mass_change.read()
    assert (counted.readings >= 3, counted.lost) == (True, 0)


def test_a_link_that_was_extended_is_found_so(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END - timedelta(days=40)
    later = END + timedelta(days=365)
    world.extend(later)
    world.run(50 * 24)
    assert (world.user().status, world.user().link_expires_at) == ("VERIFIED", utc_text(later))
    assert world.events("AuthorizationExpiring") == []
    assert world.events("AuthorizationExpired") == []
    world.clock.now = later - timedelta(days=30)
    world.run(31 * 24)
    assert world.user().status == "EXPIRED"
    assert [each["linkExpiresAt"] for each in world.events("AuthorizationExpiring")] == [utc_text(later)]


def test_the_end_is_told_once_thirty_days_before_and_again_only_where_it_has_moved(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END - timedelta(days=30, hours=1)
    assert world.watch() == {"ended": 0, "expiring": 0, "given_up": 0}
    world.run(48)
    [event] = world.events("AuthorizationExpiring")
    assert event == {
        "userId": USER,
        "provider": "paypay",
        "status": "VERIFIED",
        "linkExpiresAt": utc_text(END),
        "version": event["version"],
        "occurredAt": event["occurredAt"],
        "eventId": event["eventId"],
    }
    world.run(10 * 24)
    assert len(world.events("AuthorizationExpiring")) == 1
    moved = END + timedelta(days=5)
    world.extend(moved)
    world.notify("account_status")
    world.run(24)
    assert [each["linkExpiresAt"] for each in world.events("AuthorizationExpiring")] == [utc_text(END), utc_text(moved)]
    world.run(40 * 24)
    assert len(world.events("AuthorizationExpiring")) == 2
    assert len(world.events("AuthorizationExpired")) == 1


@pytest.mark.parametrize("failure", [DOWN, REFUSED])
@pytest.mark.parametrize("extended", [True, False])
def test_nothing_is_told_ahead_without_an_answer(world: ExpiryWorld, failure: Exception, extended: bool) -> None:
    """Whoever is asked to link again may have extended the link, by a payment, while PayPay did not answer."""
    world.linked(END)
    world.clock.now = END - timedelta(days=30)
    with world.silent(failure):
        world.run(10)
        assert world.events("AuthorizationExpiring") == []
        # Meanwhile it is listed like any other, also where a page goes on there.
        for since in ("", utc_text(END)):
            [listed] = world.store.links.expiring(utc_text(END), since=since)
            assert (listed.user_id, listed.ends_at) == (USER, utc_text(END))
    if extended:
        world.extend(END + timedelta(days=365))
    world.run(28 * 24)

    assert [each["linkExpiresAt"] for each in world.events("AuthorizationExpiring")] == [utc_text(END)] * (not extended)
    assert world.user().status == "VERIFIED"


def test_who_is_asked_for_while_the_list_is_read_is_on_it_once(
    world: ExpiryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.linked(END)
    world.clock.now = END - timedelta(days=30)
    read, read_kinds = Table.due, list[str]()

    def moving(table: Table, kind: str, now: str, *, since: str = "0") -> Iterator[dict[str, Any]]:
        if read_kinds and len(read_kinds) < 3:
            monkeypatch.setattr(Table, "due", read)
            world.watch()
            world.deliver()
            monkeypatch.setattr(Table, "due", moving)
        read_kinds.append(kind)
        yield from read(table, kind, now, since=since)

    monkeypatch.setattr(Table, "due", moving)
    page = overview_api.expiring(world.store, world.clock(), within="31d", limit=50, cursor=None)

    assert [each.user_id for each in page.expiring] == [USER]


def test_what_is_lost_on_the_queue_is_asked_for_again(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END - timedelta(days=30)
    assert world.watch()["expiring"] == 1
    world.queue.clear()
    world.run(23)
    assert world.events("AuthorizationExpiring") == []
    world.run(3)
    assert len(world.events("AuthorizationExpiring")) == 1
    assert world.watch() == {"ended": 0, "expiring": 0, "given_up": 0}


def test_a_link_shorter_than_the_time_ahead_is_told_at_once(world: ExpiryWorld) -> None:
    world.linked(START + timedelta(days=3))
    world.run(2)
    assert len(world.events("AuthorizationExpiring")) == 1
    world.run(4 * 24)
    assert world.user().status == "EXPIRED"


@pytest.mark.parametrize("failure", [DOWN, FOREIGN])
def test_no_answer_for_hours_and_the_known_end_stands(world: ExpiryWorld, failure: Exception) -> None:
    world.linked(END)
    world.ahead = timedelta(0)
    world.clock.now = END
    with world.silent(failure):
        world.watch()
        world.deliver()
        world.clock.now = END + PATIENCE - timedelta(minutes=1)
        world.deliver()
        assert world.user().status == "VERIFIED"
        world.clock.now = END + PATIENCE + timedelta(minutes=20)
        world.deliver()
        assert world.status() == ("EXPIRED", "expireAt")
        [event] = world.events("AuthorizationExpired")
        assert event["providerStatus"] == "expireAt"
        world.run(48)
    # PayPay answers again, and has extended it: then the user is read anew.
    world.extend(END + timedelta(days=365))
    world.run(48)
    assert world.status() == ("VERIFIED", "SUCCESS")
    assert len(world.events("AuthorizationExpired")) == 1


def test_a_refused_read_is_no_answer_and_the_known_end_stands_at_once(world: ExpiryWorld) -> None:
    world.linked(END)
    world.ahead = timedelta(0)
    world.clock.now = END
    with world.silent(REFUSED):
        world.watch()
        world.deliver()
        assert world.status() == ("EXPIRED", "expireAt")
        world.run(72)
    world.run(48)
    assert world.status()[0] == "EXPIRED"
    assert world.status()[1] != "expireAt"
    assert len(world.events("AuthorizationExpired")) == 1


def test_it_is_asked_for_thirty_days_and_no_longer(world: ExpiryWorld) -> None:
    world.linked(END)
    world.ahead = timedelta(0)
    world.clock.now = END
    with world.silent(REFUSED):
        world.run(24 * 33)
        asked = len(world.ending.asked_at)
        # Twice each time: whose it is now, and what has become of it.
        assert 60 < asked < 90
        world.run(24 * 10)
        assert len(world.ending.asked_at) == asked
    assert list(world.store.expiries.due("9999", "9999")) == []


def test_an_erased_user_is_on_no_watch(world: ExpiryWorld) -> None:
    world.linked(END)
    world.erase(USER)
    assert list(world.store.expiries.due("9999", "9999")) == []
    world.clock.now = END
    assert world.watch() == {"ended": 0, "expiring": 0, "given_up": 0}


def test_an_event_of_an_end_that_has_moved_asks_nobody_and_leaves_nothing(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END
    world.watch()
    world.extend(END + timedelta(days=90))
    world.notify("account_status")
    asked, entries = len(world.ending.asked_at), len(world.timeline())
    world.deliver()
    assert (len(world.ending.asked_at), len(world.timeline())) == (asked, entries)
    assert world.user().status == "VERIFIED"


def test_linked_anew_only_the_new_link_is_watched(world: ExpiryWorld) -> None:
    world.linked(END)
    other = "0a1b2c3d-0000-4000-8000-000000000001"
    world.clock.now += timedelta(days=1)
    world.linked(END + timedelta(days=50), linked=other)
    [only] = world.store.links.expiring("9999")
    assert (only.subject, only.ends_at) == (other, utc_text(END + timedelta(days=50)))


@pytest.mark.parametrize("attempt", ["requested", "declined"])
def test_an_end_that_another_qr_meets_first_is_told_all_the_same(world: ExpiryWorld, attempt: str) -> None:
    world.linked(END)
    world.clock.now = END + timedelta(minutes=5)
    nonce = world.ask()
    if attempt == "declined":
        world.answer(nonce, result="declined")
    world.run(48)
    [event] = world.events("AuthorizationExpired")
    assert (event["expiredAt"], event["providerStatus"]) == (utc_text(END), "expireAt")
    assert world.user().status == "EXPIRED", "PayPay was asked all the same"


@pytest.mark.parametrize("minutes", [5, 8 * 60])
def test_an_end_that_another_qr_meets_is_asked_for_until_paypay_answers(world: ExpiryWorld, minutes: int) -> None:
    """Before the first hourly run, and after the end has come to count without an answer."""
    world.linked(END)
    world.clock.now = END
    with world.silent(DOWN):
        world.run(minutes // 60)
        world.clock.now = END + timedelta(minutes=minutes)
        world.ask()
    assert world.user().status == "LINK_PENDING"
    world.extend(END + timedelta(days=365))
    world.run(48)
    assert (world.user().status, world.user().link_expires_at) == ("VERIFIED", utc_text(END + timedelta(days=365)))


def test_what_was_read_before_an_end_without_an_answer_does_not_verify_who_links_again(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END
    with world.silent(DOWN):
        world.run(8)
        assert world.status() == ("EXPIRED", "expireAt")
        world.clock.now = END + timedelta(days=100)
        world.link()
    assert world.user().status == "LINKED", "the KYC may have changed unseen"


def test_an_end_without_an_answer_keeps_the_account_from_nobody(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END
    with world.silent(DOWN):
        world.run(8)
        world.link("user-2")
    assert world.user("user-2").user_authorization_id == LINKED
    assert world.store.links.user(LINKED) == "user-2"


def test_what_expires_is_listed_by_its_end(world: ExpiryWorld) -> None:
    ends = [END + timedelta(days=each) for each in (3, -60, 1, 200)]
    for number, end in enumerate(ends):
        world.linked(end, f"user-{number}", f"0a1b2c3d-0000-4000-8000-{number:012}")
    world.clock.now = END - timedelta(days=61)
    world.watch()  # one of them is published
    found = [(each.user_id, each.ends_at) for each in world.store.links.expiring(utc_text(END + timedelta(days=30)))]
    assert found == [(f"user-{number}", utc_text(ends[number])) for number in (1, 2, 0)]


def test_a_clock_that_is_behind_waits_for_the_end(world: ExpiryWorld) -> None:
    world.linked(END)
    world.clock.now = END
    world.watch()
    world.deliver(behind=timedelta(minutes=1))
    assert world.user().status == "VERIFIED"
    assert len(world.queue) == 1
    world.clock.now = END + timedelta(minutes=20)
    world.deliver()
    assert world.user().status == "EXPIRED"


def test_a_kyc_read_that_pays_no_heed_to_the_known_end_outweighs_it(world: ExpiryWorld) -> None:
    """PayPay has extended the link and still refuses to say until when."""
    world.linked(END)
    world.ahead = timedelta(0)
    world.extend(END + timedelta(days=365))
    world.clock.now = END + timedelta(hours=1)
    world.notify("kyc")
    world.watch()
    with world.silent(REFUSED):
        world.deliver()
    assert world.user().status == "VERIFIED"
    world.run(48)
    assert world.user().link_expires_at == utc_text(END + timedelta(days=365))


# --- residence periods ---


def test_by_default_nothing_of_the_residence_period_is_stored(world: ExpiryWorld) -> None:
    world.paypay.data = {"status": "COMPLETED", "expiryDate": "2026-06-30"}
    world.linked(END)
    assert "2026-06-30" not in str(list(world.store.restore.everything()))
    world.run(40 * 24)
    assert world.events("ResidencePeriodExpiring") == []


@pytest.mark.parametrize("written", ["2026-06-30", "2026/6/30", "20260630", "2026年6月30日", 20260630])
def test_a_watched_residence_period_is_told_once(world: ExpiryWorld, written: object) -> None:
    world.rules = Rules(frozenset({"COMPLETED"}), watch_residence=True)
    world.paypay.data = {"status": "COMPLETED", "expiryDate": written}
    world.linked(START + timedelta(days=500))
    world.clock.now = START + timedelta(days=59)
    world.run(34)
    assert world.events("ResidencePeriodExpiring") == []
    world.run(2 * 24)
    world.run(38 * 24)
    [event] = world.events("ResidencePeriodExpiring")
    assert (event["residenceEndsOn"], event["status"]) == ("2026-06-30", "VERIFIED")
    assert event["occurredAt"] < "2026-06-01T16:16:00.000Z"


def test_a_renewed_residence_period_is_read_before_it_is_told(world: ExpiryWorld) -> None:
    world.rules = Rules(frozenset({"COMPLETED"}), watch_residence=True)
    world.paypay.data = {"status": "COMPLETED", "expiryDate": "2026-06-30"}
    world.linked(START + timedelta(days=1000))
    world.paypay.data = {"status": "COMPLETED", "expiryDate": "2028-06-30"}
    world.run(100 * 24, step=timedelta(hours=6))
    assert world.events("ResidencePeriodExpiring") == []
    assert world.user().residence_ends_on == "2028-06-30"
    world.erase(USER)
    assert "2028-06-30" not in str(list(world.store.restore.everything()))


@pytest.mark.parametrize("written", ["never", "2026-13-40", {"a": 1}, "3026", ""])
def test_what_is_no_day_is_not_stored(world: ExpiryWorld, written: object) -> None:
    world.rules = Rules(frozenset({"COMPLETED"}), watch_residence=True)
    world.paypay.data = {"status": "COMPLETED", "expiryDate": written}
    world.linked(END)
    assert world.user().residence_ends_on is None


def test_the_link_of_the_world_is_the_one_that_is_watched(world: ExpiryWorld) -> None:
    world.linked(END)
    [only] = world.store.links.expiring("9999")
    assert (only.user_id, only.provider, only.what, only.subject) == (USER, "paypay", "link", LINKED)
