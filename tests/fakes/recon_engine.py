"""Recon's comparison in memory: table, bucket, queues, and the state machine of template.yaml."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from chaos.dynamodb import MemoryDynamoDB
from chaos.s3 import MemoryS3
from chaos.states import FailedError, MemoryStates, definition
from honnin.event import Event
from honnin.paypay.readings import recorded
from honnin.paypay_facets import Answer, Call
from honnin.publish import Publisher
from honnin.recon import outcomes, plan
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import RangeComparison
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.plan import Range
from honnin.recon.repair import Repairs
from honnin.recon.starting import Starting, comparison_of
from honnin.recon.summary import Summaries
from honnin.store import Comparison, Effect, ReconFile, Store
from honnin.times import utc_text
from tests.fakes.paypay_user import RULES, paypay_user

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

DAY = "2026-03-31"
# The morning after, when the notification came, and a quarter of an hour later.
NOTIFIED = "2026-03-31T18:00:00.000Z"
STARTED = datetime(2026, 3, 31, 18, 15, tzinfo=UTC)
NOON = "2026-03-31T03:00:00.000Z"

KYC, RISK, ACCOUNT = FILE_TYPES
PASSPORT = "mini_app_kyc_passport"


class Engine:
    """Everything that a comparison needs. `now` is moved by hand; `queues` are the events by queue."""

    def __init__(self, *, recheck_all: bool = True, required_kyc_type: str | None = None, rows: int = 2) -> None:
        self.now = STARTED
        self.table, self.objects = MemoryDynamoDB(lambda: self.now), MemoryS3()
        self.store = Store("table", cast("DynamoDBClient", self.table), now=lambda: self.now)
        self.bucket = ReconBucket("recon", cast("S3Client", self.objects))
        self.queues: dict[str, list[Event]] = defaultdict(list)
        self.published: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.broken: set[str] = set()
        self.states = MemoryStates(definition("ReconComparison"), self.call, self.read, lambda: self.now.timestamp())
        self.starting = Starting(
            store=self.store,
            machine_arn="arn:aws:states:ap-northeast-1:000000000000:stateMachine:honnin-ReconComparison",
            now=lambda: self.now,
            client=cast("SFNClient", self.states),
        )
        self.comparison = RangeComparison(
            store=self.store,
            bucket=self.bucket,
            repairs=Repairs(repair_queue_url="repairs", reread_queue_url="rereads", client=cast("SQSClient", self)),
            now=lambda: self.now,
            recheck_all=recheck_all,
            required_kyc_type=required_kyc_type,
        )
        self.summaries = Summaries(
            store=self.store,
            bucket=self.bucket,
            publisher=Publisher("bus", self.store, cast("EventBridgeClient", self)),
            now=lambda: self.now,
        )
        self._rows = rows
        self._numbers = 0

    # --- AWS ---

    def send_message_batch(self, *, QueueUrl: str, Entries: Iterable[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        """SQS."""
        self.queues[QueueUrl] += [Event.from_json(each["MessageBody"]) for each in Entries]
        return {}

    def put_events(self, *, Entries: Iterable[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        """EventBridge."""
        self.published += [json.loads(each["Detail"]) for each in Entries if each["DetailType"] == "ReconCompleted"]
        return {"FailedEntryCount": 0, "Entries": []}

    def read(self, key: str) -> Any:
        """What the state machine reads of the bucket."""
        return json.loads(self.objects.objects[key])

    def call(self, function: str, event: dict[str, Any]) -> Any:
        """An invocation by the state machine; a function in `broken` fails."""
        self.calls.append(function)
        if function in self.broken:
            raise FailedError
        comparison = comparison_of(event)
        match function:
            case "ReconPlanFunction":
                return plan.write(self.bucket, comparison, self._rows)
            case "ReconCompareFunction":
                self.comparison.run(comparison, Range(**event["range"]), event["etag"])
                return None
            case "ReconSummaryFunction" if "range" in event:
                outcomes.count(self.store, self.bucket, comparison, event["range"])
                return None
        return self.summaries.run(comparison)

    # --- who and what there is ---

    def link(
        self,
        user_id: str,
        *,
        read_at: str = NOON,
        calls: Iterable[Call] = (Call.KYC_PASSPORT, Call.AUTHORIZATION),
        scopes: tuple[str, ...] = (PASSPORT,),
        received: dict[str, str] | None = None,
    ) -> str:
        """Link a user, who was read by these calls at that time; returns the authorization."""
        linked = f"auth-{user_id}"
        words = ((call, "ACTIVE" if call is Call.AUTHORIZATION else "COMPLETED") for call in calls)
        read = [Answer(call, read_at, linked, 200, "SUCCESS", word, has_data=True) for call, word in words]
        status = recorded(paypay_user(user_id, linked=linked, at="2026-03-01T00:00:00.000Z"), read, RULES)
        status = replace(status, scopes=scopes, received=received, version=1)
        self.store.events.apply(Effect(f"link:{user_id}", "linked", "api", NOON, None, status, {}, links=True))
        return linked

    def put(
        self,
        *rows: str,
        file_type: str = KYC,
        name: str = "a.csv",
        notified: str = NOTIFIED,
        text: str | None = None,
        **facts: Any,
    ) -> ReconFile:
        """Store a file that lists these authorizations, as the download does."""
        content = text if text is not None else "".join(f"{each}\r\n" for each in ("userAuthorizationId", *rows))
        self.objects.put_object(Key=FileId(file_type, DAY, name).key, Body=content.encode())
        file = ReconFile(file_type, DAY, name, "STORED", received_at=notified, stored_at=utc_text(self.now), **facts)
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        self.store.recon.stored(replace(file, sha256=sha256, size=len(content)))
        return self.file(file_type, name)

    def file(self, file_type: str = KYC, name: str = "a.csv") -> ReconFile:
        """The file as the table has it."""
        found = self.store.recon.file(file_type, DAY, name)
        assert found is not None
        return found

    def report(self, file_type: str = KYC, name: str = "a.csv") -> dict[str, Any]:
        """The report in the bucket."""
        found: dict[str, Any] = json.loads(self.objects.objects[FileId(file_type, DAY, name).report_key])
        return found

    # --- what happens ---

    def run(self) -> None:
        """Start what is to be compared, and let the state machine go on until it waits."""
        self.starting.run()
        while self.states.work(1):
            pass

    def later(self, minutes: float = 5.1) -> None:
        """Time passes, and the state machine goes on."""
        self.now += timedelta(minutes=minutes)
        self.run()

    def queued(self, queue: str) -> list[str]:
        """The authorizations on a queue, in order."""
        return sorted(each.subject for each in self.queues[queue])

    def apply(self, *, becomes: str = "", what: str = "kyc_read") -> None:
        """The processor takes the events of both queues: each user is read, and is `becomes` from then on."""
        for event in [*self.queues.pop("repairs", []), *self.queues.pop("rereads", [])]:
            link = self.store.links.get(event.subject)
            before = self.store.users.status(link.user_id, "paypay") if link else None
            if before is None or self.store.events.get(event.event_id):
                continue
            at = utc_text(self.now)
            call = Call.AUTHORIZATION if event.kind == "account_status" else Call.KYC_PASSPORT
            read = Answer(call, at, event.subject, 200, "SUCCESS", "COMPLETED", has_data=True)
            after = recorded(before, [read] if what == "kyc_read" else [], RULES)
            after = replace(after, status=becomes or before.status, version=before.version + 1)
            self.store.events.apply(Effect(event.event_id, what, "recon", at, before, after, {}))


def comparison(number: int = 1, file_type: str = KYC, name: str = "a.csv") -> Comparison:
    """A comparison of the usual file."""
    return Comparison(file_type, DAY, name, number)
