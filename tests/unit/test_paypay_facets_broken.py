"""A broken copy of each rule of `honnin.paypay_facets` and `honnin.status.verified`: the tests must see it."""

# ruff: noqa: E501 -- one broken rule a line

import sys
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from honnin import paypay_facets, status
from honnin.status import Flag, Kyc, Link, PayPayStatus
from tests import paypay_answers, verified_rules

# (what is broken, the rule, what stands in its place)
FACETS = [
    ("a 202 is a success", " and answer.http_status != _ACCEPTED", ""),
    ("a 429 is read", "in (_TOO_MANY, _ACCEPTED)", "in (_ACCEPTED,)"),
    ("a 202 is read", "in (_TOO_MANY, _ACCEPTED)", "in (_TOO_MANY,)"),
    ("any success is a full one", 'return answer.http_status == 200 and answer.code == "SUCCESS" and answer.has_data', "return _succeeded(answer)"),
    ("data is not looked at", 'answer.code == "SUCCESS" and answer.has_data', 'answer.code == "SUCCESS"'),
    ("a new code is nothing", "answer.code is None or answer.code in RESULT_CODES", 'answer.code != "SUCCESS"'),
    ("no code is a new code", "answer.code is None or answer.code in RESULT_CODES", "answer.code in RESULT_CODES"),
    ("a code about the call says something", "or answer.code in RESULT_CODES", ""),
    ("any word is a good one", "is_sure and answer.word in verified_words", "is_sure"),
    ("(unreadable) can be listed", " and answer.word != UNREADABLE", ""),
    ("a new code with a listed word verifies", "_is_full_success(answer) and answer.word", "answer.has_data and answer.word"),
    ("a new code says that the link works", "if meaning or _succeeded(answer) else", "if meaning or _is_2xx(answer) else"),
    ("a flag says nothing of the link", "if meaning or _succeeded(answer) else", "if _succeeded(answer) else"),
    ("a KYC success says nothing of the link", "if meaning or _succeeded(answer) else", "if meaning else"),
    ("no word is INACTIVE", " or answer.word == ABSENT", ""),
    ("an expiry is not looked at", "answer.expires_at <= answer.at", "False"),
    ("expired a moment later", "answer.expires_at <= answer.at", "answer.expires_at < answer.at"),
    ("any word is ACTIVE", "Link.ACTIVE if answer.word == Link.ACTIVE else Link.INACTIVE", "Link.ACTIVE"),
    ("another authorization's answers count", "authorization and each.authorization == authorization and", "authorization and"),
    ("an authorization that comes back is as it was", " and each.at > since\n", "\n"),
    ("the moment of the other linking counts", "each.at > since\n", "each.at >= since\n"),
    ("the first linking counts", "return max(((each.at, each.authorization", "return min(((each.at, each.authorization"),
    ("any linking is a linking", "answer.call is Call.LINKING and answer.word == SUCCEEDED and", "answer.call is Call.LINKING and"),
    ("PENDING replaces ACTIVE", " and state is not Link.ACTIVE", ""),
    ("PENDING replaces nothing", "if attempt and state is not Link.ACTIVE", "if False"),
    ("an old attempt replaces a later end", "_moment(attempts) > since", "True"),
    ("an attempt of the same moment replaces an end", "_moment(attempts) > since", "_moment(attempts) >= since"),
    ("an end that has come is not looked at", "if end and end <= as_of", "if False"),
    ("an end counts before it has come", "if end and end <= as_of", "if end"),
    ("an end comes a moment later", "end <= as_of", "end < as_of"),
    ("an end outweighs what PayPay said after it", "ended and since < ended", "ended"),
    ("an end that has come replaces any state", "if state is Link.ACTIVE and ended", "if ended"),
    ("an attempt before the end replaces it", "Link.EXPIRED, EXPIRE_AT, ended, True\n", "Link.EXPIRED, EXPIRE_AT, since, True\n"),
    ("without a state the attempt is forgotten", "return attempt or Link.PENDING, attempt_said", "return Link.PENDING, None"),
    ("a flag is never cleared", "if _clears(each)]\n", "if False]\n"),
    ("any read clears a flag", " and each.call in (raised.call, Call.KYC_PASSPORT)", ""),
    ("the passport read clears its own flags only", "(raised.call, Call.KYC_PASSPORT)", "(raised.call,)"),
    ("only the passport read clears", "(raised.call, Call.KYC_PASSPORT)", "(Call.KYC_PASSPORT,)"),
    ("an older success clears", "each.at > raised.at and each.call", "each.call"),
    ("a success of the same moment clears", "each.at > raised.at and each.call", "each.at >= raised.at and each.call"),
    ("an answer that is no full success clears", "_is_full_success(answer) and is_about_user(answer)", "is_about_user(answer)"),
    ("an authorization without a word clears", "_is_full_success(answer) and is_about_user(answer)", "_is_full_success(answer)"),
    ("a flag ends with its authorization", "_latest(_standing_raises(answers)))", "_latest(_standing_raises(own)))"),
    ("the first flag counts", "for each in _latest(_standing_raises(answers)))", "for each in _standing_raises(answers))"),
    ("the better one of a moment counts", "max(known, default", "min(known, default"),
    ("the first answer counts", 'return max((each.at for each in answers), default="")', 'return min((each.at for each in answers), default="")'),
    ("the later expiry of a moment counts", "min(expiries, default=None)", "max(expiries, default=None)"),
    ("the expiry of another authorization counts", "_latest(own, _expiry_of) if each", "_latest(answers, _expiry_of) if each"),
    ("the KYC of another authorization counts", "or _latest(own, kyc_of)\n", "or _latest(answers, kyc_of)\n"),
    ("the other linking is not kept", " | _latest(linkings - mine)", ""),
    ("attempts are not kept", " | _latest(answers - linkings, _attempt_of)", ""),
    ("answers of an authorization that is linked later are not kept", "for authorization in (present, *early)", "for authorization in (present,)"),
    ("states are not kept", "_latest(own, _state_of) | ", ""),
    ("expiries are not kept", " | _latest(own, _expiry_of)\n", "\n"),
    ("last answers are not kept", "kept |= _latest(asked) |", "kept |="),
    ("the last KYC answer of a call is not kept", "_latest(asked) | _latest(asked, kyc_of)", "_latest(asked)"),
    ("another read makes up for the missing eKYC", "_without_ekyc(own) or ", ""),
    ("the missing eKYC is never made up for", "last = (_latest((each for each in own if each.call is call), kyc_of)", "last = ([each for each in own if each.call is call]"),
    ("raises are not kept", "kept |= _latest(each for each in _standing_raises(answers) if each.call is call)", "pass"),
    ("successes are not kept", "kept |= _latest(each for each in answers if each.call is call and _clears(each))", "pass"),
    ("only one of a moment is kept", "return frozenset(each for each in saying if each.at == _moment(saying))", "return frozenset(sorted((each for each in saying if each.at == _moment(saying)), key=repr)[:1])"),
    ("a refused read is a read", "if each.call in calls and is_about_user(each)", "if each.call in calls"),
    ("a former authorization's read is a read", "own = _of(answers, _present(answers))\n    asked", "own = answers\n    asked"),
    ("the table forgets the word", '    "word": "word",\n', ""),
    ("the table forgets whose answer it is", "if each.authorization is None or each.authorization != authorization:", "if False:"),
    ("a cancelled user is linked", "Link.CANCELLED: PayPayStatus.INACTIVE", "Link.CANCELLED: PayPayStatus.LINKED"),
    ("an ended link is not looked at", "if of.link in _ENDED", "if False"),
    ("a flag is not looked at", "if of.flag is not Flag.NONE", "if False"),
    ("a pending link is verified", "if of.link is Link.ACTIVE:", "if of.link in (Link.ACTIVE, Link.PENDING):"),
    ("a declined link is verified", "if of.link is Link.ACTIVE:", "if of.link in (Link.ACTIVE, Link.DECLINED):"),
    ("a decline is not shown", "PayPayStatus.LINK_DECLINED if of.link is Link.DECLINED else ", ""),
    ("unread is verified", "PayPayStatus.LINKED if of.kyc is Kyc.UNREAD", "PayPayStatus.VERIFIED if of.kyc is Kyc.UNREAD"),
]  # fmt: skip

VERIFIED = [
    ("a flag is outweighed", "if paypay is PayPayStatus.RISK_FLAGGED:", "if False:"),
    ("a rejection is outweighed", "if vexora is VexoraStatus.REJECTED:", "if False:"),
    ("an outdated KYC is outweighed", "if paypay is PayPayStatus.UPDATE_REQUIRED:", "if False:"),
    ("linked is verified", "paypay is PayPayStatus.VERIFIED,", "paypay in (PayPayStatus.VERIFIED, PayPayStatus.LINKED),"),
    ("unconfirmed is verified", "paypay is PayPayStatus.VERIFIED,", "paypay in (PayPayStatus.VERIFIED, PayPayStatus.UNCONFIRMED),"),
    ("under review is approved", "vexora is VexoraStatus.APPROVED]", "vexora in (VexoraStatus.APPROVED, VexoraStatus.UNDER_REVIEW)]"),
    ("one is both", "VerifiedNeeds.BOTH: VerifiedReason.VEXORA_NOT_APPROVED", "VerifiedNeeds.BOTH: VerifiedReason.PAYPAY_VERIFIED"),
    ("nobody is anybody", "VerifiedNeeds.ANY: VerifiedReason.NOT_VERIFIED", "VerifiedNeeds.ANY: VerifiedReason.BOTH_VERIFIED"),
]  # fmt: skip


def broken(monkeypatch: pytest.MonkeyPatch, module: ModuleType, rule: str, instead: str) -> Any:
    """The module with one rule changed; the rule must stand in it exactly once."""
    source = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert source.count(rule) == 1, f"{rule!r} stands {source.count(rule)} times"
    copy = ModuleType(f"broken_{module.__name__.rpartition('.')[2]}")
    monkeypatch.setitem(sys.modules, copy.__name__, copy)  # dataclasses look their module up
    exec(compile(source.replace(rule, instead), copy.__name__, "exec"), copy.__dict__)
    if module is paypay_facets:
        # The tests' answers are of these classes; only what is done with them is broken.
        copy.__dict__.update(Call=paypay_facets.Call, Answer=paypay_facets.Answer, Facets=paypay_facets.Facets)
    return copy


def first_fault(module: Any) -> str | None:
    """What a version gets wrong of all that the tests of the module hold."""
    for link, kyc, flag in product(Link, Kyc, Flag):
        shown = module.status(module.Facets(link, kyc, flag))
        if (shown is PayPayStatus.VERIFIED) is not ((link, kyc, flag) == (Link.ACTIVE, Kyc.VERIFIED, Flag.NONE)):
            return f"{shown} for {link}, {kyc}, {flag}"
        if shown is not paypay_facets.status(paypay_facets.Facets(link, kyc, flag)):
            return f"{shown} for {link}, {kyc}, {flag}"
    return paypay_answers.first_fault(module, 1000)


def test_a_copy_that_is_not_broken_has_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    title = '"""What PayPay\'s answers together say about a user'
    assert first_fault(broken(monkeypatch, paypay_facets, title, title)) is None
    assert verified_rules.first_fault(broken(monkeypatch, status, "class VexoraStatus", "class VexoraStatus")) is None


@pytest.mark.parametrize(("rule", "instead"), [each[1:] for each in FACETS], ids=[each[0] for each in FACETS])
def test_a_broken_rule_is_seen(monkeypatch: pytest.MonkeyPatch, rule: str, instead: str) -> None:
    assert first_fault(broken(monkeypatch, paypay_facets, rule, instead)) is not None


@pytest.mark.parametrize(("rule", "instead"), [each[1:] for each in VERIFIED], ids=[each[0] for each in VERIFIED])
def test_a_broken_rule_of_verified_is_seen(monkeypatch: pytest.MonkeyPatch, rule: str, instead: str) -> None:
    copy = broken(monkeypatch, status, rule, instead)
    assert verified_rules.first_fault(copy) is not None
