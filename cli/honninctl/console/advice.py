"""Dead letters: which kind of failure an `errorType` stands for, and so what there is to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from honninctl import redrive
from honninctl.dead_letters import RECEIVED_TOO_OFTEN, RUNS, Queue
from honninctl.deployment import Deployment


class Cause(StrEnum):
    """What lies behind a dead letter. Each has its advice in the texts (`advice.<cause>`)."""

    TRIED_OUT = "tried_out"
    MALFORMED = "malformed"
    PROVIDER = "provider"
    OURS = "ours"
    PROGRAM = "program"
    RUN = "run"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class QueueFound:
    """What lies in one queue: its messages by `errorType`, the most frequent first, with what lies behind each kind.

    `is_runs`: failed runs, which nothing puts back; `commands` do by hand what they did not.
    """

    queue: Queue
    is_runs: bool
    groups: Sequence[tuple[str, Cause, Sequence[Mapping[str, Any]]]]
    commands: Sequence[str]


def cause(error_type: str) -> Cause:
    """The kind of an `errorType`: the name of an error class, of Honnin's tree or of whatever came up."""
    from honnin import errors

    if error_type == RECEIVED_TOO_OFTEN:
        return Cause.TRIED_OUT
    kind = getattr(errors, error_type, None)
    if not isinstance(kind, type):
        return Cause.PROGRAM
    if issubclass(kind, errors.MalformedEventError):
        return Cause.MALFORMED
    if issubclass(kind, errors.ConfigurationError | errors.ProviderConfigurationError):
        return Cause.OURS
    return Cause.PROVIDER if issubclass(kind, errors.ProviderError) else Cause.PROGRAM


def by_queue(deployment: Deployment, letters: Sequence[Mapping[str, Any]]) -> list[QueueFound]:
    """The messages of each queue that holds any."""
    found = []
    for queue in Queue:
        held = [each for each in letters if each["queue"] == queue]
        if held:
            functions = [each["function"] for each in held]
            commands = redrive.make_up(deployment, queue, functions) if queue in RUNS else []
            found.append(QueueFound(queue, queue in RUNS, _by_type(queue, held), commands))
    return found


def _by_type(
    queue: Queue, letters: Sequence[Mapping[str, Any]]
) -> list[tuple[str, Cause, Sequence[Mapping[str, Any]]]]:
    counts = Counter(str(each["errorType"]) for each in letters)
    return [
        (name, _behind(queue, name), [each for each in letters if each["errorType"] == name])
        for name, _ in counts.most_common()
    ]


def _behind(queue: Queue, error_type: str) -> Cause:
    if queue is Queue.WEBHOOKS:
        return Cause.WEBHOOK
    return Cause.RUN if queue in RUNS else cause(error_type)
