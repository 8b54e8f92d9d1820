"""What a PayPay notification does: read the truth back from PayPay, then decide what the user becomes.

A notification names an authorization and nothing else. Who that is comes from the link; without one, from PayPay's
own record of our user id (`referenceIds`), which also heals a redirect that never came back.
"""

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from honnin import commit, times
from honnin.errors import MalformedEventError, ProviderConfigurationError, ProviderRefusedError, UserAnswerError
from honnin.event import UNNAMED, Event, Provider
from honnin.observability import count
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.models import UserAuthorization
from honnin.paypay.outcomes import user_status
from honnin.status import KycProduct, PayPayStatus, after_account_reading, after_kyc_reading
from honnin.store import LEDGERS, Dropped, Effect, Heard, Store, Unattached, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence
from honnin.webhook import is_customer_event

_USER_ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}")

_WITHOUT_ACCESS = frozenset({PayPayStatus.INACTIVE, PayPayStatus.EXPIRED, PayPayStatus.UNLINKED})

# A webhook that comes so soon after midnight may be about a change of the day before, and counts for its file too.
_STILL_COUNTS = timedelta(hours=1)


@dataclass(frozen=True)
class Reading:
    """What PayPay said, and when (UTC): the status it means, its code, and facts for the timeline."""

    product: KycProduct | None
    status: PayPayStatus
    code: str
    at: str
    facts: Mapping[str, str] = field(default_factory=dict)
    evidence: Evidence | None = None


class PayPayNotifications:
    """The rule for PayPay's events; `batch` it once per SQS batch, so that a user's events share one reading."""

    def __init__(
        self,
        *,
        store: Store,
        client: PayPayClient,
        archive: KycArchive,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._archive = archive
        self._now = now
        # (authorization, kind) -> the reading, and the version that was committed with it and nobody has changed since
        self._shared: dict[tuple[str, str], tuple[Reading, int]] = {}
        # The last decision that a reading led to, with the key and that reading.
        self._decided: tuple[Effect, tuple[str, str], Reading] | None = None
        self._attached: set[str] = set()

    def forget_readings(self) -> None:
        """Begin a batch: a reading may serve only events that had arrived before it was made."""
        self._shared.clear()
        self._attached.clear()

    def committed(self, effect: Effect) -> None:
        """Call once a decision is in the table: from then on its reading may serve the next event of the user."""
        if self._decided and self._decided[0] is effect:
            _, key, reading = self._decided
            self._shared[key] = reading, effect.after.version

    def decide(self, event: Event) -> Effect | Unattached | Dropped:
        """What the event does. Raises PayPay's errors; the retryable ones and configuration faults must wait."""
        if self._store.erasure.is_erased(event.subject):
            return Dropped(event.event_id, "erased")
        if event.kind == "unrecognised":
            return self._unrecognised(event)
        if event.kind not in LEDGERS:
            raise MalformedEventError(f"no rule for paypay/{event.kind}")
        user_id = self._store.links.user(event.subject)
        if user_id is None:
            return self._unknown(event)
        before = self._store.users.status(user_id, Provider.PAYPAY)
        if before is None:
            raise MalformedEventError("a link without its user's status")
        if event.subject not in self._attached:
            self._store.links.attach(event.subject, user_id, before.status)
            self._attached.add(event.subject)
        if before.user_authorization_id != event.subject:
            # The user has linked anew since: the old authorization says nothing about the present one.
            return self._effect(event, "other_authorization", before, before, {})
        return self._read(event, before)

    def _read(self, event: Event, before: UserStatus) -> Effect:
        key = (event.subject, event.kind)
        shared = self._shared.get(key)
        try:
            # Only while nobody else has moved the user since the reading was made.
            reading = shared[0] if shared and shared[1] == before.version else self._ask(event, before)
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            count("ReadingRefused", provider=Provider.PAYPAY)
            return self._effect(event, "reading_refused", before, before, error.facts())
        if reading is None:
            return self._effect(event, "no_read_fits_scopes", before, before, {})
        after = replace(
            before,
            status=_after(PayPayStatus(before.status), reading),
            provider_status=reading.code,
            read_at=reading.at,
            kyc_read_at=reading.at if reading.product else before.kyc_read_at,
            account_read_at=before.account_read_at if reading.product else reading.at,
        )
        facts = {"product": reading.product or "", "providerCode": reading.code, **reading.facts}
        what = "kyc_read" if reading.product else "account_read"
        decided = self._effect(event, what, before, after, facts, reading.evidence)
        self._decided = decided, key, reading
        return decided

    def _ask(self, event: Event, before: UserStatus) -> Reading | None:
        """What PayPay says; None when no read fits the scopes that the user agreed to."""
        if event.kind == "account_status":
            return self._ask_account(before)
        return self._ask_kyc(before, product_of(before, passport_only=event.kind == "risk"))

    def _ask_account(self, before: UserStatus) -> Reading:
        try:
            found = self._client.user_authorization(before.user_authorization_id or "")
        except UserAnswerError as error:
            return self._user_answer(error, None)
        at = utc_text(self._now())
        if found.expire_at is not None and found.expire_at <= self._now().timestamp():
            return Reading(None, PayPayStatus.EXPIRED, "EXPIRED", at)
        if found.status != "ACTIVE":
            return Reading(None, PayPayStatus.INACTIVE, found.status, at)
        linked = Reading(None, PayPayStatus.LINKED, found.status, at)
        if PayPayStatus(before.status) in _WITHOUT_ACCESS:
            # Active again: what the user's KYC is now, only the KYC read can say.
            return self._ask_kyc(before, product_of(before)) or linked
        return linked

    def _ask_kyc(self, before: UserStatus, product: KycProduct | None) -> Reading | None:
        try:
            match product:
                case KycProduct.KYC_INFO:
                    read = self._client.kyc_info(before.user_authorization_id or "")
                case KycProduct.KYC_PASSPORT:
                    read = self._client.kyc_passport(before.user_authorization_id or "")
                case KycProduct.KYC_PASSPORT_QR:
                    known = self._store.links.passport_qr(before.code_id or "")
                    if known is None:
                        return None
                    read = self._client.completed_kyc_passport_qr(
                        before.code_id or "", known.code_verifier, before.user_authorization_id or ""
                    )
                case _:
                    return None
        except UserAnswerError as error:
            return self._user_answer(error, product)
        evidence = self._archive.keep(before, product, self._now(), read)
        facts = {"requestId": read.request_id or ""}
        return Reading(product, PayPayStatus.VERIFIED, "SUCCESS", utc_text(self._now()), facts, evidence)

    def _user_answer(self, error: UserAnswerError, product: KycProduct | None) -> Reading:
        return Reading(product, user_status(error), error.code or "", utc_text(self._now()), error.facts())

    def _unknown(self, event: Event) -> Effect | Unattached | Dropped:
        """Ask PayPay whose authorization it is; link it to a user of ours, or let the event wait for one."""
        try:
            found = self._client.user_authorization(event.subject)
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            return self._waits(event, "unknown_user", error.facts())
        user_id = self._ours(event.subject, found)
        before = self._store.users.status(user_id, Provider.PAYPAY) if user_id else None
        if not user_id or (before and _stands(before)):
            return self._waits(event, "unknown_user", {})
        if before is None and self._store.erasure.certificates(user_id):
            # Erased, and has not asked for a new link since.
            self._store.erasure.mark(event.subject, utc_text(self._now()))
            return Dropped(event.event_id, "erased")
        after = replace(
            before
            or UserStatus(user_id=user_id, provider=Provider.PAYPAY, status=PayPayStatus.LINK_PENDING, version=0),
            status=PayPayStatus.LINKED,
            provider_status=found.status,
            read_at=utc_text(self._now()),
            user_authorization_id=event.subject,
            scopes=tuple(found.scopes),
        )
        # The link first, as an event of its own; then this event comes again and finds it.
        return replace(
            self._effect(event, "linked", before, after, {"healed": "referenceIds"}),
            event_id=f"heal:{uuid.uuid4()}",
            links=True,
            heard=None,
        )

    def _ours(self, subject: str, found: UserAuthorization) -> str | None:
        """Our user id, if PayPay names exactly one for this very authorization, and it is active."""
        if found.user_authorization_id not in (None, subject):
            return None
        ours = [each for each in found.reference_ids if _USER_ID.fullmatch(each)]
        return ours[0] if len(ours) == 1 and len(found.reference_ids) == 1 and found.status == "ACTIVE" else None

    def _unrecognised(self, event: Event) -> Effect | Unattached:
        count("NotificationUnrecognised", provider=Provider.PAYPAY)
        user_id = self._store.links.user(event.subject) if event.subject != UNNAMED else None
        before = self._store.users.status(user_id, Provider.PAYPAY) if user_id else None
        if before is None:
            return self._waits(event, "unrecognised_notification", {})
        return self._effect(event, "unrecognised_notification", before, before, {})

    def _waits(self, event: Event, what: str, facts: dict[str, str]) -> Unattached:
        count("EventOfUnknownUser", provider=Provider.PAYPAY)
        return Unattached(
            event_id=event.event_id,
            provider=Provider.PAYPAY,
            what=what,
            cause=event.cause,
            at=utc_text(self._now()),
            subject=event.subject,
            detail={**event.detail, **facts},
            heard=self._heard(event),
        )

    def _effect(
        self,
        event: Event,
        what: str,
        before: UserStatus | None,
        after: UserStatus,
        facts: dict[str, str],
        evidence: Evidence | None = None,
    ) -> Effect:
        detail = {**event.detail, **facts}
        effect = commit.effect(
            event.event_id, what, before, after, detail, at=self._now(), cause=event.cause, evidence=evidence
        )
        return replace(effect, heard=self._heard(event))

    def _heard(self, event: Event) -> Heard | None:
        """Only a webhook counts as heard: recon must find the same gap again, however often it compares.

        A customer event does not: no recon file lists it, and it does not replace the notification that one lists.
        """
        if event.cause != "webhook" or event.kind not in LEDGERS or is_customer_event(event.detail.get("type", "")):
            return None
        received = datetime.fromisoformat(event.received_at).astimezone(UTC)
        day, an_hour_ago = times.jst_day(received), times.jst_day(received - _STILL_COUNTS)
        late_for = an_hour_ago if an_hour_ago != day else None
        return Heard(event.kind, day, event.subject, event.received_at, late_for)


def _stands(status: UserStatus) -> bool:
    """Whether the user has an authorization that is not known to have ended."""
    ended = PayPayStatus(status.status) in (PayPayStatus.UNLINKED, PayPayStatus.EXPIRED, PayPayStatus.LINK_PENDING)
    return status.user_authorization_id is not None and not ended


def product_of(status: UserStatus, *, passport_only: bool = False) -> KycProduct | None:
    """The KYC read that fits what the user agreed to (base document: the scope that each read requires)."""
    if "mini_app_kyc_passport" in status.scopes:
        return KycProduct.KYC_PASSPORT
    if "kyc_passport_qr" in status.scopes and status.code_id:
        return KycProduct.KYC_PASSPORT_QR
    if "get_kyc_info" in status.scopes and not passport_only:
        return KycProduct.KYC_INFO
    return None


def _after(current: PayPayStatus, reading: Reading) -> PayPayStatus:
    if reading.product is None:
        return after_account_reading(current, reading.status)
    return after_kyc_reading(current, reading.status, reading.product)
