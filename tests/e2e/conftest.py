"""One deployed local stack for all end-to-end tests of a run."""

import os
from collections.abc import Iterator

import pytest

import local.stack
from local.stack import Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The real `sam build && sam deploy` on the emulator with IAM enforced, and the provider sandbox."""
    # A name of its own lets two runs go on side by side in one work tree.
    with local.stack.running(os.environ.get("HONNIN_E2E_STACK", "e2e")) as running:
        yield running
