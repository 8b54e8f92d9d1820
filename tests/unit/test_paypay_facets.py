"""`honnin.paypay_facets`: each answer of the document, all together in any order, and the status that follows."""

import random
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from honnin import paypay_facets
from honnin.paypay_facets import Answer, Call, Facets, facets, keep, link_of, provider_status, restored, status, stored
from honnin.status import RESULT_CODES, Flag, Kyc, KycProduct, Link, PayPayStatus
from tests import paypay_answers
from tests.paypay_answers import ABOUT_THE_CALL, ABOUT_THE_USER, CODES, KYC_CALLS, READS, WORDS, any_answer, moment

S = PayPayStatus
COMPLETED = frozenset({"COMPLETED"})


def linking(said: str, at: int, authorization: str = "auth-a") -> Answer:
    return Answer(Call.LINKING, moment(at), authorization if said == "succeeded" else None, word=said)


def read(call: Call, at: int, said: str = "COMPLETED", code: str = "SUCCESS", **more: Any) -> Answer:
    http = 200 if code == "SUCCESS" else ABOUT_THE_USER.get(code, (400,))[0]
    success = {"word": said, "has_data": True} if code == "SUCCESS" else {}
    return Answer(call, moment(at), "auth-a", **{"http_status": http, "code": code, **success, **more})


def info(at: int, code: str = "SUCCESS", **more: Any) -> Answer:
    return read(Call.KYC_INFO, at, code=code, **more)


def passport(at: int, code: str = "SUCCESS", **more: Any) -> Answer:
    return read(Call.KYC_PASSPORT, at, code=code, **more)


def account(at: int, said: str = "ACTIVE", code: str = "SUCCESS", **more: Any) -> Answer:
    return read(Call.AUTHORIZATION, at, said, code, **more)


def shown(*answers: Answer, words: frozenset[str] = COMPLETED) -> tuple[str, str | None]:
    found = facets(answers, words)
    return status(found), provider_status(found)


LINKED = linking("succeeded", 1)


# One answer


def test_the_table_has_exactly_the_codes_of_the_document() -> None:
    assert set(RESULT_CODES) == {*ABOUT_THE_USER, *ABOUT_THE_CALL}
    assert {str(call) for call in KYC_CALLS} == set(KycProduct)


def test_every_answer_of_the_tables_in_every_state() -> None:
    reached = set()
    for before in paypay_answers.every_state():
        state = facets(before, WORDS)
        reached.add((state.link, state.kyc, state.flag))
        for answer in paypay_answers.every_documented_answer():
            found = facets((*before, answer), WORDS)
            wanted = paypay_answers.played((*before, answer), WORDS)
            assert paypay_answers.facets_in_short(found) == wanted, (before, answer)
            # What says nothing of the user leaves everything as it was.
            assert paypay_facets.is_about_user(answer) or found == state
    assert reached == set(product(Link, Kyc, Flag))


def test_every_single_answer_whatever_its_form() -> None:
    for answer in paypay_answers.every_single_answer():
        for before in ((), (LINKED,), (LINKED, account(2, code="UNACCEPTABLE_OP"))):
            found = facets((*before, answer), WORDS)
            wanted = paypay_answers.played((*before, answer), WORDS)
            assert paypay_answers.facets_in_short(found) == wanted, (before, answer)
            assert paypay_facets.is_about_user(answer) or found == facets(before, WORDS)


@pytest.mark.parametrize("call", READS)
@pytest.mark.parametrize("code", [*ABOUT_THE_CALL, None])
def test_a_code_about_the_call_says_nothing_whatever_its_http_status(call: Call, code: str | None) -> None:
    for http, has_data in product(paypay_answers.HTTP, (True, False)):
        assert not paypay_facets.is_about_user(Answer(call, moment(2), "auth-a", http, code, "COMPLETED", has_data))


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (info(2), ("VERIFIED", "SUCCESS")),
        (info(2, word="NOT_COMPLETED"), ("UNCONFIRMED", "NOT_COMPLETED")),
        (info(2, word="REJECTED"), ("UNCONFIRMED", "REJECTED")),
        (info(2, word="(absent)"), ("UNCONFIRMED", "(absent)")),
        (info(2, has_data=False), ("UNCONFIRMED", "COMPLETED")),
        (info(2, http_status=201), ("UNCONFIRMED", "COMPLETED")),
        (info(2, code="KYC_UNDER_REVIEW", http_status=200), ("UNCONFIRMED", "KYC_UNDER_REVIEW")),
        (info(2, code="KYC_NOT_COMPLETED", http_status=200, has_data=True), ("NOT_COMPLETED", "KYC_NOT_COMPLETED")),
        (info(2, http_status=202), ("LINKED", "succeeded")),
        (info(2, code="REQUEST_ACCEPTED", http_status=202, word="COMPLETED", has_data=True), ("LINKED", "succeeded")),
        (info(2, http_status=429), ("LINKED", "succeeded")),
        (info(2, http_status=400), ("LINKED", "succeeded")),
        (info(2, http_status=500), ("LINKED", "succeeded")),
        (info(2, code="A_NEW_CODE", http_status=400), ("LINKED", "succeeded")),
        (account(2), ("LINKED", "ACTIVE")),
        (account(2, "SUSPENDED"), ("INACTIVE", "SUSPENDED")),
        (account(2, "(absent)"), ("LINKED", "succeeded")),
        (account(2, expires_at=moment(2)), ("EXPIRED", "ACTIVE")),
        (account(2, expires_at=moment(3)), ("LINKED", "ACTIVE")),
        (account(2, code="CANCELED_USER"), ("INACTIVE", "CANCELED_USER")),
    ],
)
def test_what_a_linked_user_is_after_one_answer(answer: Answer, wanted: tuple[str, str]) -> None:
    assert shown(LINKED, answer) == wanted


def test_nobody_is_verified_by_a_word_that_the_parameter_does_not_list() -> None:
    for answer in paypay_answers.every_single_answer():
        assert shown(LINKED, answer, words=frozenset())[0] != "VERIFIED"


def test_a_missing_word_counts_only_if_the_list_says_so() -> None:
    without = info(2, word="(absent)")
    assert shown(LINKED, without, words=frozenset({"COMPLETED"})) == ("UNCONFIRMED", "(absent)")
    assert shown(LINKED, without, words=frozenset({"(absent)"})) == ("VERIFIED", "SUCCESS")
    assert shown(LINKED, info(2, word="(unreadable)"), words=frozenset({"(unreadable)"}))[0] == "UNCONFIRMED"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"status": "COMPLETED"}, "COMPLETED"),
        ({"status": " COMPLETED "}, "COMPLETED"),
        ({"status": "IN REVIEW"}, "IN REVIEW"),
        ({"status": 2}, "2"),
        ({"foo": 1}, "(absent)"),
        ({"status": None}, "(absent)"),
        (None, "(absent)"),
        (["COMPLETED"], "(absent)"),
        ({"status": True}, "(unreadable)"),
        ({"status": 1.5}, "(unreadable)"),
        ({"status": ""}, "(unreadable)"),
        ({"status": "(absent)"}, "(unreadable)"),
        ({"status": {"code": "COMPLETED"}}, "(unreadable)"),
        ({"status": "テスト ハナコ"}, "(unreadable)"),
        ({"status": "A" * 64}, "A" * 64),
        ({"status": "A" * 65}, "(unreadable)"),
    ],
)
def test_the_word_of_an_answer(data: object, said: str) -> None:
    assert paypay_facets.word(data) == said


def test_an_authorization_id_is_not_shown() -> None:
    assert "auth-a" not in repr(LINKED) + repr(facets([LINKED]))


# Several answers


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        # The link
        ([], ("LINK_PENDING", None)),
        ([linking("requested", 1)], ("LINK_PENDING", None)),
        ([linking("requested", 1), linking("declined", 2)], ("LINK_DECLINED", "declined")),
        ([linking("requested", 2), linking("declined", 1)], ("LINK_PENDING", None)),
        ([LINKED, info(2), linking("requested", 3)], ("VERIFIED", "SUCCESS")),
        ([LINKED, info(2), linking("requested", 3), linking("declined", 4)], ("VERIFIED", "SUCCESS")),
        ([LINKED, account(2, "INACTIVE"), linking("requested", 3)], ("LINK_PENDING", None)),
        ([LINKED, account(4, "INACTIVE"), linking("requested", 3)], ("INACTIVE", "INACTIVE")),
        ([LINKED, info(2), account(3, "INACTIVE")], ("INACTIVE", "INACTIVE")),
        # The account is active again, and the KYC read after it was refused: what PayPay last said of the KYC stands.
        ([LINKED, info(2), account(3, "INACTIVE"), account(4), info(5, "INVALID_PARAMS")], ("VERIFIED", "SUCCESS")),
        ([LINKED, info(2), info(3, "USER_STATE_IS_NOT_ACTIVE"), account(4)], ("VERIFIED", "SUCCESS")),
        ([LINKED, account(2, "INACTIVE"), info(3)], ("VERIFIED", "SUCCESS")),
        ([LINKED, info(2, "CANCELED_USER"), linking("succeeded", 3, "auth-b")], ("LINKED", "succeeded")),
        # Another authorization starts anew, and so does one that comes back.
        ([LINKED, info(2), linking("succeeded", 3, "auth-b")], ("LINKED", "succeeded")),
        ([LINKED, info(2), linking("succeeded", 3, "auth-b"), linking("succeeded", 4)], ("LINKED", "succeeded")),
        ([LINKED, info(2), linking("succeeded", 3)], ("VERIFIED", "SUCCESS")),
        ([LINKED, linking("succeeded", 3, "auth-b"), info(4)], ("LINKED", "succeeded")),
        # Who lacks the required eKYC lacks it until the same read says otherwise.
        ([LINKED, info(2, "NON_EKYC_USER"), passport(3)], ("NOT_COMPLETED", "NON_EKYC_USER")),
        ([LINKED, info(2, "NON_EKYC_USER"), passport(3), info(4)], ("VERIFIED", "SUCCESS")),
        (
            [LINKED, info(2, "NON_EKYC_USER"), info(3, "USER_STATE_IS_NOT_ACTIVE"), passport(4)],
            ("NOT_COMPLETED", "NON_EKYC_USER"),
        ),
        ([LINKED, info(3, "NON_EKYC_USER"), passport(2)], ("NOT_COMPLETED", "NON_EKYC_USER")),
        # A flag
        ([LINKED, passport(2), passport(3, "UNACCEPTABLE_OP")], ("RISK_FLAGGED", "UNACCEPTABLE_OP")),
        ([LINKED, passport(2, "UNACCEPTABLE_OP"), info(3)], ("RISK_FLAGGED", "UNACCEPTABLE_OP")),
        ([LINKED, info(2, "KYC_NOT_COMPLETED"), info(3, "UNACCEPTABLE_OP"), info(4)], ("VERIFIED", "SUCCESS")),
        ([LINKED, info(2, "KYC_UPDATE_REQUIRED"), passport(3)], ("VERIFIED", "SUCCESS")),
        (
            [LINKED, passport(2, "UNACCEPTABLE_OP"), info(3, "KYC_UPDATE_REQUIRED")],
            ("UPDATE_REQUIRED", "KYC_UPDATE_REQUIRED"),
        ),
        (
            [LINKED, passport(2, "UNACCEPTABLE_OP"), info(3, "KYC_UPDATE_REQUIRED"), info(4)],
            ("RISK_FLAGGED", "UNACCEPTABLE_OP"),
        ),
        (
            [LINKED, passport(2, "UNACCEPTABLE_OP"), account(3, "INACTIVE"), account(4), info(5)],
            ("RISK_FLAGGED", "UNACCEPTABLE_OP"),
        ),
        (
            [LINKED, passport(2, "UNACCEPTABLE_OP"), linking("succeeded", 3, "auth-b")],
            ("RISK_FLAGGED", "UNACCEPTABLE_OP"),
        ),
        (
            [
                LINKED,
                passport(2, "UNACCEPTABLE_OP"),
                linking("succeeded", 3, "auth-b"),
                replace(passport(4), authorization="auth-b"),
            ],
            ("VERIFIED", "SUCCESS"),
        ),
        (
            [LINKED, passport(2, "UNACCEPTABLE_OP"), passport(3, "KYC_NOT_COMPLETED")],
            ("RISK_FLAGGED", "UNACCEPTABLE_OP"),
        ),
        ([LINKED, passport(2, "UNACCEPTABLE_OP"), passport(3, has_data=False)], ("RISK_FLAGGED", "UNACCEPTABLE_OP")),
        # Equal moments: the worse one
        ([LINKED, info(2), info(2, "KYC_NOT_COMPLETED")], ("NOT_COMPLETED", "KYC_NOT_COMPLETED")),
        ([LINKED, info(2), info(2, word="REJECTED")], ("UNCONFIRMED", "REJECTED")),
        ([LINKED, info(2), passport(2, "UNACCEPTABLE_OP"), passport(2)], ("RISK_FLAGGED", "UNACCEPTABLE_OP")),
        ([LINKED, info(2), account(2, "INACTIVE")], ("INACTIVE", "INACTIVE")),
    ],
)
def test_the_status_after_several_answers_in_any_order(answers: list[Answer], wanted: tuple[str, str | None]) -> None:
    draw = random.Random(1)
    for _ in range(20):
        kept: frozenset[Answer] = frozenset()
        for each in draw.sample(answers, len(answers)):
            kept = keep({*kept, each})
        assert shown(*kept) == wanted


_ANSWERS = st.lists(st.randoms(use_true_random=False).map(any_answer), min_size=1, max_size=12)


@given(_ANSWERS, st.randoms(use_true_random=False), st.sampled_from([frozenset[str](), COMPLETED, WORDS]))
@settings(max_examples=300)
def test_any_order_ends_in_the_same_facets(answers: list[Answer], draw: random.Random, words: frozenset[str]) -> None:
    assert paypay_answers.fault(paypay_facets, answers, words) is None
    shuffled = draw.sample(answers, len(answers))
    assert paypay_answers.fault(paypay_facets, shuffled, words) is None
    assert facets(shuffled, words) == facets(answers, words)


@given(_ANSWERS, _ANSWERS)
@settings(max_examples=300)
def test_what_is_not_kept_can_never_matter_again(some: list[Answer], more: list[Answer]) -> None:
    assert facets({*keep(some), *more}, COMPLETED) == facets({*some, *more}, COMPLETED)
    # Another list of words may be set at any time.
    assert facets(keep(some), WORDS | {"REJECTED"}) == facets(some, WORDS | {"REJECTED"})
    assert keep(keep(some)) == keep(some)


def test_many_years_keep_few_answers() -> None:
    draw = random.Random(1)
    kept: frozenset[Answer] = frozenset()
    for second in range(5000):
        at = f"2026-04-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"
        linked = f"auth-{second // 50}"
        answer = replace(any_answer(draw), at=at)
        if answer.authorization:
            answer = replace(answer, authorization=linked)
        kept = keep(
            {*kept, answer, Answer(Call.LINKING, at, linked, word="succeeded")} if second % 50 == 0 else {*kept, answer}
        )
        assert len(kept) <= 20
    assert len(repr(stored(kept, linked))) < 2500


def test_when_the_user_was_last_read() -> None:
    answers = [LINKED, info(2), info(3, "INVALID_PARAMS"), account(4), passport(5, "KYC_NOT_COMPLETED")]
    assert paypay_facets.last_read(answers, [Call.KYC_INFO]) == moment(2)  # refused is not read
    assert paypay_facets.last_read(answers, [Call.AUTHORIZATION]) == moment(4)
    assert paypay_facets.last_read(answers, paypay_facets.KYC_CALLS) == moment(5)
    assert paypay_facets.last_read([*answers, linking("succeeded", 6, "auth-b")], [Call.KYC_INFO]) is None
    assert paypay_facets.last_read([LINKED, info(3, "INVALID_PARAMS")], [Call.KYC_INFO]) is None


def test_the_expiry_is_that_of_the_last_answer_that_names_one() -> None:
    def expiry(*answers: Answer) -> str | None:
        return facets([LINKED, *answers]).expires_at

    assert expiry() is None
    assert expiry(account(2, expires_at=moment(8)), account(3), info(4)) == moment(8)
    assert expiry(account(2, expires_at=moment(8)), account(3, expires_at=moment(9))) == moment(9)
    assert expiry(account(2, expires_at=moment(8)), linking("succeeded", 3, "auth-b")) is None
    assert expiry(replace(linking("succeeded", 2), expires_at=moment(7))) == moment(7)


def test_the_form_in_the_table() -> None:
    other = linking("succeeded", 1, "auth-b")
    answers = [linking("succeeded", 2), other, linking("declined", 1), account(3, expires_at=moment(9)), info(4)]
    items = stored(answers, "auth-a")
    assert restored(items, "auth-a") == set(answers)
    assert items == stored(reversed(answers), "auth-a")
    # Two that differ in their authorization alone have an order, too.
    assert [each["authorization"] for each in stored([other, LINKED], "auth-c")] == ["auth-a", "auth-b"]
    assert [each["authorization"] for each in stored([LINKED, other], "auth-c")] == ["auth-a", "auth-b"]
    assert [each for each in items if "authorization" in each] == [
        {"call": "linking", "at": moment(1), "word": "declined", "authorization": ""},
        {"call": "linking", "at": moment(1), "word": "succeeded", "authorization": "auth-b"},
    ]
    assert {
        "call": "kyc_info", "at": moment(4), "http": 200, "code": "SUCCESS", "word": "COMPLETED", "data": True
    } in items  # fmt: skip


# The status


def every_facets() -> list[Facets]:
    return [Facets(*each, link_said="l", kyc_said="k", flag_said="f") for each in product(Link, Kyc, Flag)]


def test_the_status_of_all_combinations() -> None:
    ended = {"INACTIVE": "INACTIVE", "CANCELLED": "INACTIVE", "EXPIRED": "EXPIRED", "UNLINKED": "UNLINKED"}
    for each in every_facets():
        if each.link in ended:
            wanted, said = ended[each.link], "l"
        elif each.flag != "NONE":
            wanted, said = str(each.flag), "f"
        elif each.link == "ACTIVE":
            wanted, said = ("LINKED", "l") if each.kyc == "UNREAD" else (str(each.kyc), "k")
        else:
            wanted, said = f"LINK_{each.link}", "l"
        assert (status(each), provider_status(each)) == (wanted, said), each


def test_nobody_is_verified_without_an_active_link() -> None:
    verified = [each for each in every_facets() if status(each) is S.VERIFIED]
    assert [(each.link, each.kyc, each.flag) for each in verified] == [(Link.ACTIVE, Kyc.VERIFIED, Flag.NONE)]


@given(_ANSWERS)
@settings(max_examples=300)
def test_whoever_is_verified_was_said_to_be_so_last(answers: list[Answer]) -> None:
    found = facets(answers, COMPLETED)
    if status(found) is not S.VERIFIED:
        return
    own = [each for each in answers if each.authorization == found.authorization and each.call in KYC_CALLS]
    sure = [each for each in own if (each.http_status, each.code, each.word) == (200, "SUCCESS", "COMPLETED")]
    last = max(each.at for each in sure)
    bad = {Link.INACTIVE, Link.CANCELLED, Link.EXPIRED, Link.UNLINKED}
    assert not [each for each in own if each.at > last and paypay_facets.kyc_of(each)]
    info_said = [each for each in own if each.call is Call.KYC_INFO and paypay_facets.kyc_of(each)]
    assert (
        max(info_said, key=lambda each: (each.at, each.code == "NON_EKYC_USER"), default=sure[0]).code
        != "NON_EKYC_USER"
    )
    states = [each for each in answers if each.authorization == found.authorization and each.at > last]
    assert not states or link_of(max(states, key=lambda each: (each.at, link_of(each) in bad))) not in bad


def test_every_status_can_be_reached() -> None:
    assert {status(each) for each in every_facets()} == set(S)


@pytest.mark.parametrize("code", [code for code in CODES if code])
def test_codes_are_compared_letter_by_letter(code: str) -> None:
    assert not paypay_facets.is_about_user(info(2, code.lower(), http_status=400))


def test_what_paypay_says_at_the_end_or_after_it_outweighs_the_end() -> None:
    end = "2026-04-02T00:00:00.000Z"
    ends = Answer(Call.AUTHORIZATION, "2026-04-01T01:00:00.000Z", "auth-a", 200, "SUCCESS", "ACTIVE", True, end)
    read = Answer(Call.KYC_INFO, end, "auth-a", 200, "SUCCESS", "COMPLETED", has_data=True)
    later = "2026-05-01T00:00:00.000Z"
    assert status(facets([LINKED, ends, read], COMPLETED, later)) is S.VERIFIED
    before = replace(read, at="2026-04-01T23:59:59.999Z")
    found = facets([LINKED, ends, before], COMPLETED, end)
    assert (status(found), paypay_facets.provider_status(found)) == (S.EXPIRED, "expireAt")
    assert status(facets([LINKED, ends, before], COMPLETED, "2026-04-01T23:59:59.999Z")) is S.VERIFIED
