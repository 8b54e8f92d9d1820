"""PayPay's answers as they are recorded: which call was made, what it returned, and what the user becomes.

`honnin.paypay_facets` defines what answers mean. This module calls PayPay and makes answers from the client's results.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from honnin import paypay_facets, paypay_products
from honnin.config import Settings
from honnin.errors import (
    ProviderConfigurationError,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    ScopeNotGrantedError,
    UserAnswerError,
)
from honnin.event import Provider
from honnin.observability import count, count_for_alarm, logger
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.models import AuthorizationReading, KycReading, UserAuthorization
from honnin.paypay_facets import Answer, Call, Facets
from honnin.status import Kyc, KycProduct
from honnin.status import Link as LinkState
from honnin.store import Link, Store, UserStatus
from honnin.times import jst_day, utc_text
from honnin.vault import Evidence

# States of a link in which another user may link its authorization, and its user may link another authorization.
_OVER = frozenset({LinkState.CANCELLED, LinkState.UNLINKED, LinkState.EXPIRED})

# An alarm is raised when one kind of refusal occurs this often on one JST day.
_REPEATED = 3


@dataclass(frozen=True)
class Rules:
    """What the deployment says: `PayPayVerifiedStatuses`, `PayPayRequiredKycType` (None: none) and
    `WatchResidencePeriod`."""

    verified_words: frozenset[str] = frozenset()
    required_kyc_type: str | None = None
    watch_residence: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> "Rules":
        """The rules that a function's settings describe."""
        return cls(
            settings.paypay_verified_statuses, settings.paypay_required_kyc_type, settings.watch_residence_period
        )


@dataclass(frozen=True)
class Said:
    """One answer of PayPay's, facts for the timeline, and its content: an authorization, or KYC data with evidence."""

    answer: Answer
    facts: Mapping[str, str]
    kyc: Mapping[str, Any] | None = field(default=None, repr=False)
    found: UserAuthorization | None = field(default=None, repr=False)
    evidence: Evidence | None = None

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the authorization, if it was asked for."""
        return tuple(self.found.scopes) if self.found else ()

    @property
    def is_success(self) -> bool:
        """Whether PayPay returned what was asked for."""
        return self.answer.code == "SUCCESS"


class Begun:
    """When a call began: `at`, by this clock.

    Before that, the call may have waited for its turn for a minute or more. If the moment were taken before the wait,
    answers that other functions requested meanwhile would wrongly count as newer.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.at = now()

    def __call__(self) -> None:
        """Called when the request begins (`honnin.paypay.client`, `begins`)."""
        self.at = self._now()


class Readings:
    """Asks PayPay about a linked user. Each call raises PayPay's errors except `UserAnswerError`, which is an answer.

    If our contract lacks a scope, the error is a `ProviderConfigurationError`. If the user's authorization lacks it, as
    PayPay's read of the authorization says, it is a `ScopeNotGrantedError`.

    `now` gives aware UTC moments.
    """

    def __init__(
        self, store: Store, client: PayPayClient, archive: KycArchive, rules: Rules, now: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._client = client
        self._archive = archive
        self._rules = rules
        self._now = now

    def account(self, before: UserStatus) -> Said:
        """Ask for the state of the authorization."""
        return ask_authorization(self._client, before, before.user_authorization_id or "", self._now)

    def kyc(self, before: UserStatus, link: Link, product: KycProduct, *, again: bool = False) -> Said:
        """Ask for the KYC with the link's data. The result is stored in the vault (with `again`: only if it is new)."""
        begun = Begun(self._now)
        call, authorization = Call(product), before.user_authorization_id or ""
        try:
            read = self._ask(authorization, link, product, begun)
        except UserAnswerError as error:
            return Said(_user_answer(call, moment(before, begun.at), authorization, error), error.facts())
        except ProviderConfigurationError as error:
            if error.code != "OP_OUT_OF_SCOPE" or not self._lacks(authorization, paypay_products.SCOPE_OF[product]):
                raise
            raise ScopeNotGrantedError.of(error) from None
        at, word = moment(before, begun.at), paypay_facets.word(read.data)
        answer = Answer(call, at, authorization, read.http_status, read.code, word, bool(read.data))
        facts = {"requestId": read.request_id or ""}
        moment_read = datetime.fromisoformat(at)
        evidence = self._archive.keep(before, product, moment_read, read, again=again) if read.data else None
        if paypay_facets.kyc_of(answer, self._rules.verified_words) is Kyc.UNCONFIRMED:
            facts["word"] = self._unconfirmed(answer)
        return Said(answer, facts, read.data or None, evidence=evidence)

    def _ask(self, authorization: str, link: Link, product: KycProduct, begun: Begun) -> KycReading:
        match product:
            case KycProduct.KYC_PASSPORT:
                return self._client.kyc_passport(authorization, begins=begun)
            case KycProduct.KYC_PASSPORT_QR:
                return self._client.completed_kyc_passport_qr(
                    link.code_id or "", link.code_verifier or "", authorization, begins=begun
                )
            case KycProduct.KYC_INFO:
                required = link.required_kyc_type or self._rules.required_kyc_type
                return self._client.kyc_info(authorization, required, begins=begun)

    def _lacks(self, authorization: str, scope: str) -> bool:
        """Whether PayPay says that the user's authorization lacks a scope. If it does not, our contract lacks it."""
        try:
            scopes = self._client.user_authorization(authorization).found.scopes
        except ProviderUnavailableError:
            raise  # nobody knows whose scope it is; a fault of ours would be a false alarm
        except ProviderError:
            return False
        return bool(scopes) and scope not in scopes

    def _unconfirmed(self, answer: Answer) -> str:
        """Report an answer that verifies no user, so that people can decide whether it should; returns its word."""
        said = answer.word if answer.code == "SUCCESS" else answer.code or ""
        logger().warning(
            "PayPay's answer confirms no KYC",
            word=said,
            parameter="PayPayVerifiedStatuses",
            code=answer.code,
            http_status=answer.http_status,
        )
        count_for_alarm("KycUnconfirmed")
        self._store.users.note_word(Provider.PAYPAY, said, answer.at)
        return said


def ask_authorization(
    client: PayPayClient, before: UserStatus | None, authorization: str, now: Callable[[], datetime]
) -> Said:
    """Ask for the state of an authorization. Raises PayPay's errors but for `UserAnswerError`."""
    begun = Begun(now)
    try:
        read = client.user_authorization(authorization, begins=begun)
    except UserAnswerError as error:
        at = moment(before, begun.at)
        return Said(_user_answer(Call.AUTHORIZATION, at, authorization, error), error.facts())
    answer = authorization_answer(read, moment(before, begun.at), authorization)
    return Said(answer, {"requestId": read.request_id or ""}, found=read.found)


def authorization_answer(read: AuthorizationReading, at: str, authorization: str) -> Answer:
    """The answer to a read of an authorization."""
    end = read.found.expire_at
    return Answer(
        Call.AUTHORIZATION,
        at,
        authorization,
        read.http_status,
        "SUCCESS",
        paypay_facets.word({"status": read.found.status}),
        has_data=True,
        expires_at=utc_text(datetime.fromtimestamp(end, UTC)) if end is not None else None,
    )


def linking(word: str, at: str, authorization: str | None = None) -> Answer:
    """What happened to a QR: one of the words of `honnin.paypay_facets`."""
    return Answer(Call.LINKING, at, authorization, word=word)


def moment(before: UserStatus | None, begun: datetime) -> str:
    """The moment of a request for its answer: later than everything known when it began, even if clocks differ."""
    at = utc_text(begun)
    answers = before.answers if before else ()
    known = max([(before and before.read_at) or "", *(str(each["at"]) for each in answers)])
    return at if known < at else utc_text(datetime.fromisoformat(known) + timedelta(milliseconds=1))


def recorded(
    before: UserStatus, answers: Iterable[Answer], rules: Rules, *, as_of: datetime | None = None
) -> UserStatus:
    """The user after these answers, at a moment; by default at the moment of the newest of them."""
    new = list(answers)
    kept = paypay_facets.keep({*_answers(before), *new})
    now = max([_as_of(before), *(each.at for each in new), utc_text(as_of) if as_of else ""])
    of = paypay_facets.facets(kept, rules.verified_words, now)
    # A request for a QR does not count as a reading.
    read = [each.at for each in new if not _is_attempt(each)]
    return replace(
        before,
        status=paypay_facets.status(of),
        provider_status=paypay_facets.provider_status(of),
        read_at=max([*filter(None, [before.read_at]), *read], default=None),
        user_authorization_id=of.authorization,
        link_expires_at=of.expires_at,
        facets={"link": of.link, "kyc": of.kyc, "flag": of.flag},
        answers=tuple(paypay_facets.stored(kept, of.authorization)),
        expired_at=_expired_at(before, of, now),
        is_over=of.is_over,
        # Webhooks about another authorization do not say when one about this authorization was last received.
        received=before.received if of.authorization == before.user_authorization_id else None,
    )


def _as_of(status: UserStatus) -> str:
    """The moment at which the user's record is valid, as far as it matters: once an end has passed, it stays passed."""
    return (status.link_expires_at or "") if status.is_over else ""


def _expired_at(before: UserStatus, of: Facets, now: str) -> str | None:
    """When the link expired. It is kept until a link is active, even if the user asks for more QRs."""
    if of.link is LinkState.ACTIVE:
        return None
    # Another QR replaces an active link only after the end of that link.
    was_active = (before.facets or {}).get("link") == LinkState.ACTIVE
    has_expired = of.link is LinkState.EXPIRED or (was_active and of.link in (LinkState.PENDING, LinkState.DECLINED))
    if has_expired and before.expired_at is None:
        return min(filter(None, (of.expires_at, now)))
    return before.expired_at


def linked_anew(before: UserStatus, authorization: str) -> UserStatus:
    """The user before a link of this authorization is recorded.

    If the authorization was in use, what was read through it stays valid. If it was not, the KYC may have changed
    without being noticed.
    """
    if facets_of(before).link is LinkState.ACTIVE:
        return before
    answers = paypay_facets.without_kyc(_answers(before), authorization)
    return replace(before, answers=tuple(paypay_facets.stored(answers, before.user_authorization_id)))


def facets_of(status: UserStatus, rules: Rules | None = None) -> Facets:
    """The facets of a user."""
    words = rules.verified_words if rules else frozenset()
    return paypay_facets.facets(_answers(status), words, _as_of(status))


def standing(status: UserStatus) -> str | None:
    """The user's authorization, unless it has ended. A request for another QR does not end it."""
    answers = (each for each in _answers(status) if not _is_attempt(each))
    of = paypay_facets.facets(answers, as_of=_as_of(status))
    return None if of.link in _OVER else of.authorization


def products_for(link: Link, rules: Rules, *, passport_only: bool = False) -> list[KycProduct]:
    """The KYC reads that fit the scopes to which the user agreed, the best one first (`honnin.paypay_products`).

    Only `kyc_info` has a required KYC type.
    """
    has_code = bool(link.code_id and link.code_verifier)
    found = paypay_products.products_for(link.scopes, has_code=has_code, passport_only=passport_only)
    is_required = bool(link.required_kyc_type or rules.required_kyc_type)
    return sorted(found, key=lambda each: is_required and each is not KycProduct.KYC_INFO)


def as_strict_as(left: Link | None, link: Link) -> Link:
    """A new link, with the strictest KYC type that the merchant asked for through the link that it replaces.

    If a user links another account, the merchant's requirement stays.
    """
    if left is None or left.user_id != link.user_id or link.required_kyc_type:
        return link
    return replace(link, required_kyc_type=left.required_kyc_type)


def note_refusal(store: Store, error: ProviderRefusedError, now: datetime, *, again: bool = False) -> dict[str, str]:
    """Count a read that PayPay refuses, and raise an alarm if one kind of refusal repeats; returns its facts.

    A wrong path or field causes the same refusal for every read; single refusals of different kinds do not show such a
    fault. `again`: this read itself repeats an earlier one, so it is not counted.
    """
    count("ReadingRefused", provider=Provider.PAYPAY)
    if again:
        return error.facts()
    kind = error.code or f"HTTP {error.http_status}"
    times = store.users.count_refusal(Provider.PAYPAY, jst_day(now), kind)
    if times >= _REPEATED:
        logger().warning("PayPay refuses reads of one kind", kind=kind, times=times, request_id=error.request_id)
        count_for_alarm("RefusalRepeated")
    return error.facts()


def merged(*scopes: Iterable[str]) -> tuple[str, ...]:
    """All these scopes without duplicates."""
    return tuple(dict.fromkeys(each for some in scopes for each in some))


def _answers(status: UserStatus) -> frozenset[Answer]:
    return paypay_facets.restored(status.answers, status.user_authorization_id)


def _is_attempt(answer: Answer) -> bool:
    return answer.call is Call.LINKING and answer.word != paypay_facets.SUCCEEDED


def _user_answer(call: Call, at: str, authorization: str, error: UserAnswerError) -> Answer:
    return Answer(call, at, authorization, error.http_status, error.code)
