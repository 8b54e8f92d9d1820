"""Every 10 minutes: queue a question to Vexora for each open submission that is due."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import sqs_send
from honnin.config import settings
from honnin.observability import reporting
from honnin.publish import Publisher
from honnin.store import Store
from honnin.vexora.poll import poll


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Run once; returns how many submissions were polled and how many late changes were published."""
    store = Store(settings().state_table)
    return poll(
        store=store,
        publisher=Publisher(settings().event_bus, store),
        send=partial(sqs_send.send_message, settings().event_queue_url),
        delays_s=settings().vexora_poll_delays,
        now=datetime.now(UTC),
        left_ms=context.get_remaining_time_in_millis,
    )
