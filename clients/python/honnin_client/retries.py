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

    def wait_s(self, error: HonninError, tried: int, repeatable: bool) -> float | None:
        """Seconds until the next try; None if there is to be none. `tried` counts those that were made."""
        if tried >= self.tries or not _may_repeat(error, repeatable):
            return None
        wait_s = max(self.first_wait_s * 2 ** (tried - 1), error.retry_after_s or 0.0)
        return None if wait_s > self.longest_wait_s else wait_s * random.uniform(1.0, 1.25)


def is_repeatable(operation: str, request: dict[str, Any]) -> bool:
    """Whether the call does nothing twice: a read, an erasure, or a submission with its Idempotency-Key."""
    has_key = "Idempotency-Key" in request.get("headers", {})
    return request["method"] in ("get", "delete") or operation == _READ_BY_POST or has_key


def _may_repeat(error: HonninError, repeatable: bool) -> bool:
    if isinstance(error, NotSentError) or error.code in _ANY_CALL:
        return True
    if not repeatable:
        return False
    unread = isinstance(error, NotUnderstoodError) and not error.code and error.status in (502, 503, 504)
    return isinstance(error, NoAnswerError) or error.code in _REPEATABLE_CALL or unread
