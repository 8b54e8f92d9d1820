"""What a PayPay notification does: the facts are read from PayPay, and then it is decided what the user becomes.

A notification contains only an authorization. The link says whose it is. Without a link, PayPay's own record of our
user id (`referenceIds`) says it; this also repairs a link whose redirect never came.
"""

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from honnin import commit, settling
from honnin.errors import (
    MalformedEventError,
    PassportNotCompletedError,
    ProviderConfigurationError,
    ProviderRefusedError,
    ScopeNotGrantedError,
    SessionNotFoundError,
)
from honnin.event import UNNAMED, Event, Provider
from honnin.observability import count, count_for_alarm
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.models import UserAuthorization
from honnin.paypay.readings import (
    Readings,
    Rules,
    Said,
    as_strict_as,
    ask_authorization,
    facets_of,
    linked_anew,
    linking,
    merged,
    moment,
    note_refusal,
    products_for,
    recorded,
    standing,
)
from honnin.paypay.residence import with_residence
from honnin.paypay_facets import KYC_CALLS, SUCCEEDED, link_of
from honnin.questions import answer_to, since
from honnin.status import Kyc, KycProduct, PayPayStatus
from honnin.status import Link as LinkState
from honnin.store import RECON_KINDS, Dropped, Effect, Known, Link, Store, Unattached, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence
from honnin.webhook import is_customer_event

# Refusals of one kind of KYC read that say nothing about another kind.
_OF_ONE_READ = (SessionNotFoundError, PassportNotCompletedError, ScopeNotGrantedError)

_USER_ID = re.compile(r"[A-Za-z0-9._:@-]{1,64}")


@dataclass(frozen=True)
class Reading:
    """PayPay's answers; the last one decides."""

    said: Sequence[Said]

    @property
    def last(self) -> Said:
        """The answer that decides."""
        return self.said[-1]


class PayPayNotifications:
    """The rule for PayPay's events. A reading that began late enough answers each of them (`honnin.questions`)."""

    def __init__(
        self,
        *,
        store: Store,
        client: PayPayClient,
        archive: KycArchive,
        rules: Rules,
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._client = client
        self._readings = Readings(store, client, archive, rules, now)
        self._rules = rules
        self._now = now

    def decide(self, event: Event, known: Known) -> Effect | Unattached | Dropped:
        """What the event does.

        Raises PayPay's errors; for retryable ones and configuration faults the event must wait.
        """
        if known.is_erased(event.subject):
            return Dropped(event.event_id, "erased")
        if event.kind == "unrecognised":
            return self._unrecognised(event, known)
        if event.kind not in RECON_KINDS:
            raise MalformedEventError(f"events of kind paypay/{event.kind} are unknown")
        link = known.link(event.subject)
        if link is None:
            # The user of a settle event was known before. If the link is gone, other events report what happened to it.
            return Dropped(event.event_id, "needless") if event.cause == settling.CAUSE else self._unknown(event, known)
        before = known.status(link.user_id, Provider.PAYPAY)
        if before is None:
            raise MalformedEventError("there is a link, but no status of its user")
        if settling.is_needless(event, before):
            return Dropped(event.event_id, "needless")
        if not link.is_attached:
            self._store.links.attach(event.subject, link.user_id, before.status)
        is_present = before.user_authorization_id == event.subject
        if is_present and (taken := self._taken(event, before, link, known)):
            return taken
        try:
            said = self._ask_owner(event, before, known) if standing(before) != event.subject else None
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            if not is_present:
                # It is unknown whose it is now.
                return self._effect(event, "reading_refused", before, before, self._refused(event, error))
            said = None  # what is asked next says what has become of it
        known.asked.add(event.subject)
        if said and (taken_over := self._taken_over(event, before, said)):
            return taken_over
        if not is_present:
            # The user has linked again since, so the old authorization says nothing about the present one.
            return self._effect(event, "other_authorization", before, before, {})
        return self._read(event, before, link, said, known)

    def _taken(self, event: Event, before: UserStatus, link: Link, known: Known) -> Effect | None:
        """The effect of an event whose question is answered already, by a call that began late enough."""
        answer = answer_to(
            event.kind,
            before,
            link,
            since(event),
            required_kyc_type=self._rules.required_kyc_type,
            own=known.answers,
        )
        if answer is None:
            return None
        facts = {settling.TAKEN: answer.at, "providerCode": answer.code or ""}
        if answer.call not in KYC_CALLS:
            return self._effect(event, "account_read", before, before, facts)
        kept = (before.kept or {}).get(answer.call, {}) if answer.has_data else {}
        facts |= {"product": answer.call, "snapshot": kept.get("snapshot", "")}
        return self._effect(event, "kyc_read", before, before, facts)

    def _read(self, event: Event, before: UserStatus, link: Link, account: Said | None, known: Known) -> Effect:
        try:
            reading = self._ask(event, before, link, account)
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            return self._effect(event, "reading_refused", before, before, self._refused(event, error))
        if reading is None:
            count_for_alarm("NoReadFitsScopes")
            return self._effect(event, "no_read_fits_scopes", before, before, {})
        answers = [each.answer for each in reading.said]
        # These answers were requested after all events of this batch were received. They are used once they are in the
        # table.
        known.answers.update(answers)
        after = recorded(before, answers, self._rules)
        after = with_residence(after, reading.said, self._rules)
        scopes = merged(link.scopes, *(each.scopes for each in reading.said))
        answer = reading.last.answer
        is_kyc = answer.call in KYC_CALLS
        facts = {"product": answer.call if is_kyc else "", "providerCode": (answer.code or ""), **reading.last.facts}
        what = "kyc_read" if is_kyc else "account_read"
        decided = self._effect(event, what, before, replace(after, scopes=scopes), facts, reading.last.evidence)
        if scopes != link.scopes:
            # It is read after the status: if someone changes it meanwhile, the commit fails.
            kept = self._store.links.get(event.subject) or link
            decided = replace(decided, link=replace(kept, scopes=merged(kept.scopes, scopes)))
        return decided

    def _ask(self, event: Event, before: UserStatus, link: Link, account: Said | None) -> Reading | None:
        """PayPay's answer; None if no read fits the scopes to which the user agreed."""
        if event.kind != "account_status":
            said = self._kyc(event, before, link, products_for(link, self._rules, passport_only=event.kind == "risk"))
            return self._with_type(event, before, link, said) if said else None
        account = account or self._readings.account(before)
        again = link_of(account.answer) is LinkState.ACTIVE and facets_of(before).link is not LinkState.ACTIVE
        if not again:
            return Reading([account])
        # The link is active again. Only a KYC read can say what the user's KYC is now. Without one, the last answer
        # about it counts.
        try:
            known = replace(before, read_at=account.answer.at)
            wider = replace(link, scopes=merged(link.scopes, account.scopes))
            said = self._kyc(event, known, link, products_for(wider, self._rules))
            return Reading([account, said] if said else [account])
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            refused = self._refused(event, error).get("error", "")
            return Reading([replace(account, facts={**account.facts, "kycRefused": refused})])

    def _with_type(self, event: Event, before: UserStatus, link: Link, said: Said) -> Reading:
        """The reading for a risk event, and also `kyc_info` if a KYC type is required and the user is not verified yet.

        The KYC Passport read has no KYC type, so its success alone must not verify the user.
        """
        is_verified = facets_of(before, self._rules).kyc is Kyc.VERIFIED
        first = products_for(link, self._rules)[0]
        if event.kind != "risk" or first is not KycProduct.KYC_INFO or not said.is_success or is_verified:
            return Reading([said])
        try:
            return Reading([said, self._readings.kyc(replace(before, read_at=said.answer.at), link, first)])
        except _OF_ONE_READ:
            return Reading([said])

    def _kyc(self, event: Event, before: UserStatus, link: Link, products: Sequence[KycProduct]) -> Said | None:
        """The first read that PayPay answers; None if there is none. Raises the error of the last one."""
        refused: ProviderRefusedError | None = None
        for product in products:
            try:
                return self._readings.kyc(before, link, product, again=event.cause == settling.CAUSE)
            except _OF_ONE_READ as error:
                refused = error
        if refused:
            raise refused
        return None

    def _unknown(self, event: Event, known: Known) -> Effect | Unattached | Dropped:
        """Ask PayPay whose authorization it is. Then link it to a user of ours, or let the event wait for a link."""
        if event.subject in known.asked:
            return self._waits(event, "unknown_user", {})
        try:
            said = ask_authorization(self._client, None, event.subject, self._now)
        except ProviderConfigurationError:
            raise
        except ProviderRefusedError as error:
            return self._waits(event, "unknown_user", self._refused(event, error))
        known.asked.add(event.subject)
        if said.found is None:
            return self._waits(event, "unknown_user", said.facts)
        user_id = self._named_user(event.subject, said.found)
        before = self._store.users.status(user_id, Provider.PAYPAY) if user_id else None
        if not user_id or (before and standing(before)):
            return self._waits(event, "unknown_user", {})
        if before is None and self._store.erasure.certificates(user_id):
            # The user was erased, and has not asked for a new link since.
            self._store.erasure.mark(event.subject, utc_text(self._now()))
            return Dropped(event.event_id, "erased")
        return self._make_lost_link(event, user_id, before, said)

    def _ask_owner(self, event: Event, owner: UserStatus, known: Known) -> Said | None:
        """PayPay's record of an authorization that its owner no longer has; None if this batch has asked before."""
        if event.subject in known.asked:
            return None
        return ask_authorization(self._client, owner, event.subject, self._now)

    def _taken_over(self, event: Event, owner: UserStatus, said: Said) -> Effect | None:
        """The link to another user of ours, if PayPay names one."""
        user_id = self._named_user(event.subject, said.found) if said.found else None
        before = self._store.users.status(user_id, Provider.PAYPAY) if user_id else None
        if before is None or before.user_id == owner.user_id or standing(before):
            return None
        return replace(self._make_lost_link(event, before.user_id, before, said), takes_from=owner)

    def _make_lost_link(self, event: Event, user_id: str, before: UserStatus | None, said: Said) -> Effect:
        """The link that a lost redirect should have made, with the scopes of the user's last QR.

        The link is recorded with an event of its own. Then this event is processed again and finds it.
        """
        known = before or UserStatus(user_id, Provider.PAYPAY, PayPayStatus.LINK_PENDING, version=0)
        at = moment(before, datetime.fromisoformat(said.answer.at))
        answers = [linking(SUCCEEDED, at, event.subject), replace(said.answer, at=at)]
        link = Link(
            user_id,
            scopes=merged(said.scopes, known.asked_scopes),
            code_id=known.asked_code_id,
            code_verifier=known.asked_code_verifier,
        )
        link = as_strict_as(self._store.links.get(known.user_authorization_id or ""), link)
        known_of = linked_anew(known, event.subject)
        after = replace(recorded(known_of, answers, self._rules), scopes=link.scopes, code_id=link.code_id)
        # That this event was received is recorded with the event's own effect, which can then be followed by more
        # readings.
        detail = {**event.detail, "healed": "referenceIds"}
        linked = commit.effect(
            f"heal:{uuid.uuid4()}", "linked", before, after, detail, at=self._now(), cause=event.cause
        )
        return replace(linked, links=True, link=link)

    def _named_user(self, subject: str, found: UserAuthorization) -> str | None:
        """Our user id, if PayPay names exactly one user for this authorization, and it is active."""
        if found.user_authorization_id not in (None, subject):
            return None
        ours = [each for each in found.reference_ids if _USER_ID.fullmatch(each)]
        return ours[0] if len(ours) == 1 and len(found.reference_ids) == 1 and found.status == "ACTIVE" else None

    def _unrecognised(self, event: Event, known: Known) -> Effect | Unattached:
        count("NotificationUnrecognised", provider=Provider.PAYPAY)
        user_id = known.user(event) if event.subject != UNNAMED else None
        before = known.status(user_id, Provider.PAYPAY) if user_id else None
        if before is None:
            return self._waits(event, "unrecognised_notification", {})
        return self._effect(event, "unrecognised_notification", before, before, {})

    def _waits(self, event: Event, what: str, facts: Mapping[str, str]) -> Unattached:
        count("EventOfUnknownUser", provider=Provider.PAYPAY)
        return Unattached(
            event_id=event.event_id,
            provider=Provider.PAYPAY,
            what=what,
            cause=event.cause,
            at=utc_text(self._now()),
            subject=event.subject,
            detail={**event.detail, **facts},
        )

    def _effect(
        self,
        event: Event,
        what: str,
        before: UserStatus | None,
        after: UserStatus,
        facts: Mapping[str, str],
        evidence: Evidence | None = None,
    ) -> Effect:
        detail = {**event.detail, **facts}
        after = settling.noted(event, after)
        return commit.effect(
            event.event_id, what, before, after, detail, at=self._now(), cause=event.cause, evidence=evidence
        )

    def _refused(self, event: Event, error: ProviderRefusedError) -> dict[str, str]:
        return note_refusal(self._store, error, self._now(), again=event.cause == settling.CAUSE)


def received(event: Event) -> str | None:
    """When a webhook of a kind that recon files list was received (UTC); None for any other event.

    No recon file lists customer events. A customer event also does not replace a notification that a recon file lists.
    """
    if event.cause != "webhook" or event.kind not in RECON_KINDS or is_customer_event(event.detail.get("type", "")):
        return None
    return utc_text(datetime.fromisoformat(event.received_at))
