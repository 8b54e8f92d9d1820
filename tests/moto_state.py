"""What is dear with moto and need not be done for each test: clients of boto3, and the making of a deployment."""

import copyreg
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws
from moto.backends import get_backend
from moto.core.base_backend import BackendDict

# moto's queues hold a lock, which nobody holds between two tests.
copyreg.pickle(type(RLock()), lambda _: (RLock, ()))

_clients: dict[tuple[str, str], Any] = {}
# How to take back what a test has hooked into a client.
_hooked: list[Callable[[], None]] = []


@contextmanager
def moto() -> Iterator[None]:
    """An empty moto, as `mock_aws()`, with clients that outlive the block: `boto3.client` costs more than many a test.

    What is registered with the events of a client is taken back at the end.
    """
    with mock_aws(), mock.patch.object(boto3, "client", partial(_client, boto3.client)):
        try:
            yield
        finally:
            while _hooked:
                _hooked.pop()()


def saved() -> bytes:
    """All that moto holds."""
    instances: Any = BackendDict.__dict__["_instances"]
    used = [(each.service_name, *backend) for each in instances for backend in each.iter_backends()]
    return pickle.dumps(used)


def restore(state: bytes) -> None:
    """Let moto hold what it held when this was `saved`."""
    for service, account, region, backend in pickle.loads(state):
        get_backend(service)[account][region] = backend


def _client(make: Callable[..., Any], service: str, **named: Any) -> Any:
    config = named.get("config")
    other = {name: value for name, value in named.items() if name != "config"}
    key = (service, repr((other, config and config._user_provided_options)))
    if key not in _clients:
        _clients[key] = made = make(service, **named)
        register = made.meta.events.register

        def register_for_now(event: str, handler: Callable[..., Any], **more: Any) -> None:
            register(event, handler, **more)
            _hooked.append(partial(made.meta.events.unregister, event, handler, **more))

        made.meta.events.register = register_for_now
    return _clients[key]
