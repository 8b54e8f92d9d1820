"""Processes the queues of events: reads the facts from the provider, applies each event once, publishes the change."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.event_worker import EventWorker
from honnin.observability import reporting


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Process one SQS batch; the answer names the messages that must be delivered again."""
    return _worker().run(event, context)


@cache
def _worker() -> EventWorker:
    return EventWorker(settings(), lambda: datetime.now(UTC))
