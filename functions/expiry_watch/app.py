"""Every hour: queue a question to PayPay about each link that has ended, or ends soon."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import aws, event_queue
from honnin.config import settings
from honnin.event import Event
from honnin.observability import reporting
from honnin.paypay.expiry import watch
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Run once; returns how many questions were queued."""
    return watch(
        store=Store(settings().state_table),
        send=_send,
        ahead=timedelta(days=settings().link_expiry_notice_days),
        now=datetime.now(UTC),
        left_ms=context.get_remaining_time_in_millis,
    )


def _send(events: list[Event], delay_s: int) -> None:
    event_queue.send_later(settings().event_queue_url, ((each, delay_s) for each in events), aws.sqs())
