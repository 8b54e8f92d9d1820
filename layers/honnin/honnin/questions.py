"""Decides whether an earlier reading answers a question: one rule for hints and recon files.

See docs/architecture.md, "Recon".

A hint, or a row of a recon file, asks one question about a user. An earlier call to PayPay answers it as well as a new
call would, if it asked for the same thing and *began* after the hint was received. The content of a received webhook
never decides anything about a user.

Both moments come from our own clocks, which AWS keeps in step. If two clocks differ by more than the milliseconds
between a change and its webhook, a change could be missed. The readings that follow each hint (`honnin.settling`) find
it then.
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
    """The moment (UTC) after which a reading must have begun to answer the event: when it was received or is due."""
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
    """PayPay's last answer to this kind of question about the user's present authorization, if it is recent enough.

    Parameters
    ----------
    kind
        Of the event, or of the recon file: `kyc`, `risk` or `account_status`.
    after
        The call must have begun later than this moment (UTC text).
    required_kyc_type
        The KYC type that the deployment requires of all users.
    own
        Answers that are always recent enough, because the caller itself asked for them later.
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
        # These are exactly the reads that an event of this kind makes about the user.
        return [Call(each) for each in possible]
    if (link.required_kyc_type or required_kyc_type) and KycProduct.KYC_INFO in possible:
        # No other read returns a KYC type.
        return (Call.KYC_INFO,)
    return KYC_CALLS
