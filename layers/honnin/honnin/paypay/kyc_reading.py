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
    RemoteFileError,
    UserAnswerError,
)
from honnin.observability import count
from honnin.paypay.client import PayPayClient
from honnin.paypay.models import KycReading
from honnin.paypay.outcomes import PROVIDER
from honnin.paypay.selfie import Selfies
from honnin.publish import Publisher
from honnin.status import BY_RESULT_CODE, KycProduct, PayPayStatus, after_kyc_reading
from honnin.store import Effect, Store, UserStatus, utc_text
from honnin.vault import Vault

# Asking again after another worker moved the user meanwhile; API Gateway ends the call after 29 s.
_RACING = timedelta(seconds=2)


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
        vault: Vault,
        selfies: Selfies,
        publisher: Publisher,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._vault = vault
        self._selfies = selfies
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
        known = self._store.passport_qr(code_id, int(self._now().timestamp()))
        if known is None:
            raise NotFoundError("no KYC Passport QR is known under this code id")
        return self._read(
            known.user_id,
            KycProduct.KYC_PASSPORT_QR,
            lambda linked: self._client.completed_kyc_passport_qr(code_id, known.code_verifier, linked),
        )

    def _read(self, user_id: str, product: KycProduct, ask: Callable[[str], KycReading]) -> KycAnswer:
        event_id = f"api:kyc:{uuid.uuid4()}"
        begun = self._now()
        while True:
            before = self._store.status(user_id, PROVIDER)
            if before is None or not before.user_authorization_id:
                raise ConflictError(
                    "the user has not linked a PayPay account; create a QR with POST /paypay/account-links",
                    state=before.status if before else None,
                )
            try:
                return self._once(event_id, before, product, partial(ask, before.user_authorization_id))
            except ConcurrentUpdateError:
                if self._now() - begun > _RACING:
                    raise

    def _once(self, event_id: str, before: UserStatus, product: KycProduct, ask: Callable[[], KycReading]) -> KycAnswer:
        try:
            reading = ask()
        except UserAnswerError as error:
            status = BY_RESULT_CODE[error.code or ""]
            return self._keep(event_id, before, product, status, error.code or "", error.facts(), None)
        except ProviderError as error:
            self._note_failure(event_id, before, product, error)
            raise
        read_at = utc_text(self._now())
        snapshot = self._vault.put_snapshot(
            provider=PROVIDER, user_id=before.user_id, product=product, read_at=read_at, data=reading.data
        )
        facts = {"requestId": reading.request_id or "", "snapshot": snapshot, **self._selfie(snapshot, reading.data)}
        return self._keep(event_id, before, product, PayPayStatus.VERIFIED, "SUCCESS", facts, reading.data)

    def _selfie(self, snapshot: str, data: dict[str, Any]) -> dict[str, str]:
        """Fetch the selfie at once, for its address expires; what the timeline says about it."""
        url = data.get("selfieImageUrl")
        if not isinstance(url, str) or not url:
            return {}
        try:
            image, content_type = self._selfies.fetch(url)
        except RemoteFileError as error:
            count("SelfieNotFetched")
            return {"selfie": "not_fetched", "selfieReason": str(error)}
        return {"selfie": self._vault.put_selfie(snapshot, image, content_type)}

    def _keep(
        self,
        event_id: str,
        before: UserStatus,
        product: KycProduct,
        reading: PayPayStatus,
        code: str,
        facts: dict[str, str],
        kyc: dict[str, Any] | None,
    ) -> KycAnswer:
        at = utc_text(self._now())
        status = after_kyc_reading(PayPayStatus(before.status), reading, product)
        after = replace(before, status=status, version=before.version + 1, provider_status=code, read_at=at)
        effect = _effect(event_id, "kyc_read", at, before, after, {"product": product, **facts})
        self._store.apply(effect)
        self._publisher.announce_or_leave(effect)
        return KycAnswer(status=status, read_at=at, kyc=kyc)

    def _note_failure(self, event_id: str, before: UserStatus, product: KycProduct, error: ProviderError) -> None:
        """Keep the failure, with what PayPay's support asks for, on the timeline."""
        after = replace(before, version=before.version + 1)
        facts = {"product": str(product), **error.facts()}
        try:
            self._store.apply(_effect(event_id, "kyc_read_failed", utc_text(self._now()), before, after, facts))
        except ConcurrentUpdateError:
            return  # the error itself goes to the caller and the log all the same


def _effect(event_id: str, what: str, at: str, before: UserStatus, after: UserStatus, facts: dict[str, str]) -> Effect:
    detail = {name: value for name, value in facts.items() if value}
    return Effect(event_id=event_id, what=what, cause="api", at=at, before=before, after=after, detail=detail)
