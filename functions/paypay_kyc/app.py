"""The three KYC reads of PayPay, by the merchant's user id or by the code id of a KYC Passport QR."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import secret_store
from honnin.config import settings
from honnin.event import Provider
from honnin.merchant_api import MerchantApi, UserIdInPath, answers
from honnin.pace import Pace
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.kyc_api import CodeIdInPath, KycType, KycView
from honnin.paypay.kyc_reading import KycReads
from honnin.paypay.readings import Rules
from honnin.paypay.selfie import Selfies
from honnin.publish import Publisher
from honnin.store import Store
from honnin.vault import Vault


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def get_kyc(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    requiredKycType: KycType = None,  # noqa: N803 -- PayPay's name
) -> KycView:
    """Retrieve the user's KYC information."""
    return KycView.of(_reads().kyc_info(userId, requiredKycType or None))


def get_kyc_passport(userId: UserIdInPath) -> KycView:  # noqa: N803 -- the name on the wire
    """Retrieve the user's KYC information for KYC Passport clients."""
    return KycView.of(_reads().kyc_passport(userId))


def complete_kyc_passport_qr(codeId: CodeIdInPath) -> KycView:  # noqa: N803 -- the name on the wire
    """Fetch the KYC information of a completed KYC Passport QR."""
    return KycView.of(_reads().completed_qr(codeId))


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    read = answers(200, 409, 502, 503, 504)
    api.resolver.get("/paypay/users/<userId>/kyc", responses=read)(get_kyc)
    api.resolver.get("/paypay/users/<userId>/kyc-passport", responses=read)(get_kyc_passport)
    qr = read | answers(404)
    api.resolver.post("/paypay/kyc-passport-qr/<codeId>", responses=qr)(complete_kyc_passport_qr)
    return api


@cache
def _reads() -> KycReads:
    store = Store(
        settings().state_table,
        timeline_days=settings().timeline_retention_days,
        verified_needs=settings().verified_needs,
        now=_now,
    )
    return KycReads(
        store=store,
        client=PayPayClient.from_settings(
            settings(),
            secret_store.paypay_credentials,
            tries=3,
            total_s=18,
            pace=Pace(Provider.PAYPAY, store.paces, settings().paypay_max_calls_per_second),
        ),
        archive=KycArchive(
            Vault(
                settings().personal_data_bucket,
                retention_days=settings().personal_data_max_age_days,
                may_delete=False,
            ),
            Selfies(settings().selfie_allowed_hosts, loopback=settings().loopback_files),
        ),
        rules=Rules.from_settings(settings()),
        publisher=Publisher(settings().event_bus, store),
        now=_now,
    )


def _now() -> datetime:
    return datetime.now(UTC)
