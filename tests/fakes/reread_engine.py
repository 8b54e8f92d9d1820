"""`RereadUsers` in memory: table, bucket, queue, and the state machine of template.yaml, behind the boundary."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from chaos.aws import Guarded, GuardedDynamoDB
from chaos.boundary import Boundary, Clock, Crash
from chaos.dynamodb import MemoryDynamoDB
from chaos.replacing import Inline, replaced
from chaos.s3 import MemoryS3
from chaos.schedule import Fault
from chaos.states import FailedError, MemoryStates, definition
from honnin import event_queue
from honnin.event import Event
from honnin.reread import listing, plan
from honnin.reread.bucket import RereadBucket, ids_key
from honnin.reread.reading import PartReading
from honnin.reread.starting import Executions, State, reread_of
from honnin.store import Effect, Reread, Store, Submission, UserStatus
from honnin.store.rereads import Kind
from honnin.times import utc_text
from tests.fakes.paypay_user import paypay_user

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

MACHINE = "arn:aws:states:ap-northeast-1:000000000000:stateMachine:honnin-RereadUsers"
NAME = "reread-1"
AT = "2026-03-01T00:00:00.000Z"
STARTED = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)


class RereadEngine:
    """Everything that a reread needs. `size` is the users of a part, `rows` the ids of a range of a file.

    The events that were sent are in `queue` until `work` takes them. `applied` counts what took effect, by event id.
    While it is `faulty`, the faults meet the calls of the functions.
    """

    def __init__(self, faults: Sequence[Fault] = (), *, size: int = 2, rows: int = 3) -> None:
        self.clock = Clock(STARTED)
        self.boundary = Boundary(faults, self.clock, lambda _: None)
        self.boundary.off = True
        self.faulty = False
        self.table, self.objects = MemoryDynamoDB(self.clock.peek), MemoryS3()
        db = cast("DynamoDBClient", GuardedDynamoDB(self.table, self.boundary, "dynamodb"))
        self.store = Store("table", db, now=self.clock.peek)
        self.bucket = RereadBucket("recon", cast("S3Client", Guarded(self.objects, self.boundary, "s3")))
        self.states = MemoryStates(
            definition("RereadUsers"), self.call, self.read, lambda: self.clock.peek().timestamp()
        )
        states = cast("SFNClient", Guarded(self.states, self.boundary, "states"))
        self.executions = Executions(self.store, MACHINE, states)
        sqs = cast("SQSClient", Guarded(self, self.boundary, "sqs"))
        self.reading = PartReading(
            store=self.store, bucket=self.bucket, queue_url="rereads", now=self.clock.peek, client=sqs
        )
        self.queue: list[Event] = []
        self.sent: list[str] = []
        self.applied: Counter[str] = Counter()
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self._size, self._rows = size, rows

    # --- AWS ---

    def send_message_batch(self, *, QueueUrl: str, Entries: Iterable[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        """SQS."""
        assert QueueUrl == "rereads"
        events = [Event.from_json(each["MessageBody"]) for each in Entries]
        self.queue += events
        self.sent += [each.event_id for each in events]
        return {}

    def read(self, key: str) -> Any:
        """What the state machine reads of the bucket."""
        return json.loads(self.objects.objects[key])

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """An invocation by the state machine, as the handlers in functions/reread_*; one in `broken` fails."""
        self.calls.append(function)
        if function in self.broken:
            raise FailedError
        self.boundary.off = not self.faulty
        try:
            with replaced((event_queue, "ThreadPoolExecutor", Inline)):
                return self._invoked(function, event)
        except (Crash, Exception) as error:
            raise FailedError(type(error).__name__) from error
        finally:
            self.boundary.off = True

    def _invoked(self, function: str, event: dict[str, Any]) -> Any:
        reread = reread_of(self.store, event)
        match function:
            case "RereadPlanFunction" if "sources" not in event:
                return plan.sources(self.bucket, reread, self._rows)
            case "RereadPlanFunction":
                return plan.parts(self.store, self.bucket, reread)
            case "RereadListFunction":
                listing.run(self.store, self.bucket, reread, event["source"], self._size)
                return None
        return {"settled": self.reading.run(reread, event["part"])}

    # --- who there is ---

    def link(self, user_id: str, status: str = "VERIFIED") -> str:
        """A user with this status at PayPay; returns the authorization, which not everybody has."""
        linked = None if status in ("LINK_PENDING", "LINK_DECLINED") else f"auth-{user_id}"
        after = paypay_user(user_id, status, linked=linked, at=AT)
        self.store.events.apply(Effect(f"link:{user_id}", "linked", "api", AT, None, after, {}, links=bool(linked)))
        return linked or ""

    def submit(self, user_id: str, status: str = "PENDING") -> None:
        """A user with a submission in that state."""
        after = UserStatus(user_id, "vexora", status, 1, submission_id=f"sub-{user_id}", submitted_at=AT)
        opens = Submission(f"sub-{user_id}", user_id, status, AT, due_at=None)
        self.store.events.apply(Effect(f"api:{user_id}", "submission_started", "api", AT, None, after, {}, opens=opens))

    def move(self, user_id: str, status: str, provider: str = "paypay", event_id: str = "") -> None:
        """A user's status becomes another."""
        before = self.store.users.status(user_id, provider)
        assert before is not None
        after = replace(before, status=status, version=before.version + 1)
        event_id = event_id or f"move:{user_id}:{after.version}"
        self.store.events.apply(Effect(event_id, "kyc_read", "webhook", utc_text(self.clock()), before, after, {}))

    def put_file(self, text: str, name: str = NAME) -> None:
        """The file of ids of a reread."""
        self.objects.put_object(Key=ids_key(name), Body=text.encode())

    # --- what happens ---

    def begin(self, kind: Kind = Kind.STATUS, **facts: Any) -> str:
        """Start a reread: of everybody who is VERIFIED at PayPay, if nothing else is said."""
        if kind is Kind.STATUS:
            facts = {"provider": "paypay", "status": "VERIFIED"} | facts
        return self.executions.begin(Reread(NAME, kind, utc_text(STARTED), **facts))

    def run(self) -> None:
        """The state machine goes on until it waits, or ends."""
        while self.states.work(1):
            pass

    def work(self, *, status: str = "", what: str = "kyc_read") -> int:
        """The processor takes what is queued, each event once; a user becomes `status`. Returns how many there were."""
        events, self.queue = self.queue, []
        for event in events:
            if self.store.events.get(event.event_id):
                continue
            before = self._user(event)
            if before is None:
                continue
            self.applied[event.event_id] += 1
            after = replace(before, status=status or before.status, version=before.version + 1)
            at = utc_text(self.clock())
            self.store.events.apply(Effect(event.event_id, what, event.cause, at, before, after, {}))
        return len(events)

    def finish(self, limit: int = 200) -> Reread:
        """Work and go on until the reread is done; it is resumed where it fails."""
        for _ in range(limit):
            self.run()
            self.work()
            state = self.executions.state(self.reread())
            if state is State.DONE:
                return self.reread()
            if state is State.FAILED:
                self.executions.resume(NAME)
            self.clock.now += timedelta(seconds=61)
        raise AssertionError("it does not end")

    def reread(self) -> Reread:
        """The reread as the table has it."""
        found = self.store.rereads.get(NAME)
        assert found is not None
        return found

    def asked(self) -> Counter[str]:
        """How many events took effect on each user."""
        return Counter(self._owner(each) for each in self.applied.elements())

    def _owner(self, event_id: str) -> str:
        record = self.store.events.get(event_id)
        return (record and record.user_id) or ""

    def _user(self, event: Event) -> UserStatus | None:
        if event.provider == "paypay":
            link = self.store.links.get(event.subject)
            return self.store.users.status(link.user_id, "paypay") if link else None
        submission = self.store.submissions.get(event.subject)
        return self.store.users.status(submission.user_id, "vexora") if submission else None
