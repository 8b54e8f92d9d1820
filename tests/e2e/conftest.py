"""One deployed local stack for all end-to-end tests of a run."""

import os
from collections.abc import Iterator

import pytest

import local.stack
from local.providers import SEED_VARIABLE
from local.stack import Stack

_seeds: list[int | None] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say by which seed the sandbox was unkind, so that a failure can be repeated."""
    for seed in _seeds:
        terminalreporter.write_line(f"the sandbox was unkind by the seed {seed} (repeat it: {SEED_VARIABLE}={seed})")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The real `sam build && sam deploy` on the emulator with IAM enforced, and the provider sandbox."""
    # A name of its own lets two runs go on side by side in one work tree.
    with local.stack.running(os.environ.get("HONNIN_E2E_STACK", "e2e")) as running:
        _seeds.append(running.sandbox_seed)
        yield running
