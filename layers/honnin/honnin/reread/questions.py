"""Makes the processor events that ask a provider about a user who is to be read again.

These events take the same way as webhooks: the processor calls the provider with a signed request and applies the
answer.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from honnin.event import Event, Provider
from honnin.store import UserStatus

# PayPay has two calls for a user: one for the authorization and one for the KYC.
KINDS: Mapping[str, Sequence[str]] = {Provider.VEXORA: ("kyc_result",), Provider.PAYPAY: ("account_status", "kyc")}


def subject(status: UserStatus) -> str | None:
    """The provider's id of the user; None if the user has not agreed at PayPay yet: there is nothing to read."""
    return status.submission_id if status.provider == Provider.VEXORA else status.user_authorization_id


def event_id(name: str, kind: str, user_id: str) -> str:
    """The id of the event by which a reread asks about a user. It stays the same, so the event takes effect once.

    An event's id is logged, so it contains no id of the user or of an authorization.
    """
    digest = hashlib.sha256(f"{name}\n{kind}\n{user_id}".encode()).hexdigest()
    return f"operator:{name}.{kind}.{digest[:32]}"


def event_ids(name: str, provider: str, user_id: str) -> list[str]:
    """The ids of all events by which a reread asks one provider about a user."""
    return [event_id(name, kind, user_id) for kind in KINDS[provider]]


def events(name: str, status: UserStatus, at: str) -> Iterator[Event]:
    """The events by which a reread asks a provider about a user at a moment (UTC); none if there is nothing to read."""
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
