"""What every world has: the clock, the boundary, AWS in memory, one queue and its workers, and how Lambda runs code.

Workers overlap without threads: at a boundary of the plan one pauses, the next steps of the schedule happen
(another worker's whole batch, a change at the provider), then it goes on.
"""

import io
import logging
import os
import random
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError, ReadTimeoutError

from chaos.aws import Bus, GuardedDynamoDB, Message, Queue, Secrets
from chaos.boundary import Boundary, Clock, Crash, InjectedBugError
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.schedule import Fault, Work
from honnin import config, observability, times, worker
from honnin.errors import HonninError
from honnin.event import Event
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.sqs_send import SendError
from honnin.store import Store
from honnin.times import utc_text
from honnin.vexora.poll import poll

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

API_S = 29
WORKER_S = 120

# Pauses within pauses: three workers on one user at once.
_DEEPEST = 3

# Every schedule drains long before: more means that something never comes to rest.
_MOST_BATCHES = 400

# How an invocation may fail under a fault plan. Anything else is a mistake, here or in the code under test.
_EXPLAINED = (HonninError, SendError, ReadTimeoutError, ClientError, InjectedBugError)


# (service, when, kind) of each fault that was met.
type Injected = Counter[tuple[str, str, str]]


class ViolationError(AssertionError):
    """An invariant does not hold; `kind` is lost, twice, diverged or broken."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class _Context(LambdaContext):
    """As much of a Lambda context as the worker asks for."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools types it as a static method
        """What is left of the invocation, on the world's clock."""
        return self._boundary.remaining_ms()


class Environment[S]:
    """One schedule's environment; a world adds the provider, its steps and what Lambda makes at a cold start."""

    delays_s: Sequence[int] = (600,)
    connections: Connections

    def __init__(
        self, steps: Sequence[S], faults: Sequence[Fault], store: type[Store], table: type[MemoryDynamoDB]
    ) -> None:
        self._steps = deque(steps)
        self._depth = 0
        self._idle: list[EventProcessor] = []
        self.pauses = 0
        self.clock = Clock()
        self.boundary = Boundary(faults, self.clock, self._meanwhile)
        self.table = table(self.clock.peek)
        self.queue = Queue(self.boundary, self.clock)
        self.bus = Bus(self.boundary, lambda event_id: self.table.find(f"EVENT#{event_id}", "EVENT") is not None)
        self.log = io.StringIO()
        self.store = store(
            "StateTable", cast("DynamoDBClient", GuardedDynamoDB(self.table, self.boundary)), now=self.clock.peek
        )
        self.publisher = Publisher("bus", self.store, cast("EventBridgeClient", self.bus))
        self._sqs = worker.Queue("events", "dead", cast("SQSClient", self.queue))

    # --- what a world adds ---

    def step(self, step: S) -> None:
        """Play one step."""
        raise NotImplementedError

    def processor(self) -> EventProcessor:
        """What a worker makes at its cold start."""
        raise NotImplementedError

    def secret(self) -> str:
        """What Secrets Manager gives."""
        raise NotImplementedError

    # --- steps that every world has ---

    def play_steps(self) -> None:
        """Play every step of the schedule."""
        while self._steps:
            self.step(self._steps.popleft())

    def work(self, size: int, order: str) -> None:
        """A worker takes up to `size` of the messages that are due."""
        messages = self.queue.receive(size, order)
        if not messages:
            return
        environment = self._idle.pop() if self._idle else self._cold()

        def handle() -> Any:
            environment.begin_batch()
            batch = {"Records": [_sqs_record(message) for message in messages]}
            context = _Context(self.boundary)
            return worker.run(batch, context, parse=Event.from_json, process=environment.process, queue=self._sqs)

        answer, _ = self.invoke(handle, WORKER_S)
        if answer is None:
            return
        self._idle.append(environment)
        kept = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        for message in messages:
            if message.id not in kept:
                self._ignoring_crashes(partial(self.queue.delete, message.id))

    def poll(self) -> None:
        """The scheduled poll runs."""

        def run() -> Any:
            return poll(
                store=self.store,
                publisher=self.publisher,
                send=self.queue.accept,
                delays_s=self.delays_s,
                now=self.clock(),
                left_ms=self.boundary.remaining_ms,
            )

        self.invoke(run, WORKER_S)

    def drain(self) -> None:
        """Work until the queue is empty, whatever time passes until its messages are due."""
        for _ in range(_MOST_BATCHES):
            due = self.queue.next_due()
            if due is None:
                return
            self.clock.now = max(self.clock.now, due)
            self.work(10, "as sent")
        raise ViolationError("broken", "the queue does not drain")

    # --- environments ---

    def invoke[T](self, function: Callable[[], T], seconds: float) -> tuple[T | None, BaseException | None]:
        """Run one invocation: its result, or how it failed. What no fault explains is raised."""
        try:
            with self.boundary.invocation(seconds):
                return function(), None
        except Crash as crash:
            self._idle.clear()
            return None, crash
        except _EXPLAINED as error:
            self.log.write(f"invocation failed: {type(error).__name__}\n")
            return None, error

    def _meanwhile(self, steps: int) -> None:
        if self._depth >= _DEEPEST:
            return
        self.pauses += 1
        self._depth += 1
        try:
            for _ in range(steps):
                if self._steps:
                    self.step(self._steps.popleft())
                else:
                    self.work(Work().size, Work().order)
        finally:
            self._depth -= 1

    def _ignoring_crashes(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Crash:
            return

    def _cold(self) -> EventProcessor:
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        DEFAULT_PROVIDERS["secrets"] = Secrets(self.secret, self.boundary)
        return self.processor()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """This world's clock, HTTP exchange, secrets and log, in place of the process's own."""
        randomness, stdout = random.getstate(), sys.stdout
        utc_now = times.utc_now
        random.seed(0)
        times.utc_now = lambda: utc_text(self.clock())
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        DEFAULT_PROVIDERS["secrets"] = Secrets(self.secret, self.boundary)
        sys.stdout = _Log.redirect(self.log)
        try:
            with self.connections.installed():
                yield
        finally:
            sys.stdout, times.utc_now = stdout, utc_now
            random.setstate(randomness)
            DEFAULT_PROVIDERS.clear()


class _Log(io.TextIOBase):
    """One stream for the whole process, since Powertools' logger keeps the one that it was made with."""

    _only: "_Log | None" = None
    _target: io.StringIO

    @classmethod
    def redirect(cls, target: io.StringIO) -> "_Log":
        """The stream, which from now on writes to `target`."""
        cls._only = cls._only or cls()
        cls._only._target = target
        return cls._only

    def write(self, text: str) -> int:
        """Pass it on."""
        return self._target.write(text)


@contextmanager
def prepared() -> Iterator[None]:
    """The environment variables and the logger of a function, around any number of worlds."""
    wanted = {"PROVIDERS_SECRET_ARN": "arn:chaos:providers", "POWERTOOLS_SERVICE_NAME": "honnin-chaos"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    _forget()
    stdout, sys.stdout = sys.stdout, _Log.redirect(io.StringIO())
    observability.logger()
    sys.stdout = stdout
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        _forget()


def _forget() -> None:
    config.settings.cache_clear()
    observability.logger.cache_clear()
    logging.Logger.manager.loggerDict.pop("honnin-chaos", None)


def _sqs_record(message: Message) -> Mapping[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives), "SentTimestamp": "1775012400000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:ap-northeast-1:000000000000:events",
        "awsRegion": "ap-northeast-1",
    }
