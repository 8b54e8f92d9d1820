"""The ack of a PayPay notification, as one would usually write it with Powertools, pydantic and boto3."""

import os
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ForbiddenError
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, StringConstraints

logger = Logger()
metrics = Metrics(namespace="Honnin")
app = APIGatewayRestResolver(enable_validation=True)
queue = boto3.resource("sqs").Queue(os.environ["EVENT_QUEUE_URL"])
networks = [ip_network(cidr.strip()) for cidr in os.environ["PAYPAY_SOURCE_CIDRS"].split(",")]

KINDS = {
    "kyc_passport.kyc_info.updated": "kyc",
    "kyc_passport.risk.update": "risk",
    "kyc_passport.account_status.updated": "account_status",
}


class Notification(BaseModel):
    """What PayPay posts."""

    notification_type: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    notification_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    user_authorization_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Event(BaseModel):
    """What goes on the queue."""

    v: int = 1
    event_id: str
    provider: str
    kind: str
    cause: str
    subject: str
    received_at: datetime
    detail: dict[str, str]


@app.post("/webhooks/paypay/kyc")
def acknowledge(notification: Notification) -> Response[str]:
    """Queue the notification as an event."""
    source = app.current_event.request_context.identity.source_ip
    if not any(ip_address(source) in network for network in networks):
        logger.warning("source address rejected", source_ip=source)
        metrics.add_metric(name="SourceAddressRejected", unit=MetricUnit.Count, value=1)
        raise ForbiddenError("this address is not allowed to call this URL")
    kind = KINDS.get(notification.notification_type, "unrecognised")
    event = Event(
        event_id=f"paypay:{kind}:{notification.notification_id}",
        provider="paypay",
        kind=kind,
        cause="webhook",
        subject=notification.user_authorization_id,
        received_at=datetime.now(UTC),
        detail={"type": notification.notification_type},
    )
    queue.send_message(MessageBody=event.model_dump_json())
    logger.info("event queued", event_id=event.event_id)
    metrics.add_metric(name="EventQueued", unit=MetricUnit.Count, value=1)
    return Response(status_code=200, content_type="text/plain", body="OK")


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Route the request."""
    return app.resolve(event, context)
