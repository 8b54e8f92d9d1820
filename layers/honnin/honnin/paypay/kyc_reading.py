"""The three KYC reads: ask PayPay, store the answer in the vault, change the status, return the result."""

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from honnin import commit
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    NotFoundError,
    PassportNotCompletedError,
    ProviderError,
    ProviderRefusedError,
    ScopeNotGrantedError,
)
from honnin.event import Provider
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.readings import Readings, Rules, Said, merged, note_refusal, recorded
from honnin.paypay.residence import with_residence
from honnin.paypay_products import SCOPE_OF
from honnin.problem_codes import ProblemCode
from honnin.publish import Publisher
from honnin.status import KycProduct
from honnin.store import Effect, Link, PassportQr, Store, UserStatus
from honnin.vault import Evidence

_ACCEPTED = 202


@dataclass(frozen=True)
class KycAnswer:
    """What the merchant receives: the status, when it was read (UTC), and PayPay's `data`, if there is any."""

    status: str
    read_at: str
    kyc: Mapping[str, Any] | None = field(default=None, repr=False)


class KycReads:
    """Reads by the merchant's user id. The authorization id is never given to the merchant."""

    def __init__(
        self,
        *,
        store: Store,
        client: PayPayClient,
        archive: KycArchive,
        rules: Rules,
        publisher: Publisher,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._readings = Readings(store, client, archive, rules, now)
        self._rules = rules
        self._commits = commit.Commits(store, publisher.publish_or_leave, now)
        self._now = now

    def kyc_info(self, user_id: str, required_kyc_type: str | None) -> KycAnswer:
        """Get the user's KYC information. `required_kyc_type` is also used for every later read through this link.

        Raises `ConflictError` if there is no link or its scopes do not allow this, and PayPay's own errors.
        """
        return self._read(user_id, KycProduct.KYC_INFO, lambda link: _stricter(link, required_kyc_type))

    def kyc_passport(self, user_id: str) -> KycAnswer:
        """Get the user's KYC information for KYC Passport clients. Raises as `kyc_info`."""
        return self._read(user_id, KycProduct.KYC_PASSPORT, lambda link: link)

    def completed_qr(self, code_id: str) -> KycAnswer:
        """Fetch the KYC information of a completed KYC Passport QR; its verifier is ours.

        Raises
        ------
        NotFoundError
            We made no QR with this code id, or it is too old.
        SessionNotFoundError, PassportNotCompletedError
            PayPay does not know the QR any more, or the user has not finished.
        """
        known = self._store.links.passport_qr(code_id)
        if known is None:
            raise NotFoundError("no KYC Passport QR is known under this code id", code=ProblemCode.PASSPORT_QR_UNKNOWN)
        return self._read(known.user_id, KycProduct.KYC_PASSPORT_QR, lambda link: _through(link, known))

    def _read(self, user_id: str, product: KycProduct, fitted: Callable[[Link], Link]) -> KycAnswer:
        event_id = f"api:kyc:{uuid.uuid4()}"
        said: list[Said] = []

        def decide() -> Effect:
            before, link = self._linked(user_id, product, fitted)
            said.append(self._ask(event_id, before, link, product))
            return self._recorded(event_id, before, link, product, said[-1])

        # Another worker may have read something newer meanwhile. So PayPay is asked again, as long as the caller can
        # wait. After that, the answer is recorded with the moment of its request, between the answers that others have
        # read.
        def late(decided: Effect) -> Effect:
            before, link = self._linked(user_id, product, fitted)
            if before.user_authorization_id != said[-1].answer.authorization:
                return self._commits.unmoved(decided)
            return self._recorded(event_id, before, link, product, said[-1])

        done = self._commits.run(decide, until=self._now() + commit.CALLER_WAITS, late=late)
        return KycAnswer(status=done.after.status, read_at=said[-1].answer.at, kyc=said[-1].kyc)

    def _linked(self, user_id: str, product: KycProduct, fitted: Callable[[Link], Link]) -> tuple[UserStatus, Link]:
        """The user and the link for the call to PayPay; raises `ConflictError` if no link allows this read."""
        status = self._store.users.status(user_id, Provider.PAYPAY)
        link = self._store.links.get(status.user_authorization_id or "") if status else None
        if status is None or link is None or link.user_id != user_id:
            raise ConflictError(
                "the user has not linked a PayPay account; create a QR with POST /paypay/account-links",
                code=ProblemCode.NOT_LINKED,
                state=status.status if status else None,
            )
        asked = fitted(link)
        is_last_qr = asked.code_id is not None and asked.code_id == status.asked_code_id
        if product is KycProduct.KYC_PASSPORT_QR:
            if not is_last_qr and link.code_id not in (None, asked.code_id):
                # An answer about an old QR with the present authorization says nothing about the user's link.
                raise ConflictError(
                    "the user has since linked with another QR", code=ProblemCode.LINKED_ANEW, state=status.status
                )
            if is_last_qr:
                # Its redirect may have been lost. Only a user who agrees to the QR's scopes can complete the QR.
                asked = replace(asked, scopes=merged(link.scopes, status.asked_scopes))
        if SCOPE_OF[product] not in asked.scopes:
            raise _not_granted(product, status)
        return status, asked

    def _ask(self, event_id: str, before: UserStatus, link: Link, product: KycProduct) -> Said:
        try:
            return self._readings.kyc(before, link, product)
        except PassportNotCompletedError:
            raise  # asked every few seconds, until the user is done
        except ProviderError as error:
            if error.http_status == _ACCEPTED:
                raise  # wait (docs/providers.md §1.2): the same
            if type(error) is ProviderRefusedError:
                note_refusal(self._store, error, self._now())
            # Write the data that PayPay's support asks for to the timeline. The error goes to the caller even if that
            # fails.
            failed = self._effect(event_id, "kyc_read_failed", before, before, product, error.facts())
            with suppress(ConcurrentUpdateError):
                self._commits.once(self._as_required(failed, link))
            if isinstance(error, ScopeNotGrantedError):
                raise _not_granted(product, before) from None
            raise

    def _recorded(self, event_id: str, before: UserStatus, link: Link, product: KycProduct, said: Said) -> Effect:
        after = with_residence(recorded(before, [said.answer], self._rules), [said], self._rules)
        kept = self._store.links.get(before.user_authorization_id or "") or link
        # If a code led to nothing, later reads do not use it.
        new = link if said.is_success else replace(kept, required_kyc_type=link.required_kyc_type)
        effect = self._effect(
            event_id,
            "kyc_read",
            before,
            replace(after, scopes=new.scopes, code_id=new.code_id),
            product,
            {"providerCode": said.answer.code or "", **said.facts},
            said.evidence,
        )
        return effect if new == kept else replace(effect, link=new)

    def _as_required(self, failed: Effect, link: Link) -> Effect:
        """Store the KYC type that the merchant asked for. It stays required, whether or not PayPay has answered."""
        kept = self._store.links.get(failed.after.user_authorization_id or "")
        if kept is None or kept.required_kyc_type == link.required_kyc_type:
            return failed
        return replace(failed, link=replace(kept, required_kyc_type=link.required_kyc_type))

    def _effect(
        self,
        event_id: str,
        what: str,
        before: UserStatus,
        after: UserStatus,
        product: KycProduct,
        facts: Mapping[str, str],
        evidence: Evidence | None = None,
    ) -> Effect:
        detail = {"product": product, **facts}
        return commit.effect(event_id, what, before, after, detail, at=self._now(), evidence=evidence)


def _not_granted(product: KycProduct, status: UserStatus) -> ConflictError:
    return ConflictError(
        f"the user has not agreed to the scope {SCOPE_OF[product]}; create a QR that asks for it",
        code=ProblemCode.SCOPE_NOT_GRANTED,
        state=status.status,
    )


def _stricter(link: Link, required_kyc_type: str | None) -> Link:
    return replace(link, required_kyc_type=required_kyc_type or link.required_kyc_type)


def _through(link: Link, qr: PassportQr) -> Link:
    return replace(link, code_id=qr.code_id, code_verifier=qr.code_verifier)
