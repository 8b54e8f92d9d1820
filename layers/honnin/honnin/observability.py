"""Logger and metrics, and the one rule on them: ids, types, counts and codes; never a value of a person.

What may be logged: user ids, submission ids, event ids, provider codes, X-REQUEST-ID, statuses, error types,
durations. What may not: names, dates of birth, phone numbers, authorization ids in clear, tokens, signatures,
request or answer bodies, a provider's message (it may repeat any of these), the query string of any URL. No handler
logs its event.
"""

from collections.abc import Mapping
from functools import cache

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

NAMESPACE = "Honnin"


@cache
def logger() -> Logger:
    """The structured logger. Service name and level come from the POWERTOOLS_* variables."""
    return Logger(use_rfc3339=True, log_uncaught_exceptions=False)


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Emit one count in embedded metric format. `dimensions` hold few values each (a provider, a type)."""
    _emit(metric, MetricUnit.Count, value, dimensions)


def measure_s(metric: str, seconds: float, **dimensions: str) -> None:
    """Emit one duration in seconds, as `count` does a count."""
    _emit(metric, MetricUnit.Seconds, seconds, dimensions)


def _emit(metric: str, unit: MetricUnit, value: float, dimensions: Mapping[str, str]) -> None:
    with single_metric(name=metric, unit=unit, value=value, namespace=NAMESPACE) as emitted:
        for name, text in dimensions.items():
            emitted.add_dimension(name=name, value=text)


def loggable(event_id: str) -> str:
    """An event id as it may be logged: a repair's id ends with an authorization id, which is left out."""
    return ":".join(event_id.split(":")[:3]) + ":…" if event_id.startswith("recon:") else event_id
