"""A small world in which Honnin's own code meets crashes, races, lost answers and a queue that delivers twice.

`events`, `store`, `publish`, `webhook`, `vexora.submission` and `vexora.poll` are the real ones, the table is
moto's. The provider keeps its users in the sandbox's own register. Every call that leaves the process passes a
`Boundary` before and after it, where a schedule may crash the caller or let something else happen meanwhile.

Its parts serve the world of recon as well (test_recon_property.py).
"""

import contextlib
import io
import itertools
import json
import operator
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError

from honnin import webhook
from honnin.errors import (
    ConflictError,
    HonninError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    ProviderUnavailableError,
)
from honnin.events import EventProcessor
from honnin.publish import Publisher
from honnin.status import BY_AUTHENTICATION_STATUS, OPEN, VexoraStatus
from honnin.store import Effect, Store
from honnin.vexora import signing
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import Reading
from honnin.vexora.poll import poll
from honnin.vexora.submission import Submissions
from honnin.webhook import Event
from sandbox.vexora.answers import RefusedError
from sandbox.vexora.register import Application, Register
from tests.tables import create_table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient

DELAYS_S = (600, 3600, 21600, 86400)
CALLBACK_KEY = "simulation-callback-key"
APP_SECRET = "simulation-app-secret"
TABLE = "StateTable"
START = datetime(2026, 4, 1, tzinfo=UTC)

# Every schedule ends long before: more means that something never comes to rest.
_MOST_DELIVERIES = 500


class Crash(BaseException):
    """The execution environment is gone in the middle of something. Nothing of Honnin's may catch it."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


# --- what a schedule is made of ---


@dataclass(frozen=True)
class Submit:
    """The merchant submits a user.

    `fault` of the apply: lost, unanswered, late (arrives after the caller gave up), error_before, error_after,
    refused or none; `query_fault` of the
    question before it, if one is asked: timeout, error, refused or none.
    """

    user: int
    fault: str = ""
    query_fault: str = ""


@dataclass(frozen=True)
class Review:
    """The provider begins its review, or decides it; `copies` callbacks come (0: dropped), claiming `claims`."""

    user: int
    outcome: str
    copies: int = 1
    claims: str = ""


@dataclass(frozen=True)
class Forge:
    """A callback of somebody who has no right token, or one (`knows_token`) who claims an approval."""

    user: int
    knows_token: bool = False


@dataclass(frozen=True)
class Deliver:
    """The queue hands out one message. `again`: it will come once more. `fault`: timeout, error or none."""

    index: int = 0
    again: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Poll:
    """The schedule runs the poll."""


@dataclass(frozen=True)
class Wait:
    """Time passes."""

    seconds: int


Step = Submit | Review | Forge | Deliver | Poll | Wait


@dataclass(frozen=True)
class Schedule:
    """Steps, and what happens at the n-th boundary: a crash of the caller, or another step meanwhile."""

    steps: Sequence[Step]
    interruptions: Mapping[int, Step | None] = field(default_factory=dict)  # None: crash


# --- the world ---


class Clock:
    """Aware UTC; every look at it takes a millisecond, so that no two moments are the same. `now` looks for free."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        """The present moment."""
        self.now += timedelta(milliseconds=1)
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Boundary[S]:
    """Counts the moments just before and just after each call out of the process.

    At the n-th of them the caller crashes (None), or that step is played by `interlude` meanwhile.
    """

    def __init__(self, interruptions: Mapping[int, S | None], interlude: Callable[[S], None]) -> None:
        self._interruptions = interruptions
        self._interlude = interlude
        self._busy = False
        self.off = False
        self.passed = 0

    @contextmanager
    def around(self) -> Iterator[None]:
        """Surround one call."""
        self._pass()
        yield
        self._pass()

    def _pass(self) -> None:
        if self._busy or self.off:
            return
        number, self.passed = self.passed, self.passed + 1
        if number not in self._interruptions:
            return
        step = self._interruptions[number]
        if step is None:
            raise Crash
        self._busy = True
        try:
            self._interlude(step)
        finally:
            self._busy = False


class Guarded:
    """Any AWS client with a boundary around each of its operations."""

    def __init__(self, client: object, boundary: Boundary[Any]) -> None:
        self._client = client
        self._boundary = boundary

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in ("exceptions", "get_paginator"):
            return attribute

        def call(*arguments: Any, **request: Any) -> Any:
            with self._boundary.around():
                return attribute(*arguments, **request)

        return call


class Bus:
    """The EventBridge client as `Publisher` uses it; keeps what was published."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []

    def put_events(self, **request: Any) -> Mapping[str, Any]:
        """Take every entry."""
        self.changes += [json.loads(entry["Detail"]) for entry in request["Entries"]]
        return {"FailedEntryCount": 0, "Entries": []}


class Provider(VexoraClient):
    """Vexora in process: the sandbox's register of users, and faults between it and the caller.

    `log` notes per user what was asked, in order and with the number of the call: `apply` (its fate unclear to
    the caller), `settled` (the caller of that apply was told), `query`.
    """

    def __init__(self, boundary: Boundary[Step], clock: Clock, lock: threading.RLock) -> None:
        self.register = Register(lock)
        self.log: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self._calls = itertools.count()
        self.apply_fault = ""
        self.query_fault = ""
        self._on_their_way: list[tuple[str, str]] = []
        self._boundary = boundary
        self._clock = clock

    def check_configuration(self) -> None:
        """Nothing is missing."""

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Take the application, unless the fault says otherwise."""
        fault, self.apply_fault = self.apply_fault, ""
        call = next(self._calls)
        with self._boundary.around():
            self.log[user_id].append(("apply", call))
            self.arrive()
            if fault == "late":
                self._on_their_way.append((user_id, callback_url))
            elif fault not in ("lost", "error_before", "refused"):
                try:
                    self.register.apply(user_id, callback_url)
                except RefusedError as refused:
                    fault = f"refused {refused.failure.value[0]}"
        if not fault or fault.startswith("refused"):
            self.log[user_id].append(("settled", call))
        self._fail(fault)
        return Reading("0")

    def arrive(self) -> None:
        """What was late arrives; the provider refuses what it refuses, and nobody hears of it."""
        while self._on_their_way:
            with contextlib.suppress(RefusedError):
                self.register.apply(*self._on_their_way.pop(0))

    def query_status(self, user_id: str) -> Reading:
        """What the register knows; a user whom it does not know is refused."""
        fault, self.query_fault = self.query_fault, ""
        with self._boundary.around():
            self.log[user_id].append(("query", next(self._calls)))
            application = self.register.latest(user_id)
            if application is None and not fault:
                fault = "refused 2001"
            reading = application.status.value if application else ""
        self._fail(fault)
        return Reading(reading)

    def _fail(self, fault: str) -> None:
        if fault in ("lost", "late", "unanswered", "timeout"):
            if not self._boundary._busy:  # a call under way may not outlive its function
                self._clock.advance(15)
            raise ProviderTimeoutError("vexora", "no answer")
        if fault.startswith("error"):
            raise ProviderUnavailableError("vexora", "HTTP 500", http_status=500)
        if fault.startswith("refused"):
            raise ProviderRefusedError("vexora", "refused", code=fault.removeprefix("refused ") or "2099")


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test of the harness itself puts a broken one in."""

    store: type[Store] = Store
    submissions: type[Submissions] = Submissions


class World:
    """One schedule's world over a table of its own."""

    def __init__(self, client: "DynamoDBClient", schedule: Schedule, parts: Parts, lock: threading.RLock) -> None:
        self._schedule = schedule
        self._client = client
        self.clock = Clock(START)
        self.boundary: Boundary[Step] = Boundary(schedule.interruptions, self._step)
        self.provider = Provider(self.boundary, self.clock, lock)
        self.bus = Bus()
        self.queue: list[str] = []
        self.sent: list[str] = []
        self._serial = itertools.count()
        guarded_bus = cast("EventBridgeClient", Guarded(self.bus, self.boundary))
        guarded = cast("DynamoDBClient", Guarded(client, self.boundary))
        self.store = parts.store(TABLE, guarded, now=lambda: self.clock.now)
        self.publisher = Publisher("bus", self.store, guarded_bus)
        self.submissions = parts.submissions(
            store=self.store,
            client=self.provider,
            publisher=self.publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: CALLBACK_KEY,
            poll_delays_s=DELAYS_S,
            now=self.clock,
        )
        self.processor = EventProcessor(
            store=self.store, publisher=self.publisher, vexora=self.provider, now=self.clock
        )

    def play(self) -> None:
        """Play the schedule, let everything come to rest, and raise `ViolationError` if an invariant does not hold."""
        for step in self._schedule.steps:
            # A late application arrives within a minute: before the next step, or just before the next apply.
            if not isinstance(step, Submit):
                self.provider.arrive()
            try:
                self._step(step)
            except Crash:
                # What took part in the crashed call is over; nobody learns of it before its time is up.
                self.clock.advance(45)
        self._come_to_rest()
        self._check()

    # --- steps ---

    def _step(self, step: Step) -> None:
        match step:
            case Submit(user, fault, query_fault):
                self._submit(_name(user), fault, query_fault)
            case Review(user, outcome, copies, claims):
                self._review(_name(user), outcome, copies, claims)
            case Forge(user, knows_token):
                self._forge(_name(user), knows_token=knows_token)
            case Deliver(index, again, fault):
                self._deliver(index, again=again, fault=fault)
            case Poll():
                self._poll()
            case Wait(seconds):
                self.clock.advance(seconds)

    def _submit(self, user_id: str, fault: str, query_fault: str) -> None:
        self.provider.apply_fault, self.provider.query_fault = fault, query_fault
        try:
            self.submissions.submit(user_id, "テスト ハナコ")
        except (ConflictError, ProviderError):
            pass
        finally:
            self.provider.apply_fault = self.provider.query_fault = ""

    def _review(self, user_id: str, outcome: str, copies: int, claims: str) -> None:
        application = self.provider.register.latest(user_id)
        if application is None:
            return
        if outcome == "begin":
            self.provider.register.begin_review(application)
        elif self.provider.register.decide(application, outcome):
            body = _callback_body(user_id, claims or application.status.value, next(self._serial))
            for _ in range(copies):
                self._call_back(application, body)

    def _forge(self, user_id: str, *, knows_token: bool) -> None:
        application = self.provider.register.latest(user_id)
        if application is not None:
            self._call_back(application, _callback_body(user_id, "2", next(self._serial)), forged=not knows_token)

    def _call_back(self, application: Application, body: str, *, forged: bool = False) -> None:
        submission_id, token = application.callback_url.split("/")[-2:]
        before = len(self.sent)
        answer = webhook.acknowledge_vexora_result(
            {
                "requestContext": {"identity": {"sourceIp": "192.0.2.10"}},
                "pathParameters": {"submissionId": submission_id, "token": token[::-1] if forged else token},
                "headers": {"Content-Type": "application/json"},
                "body": body,
            },
            source_cidrs=("192.0.2.0/24",),
            callback_keys=lambda: (CALLBACK_KEY,),
            verify_sign=lambda fields, sign: signing.verify(fields, sign, APP_SECRET),
            send=self._send,
        )
        _hold(answer["statusCode"] == (403 if forged else 200), f"a callback was answered {answer}")
        _hold((len(self.sent) == before) if forged else (len(self.sent) > before), "queued though forged, or lost")

    def _send(self, body: str) -> str:
        with self.boundary.around():
            self.queue.append(body)
            self.sent.append(Event.from_json(body).event_id)
        return str(len(self.sent))

    def _deliver(self, index: int, *, again: bool = False, fault: str = "") -> None:
        if not self.queue:
            return
        body = self.queue[index % len(self.queue)]
        self.provider.query_fault = fault
        try:
            self.processor.process(Event.from_json(body))
        except HonninError as error:
            _hold(error.retryable, f"a message would be parked: {error!r}")
            return
        finally:
            self.provider.query_fault = ""
        # Another worker may have been faster with the same message.
        if not again and body in self.queue:
            self.queue.remove(body)

    def _poll(self) -> None:
        poll(
            store=self.store,
            publisher=self.publisher,
            send=self._send,
            delays_s=DELAYS_S,
            now=self.clock(),
            left_ms=lambda: 300_000,
        )

    def _come_to_rest(self) -> None:
        """Every review is decided, no callback comes any more, nothing fails: only queue and poll are left."""
        self.boundary.off = True
        self.provider.arrive()
        self.clock.advance(60)
        self._drain()
        for user_id in self.provider.register.ids():
            application = self.provider.register.latest(user_id)
            if application is not None:
                self.provider.register.decide(application, "approve")
        # Two days: any poll is due by then. The second run publishes what the first one's crash left behind.
        for _ in range(2):
            self.clock.advance(2 * 86_400)
            self._poll()
            self._drain()

    def _drain(self) -> None:
        for _ in range(_MOST_DELIVERIES):
            if not self.queue:
                return
            self._deliver(0)
            # A message that must come again waits behind the others.
            self.queue[:] = self.queue[1:] + self.queue[:1]
            self.clock.advance(10)
        raise ViolationError("the queue does not drain")

    # --- invariants ---

    def _check(self) -> None:
        items = _scan(self._client)
        records = Counter(item["event_id"] for item in items if item["sk"] == "EVENT")
        entries = [item for item in items if item["sk"].startswith("AT#")]
        told = Counter(entry["event_id"] for entry in entries)
        _hold(told == records and set(told.values()) <= {1}, "an event without its one entry and one record")
        _hold(set(self.sent) <= set(records), "an acknowledged event took no effect")
        self._check_published(entries)
        for user_id in {item["user_id"] for item in items if "user_id" in item} | set(self.provider.register.ids()):
            mine = [entry for entry in entries if entry["pk"] == f"USER#{user_id}"]
            self._check_user(user_id, sorted(mine, key=lambda entry: str(entry["sk"])))
            _check_asked_between(self.provider.log[user_id])
        self._check_submissions(items)

    def _check_published(self, entries: Sequence[Mapping[str, Any]]) -> None:
        changes = {change["eventId"]: change for change in self.bus.changes}
        moves = {entry["event_id"]: entry for entry in entries if entry.get("from_status") != entry["to_status"]}
        _hold(set(changes) == set(moves), "a change was not published, or what is none was")
        for event_id, entry in moves.items():
            change = changes[event_id]
            said = (change["from"], change["to"], change["cause"], change["occurredAt"])
            is_so = (entry.get("from_status"), entry["to_status"], entry["cause"], entry["at"])
            _hold(said == is_so, f"published {said}, happened {is_so}")

    def _check_user(self, user_id: str, entries: Sequence[Mapping[str, Any]]) -> None:
        status = self.store.status(user_id, "vexora")
        _hold((status is None) == (not entries), "a status without a timeline, or the reverse")
        if status is None:
            _hold(self.provider.register.latest(user_id) is None, "the provider knows a user whom we do not")
            return
        chain = [None, *(entry["to_status"] for entry in entries)]
        _hold([entry.get("from_status") for entry in entries] == chain[:-1], f"the changes do not chain: {chain}")
        _hold(status.status == chain[-1], "the status is not where the timeline ends")
        _hold(status.version == len(entries), f"version {status.version} after {len(entries)} events")
        _hold(status.status in self._truths(user_id), f"{status.status}, the truth is {self._truths(user_id)}")

    def _truths(self, user_id: str) -> set[str]:
        """What the user's status may be once everything is at rest."""
        latest = self.provider.register.latest(user_id)
        if latest is None:
            # No application ever arrived there: refused, or still unclear (a new submission is allowed).
            return {VexoraStatus.SUBMITTING, VexoraStatus.FAILED}
        truth = BY_AUTHENTICATION_STATUS[latest.status.value]
        # After a rejection a new application may have been refused, which is ours alone to know.
        return {truth, VexoraStatus.FAILED} if truth is VexoraStatus.REJECTED else {truth}

    def _check_submissions(self, items: Sequence[Mapping[str, Any]]) -> None:
        for item in items:
            if item["sk"] == "SUBMISSION" and "due_kind" in item:
                status = self.store.status(item["user_id"], "vexora")
                _hold(status is not None and status.status in OPEN, "a decided submission is still polled")
            if item["sk"] == "EVENT":
                _hold("due_kind" not in item, "a published change still waits to be published")


def run(client: "DynamoDBClient", schedule: Schedule, parts: Parts | None = None) -> int:
    """Play one schedule on a fresh table; returns the boundaries passed. Raises `ViolationError`."""
    create_table(client, TABLE)
    try:
        world = World(client, schedule, parts or Parts(), threading.RLock())
        world.play()
        return world.boundary.passed
    finally:
        client.delete_table(TableName=TABLE)


def _check_asked_between(log: Sequence[tuple[str, int]]) -> None:
    """Never a second apply while the fate of the first is unclear and nobody has asked since."""
    unclear: set[int] = set()
    for entry, call in log:
        match entry:
            case "apply":
                _hold(not unclear, f"a blind second apply: {log}")
                unclear.add(call)
            case "settled":
                unclear.discard(call)
            case "query":
                unclear.clear()


def _callback_body(user_id: str, claims: str, serial: int) -> str:
    fields = {"userId": user_id, "authenticationStatus": claims, "timestamp": str(1_774_925_553_000 + serial)}
    return json.dumps({**fields, "sign": signing.sign(fields, APP_SECRET)})


def _scan(client: "DynamoDBClient") -> list[dict[str, Any]]:
    deserializer = TypeDeserializer()
    pages = client.get_paginator("scan").paginate(TableName=TABLE)
    return [
        {name: deserializer.deserialize(value) for name, value in item.items()}
        for page in pages
        for item in page["Items"]
    ]


def _name(user: int) -> str:
    return f"user-{user}"


def _hold(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ViolationError(otherwise)


# --- stores that are broken on purpose: a harness that does not find them is none ---


class _With:
    """A client with another `transact_write_items`."""

    def __init__(self, client: object, transact_write_items: Callable[..., None]) -> None:
        self._client = client
        self.transact_write_items = transact_write_items

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class RecordFirstStore(Store):
    """Writes the event's record in a transaction of its own, and what the event does in a second one."""

    def apply(self, effect: Effect) -> None:
        """A crash between the two leaves a record without its effect."""
        transact = self._db.transact_write_items

        def in_two(**request: Any) -> None:
            record, *rest = request["TransactItems"]
            transact(TransactItems=[record])
            try:
                transact(TransactItems=rest)
            except self._db.exceptions.TransactionCanceledException as error:
                # The reasons keep their places, so that the store reads them as it always does.
                error.response["CancellationReasons"].insert(0, {"Code": "None"})
                raise

        Store(self._table, cast("DynamoDBClient", _With(self._db, in_two)), now=self._now).apply(effect)


class UnfencedStore(Store):
    """Overwrites a status whatever its version is."""

    def _status_put(self, effect: Effect) -> dict[str, Any]:
        put = super()._status_put(effect)
        return {name: put[name] for name in ("TableName", "Item")}


# --- a faster table ---


class _CanceledError(ClientError):
    """A condition of a transaction does not hold."""


class _ConflictError(ClientError):
    """Never raised: here, calls come one after the other."""


class _ConditionError(ClientError):
    """The condition of a single write does not hold."""


class MemoryTable:
    """DynamoDB in memory, as far as `Store` uses it: for schedules by the hundred, some twenty times as fast as moto.

    What uses it also plays some schedules on moto. An expression that it does not know ends in an error.
    """

    exceptions = SimpleNamespace(
        TransactionCanceledException=_CanceledError,
        ConditionalCheckFailedException=_ConditionError,
        TransactionConflictException=_ConflictError,
    )

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}

    def get_item(self, *, Key: Mapping[str, Any], **_: object) -> dict[str, Any]:  # noqa: N803
        """Read one item."""
        found = self.items.get(_key(Key))
        return {"Item": found} if found else {}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        """Read up to 100 items."""
        [(table, wanted)] = RequestItems.items()
        _hold(1 <= len(wanted["Keys"]) <= 100, "DynamoDB takes 1 to 100 keys")
        found = [self.items[_key(key)] for key in wanted["Keys"] if _key(key) in self.items]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def query(self, **request: Any) -> dict[str, Any]:
        """Read one partition of the table or of an index, in the order of the sort key."""
        order = "due_at" if "IndexName" in request else "sk"
        found = [each for each in self.items.values() if order in each and _holds(each, request, "KeyCondition")]
        found.sort(key=lambda item: str(item[order]["S"]), reverse=not request.get("ScanIndexForward", True))
        return {"Items": found[: request.get("Limit")]}

    def scan(self, **_: object) -> dict[str, Any]:
        """Every item."""
        return {"Items": list(self.items.values())}

    def get_paginator(self, operation: str) -> Any:
        """A paginator of one page."""
        return SimpleNamespace(paginate=lambda **request: iter([getattr(self, operation)(**request)]))

    def put_item(self, *, Item: dict[str, Any], **_: object) -> None:  # noqa: N803
        """Write one item."""
        self.items[_key(Item)] = Item

    def update_item(self, **request: Any) -> None:
        """Change one item if its condition holds."""
        if not _holds(self.items.get(_key(request["Key"])), request):
            raise _ConditionError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._write("Update", request)

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> None:  # noqa: N803
        """Write all or nothing."""
        writes = [(kind, request) for each in TransactItems for kind, request in each.items()]
        keys = [_key(request.get("Key") or request["Item"]) for _, request in writes]
        _hold(len(set(keys)) == len(keys), "one item twice in a transaction")
        passed = [_holds(self.items.get(key), request) for key, (_, request) in zip(keys, writes, strict=True)]
        if not all(passed):
            answer: Any = {"Error": {"Code": "TransactionCanceledException"}}
            answer["CancellationReasons"] = [{"Code": "None" if each else "ConditionalCheckFailed"} for each in passed]
            raise _CanceledError(answer, "TransactWriteItems")
        for kind, request in writes:
            self._write(kind, request)

    def _write(self, kind: str, request: Mapping[str, Any]) -> None:
        match kind:
            case "Put":
                self.items[_key(request["Item"])] = request["Item"]
            case "Delete":
                self.items.pop(_key(request["Key"]), None)
            case "Update":
                self.items[_key(request["Key"])] = _updated(self.items.get(_key(request["Key"])), request)


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


_CONDITIONS = (
    (re.compile(r"([#\w]+) BETWEEN (:\w+) AND (:\w+)"), r"between('\1', '\2', '\3')"),
    (re.compile(r"([#\w]+) IN \(([^)]*)\)"), r"is_in('\1', '\2')"),
    (re.compile(r"(attribute_(?:not_)?exists)\(([#\w]+)\)"), r"\1('\2')"),
    (re.compile(r"begins_with\(([#\w]+), (:\w+)\)"), r"begins_with('\1', '\2')"),
    (re.compile(r"(?<!')([#\w]+) (=|<>|<=|<|>=|>) (:\w+)"), r"compare('\1', '\2', '\3')"),
    (re.compile(r"\b(AND|OR|NOT)\b"), lambda word: word[1].lower()),
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@cache
def _compiled(expression: str) -> Any:
    for pattern, replacement in _CONDITIONS:
        expression = pattern.sub(replacement, expression)
    return compile(expression, "condition", "eval")


def _holds(item: Mapping[str, Any] | None, request: Mapping[str, Any], kind: str = "Condition") -> bool:
    """Whether an item meets a request's condition; a comparison with an attribute that is not there is false."""
    expression = request.get(f"{kind}Expression")
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})

    def attribute(name: str) -> Any:
        return (item or {}).get(names.get(name, name))

    def compare(name: str, sign: str, value: str) -> bool:
        if sign == "<>":
            return not compare(name, "=", value)
        left, right = attribute(name), values[value]
        return left is not None and left.keys() == right.keys() and _COMPARISONS[sign](_plain(left), _plain(right))

    functions = {
        "attribute_exists": lambda name: attribute(name) is not None,
        "attribute_not_exists": lambda name: attribute(name) is None,
        "begins_with": lambda name, value: attribute(name)["S"].startswith(values[value]["S"]),
        "between": lambda name, first, last: compare(name, ">=", first) and compare(name, "<=", last),
        "is_in": lambda name, among: any(compare(name, "=", each) for each in among.split(", ")),
        "compare": compare,
        "__builtins__": {},
    }
    return expression is None or bool(eval(_compiled(expression), functions))


def _plain(value: Mapping[str, Any]) -> Any:
    [(kind, plain)] = value.items()
    return int(plain) if kind == "N" else plain


def _updated(item: Mapping[str, Any] | None, request: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(item or request["Key"])
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    parts = re.split(r"\s*\b(SET|REMOVE|ADD)\b\s+", request["UpdateExpression"])[1:]
    for verb, clauses in itertools.batched(parts, 2, strict=True):
        for clause in re.split(r", (?![^(]*\))", clauses):
            name, _, rest = clause.partition(" ")
            name = names.get(name, name)
            if verb == "REMOVE":
                made.pop(name, None)
            elif verb == "ADD":
                made[name] = {"SS": sorted({*made.get(name, {"SS": []})["SS"], *values[rest]["SS"]})}
            elif default := re.fullmatch(r"= if_not_exists\(([#\w]+), (:\w+)\)", rest):
                made[name] = made.get(names.get(default[1], default[1]), values[default[2]])
            else:
                made[name] = values[rest.removeprefix("= ")]
    return made


# --- a bucket ---


class NoSuchKeyError(ClientError):
    """S3 has no such object."""


class MemoryBucket:
    """S3 in memory, as far as the layer uses it; each new key is told to `told`."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKeyError)

    def __init__(self, told: Callable[[str], None]) -> None:
        self.content: dict[str, bytes] = {}
        self._told = told

    def put_object(self, *, Key: str, Body: bytes, IfNoneMatch: str = "", **_: object) -> None:  # noqa: N803
        """Keep an object, or refuse as S3 does."""
        if IfNoneMatch and Key in self.content:
            raise ClientError({"Error": {}, "ResponseMetadata": _http(412)}, "PutObject")
        self.content[Key] = Body
        self._told(Key)

    def get_object(self, *, Key: str, **_: object) -> dict[str, io.BytesIO]:  # noqa: N803
        """One object."""
        if Key not in self.content:
            raise NoSuchKeyError({"Error": {}, "ResponseMetadata": _http(404)}, "GetObject")
        return {"Body": io.BytesIO(self.content[Key])}

    def head_object(self, *, Key: str, **_: object) -> None:  # noqa: N803
        """Whether there is such an object."""
        if Key not in self.content:
            raise ClientError({"Error": {}, "ResponseMetadata": _http(404)}, "HeadObject")

    def upload_fileobj(self, source: Any, _bucket: str, key: str, **_: object) -> None:
        """Keep an object from an open file."""
        self.content[key] = source.read()


def _http(code: int) -> Any:
    return {"HTTPStatusCode": code}
