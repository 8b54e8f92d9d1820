"""`POST /paypay/account-links` (IAM) and `GET /paypay/account-links/callback` (public): link a PayPay account."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import secret_store
from honnin.config import settings
from honnin.event import Provider
from honnin.merchant_api import MerchantApi, answers
from honnin.pace import Pace
from honnin.paypay import link_api, link_page
from honnin.paypay.account_link import AccountLinks
from honnin.paypay.client import PayPayClient
from honnin.paypay.link_api import AccountLinkAnswer, AccountLinkRequest
from honnin.paypay.readings import Rules
from honnin.publish import Publisher
from honnin.store import Store

CALLBACK_PATH = "/paypay/account-links/callback"


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer the merchant's back end, or the browser that comes back from PayPay."""
    return _api().resolve(event, context)


def create_account_link(body: AccountLinkRequest) -> tuple[AccountLinkAnswer, int]:
    """Create a QR with which the user links a PayPay account."""
    request = link_api.link_request(body, settings().return_url_allowlist)
    return link_api.answer(_links().create(request, _api().webhook_api_url() + CALLBACK_PATH)), 201


def come_back() -> Response[str]:
    """Take the browser's `responseToken` and send it on to the merchant."""
    token = _api().resolver.current_event.get_query_string_value("responseToken") or ""
    return link_page.respond(lambda: _links().finish(token))


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.post("/paypay/account-links", responses=answers(201, 502, 503, 504))(create_account_link)
    # It is a part of the webhook API, for a browser; `operations.openapi` describes it by hand.
    api.resolver.get(CALLBACK_PATH, include_in_schema=False)(come_back)
    return api


def _api_secret(*, refresh: bool = False) -> str:
    return secret_store.paypay_credentials(refresh=refresh).api_secret


@cache
def _links() -> AccountLinks:
    store = Store(
        settings().state_table,
        timeline_days=settings().timeline_retention_days,
        verified_needs=settings().verified_needs,
        now=_now,
    )
    pace = Pace(Provider.PAYPAY, store.paces, settings().paypay_max_calls_per_second)
    return AccountLinks(
        store=store,
        client=PayPayClient.from_settings(settings(), secret_store.paypay_credentials, tries=3, total_s=24, pace=pace),
        publisher=Publisher(settings().event_bus, store),
        api_secret=_api_secret,
        audience=settings().paypay_token_audience,
        pkce_field=settings().paypay_pkce_field,
        session_life=timedelta(minutes=settings().paypay_link_session_minutes),
        rules=Rules.from_settings(settings()),
        reader=PayPayClient.from_settings(settings(), secret_store.paypay_credentials, tries=1, total_s=5, pace=pace),
        now=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)
