"""The pytest plugin: fixtures on a local stack of Honnin, which is found, or started once for all workers.

It is registered by the package, so a test only names a fixture. The options are in README.md.

Every pytest loads it wherever the client is installed. So it stands outside of `honnin_client`, whose import takes half
a second, and imports that only once a fixture is used.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from honnin_client import Honnin
    from honnin_client.testing import AwaitStatus, Events, HonninStack, MerchantWebhooks, Sandbox
    from honnin_client.testing.stacks import Wanted

# Name, default, and what it says.
_SETTINGS = (
    ("home", "", "the checkout of Honnin's repository"),
    ("name", "run", "the local stack's name, if several run side by side"),
    ("parameters", "", "parameters of the template, as for make up: 'Name=value …'"),
    ("sandbox", "on", "off: the parameters name another simulator of the providers"),
)
# The file that says which stack this run has started; all workers know it by the controller.
_STARTED = pytest.StashKey[Path]()
_WORKER_INPUT = "honnin_started"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each setting is an option, an environment variable (HONNIN_HOME, …) or a line of pytest's settings."""
    group = parser.getgroup("honnin", "Honnin's local stack")
    for name, default, about in _SETTINGS:
        said = f"{about} (default: $HONNIN_{name.upper()}, or {default or 'none'})"
        group.addoption(f"--honnin-{name}", default=None, help=said)
        parser.addini(f"honnin_{name}", said, default=default)


def pytest_configure(config: pytest.Config) -> None:
    """Agree with the other workers on one file."""
    given = getattr(config, "workerinput", {}).get(_WORKER_INPUT)
    config.stash[_STARTED] = Path(given or Path(tempfile.gettempdir()) / f"honnin-{uuid.uuid4().hex}")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist."""
    node.workerinput[_WORKER_INPUT] = str(node.config.stash[_STARTED])


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what this run has started, after all workers."""
    started = config.stash.get(_STARTED, None)
    if started is None or hasattr(config, "workerinput") or not started.exists():
        return
    started.unlink()
    from honnin_client.testing import StackError, stacks

    try:
        stacks.end(_wanted(config))
    except StackError as error:
        print(error)  # noqa: T201 (all of pytest's own output is written by now)


@pytest.fixture(scope="session")
def honnin_stack(pytestconfig: pytest.Config) -> HonninStack:
    """The stack: addresses, keys, queues, the bus. One that is up already is used, and left up."""
    from honnin_client.testing import StackError, stacks

    try:
        stack, is_ours = stacks.found_or_started(_wanted(pytestconfig), _sayer(pytestconfig))
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    if is_ours:
        pytestconfig.stash[_STARTED].touch()
    return stack


@pytest.fixture(scope="session")
def honnin(honnin_stack: HonninStack) -> Iterator[Honnin]:
    """The client, with the key of the merchant's back end."""
    from honnin_client import Honnin

    stack = honnin_stack
    with Honnin(stack.merchant_api_url, credentials=stack.merchant_key, region=stack.region) as client:
        yield client


@pytest.fixture(scope="session")
def sandbox(honnin_stack: HonninStack, honnin: Honnin) -> Iterator[Sandbox]:
    """Both providers: what users, reviewers and PayPay do."""
    from honnin_client.testing import Sandbox, SandboxError

    try:
        made = Sandbox(honnin_stack, honnin)
    except SandboxError as error:
        pytest.fail(str(error), pytrace=False)
    yield made
    made.close()


@pytest.fixture(scope="session")
def await_status(honnin: Honnin) -> AwaitStatus:
    """Waits until Honnin says of a user what the test expects."""
    from honnin_client.testing import AwaitStatus

    return AwaitStatus(honnin)


@pytest.fixture
def events(honnin_stack: HonninStack) -> Iterator[Events]:
    """The domain events since this fixture was made: name it before whatever acts."""
    from honnin_client.testing import Events

    with Events(honnin_stack) as listening:
        yield listening


@pytest.fixture
def merchant_webhooks(honnin_stack: HonninStack, sandbox: Sandbox) -> Iterator[MerchantWebhooks]:
    """A receiver of Honnin's webhooks, on this machine."""
    from honnin_client.testing import MerchantWebhooks

    with MerchantWebhooks(sandbox, honnin_stack.merchant_webhook_secret) as receiver:
        yield receiver


@pytest.fixture
def honnin_reset(honnin_stack: HonninStack) -> Callable[[], None]:
    """Empties the stack before the test, and again when it is called. Only without other workers."""
    if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:
        pytest.fail("honnin_reset empties the stack of all workers: run with -n0, or give each test users of its own.")
    honnin_stack.reset()
    return honnin_stack.reset


def _wanted(config: pytest.Config) -> Wanted:
    from honnin_client.testing import StackError, stacks
    from honnin_client.testing.stacks import Wanted

    values = {name: _setting(config, name) for name, _, _ in _SETTINGS}
    home = Path(values["home"]).expanduser() if values["home"] else None
    if values["sandbox"] not in ("on", "off"):
        raise StackError(f"honnin_sandbox is {values['sandbox']!r}: say on or off.")
    return Wanted(stacks.checkout(home), values["name"], values["parameters"], values["sandbox"] == "on")


def _setting(config: pytest.Config, name: str) -> str:
    given = config.getoption(f"--honnin-{name}") or os.environ.get(f"HONNIN_{name.upper()}")
    if given:
        return str(given)
    written = str(config.getini(f"honnin_{name}"))
    return str(config.rootpath / written) if name == "home" and written else written


def _sayer(config: pytest.Config) -> Callable[[str], None]:
    """Shows a line at once, although pytest captures what tests write."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(line: str) -> None:
        with capture.global_and_fixture_disabled():
            os.write(2, f"{line}\n".encode())

    return say
