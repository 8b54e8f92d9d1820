"""Compares one range in `ReconComparison`: decides about its users, and queues those to be read again."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.json_objects import record_of
from honnin.observability import reporting
from honnin.recon.bucket import ReconBucket
from honnin.recon.compare import RangeComparison
from honnin.recon.plan import Range
from honnin.recon.repair import Repairs
from honnin.recon.starting import comparison_of
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001
    """Compare one range. The result is in the bucket, because the state machine accepts at most 256 KiB of results."""
    _comparisons().run(comparison_of(event), record_of(Range, event["range"]), event["etag"])


@cache
def _comparisons() -> RangeComparison:
    return RangeComparison(
        store=Store(settings().state_table),
        bucket=ReconBucket(settings().recon_bucket),
        repairs=Repairs(repair_queue_url=settings().repair_queue_url, reread_queue_url=settings().reread_queue_url),
        now=lambda: datetime.now(UTC),
        recheck_all=settings().recon_recheck_all,
        required_kyc_type=settings().paypay_required_kyc_type,
    )
