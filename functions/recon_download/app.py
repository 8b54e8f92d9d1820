"""Every 5 minutes: fetch each recon file within its two hours, and start the comparison of each stored one."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.recon.bucket import ReconBucket
from honnin.recon.download import Downloads
from honnin.recon.fetch_alarm import FetchAlarm
from honnin.recon.own_ids import own_ids
from honnin.recon.starting import Starting
from honnin.recon.transfer import Source
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Run once; returns how many files ended in each way."""
    store = Store(settings().state_table)
    downloads = Downloads(
        store=store,
        bucket=ReconBucket(settings().recon_bucket),
        source=Source(settings().recon_allowed_hosts, settings().recon_max_bytes, loopback=settings().loopback_files),
        alarm=FetchAlarm(settings().alarm_topic_arn),
        own_ids=own_ids,
        now=lambda: datetime.now(UTC),
    )
    starting = Starting(store=store, machine_arn=settings().recon_machine_arn, now=lambda: datetime.now(UTC))
    try:
        return downloads.run(context.get_remaining_time_in_millis)
    finally:
        # Comparisons of stored files are started even if a download fails.
        starting.run()
