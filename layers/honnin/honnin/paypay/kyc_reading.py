"""The three KYC reads: ask PayPay, keep the answer in the vault, move the status, say what it is."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

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

# Until when to ask again after another worker moved the user meanwhile; API Gateway ends the call after 29 s.
_RACING = timedelta(seconds=4)
_LAST_TRIES = 5


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
        self._publisher = publisher
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
        begun = self._now()
        while True:
            before = self._store.users.status(user_id, Provider.PAYPAY)
            if before is None or not before.user_authorization_id:
                raise ConflictError(
                    "the user has not linked a PayPay account; create a QR with POST /paypay/account-links",
                    code=ProblemCode.NOT_LINKED,
                    state=before.status if before else None,
                )
            if code_id and before.code_id not in (None, code_id):
                # What PayPay says of an old QR with the present authorization is not about the user's link.
                raise ConflictError(
                    "the user has linked anew with another QR since", code=ProblemCode.LINKED_ANEW, state=before.status
                )
            said = self._ask(event_id, before, product, partial(ask, before.user_authorization_id))
            status = after_kyc_reading(PayPayStatus(before.status), said.status, product)
            at = utc_text(self._now())
            after = replace(before, status=status, provider_status=said.code, read_at=at, kyc_read_at=at)
            try:
                return self._write(event_id, before, after, product, said)
            except ConcurrentUpdateError:
                # What another worker read meanwhile may be newer: ask again, as long as the caller can wait.
                if self._now() - begun > _RACING:
                    return self._write_without_moving(event_id, user_id, product, said)

    def _ask(self, event_id: str, before: UserStatus, product: KycProduct, ask: Callable[[], KycReading]) -> "_Said":
        try:
            reading = ask()
        except UserAnswerError as error:
            return _Said(user_status(error), error.code or "", error.facts(), None)
        except ProviderError as error:
            self._note_failure(event_id, before, product, error)
            raise
        kept = self._archive.keep(before.user_id, product, self._now(), reading)
        facts = {"requestId": reading.request_id or "", **kept}
        return _Said(PayPayStatus.VERIFIED, "SUCCESS", facts, reading.data)

    def _write(
        self, event_id: str, before: UserStatus, after: UserStatus, product: KycProduct, said: "_Said"
    ) -> KycAnswer:
        facts = {"product": str(product), **said.facts}
        effect = _effect(event_id, "kyc_read", utc_text(self._now()), before, after, facts)
        self._store.events.apply(effect)
        self._publisher.announce_or_leave(effect)
        return KycAnswer(status=after.status, read_at=after.read_at or effect.at, kyc=said.kyc)

    def _write_without_moving(self, event_id: str, user_id: str, product: KycProduct, said: "_Said") -> KycAnswer:
        """Keep what was read on the timeline and answer it; the status that others read meanwhile stands."""
        for _ in range(_LAST_TRIES):
            now = self._store.users.status(user_id, Provider.PAYPAY)
            if now is None:
                break
            try:
                return self._write(event_id, now, now, product, said)
            except ConcurrentUpdateError:
                continue
        raise ConcurrentUpdateError(f"event {event_id}")

    def _note_failure(self, event_id: str, before: UserStatus, product: KycProduct, error: ProviderError) -> None:
        """Keep the failure, with what PayPay's support asks for, on the timeline."""
        facts = {"product": str(product), **error.facts()}
        try:
            self._store.events.apply(_effect(event_id, "kyc_read_failed", utc_text(self._now()), before, before, facts))
        except ConcurrentUpdateError:
            return  # the error itself goes to the caller and the log all the same


@dataclass(frozen=True)
class _Said:
    """What PayPay said: the status it means, its code, facts for the timeline, and the KYC object, if any."""

    status: PayPayStatus
    code: str
    facts: dict[str, str]
    kyc: dict[str, Any] | None = field(repr=False)


def _effect(event_id: str, what: str, at: str, before: UserStatus, after: UserStatus, facts: dict[str, str]) -> Effect:
    return Effect(
        event_id=event_id,
        what=what,
        cause="api",
        at=at,
        before=before,
        after=replace(after, version=before.version + 1),
        detail={name: value for name, value in facts.items() if value},
    )
