"""What the merchant's API says of a user: the statuses and the timeline, in the shapes of docs/openapi.json."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from honnin.errors import NotFoundError
from honnin.event import Provider
from honnin.merchant_api import AnswerModel, UtcTime
from honnin.problem_codes import ProblemCode
from honnin.status import OPEN, Flag, Kyc, Link, PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus
from honnin.store import Store, TimelineEntry, UserStatus, verified_reason
from honnin.times import utc_text

# Examples of docs/openapi.json.
USER_EXAMPLE: JsonDict = {
    "userId": "user-0001",
    "providers": {
        "vexora": {
            "status": "APPROVED",
            "providerStatus": "2",
            "readAt": "2026-04-01T03:00:00.000Z",
            "submissionId": "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11",
            "stale": False,
            "reason": None,
            "version": 1775012400000,
        },
        "paypay": {
            "status": "VERIFIED",
            "providerStatus": "SUCCESS",
            "readAt": "2026-04-01T03:05:00.000Z",
            "scopes": ["get_kyc_info"],
            "linkExpiresAt": "2027-04-01T03:00:00.000Z",
            "facets": {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"},
            "version": 1775012700000,
        },
    },
    "verified": True,
    "verifiedReason": "BOTH_VERIFIED",
}
_ENTRY: JsonDict = {
    "at": "2026-04-01T03:00:00.000Z",
    "eventId": "vexora:5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11:8d3f1c0a9b7e6d5c4b3a291807f6e5d4",
    "provider": "vexora",
    "what": "result_read",
    "cause": "webhook",
    "from": "PENDING",
    "to": "APPROVED",
    "detail": {"sign": "absent", "claimed": "2"},
}


class VexoraView(AnswerModel):
    """A user at Vexora. `providerStatus` is Vexora's `authenticationStatus`; `readAt` (UTC) is when it was read.

    `stale` is true if the submission is still not decided after 30 days of daily polls. `reason` is why Vexora rejected
    the user, in Vexora's own words (at most 200 characters); it may be personal data. It is null if there is none.
    An event or a webhook about the user at Vexora that has a smaller `version` is of the past.
    """

    status: VexoraStatus
    provider_status: str | None
    read_at: UtcTime | None
    submission_id: str | None
    stale: bool
    reason: str | None
    version: int


class FacetsView(AnswerModel):
    """The three facts from which the status at PayPay is derived: the account link, the KYC, and a flag set by PayPay.

    They are independent: a user with a flag may have a verified KYC, and after a link has ended, `kyc` keeps its last
    value.
    """

    link: Link
    kyc: Kyc
    flag: Flag


class PayPayView(AnswerModel):
    """A user at PayPay. `providerStatus` is the value in PayPay's answer from which the status was derived (a result
    code or a status); `readAt` (UTC) is when it was read.

    `scopes` are the scopes that the user has agreed to. `linkExpiresAt` (UTC) is when the account link expires; null if
    PayPay has not given a date. An event or a webhook about the user at PayPay that has a smaller `version` is of the
    past.
    """

    status: PayPayStatus
    provider_status: str | None
    read_at: UtcTime | None
    scopes: list[str]
    link_expires_at: UtcTime | None
    facets: FacetsView
    version: int


class ProvidersView(AnswerModel):
    """The providers that know the user: `vexora`, `paypay` or both. A provider that does not know the user is left
    out.
    """

    vexora: Annotated[VexoraView | SkipJsonSchema[None], Field(exclude_if=lambda view: view is None)] = None
    paypay: Annotated[PayPayView | SkipJsonSchema[None], Field(exclude_if=lambda view: view is None)] = None


class UserView(AnswerModel):
    """A user's status at each provider. `providers` has an entry `vexora`, `paypay` or both.

    `verified` says whether the user counts as verified under the parameter VerifiedNeeds, and `verifiedReason` says why
    or why not.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [USER_EXAMPLE]})

    user_id: str
    providers: ProvidersView
    verified: bool
    verified_reason: VerifiedReason


class EntryView(AnswerModel):
    """One entry of the timeline. `from` is the status before (null if there was none), `to` the status after.

    `cause` is what led to the entry: `user` (the user's browser returned from PayPay), `api`, `webhook`, `recon`,
    `poll`, `settle` (another read shortly after a webhook) or `operator` (`honninctl reread`).
    """

    at: UtcTime
    event_id: str
    provider: str
    what: str
    cause: str
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    detail: dict[str, str]


class TimelineView(AnswerModel):
    """One page of the timeline, newest first. Pass `cursor` to get the next page; it is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"entries": [_ENTRY], "cursor": None}]})

    entries: list[EntryView]
    cursor: str | None


def user(store: Store, user_id: str, now: datetime, needs: VerifiedNeeds) -> UserView:
    """A user's status at each provider. Raises `NotFoundError` for a user that no provider knows."""
    statuses = store.users.statuses(user_id)
    if not statuses:
        raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
    return view(user_id, statuses, now, needs)


def view(user_id: str, statuses: Sequence[UserStatus], now: datetime, needs: VerifiedNeeds) -> UserView:
    """The answer about a user with these statuses."""
    reason = verified_reason(statuses, needs)
    of = {each.provider: each for each in statuses}
    return UserView(
        user_id=user_id,
        providers=ProvidersView(
            vexora=_at_vexora(of[Provider.VEXORA], now) if Provider.VEXORA in of else None,
            paypay=_at_paypay(of[Provider.PAYPAY]) if Provider.PAYPAY in of else None,
        ),
        verified=reason.is_verified,
        verified_reason=reason,
    )


def timeline(store: Store, user_id: str, limit: int, cursor: str | None) -> TimelineView:
    """What happened to a user, newest first.

    Raises
    ------
    NotFoundError
        No user is known under this id.
    InvalidFieldError
        The cursor is not one that an earlier page gave.
    """
    entries, following = store.users.timeline(user_id, limit, cursor)
    if not entries and not store.users.statuses(user_id):
        raise NotFoundError("no user is known under this id", code=ProblemCode.USER_UNKNOWN)
    return TimelineView(entries=[_entry(each) for each in entries], cursor=following)


def _at_paypay(status: UserStatus) -> PayPayView:
    return PayPayView(
        status=PayPayStatus(status.status),
        provider_status=status.provider_status,
        read_at=status.read_at,
        scopes=list(status.scopes),
        link_expires_at=status.link_expires_at,
        facets=FacetsView.model_validate(status.facets),
        version=status.version,
    )


def _at_vexora(status: UserStatus, now: datetime) -> VexoraView:
    return VexoraView(
        status=VexoraStatus(status.status),
        provider_status=status.provider_status,
        read_at=status.read_at,
        submission_id=status.submission_id,
        stale=status.status in OPEN and status.stale_at is not None and utc_text(now) >= status.stale_at,
        reason=status.reason,
        version=status.version,
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
