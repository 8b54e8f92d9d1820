"""What PayPay's answers together say about a user: the facets `link`, `kyc` and `flag`, and the status.

Answers arrive in any order. So nothing here depends on the order in which they are recorded, only on the moments at
which their requests began. `facets` is a function of a set of answers. `keep` removes the answers on which no facet can
depend any more, so `facets` of the kept answers is always the same as `facets` of all answers so far. If answers of the
same moment contradict each other, the one that is worse for the user counts.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from honnin.status import EXPIRE_AT, RESULT_CODES, CallOutcome, Flag, Kyc, Link, PayPayStatus

ABSENT = "(absent)"
# PayPay does not publish its words. A text that does not look like a word of a list may contain personal data.
UNREADABLE = "(unreadable)"
_WORD = re.compile(r"[A-Za-z0-9_.-]+(?: [A-Za-z0-9_.-]+)*")
_LONGEST_WORD = 64

# The states of a link that has ended, and the status for each.
_ENDED: Mapping[Link, PayPayStatus] = {
    Link.INACTIVE: PayPayStatus.INACTIVE,
    Link.CANCELLED: PayPayStatus.INACTIVE,
    Link.EXPIRED: PayPayStatus.EXPIRED,
    Link.UNLINKED: PayPayStatus.UNLINKED,
}

# Names of an answer's attributes in the table.
_STORED = {
    "call": "call",
    "at": "at",
    "http": "http_status",
    "code": "code",
    "word": "word",
    "data": "has_data",
    "expires": "expires_at",
}

_NO_EKYC = "NON_EKYC_USER"
_ACCEPTED = 202
_TOO_MANY = 429


class Call(StrEnum):
    """Which call was answered. The three KYC reads have the names of `KycProduct`."""

    KYC_INFO = "kyc_info"
    KYC_PASSPORT = "kyc_passport"
    KYC_PASSPORT_QR = "kyc_passport_qr"
    AUTHORIZATION = "authorization"
    LINKING = "linking"


KYC_CALLS = frozenset({Call.KYC_INFO, Call.KYC_PASSPORT, Call.KYC_PASSPORT_QR})

# The words of a linking answer: a QR was made; the user agreed (or the link was found after a lost redirect); the user
# declined.
REQUESTED = "requested"
SUCCEEDED = "succeeded"
DECLINED = "declined"
_LINKING: Mapping[str, Link] = {REQUESTED: Link.PENDING, SUCCEEDED: Link.ACTIVE, DECLINED: Link.DECLINED}


@dataclass(frozen=True)
class Answer:
    """One answer of PayPay's.

    Attributes
    ----------
    at
        When the request began, as UTC text with milliseconds (`honnin.times.utc_text`); of a redirect, when it came.
    authorization
        The user authorization id that the answer is about; None for a QR that was made or declined.
    http_status, code
        As PayPay gave them; a linking answer has neither.
    word
        `data.status` as `word` reads it; of a linking answer one of the three words above.
    has_data
        Whether `data` was an object with something in it.
    expires_at
        When the authorization ends, as UTC text with milliseconds, where the answer says so.
    """

    call: Call
    at: str
    authorization: str | None = field(repr=False)
    http_status: int | None = None
    code: str | None = None
    word: str = ABSENT
    has_data: bool = False
    expires_at: str | None = None


@dataclass(frozen=True)
class Facets:
    """The state of the user. `…_said` is PayPay's own code or word that decided the facet.

    `authorization` is the present one, which was linked last. `is_over`: an active link has reached the end date from
    PayPay, and PayPay has not called it active since. Then `link` is EXPIRED, or shows a later attempt to link again.
    """

    link: Link
    kyc: Kyc
    flag: Flag
    authorization: str | None = field(default=None, repr=False)
    expires_at: str | None = None
    link_said: str | None = None
    kyc_said: str | None = None
    flag_said: str | None = None
    is_over: bool = False


def word(data: Any) -> str:
    """`data.status` as it is stored: numbers as text, `(absent)` if it is missing, `(unreadable)` if it is no word."""
    said = data.get("status") if isinstance(data, Mapping) else None
    if said is None:
        return ABSENT
    text = str(said).strip() if isinstance(said, str | int) and not isinstance(said, bool) else ""
    return text if len(text) <= _LONGEST_WORD and _WORD.fullmatch(text) else UNREADABLE


# What one answer says


def link_of(answer: Answer) -> Link | None:
    """What the answer says about the link, or None. Any answer about the user's KYC shows that the link works."""
    if answer.call is Call.LINKING:
        return _LINKING.get(answer.word)
    meaning = _meaning(answer)
    if isinstance(meaning, Link):
        return meaning
    if answer.call in KYC_CALLS:
        return Link.ACTIVE if meaning or _succeeded(answer) else None
    if not _succeeded(answer) or answer.word == ABSENT:
        return None
    if answer.expires_at is not None and answer.expires_at <= answer.at:
        return Link.EXPIRED
    return Link.ACTIVE if answer.word == Link.ACTIVE else Link.INACTIVE


def kyc_of(answer: Answer, verified_words: frozenset[str] = frozenset()) -> Kyc | None:
    """What the answer says about the KYC, or None.

    `verified_words` is the parameter `PayPayVerifiedStatuses`: the values of `data.status` that mean a completed KYC
    (PayPay does not publish them). If `(absent)` is one of them, an answer without a value counts, too.
    """
    meaning = _meaning(answer)
    if isinstance(meaning, Kyc):
        return meaning
    if answer.call not in KYC_CALLS or answer.code is None or answer.code in RESULT_CODES or not _is_2xx(answer):
        return None
    is_sure = _is_full_success(answer) and answer.word != UNREADABLE
    return Kyc.VERIFIED if is_sure and answer.word in verified_words else Kyc.UNCONFIRMED


def flag_of(answer: Answer) -> Flag | None:
    """The flag that the answer sets, or None."""
    meaning = _meaning(answer)
    return meaning if isinstance(meaning, Flag) else None


def is_about_user(answer: Answer) -> bool:
    """Whether the answer says anything about the user. A 202, a 429 and a refusal of the call do not."""
    return any(says(answer) is not None for says in (link_of, kyc_of, flag_of))


def _meaning(answer: Answer) -> Link | Kyc | Flag | None:
    # A 429 or a 202 says nothing, whatever its code is: PayPay has not processed the request yet.
    if answer.call is Call.LINKING or answer.http_status in (_TOO_MANY, _ACCEPTED):
        return None
    meaning = RESULT_CODES.get(answer.code or "")
    return None if isinstance(meaning, CallOutcome) else meaning


def _is_2xx(answer: Answer) -> bool:
    # 202 means wait (docs/providers.md §1.2).
    return answer.http_status is not None and 200 <= answer.http_status < 300 and answer.http_status != _ACCEPTED


def _succeeded(answer: Answer) -> bool:
    return _is_2xx(answer) and answer.code == "SUCCESS"


def _is_full_success(answer: Answer) -> bool:
    return answer.http_status == 200 and answer.code == "SUCCESS" and answer.has_data


# What all answers say


def facets(answers: Iterable[Answer], verified_words: frozenset[str] = frozenset(), as_of: str = "") -> Facets:
    """The facets of a set of answers at a moment (UTC); `verified_words` as for `kyc_of`.

    A link has expired if its end is before that moment, unless PayPay has called it active after its end. Without a
    moment, no link has reached its end.
    """
    answers = frozenset(answers)
    present = _present(answers)
    own = _of(answers, present)
    expiries = [each.expires_at for each in _latest(own, _expiry_of) if each.expires_at]
    end = min(expiries, default=None)
    link, link_said, is_over = _link(answers, own, end if end and end <= as_of else None)
    decisive = _without_ekyc(own) or _latest(own, kyc_of)
    kyc, kyc_said = _worst(
        ((said, _kyc_said(said, each)) for each in decisive if (said := kyc_of(each, verified_words))), Kyc
    )
    flag, flag_said = _worst(((flag_of(each), each.code) for each in _latest(_standing_raises(answers))), Flag)
    return Facets(
        link=link,
        kyc=kyc or Kyc.UNREAD,
        flag=flag or Flag.NONE,
        authorization=present,
        expires_at=end,
        link_said=link_said,
        kyc_said=kyc_said,
        flag_said=flag_said,
        is_over=is_over,
    )


def keep(answers: Iterable[Answer]) -> frozenset[Answer]:
    """The answers on which a facet depends, or may depend after further answers, and the last answer of each call.

    For any sets: `facets(keep(a) | b) == facets(a | b)`.
    """
    answers = frozenset(each for each in answers if is_about_user(each))
    present = _present(answers)
    linkings = frozenset(each for each in answers if _links(each))
    mine = frozenset(each for each in linkings if each.authorization == present)
    kept = _latest(mine) | _latest(linkings - mine) | _latest(answers - linkings, _attempt_of)
    # An authorization that was read already, but whose linking is recorded later, may still become the present one.
    since = max((each.at for each in mine), default="")
    early = {each.authorization for each in answers if each.at > since and each.authorization} - {present}
    for authorization in (present, *early):
        own = _of(answers, authorization)
        kept |= _latest(own, _state_of) | _latest(own, _expiry_of)
        for call in Call:
            asked = [each for each in own if each.call is call]
            kept |= _latest(asked) | _latest(asked, kyc_of)
    for call in Call:
        kept |= _latest(each for each in _standing_raises(answers) if each.call is call)
        kept |= _latest(each for each in answers if each.call is call and _clears(each))
    return kept


def without_kyc(answers: Iterable[Answer], authorization: str) -> frozenset[Answer]:
    """The answers without those about the KYC through this authorization. Flags that are set stay set."""
    answers = frozenset(answers)
    standing = _standing_raises(answers)
    read = {each for each in answers if each.authorization == authorization and each.call in KYC_CALLS}
    # If one of those reads had cleared a flag, the answer that set it is removed, too.
    return frozenset(each for each in answers - read if not flag_of(each)) | standing


def last_read(answers: Iterable[Answer], calls: Iterable[Call]) -> str | None:
    """When the last of these calls began that PayPay answered about the present authorization, or None."""
    last = last_answer(answers, calls)
    return last.at if last else None


def last_answer(answers: Iterable[Answer], calls: Iterable[Call]) -> Answer | None:
    """PayPay's answer about the present authorization to the last of these calls, or None."""
    answers, calls = frozenset(answers), frozenset(calls)
    own = _of(answers, _present(answers))
    asked = (each for each in own if each.call in calls and is_about_user(each))
    return max(asked, key=lambda each: (each.at, repr(each)), default=None)


def status(of: Facets) -> PayPayStatus:
    """The one status of the facets: a link that has ended, else the flag, else the KYC of an active link."""
    if of.link in _ENDED:
        return _ENDED[of.link]
    if of.flag is not Flag.NONE:
        return PayPayStatus(of.flag)
    if of.link is Link.ACTIVE:
        return PayPayStatus.LINKED if of.kyc is Kyc.UNREAD else PayPayStatus(of.kyc)
    return PayPayStatus.LINK_DECLINED if of.link is Link.DECLINED else PayPayStatus.LINK_PENDING


def provider_status(of: Facets) -> str | None:
    """PayPay's own code or word that led to `status(of)`; None if PayPay has said nothing yet."""
    match status(of):
        case PayPayStatus.RISK_FLAGGED | PayPayStatus.UPDATE_REQUIRED:
            return of.flag_said
        case PayPayStatus.VERIFIED | PayPayStatus.UNCONFIRMED | PayPayStatus.NOT_COMPLETED:
            return of.kyc_said
        case _:
            return of.link_said


def stored(answers: Iterable[Answer], authorization: str | None) -> list[dict[str, str | int | bool]]:
    """The answers as the table stores them, in a fixed order.

    An answer about `authorization` does not repeat its id.
    """
    items = []
    for each in sorted(answers, key=lambda answer: (answer.at, repr(answer), answer.authorization or "")):
        given = {short: getattr(each, name) for short, name in _STORED.items()}
        kept = {short: value for short, value in given.items() if value not in (None, False, ABSENT)}
        if each.authorization is None or each.authorization != authorization:
            kept["authorization"] = each.authorization or ""
        items.append(kept)
    return items


def restored(items: Iterable[Mapping[str, Any]], authorization: str | None) -> frozenset[Answer]:
    """The answers from the items that `stored` made of them."""
    return frozenset(
        Answer(
            call=Call(item["call"]),
            at=item["at"],
            authorization=item.get("authorization", authorization) or None,
            http_status=int(item["http"]) if "http" in item else None,
            code=item.get("code"),
            word=item.get("word", ABSENT),
            has_data=item.get("data", False),
            expires_at=item.get("expires"),
        )
        for item in items
    )


def _present(answers: frozenset[Answer]) -> str | None:
    """The authorization that was linked last."""
    return max(((each.at, each.authorization or "") for each in answers if _links(each)), default=("", None))[1]


def _of(answers: frozenset[Answer], authorization: str | None) -> frozenset[Answer]:
    """The answers about this authorization since another one was linked."""
    others = (each.at for each in answers if _links(each) and each.authorization != authorization)
    since = max(others, default="")
    return frozenset(
        each for each in answers if authorization and each.authorization == authorization and each.at > since
    )


def _link(answers: frozenset[Answer], own: frozenset[Answer], ended: str | None) -> tuple[Link, str | None, bool]:
    """The link, the code or word that decided it, and whether an active link is over.

    `ended` is its end, if reached.
    """
    attempts, said = _latest(answers, _attempt_of), _latest(own, _state_of)
    state, state_said = _worst(((_state_of(each), _link_said(each)) for each in said), Link)
    attempt, attempt_said = _worst(((_attempt_of(each), _link_said(each)) for each in attempts), Link)
    if state is None:
        return attempt or Link.PENDING, attempt_said, False
    since, is_over = _moment(said), False
    if state is Link.ACTIVE and ended and since < ended:
        state, state_said, since, is_over = Link.EXPIRED, EXPIRE_AT, ended, True
    # A user who asks for another QR, or declines it, keeps the present link.
    if attempt and state is not Link.ACTIVE and _moment(attempts) > since:
        return attempt, attempt_said, is_over
    return state, state_said, is_over


def _without_ekyc(own: frozenset[Answer]) -> frozenset[Answer]:
    """The answers that the user lacks the required eKYC, unless the same call has said otherwise since.

    Only `kyc_info` has a KYC type in its request. A later answer of another read does not answer that question.
    """
    last = (_latest((each for each in own if each.call is call), kyc_of) for call in Call)
    return frozenset(each for some in last for each in some if each.code == _NO_EKYC)


def _standing_raises(answers: frozenset[Answer]) -> frozenset[Answer]:
    """The answers that set a flag, unless a later success of the same call or of the KYC Passport has cleared it."""
    clearing = [each for each in answers if _clears(each)]
    return frozenset(
        raised
        for raised in answers
        if flag_of(raised)
        and not any(each.at > raised.at and each.call in (raised.call, Call.KYC_PASSPORT) for each in clearing)
    )


def _latest(answers: Iterable[Answer], says: Callable[[Answer], object] = bool) -> frozenset[Answer]:
    """Of the answers for which `says` is true, those of the latest moment. There may be several of the same moment."""
    saying = [each for each in answers if says(each) is not None]
    return frozenset(each for each in saying if each.at == _moment(saying))


def _moment(answers: Iterable[Answer]) -> str:
    return max((each.at for each in answers), default="")


def _worst[Value: StrEnum](
    said: Iterable[tuple[Value | None, str | None]], order: type[Value]
) -> tuple[Value | None, str | None]:
    """The value that is last in its enumeration (the worst one), with the code or word that said it."""
    ranks = list(order)
    known = [(ranks.index(value), text or "") for value, text in said if value is not None]
    rank, text = max(known, default=(None, ""))
    return (None if rank is None else ranks[rank]), text or None


def _links(answer: Answer) -> bool:
    return answer.call is Call.LINKING and answer.word == SUCCEEDED and answer.authorization is not None


def _clears(answer: Answer) -> bool:
    return _is_full_success(answer) and is_about_user(answer)


def _attempt_of(answer: Answer) -> Link | None:
    said = link_of(answer)
    return said if said in (Link.PENDING, Link.DECLINED) else None


def _state_of(answer: Answer) -> Link | None:
    return None if _attempt_of(answer) else link_of(answer)


def _expiry_of(answer: Answer) -> str | None:
    return answer.expires_at if link_of(answer) else None


def _link_said(answer: Answer) -> str | None:
    if answer.call in KYC_CALLS or _meaning(answer):
        return answer.code
    return None if answer.word == REQUESTED else answer.word  # asking for a QR is no word of PayPay's


def _kyc_said(kyc: Kyc, answer: Answer) -> str | None:
    return answer.word if kyc is Kyc.UNCONFIRMED and answer.code == "SUCCESS" else answer.code
