"""The three KYC reads: ask PayPay, keep the answer in the vault, move the status, say what it is."""

import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from honnin import commit
from honnin.errors import (
    ConcurrentUpdateError,
    ConflictError,
    NotFoundError,
    ProviderError,
    UserAnswerError,
)
from honnin.event import Provider
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.models import KycReading
from honnin.paypay.outcomes import user_status
from honnin.problem_codes import ProblemCode
from honnin.publish import Publisher
from honnin.status import KycProduct, PayPayStatus, after_kyc_reading
from honnin.store import Effect, Store, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence


@dataclass(frozen=True)
class KycAnswer:
    """What the merchant gets: the status, when it was read (UTC), and PayPay's `data`, if there is any."""

    status: str
    read_at: str
    kyc: dict[str, Any] | None = field(default=None, repr=False)


class KycReads:
    """Reads by the merchant's user id; the authorization id never leaves the table."""

    def __init__(
        self,
        *,
        store: Store,
        client: PayPayClient,
        archive: KycArchive,
        publisher: Publisher,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._archive = archive
        self._commits = commit.Commits(store, publisher.announce_or_leave, now)
        self._now = now

    def kyc_info(self, user_id: str, required_kyc_type: str | None) -> KycAnswer:
        """Get the user's KYC information. Raises `ConflictError` without a link, and PayPay's own errors."""
        return self._read(user_id, KycProduct.KYC_INFO, lambda linked: self._client.kyc_info(linked, required_kyc_type))

    def kyc_passport(self, user_id: str) -> KycAnswer:
        """Get the user's KYC information for KYC Passport clients. Raises as `kyc_info`."""
        return self._read(user_id, KycProduct.KYC_PASSPORT, self._client.kyc_passport)

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
        return self._read(
            known.user_id,
            KycProduct.KYC_PASSPORT_QR,
            lambda linked: self._client.completed_kyc_passport_qr(code_id, known.code_verifier, linked),
            code_id=code_id,
        )

    def _read(
        self, user_id: str, product: KycProduct, ask: Callable[[str], KycReading], *, code_id: str | None = None
    ) -> KycAnswer:
        event_id = f"api:kyc:{uuid.uuid4()}"
        kyc: dict[str, Any] | None = None

        def decide() -> Effect:
            nonlocal kyc
            before, linked = self._linked(user_id, code_id)
            said = self._ask(event_id, before, product, partial(ask, linked))
            kyc = said.kyc
            status = after_kyc_reading(PayPayStatus(before.status), said.status, product)
            at = utc_text(self._now())
            after = replace(before, status=status, provider_status=said.code, read_at=at, kyc_read_at=at)
            return self._effect(event_id, "kyc_read", before, after, product, said.facts, said.evidence)

        # What another worker read meanwhile may be newer: ask again, as long as the caller can wait. After that, the
        # answer goes to the caller and the timeline, and the status that others have read stands.
        until = self._now() + commit.CALLER_WAITS
        done = self._commits.run(decide, until=until, late=self._commits.unmoved)
        return KycAnswer(status=done.after.status, read_at=done.after.read_at or done.at, kyc=kyc)

    def _linked(self, user_id: str, code_id: str | None) -> tuple[UserStatus, str]:
        """The user and the authorization to ask PayPay with; raises `ConflictError` when there is none for this."""
        status = self._store.users.status(user_id, Provider.PAYPAY)
        if status is None or not status.user_authorization_id:
            raise ConflictError(
                "the user has not linked a PayPay account; create a QR with POST /paypay/account-links",
                code=ProblemCode.NOT_LINKED,
                state=status.status if status else None,
            )
        if code_id and status.code_id not in (None, code_id):
            # What PayPay says of an old QR with the present authorization is not about the user's link.
            raise ConflictError(
                "the user has linked anew with another QR since", code=ProblemCode.LINKED_ANEW, state=status.status
            )
        return status, status.user_authorization_id

    def _ask(self, event_id: str, before: UserStatus, product: KycProduct, ask: Callable[[], KycReading]) -> "_Said":
        try:
            reading = ask()
        except UserAnswerError as error:
            return _Said(user_status(error), error.code or "", error.facts(), None)
        except ProviderError as error:
            # What PayPay's support asks for stays on the timeline; the error goes to the caller whether or not it does.
            with suppress(ConcurrentUpdateError):
                self._commits.once(self._effect(event_id, "kyc_read_failed", before, before, product, error.facts()))
            raise
        evidence = self._archive.keep(before, product, self._now(), reading)
        facts = {"requestId": reading.request_id or ""}
        return _Said(PayPayStatus.VERIFIED, "SUCCESS", facts, reading.data, evidence)

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


@dataclass(frozen=True)
class _Said:
    """What PayPay said: the status it means, its code, facts for the timeline, the KYC object and its evidence."""

    status: PayPayStatus
    code: str
    facts: dict[str, str]
    kyc: dict[str, Any] | None = field(repr=False)
    evidence: Evidence | None = None
