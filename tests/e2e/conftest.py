"""A deployed local stack for the end-to-end tests: one for each part of them, so that the parts run side by side.

With `pytest -n 3` each part is a worker's, on a stack of its own. In one process (a file alone, say)
one stack serves all.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import local.stack
from honnin.store import Store
from honnin.times import utc_text
from local import providers
from local.differences import Setting
from local.providers import SEED_VARIABLE
from local.stack import Stack
from tests.e2e.parts import Parts

# Both APIs also answer under names of their own (test_domains.py); the outputs of a local stack do not change by it.
DOMAINS = [
    Setting(name, value, "test_domains.py")
    for name, value in (
        ("WebhookDomainName", "hooks.honnin.test"),
        ("MerchantDomainName", "kyc.honnin.test"),
        ("MerchantBasePath", "honnin"),
        ("DomainCertificateArn", "arn:aws:acm:ap-northeast-1:000000000000:certificate/0a1b2c3d"),
    )
]

# A first test waits for its stack, and a machine may be busy with something else.
_TIMEOUT_S = 300


def pytest_configure() -> None:
    """One seed for the sandboxes of all parts: what pytest starts inherits it."""
    if not os.environ.get(SEED_VARIABLE):
        os.environ[SEED_VARIABLE] = str(providers.seed())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say by which seed the sandbox was unkind, so that a failure can be repeated; and what the tests have measured."""
    for report in terminalreporter.getreports("passed"):
        for _, said in report.user_properties:
            terminalreporter.write_line(str(said))
    seed = os.environ[SEED_VARIABLE]
    terminalreporter.write_line(f"the sandbox was unkind by the seed {seed} (repeat it: {SEED_VARIABLE}={seed})")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Parts:
    """With `-n 3`: a part for each worker."""
    return Parts(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that a busy machine needs, unless it says itself how much."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The real `sam build && sam deploy` on the emulator with IAM enforced, and the provider sandbox."""
    # A name of its own lets two runs go on side by side in one work tree.
    name = os.environ.get("HONNIN_E2E_STACK", "e2e")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    with local.stack.running(f"{name}-{worker}" if worker else name, added=DOMAINS) as running:
        _stop_nothing(running)
        yield running


def _stop_nothing(stack: Stack) -> None:
    """Tests flag, close and erase more users in an hour than may lose their verification: they would stop repairs and
    rereads for those that come after them. `test_mass_change.py` lets the limit hold for a while.
    """
    store = Store(stack.outputs["StateTableName"], stack.client("dynamodb"))
    store.mass_change.resume(utc_text(datetime.now(UTC) + timedelta(days=1)))
