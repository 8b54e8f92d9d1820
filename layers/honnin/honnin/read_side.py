"""What the merchant's read side answers: a user's statuses and timeline, in the shapes of architecture.md §10."""

from datetime import datetime

from pydantic import Field

from honnin.errors import NotFoundError
from honnin.merchant_api import AnswerModel
from honnin.paypay.outcomes import PROVIDER as PAYPAY
from honnin.status import OPEN
from honnin.store import Store, TimelineEntry, UserStatus, utc_text


class VexoraView(AnswerModel):
    """A user at Vexora. `readAt` is UTC ISO 8601. `stale`: still open after the last poll."""

    status: str
    provider_status: str | None
    read_at: str | None
    submission_id: str | None
    stale: bool


class PayPayView(AnswerModel):
    """A user at PayPay. `readAt` is UTC ISO 8601; `scopes` are those that the user was asked for."""

    status: str
    provider_status: str | None
    read_at: str | None
    scopes: list[str]


class UserView(AnswerModel):
    """A user at every provider that knows the user."""

    user_id: str
    providers: dict[str, VexoraView | PayPayView]


class EntryView(AnswerModel):
    """One timeline entry. `cause` is api, webhook, recon or poll; `from` is null where there was nothing."""

    at: str
    event_id: str
    provider: str
    what: str
    cause: str
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    detail: dict[str, str]


class TimelineView(AnswerModel):
    """One page, newest first. `cursor` asks for the next page; null at the end."""

    entries: list[EntryView]
    cursor: str | None


def user(store: Store, user_id: str, now: datetime) -> UserView:
    """Where a user stands. Raises `NotFoundError` for a user that no provider knows."""
    statuses = store.statuses(user_id)
    if not statuses:
        raise NotFoundError("no user is known under this id")
    return UserView(user_id=user_id, providers={each.provider: _provider(each, now) for each in statuses})


def timeline(store: Store, user_id: str, limit: int, cursor: str | None) -> TimelineView:
    """What happened to a user, newest first.

    Raises
    ------
    NotFoundError
        No user is known under this id.
    InvalidFieldError
        The cursor is not one that an earlier page gave.
    """
    entries, following = store.timeline(user_id, limit, cursor)
    if not entries and not store.statuses(user_id):
        raise NotFoundError("no user is known under this id")
    return TimelineView(entries=[_entry(each) for each in entries], cursor=following)


def _provider(status: UserStatus, now: datetime) -> VexoraView | PayPayView:
    if status.provider == PAYPAY:
        return PayPayView(
            status=status.status,
            provider_status=status.provider_status,
            read_at=status.read_at,
            scopes=list(status.scopes),
        )
    return VexoraView(
        status=status.status,
        provider_status=status.provider_status,
        read_at=status.read_at,
        submission_id=status.submission_id,
        stale=status.status in OPEN and status.stale_at is not None and utc_text(now) >= status.stale_at,
    )


def _entry(entry: TimelineEntry) -> EntryView:
    return EntryView.model_validate(
        {
            "at": entry.at,
            "eventId": entry.event_id,
            "provider": entry.provider,
            "what": entry.what,
            "cause": entry.cause,
            "from": entry.from_status,
            "to": entry.to_status,
            "detail": dict(entry.detail),
        }
    )
