"""What every world has: the clock, the boundary, AWS in memory, the queues and their workers, and how Lambda runs code.

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
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.constants import DEFAULT_PROVIDERS
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError, ReadTimeoutError

from chaos.aws import Bus, Guarded, GuardedDynamoDB, Secrets, aws_failure
from chaos.boundary import START, Boundary, Clock, Crash, InjectedBugError
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.replacing import replaced
from chaos.schedule import CommonStep, Echo, Fault, Poll, Rotate, Schedule, Wait, Work
from chaos.sqs import MemorySQS, Message, Queue
from honnin import commit, config, observability, times, webhook, worker
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

ACK_S = 10
API_S = 29
WORKER_S = 120

# Pauses within pauses: three workers on one user at once.
_DEEPEST = 3

# Every schedule drains long before: more means that something never comes to rest.
MOST_BATCHES = 400

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
    begins: datetime = START
    connections: Connections

    def __init__(self, schedule: Schedule[S | CommonStep], store: type[Store], table: type[MemoryDynamoDB]) -> None:
        self._steps = deque(schedule.steps)
        self._depth = 0
        self._idle: list[EventProcessor] = []
        self._late: list[tuple[datetime, Callable[[], object]]] = []
        self.pauses = 0
        self.clock = Clock(self.begins)
        self.boundary = Boundary(schedule.faults, self.clock, self.meanwhile)
        self.table = table(self.clock.peek)
        self.dead = Queue("dead", self.clock.peek)
        self.queue = Queue("events", self.clock.peek, self.dead)
        # Those of the processor; each has pollers of its own.
        self.queues = (self.queue, *(Queue(name, self.clock.peek, self.dead) for name in ("repairs", "rereads")))
        queues = {**{each.name: each for each in self.queues}, "dead": self.dead, **self.more_queues()}
        self.sqs = cast("SQSClient", Guarded(MemorySQS(self.clock.peek, queues), self.boundary, "sqs"))
        self.bus = Bus(self.boundary, lambda event_id: self.table.find(f"EVENT#{event_id}", "EVENT") is not None)
        self.log = io.StringIO()
        self.store = store(
            "StateTable",
            cast("DynamoDBClient", GuardedDynamoDB(self.table, self.boundary, "dynamodb")),
            now=self.clock.peek,
        )
        self.publisher = Publisher("bus", self.store, cast("EventBridgeClient", self.bus))

    def play(self, at_rest: Callable[[Self], None], closed: Callable[[Self], None]) -> None:
        """Play the schedule; call `at_rest` when all is quiet, `closed` when what was left open has come to its end."""
        with self.installed():
            self.prepare()
            while self._steps:
                self.step(self._steps.popleft())
            self.boundary.off = True
            self.calm()
            self.come_to_rest()
            at_rest(self)
            self.close()
            self.come_to_rest()
            closed(self)

    # --- what a world adds ---

    def step(self, step: S | CommonStep) -> None:
        """Play one step."""
        match step:
            case Work(size, order, wait_s):
                self.clock.advance(wait_s)
                self.work(size, order)
            case Echo(index):
                self.queue.echo(index)
            case Rotate():
                self.rotate()
            case Poll():
                self.poll()
            case Wait(seconds):
                self.clock.advance(seconds)
                self.arrive()
            case _:
                raise NotImplementedError(step)

    def processor(self) -> EventProcessor:
        """What a worker makes at its cold start."""
        raise NotImplementedError

    def secret(self) -> str:
        """What Secrets Manager gives."""
        raise NotImplementedError

    def rotate(self) -> None:
        """Rotate the API secret."""
        raise NotImplementedError

    def more_queues(self) -> Mapping[str, Queue]:
        """Queues beside that of the events and its dead letters."""
        return {}

    def prepare(self) -> None:
        """What there is before the first step."""

    def calm(self) -> None:
        """What happens when no fault is met any more."""
        self.arrive(everything=True)

    def come_to_rest(self) -> None:
        """No fault any more: the queue drains, dead letters are put back, the poll asks for whatever is due."""
        self.drain()
        self.queue.redrive()
        self.drain()

    def close(self) -> None:
        """Bring to an end what may stay open."""

    # --- what every world has ---

    @property
    def dead_letters(self) -> list[str]:
        """The errors for which messages were moved to the dead-letter queue."""
        return [each["errorType"]["StringValue"] for each in self.dead.attributes]

    def later(self, due: datetime, happens: Callable[[], object]) -> None:
        """Let something happen when it is due, or at the end."""
        self._late.append((due, happens))

    def arrive(self, *, everything: bool = False) -> None:
        """What was late and is due happens; what hung at a connection goes on."""
        self.connections.thaw()
        now = self.clock.peek()
        due = [each for each in self._late if everything or each[0] <= now]
        self._late = [each for each in self._late if each not in due]
        for _, happens in due:
            happens()

    def accept(self, body: str) -> str:
        """The ack path's `send`. Raises `SendError` for a fault."""

        def fail(_: str) -> str:
            raise SendError("chaos")

        return self.boundary.call("sqs", lambda: self.queue.add(body).id, fail)

    def acknowledge_paypay(self, body: str) -> webhook.Answer | None:
        """The answer to one delivery of PayPay's; None when the function died. Both its queues are one here."""
        request = {"requestContext": {"identity": {"sourceIp": "192.0.2.10"}}, "body": body}
        acknowledge = partial(
            webhook.acknowledge_paypay,
            request,
            source_cidrs=("192.0.2.0/24",),
            send=self.accept,
            send_recon_file=self.accept,
        )
        answer, _ = self.invoke(acknowledge, ACK_S)
        return answer

    def work(self, size: int, order: str) -> None:
        """A worker for each queue takes up to `size` of the messages that are due there."""
        for queue in self.queues:
            self._work(queue, size, order)

    def _work(self, queue: Queue, size: int, order: str) -> None:
        messages = queue.receive(size, order)
        if not messages:
            return
        environment = self._idle.pop() if self._idle else self._cold()

        def handle() -> Any:
            batch = environment.batch(may_wait=queue is not self.queue)
            answer = self.run_batch(messages, Event.from_json, batch.divide, (queue.name, "dead"))
            batch.end()
            return answer

        answer, _ = self.invoke(handle, WORKER_S)
        if answer is not None:
            self._idle.append(environment)
            self.delete_done(queue, messages, answer)

    def delete_done(self, queue: Queue, messages: Sequence[Message], answer: Mapping[str, Any]) -> None:
        """What Lambda's poller does with the messages that are done."""
        kept = {each["itemIdentifier"] for each in answer["batchItemFailures"]}

        def fail(kind: str) -> None:
            raise aws_failure("DeleteMessage", kind)

        for message in messages:
            if message.id not in kept:
                # What is not deleted comes again.
                with suppress(Crash, ClientError, ReadTimeoutError, InjectedBugError):
                    self.boundary.call("sqs", partial(queue.delete, message.handle), fail)

    def run_batch[M](
        self,
        messages: Sequence[Message],
        parse: Callable[[str], M],
        divide: Callable[[Sequence[M]], Sequence[worker.Group[M]]],
        queues: tuple[str, str],
    ) -> Mapping[str, Any]:
        """Process a batch as a function does: `queues` are its own and that of its dead letters."""
        batch = {"Records": [_record(message, queues[0]) for message in messages]}
        queue = worker.Queue(*queues, self.sqs)
        return worker.run(
            batch, _Context(self.boundary), parse=parse, divide=divide, queue=queue, overlap=self._in_some_order
        )

    @staticmethod
    def _in_some_order(tasks: Sequence[worker.Task]) -> Iterator[worker.Task]:
        """The groups of a batch one after the other, so that each call has its number; which is first, is chance."""
        return worker.one_after_another(random.sample(tasks, len(tasks)))

    def poll(self) -> None:
        """The scheduled poll runs."""

        def run() -> Any:
            return poll(
                store=self.store,
                publisher=self.publisher,
                send=self.accept,
                delays_s=self.delays_s,
                now=self.clock(),
                left_ms=self.boundary.remaining_ms,
            )

        self.invoke(run, WORKER_S)

    def drain(self) -> None:
        """Work until the queues are empty, whatever time passes until their messages are due."""
        for _ in range(MOST_BATCHES):
            due = self.next_due()
            if due is None:
                return
            self.clock.now = max(self.clock.now, due)
            self.work(10, "as sent")
        raise ViolationError("broken", "the queues do not drain")

    def next_due(self) -> datetime | None:
        """When the next message of the processor's queues is due."""
        return min((due for each in self.queues if (due := each.next_due())), default=None)

    @property
    def sent(self) -> list[str]:
        """The bodies of all that was ever put on the processor's queues."""
        return [body for queue in self.queues for body in queue.sent]

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

    def meanwhile(self, fault: Fault) -> None:
        """What happens while a call pauses: by the fault's kind."""
        if self._depth >= _DEEPEST:
            return
        self.pauses += 1
        self._depth += 1
        try:
            for _ in range(fault.calls if fault.kind == "pause" else 1):
                self.step(self._steps.popleft() if fault.kind == "pause" and self._steps else self.other(fault))
        finally:
            self._depth -= 1

    def other(self, fault: Fault) -> S | CommonStep:  # noqa: ARG002 -- a world may know more kinds
        """The step that happens meanwhile where it is not the schedule's next one."""
        return Work()

    def _cold(self) -> EventProcessor:
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        DEFAULT_PROVIDERS["secrets"] = Secrets(self.secret, self.boundary)
        return self.processor()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """This world's clock, HTTP exchange, secrets and log, in place of the process's own."""
        randomness = random.getstate()
        random.seed(0)
        parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        DEFAULT_PROVIDERS["secrets"] = Secrets(self.secret, self.boundary)
        ours = (
            (times, "utc_now", lambda: utc_text(self.clock())),
            (commit, "sleep", self.clock.advance),
            (sys, "stdout", _Log.redirect(self.log)),
        )
        try:
            with replaced(*ours), self.connections.installed():
                yield
        finally:
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


def _record(message: Message, queue: str) -> Mapping[str, Any]:
    return {
        "messageId": message.id,
        "receiptHandle": message.handle,
        "body": message.body,
        "attributes": {"ApproximateReceiveCount": str(message.receives), "SentTimestamp": "1775012400000"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:ap-northeast-1:000000000000:{queue}",
        "awsRegion": "ap-northeast-1",
    }
