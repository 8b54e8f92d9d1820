"""The overview: users by status, counts, changes, and links that end soon. Reads only."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import overview_api
from honnin.config import settings
from honnin.merchant_api import MerchantApi, answers
from honnin.overview_api import (
    ChangesView,
    CountsView,
    Cursor,
    Day,
    DayOrMoment,
    ExpiringView,
    Limit,
    LookupRequest,
    LookupView,
    ProviderName,
    StatusName,
    UsersView,
    Within,
)
from honnin.store import Store


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def list_users(
    provider: Annotated[ProviderName, Query(description="The provider", examples=["paypay"])],
    status: Annotated[StatusName, Query(description="A status of this provider", examples=["RISK_FLAGGED"])],
    since: Annotated[
        DayOrMoment | None,
        Query(description="Only users who got the status on this day in Japan, or at this time (UTC), or later"),
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> UsersView:
    """List the users who have a status at a provider now, the latest change first, in pages."""
    return overview_api.users(_store(), provider, status, since=since, limit=limit, cursor=cursor)


def count_users() -> CountsView:
    """Count the users with each status at each provider."""
    return overview_api.counts(_store(), datetime.now(UTC))


def look_up_users(body: LookupRequest) -> LookupView:
    """Get the status of up to 100 users at both providers. It changes nothing, although it is a POST."""
    return overview_api.lookup(_store(), body.user_ids, datetime.now(UTC), settings().verified_needs)


def list_changes(
    first: Annotated[
        Day | None, Query(alias="from", description="The first day in Japan; if it is left out, the same day as `to`")
    ] = None,
    last: Annotated[
        Day | None, Query(alias="to", description="The last day in Japan; if it is left out, today")
    ] = None,
    provider: Annotated[ProviderName | None, Query(description="Only changes at this provider")] = None,
    toStatus: Annotated[StatusName | None, Query(description="Only changes to this status")] = None,  # noqa: N803
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ChangesView:
    """List the changes of one or more days in Japan, the latest first, in pages."""
    return overview_api.changes(
        _store(),
        datetime.now(UTC),
        first=first,
        last=last,
        provider=provider,
        to_status=toStatus,
        limit=limit,
        cursor=cursor,
    )


def list_expiring(
    within: Annotated[Within, Query(description="The number of days from now", examples=["30d"])] = "30d",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> ExpiringView:
    """List the account links (and residence periods) that end within some days, the earliest first, in pages."""
    return overview_api.expiring(_store(), datetime.now(UTC), within=within, limit=limit, cursor=cursor)


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.get("/overview/users", responses=answers(200, 503))(list_users)
    api.resolver.get("/overview/counts", responses=answers(200, 503))(count_users)
    api.resolver.post("/overview/lookup", responses=answers(200, 503))(look_up_users)
    api.resolver.get("/overview/changes", responses=answers(200, 503))(list_changes)
    api.resolver.get("/overview/expiring", responses=answers(200, 503))(list_expiring)
    return api


@cache
def _store() -> Store:
    return Store(settings().state_table)
