"""Logger and metrics, and the one rule on them: ids, types, counts and codes; never a value of a person.

What may be logged: user ids, submission ids, event ids, provider codes, X-REQUEST-ID, statuses, error types,
durations. What may not: names, dates of birth, phone numbers, authorization ids in clear, tokens, signatures,
request or answer bodies, a provider's message (it may repeat any of these), the query string of any URL. No handler
logs its event.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, wraps

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from botocore.exceptions import BotoCoreError, ClientError

from honnin.errors import HonninError, UnexpectedError
from honnin.sqs_send import SendError

NAMESPACE = "Honnin"


@cache
def logger() -> Logger:
    """The structured logger. Service name and level come from the POWERTOOLS_* variables."""
    return Logger(use_rfc3339=True, log_uncaught_exceptions=False)


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Emit one count in embedded metric format. Each of `dimensions` has only a few values (a provider, a type)."""
    _emit(metric, MetricUnit.Count, value, dimensions)


def measure_s(metric: str, seconds: float, **dimensions: str) -> None:
    """Emit one duration in seconds, in the same way as `count`."""
    _emit(metric, MetricUnit.Seconds, seconds, dimensions)


@dataclass(frozen=True)
class Metric:
    """One value that was counted or measured, to be emitted."""

    name: str
    unit: MetricUnit
    value: float
    dimensions: Mapping[str, str]


# Where a thread keeps its counts. Powertools' metrics are not thread-safe, so the main thread emits them.
_kept: ContextVar[list[Metric] | None] = ContextVar("_kept", default=None)


@contextmanager
def keeping(metrics: list[Metric]) -> Iterator[None]:
    """In this block, keep this thread's counts and durations in `metrics` and do not emit them."""
    token = _kept.set(metrics)
    try:
        yield
    finally:
        _kept.reset(token)


def emit(metrics: Iterable[Metric]) -> None:
    """Emit the kept counts and durations."""
    for each in metrics:
        with single_metric(name=each.name, unit=each.unit, value=each.value, namespace=NAMESPACE) as emitted:
            for name, text in each.dimensions.items():
                emitted.add_dimension(name=name, value=text)


def _emit(name: str, unit: MetricUnit, value: float, dimensions: Mapping[str, str]) -> None:
    metric, kept = Metric(name, unit, value, dimensions), _kept.get()
    if kept is None:
        emit([metric])
    else:
        kept.append(metric)


def is_unexpected(error: BaseException) -> bool:
    """Whether an error is neither one of ours nor AWS's: a mistake in the code."""
    return not isinstance(error, HonninError | BotoCoreError | ClientError | SendError)


def frames(error: BaseException) -> list[str]:
    """Where in the code an error was raised: functions and lines, the innermost last, without any value."""
    found = []
    trace = error.__traceback__
    while trace:
        found.append(f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return found


def reporting[**P, R](handler: Callable[P, R]) -> Callable[P, R]:
    """Wrap a handler for which no caller waits.

    A mistake in the code is logged by its place and raises `UnexpectedErrorAlarm`.

    The Lambda runtime then logs an `UnexpectedError`, because the message of any other error might contain a value.
    Errors of ours and of AWS are not changed; they raise the function's own alarm.
    """

    @wraps(handler)
    def reported(*arguments: P.args, **more: P.kwargs) -> R:
        try:
            return handler(*arguments, **more)
        except BaseException as error:
            if not is_unexpected(error):
                raise
            kind = type(error).__name__
            logger().error("unexpected error", error=kind, frames=frames(error), unexpected=True)
            count("UnexpectedError")
            if not isinstance(error, Exception):
                raise
            raise UnexpectedError(kind) from None

    return reported


def loggable(event_id: str) -> str:
    """An event id for the log. A repair's id ends with an authorization id, which is left out."""
    return ":".join(event_id.split(":")[:3]) + ":…" if event_id.startswith("recon:") else event_id
