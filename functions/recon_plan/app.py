"""The first step of `ReconComparison`: cut a stored recon file into ranges, which the state machine hands out."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.recon import plan
from honnin.recon.bucket import ReconBucket
from honnin.recon.starting import comparison_of


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Write the plan; returns where it is."""
    return plan.write(ReconBucket(settings().recon_bucket), comparison_of(event), settings().recon_range_rows)
