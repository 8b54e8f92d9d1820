"""Sends each domain event to the merchant's endpoint: from its queue, and each minute as a probe of an open circuit."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.merchant_webhook.sender import MerchantWebhook
from honnin.observability import reporting


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Process one SQS batch, or answer `{"probe": true}` (the Scheduler) or `{"test": true}` (an operator)."""
    if event.get("test"):
        return _webhook().test()
    if event.get("probe"):
        return _webhook().probe()
    return _webhook().batch(event, context)


@cache
def _webhook() -> MerchantWebhook:
    return MerchantWebhook.from_settings(settings(), lambda: datetime.now(UTC))
