"""Which failed calls are made again, and when: only those that cannot do anything twice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from honnin_client.errors import HonninError, NoAnswerError, NotSentError, NotUnderstoodError
from honnin_client.generated.models import ProblemCode

# docs/api.md: "Make the same call again", whatever the call.
_ANY_CALL = frozenset({ProblemCode.PROVIDER_RATE_LIMITED, ProblemCode.USER_BUSY, ProblemCode.AWS_BUSY})
_REPEATABLE_CALL = frozenset({ProblemCode.PROVIDER_UNAVAILABLE, ProblemCode.IDEMPOTENCY_IN_PROGRESS})
_READ_BY_POST = "look_up_users"


@dataclass(frozen=True)
class Retries:
    """How often a call is made at most, and how long to wait between: `first_wait_s`, then twice as long each time,
    with a random part. A call whose `Retry-After` is longer than `longest_wait_s` is not made again.
    """

    tries: int = 4
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0


class Tries:
    """The tries of one call. An unclear one counts to the end: what comes after it cannot say that nothing happened."""

    def __init__(self, retries: Retries, repeatable: bool) -> None:
        self._retries = retries
        self._repeatable = repeatable
        self._made = 0
        self._unclear: HonninError | None = None

    def wait_s(self, error: HonninError) -> float:
        """Seconds until the next try. Raises the error of the call if there is to be none."""
        self._made += 1
        if _is_unclear(error):
            self._unclear = error
        wait_s = max(self._retries.first_wait_s * 2.0 ** (self._made - 1), error.retry_after_s or 0.0)
        if (
            self._made >= self._retries.tries
            or wait_s > self._retries.longest_wait_s
            or not _may_repeat(error, self._repeatable)
        ):
            if self._unclear and _did_nothing(error):
                raise self._unclear from error
            raise error
        return wait_s * random.uniform(1.0, 1.25)


def is_repeatable(operation: str, request: dict[str, Any]) -> bool:
    """Whether the call does nothing twice: a read, an erasure, or a submission with its Idempotency-Key."""
    has_key = "Idempotency-Key" in request.get("headers", {})
    return request["method"] in ("get", "delete") or operation == _READ_BY_POST or has_key


def _did_nothing(error: HonninError) -> bool:
    return isinstance(error, NotSentError) or error.code in _ANY_CALL


def _is_unclear(error: HonninError) -> bool:
    unread = isinstance(error, NotUnderstoodError) and not error.code and error.status in (502, 503, 504)
    return isinstance(error, NoAnswerError) or unread


def _may_repeat(error: HonninError, repeatable: bool) -> bool:
    return _did_nothing(error) or (repeatable and (_is_unclear(error) or error.code in _REPEATABLE_CALL))
