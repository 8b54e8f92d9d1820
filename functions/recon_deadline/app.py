"""10:15 in Tokyo: is every recon file of the last week announced, stored and compared? If not, a person is told."""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.recon.deadline import DeadlineCheck
from honnin.recon.resend import ResendAlarm, letterhead
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:  # noqa: ARG001
    """Run once; returns the JST days without a compared file, by file type."""
    store = Store(settings().state_table)
    check = DeadlineCheck(
        store=store,
        alarm=ResendAlarm(settings().alarm_topic_arn, partial(letterhead, store)),
        file_types=settings().recon_file_types,
        empty_day_announced=settings().recon_empty_day_announced,
    )
    return check.run(datetime.now(UTC))
