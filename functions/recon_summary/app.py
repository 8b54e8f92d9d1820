"""The last steps of `ReconComparison`: counts the results of its events, range by range, and writes the report."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.publish import Publisher
from honnin.recon import outcomes
from honnin.recon.bucket import ReconBucket
from honnin.recon.starting import comparison_of
from honnin.recon.summary import Summaries
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:  # noqa: ARG001
    """Count the outcomes of one `range`, or sum up the whole comparison and say whether it is settled."""
    if "range" in event:
        outcomes.count(_store(), _bucket(), comparison_of(event), event["range"])
        return None
    summaries = Summaries(
        store=_store(),
        bucket=_bucket(),
        publisher=Publisher(settings().event_bus, _store()),
        now=lambda: datetime.now(UTC),
        lock_days=settings().recon_report_lock_days,
    )
    return summaries.run(comparison_of(event))


@cache
def _store() -> Store:
    return Store(settings().state_table)


@cache
def _bucket() -> ReconBucket:
    return ReconBucket(settings().recon_bucket)
