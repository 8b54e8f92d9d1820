"""Erasure: `DELETE /users/{userId}/personal-data`, and `/users/{userId}/contract-end`, after which one becomes due.

It is the only function of the merchant API that may delete.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import erasure_api
from honnin.config import settings
from honnin.contract_ends import ContractEnds
from honnin.erasure import Erasure
from honnin.erasure_api import CertificateView, ContractEndBody, ContractEndView, ErasureBody
from honnin.merchant_api import MerchantApi, UserIdInPath, answers
from honnin.store import Store

_NOTHING_SAID = ErasureBody()


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    return _api().resolve(event, context)


def erase_user(
    userId: UserIdInPath,  # noqa: N803 -- the name on the wire
    unlink: Annotated[bool, Query(description="If true, the authorization at PayPay is ended as well")] = False,
    body: Annotated[ErasureBody, Body()] = _NOTHING_SAID,
) -> CertificateView:
    """Erase a user's personal data. A repeated call returns the same certificate."""
    return erasure_api.certificate(_erasure().erase(userId, unlink=unlink, request=body.request(_api().caller())))


def report_contract_end(userId: UserIdInPath, body: ContractEndBody) -> ContractEndView:  # noqa: N803
    """Report when a user's contract ended. The latest report counts."""
    ended = _ends().report(userId, body.ended_on, reason=body.reason, reported_by=_api().caller())
    return erasure_api.contract_end(ended)


def get_contract_end(userId: UserIdInPath) -> ContractEndView:  # noqa: N803
    """Whether the end of a user's contract was reported, and until when the user's data is kept."""
    return erasure_api.contract_end(_ends().get(userId))


def cancel_contract_end(userId: UserIdInPath) -> ContractEndView:  # noqa: N803
    """Report that a user's contract goes on."""
    return erasure_api.contract_end(_ends().cancel(userId))


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.delete("/users/<userId>/personal-data", responses=answers(200, 404, 409, 502, 503))(erase_user)
    end = "/users/<userId>/contract-end"
    api.resolver.get(end, responses=answers(200, 404, 503))(get_contract_end)
    api.resolver.post(end, responses=answers(200, 404, 409, 503))(report_contract_end)
    api.resolver.delete(end, responses=answers(200, 404, 409, 503))(cancel_contract_end)
    return api


def _ends() -> ContractEnds:
    store = Store(settings().state_table)
    return ContractEnds(store, settings().personal_data_retention_days, lambda: datetime.now(UTC))


def _erasure() -> Erasure:
    return Erasure.from_settings(settings())
