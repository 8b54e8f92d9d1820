"""What doctor says of each thing that it looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from honninctl import roles
from honninctl.deployment import Deployment
from honninctl.failures import NoAccessError, NotAllowedError, NotFoundError, UsageError, explained
from honninctl.language import _

_OF_EVERY_VERSION = ("StateTableName", "EventQueueUrl", "DeadLetterQueueUrl")


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the report. `advice` says what to do; empty where there is nothing to do."""

    topic: str
    verdict: Verdict
    found: str
    advice: str = ""


def guarded(topic: str, examination: Callable[[], Iterator[Check]], what: str = "") -> Iterator[Check]:
    """The checks of a topic, or of one thing (`what`) of it; an error becomes a failed check.

    But for one that leaves nothing to check, which is raised.
    """
    try:
        yield from examination()
    except Exception as error:
        explanation = explained(error)
        if topic in ("credentials", "stack") and isinstance(explanation, NoAccessError | NotFoundError | UsageError):
            raise explanation from None
        advice = roles.advice("doctor") if isinstance(explanation, NotAllowedError) else _("correct that first")
        yield Check(
            topic,
            Verdict.FAIL,
            _("{what}: {why}").format(what=what, why=str(explanation)) if what else str(explanation),
            advice,
        )


def without(deployment: Deployment, topic: str, key: str) -> Check:
    """A stack of an older version says nothing of what came later; but some outputs every version has."""
    found = _("not looked at: {name} has no output {key}").format(name=deployment.name, key=key)
    if key in _OF_EVERY_VERSION:
        return Check(topic, Verdict.FAIL, found, _("is it a stack of Honnin?"))
    return Check(topic, Verdict.WARN, found, _("the stack has an older version: deploy the current one"))
