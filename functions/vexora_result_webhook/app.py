"""`POST /webhooks/vexora/kyc-result/{submissionId}/{token}`: acknowledge a result callback of Vexora."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from honnin import secret_store, sqs_send, webhook
from honnin.config import settings
from honnin.errors import ConfigurationError
from honnin.observability import count_for_alarm, logger
from honnin.vexora import signing


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Answer plain `OK` once the event is on the queue."""
    try:
        return webhook.acknowledge_vexora_result(
            event,
            source_cidrs=settings().vexora_source_cidrs,
            callback_keys=secret_store.callback_keys,
            verify_sign=_verify_sign,
            send=partial(sqs_send.send_message, settings().event_queue_url),
        )
    except ConfigurationError as error:
        logger().error("configuration fault", error=type(error).__name__, reason=str(error))
        count_for_alarm("ConfigurationFault")
        return webhook.try_again()


def _verify_sign(fields: Mapping[str, str], sign: str) -> bool | None:
    try:
        app_secret = secret_store.vexora_credentials().app_secret
    except ConfigurationError:
        return None
    return signing.verify(fields, sign, app_secret)
