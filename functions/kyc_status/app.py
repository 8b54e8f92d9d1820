"""The read side: where a user stands, how that came about, and what recon found on a day."""

from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import read_side, secret_store
from honnin.config import settings
from honnin.erasure import Erasure, sweep_later
from honnin.merchant_api import DayInPath, MerchantApi, UserIdInPath, answers
from honnin.paypay.client import PayPayClient
from honnin.read_side import CertificateView, ReconReportView, TimelineView, UserView
from honnin.store import Store
from honnin.vault import Vault


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.get("/users/<userId>", responses=answers(200, 404))(get_user)
    api.resolver.get("/users/<userId>/timeline", responses=answers(200, 404))(get_timeline)
    api.resolver.delete("/users/<userId>/personal-data", responses=answers(200, 404, 409, 502, 503))(erase_user)
    api.resolver.get("/recon/reports/<date>", responses=answers(200, 404))(get_recon_report)
    return api


@cache
def _store() -> Store:
    return Store(settings().state_table, timeline_days=settings().timeline_retention_days)


def _erasure() -> Erasure:
    return Erasure(
        store=_store(),
        vault=Vault(settings().personal_data_bucket),
        paypay=lambda: PayPayClient.from_settings(settings(), secret_store.paypay_credentials, tries=2, total_s=12),
        sweep_later=partial(sweep_later, settings().event_queue_url),
        now=lambda: datetime.now(UTC),
    )


def get_user(userId: UserIdInPath) -> UserView:  # noqa: N803 -- the name on the wire
    """A user's status at each provider."""
    return read_side.user(_store(), userId, datetime.now(UTC), settings().verified_needs)


def get_timeline(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    limit: Annotated[int, Query(ge=1, le=100, description="Entries of one page")] = 50,
    cursor: Annotated[str | None, Query(max_length=1024, description="`cursor` of the page before")] = None,
) -> TimelineView:
    """A user's timeline, newest first, paged."""
    return read_side.timeline(_store(), userId, limit, cursor)


def get_recon_report(date: DayInPath) -> ReconReportView:
    """The recon files of a JST day: what they held, who was missed, and what the repairs have led to by now."""
    return read_side.recon_report(_store(), date)


def erase_user(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    unlink: Annotated[bool, Query(description="Also end the authorization at PayPay")] = False,
) -> CertificateView:
    """Erase a user's personal data; repeating it gives the same certificate."""
    return read_side.certificate(_erasure().erase(userId, unlink=unlink))
