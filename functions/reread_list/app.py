"""Lists the users of one source of `RereadUsers`, in parts."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.reread import listing
from honnin.reread.bucket import RereadBucket
from honnin.reread.starting import reread_of
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:  # noqa: ARG001
    """List one source. The parts are in the bucket, because the state machine accepts at most 256 KiB of results."""
    store = Store(settings().state_table)
    listing.run(store, RereadBucket(settings().recon_bucket), reread_of(store, event), event["source"])
