"""Erasure: `DELETE /users/{userId}/personal-data`. It is the only function of the merchant API that may delete."""

from datetime import UTC, datetime
from functools import cache, partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import erasure_api, secret_store
from honnin.config import settings
from honnin.erasure import Erasure, sweep_later
from honnin.erasure_api import CertificateView
from honnin.event import Provider
from honnin.kept_registers import KeptRegisters
from honnin.merchant_api import MerchantApi, UserIdInPath, answers
from honnin.pace import Pace
from honnin.paypay.client import PayPayClient
from honnin.publish import Publisher
from honnin.store import Store
from honnin.vault import Vault


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def erase_user(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    unlink: Annotated[bool, Query(description="If true, the authorization at PayPay is ended as well")] = False,
) -> CertificateView:
    """Erase a user's personal data. A repeated call returns the same certificate."""
    return erasure_api.certificate(_erasure().erase(userId, unlink=unlink))


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.delete("/users/<userId>/personal-data", responses=answers(200, 404, 409, 502, 503))(erase_user)
    return api


def _erasure() -> Erasure:
    store = Store(settings().state_table, timeline_days=settings().timeline_retention_days)
    return Erasure(
        store=store,
        vault=Vault(settings().personal_data_bucket),
        registers=KeptRegisters(settings().recon_bucket),
        paypay=lambda: PayPayClient.from_settings(
            settings(),
            secret_store.paypay_credentials,
            tries=2,
            total_s=10,
            pace=Pace(Provider.PAYPAY, store.paces, settings().paypay_max_calls_per_second),
        ),
        sweep_later=partial(sweep_later, settings().event_queue_url),
        publish=Publisher(settings().event_bus, store).user_erased,
        now=lambda: datetime.now(UTC),
    )
