"""`GET /users/{userId}` and `GET /users/{userId}/timeline`: where a user stands, and how that came about."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import read_side
from honnin.config import settings
from honnin.merchant_api import MerchantApi, UserIdInPath
from honnin.read_side import TimelineView, UserView
from honnin.store import Store


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.get("/users/<userId>")(get_user)
    api.resolver.get("/users/<userId>/timeline")(get_timeline)
    return api


@cache
def _store() -> Store:
    return Store(settings().state_table)


def get_user(userId: UserIdInPath) -> UserView:  # noqa: N803 -- the name on the wire
    """A user's status at each provider."""
    return read_side.user(_store(), userId, datetime.now(UTC))


def get_timeline(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[str | None, Query(max_length=1024)] = None,
) -> TimelineView:
    """A user's timeline, newest first, paged."""
    return read_side.timeline(_store(), userId, limit, cursor)
