"""Fixtures for every kind of test: an AWS environment that leads nowhere, and caches emptied between tests."""

import gc
import logging
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest
from _pytest import runner as pytest_runner
from aws_lambda_powertools.utilities import parameters
from hypothesis import settings as hypothesis_settings
from werkzeug.routing import Rule

from honnin import aws, config, http_client, observability, sqs_send

# The same examples on every run: a failure in CI is then a failure on every machine.
hypothesis_settings.register_profile("honnin", derandomize=True, deadline=None, print_blob=True)
hypothesis_settings.load_profile("honnin")

# moto gives each test a new session of boto3, which would read the models of the services anew: megabytes of JSON.
botocore.session.create_loader = cache(botocore.session.create_loader)

# A sandbox for each test is nothing but for its routes: werkzeug compiles two functions for each, 30 ms in all.
_compile_builder = Rule._compile_builder
_builders: dict[str, Any] = {}


def _compiled_once(rule: Rule, append_unknown: bool = True) -> Any:
    """werkzeug's own, which depends on nothing of the rule but these."""
    key = repr((rule.rule, rule._trace, rule.defaults, append_unknown))
    if key not in _builders:
        _builders[key] = _compile_builder(rule, append_unknown)
    return _builders[key]


setattr(Rule, "_compile_builder", _compiled_once)  # noqa: B010 -- mypy knows it otherwise


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again.

    Nor need it look for more so often: a seventh of the time of the fault harness went into that.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


# CPython keeps the frames of calls in chunks of 16 KiB, and gives a chunk back to the system as soon as it is empty: a
# loop that happens to go to and fro over the end of one asks for memory at every call. A function with very many
# variables gets a large chunk, with room for all that it calls.
_MANY = " = ".join(f"v{number}" for number in range(20_000))
_scope: dict[str, Any] = {}
exec(f"def with_room(call):\n    if call is None:\n        {_MANY} = None\n    return call()", _scope)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """Run a test where the stack has room."""
    return _scope["with_room"](lambda: pytest_runner.pytest_runtest_protocol(item, nextitem))


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials and a region that lead nowhere, and nothing of the developer's own AWS_* settings."""
    for name in [each for each in os.environ if each.startswith(("AWS_", "POWERTOOLS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "test-session-token")
    monkeypatch.setenv("AWS_REGION", "ap-northeast-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "honnin")


@pytest.fixture
def fresh_caches() -> Iterator[None]:
    """Nothing that the layer keeps for the life of an execution environment outlives the test."""
    _forget()
    yield
    _forget()


def _forget() -> None:
    if http_client.session.cache_info().currsize:
        http_client.session().close()
    for connection in sqs_send._connections.values():
        connection.close()
    sqs_send._connections.clear()
    # Powertools' handler holds the stdout of the test in which it was made; the logger is made anew.
    for service in ("honnin", "service_undefined"):
        logging.Logger.manager.loggerDict.pop(service, None)
    caches = (
        config.settings,
        http_client.session,
        observability.logger,
    )
    for cached in caches:
        cached.cache_clear()
    aws.forget()
    parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
