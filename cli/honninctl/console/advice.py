"""Dead letters: which kind of failure an `errorType` stands for, and so what there is to do."""

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from honninctl.dead_letters import RECEIVED_TOO_OFTEN


class Cause(StrEnum):
    """What lies behind a parked event. Each has its advice in the texts (`advice.<cause>`)."""

    TRIED_OUT = "tried_out"
    MALFORMED = "malformed"
    PROVIDER = "provider"
    OURS = "ours"
    PROGRAM = "program"


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


def by_type(letters: Sequence[Mapping[str, Any]]) -> list[tuple[str, Cause, list[Mapping[str, Any]]]]:
    """The letters of each `errorType`, the most frequent first, with what lies behind it."""
    counts = Counter(str(each["errorType"]) for each in letters)
    return [
        (name, cause(name), [each for each in letters if each["errorType"] == name]) for name, _ in counts.most_common()
    ]
