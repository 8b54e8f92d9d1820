"""Writes the lists for `RereadUsers`: the sources as its first step, and the parts after all users are listed."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.reread import plan
from honnin.reread.bucket import RereadBucket
from honnin.reread.starting import reread_of
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    """Write the list of sources or, if the event already has that list, the list of parts; returns its key."""
    store, bucket = Store(settings().state_table), RereadBucket(settings().recon_bucket)
    reread = reread_of(store, event)
    return plan.parts(store, bucket, reread) if "sources" in event else plan.sources(bucket, reread)
