"""The three KYC reads of PayPay, by the merchant's user id or by the code id of a KYC Passport QR."""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import SerializerFunctionWrapHandler, StringConstraints, model_serializer

from honnin import secret_store
from honnin.config import settings
from honnin.merchant_api import AnswerModel, MerchantApi, UserIdInPath
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.kyc_reading import KycAnswer, KycReads
from honnin.paypay.selfie import Selfies
from honnin.publish import Publisher
from honnin.store import Store
from honnin.vault import Vault

CodeIdInPath = Annotated[str, StringConstraints(pattern=r"\A[\x21-\x7e]{1,255}\z"), Path()]


class KycView(AnswerModel):
    """The status, when it was read (UTC), and PayPay's `data` as it came; no `kyc` when PayPay gave none."""

    status: str
    read_at: str
    kyc: dict[str, Any] | None = None

    @model_serializer(mode="wrap")
    def _without_absent_kyc(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        shown: dict[str, Any] = serialize(self)
        return {name: value for name, value in shown.items() if name != "kyc" or value is not None}


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def get_kyc(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    requiredKycType: Annotated[Literal["EKYC", ""] | None, Query()] = None,  # noqa: N803 -- PayPay's name
) -> KycView:
    """Retrieve the user's KYC information."""
    return _view(_reads().kyc_info(userId, requiredKycType or None))


def get_kyc_passport(userId: UserIdInPath) -> KycView:  # noqa: N803 -- the name on the wire
    """Retrieve the user's KYC information for KYC Passport clients."""
    return _view(_reads().kyc_passport(userId))


def complete_kyc_passport_qr(codeId: CodeIdInPath) -> KycView:  # noqa: N803 -- the name on the wire
    """Fetch the KYC information of a completed KYC Passport QR."""
    return _view(_reads().completed_qr(codeId))


def _view(answer: KycAnswer) -> KycView:
    return KycView(status=answer.status, read_at=answer.read_at, kyc=answer.kyc)


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.get("/paypay/users/<userId>/kyc")(get_kyc)
    api.resolver.get("/paypay/users/<userId>/kyc-passport")(get_kyc_passport)
    api.resolver.post("/paypay/kyc-passport-qr/<codeId>")(complete_kyc_passport_qr)
    return api


@cache
def _reads() -> KycReads:
    store = Store(settings().state_table)
    return KycReads(
        store=store,
        client=PayPayClient.from_settings(settings(), secret_store.paypay_credentials, tries=3, total_s=18),
        archive=KycArchive(
            Vault(settings().personal_data_bucket),
            Selfies(settings().selfie_allowed_hosts, loopback=settings().loopback_files),
        ),
        publisher=Publisher(settings().event_bus, store),
        now=lambda: datetime.now(UTC),
    )
