"""10:15 in Tokyo: the daily report by mail, with requests to PayPay for the recon files that are missing."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.observability import reporting
from honnin.recon.daily_report import DailyReport
from honnin.recon.own_ids import own_ids
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, list[str]]:  # noqa: ARG001
    """Run once; returns the JST days for which PayPay must be asked, by file type."""
    report = DailyReport(
        store=Store(settings().state_table),
        topic_arn=settings().alarm_topic_arn,
        own_ids=own_ids(),
        file_types=settings().recon_file_types,
        empty_day_announced=settings().recon_empty_day_announced,
    )
    return report.run(datetime.now(UTC))
