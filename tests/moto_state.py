"""What is dear with moto and need not be: clients of boto3, a deployment for each test, and a copy of the whole table
for each write of a transaction.
"""

import copy
import copyreg
import pickle
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from threading import RLock
from types import SimpleNamespace
from typing import Any
from unittest import mock

import boto3
from moto import mock_aws
from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.core.serialize import AttributePicker, AttributePickerContext
from moto.dynamodb import models
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

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


# --- transactions ---

_transact = DynamoDBBackend.transact_write_items
_writes: ContextVar[Sequence[Any]] = ContextVar("_writes", default=())


def _transact_write_items(backend: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """moto's own, which keeps a deep copy of every table that it writes to, made anew for each write."""
    token = _writes.set([each for write in transact_items for each in write.values()])
    try:
        _transact(backend, transact_items)
    finally:
        _writes.reset(token)


def _deepcopy(value: Any) -> Any:
    return _before_the_writes(value) if isinstance(value, Table) else copy.deepcopy(value)


def _before_the_writes(table: Table) -> Table:
    """The table as it is: its items, of which only those that the transaction may change are copies."""
    kept = copy.copy(table)
    kept.items = defaultdict(dict, {key: copy.copy(items) for key, items in table.items.items()})
    for write in _writes.get():
        named = write.get("Key") or write.get("Item", {})
        keys = [DynamoType(named[name]) for name in (table.hash_key_attr, table.range_key_attr) if name in named]
        if write.get("TableName") == table.name and len(keys) == 2 and keys[1] in kept.items.get(keys[0], {}):
            kept.items[keys[0]][keys[1]] = copy.deepcopy(kept.items[keys[0]][keys[1]])
    return kept


vars(models)["copy"] = SimpleNamespace(deepcopy=_deepcopy)
setattr(DynamoDBBackend, "transact_write_items", _transact_write_items)  # noqa: B010 -- mypy knows it otherwise


# --- answers ---

_pick = AttributePicker.__call__
_TYPES = frozenset({"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"})


def _picked(picker: AttributePicker, context: AttributePickerContext) -> Any:
    """moto's own, which looks for each type of each value of an item under several names: a third of all its work."""
    if type(context.obj) is dict and context.key in _TYPES and context.obj.keys() <= _TYPES:
        return context.obj.get(context.key)
    return _pick(picker, context)


setattr(AttributePicker, "__call__", _picked)  # noqa: B010 -- mypy knows it otherwise
