"""Settling: the user ends as PayPay says, also where its reads lag behind its webhooks, and it costs few readings."""

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin.commit import effect
from honnin.errors import ProviderRefusedError, ProviderUnavailableError
from honnin.event import Event
from honnin.store import Submission, UserStatus
from honnin.store.events import Events
from honnin.times import utc_text
from tests.fakes.memory import memory_aws
from tests.fakes.paypay import answer
from tests.fakes.paypay_world import INFO, LINKED, PASSPORT, QR, USER
from tests.fakes.settling import SettlingWorld

OTHER = "0a1b2c3d-0000-4000-8000-000000000001"
CUSTOMER = "customer.authroization.revoked"


@pytest.fixture
def world() -> Iterator[SettlingWorld]:
    with memory_aws():
        made = SettlingWorld()
        made.link()
        yield made


# --- a hint is followed ---


@pytest.mark.parametrize("lag_s", [0, 30, 59, 61, 300, 840])
@pytest.mark.parametrize(
    ("kind", "changed"), [("kyc", {"done": False}), ("risk", {"flagged": True}), ("account_status", {"active": False})]
)
def test_a_change_that_the_reads_show_up_to_14_minutes_later_is_found(
    world: SettlingWorld, lag_s: int, kind: str, changed: dict[str, bool]
) -> None:
    world.work(world.hint())
    assert world.status()[0] == "VERIFIED"
    world.settle()
    world.lagging.change(lag_s, **changed)
    world.work(world.hint(kind))
    if lag_s:
        assert world.status()[0] == "VERIFIED", "the reads do not show it yet"
    world.settle()
    assert world.truth()[0] == world.truth()[1] != "VERIFIED"
    found = world.timeline()[0]
    assert found.to_status == world.truth()[1]
    assert (found.cause, found.from_status) == (("settle", "VERIFIED") if lag_s else ("webhook", "VERIFIED"))


def test_a_link_that_was_ended_in_the_app_is_found(world: SettlingWorld) -> None:
    world.lagging.change(840, active=False)
    world.work(world.hint("account_status", type_=CUSTOMER))
    world.settle()
    assert world.status()[0] == "INACTIVE"
    assert world.timeline()[0].detail["type"] == CUSTOMER


def test_a_settle_event_that_changes_something_takes_effect_once_and_is_published_with_its_cause(
    world: SettlingWorld,
) -> None:
    world.work(world.hint())
    world.lagging.change(30, flagged=True)
    world.work(world.hint("risk"))
    [first, *_] = [event for event, delay_s in world.sent if event.kind == "risk" and delay_s == 60]
    world.clock.advance(seconds=60)
    world.work(first)
    after = world.everything()
    world.work(first)
    assert world.everything() == after
    published = [json.loads(each["Detail"]) for each in world.bus.entries]
    assert [each["cause"] for each in published if each.get("to") == "RISK_FLAGGED"] == ["settle"]
    assert world.timeline()[0].detail["secondsAfterWebhook"] == "60"


def test_a_settle_event_sends_nothing(world: SettlingWorld) -> None:
    """Else Lambda's recursive loop detection would end the chain, and each reading would cost two more."""
    world.lagging.change(30, done=False)
    world.work(world.hint())
    sent = list(world.sent)
    assert len(sent) == 2
    world.settle()
    assert world.sent == sent


@pytest.mark.parametrize("cause", ["recon", "operator", "api", "settle", "poll"])
def test_only_a_webhook_is_followed(world: SettlingWorld, cause: str) -> None:
    world.notify("kyc", cause=cause)
    assert world.sent == []


@pytest.mark.parametrize(("kind", "subject"), [("unrecognised", LINKED), ("unrecognised", "-"), ("kyc", OTHER)])
def test_what_reads_nobody_is_not_followed(world: SettlingWorld, kind: str, subject: str) -> None:
    world.work(world.hint(kind, subject))
    assert world.sent == []


# --- it costs little ---


def test_nothing_new_leaves_nothing(world: SettlingWorld) -> None:
    world.work(world.hint())
    before = world.everything()
    assert world.settle() == 2
    assert world.everything() == before, "no version, no record, no entry"


def test_a_kyc_that_changed_behind_the_same_status_is_kept(world: SettlingWorld) -> None:
    world.work(world.hint())
    world.paypay.data = {**world.paypay.data, "eKycDocument": {"name": "見本 花子"}}
    world.settle()
    kinds = [(each.what, each.cause) for each in world.timeline()[:2]]
    assert kinds == [("kyc_read", "settle"), ("kyc_read", "webhook")]
    assert world.timeline()[0].detail["snapshot"] != world.timeline()[1].detail["snapshot"]


def test_another_signature_in_the_selfies_address_is_nothing_new(world: SettlingWorld) -> None:
    """PayPay signs the address anew at each read, so no two objects are the same byte by byte."""
    selfie = "https://selfie.example.jp/1.png?signature="
    world.paypay.data = {**world.paypay.data, "selfieImageUrl": f"{selfie}1"}
    world.work(world.hint())
    kept = world.user().kept
    before = world.everything()
    world.paypay.data = {**world.paypay.data, "selfieImageUrl": f"{selfie}2"}
    world.settle()
    assert world.everything() == before
    assert "content" not in world.timeline()[0].detail
    # Another read, of which something shall be proved, keeps what it was given.
    world.notify()
    assert world.user().kept != kept


@pytest.mark.parametrize("kinds", [("kyc",), ("kyc", "risk"), ("kyc", "risk", "account_status")])
def test_120_hints_lead_to_two_readings_of_each_kind(world: SettlingWorld, kinds: tuple[str, ...]) -> None:
    for number in range(120):
        world.paypay.asked.clear()
        world.clock.advance(seconds=0.1)
        world.work(world.hint(kinds[number % len(kinds)]))
    assert world.settle() == 2 * len(kinds)


def test_copies_of_one_notification_are_one_hint(world: SettlingWorld) -> None:
    hint = world.hint()
    for _ in range(20):
        world.clock.advance(seconds=1)
        copy = Event(*(hint.event_id, "paypay", "kyc", "webhook", LINKED, utc_text(world.clock()), hint.detail))
        world.work(copy)
    assert [delay_s for _, delay_s in world.sent] == [60, 900]


def test_an_earlier_hint_that_comes_later_is_not_followed(world: SettlingWorld) -> None:
    earlier = world.hint()
    world.clock.advance(seconds=5)
    later = world.hint()
    world.work(later)
    world.work(earlier)
    assert {event.received_at for event, _ in world.sent} == {later.received_at}
    assert world.settle() == 2


def test_hints_of_one_kind_do_not_end_the_settling_of_another(world: SettlingWorld) -> None:
    world.lagging.change(840, active=False)
    world.work(world.hint("account_status", type_=CUSTOMER))
    for kind in ("kyc", "risk", "account_status"):
        world.clock.advance(seconds=5)
        world.work(world.hint(kind))
    assert world.settle() == 8
    assert world.truth()[0] == world.truth()[1]


def test_a_reading_that_itself_came_late_needs_no_repetition(world: SettlingWorld) -> None:
    """After an outage of two hours, thousands of hints would else lead to three readings each."""
    hint = world.hint()
    world.clock.advance(seconds=7200)
    world.work(hint)
    assert world.sent == []
    hint = world.hint()
    world.clock.advance(seconds=100)
    world.work(hint)
    assert [delay_s for _, delay_s in world.sent] == [800], "900 s after the hint"


def test_after_a_refusal_a_late_hint_is_followed_at_once(world: SettlingWorld) -> None:
    hint = world.hint()
    world.clock.advance(seconds=7200)
    world.paypay.failure = ProviderRefusedError("paypay", "no", http_status=404, code="NOT_FOUND")
    world.work(hint)
    assert [delay_s for _, delay_s in world.sent] == [0, 0]


def test_a_clock_that_was_ahead_at_the_webhook_delays_no_longer_than_sqs_can(world: SettlingWorld) -> None:
    hint = world.hint()
    hint.received_at = utc_text(world.clock() + timedelta(seconds=5))
    world.work(hint)
    assert [delay_s for _, delay_s in world.sent] == [60, 900]


def test_without_delays_nothing_is_sent() -> None:
    with memory_aws():
        world = SettlingWorld(())
        world.link()
        world.work(world.hint())
        assert world.sent == []


# --- who is gone or has another link ---


def test_an_erased_user_is_not_read(world: SettlingWorld) -> None:
    world.work(world.hint())
    world.erase(USER)
    before = world.everything()
    assert world.settle() == 0
    assert world.everything() == before


def test_a_replaced_authorization_is_not_read(world: SettlingWorld) -> None:
    world.work(world.hint())
    world.link(linked=OTHER)
    before = world.everything()
    assert world.settle() == 0
    assert world.everything() == before


def test_a_hint_about_the_old_authorization_does_not_end_the_settling_of_the_present_one(world: SettlingWorld) -> None:
    world.link(linked=OTHER)
    world.lagging.change(840, flagged=True)
    world.work(world.hint("risk", OTHER))
    world.clock.advance(seconds=1)
    world.work(world.hint("risk", LINKED))
    assert {event.subject for event, _ in world.sent} == {OTHER}
    world.settle()
    assert world.status()[0] == "RISK_FLAGGED"


def test_a_later_hint_about_the_old_authorization_does_not_keep_the_present_one_from_settling(
    world: SettlingWorld,
) -> None:
    world.clock.advance(seconds=60)
    late = world.hint(subject=OTHER)  # PayPay's outage keeps it on the queue
    world.clock.advance(seconds=60)
    world.work(world.hint())
    world.clock.advance(seconds=60)
    world.link(linked=OTHER)
    world.lagging.change(300, flagged=True)
    world.work(late)
    world.settle()
    assert world.truth() == ("RISK_FLAGGED", "RISK_FLAGGED")


def test_a_link_that_is_gone_is_dropped_without_a_question(world: SettlingWorld) -> None:
    event = Event("settle:x:60", "paypay", "kyc", "settle", OTHER, utc_text(world.clock()))
    before = world.everything()
    world.work(event)
    assert (world.everything(), world.paypay.asked) == (before, [])


# --- PayPay does not answer ---


def test_a_refused_reading_is_done_and_leaves_nothing(world: SettlingWorld, capsys: pytest.CaptureFixture[str]) -> None:
    world.work(world.hint())
    before = world.everything()
    world.paypay.failure = ProviderRefusedError("paypay", "no", http_status=404, code="NOT_FOUND")
    world.settle()
    assert world.everything() == before
    assert "ReadingRefused" in capsys.readouterr().out


def test_one_notification_whose_reads_are_refused_is_no_refusal_that_repeats(
    world: SettlingWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.paypay.failure = ProviderRefusedError("paypay", "m", http_status=400, code="INVALID_PARAMS")
    world.work(world.hint())
    assert world.settle() == 2
    assert "RefusalRepeated" not in capsys.readouterr().out
    for _ in range(2):
        world.work(world.hint())
    assert "RefusalRepeated" in capsys.readouterr().out


def test_an_answer_that_no_facet_shows_yet_is_kept(world: SettlingWorld) -> None:
    """Two flags of two reads: that one of them was cleared shows only when the other is, too."""
    world.link(scopes=(INFO, QR), flow=True)
    world.reads().kyc_info(USER, "EKYC")
    with mock.patch.object(world.paypay, "kyc_info", side_effect=answer("KYC_UPDATE_REQUIRED")):
        world.work(world.hint())
    with mock.patch.object(world.paypay, "completed_kyc_passport_qr", side_effect=answer("UNACCEPTABLE_OP")):
        world.clock.advance(seconds=1)
        world.reads().completed_qr("code-1")
    world.settle()
    assert world.status()[0] == "RISK_FLAGGED"
    world.reads().completed_qr("code-1")
    assert world.status()[0] == "VERIFIED"


def test_no_answer_lets_the_event_come_again(world: SettlingWorld) -> None:
    world.lagging.change(30, flagged=True)
    world.work(world.hint("risk"))
    (_, first), *_ = world.waiting
    world.clock.advance(seconds=60)
    world.paypay.failure = ProviderUnavailableError("paypay", "HTTP 503", http_status=503)
    with pytest.raises(ProviderUnavailableError):
        world.work(first)
    world.paypay.failure = None
    world.work(first)
    assert world.status()[0] == "RISK_FLAGGED"


def test_a_user_without_a_read_that_fits_is_not_counted_as_read() -> None:
    with memory_aws():
        world = SettlingWorld()
        world.link(scopes=(INFO,))
        world.work(world.hint("risk"))
        before = world.everything()
        assert world.settle() == 0
        assert world.everything() == before


# --- crashes ---


class _Dies(BaseException):
    """The environment is gone."""


@pytest.mark.parametrize("moment", ["before the messages are sent", "before the commit", "after the commit"])
def test_a_crash_at_any_moment_loses_no_settling(
    world: SettlingWorld, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world.lagging.change(840, flagged=True)
    hint = world.hint("risk")
    apply = Events.apply

    def dies(self: Events, what: Any) -> None:
        monkeypatch.setattr(Events, "apply", apply)
        if moment == "after the commit":
            apply(self, what)
        raise _Dies

    if moment == "before the messages are sent":
        world.send_fails = 1
    else:
        monkeypatch.setattr(Events, "apply", dies)
    with pytest.raises((_Dies, ConnectionError)):
        world.work(hint)
    # What dies with the environment comes again after its visibility time-out, unless it was deleted.
    world.clock.advance(seconds=720)
    world.work(hint)
    world.settle()
    assert world.status()[0] == "RISK_FLAGGED"


def test_a_settle_event_that_overtakes_its_hint_is_harmless(world: SettlingWorld) -> None:
    world.lagging.change(30, done=False)
    hint = world.hint()
    world.work(hint)
    events = [event for _, event in world.waiting]
    with memory_aws():
        other = SettlingWorld()
        other.link()
        other.lagging.change(0, done=False)
        other.clock.advance(seconds=60)
        for event in events:
            other.work(event)
        assert other.status()[0] == "NOT_COMPLETED"
        other.work(hint)
        assert other.status()[0] == "NOT_COMPLETED"


def test_a_hint_that_heals_its_link_is_followed_too(world: SettlingWorld) -> None:
    world.ask()
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": [PASSPORT]}
    world.work(world.hint())
    assert world.status()[0] == "VERIFIED"
    assert sorted(delay for _, delay in world.sent) == [60, 900]


# --- any order ---

_ACCOUNT = ("account_status", "active")
# Not both of the first ones in one life: only a success clears a flag (`honnin.paypay_facets`).
_CHANGES = st.sampled_from([("kyc", "done"), ("risk", "flagged")]).map(lambda each: [each, _ACCOUNT])
_STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),  # which of the two changes
        st.integers(0, 840),  # how long the reads lag
        st.integers(1, 3),  # copies of the notification
        st.integers(0, 300),  # how long it is under way to us
        st.sampled_from([0.0, 0.001, 1.0, 59.0, 400.0, 1000.0]),  # time until the next change
        st.booleans(),  # the first try fails while the messages are sent
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100)
@given(_CHANGES, _STEPS, st.integers(0, 1000))
def test_whatever_the_lag_and_the_order_the_user_ends_as_paypay_says(
    changes: list[tuple[str, str]], steps: list[Any], seed: int
) -> None:
    dice = random.Random(seed)
    with memory_aws():
        world = SettlingWorld()
        world.link()
        world.work(world.hint())
        for which, lag_s, copies, under_way_s, pause_s, fails in steps:
            kind, name = changes[which]
            world.paypay.asked.clear()
            world.clock.advance(seconds=0.01)
            world.lagging.change(lag_s, **{name: not getattr(world.lagging.truth, name)})
            world.send_fails = int(fails)
            hint = world.hint(kind)
            if fails:
                with pytest.raises(ConnectionError):
                    world.work(hint)
            for _ in range(copies):
                at = world.clock.advance(seconds=under_way_s / copies)
                world.work(Event(hint.event_id, "paypay", kind, "webhook", LINKED, utc_text(at), hint.detail))
            world.clock.advance(seconds=pause_s)
        world.paypay.asked.clear()
        world.settle(shuffle=dice)
        assert world.truth()[0] == world.truth()[1]
        assert not world.waiting


# --- Vexora ---


def _applied(world: SettlingWorld, submission_id: str = "s-1", before: UserStatus | None = None) -> UserStatus:
    at = utc_text(world.clock())
    after = UserStatus(USER, "vexora", "PENDING", 1, submission_id=submission_id, submitted_at=at)
    new = effect(f"api:{submission_id}", "submitted", before, after, {}, at=world.clock())
    world.store.events.apply(replace(new, opens=Submission(submission_id, USER, "PENDING", at)))
    return new.after


def _callback(world: SettlingWorld, number: int = 1, submission_id: str = "s-1") -> Event:
    event_id = f"vexora:{submission_id}:{number:032}"
    return Event(event_id, "vexora", "kyc_result", "webhook", submission_id, utc_text(world.clock()), {"sign": "valid"})


def test_a_decision_of_vexora_that_its_reads_show_later_is_found(world: SettlingWorld) -> None:
    """The poll might ask a day later, and about a decision that is corrected it never asks again."""
    _applied(world)
    for stated, meant in (("2", "APPROVED"), ("3", "REJECTED")):
        world.work(_callback(world, int(stated)))
        world.clock.advance(seconds=30)
        world.vexora.statuses[USER] = stated
        world.settle()
        found = world.store.users.status(USER, "vexora")
        assert found
        assert found.status == meant
        assert world.timeline()[0].cause == "settle"
        world.clock.advance(seconds=5)


def test_120_callbacks_of_vexora_lead_to_two_readings_and_nothing_new_leaves_nothing(world: SettlingWorld) -> None:
    _applied(world)
    world.vexora.statuses[USER] = "1"
    for number in range(120):
        world.clock.advance(seconds=0.1)
        world.work(_callback(world, number))
    world.vexora.queried.clear()
    before = world.everything()
    world.settle()
    assert len(world.vexora.queried) == 2
    assert world.everything() == before


def test_the_settling_of_a_submission_ends_with_the_next_one(world: SettlingWorld) -> None:
    first = _applied(world)
    world.vexora.statuses[USER] = "3"
    world.work(_callback(world))
    rejected = world.store.users.status(USER, "vexora")
    assert rejected
    world.clock.advance(seconds=1)
    _applied(world, "s-2", rejected)
    world.vexora.queried.clear()
    world.settle()
    assert world.vexora.queried == []
    assert first.submission_id == "s-1"
