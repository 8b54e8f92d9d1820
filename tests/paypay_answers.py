"""What PayPay's answers mean, said a second time: the base document's codes as a table, and time played forward.

`honnin.paypay_facets` looks at a set and takes the latest; this plays the answers moment after moment, so that a
mistake in one is seen by the other.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby, product
from types import ModuleType
from typing import Any

from honnin.paypay_facets import Answer, Call, Facets
from honnin.status import Flag, Kyc, Link

KYC_CALLS = (Call.KYC_INFO, Call.KYC_PASSPORT, Call.KYC_PASSPORT_QR)
READS = (*KYC_CALLS, Call.AUTHORIZATION)
WORDS = frozenset({"COMPLETED", "(unreadable)"})

# Base document, "Response code list" and the tables under it: link, KYC, flag; a KYC or a flag that a KYC read
# speaks of says that the link works.
ABOUT_THE_USER: dict[str, tuple[int, Link | None, Kyc | None, Flag | None]] = {
    "CANCELED_USER": (400, Link.CANCELLED, None, None),
    "INVALID_USER_AUTHORIZATION_ID": (401, Link.UNLINKED, None, None),
    "EXPIRED_USER_AUTHORIZATION_ID": (401, Link.EXPIRED, None, None),
    "USER_STATE_IS_NOT_ACTIVE": (401, Link.INACTIVE, None, None),
    "KYC_NOT_COMPLETED": (400, Link.ACTIVE, Kyc.NOT_COMPLETED, None),
    "NON_EKYC_USER": (400, Link.ACTIVE, Kyc.NOT_COMPLETED, None),
    "UNACCEPTABLE_OP": (400, Link.ACTIVE, None, Flag.RISK_FLAGGED),
    "KYC_UPDATE_REQUIRED": (400, Link.ACTIVE, None, Flag.UPDATE_REQUIRED),
}
# What they make of a user who was verified.
STATUS_OF = [
    ("KYC_NOT_COMPLETED", "NOT_COMPLETED"),
    ("NON_EKYC_USER", "NOT_COMPLETED"),
    ("UNACCEPTABLE_OP", "RISK_FLAGGED"),
    ("KYC_UPDATE_REQUIRED", "UPDATE_REQUIRED"),
    ("CANCELED_USER", "INACTIVE"),
    ("USER_STATE_IS_NOT_ACTIVE", "INACTIVE"),
    ("INVALID_USER_AUTHORIZATION_ID", "UNLINKED"),
    ("EXPIRED_USER_AUTHORIZATION_ID", "EXPIRED"),
]
ABOUT_THE_CALL: dict[str, int] = {
    "REQUEST_ACCEPTED": 202,
    "INVALID_REQUEST_PARAMS": 400,
    "MISSING_REQUEST_PARAMS": 400,
    "INVALID_PARAMS": 400,
    "EXPECTATION_FAILED": 400,
    "UNAUTHORIZED": 401,
    "OP_OUT_OF_SCOPE": 401,
    "SESSION_NOT_FOUND": 404,
    "KYC_PASSPORT_NOT_COMPLETED": 400,
    "RATE_LIMIT": 429,
    "SERVICE_ERROR": 500,
    "INTERNAL_SERVER_ERROR": 500,
    "MAINTENANCE_MODE": 503,
}
CODES = ("SUCCESS", *ABOUT_THE_USER, *ABOUT_THE_CALL, "A_NEW_CODE", None)
HTTP = (200, 201, 202, 204, 302, 400, 401, 403, 404, 408, 409, 429, 500, 503)
SAID = ("COMPLETED", "NOT_COMPLETED", "ACTIVE", "INACTIVE", "(absent)", "(unreadable)")


def moment(number: int) -> str:
    """One of the few moments at which things happen here."""
    return f"2026-04-01T00:00:{number:02}.000Z"


# When the answers are looked at: without a moment, between them and after them all.
MOMENTS = ("", moment(3), moment(6), moment(9))


def every_single_answer() -> Iterator[Answer]:
    """Each read × code × HTTP status × word × data or none, and each linking answer."""
    for call, code, http, has_data in product(READS, CODES, HTTP, (True, False)):
        for said in SAID if code == "SUCCESS" else ("COMPLETED", "(absent)"):
            yield Answer(call, moment(5), "auth-a", http, code, said, has_data)
    for said, expires in product(SAID, (moment(4), moment(5), moment(9))):
        yield Answer(Call.AUTHORIZATION, moment(5), "auth-a", 200, "SUCCESS", said, True, expires)
    yield from every_linking()


def every_linking() -> Iterator[Answer]:
    """Each linking answer."""
    for said in ("requested", "succeeded", "declined", "bad_request"):
        yield Answer(Call.LINKING, moment(5), "auth-a", word=said)
        yield Answer(Call.LINKING, moment(5), None, word=said)


def every_documented_answer() -> Iterator[Answer]:
    """Each answer of the base document's tables, of each read, and each linking answer."""
    for call in READS:
        for said, has_data in product(SAID, (True, False)):
            yield Answer(call, moment(5), "auth-a", 200, "SUCCESS", said, has_data)
        for code, http in {**{each: http for each, (http, *_) in ABOUT_THE_USER.items()}, **ABOUT_THE_CALL}.items():
            yield Answer(call, moment(5), "auth-a", http, code)
    yield Answer(Call.AUTHORIZATION, moment(5), "auth-a", 200, "SUCCESS", "ACTIVE", True, moment(5))
    yield from every_linking()


def every_state() -> Iterator[tuple[Answer, ...]]:
    """Answers that bring a user to each combination of a link, a KYC and a flag; the KYC and the flag are read."""
    linked = Answer(Call.LINKING, moment(1), "auth-a", word="succeeded")
    ended = [code for code, (_, link, *_) in ABOUT_THE_USER.items() if link is not Link.ACTIVE]
    kycs = (None, ("COMPLETED", "SUCCESS"), ("REJECTED", "SUCCESS"), ("(absent)", "KYC_NOT_COMPLETED"))
    for kyc, flag, end, attempt in product(
        kycs, (None, "UNACCEPTABLE_OP", "KYC_UPDATE_REQUIRED"), (None, *ended), (None, "requested", "declined")
    ):
        state = [linked]
        if kyc:
            said, code = kyc
            http = 200 if code == "SUCCESS" else 400
            state.append(Answer(Call.KYC_INFO, moment(2), "auth-a", http, code, said, http == 200))
        if flag:
            state.append(Answer(Call.KYC_PASSPORT, moment(2), "auth-a", 400, flag))
        if end:
            state.append(Answer(Call.AUTHORIZATION, moment(3), "auth-a", ABOUT_THE_USER[end][0], end))
        if attempt:
            state.append(Answer(Call.LINKING, moment(4), None, word=attempt))
        yield tuple(state)
    yield ()
    for said in ("requested", "declined"):
        yield (Answer(Call.LINKING, moment(4), None, word=said),)


def meaning(answer: Answer, words: frozenset[str]) -> tuple[Link | None, Kyc | None, Flag | None, bool]:
    """Link, KYC and flag that one answer says, and whether it clears flags."""
    http, code = answer.http_status or 0, answer.code
    asks_kyc = answer.call in KYC_CALLS
    if answer.call is Call.LINKING:
        links = {"requested": Link.PENDING, "succeeded": Link.ACTIVE, "declined": Link.DECLINED}
        return links.get(answer.word), None, None, False
    if http in (202, 429):
        return None, None, None, False
    if code in ABOUT_THE_USER:
        _, link, kyc, flag = ABOUT_THE_USER[code]
        return (None if link is Link.ACTIVE and not asks_kyc else link), kyc, flag, False
    if code is None or code in ABOUT_THE_CALL or http not in (200, 201, 204):
        return None, None, None, False
    if code != "SUCCESS":
        return None, Kyc.UNCONFIRMED if asks_kyc else None, None, False
    whole = http == 200 and answer.has_data
    if asks_kyc:
        sure = whole and answer.word in words - {"(unreadable)"}
        return Link.ACTIVE, Kyc.VERIFIED if sure else Kyc.UNCONFIRMED, None, whole
    if answer.word == "(absent)":
        return None, None, None, False
    if answer.expires_at and answer.expires_at <= answer.at:
        return Link.EXPIRED, None, None, whole
    return Link.ACTIVE if answer.word == "ACTIVE" else Link.INACTIVE, None, None, whole


_WORST = {
    Link: (Link.ACTIVE, Link.INACTIVE, Link.EXPIRED, Link.UNLINKED, Link.CANCELLED),
    Kyc: (Kyc.VERIFIED, Kyc.UNCONFIRMED, Kyc.NOT_COMPLETED),
    Flag: (Flag.UPDATE_REQUIRED, Flag.RISK_FLAGGED),
}


def _worst[Value](values: Iterable[Value]) -> Value | None:
    found = list(values)
    return max(found, key=_WORST[type(found[0])].index) if found else None  # type: ignore[index]


def played(
    answers: Iterable[Answer], words: frozenset[str], as_of: str = ""
) -> tuple[Link, Kyc, Flag, str | None, str | None]:
    """Link, KYC, flag, present authorization and its expiry after time has run over all the answers, and to `as_of`."""
    known = sorted(set(answers), key=lambda each: each.at)
    linkings = sorted(
        (each.at, str(each.authorization)) for each in known if each.word == "succeeded" and each.authorization
    )
    present = linkings[-1][1] if linkings else None
    since = max((at for at, authorization in linkings if authorization != present), default="")
    link, kyc, flags, expires = Link.PENDING, Kyc.UNREAD, dict[Call, tuple[str, Flag]](), None
    no_ekyc: set[Call] = set()
    last_said = ""
    for at, group in groupby(known, key=lambda each: each.at):
        if link is Link.ACTIVE and expires and last_said < expires < at and expires <= as_of:
            link = Link.EXPIRED
        said = [(each, *meaning(each, words)) for each in group]
        for each, _, _, _, clears in said:
            for call in list(flags):
                if clears and each.call in (call, Call.KYC_PASSPORT):
                    del flags[call]
        for call in READS:
            raised = _worst(flag for each, _, _, flag, _ in said if flag and each.call is call)
            if raised:
                flags[call] = (at, raised)
        attempts = [state for _, state, *_ in said if state in (Link.PENDING, Link.DECLINED)]
        reads = [line for line in said if line[1] not in (Link.PENDING, Link.DECLINED)]
        own = [line for line in reads if present and line[0].authorization == present and at > since]
        state = _worst(state for _, state, *_ in own if state)
        if state:
            link, last_said = state, at
        elif attempts and link is not Link.ACTIVE:
            link = Link.DECLINED if Link.DECLINED in attempts else Link.PENDING
        kyc = _worst(each for _, _, each, *_ in own if each) or kyc
        for each, _, kyc_said, *_ in own:
            if kyc_said and each.code != "NON_EKYC_USER":
                no_ekyc.discard(each.call)
        no_ekyc |= {each.call for each, _, kyc_said, *_ in own if kyc_said and each.code == "NON_EKYC_USER"}
        ends = [each.expires_at for each, state, *_ in own if each.expires_at and state]
        expires = min(ends) if ends else expires
    if link is Link.ACTIVE and expires and last_said < expires <= as_of:
        link = Link.EXPIRED
    order = (Flag.NONE, *_WORST[Flag])
    _, flag = max(flags.values(), key=lambda each: (each[0], order.index(each[1])), default=("", Flag.NONE))
    return link, Kyc.NOT_COMPLETED if no_ekyc else kyc, flag, present, expires


# The same answers are put to each broken copy.
_played = cache(played)


def facets_in_short(found: Facets) -> tuple[Link, Kyc, Flag, str | None, str | None]:
    """The same five things of the code's own answer."""
    return found.link, found.kyc, found.flag, found.authorization, found.expires_at


# Answers that meet each other often: few moments, few authorizations, and what is answered most.
_TOLD: tuple[tuple[int, str | None, str, bool], ...] = (
    (200, "SUCCESS", "COMPLETED", True),
    (200, "SUCCESS", "COMPLETED", True),
    (200, "SUCCESS", "REJECTED", True),
    (200, "SUCCESS", "(absent)", False),
    (200, "SUCCESS", "(unreadable)", True),
    (201, "SUCCESS", "COMPLETED", True),
    (200, "A_NEW_CODE", "COMPLETED", True),
    (200, "A_NEW_CODE", "(absent)", False),
    (200, "UNAUTHORIZED", "COMPLETED", True),
    (400, "SUCCESS", "COMPLETED", True),
    (202, "SUCCESS", "COMPLETED", True),
    (202, "REQUEST_ACCEPTED", "COMPLETED", True),
    (429, "KYC_NOT_COMPLETED", "(absent)", False),
    (202, "INVALID_USER_AUTHORIZATION_ID", "(absent)", False),
    (200, None, "COMPLETED", True),
    *((http, code, "(absent)", False) for code, (http, *_) in ABOUT_THE_USER.items()),
    *((400, code, "(absent)", False) for code in ("UNACCEPTABLE_OP", "KYC_UPDATE_REQUIRED")),
)


def any_answer(draw: random.Random) -> Answer:
    """One answer; the same draws make the same answer."""
    at, authorization = moment(draw.randint(1, 6)), draw.choice(("auth-a", "auth-a", "auth-a", "auth-b", "auth-c"))
    call = draw.choice((*Call, Call.AUTHORIZATION))
    if call is Call.LINKING:
        said = draw.choice(("requested", "succeeded", "succeeded", "declined"))
        # Whether a declined redirect names an authorization is not published.
        named = said == "succeeded" or draw.random() < 0.3
        return Answer(call, at, authorization if named else None, word=said)
    plain = call is Call.AUTHORIZATION and draw.random() < 0.5
    http, code, said, has_data = _TOLD[0] if plain else draw.choice(_TOLD)
    if call is Call.AUTHORIZATION and code == "SUCCESS":
        said = draw.choice(("ACTIVE", "ACTIVE", "INACTIVE", "(absent)", said))
        expires = draw.choice((None, moment(draw.randint(1, 9)), moment(9)))
        return Answer(call, at, authorization, http, code, said, has_data, expires)
    return Answer(call, at, authorization, http, code, said, has_data)


def fault(module: ModuleType | Any, answers: Sequence[Answer], words: frozenset[str]) -> str | None:
    """What a version of `honnin.paypay_facets` gets wrong about these answers, recorded in this order; None if nothing.

    The texts that decided a facet are compared with those over the whole set, since only their choice is the code's.
    """
    whole = module.facets(answers, words)
    for as_of in MOMENTS:
        found, wanted = facets_in_short(module.facets(answers, words, as_of)), _played(tuple(answers), words, as_of)
        if found != wanted:
            return f"facets as of {as_of}: {found} instead of {wanted}"
    kept: frozenset[Answer] = frozenset()
    for each in answers:
        kept = module.keep({*kept, each})
        kept = module.restored(module.stored(kept, "auth-a"), "auth-a")
    for as_of in MOMENTS:
        if module.facets(kept, words, as_of) != module.facets(answers, words, as_of):
            return f"kept: {module.facets(kept, words, as_of)} instead of {whole} as of {as_of}"
    for calls in (KYC_CALLS, (Call.KYC_INFO,), (Call.AUTHORIZATION,)):
        if module.last_read(kept, calls) != module.last_read(answers, calls):
            return f"last_read of {calls}"
    if not kept <= set(answers):
        return "an answer that PayPay never gave"
    present = [each for each in kept if each.authorization == whole.authorization]
    if len({each.authorization for each in answers}) <= 2 and len({each.at for each in present}) > 14:
        return "more is kept than can matter"
    return None


@cache
def _single() -> list[tuple[Sequence[Answer], tuple[Any, ...]]]:
    """Each single answer about a user whose account was inactive, with what it should come to."""
    linked = Answer(Call.LINKING, moment(1), "auth-a", word="succeeded")
    inactive = Answer(Call.AUTHORIZATION, moment(2), "auth-a", 200, "SUCCESS", "INACTIVE", has_data=True)
    every = [[linked, inactive, each] for each in every_single_answer()]
    return [(answers, played(answers, WORDS)) for answers in every]


@cache
def _sets(count: int) -> list[list[Answer]]:
    draw = random.Random(1)
    # Most broken copies are seen by the first few; what only a pair shows comes last.
    return [*([any_answer(draw) for _ in range(draw.randint(1, 12))] for _ in range(count)), *_pairs()]


def _pairs() -> Iterator[list[Answer]]:
    """A linked user's account that was inactive, then each two answers of the document to the same question."""
    linked = Answer(Call.LINKING, moment(1), "auth-a", word="succeeded")
    inactive = Answer(Call.AUTHORIZATION, moment(2), "auth-a", 401, "USER_STATE_IS_NOT_ACTIVE")
    for call in (Call.KYC_INFO, Call.AUTHORIZATION):
        told = {
            each for each in every_documented_answer() if each.call is call and sum(map(bool, meaning(each, WORDS)))
        }
        for first, second in product(sorted(told, key=repr), repeat=2):
            yield [linked, inactive, replace(first, at=moment(3)), replace(second, at=moment(4))]


def first_fault(module: ModuleType | Any, count: int) -> str | None:
    """Play random sets of answers and then single ones against a version of the module."""
    for answers in _sets(count):
        if found := fault(module, answers, WORDS):
            return f"{found} after {answers}"
    for single, wanted in _single():
        if facets_in_short(module.facets(single, WORDS)) != wanted:
            return f"single: {single}"
    return None
