"""One deployed local stack for all end-to-end tests of a run."""

from collections.abc import Iterator

import pytest

import local.stack
from local.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The real `sam build && sam deploy` on the emulator with IAM enforced, and the provider sandbox."""
    with local.stack.running("e2e") as running:
        yield running
