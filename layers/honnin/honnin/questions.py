"""Which reading answers which question: one rule for hints and for recon files (docs/architecture.md, "Recon").

A hint, and a row of a recon file, asks one thing about a user. A call of PayPay's that answers it, and that *began*
after the hint was received, is as good as one of its own. What was received decides about nobody.

Both moments are of our own clocks, which follow the same time on AWS. Where they differ by more than the milliseconds
between a change and its webhook, the readings that follow each hint (`honnin.settling`) find what was overlooked.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

from honnin.event import Event
from honnin.paypay_facets import KYC_CALLS, Answer, Call, last_answer, restored
from honnin.paypay_products import products_for
from honnin.settling import delay_s_of
from honnin.status import KycProduct
from honnin.store import Link, UserStatus
from honnin.times import utc_text


def since(event: Event) -> str:
    """The moment (UTC) after which a reading must have begun to serve the event: it was received, or is to settle."""
    asked = datetime.fromisoformat(event.received_at) + timedelta(seconds=delay_s_of(event))
    return utc_text(asked)


def answer_to(
    kind: str,
    status: UserStatus,
    link: Link,
    after: str,
    *,
    required_kyc_type: str | None = None,
    own: Collection[Answer] = (),
) -> Answer | None:
    """PayPay's last answer to a question of this kind about the user's present authorization, if it serves.

    Parameters
    ----------
    kind
        Of the event, or of the recon file: `kyc`, `risk` or `account_status`.
    after
        When the call must have begun to serve, as UTC text: later than that.
    required_kyc_type
        The KYC type that the deployment requires of everybody.
    own
        Answers that serve whatever the clocks say, since they were asked for later by whoever asks here.
    """
    answers = restored(status.answers, status.user_authorization_id)
    found = last_answer(answers, _calls(kind, link, required_kyc_type))
    return found if found and (found.at > after or found in own) else None


def _calls(kind: str, link: Link, required_kyc_type: str | None) -> Collection[Call]:
    if kind == "account_status":
        return (Call.AUTHORIZATION,)
    has_code = bool(link.code_id and link.code_verifier)
    possible = products_for(link.scopes, has_code=has_code, passport_only=kind == "risk")
    if kind == "risk":
        # The very reads that an event of this kind makes of the user.
        return [Call(each) for each in possible]
    if (link.required_kyc_type or required_kyc_type) and KycProduct.KYC_INFO in possible:
        # No other read knows a KYC type.
        return (Call.KYC_INFO,)
    return KYC_CALLS
