"""Our own ids at PayPay. They are in the names of its files and in our requests to send a file again."""

from collections.abc import Mapping

from honnin import secret_store
from honnin.config import settings
from honnin.errors import ConfigurationError


def own_ids() -> Mapping[str, str]:
    """`merchant_id` and `client_id`; empty where one is not set, or the secret cannot be read now."""
    try:
        merchant_id = secret_store.paypay_merchant_id()
    except ConfigurationError:
        merchant_id = ""
    return {"merchant_id": merchant_id, "client_id": settings().paypay_client_id}
