"""A deployment on moto and a running sandbox, for every test that asks for them."""

from collections.abc import Iterator

import pytest

from sandbox.app import SandboxConfig
from sandbox.server import RunningSandbox, running
from tests.fakes.deployment import Deployment
from tests.moto_state import moto


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[RunningSandbox]:
    with running(SandboxConfig()) as box:
        yield box


@pytest.fixture
def box(_sandbox: RunningSandbox) -> RunningSandbox:
    """The provider sandbox; nobody is reviewed by itself, so that nothing happens in its threads."""
    _sandbox.sandbox.reset()
    _sandbox.vexora.dials.put({"review": "none"})
    return _sandbox


@pytest.fixture
def stack(
    aws_environment: None, fresh_caches: None, monkeypatch: pytest.MonkeyPatch, box: RunningSandbox
) -> Iterator[Deployment]:
    """The deployment, at the real time."""
    with moto():
        made = Deployment(monkeypatch, box.vexora_base_url)
        with made.stand_in.serving():
            yield made
        made.pass_time()
