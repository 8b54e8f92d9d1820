"""Handles one part of `RereadUsers`: queues its users, and checks whether they have been read."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.reread.bucket import RereadBucket
from honnin.reread.reading import PartReading
from honnin.reread.starting import reread_of
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, bool]:  # noqa: ARG001
    """Send the events or check them; returns whether the part is `settled`."""
    store = Store(settings().state_table)
    reading = PartReading(
        store=store,
        bucket=RereadBucket(settings().recon_bucket),
        queue_url=settings().reread_queue_url,
        now=lambda: datetime.now(UTC),
    )
    return {"settled": reading.run(reread_of(store, event), event["part"])}
