"""Every hour: erase the users whose contracts ended `PersonalDataRetentionDays` ago; complete interrupted erasures."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.config import settings
from honnin.contract_ends import DueErasures
from honnin.erasure import Erasure
from honnin.observability import reporting
from honnin.store import Store


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    """Run once; returns how many users were erased, and how many were not."""
    due = DueErasures(
        Store(settings().state_table),
        Erasure.from_settings(settings()),
        days=settings().personal_data_retention_days,
        most_a_day=settings().max_erasures_per_day,
        now=lambda: datetime.now(UTC),
    )
    return due.run(context.get_remaining_time_in_millis)
