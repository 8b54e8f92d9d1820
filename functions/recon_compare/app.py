"""A recon file has arrived in the bucket: compare it with the webhooks received, queue the missed users, report."""

from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import worker
from honnin.config import settings
from honnin.publish import Publisher
from honnin.recon import arrival
from honnin.recon.arrival import Arrivals, CompareQueue
from honnin.recon.bucket import ReconBucket
from honnin.recon.compare import Comparison
from honnin.recon.repair import Repairs
from honnin.recon.resend import ResendAlarm, letterhead
from honnin.store import Store


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Take the messages of the compare queue; the answer names those that must come again."""
    return worker.run(
        event,
        context,
        parse=arrival.parse,
        process=partial(_arrivals().take, left_ms=context.get_remaining_time_in_millis),
        queue=worker.Queue(settings().compare_queue_url, settings().dead_letter_queue_url),
        count_failure=_store().events.count_failure,
    )


@cache
def _store() -> Store:
    return Store(settings().state_table)


@cache
def _arrivals() -> Arrivals:
    store = _store()
    bucket = ReconBucket(settings().recon_bucket)
    return Arrivals(
        store=store,
        bucket=bucket,
        comparison=Comparison(
            store=store,
            bucket=bucket,
            repairs=Repairs(settings().repair_queue_url),
            now=lambda: datetime.now(UTC),
            recheck_all=settings().recon_recheck_all,
        ),
        publisher=Publisher(settings().event_bus, store),
        alarm=ResendAlarm(settings().alarm_topic_arn, partial(letterhead, store)),
        queue=CompareQueue(settings().compare_queue_url),
        now=lambda: datetime.now(UTC),
    )
