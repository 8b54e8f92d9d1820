"""PayPay's answers through the whole product: linking, notifications and the merchant's reads on one table."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from honnin import commit, users_api
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    NoLeaseError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SessionNotFoundError,
    UserAnswerError,
)
from honnin.event import Event
from honnin.paypay.account_link import LinkRefusedError
from honnin.paypay.readings import Rules, recorded, standing
from honnin.paypay_facets import Answer, Call
from honnin.problem_codes import ProblemCode
from honnin.recon.compare import Question
from honnin.status import VerifiedNeeds
from honnin.store import Certificate, Effect, UserStatus
from honnin.store.events import Events
from honnin.times import utc_text
from honninctl.export import _qrs
from tests.fakes import START
from tests.fakes.memory import memory_aws
from tests.fakes.paypay import answer
from tests.fakes.paypay_world import INFO, LINKED, PASSPORT, QR, USER, PayPayWorld

OTHER = "0a1b2c3d-0000-4000-8000-000000000001"


@pytest.fixture
def world() -> Iterator[PayPayWorld]:
    with memory_aws():
        yield PayPayWorld()


type Ask = Callable[[], object]


@pytest.fixture(params=["notification", "api"])
def ask(request: pytest.FixtureRequest, world: PayPayWorld) -> Ask:
    """Both ways that lead to a KYC read."""
    return world.notify if request.param == "notification" else lambda: world.reads().kyc_passport(USER)


# --- a KYC answer fails closed ---


@pytest.mark.parametrize(
    ("data", "code", "word"),
    [
        ({"status": "NOT_COMPLETED"}, "SUCCESS", "NOT_COMPLETED"),
        ({"status": "REJECTED"}, "SUCCESS", "REJECTED"),
        ({"status": "completed"}, "SUCCESS", "completed"),
        ({"status": 3}, "SUCCESS", "3"),
        ({"status": ["COMPLETED"]}, "SUCCESS", "(unreadable)"),
        ({"status": "見本 花子"}, "SUCCESS", "(unreadable)"),
        ({"foo": 1}, "SUCCESS", "(absent)"),
        ({}, "SUCCESS", "(absent)"),
        ({"status": "COMPLETED"}, "KYC_UNDER_REVIEW", "KYC_UNDER_REVIEW"),
        ({}, "A_NEW_CODE", "A_NEW_CODE"),
    ],
)
def test_what_no_setting_lists_verifies_nobody(
    world: PayPayWorld, ask: Ask, data: dict[str, Any], code: str, word: str
) -> None:
    world.link()
    ask()
    assert world.status() == ("VERIFIED", "SUCCESS")
    world.paypay.data, world.paypay.code = data, code
    ask()
    assert world.status() == ("UNCONFIRMED", word)
    assert world.timeline()[0].detail["word"] == word
    assert world.timeline()[0].detail["providerCode"] == code
    assert set(world.store.users.words("paypay")) == {word}


def test_with_the_default_setting_no_word_verifies_and_the_setting_is_followed_by_a_reread(world: PayPayWorld) -> None:
    world.rules = Rules()
    world.link()
    world.notify()
    assert world.status() == ("UNCONFIRMED", "COMPLETED")
    world.rules = Rules(frozenset({"COMPLETED"}))
    assert world.status() == ("UNCONFIRMED", "COMPLETED")
    world.notify(cause="operator")
    assert world.status() == ("VERIFIED", "SUCCESS")


@pytest.mark.parametrize("http_status", [201, 204, 299])
def test_only_http_200_verifies(world: PayPayWorld, http_status: int) -> None:
    world.link()
    world.paypay.http_status = http_status
    world.notify()
    assert world.user().status == "UNCONFIRMED"


# --- what a read needs lives as long as the link ---


def _qr_link(world: PayPayWorld) -> None:
    world.link(scopes=(QR,), flow=True)


def _lost_redirect(world: PayPayWorld) -> None:
    world.ask(scopes=(QR,), flow=True)
    # PayPay need not say the scopes.
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER]}


def _again_without_the_flow(world: PayPayWorld) -> None:
    _qr_link(world)
    world.link(scopes=(INFO,))


def _declined_another(world: PayPayWorld) -> None:
    _qr_link(world)
    world.paypay.code_id = "code-2"
    world.answer(world.ask(scopes=(QR,), flow=True), result="declined")


def _lost_redirect_and_a_plain_qr_after_it(world: PayPayWorld) -> None:
    _lost_redirect(world)
    world.ask(scopes=(INFO,))
    world.paypay.authorizations[LINKED]["scopes"] = [QR]


def _lost_redirect_of_another_account(world: PayPayWorld) -> None:
    world.link(linked=OTHER, scopes=(INFO,))
    world.paypay.authorizations[OTHER]["status"] = "INACTIVE"
    world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
    world.notify(subject=OTHER)
    world.paypay.failure = None
    _lost_redirect(world)


@pytest.mark.parametrize(
    "happens",
    [
        _qr_link,
        _lost_redirect,
        _lost_redirect_and_a_plain_qr_after_it,
        _lost_redirect_of_another_account,
        _again_without_the_flow,
        _declined_another,
    ],
)
@pytest.mark.parametrize("days", [0, 8, 400])
def test_a_risk_notification_of_a_qr_link_is_read(
    world: PayPayWorld, happens: Callable[[PayPayWorld], None], days: int
) -> None:
    happens(world)
    world.clock.advance(days=days)
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.notify("risk")
    assert world.user().status == "RISK_FLAGGED"
    assert world.paypay.asked[-1] == "kyc_passport_qr"
    assert {code for code, _ in world.paypay.qrs} == {"code-1"}
    assert {verifier == world.kept().code_verifier for _, verifier in world.paypay.qrs} == {True}


def test_scopes_are_merged_and_a_heal_without_scopes_takes_the_last_qrs(world: PayPayWorld) -> None:
    world.ask(scopes=(PASSPORT, "kyc_foreign_status"))
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": ["user_profile"]}
    world.notify()
    assert set(world.user().scopes) == {PASSPORT, "kyc_foreign_status", "user_profile"}
    world.link(scopes=(INFO,))
    assert set(world.kept().scopes) == {PASSPORT, "kyc_foreign_status", "user_profile", INFO}
    world.paypay.authorizations[LINKED]["scopes"] = ["another"]
    world.notify("account_status")
    assert set(world.user().scopes) == {PASSPORT, "kyc_foreign_status", "user_profile", INFO, "another"}


def test_a_qr_that_was_read_is_what_later_reads_use(world: PayPayWorld) -> None:
    world.link(scopes=(INFO,))
    world.ask(scopes=(QR,), flow=True)  # its redirect is lost, and PayPay renews the same authorization
    assert world.reads().completed_qr("code-1").status == "VERIFIED"
    world.clock.advance(days=30)
    world.paypay.flag = "KYC_UPDATE_REQUIRED"
    world.notify("risk")
    assert world.status() == ("UPDATE_REQUIRED", "KYC_UPDATE_REQUIRED")


def test_an_old_qr_is_not_read_through_a_newer_link(world: PayPayWorld) -> None:
    _qr_link(world)
    world.paypay.code_id = "code-2"
    world.link(linked=OTHER, scopes=(QR,), flow=True)
    with pytest.raises(ConflictError) as caught:
        world.reads().completed_qr("code-1")
    assert caught.value.code is ProblemCode.LINKED_ANEW
    assert world.reads().completed_qr("code-2").status == "VERIFIED"


@pytest.mark.parametrize("refusal", ["SESSION_NOT_FOUND", "KYC_PASSPORT_NOT_COMPLETED"])
@pytest.mark.parametrize(
    ("kind", "scopes", "asked", "status"),
    [
        ("kyc", (QR, INFO), ["kyc_passport_qr", "kyc_info"], "VERIFIED"),
        ("kyc", (QR,), ["kyc_passport_qr"], "LINKED"),
        ("risk", (QR, INFO), ["kyc_passport_qr"], "LINKED"),
        ("risk", (QR, PASSPORT), ["kyc_passport"], "VERIFIED"),
    ],
)
def test_a_refusal_about_the_qr_alone_leaves_the_other_reads(
    world: PayPayWorld,
    monkeypatch: pytest.MonkeyPatch,
    refusal: str,
    kind: str,
    scopes: tuple[str, ...],
    asked: list[str],
    status: str,
) -> None:
    world.link(scopes=scopes, flow=True)
    error = {"SESSION_NOT_FOUND": SessionNotFoundError, "KYC_PASSPORT_NOT_COMPLETED": PassportNotCompletedError}[
        refusal
    ]

    def refuse(*_: str, **_arguments: object) -> Any:
        world.paypay.asked.append("kyc_passport_qr")
        raise error("paypay", "m", http_status=404, code=refusal)

    monkeypatch.setattr(world.paypay, "completed_kyc_passport_qr", refuse)
    world.notify(kind)
    assert (world.paypay.asked, world.user().status) == (asked, status)
    assert (world.timeline()[0].what == "reading_refused") is (status == "LINKED")


def test_a_code_id_that_comes_again_belongs_to_the_newer_qr(world: PayPayWorld) -> None:
    _qr_link(world)
    world.ask(scopes=(QR,), flow=True)
    world.ask("user-2", scopes=(QR,), flow=True)
    found = world.store.links.passport_qr("code-1")
    assert found is not None
    assert found.user_id == "user-2"
    world.clock.advance(days=8)
    assert world.store.links.passport_qr("code-1") is None
    world.ask(scopes=(QR,), flow=True)  # the expired item is still there: TTL has not removed it


def test_a_code_that_is_another_users_by_now_is_neither_erased_nor_exported(world: PayPayWorld) -> None:
    world.ask(scopes=(QR, PASSPORT), flow=True)
    world.ask("user-2", scopes=(QR,), flow=True)
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER]}
    world.notify()
    # Healed with the user's own verifier, which the status keeps: PayPay refuses another one.
    others = world.store.links.passport_qr("code-1")
    assert others is not None
    assert world.user().status == "VERIFIED"
    assert world.kept().code_verifier not in (None, others.code_verifier)
    footprint = world.store.erasure.footprint(USER)
    assert list(_qrs(world.store, footprint, whole_table=False)) == []
    world.erase(USER)
    found = world.store.links.passport_qr("code-1")
    assert found is not None
    assert found.user_id == "user-2"


@pytest.mark.parametrize("result", [None, "declined", "succeeded"])
@pytest.mark.parametrize("days", [0, 8])
def test_an_erasure_takes_the_code_of_a_qr_however_it_ended(world: PayPayWorld, result: str | None, days: int) -> None:
    nonce = world.ask(scopes=(QR,), flow=True)
    if result:
        world.answer(nonce, result=result)
    footprint = world.store.erasure.footprint(USER)
    assert [each.user_id for each in _qrs(world.store, footprint, whole_table=False)] == [USER]
    world.clock.advance(days=days)
    world.erase(USER)
    assert [item for item in world.items() if item["pk"]["S"].startswith("CODE#")] == []


# --- refused is not read ---


@pytest.mark.parametrize(
    "refusal",
    [
        ProviderRefusedError("paypay", "m", http_status=400, code="INVALID_REQUEST_PARAMS"),
        ProviderRefusedError("paypay", "m", http_status=404, code="A_NEW_CODE"),
        ProviderRefusedError("paypay", "m", http_status=409),
    ],
)
@pytest.mark.parametrize("kind", ["kyc", "risk", "account_status"])
def test_a_refused_read_is_no_read_and_recon_reads_again(
    world: PayPayWorld, refusal: ProviderRefusedError, kind: str
) -> None:
    world.link()
    world.notify()
    world.clock.advance(days=1)
    midnight = utc_text(world.clock())
    before = world.user()
    world.paypay.failure = refusal
    world.notify(kind)
    assert world.timeline()[0].what == "reading_refused"
    # That a webhook came is noted, and decides about nobody.
    assert replace(world.user(), version=0, received=None) == replace(before, version=0, received=None)
    assert not answered(world, kind, midnight)
    world.paypay.failure = None
    world.notify(kind, cause="recon")
    assert answered(world, kind, midnight)


_REFUSALS = [
    ProviderRefusedError("paypay", "m", http_status=400, code="INVALID_REQUEST_PARAMS"),
    ProviderRefusedError("paypay", "m", http_status=404, code="A_NEW_CODE"),
    ProviderRefusedError("paypay", "m", http_status=409),
    SessionNotFoundError("paypay", "m", http_status=404, code="SESSION_NOT_FOUND"),
    PassportNotCompletedError("paypay", "m", http_status=400, code="KYC_PASSPORT_NOT_COMPLETED"),
]


def repair(kind: str = "kyc", number: int = 1, at: datetime = START) -> Event:
    """The event of the comparison of that number."""
    name = f"recon:file:2026-04-01:{LINKED}:{number}"
    return Event(name, "paypay", kind, "recon", LINKED, utc_text(at))


@pytest.mark.parametrize("refusal", _REFUSALS)
@pytest.mark.parametrize("kind", ["kyc", "risk", "account_status"])
def test_a_repair_that_was_refused_is_made_by_the_next_comparison(
    world: PayPayWorld, refusal: ProviderRefusedError, kind: str
) -> None:
    world.link(scopes=(QR,), flow=True)
    world.notify()
    world.paypay.failure = refusal
    for _ in range(2):
        world.clock.advance(seconds=1)
        world.processor().process(repair(kind, at=world.clock()))
    refused = [each for each in world.timeline() if each.what == "reading_refused"]
    assert [each.event_id for each in refused] == [repair(kind).event_id]
    world.paypay.failure = answer("CANCELED_USER")
    world.clock.advance(seconds=1)
    world.processor().process(repair(kind, 2, at=world.clock()))
    assert world.user().status == "INACTIVE"
    # Now it has taken effect.
    world.paypay.failure = None
    world.paypay.asked.clear()
    world.processor().process(repair(kind, 2))
    assert (world.user().status, world.paypay.asked) == ("INACTIVE", [])


def test_a_repair_of_an_unknown_authorization_that_was_refused_is_made_by_the_next_comparison(
    world: PayPayWorld,
) -> None:
    world.ask()
    world.paypay.failure = _REFUSALS[0]
    world.processor().process(repair())
    world.paypay.failure = None
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": [PASSPORT]}
    world.clock.advance(seconds=1)
    world.processor().process(repair(number=2))
    assert world.user().status == "VERIFIED"


def test_a_webhook_whose_read_was_refused_is_done(world: PayPayWorld) -> None:
    world.link()
    event = Event("paypay:kyc:n", "paypay", "kyc", "webhook", LINKED, "2026-04-01T03:00:00.000Z")
    world.paypay.failure = _REFUSALS[0]
    world.processor().process(event)
    world.processor().process(event)
    assert world.paypay.asked == ["kyc_passport"]


def _refused(world: PayPayWorld, code: str | None, http_status: int = 400) -> None:
    world.paypay.failure = ProviderRefusedError("paypay", "m", http_status=http_status, code=code)
    world.notify()


def test_refusals_of_one_kind_repeat_and_single_ones_of_many_kinds_do_not(
    world: PayPayWorld, counted: Callable[[], Counter[str]]
) -> None:
    world.link()
    for number in range(12):
        _refused(world, f"A_NEW_CODE_{number}")
    for http_status in (400, 404, 409, 410, 422):
        _refused(world, None, http_status)
    assert counted() == {"ReadingRefused": 17}
    _refused(world, "A_NEW_CODE_3", 404)
    assert counted()["RefusalRepeated"] == 0
    _refused(world, "A_NEW_CODE_3")
    assert counted()["RefusalRepeated"] == 1
    _refused(world, "A_NEW_CODE_3")
    assert counted()["RefusalRepeated"] == 2
    world.clock.advance(days=1)
    _refused(world, "A_NEW_CODE_3")
    assert counted()["RefusalRepeated"] == 2


def test_reads_of_the_merchant_and_of_a_new_link_count_as_well(
    world: PayPayWorld, counted: Callable[[], Counter[str]]
) -> None:
    world.link(scopes=(PASSPORT, INFO))
    world.paypay.failure = ProviderRefusedError("paypay", "m", http_status=400, code="INVALID_PARAMS")
    with pytest.raises(ProviderRefusedError):
        world.reads().kyc_passport(USER)
    with pytest.raises(ProviderRefusedError):
        world.reads().kyc_info(USER, None)
    assert counted()["RefusalRepeated"] == 0
    world.link()
    assert counted()["RefusalRepeated"] == 1


def test_polling_a_qr_is_no_refusal_that_repeats(world: PayPayWorld, counted: Callable[[], Counter[str]]) -> None:
    _qr_link(world)
    for error in (PassportNotCompletedError, SessionNotFoundError):
        world.paypay.failure = error("paypay", "m", http_status=400, code="A_CODE")
        for _ in range(4):
            with pytest.raises(error):
                world.reads().completed_qr("code-1")
    assert counted() == {}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Counter[str]]:
    """How often each metric of refusals was counted."""
    counts: Counter[str] = Counter()

    def count(metric: str, value: int = 1, **_: str) -> None:
        counts[metric] += value if "Refus" in metric else 0

    monkeypatch.setattr("honnin.paypay.readings.count", count)
    monkeypatch.setattr("honnin.paypay.readings.count_for_alarm", count)
    return lambda: Counter({name: number for name, number in counts.items() if number})


def test_a_plain_read_does_not_answer_a_risk_file(world: PayPayWorld) -> None:
    world.link(scopes=(INFO,))
    world.notify()
    later = utc_text(world.clock.advance(days=1) or world.clock())
    assert answered(world, "kyc", "2026-04-01T00:00:00.000Z")
    assert not answered(world, "risk", "2026-04-01T00:00:00.000Z")
    assert not answered(world, "kyc", later)


def answered(world: PayPayWorld, kind: str, notified_at: str) -> bool:
    """Whether recon would leave the user out of a file of that kind whose notification came then."""
    link = world.store.links.get(LINKED)
    assert link is not None
    return Question(kind, "2026-03-31", notified_at).is_answered(world.user(), link)


# --- the strictest KYC type ---


def test_the_type_that_the_merchant_asked_for_holds_for_notifications(world: PayPayWorld) -> None:
    world.link(scopes=(INFO,))
    world.reads().kyc_info(USER, "EKYC")
    world.reads().kyc_info(USER, None)
    world.notify()
    assert world.paypay.required == ["EKYC"] * 3
    world.link(scopes=(INFO, "another"))  # the same authorization again
    world.notify()
    assert world.paypay.required[-1] == "EKYC"


def test_the_type_holds_although_the_read_that_named_it_says_no(world: PayPayWorld) -> None:
    world.link(scopes=(INFO,))
    world.paypay.flag = "NON_EKYC_USER"
    assert world.reads().kyc_info(USER, "EKYC").status == "NOT_COMPLETED"
    world.notify()
    assert world.paypay.required == ["EKYC", "EKYC"]


@pytest.mark.parametrize(
    "failure",
    [
        ProviderUnavailableError("paypay", "down", http_status=503),
        ProviderRefusedError("paypay", "no", http_status=400, code="INVALID_PARAMS"),
    ],
    ids=["no answer", "refused"],
)
def test_the_type_holds_although_the_read_that_named_it_had_no_answer(
    world: PayPayWorld, failure: ProviderError
) -> None:
    world.link(scopes=(INFO,))
    world.paypay.failure = failure
    with pytest.raises(type(failure)):
        world.reads().kyc_info(USER, "EKYC")
    world.paypay.failure = None
    world.notify()
    assert world.paypay.required == ["EKYC", "EKYC"]


def _linked_over(world: PayPayWorld) -> None:
    world.ask(scopes=(INFO,))
    world.paypay.authorizations[OTHER] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": [INFO]}
    world.notify(subject=OTHER)


@pytest.mark.parametrize(
    "again", [lambda world: world.link(linked=OTHER, scopes=(INFO,)), _linked_over], ids=["redirect", "heal"]
)
def test_who_links_another_account_is_not_let_off_the_type(
    world: PayPayWorld, again: Callable[[PayPayWorld], None]
) -> None:
    world.link(scopes=(INFO,))
    world.reads().kyc_info(USER, "EKYC")
    world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
    world.notify()
    world.paypay.failure = None
    again(world)
    world.notify(subject=OTHER)
    assert world.paypay.required[-1] == "EKYC"


def test_another_users_type_is_not_taken_over(world: PayPayWorld) -> None:
    world.link("user-u", scopes=(INFO,))
    world.reads().kyc_info("user-u", "EKYC")
    world.link("user-u", linked=OTHER, scopes=(INFO,))
    world.link("user-v", scopes=(INFO,))
    world.notify()
    assert world.paypay.required == ["EKYC", None]


@pytest.mark.parametrize("asked", [None, "EKYC"])
def test_the_deployments_type_holds_for_every_read(world: PayPayWorld, asked: str | None) -> None:
    world.rules = replace(world.rules, required_kyc_type="EKYC")
    world.link(scopes=(INFO,))
    world.notify()
    world.reads().kyc_info(USER, asked)
    assert world.paypay.required == ["EKYC", "EKYC"]


@pytest.mark.parametrize("kind", ["kyc", "account_status", "risk"])
def test_the_passport_read_does_not_make_up_for_the_type(world: PayPayWorld, kind: str) -> None:
    world.link(scopes=(INFO, PASSPORT))
    world.paypay.flag = "NON_EKYC_USER"
    assert world.reads().kyc_info(USER, "EKYC").status == "NOT_COMPLETED"
    world.paypay.flag = None
    with mock.patch.object(world.paypay, "kyc_info", side_effect=answer("NON_EKYC_USER")):
        world.notify(kind)
        assert world.status() == ("NOT_COMPLETED", "NON_EKYC_USER")
        assert world.reads().kyc_passport(USER).status == "NOT_COMPLETED"
    world.notify()
    assert world.status()[0] == "VERIFIED"


@pytest.mark.parametrize("whose", ["deployment", "merchant"])
def test_a_risk_notification_does_not_verify_who_lacks_the_type(world: PayPayWorld, whose: str) -> None:
    """`kyc_info` was never answered: the KYC Passport, which knows no type, must not be the only one asked."""
    world.link(scopes=(INFO, PASSPORT))
    if whose == "deployment":
        world.rules = replace(world.rules, required_kyc_type="EKYC")
    else:
        world.paypay.failure = ProviderUnavailableError("paypay", "down", http_status=503)
        with pytest.raises(ProviderUnavailableError):
            world.reads().kyc_info(USER, "EKYC")
        world.paypay.failure = None
    with mock.patch.object(world.paypay, "kyc_info", side_effect=answer("NON_EKYC_USER")) as asked:
        world.notify("risk")
    assert world.status() == ("NOT_COMPLETED", "NON_EKYC_USER")
    assert asked.call_args.args == (LINKED, "EKYC")
    world.notify()
    assert world.status()[0] == "VERIFIED"
    world.paypay.asked.clear()
    world.notify("risk")
    assert world.paypay.asked == ["kyc_passport"]


def test_a_risk_is_found_where_a_type_is_required(world: PayPayWorld) -> None:
    world.rules = replace(world.rules, required_kyc_type="EKYC")
    world.link(scopes=(INFO, PASSPORT))
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.notify("risk")
    assert world.user().status == "RISK_FLAGGED"
    assert world.paypay.asked == ["kyc_passport"]


# --- link, KYC and flag side by side ---


def test_a_flag_stays_until_its_own_read_or_the_passport_read_succeeds(world: PayPayWorld) -> None:
    world.link(scopes=(INFO, PASSPORT))
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.notify("risk")
    world.paypay.failure = answer("USER_STATE_IS_NOT_ACTIVE")
    world.notify()
    assert world.user().status == "INACTIVE"
    world.paypay.failure, world.paypay.flag = None, None
    world.reads().kyc_info(USER, None)
    assert world.user().status == "RISK_FLAGGED"
    world.link(linked=OTHER, scopes=(INFO, PASSPORT))
    assert world.user().status == "RISK_FLAGGED"  # it follows the user to another authorization
    world.notify("risk", OTHER)
    assert world.user().status == "VERIFIED"


def test_a_flag_that_the_plain_read_raised_is_cleared_by_it(world: PayPayWorld) -> None:
    world.link(scopes=(INFO,))
    world.paypay.flag = "KYC_UPDATE_REQUIRED"
    world.notify()
    assert world.user().status == "UPDATE_REQUIRED"
    world.paypay.flag = None
    world.notify()
    assert world.user().status == "VERIFIED"


def test_who_links_anew_is_no_mass_change(world: PayPayWorld) -> None:
    """A merchant may ask all users for another scope; until the next read nothing is known of their KYC."""
    world.link()
    world.notify()
    assert world.user().status == "VERIFIED"
    world.link(linked="another-authorization-of-the-user")
    assert world.user().status == "LINKED"
    assert world.store.mass_change.read().losses == {}


@pytest.mark.parametrize("refused", ["OP_OUT_OF_SCOPE_BY_ANOTHER_NAME", "INVALID_REQUEST_PARAMS"])
def test_an_account_that_is_active_again_is_so_although_its_kyc_is_refused(
    world: PayPayWorld, refused: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.link()
    world.notify()
    world.paypay.authorizations[LINKED]["status"] = "INACTIVE"
    world.notify("account_status")
    assert world.user().status == "INACTIVE"
    world.paypay.authorizations[LINKED]["status"] = "ACTIVE"

    def refuse(_: str, **_arguments: object) -> Any:
        raise ProviderRefusedError("paypay", "m", http_status=400, code=refused)

    monkeypatch.setattr(world.paypay, "kyc_passport", refuse)
    world.notify("account_status")
    assert world.user().facets == {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"}


@pytest.mark.parametrize(("first", "second"), [(INFO, PASSPORT), (INFO, INFO), (PASSPORT, PASSPORT), (QR, PASSPORT)])
@pytest.mark.parametrize("code", ["UNACCEPTABLE_OP", "KYC_UPDATE_REQUIRED"])
def test_a_flag_that_was_cleared_does_not_come_back_with_a_link(
    world: PayPayWorld, first: str, second: str, code: str
) -> None:
    world.link(scopes=(INFO, PASSPORT, QR), flow=True)
    reads: dict[str, Callable[[], object]] = {
        INFO: lambda: world.reads().kyc_info(USER, None),
        PASSPORT: lambda: world.reads().kyc_passport(USER),
        QR: lambda: world.reads().completed_qr("code-1"),
    }
    world.paypay.flag = code
    reads[first]()
    world.paypay.flag = None
    reads[second]()
    assert world.user().status == "VERIFIED"
    world.paypay.authorizations[LINKED]["status"] = "INACTIVE"
    world.notify("account_status")
    world.paypay.authorizations[LINKED]["status"] = "ACTIVE"
    world.link()
    assert world.user().facets == {"link": "ACTIVE", "kyc": "UNREAD", "flag": "NONE"}


def test_an_authorization_that_is_linked_again_after_it_was_inactive_is_read_anew(world: PayPayWorld) -> None:
    world.link()
    world.notify()
    world.paypay.failure = answer("USER_STATE_IS_NOT_ACTIVE")
    world.notify()
    world.paypay.failure = None
    world.link()
    assert world.user().status == "LINKED"
    world.link()
    world.notify()
    world.link()
    assert world.user().status == "VERIFIED"


# --- links that end, and who may have them then ---


@pytest.mark.parametrize("code", ["CANCELED_USER", "INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID"])
def test_a_new_account_of_a_user_whose_link_has_ended_links_by_notification(world: PayPayWorld, code: str) -> None:
    world.link()
    world.paypay.failure = answer(code)
    world.notify()
    world.paypay.failure = None
    world.paypay.authorizations[OTHER] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": [PASSPORT]}
    world.notify(subject=OTHER)
    assert (world.user().user_authorization_id, world.user().status) == (OTHER, "VERIFIED")


def test_an_inactive_account_still_stands(world: PayPayWorld) -> None:
    world.link()
    world.paypay.failure = answer("USER_STATE_IS_NOT_ACTIVE")
    world.notify()
    world.paypay.failure = None
    world.ask()
    world.paypay.authorizations[OTHER] = {"status": "ACTIVE", "referenceIds": [USER], "scopes": [PASSPORT]}
    world.notify(subject=OTHER)
    assert world.user().user_authorization_id == LINKED


def _had_and_left(world: PayPayWorld, end: str) -> None:
    """The user `user-u` was linked, and is not any more: by another link (`another`), or by an answer of PayPay's."""
    world.link("user-u")
    if end == "another":
        world.link("user-u", linked=OTHER)
    else:
        world.paypay.failure = answer(end)
        world.notify()
        world.paypay.failure = None


@pytest.mark.parametrize("end", ["another", "CANCELED_USER", "INVALID_USER_AUTHORIZATION_ID"])
def test_another_user_takes_over_what_its_owner_has_no_more(world: PayPayWorld, end: str) -> None:
    _had_and_left(world, end)
    world.link("user-v")
    assert world.store.links.user(LINKED) == "user-v"
    world.notify()
    assert world.user("user-v").status == "VERIFIED"
    # What PayPay says of it now is about V.
    if end != "another":
        with pytest.raises(ConflictError):
            world.reads().kyc_passport("user-u")


@pytest.mark.parametrize("kind", ["kyc", "risk", "account_status"])
@pytest.mark.parametrize("end", ["another", "CANCELED_USER", "INVALID_USER_AUTHORIZATION_ID"])
def test_a_notification_heals_what_another_user_has_linked_by_a_lost_redirect(
    world: PayPayWorld, end: str, kind: str
) -> None:
    _had_and_left(world, end)
    before = world.user("user-u")
    world.ask("user-v")
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": ["user-v"]}
    world.notify(kind)
    assert world.store.links.user(LINKED) == "user-v"
    assert world.user("user-v").status == ("LINKED" if kind == "account_status" else "VERIFIED")
    assert replace(world.user("user-u"), version=0) == replace(before, version=0)


def test_what_was_read_before_another_user_had_the_account_does_not_verify_who_takes_it_back(
    world: PayPayWorld,
) -> None:
    def end() -> None:
        world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
        world.notify()
        world.paypay.failure = None

    world.link("user-u")
    world.notify()
    end()
    world.link("user-v")
    end()
    world.ask("user-u")
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": ["user-u"], "scopes": [PASSPORT]}
    world.notify("account_status")
    assert world.store.links.user(LINKED) == "user-u"
    assert world.user("user-u").status == "LINKED", "the KYC may have changed unseen"


def test_where_paypay_refuses_to_say_whose_a_replaced_authorization_is_nothing_counts_as_read(
    world: PayPayWorld, counted: Callable[[], Counter[str]]
) -> None:
    world.link("user-u")
    world.link("user-u", linked=OTHER)
    world.ask("user-v")
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": ["user-v"]}
    world.paypay.failure = ProviderRefusedError("paypay", "no", http_status=400, code="INVALID_PARAMS")
    before = world.user("user-u").received
    world.notify()
    assert world.timeline("user-u")[0].what == "reading_refused"
    assert counted()["ReadingRefused"] == 1
    assert world.user("user-u").received == before, "the webhook is not about the present authorization"
    world.paypay.failure = None
    world.notify(cause="recon")
    assert world.user("user-v").status == "VERIFIED"


@pytest.mark.parametrize("found", [["user-u"], ["user-u", "user-v"], ["user-w"], []])
def test_a_notification_of_an_ended_link_stays_its_owners_unless_paypay_names_one_other(
    world: PayPayWorld, found: list[str]
) -> None:
    world.link("user-u")
    world.paypay.failure = answer("EXPIRED_USER_AUTHORIZATION_ID")
    world.notify()
    world.paypay.failure = None
    world.ask("user-v")
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": found}
    world.notify()
    assert world.store.links.user(LINKED) == "user-u"
    assert world.user("user-u").status == "VERIFIED"


@pytest.mark.parametrize("code", [None, "USER_STATE_IS_NOT_ACTIVE", "KYC_NOT_COMPLETED"])
def test_another_user_never_takes_over_a_link_that_stands(world: PayPayWorld, code: str | None) -> None:
    world.link("user-u")
    if code:
        world.paypay.failure = answer(code)
        world.notify()
        world.paypay.failure = None
    nonce = world.ask("user-v")
    with pytest.raises(LinkRefusedError):
        world.answer(nonce, "user-v")
    assert world.store.links.user(LINKED) == "user-u"


def test_a_take_over_that_the_owner_overtakes_is_refused(world: PayPayWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world.link("user-u")
    world.paypay.failure = answer("EXPIRED_USER_AUTHORIZATION_ID")
    world.notify()
    world.paypay.failure = None
    nonce, again = world.ask("user-v"), world.ask("user-u")
    apply = type(world.store.events).apply
    pending = [again]

    def overtaken(events: Any, effect: Effect) -> None:
        if effect.takes_from and pending:
            world.answer(pending.pop(), "user-u")
        apply(events, effect)

    monkeypatch.setattr("honnin.store.events.Events.apply", overtaken)
    with pytest.raises(LinkRefusedError):
        world.answer(nonce, "user-v")
    assert world.store.links.user(LINKED) == "user-u"


class Crowd:
    """Three users and two authorizations, on one world, in which each write may be overtaken by something else."""

    def __init__(self, world: PayPayWorld, draw: random.Random) -> None:
        self.world = world
        self.draw = draw
        self.overtakes = 0

    def act(self) -> None:
        """Something happens to one of them."""
        user = self.draw.choice(("user-u", "user-v", "user-w"))
        linked = self.draw.choice((LINKED, OTHER))
        act: Callable[[str, str], None] = self.draw.choice(
            (self.link, self.link, self.heal, self.end, self.notify, self.read)
        )
        with suppress(LinkRefusedError, ConflictError, ConcurrentUpdateError, UserAnswerError):
            act(user, linked)

    def link(self, user: str, linked: str) -> None:
        """The user links the account, and PayPay knows that."""
        nonce = self.world.ask(user)
        self._known(user, linked)
        self.world.answer(nonce, user, linked)

    def heal(self, user: str, linked: str) -> None:
        """The same, but the browser never comes back."""
        self.world.ask(user)
        self._known(user, linked)
        self.world.notify(subject=linked)

    def end(self, _: str, linked: str) -> None:
        """PayPay says that the link has ended."""
        codes = ("CANCELED_USER", "INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID")
        self.world.paypay.failure = answer(self.draw.choice(codes))
        self.world.notify(self.draw.choice(("kyc", "account_status")), linked)
        self.world.paypay.failure = None

    def notify(self, _: str, linked: str) -> None:
        """PayPay sends a notification."""
        self.world.notify(self.draw.choice(("kyc", "risk", "account_status")), linked)

    def read(self, user: str, _: str) -> None:
        """The merchant reads."""
        self.world.reads().kyc_passport(user)

    def overtake(self) -> None:
        """Something else happens before a write, at times."""
        if self.overtakes < 6 and self.draw.random() < 0.4:
            self.overtakes += 1
            failure, self.world.paypay.failure = self.world.paypay.failure, None
            self.act()
            self.world.paypay.failure = failure

    def check(self) -> None:
        """At most one user stands on an authorization, and that one has the link."""
        for linked in (LINKED, OTHER):
            found = [self.world.store.users.status(each, "paypay") for each in ("user-u", "user-v", "user-w")]
            on_it = [each.user_id for each in found if each and standing(each) == linked]
            assert on_it in ([], [self.world.store.links.user(linked)]), on_it

    def _known(self, user: str, linked: str) -> None:
        self.world.paypay.authorizations[linked] = {"status": "ACTIVE", "referenceIds": [user], "scopes": [PASSPORT]}


@given(st.randoms(use_true_random=False))
@hypothesis_settings(max_examples=60, deadline=None)
def test_no_two_users_ever_stand_on_one_authorization(draw: random.Random) -> None:
    with memory_aws(), pytest.MonkeyPatch.context() as patch:
        crowd = Crowd(PayPayWorld(), draw)
        apply = Events.apply

        def overtaken(events: Events, effect: Effect) -> None:
            crowd.overtake()
            apply(events, effect)

        patch.setattr(Events, "apply", overtaken)
        patch.setattr("honnin.commit.sleep", lambda _: None)
        for _ in range(10):
            crowd.world.paypay.asked.clear()
            crowd.act()
            crowd.check()


@pytest.mark.parametrize("said", [None, "KYC_NOT_COMPLETED"])
@pytest.mark.parametrize("kind", ["kyc", "risk", "account_status", "api"])
def test_a_read_for_the_former_owner_that_a_take_over_overtakes_is_void(
    world: PayPayWorld, monkeypatch: pytest.MonkeyPatch, kind: str, said: str | None
) -> None:
    world.link("user-u")
    world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
    world.notify()
    world.paypay.failure, world.paypay.flag = None, said
    pending = [world.ask("user-v")]
    apply = Events.apply

    def overtaken(events: Events, effect: Effect) -> None:
        if effect.after.user_id == "user-u" and pending:
            world.answer(pending.pop(), "user-v")
        apply(events, effect)

    monkeypatch.setattr(Events, "apply", overtaken)
    monkeypatch.setattr("honnin.commit.sleep", lambda _: None)
    if kind == "api":
        with pytest.raises(ConflictError):
            world.reads().kyc_passport("user-u")
    else:
        world.notify(kind)
    assert (pending, world.user("user-u").status) == ([], "UNLINKED")
    assert world.store.links.user(LINKED) == "user-v"


# --- expiry ---


def test_the_end_of_a_link_is_known_from_the_linking_on(world: PayPayWorld) -> None:
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "expireAt": 1_780_000_000}
    world.link()
    assert world.user().link_expires_at == "2026-05-28T20:26:40.000Z"
    world.paypay.authorizations[LINKED]["expireAt"] = 1_790_000_000
    world.notify("account_status")
    assert world.user().link_expires_at == "2026-09-21T14:13:20.000Z"
    world.clock.advance(days=365)
    world.notify("account_status")
    assert world.status() == ("EXPIRED", "ACTIVE")
    world.paypay.authorizations[LINKED]["expireAt"] = 1_890_000_000
    world.notify("account_status")
    assert world.user().status == "VERIFIED"


@pytest.mark.parametrize(
    "failure",
    [
        ProviderUnavailableError("paypay", "m", http_status=500),
        ProviderRefusedError("paypay", "m", http_status=404),
    ],
)
def test_a_link_succeeds_although_its_end_cannot_be_read(world: PayPayWorld, failure: Exception) -> None:
    nonce = world.ask()
    world.paypay.failure = failure
    assert world.answer(nonce).endswith("result=succeeded")
    assert (world.user().status, world.user().link_expires_at) == ("LINKED", None)


# --- outside the scopes ---


@pytest.mark.parametrize(
    ("scopes", "read", "scope"),
    [
        ((PASSPORT,), lambda reads: reads.kyc_info(USER, None), INFO),
        ((INFO,), lambda reads: reads.kyc_passport(USER), PASSPORT),
        (("user_profile",), lambda reads: reads.kyc_info(USER, "EKYC"), INFO),
    ],
)
def test_a_read_outside_the_scopes_names_the_scope_and_asks_nothing(
    world: PayPayWorld, scopes: tuple[str, ...], read: Callable[[Any], object], scope: str
) -> None:
    world.link(scopes=scopes)
    before = len(world.timeline())
    with pytest.raises(ConflictError, match=scope) as caught:
        read(world.reads())
    assert caught.value.code is ProblemCode.SCOPE_NOT_GRANTED
    assert world.paypay.asked == []
    assert len(world.timeline()) == before


def _out_of_scope() -> ProviderConfigurationError:
    return ProviderConfigurationError("paypay", "m", http_status=401, code="OP_OUT_OF_SCOPE")


@pytest.mark.parametrize(
    ("theirs", "is_users"),
    [([INFO], True), (["user_profile", QR], True), ([INFO, PASSPORT], False), ([], False), (None, False)],
)
def test_what_is_out_of_the_users_scope_by_paypays_word_is_no_fault_of_ours(
    world: PayPayWorld, monkeypatch: pytest.MonkeyPatch, theirs: list[str] | None, is_users: bool
) -> None:
    world.link()
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", **({} if theirs is None else {"scopes": theirs})}

    def refuse(_: str, **_arguments: object) -> Any:
        raise _out_of_scope()

    monkeypatch.setattr(world.paypay, "kyc_passport", refuse)
    if is_users:
        with pytest.raises(ConflictError, match=PASSPORT) as caught:
            world.reads().kyc_passport(USER)
        assert caught.value.code is ProblemCode.SCOPE_NOT_GRANTED
        world.notify()
        assert world.timeline()[0].what == "reading_refused"
        world.link(scopes=(INFO,))
        world.notify()  # the read that the user has agreed to
        assert world.user().status == "VERIFIED"
    else:
        with pytest.raises(ProviderConfigurationError):
            world.reads().kyc_passport(USER)
        with pytest.raises(ProviderConfigurationError):
            world.notify()


@pytest.mark.parametrize(
    "unanswered", [NoLeaseError("paypay", "no room in time"), ProviderTimeoutError("paypay", "no answer")]
)
def test_whose_scope_is_lacking_is_not_guessed_where_paypay_does_not_answer(
    world: PayPayWorld, monkeypatch: pytest.MonkeyPatch, unanswered: Exception
) -> None:
    """A fault of ours rings an alarm, and takes a new version back."""

    def refuse(_: str, **_arguments: object) -> Any:
        raise _out_of_scope()

    def wait(_: str, **_arguments: object) -> Any:
        raise unanswered

    world.link()
    monkeypatch.setattr(world.paypay, "kyc_passport", refuse)
    monkeypatch.setattr(world.paypay, "user_authorization", wait)
    with pytest.raises(type(unanswered)):
        world.notify()


# --- decline, and polling a QR ---


def test_a_decline_is_a_status_that_the_user_caused(world: PayPayWorld) -> None:
    world.answer(world.ask(), result="declined")
    assert world.user().status == "LINK_DECLINED"
    assert world.timeline()[0].cause == "user"
    assert [each["to"] for each in _published(world)] == ["LINK_PENDING", "LINK_DECLINED"]
    world.ask()
    assert world.user().status == "LINK_PENDING"
    world.link()
    assert world.user().status == "LINKED"
    assert [each.cause for each in world.timeline() if each.what == "linked"] == ["user"]
    world.answer(world.ask(), result="declined")
    assert world.user().status == "LINKED"


@pytest.mark.parametrize("behind_s", [0, 3, 300])
def test_a_decline_counts_although_its_clock_is_behind(world: PayPayWorld, behind_s: int) -> None:
    nonce = world.ask()
    world.clock.advance(seconds=-behind_s)
    world.answer(nonce, result="declined")
    assert world.user().status == "LINK_DECLINED"
    # And so does the next QR, which another function makes.
    world.clock.advance(seconds=-behind_s)
    nonce = world.ask()
    assert world.user().status == "LINK_PENDING"
    world.clock.advance(seconds=-behind_s)
    world.answer(nonce)
    assert world.user().status == "LINKED"
    assert [each["to"] for each in _published(world)] == ["LINK_PENDING", "LINK_DECLINED", "LINK_PENDING", "LINKED"]


@pytest.mark.parametrize("decided", ["VERIFIED", "RISK_FLAGGED"])
def test_declining_another_qr_tells_nothing_of_a_link_that_stands(world: PayPayWorld, decided: str) -> None:
    world.link()
    world.paypay.flag = "UNACCEPTABLE_OP" if decided == "RISK_FLAGGED" else None
    world.notify("risk")
    published, nonces = _published(world), [world.ask(), world.ask()]
    for nonce in nonces:
        world.answer(nonce, result="declined")
    assert (world.user().status, _published(world)) == (decided, published)
    assert [each.cause for each in world.timeline() if each.what == "link_declined"] == ["user", "user"]


@pytest.mark.parametrize("repeats", [2, 5])
def test_a_decline_that_is_repeated_is_told_once(world: PayPayWorld, repeats: int) -> None:
    nonce = world.ask()
    claims: dict[str, object] = {"nonce": nonce, "referenceId": USER, "result": "declined"}
    token = world.token(claims)
    for _ in range(repeats):
        assert world.come_back(token) == "https://shop.example.jp?result=declined"
    with pytest.raises(LinkRefusedError):
        world.come_back(world.token(claims | {"another": 1}))
    assert [each["to"] for each in _published(world)] == ["LINK_PENDING", "LINK_DECLINED"]
    assert [each.what for each in world.timeline()].count("link_declined") == 1


@pytest.mark.parametrize("first", ["redirect", "notification"])
def test_a_decline_beside_a_notification_in_either_order(world: PayPayWorld, first: str) -> None:
    """The user declines one QR and agrees to another, whose redirect is lost."""
    declined, _ = world.ask(), world.ask()
    world.paypay.authorizations[LINKED] = {"status": "ACTIVE", "referenceIds": [USER]}
    steps: list[Callable[[], object]] = [lambda: world.answer(declined, result="declined"), world.notify]
    for step in steps if first == "redirect" else reversed(steps):
        step()
    assert world.user().status == "VERIFIED"
    changes = [each["to"] for each in _published(world)]
    declines = ["LINK_DECLINED"] if first == "redirect" else []
    assert changes == ["LINK_PENDING", *declines, "LINKED", "VERIFIED"]


@pytest.mark.parametrize("result", ["declined", "succeeded"])
def test_an_answer_to_a_qr_of_before_an_erasure_is_refused(world: PayPayWorld, result: str) -> None:
    nonce = world.ask()
    world.erase(USER)
    with pytest.raises(LinkRefusedError):
        world.answer(nonce, result=result)
    assert world.store.users.status(USER, "paypay") is None
    assert world.store.links.get(LINKED) is None


@pytest.mark.parametrize("result", ["declined", "succeeded"])
def test_nobody_links_while_an_erasure_is_not_finished(world: PayPayWorld, result: str) -> None:
    """Its next run would erase the new link, too."""
    nonce = world.ask()
    world.store.erasure.begin(Certificate("c-1", USER, utc_text(world.clock())))
    with pytest.raises(LinkRefusedError):
        world.answer(nonce, result=result)
    assert world.store.links.get(LINKED) is None


@pytest.mark.parametrize(
    "failure",
    [
        PassportNotCompletedError("paypay", "m", http_status=400, code="KYC_PASSPORT_NOT_COMPLETED"),
        PassportNotCompletedError("paypay", "m", http_status=200, code="KYC_PASSPORT_NOT_COMPLETED"),
        ProviderUnavailableError("paypay", "m", http_status=202, code="REQUEST_ACCEPTED"),
        ProviderUnavailableError("paypay", "m", http_status=202),
    ],
    ids=["400", "200", "accepted", "202"],
)
def test_polling_a_qr_that_is_not_completed_leaves_nothing(
    world: PayPayWorld, failure: ProviderError, capsys: pytest.CaptureFixture[str]
) -> None:
    _qr_link(world)
    before = sorted(map(str, world.items()))
    capsys.readouterr()
    world.paypay.failure = failure
    for _ in range(5):
        with pytest.raises(type(failure)):
            world.reads().completed_qr("code-1")
    assert sorted(map(str, world.items())) == before
    assert (world.s3.list_object_versions(Bucket="vault").get("Versions", []), capsys.readouterr().out) == ([], "")


# --- verified ---


def test_a_change_says_what_both_providers_come_to(world: PayPayWorld) -> None:
    world.needs = VerifiedNeeds.BOTH
    world.link()
    world.notify()
    assert [(each["to"], each["verified"], each["verifiedReason"]) for each in _published(world)] == [
        ("LINK_PENDING", False, "NOT_VERIFIED"),
        ("LINKED", False, "NOT_VERIFIED"),
        ("VERIFIED", False, "VEXORA_NOT_APPROVED"),
    ]
    _vexora(world, "APPROVED")
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.notify("risk")
    world.paypay.flag = None
    world.notify("risk")
    assert [each["verifiedReason"] for each in _published(world)][-2:] == ["PAYPAY_RISK_FLAGGED", "BOTH_VERIFIED"]


def test_a_change_at_the_other_provider_meanwhile_is_not_missed(
    world: PayPayWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.link()
    transact = world.db.transact_write_items
    pending = ["REJECTED"]

    def overtaken(**request: Any) -> Any:
        if pending:
            status = pending.pop()
            _vexora(world, status)
        return transact(**request)

    with monkeypatch.context() as patch:
        patch.setattr(world.db, "transact_write_items", overtaken)
        world.notify()
    change = _published(world)[-1]
    assert (change["to"], change["verified"], change["verifiedReason"]) == ("VERIFIED", False, "VEXORA_REJECTED")


def test_a_flag_stands_although_the_link_has_ended(world: PayPayWorld) -> None:
    _vexora(world, "APPROVED")
    world.link()
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.notify("risk")
    world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
    world.notify()
    assert world.user().status == "UNLINKED"
    assert _published(world)[-1]["verifiedReason"] == "PAYPAY_RISK_FLAGGED"


@pytest.mark.parametrize("needs", VerifiedNeeds)
def test_the_api_and_the_newest_event_say_the_same(world: PayPayWorld, needs: VerifiedNeeds) -> None:
    world.needs = needs
    steps: list[Callable[[], object]] = [
        world.link,
        world.notify,
        lambda: _vexora(world, "APPROVED"),
        lambda: setattr(world.paypay, "flag", "UNACCEPTABLE_OP"),
        lambda: world.notify("risk"),
        lambda: setattr(world.paypay, "failure", answer("CANCELED_USER")),
        lambda: world.notify("account_status"),
        lambda: _vexora(world, "REJECTED"),
    ]
    for step in steps:
        step()
        shown = users_api.user(world.store, USER, world.clock(), needs)
        newest = _published(world)[-1]
        assert (shown.verified, shown.verified_reason) == (newest["verified"], newest["verifiedReason"])


def test_a_flag_that_is_learned_when_the_link_has_ended_is_told(world: PayPayWorld) -> None:
    """The status stays, and yet the user does not count as verified any more."""
    _vexora(world, "APPROVED")
    world.link()
    world.notify()
    world.notify("account_status")
    world.paypay.failure = answer("INVALID_USER_AUTHORIZATION_ID")
    world.notify("account_status")
    ended = world.user()
    assert (ended.status, _published(world)[-1]["verified"]) == ("UNLINKED", True)

    # A read that began before, and whose answer is recorded late.
    at = utc_text(datetime.fromisoformat(ended.read_at or "") - timedelta(milliseconds=1))
    flagged = recorded(ended, [Answer(Call.KYC_PASSPORT, at, LINKED, 400, "UNACCEPTABLE_OP")], world.rules)
    effect = commit.effect("late", "kyc_read", ended, flagged, {}, at=world.clock())
    commit.Commits(world.store, world.publisher.publish_or_leave, world.clock).once(effect)

    change = _published(world)[-1]
    assert (change["from"], change["to"], change["verified"]) == ("UNLINKED", "UNLINKED", False)
    assert change["verifiedReason"] == "PAYPAY_RISK_FLAGGED"


def _vexora(world: PayPayWorld, status: str) -> None:
    at = utc_text(world.clock())
    before = world.store.users.status(USER, "vexora")
    after = UserStatus(USER, "vexora", status, before.version + 1 if before else 1)
    effect = Effect(f"vexora:{status}:{at}", "result_read", "webhook", at, before, after, {})
    world.store.events.apply(effect)
    world.publisher.publish_or_leave(effect)


def _published(world: PayPayWorld) -> list[dict[str, Any]]:
    return [json.loads(each["Detail"]) for each in world.bus.entries]


# --- clocks ---


def test_a_clock_that_is_behind_costs_one_call_and_its_answer_counts(world: PayPayWorld) -> None:
    world.link()
    world.notify()
    received = world.clock() + timedelta(seconds=1)
    world.clock.advance(seconds=-30)
    world.paypay.flag = "UNACCEPTABLE_OP"
    world.paypay.asked.clear()
    world.notify("risk", received=received)
    assert (world.user().status, world.paypay.asked) == ("RISK_FLAGGED", ["kyc_passport"])


# --- erasing a user whose authorization is another's by now ---


@pytest.mark.parametrize("end", ["another", "CANCELED_USER"])
def test_an_erasure_leaves_what_another_user_has_taken_over(world: PayPayWorld, end: str) -> None:
    _had_and_left(world, end)
    world.link("user-v")
    unlinked: list[str] = []
    world.paypay.unlink = unlinked.append  # type: ignore[assignment,method-assign]
    world.erase("user-u", unlink=True)
    assert unlinked == ([OTHER] if end == "another" else [])
    assert world.store.users.statuses("user-u") == []
    assert not [each for each in world.timeline("user-u") if each.detail or LINKED in each.event_id]
    assert [each for each in world.db.scan(TableName="StateTable")["Items"] if "FORMER" in each["sk"]["S"]] == []
    world.notify()
    assert world.user("user-v").status == "VERIFIED"
