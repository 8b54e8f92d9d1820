"""Logger, counts and metrics, and the one rule on them: ids, types, counts and codes; never a value of a person.

What may be logged: user ids, submission ids, event ids, provider codes, X-REQUEST-ID, statuses, error types,
durations. What may not: names, dates of birth, phone numbers, authorization ids in clear, tokens, signatures,
request or answer bodies, a provider's message (it may repeat any of these), the query string of any URL. No handler
logs its event.
"""

import json
from collections import Counter
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


def count(name: str, value: int = 1, **facts: str) -> None:
    """Count something for people: one short line in the log, which the saved queries add up (template.yaml).

    It is no metric of CloudWatch, because each of these costs as much as many thousand lines (docs/costs.md).
    """
    _write(Counted(name, value, facts, is_metric=False))


def count_for_alarm(metric: str, **facts: str) -> None:
    """Count something that raises an alarm: one line in embedded metric format.

    The stack is the metric's only dimension. `facts` are for the reader of the log.
    """
    _write(Counted(metric, 1, facts, is_metric=True))


@dataclass(frozen=True)
class Counted:
    """One count, to be written."""

    name: str
    value: int
    facts: Mapping[str, str]
    is_metric: bool


# Where a thread keeps its counts. Powertools' metrics are not thread-safe, so the main thread writes them.
_kept: ContextVar[list[Counted] | None] = ContextVar("_kept", default=None)


@contextmanager
def keeping(counts: list[Counted]) -> Iterator[None]:
    """In this block, keep this thread's counts in `counts` and do not write them."""
    token = _kept.set(counts)
    try:
        yield
    finally:
        _kept.reset(token)


def write(counts: Iterable[Counted]) -> None:
    """Write the kept counts. What is alike is added up, so a batch of ten needs one line."""
    lines: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for each in counts:
        if each.is_metric:
            _write_metric(each)
        else:
            lines[each.name, frozenset(each.facts.items())] += each.value
    for (name, facts), value in lines.items():
        line = {"counted": name, "value": value, **dict(sorted(facts))}
        print(json.dumps(line, separators=(",", ":")))  # noqa: T201 -- stdout is the Lambda log


def _write_metric(counted: Counted) -> None:
    with single_metric(name=counted.name, unit=MetricUnit.Count, value=counted.value, namespace=NAMESPACE) as metric:
        for name, text in counted.facts.items():
            metric.add_metadata(key=name, value=text)


def _write(counted: Counted) -> None:
    kept = _kept.get()
    if kept is None:
        write([counted])
    else:
        kept.append(counted)


def is_unexpected(error: BaseException) -> bool:
    """Whether an error is neither ours nor AWS's, which means a mistake in the code."""
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
            count_for_alarm("UnexpectedError")
            if not isinstance(error, Exception):
                raise
            raise UnexpectedError(kind) from None

    return reported


def loggable(event_id: str) -> str:
    """An event id for the log. A repair's id ends with an authorization id, which is left out."""
    return ":".join(event_id.split(":")[:3]) + ":…" if event_id.startswith("recon:") else event_id
