"""What a provider is asked about a user who is to be read again, as events of the processor.

Each takes the path of a webhook: the processor asks the provider over a signed call and applies the answer.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from honnin.event import Event, Provider
from honnin.store import UserStatus

# PayPay is asked for the authorization and for the KYC.
KINDS: Mapping[str, Sequence[str]] = {Provider.VEXORA: ("kyc_result",), Provider.PAYPAY: ("account_status", "kyc")}


def subject(status: UserStatus) -> str | None:
    """What the provider knows the user by; None for who has not agreed at PayPay yet: there is nothing to be read."""
    return status.submission_id if status.provider == Provider.VEXORA else status.user_authorization_id


def event_id(name: str, kind: str, user_id: str) -> str:
    """The id of the event by which a reread asks about a user: it takes effect once, however often it is sent.

    An event's id is logged, so it names neither the user nor an authorization.
    """
    digest = hashlib.sha256(f"{name}\n{kind}\n{user_id}".encode()).hexdigest()
    return f"operator:{name}.{kind}.{digest[:32]}"


def event_ids(name: str, provider: str, user_id: str) -> list[str]:
    """The ids of all events by which a reread asks one provider about a user."""
    return [event_id(name, kind, user_id) for kind in KINDS[provider]]


def events(name: str, status: UserStatus, at: str) -> Iterator[Event]:
    """The events by which a reread asks a provider about a user, at a moment (UTC); none where nothing can be read."""
    asked = subject(status)
    for kind in KINDS[status.provider] if asked else ():
        yield Event(
            event_id=event_id(name, kind, status.user_id),
            provider=status.provider,
            kind=kind,
            cause="operator",
            subject=asked or "",
            received_at=at,
            detail={"reread": name},
        )
