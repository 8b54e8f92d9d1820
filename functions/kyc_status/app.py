"""The read API: a user's status and timeline, and the results of recon on a day."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import users_api
from honnin.config import settings
from honnin.merchant_api import DayInPath, MerchantApi, UserIdInPath, answers
from honnin.recon import report_api
from honnin.recon.report_api import ReconReportView
from honnin.store import Store
from honnin.users_api import TimelineView, UserView


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def get_user(userId: UserIdInPath) -> UserView:  # noqa: N803 -- the name on the wire
    """Get a user's status at each provider."""
    return users_api.user(_store(), userId, datetime.now(UTC), settings().verified_needs)


def get_timeline(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    limit: Annotated[int, Query(ge=1, le=100, description="The largest number of entries in a page")] = 50,
    cursor: Annotated[str | None, Query(max_length=1024, description="`cursor` from the previous page")] = None,
) -> TimelineView:
    """Get a user's timeline, newest first, in pages."""
    return users_api.timeline(_store(), userId, limit, cursor)


def get_recon_report(date: DayInPath) -> ReconReportView:
    """Get the recon files of a day in Japan: their contents, the missed webhooks, and the statuses corrected so far."""
    return report_api.recon_report(_store(), date, datetime.now(UTC))


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.get("/users/<userId>", responses=answers(200, 404))(get_user)
    api.resolver.get("/users/<userId>/timeline", responses=answers(200, 404))(get_timeline)
    api.resolver.get("/recon/reports/<date>", responses=answers(200, 404))(get_recon_report)
    return api


@cache
def _store() -> Store:
    return Store(settings().state_table)
