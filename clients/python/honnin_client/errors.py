"""What may become of a call that does not succeed. Four kinds, because each asks for something else of the caller."""

from __future__ import annotations

from typing import Any

import httpx

from honnin_client.generated.models import Problem, ProblemCode

# Honnin answered, but nobody knows what became of the call.
_NO_ANSWER = frozenset(
    {
        ProblemCode.PROVIDER_TIMEOUT,
        ProblemCode.GATEWAY_TIMEOUT,
        ProblemCode.GATEWAY_FAILED,
        ProblemCode.PROVIDER_FAILED,
        ProblemCode.UNEXPECTED,
    }
)
_NOT_SENT = frozenset({ProblemCode.TOO_MANY_REQUESTS, ProblemCode.PROVIDER_NOT_REACHED})
_NOT_UNDERSTOOD = frozenset({ProblemCode.PROVIDER_NOT_UNDERSTOOD})


class HonninError(Exception):
    """A call that did not succeed.

    `problem` is Honnin's answer (RFC 9457), None if there is none that can be read; `code` is its code ("" if there
    is none). Decide by the class and by `code`, never by a text. `status` is the HTTP status (None without an
    answer). `retry_after_s` is how many seconds to wait before the same call may succeed (None: not said).
    """

    def __init__(
        self,
        message: str,
        *,
        problem: Problem | None = None,
        code: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.problem = problem
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class NotSentError(HonninError):
    """The call did not leave, or it did not get through to the provider: nothing has happened. Make it again."""


class NoAnswerError(HonninError):
    """It is not known whether the call took effect. Repeat a read; repeat a submission with its Idempotency-Key."""


class RefusedError(HonninError):
    """Honnin or the provider refused the call. `code` says why, and `problem.errors` names each field."""


class NotUnderstoodError(HonninError):
    """There was an answer, and it is not one that this client, or Honnin, can read."""


def of_answer(response: httpx.Response) -> HonninError:
    """The error for an answer of 300 or more. Its text names code and title, and nothing of what was sent."""
    status, retry_after_s = response.status_code, _retry_after_s(response)
    try:
        body: Any = response.json()
        code, title = body["code"], body["title"]
        if not (isinstance(code, str) and isinstance(title, str)):
            raise TypeError("no problem of RFC 9457")
    except (ValueError, KeyError, TypeError):
        return NotUnderstoodError(
            f"an answer with HTTP {status} that is no problem of Honnin's", status=status, retry_after_s=retry_after_s
        )
    return _kind(code)(
        f"{code}: {title}", problem=_problem(body), code=code, status=status, retry_after_s=retry_after_s
    )


def _kind(code: str) -> type[HonninError]:
    for codes, kind in ((_NO_ANSWER, NoAnswerError), (_NOT_SENT, NotSentError), (_NOT_UNDERSTOOD, NotUnderstoodError)):
        if code in codes:
            return kind
    return RefusedError


def _problem(body: Any) -> Problem | None:
    try:
        return Problem.from_dict(body)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # not in the form of a problem: its code is known, and that is what counts


def _retry_after_s(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
