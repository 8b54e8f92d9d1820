"""The first step of `ReconComparison`: divides a stored recon file into ranges, over which the state machine runs."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.recon import plan
from honnin.recon.bucket import ReconBucket
from honnin.recon.starting import comparison_of


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Write the plan; returns its key."""
    return plan.write(ReconBucket(settings().recon_bucket), comparison_of(event), settings().recon_range_rows)
