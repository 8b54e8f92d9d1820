"""The answers of the merchant API about all users: lists, counts, changes, in the form of docs/openapi.json."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from operator import attrgetter, itemgetter
from time import monotonic
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

from honnin import users_api
from honnin.errors import InvalidFieldError
from honnin.field_rules import pattern
from honnin.merchant_api import AnswerModel, RequestModel, UserId, UtcTime
from honnin.status import PayPayStatus, VerifiedNeeds, VexoraStatus
from honnin.store import Expiry, Store
from honnin.store.overview import STATUSES, day_begins
from honnin.times import jst_day, utc_text
from honnin.users_api import USER_EXAMPLE, UserView

# A call has 29 s; what is not counted by then is estimated from what is.
_COUNTING_S = 20.0

_MOST_DAYS = 366

_STATUS_NAMES = tuple(dict.fromkeys([*PayPayStatus, *VexoraStatus]))
_CURSOR = "must be the cursor of an earlier page of the same list"
# A moment as `utc_text` writes it, and what distinguishes two of them.
_PLACE = re.compile(r"20\d{2}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z(#[A-Za-z0-9._:@-]{1,80})?")

_STANDING: JsonDict = {
    "userId": "user-0001",
    "provider": "paypay",
    "status": "RISK_FLAGGED",
    "since": "2026-04-01T03:00:00.000Z",
}
_CHANGE: JsonDict = {
    "at": "2026-04-01T03:00:00.000Z",
    "userId": "user-0001",
    "provider": "paypay",
    "from": "VERIFIED",
    "to": "RISK_FLAGGED",
    "cause": "webhook",
    "eventId": "paypay:risk:8d3f1c0a9b7e6d5c4b3a291807f6e5d4",
}
_USERS: JsonDict = {"users": [_STANDING], "cursor": None, "rebuilding": False}
_CHANGES: JsonDict = {"changes": [_CHANGE], "cursor": None, "rebuilding": False}
_END: JsonDict = {"userId": "user-0001", "provider": "paypay", "what": "link", "endsAt": "2026-05-01T03:00:00.000Z"}
_EXPIRING: JsonDict = {"expiring": [_END], "until": "2026-05-01T03:00:00.000Z", "cursor": None}

# --- parameters ---

ProviderName = Literal["vexora", "paypay"]
StatusName = Annotated[
    str,
    StringConstraints(
        pattern=pattern(rf"\A(?:{'|'.join(_STATUS_NAMES)})\z", f"must be a status: {', '.join(_STATUS_NAMES)}")
    ),
]
Day = Annotated[
    str,
    StringConstraints(pattern=pattern(r"\A20\d{2}-\d{2}-\d{2}\z", "must be a day in Japan as yyyy-mm-dd")),
]
DayOrMoment = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"\A20\d{2}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?Z)?\z",
            "must be a day in Japan (yyyy-mm-dd) or a moment in UTC (yyyy-mm-ddThh:mm:ssZ)",
        )
    ),
]
Within = Annotated[
    str,
    StringConstraints(
        pattern=pattern(
            r"\A(?:[1-9][0-9]?|[12][0-9][0-9]|3[0-5][0-9]|36[0-6])d?\z",
            "must be a number of days from 1 to 366, such as 30d",
        )
    ),
]
Limit = Annotated[
    int, Query(ge=1, le=100, description="The largest number of entries in a page; a page may have fewer")
]
Cursor = Annotated[str | None, Query(max_length=1024, description="`cursor` from the previous page of the same list")]


class LookupRequest(RequestModel):
    """The users to look up."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"userIds": ["user-0001", "user-0002"]}]})

    user_ids: list[UserId] = Field(min_length=1, max_length=100, description="Your own ids of 1 to 100 users")


# --- answers ---


class StandingView(AnswerModel):
    """A user's status at a provider. `since` (UTC) is when the user got this status."""

    user_id: str
    provider: ProviderName
    status: str
    since: UtcTime


class UsersView(AnswerModel):
    """One page of the users who have a status now, the latest change first.

    Pass `cursor` to get the next page; it is null on the last page. A page may have fewer entries than `limit`, or
    none, although another page follows. A user whose status does not change while you read the pages is listed exactly
    once. If `rebuilding` is true, the index for this list is being rebuilt, and users may be missing.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"users": [_STANDING], "cursor": None, "rebuilding": False}]}
    )

    users: list[StandingView]
    cursor: str | None
    rebuilding: bool


class ProviderCountsView(AnswerModel):
    """The number of users with each status, at each provider."""

    vexora: dict[str, int]
    paypay: dict[str, int]


class CountsView(AnswerModel):
    """How many users have each status, by provider. `countedAt` (UTC) is when the counting began.

    A user whose status changes during the counting may be counted in both statuses or in neither. If `approximate` is
    true, there were too many users to count within one call, and the numbers are estimated from a sample. If
    `rebuilding` is true, the index for the numbers is being rebuilt, and users may be missing.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "counts": {
                        "vexora": dict.fromkeys(VexoraStatus, 0) | {"APPROVED": 1204, "PENDING": 7},
                        "paypay": dict.fromkeys(PayPayStatus, 0) | {"VERIFIED": 833, "RISK_FLAGGED": 2},
                    },
                    "approximate": False,
                    "countedAt": "2026-04-01T03:00:00.000Z",
                    "rebuilding": False,
                }
            ]
        }
    )

    counts: ProviderCountsView
    approximate: bool
    counted_at: UtcTime
    rebuilding: bool


class LookupView(AnswerModel):
    """The known users in the order of the request, each once. `unknown` lists the other ids."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"users": [USER_EXAMPLE], "unknown": ["user-0002"]}]})

    users: list[UserView]
    unknown: list[str]


class ChangeView(AnswerModel):
    """One change of a user's status. `from` is null if the user had no status before. The event `KycStatusChanged` for
    this change has the same `eventId`."""

    at: UtcTime
    user_id: str
    provider: ProviderName
    from_status: str | None = Field(alias="from")
    to_status: str = Field(alias="to")
    cause: str
    event_id: str


class ChangesView(AnswerModel):
    """One page of changes, the latest first.

    Pass `cursor` to get the next page; it is null on the last page. A page may have fewer entries than `limit`, or
    none, although another page follows. If `rebuilding` is true, the index for this list is being rebuilt, and changes
    may be missing.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"changes": [_CHANGE], "cursor": None, "rebuilding": False}]}
    )

    changes: list[ChangeView]
    cursor: str | None
    rebuilding: bool


class EndView(AnswerModel):
    """An account link or a residence period that ends soon.

    `what` is `link` (the account link at PayPay) or `residence` (the user's residence period; only with the parameter
    WatchResidencePeriod). `endsAt` (UTC) is the first moment at which it is no longer valid.
    """

    user_id: str
    provider: ProviderName
    what: Literal["link", "residence"]
    ends_at: UtcTime


class ExpiringView(AnswerModel):
    """One page of account links and residence periods that end until `until` (UTC), the earliest first.

    Pass `cursor` to get the next page; it is null on the last page.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXPIRING]})

    expiring: list[EndView]
    until: UtcTime
    cursor: str | None


def users(store: Store, provider: str, status: str, *, since: str | None, limit: int, cursor: str | None) -> UsersView:
    """The users who have a status now, the latest change first.

    Raises
    ------
    InvalidFieldError
        The provider has no such status, there is no such day, or the cursor is not one of this list.
    """
    _check_status("status", provider, status)
    begin = _moment("since", since) if since else None
    cursors = _Cursors("users", provider, status, begin)
    page = store.overview.users(
        provider, status, limit=limit, before=cursors.place(cursor), **({"since": begin} if begin else {})
    )
    return UsersView.model_validate(
        {
            "users": [vars(each) for each in page.found],
            "cursor": cursors.cursor(page.following),
            "rebuilding": store.overview.rebuilding(),
        }
    )


def counts(store: Store, now: datetime) -> CountsView:
    """How many users have each status at each provider."""
    until = monotonic() + _COUNTING_S
    counted = store.overview.counts(lambda: monotonic() < until)
    by_provider = {
        provider: {each.value: counted.users.get((provider, each), 0) for each in names}
        for provider, names in STATUSES.items()
    }
    return CountsView(
        counts=ProviderCountsView.model_validate(by_provider),
        approximate=not counted.exact,
        counted_at=utc_text(now),
        rebuilding=store.overview.rebuilding(),
    )


def lookup(store: Store, user_ids: Sequence[str], now: datetime, needs: VerifiedNeeds) -> LookupView:
    """The status of each of these users at both providers."""
    found = store.users.statuses_of_all(user_ids)
    known = [each for each in dict.fromkeys(user_ids) if each in found]
    return LookupView(
        users=[users_api.view(each, found[each], now, needs) for each in known],
        unknown=[each for each in dict.fromkeys(user_ids) if each not in found],
    )


def changes(
    store: Store,
    now: datetime,
    *,
    first: str | None,
    last: str | None,
    provider: str | None,
    to_status: str | None,
    limit: int,
    cursor: str | None,
) -> ChangesView:
    """What changed on the JST days from `first` to `last`, the latest first.

    Without `last` that is up to today, without `first` the day `last` alone. Later pages are of the same days, although
    another day may have begun.

    Raises
    ------
    InvalidFieldError
        `from` is after `to`, or there are too many days between them; the provider has no such status; or the cursor is
        not one of this list.
    """
    cursors = _Cursors("changes", first, last, provider, to_status)
    place = cursors.place(cursor)
    today = jst_day(datetime.fromisoformat(place.partition("#")[0]) if place else now)
    to_day = _day("to", last) if last else today
    from_day = _day("from", first) if first else to_day
    if from_day > to_day:
        raise InvalidFieldError("from", "must not be after `to`")
    if (date.fromisoformat(to_day) - date.fromisoformat(from_day)).days >= _MOST_DAYS:
        raise InvalidFieldError("from", f"must be less than {_MOST_DAYS} days before `to`")
    if provider and to_status:
        _check_status("toStatus", provider, to_status)
    page = store.overview.changes(from_day, to_day, limit=limit, before=place, provider=provider, to_status=to_status)
    shown = [{name: value for name, value in vars(each).items() if name != "told"} for each in page.found]
    return ChangesView(
        changes=[ChangeView(**each) for each in shown],
        cursor=cursors.cursor(page.following),
        rebuilding=store.overview.rebuilding(),
    )


def expiring(store: Store, now: datetime, *, within: str, limit: int, cursor: str | None) -> ExpiringView:
    """What ends within `within` days, the earliest first. Raises `InvalidFieldError` for a cursor of another list."""
    until = utc_text(now + timedelta(days=int(within.removesuffix("d"))))
    cursors = _Cursors("expiring", within.removesuffix("d"))
    after = cursors.place(cursor) or ""
    found: list[tuple[str, Expiry]] = []
    # Residence periods end at midnight, many at the same moment: these are put in order by themselves.
    for _, same in groupby(store.links.expiring(until, since=after.partition("#")[0]), key=attrgetter("ends_at")):
        placed = sorted(
            {f"{each.ends_at}#{each.user_id}@{each.what}": each for each in same}.items(), key=itemgetter(0)
        )
        found += [each for each in placed if each[0] > after]
        if len(found) > limit:
            break
    shown = found[:limit]
    return ExpiringView(
        expiring=[EndView(**{name: getattr(each, name) for name in EndView.model_fields}) for _, each in shown],
        until=until,
        cursor=cursors.cursor(shown[-1][0] if len(found) > limit else None),
    )


class _Cursors:
    """The cursors of one list: a place in it, which goes with no other list.

    A cursor says nothing that its holder may not choose: any place of the list may be asked for.
    """

    def __init__(self, *names: str | None) -> None:
        self._list = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:12]

    def cursor(self, place: str | None) -> str | None:
        """The cursor of a place."""
        if place is None:
            return None
        return base64.urlsafe_b64encode(f"{self._list}#{place}".encode()).decode().rstrip("=")

    def place(self, cursor: str | None) -> str | None:
        """The place of a cursor. Raises `InvalidFieldError` for one that this list cannot have given."""
        if cursor is None:
            return None
        try:
            text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
            name, _, place = text.partition("#")
            datetime.fromisoformat(place.partition("#")[0])
        except ValueError:
            raise InvalidFieldError("cursor", _CURSOR) from None
        if name != self._list or not _PLACE.fullmatch(place) or self.cursor(place) != cursor:
            raise InvalidFieldError("cursor", _CURSOR)
        return place


def _check_status(field: str, provider: str, status: str) -> None:
    names = [each.value for each in STATUSES[provider]]
    if status not in names:
        raise InvalidFieldError(field, f"must be a status of {provider}: {', '.join(names)}")


def _day(field: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise InvalidFieldError(field, "must be a date that exists") from None


def _moment(field: str, text: str) -> str:
    """The moment (UTC) that a text means: one of its own, or the beginning of a JST day."""
    if "T" not in text:
        return day_begins(_day(field, text))
    try:
        return utc_text(datetime.fromisoformat(text))
    except ValueError:
        raise InvalidFieldError(field, "must be a date and time that exists") from None
