"""How the parts of the local stack say what they are doing."""

import contextlib
from typing import Protocol


class Steps(Protocol):
    """Somewhere to say what is being done; `make run` shows it, the tests keep quiet."""

    def step(self, title: str) -> contextlib.AbstractContextManager[None]:
        """A context that lasts as long as the step called `title`."""


class QuietSteps:
    """Says nothing."""

    def step(self, title: str) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002 (the protocol's)
        """Nothing but the context."""
        return contextlib.nullcontext()
