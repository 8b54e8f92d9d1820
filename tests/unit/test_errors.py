"""The error tree: drawn in the module's docstring, held to it here; who may be retried; what messages hold."""

import inspect
import re

import pytest

from honnin import errors
from honnin.errors import HonninError
from honnin.problem_codes import ProblemCode

CLASSES = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]
# These and what derives from them; nothing else.
RETRYABLE = (
    errors.ProviderUnavailableError,
    errors.EventNotReadyError,
    errors.ConcurrentUpdateError,
    errors.PublishError,
    errors.RepairsStoppedError,
    errors.MerchantWebhookError,
)


def drawn_parents() -> dict[str, str]:
    """Class name to parent name, as the drawing has it: four characters of indent a level."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│ ├└─]*)(\w+Error)\b", line)
        if found:
            level = len(found[1]) // 4
            above[level:] = [found[2]]
            if level:
                parents[found[2]] = above[level - 1]
    return parents


def test_the_drawing_is_the_tree() -> None:
    assert drawn_parents() == {each.__name__: each.__bases__[0].__name__ for each in CLASSES if each is not HonninError}


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_who_may_be_retried(kind: type[HonninError]) -> None:
    assert kind.retryable is issubclass(kind, RETRYABLE)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_is(kind: type[HonninError]) -> None:
    assert kind.__name__.endswith("Error")
    assert kind.__doc__


def test_a_callers_mistake_has_a_code_with_its_http_status() -> None:
    assert errors.InvalidFieldError("a", "is required").code.status == 422
    assert errors.NotFoundError("no", code=ProblemCode.USER_UNKNOWN).code.status == 404


def test_an_incomplete_secret_names_the_key_and_the_command() -> None:
    message = str(errors.SecretIncompleteError("arn:providers", "vexora_app_secret"))
    assert "'vexora_app_secret'" in message
    assert "aws secretsmanager put-secret-value --secret-id arn:providers" in message


def test_a_provider_error_keeps_what_its_support_desk_asks_for() -> None:
    error = errors.ProviderRefusedError("vexora", "user not found", http_status=200, code="4004", request_id="r-1")
    assert str(error) == "vexora: HTTP 200, code 4004, X-REQUEST-ID r-1"
    assert (error.provider, error.message, error.http_status, error.code, error.request_id) == (
        "vexora",
        "user not found",
        200,
        "4004",
        "r-1",
    )


@pytest.mark.parametrize("kind", [errors.ProviderRefusedError, errors.UserAnswerError, errors.NotUnderstoodError])
def test_what_a_provider_said_is_in_nothing_that_may_be_logged(kind: type[errors.ProviderError]) -> None:
    error = kind(
        "paypay", "the name [架空 花子] is not valid", http_status=400, code="INVALID_PARAMS", request_id="r-1"
    )

    assert "架空" not in f"{error} {error!r} {error.args} {error.facts()} {error.logged()}"
    assert error.logged() == {
        "provider": "paypay",
        "error": kind.__name__,
        "http_status": 400,
        "code": "INVALID_PARAMS",
        "request_id": "r-1",
    }


def test_why_no_answer_came_is_our_own_text() -> None:
    assert str(errors.NotSentError("paypay", "not sent (SSLError)")) == "paypay: not sent (SSLError)"


def test_a_conflict_carries_the_present_state() -> None:
    error = errors.ConflictError("already", code=ProblemCode.SUBMISSION_OPEN, state="PENDING", submission_id="s-1")
    assert (str(error), error.state, error.submission_id) == ("already", "PENDING", "s-1")
