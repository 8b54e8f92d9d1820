"""One schedule's world: PayPay's webhooks and nightly recon files, three linked users, and Honnin's own code.

Real: the acknowledgement, the worker and the processor, the download, the comparison, the report and its event, and
the sandbox's register, webhooks and files. Simulated: AWS, and the wires between Honnin and the sandbox.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import requests
from flask.testing import FlaskClient
from requests.structures import CaseInsensitiveDict

from chaos import paypay
from chaos.aws import Guarded, Topic
from chaos.boundary import Crash
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.environment import MOST_BATCHES, Environment, ViolationError
from chaos.paypay import RULES
from chaos.recon_schedule import CHANGES, NOTIFICATIONS, Change, Compare, Download, Kill, Night, ReconSchedule, Step
from chaos.replacing import Inline, replaced
from chaos.s3 import MemoryS3
from chaos.schedule import Fault, Work
from chaos.states import FailedError, MemoryStates, definition
from honnin import commit, event_queue, remote_file, secret_store, times
from honnin.errors import FileGoneError, FileNotFetchedError
from honnin.http_client import Answer as HttpAnswer
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient, PayPayPaths
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import linking, recorded
from honnin.paypay_facets import SUCCEEDED, Answer, Call
from honnin.processor import EventProcessor
from honnin.recon import compare, download, outcomes, plan, repair
from honnin.recon.bucket import ReconBucket
from honnin.recon.compare import RangeComparison
from honnin.recon.download import Downloads
from honnin.recon.fetch_alarm import FetchAlarm
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.notification import ReconNotifications
from honnin.recon.plan import Range
from honnin.recon.repair import Repairs
from honnin.recon.starting import Starting, comparison_of
from honnin.recon.summary import Summaries
from honnin.recon.transfer import Source
from honnin.store import Comparison, Store, UserStatus
from honnin.times import utc_text
from honnin.vault import Vault
from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.delivery import Answer as MerchantAnswer
from sandbox.delivery import UndeliveredError
from sandbox.paypay import register
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.register import Change as Happened

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_stepfunctions import SFNClient

    from honnin.paypay.selfie import Selfies
    from honnin.vexora.client import VexoraClient

PASSPORT, INFO = ("mini_app_kyc_passport",), ("get_kyc_info",)

_SCOPES = (PASSPORT, PASSPORT, INFO)
_BASE_URL = "http://127.0.0.1:9"
_ACCOUNT = PayPayAccount(
    webhook_urls={kind: f"https://merchant.example.com/{kind}" for kind in ("kyc", "risk", "account_status", "recon")}
)
_COMPARE_S = 900
_DOWNLOAD_S = 300
# What crashed is over: its claims have ended, its messages are visible again.
_AFTER_A_CRASH_S = 960


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test of the harness itself puts a broken one in."""

    store: type[Store] = Store
    comparison: type[RangeComparison] = RangeComparison
    summaries: type[Summaries] = Summaries
    starting: type[Starting] = Starting
    downloads: type[Downloads] = Downloads
    event_id: Callable[[Comparison, str], str] = repair.event_id
    table: type[MemoryDynamoDB] = MemoryDynamoDB


@dataclass(frozen=True)
class SentEvents:
    """A change at PayPay and the events that its webhooks would be."""

    happened: Happened
    event_ids: frozenset[str]


@cache
def _sandbox() -> tuple[Sandbox, FlaskClient]:
    """One for all worlds; each begins with a reset."""
    made = Sandbox(SandboxConfig(paypay=_ACCOUNT))
    return made, create_app(made).test_client()


class ReconWorld(Environment[Step]):
    """Plays one schedule. What happened is in its public attributes, for `chaos.recon_checks`."""

    # 22:30 in Japan: schedules cross midnight.
    begins = datetime(2026, 4, 1, 13, 30, tzinfo=UTC)

    def __init__(self, schedule: ReconSchedule, parts: Parts | None = None) -> None:
        self.schedule = schedule
        self._parts = parts or Parts()
        super().__init__(schedule, self._parts.store, self._parts.table)
        self.sandbox, self._http = _sandbox()
        self.connections = Connections(self.boundary, self.clock, self._answer, paypay.failure)
        self.bucket = MemoryS3()
        self.changes: list[SentEvents] = []
        self.mails = Topic()
        self._crashed = False
        self.states = MemoryStates(
            definition("ReconComparison"), self._call, self._read, lambda: self.clock.peek().timestamp()
        )
        self._make()

    def _make(self) -> None:
        s3 = cast("S3Client", Guarded(self.bucket, self.boundary, "s3"))
        bucket = ReconBucket("recon", s3)
        alarm = FetchAlarm("topic", cast("SNSClient", self.mails))
        # No answer to these reads names a selfie.
        self._archive = KycArchive(Vault("vault", s3), cast("Selfies", None))
        source = Source(("127.0.0.1",), 1_000_000, loopback=True)
        self._downloads = self._parts.downloads(
            store=self.store,
            bucket=bucket,
            source=source,
            alarm=alarm,
            own_ids=lambda: {"merchant_id": _ACCOUNT.merchant_id, "client_id": _ACCOUNT.client_id},
            now=self.clock,
        )
        self._bucket = bucket
        self._starting = self._parts.starting(
            store=self.store,
            machine_arn="arn:aws:states:ap-northeast-1:000000000000:stateMachine:recon",
            now=self.clock,
            client=cast("SFNClient", Guarded(self.states, self.boundary, "states")),
        )
        self._comparison = self._parts.comparison(
            store=self.store,
            bucket=bucket,
            repairs=Repairs(repair_queue_url="repairs", reread_queue_url="rereads", client=self.sqs),
            now=self.clock,
            recheck_all=self.schedule.recheck_all,
        )
        self._summaries = self._parts.summaries(
            store=self.store, bucket=bucket, publisher=self.publisher, now=self.clock
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """As every world; besides, the wires to the sandbox, and sizes by which few users are as many."""
        numbers = itertools.count(1)
        ours = [
            (remote_file, "opened", self._opened),
            *((module, "ThreadPoolExecutor", Inline) for module in (download, compare, event_queue)),
            (register, "uuid", SimpleNamespace(uuid4=lambda: UUID(int=next(numbers)))),
            # Three users make a small file: each has calls of its own, as many users have.
            (compare, "_USERS_AT_ONCE", 1),
            (event_queue, "_AT_ONCE", 1),
            *((module, "event_id", self._parts.event_id) for module in (repair, outcomes)),
        ]
        with super().installed(), replaced(*ours):
            yield

    def prepare(self) -> None:
        """Three users are linked and verified."""
        self.sandbox.reset()
        self.sandbox.core.clock._time_source = lambda: self.clock.peek().timestamp()
        self.sandbox.core.courier.transport = self._webhook
        self.boundary.off = True
        for user, scopes in enumerate(_SCOPES):
            self._link(_name(user), scopes)
        self.boundary.off = False

    def _link(self, user_id: str, scopes: tuple[str, ...]) -> None:
        known = self.sandbox.paypay.register
        user = known.user(user_id)
        user.reference_id = user_id
        user.kyc.completed = True
        linked = known.grant(user, scopes, 365).id
        at = utc_text(self.clock())
        read = Answer(Call.KYC_PASSPORT, at, linked, 200, "SUCCESS", "COMPLETED", has_data=True)
        pending = UserStatus(user_id, "paypay", "LINK_PENDING", 1, scopes=scopes)
        after = recorded(pending, [linking(SUCCEEDED, at, linked), read], RULES)
        linking_effect = commit.effect(f"link:{user_id}", "linked", None, after, {}, at=self.clock())
        self.store.events.apply(replace(linking_effect, links=True))

    def owners(self) -> dict[str, str]:
        """The users by their authorizations."""
        users = [self.sandbox.paypay.register.user(_name(user)) for user in range(len(_SCOPES))]
        return {user.authorizations[0].id: _name(number) for number, user in enumerate(users)}

    # --- steps ---

    def step(self, step: Step) -> None:
        """Play one step; after a crash so much time passes that all can be tried again."""
        match step:
            case Change(user, what, notification):
                self._change(_name(user), what, notification)
            case Night(notification):
                self._night(notification)
            case Download():
                self._download()
            case Compare(calls):
                self.states.work(calls)
            case Kill():
                self.states.kill()
            case _:
                super().step(step)
        if self._crashed and not self._depth:
            self._crashed = False
            self.clock.advance(_AFTER_A_CRASH_S)
        self._happen()

    def invoke[T](self, function: Callable[[], T], seconds: float) -> tuple[T | None, BaseException | None]:
        """Run one invocation."""
        result, error = super().invoke(function, seconds)
        self._crashed = self._crashed or isinstance(error, Crash)
        return result, error

    def other(self, fault: Fault) -> Step:
        """Another worker, or the state machine."""
        return Compare() if fault.kind == "comparison" else Work(6)

    def arrive(self, *, everything: bool = False) -> None:
        """What PayPay does in its own time."""
        super().arrive(everything=everything)
        self._happen()

    def _happen(self) -> None:
        self.sandbox.core.schedule.run_due()

    def _pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.arrive()

    def _change(self, user: str, what: str, notification: str) -> None:
        known = self.sandbox.paypay.register.user(user)
        path, body = CHANGES[what]
        was_off = self.boundary.off
        if what == "cleared":
            # No recon file lists who is cleared: this notification must arrive, or nobody can know.
            notification, self.boundary.off = "sent", True
        dials = self.sandbox.paypay.dials
        dials.reset()
        dials.put(NOTIFICATIONS[notification])
        before = len(known.notifications)
        self._control(f"/_sandbox/paypay/users/{user}/{path}", body)
        made = known.notifications[before:]
        event_ids = frozenset(f"paypay:{each.kind}:{each.id}" for each in made)
        self.changes.append(SentEvents(self.sandbox.paypay.register.history()[-1], event_ids))
        self._happen()
        self.boundary.off = was_off

    def _night(self, notification: str, day: str = "") -> None:
        now = self.clock.peek().astimezone(times.JST)
        if not day and now.hour < 2:
            # Base document: notifications come between 1:30 and 10:00.
            self._pass_time(7200 - (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds())
        dials = self.sandbox.paypay.dials
        dials.reset()
        dials.put({"recon_notification": notification, "webhook_copies": 1})
        self._control("/_sandbox/paypay/recon-night", {"day": day} if day else {})
        self._happen()

    def _control(self, path: str, body: Mapping[str, object]) -> None:
        answer = self._http.post(path, json=body, base_url=_BASE_URL)
        if answer.status_code != 200:
            raise AssertionError(answer.data)

    def _download(self) -> None:
        """As functions/recon_download."""

        def run() -> None:
            try:
                self._downloads.run(self.boundary.remaining_ms)
            finally:
                self._starting.run()

        self.invoke(run, _DOWNLOAD_S)

    def _call(self, function: str, event: dict[str, Any]) -> Any:
        """An invocation by the state machine, as the handlers in functions/recon_*."""
        comparison = comparison_of(event)

        def run() -> Any:
            match function:
                case "ReconPlanFunction":
                    # Each row is a range.
                    return plan.write(self._bucket, comparison, 1)
                case "ReconCompareFunction":
                    self._comparison.run(comparison, Range(**event["range"]), event["etag"])
                    return None
                case "ReconSummaryFunction" if "range" in event:
                    outcomes.count(self.store, self._bucket, comparison, event["range"])
                    return None
            return self._summaries.run(comparison)

        answer, error = self.invoke(run, _COMPARE_S)
        if error is not None:
            raise FailedError(type(error).__name__)
        return answer

    def _read(self, key: str) -> Any:
        return json.loads(self.bucket.objects[key])

    # --- the wires ---

    def _webhook(self, url: str, body: bytes, content_type: str, timeout_s: float) -> MerchantAnswer:  # noqa: ARG002
        answer = self.acknowledge_paypay(body.decode())
        if answer is None:
            raise UndeliveredError("the function died")
        return MerchantAnswer(answer["statusCode"], answer["body"])

    def _answer(self, prepared: requests.PreparedRequest) -> HttpAnswer:
        answer = self._http.open(
            urlsplit(str(prepared.url))._replace(scheme="", netloc="").geturl(),
            method=prepared.method,
            headers=dict(prepared.headers),
            data=prepared.body,
        )
        return HttpAnswer(answer.status_code, CaseInsensitiveDict(answer.headers.items()), answer.data)

    @contextmanager
    def _opened(self, url: str, **_: object) -> Iterator[SimpleNamespace]:
        def fail(_: str) -> Any:
            raise FileNotFetchedError("chaos")

        path = urlsplit(url)._replace(scheme="", netloc="").geturl()
        answer = self.boundary.call("file", lambda: self._http.get(path), fail)
        if answer.status_code != 200:
            gone = answer.status_code in (403, 404, 410)
            raise (FileGoneError if gone else FileNotFetchedError)(f"HTTP {answer.status_code}")
        yield SimpleNamespace(
            status=200,
            headers=CaseInsensitiveDict(answer.headers.items()),
            length=len(answer.data),
            ends_with_connection=False,
            codings=list,
            pieces=lambda: iter([answer.data[:9], answer.data[9:]]),
        )

    # --- the end ---

    def calm(self) -> None:
        """Two hours later nothing crashes any more."""
        self._pass_time(7200)
        super().calm()

    def close(self) -> None:
        """Each night is played once more, the last one included."""
        last = self.clock.peek().astimezone(times.JST).date()
        day = self.begins.astimezone(times.JST).date()
        midnight = datetime.combine(last + timedelta(days=1), datetime.min.time(), times.JST)
        self._pass_time((midnight - self.clock.peek()).total_seconds() + 7200)
        while day <= last:
            self._night("sent", day.isoformat())
            self.come_to_rest()
            day += timedelta(days=1)

    def come_to_rest(self) -> None:
        """The queue drains, files are fetched and compared, and the poll publishes what is overdue."""
        self.drain()
        self.queue.redrive()
        self.drain()
        self.clock.advance(180)
        self.poll()

    def drain(self) -> None:
        """Work, fetch and compare until there is nothing to do, whatever time passes."""
        for _ in range(MOST_BATCHES):
            due = self.next_due()
            to_compare = self.store.comparisons.due(utc_text(self.clock.peek()))
            # What closes no day is tried on for two hours: nothing more is to be had of it.
            to_fetch = [each for each in self.store.notifications.to_fetch() if not each.gave or not each.reason]
            is_busy = due or self.states.running or to_compare
            if not is_busy and not to_fetch:
                return
            self.clock.now = max(self.clock.now, due or self.clock.now)
            self.work(10, "as sent")
            self.step(Download())
            self.step(Compare())
            # Where all that is left to fetch has been fetched once, only its two hours have to pass.
            self._pass_time(1800 if not is_busy and all(each.gave for each in to_fetch) else 100)
        raise ViolationError("broken", "the queues do not drain")

    # --- what Lambda makes ---

    def processor(self) -> EventProcessor:
        """The processor of a fresh environment."""
        client = PayPayClient(
            _BASE_URL,
            secret_store.paypay_credentials,
            paths=PayPayPaths(_ACCOUNT.paths.kyc_info, _ACCOUNT.paths.kyc_passport, _ACCOUNT.paths.kyc_passport_qr),
            epoch=lambda: self.clock.peek().timestamp(),
            sleep=self.clock.advance,
        )
        return EventProcessor(
            store=self.store,
            publisher=self.publisher,
            vexora=cast("VexoraClient", None),  # no event here is Vexora's
            now=self.clock,
            paypay=PayPayNotifications(
                store=self.store,
                client=client,
                archive=self._archive,
                rules=RULES,
                now=self.clock,
            ),
            recon=ReconNotifications(self.store, tuple(FILE_TYPES)),
        )

    def secret(self) -> str:
        """PayPay's credentials."""
        return json.dumps({"paypay_api_key": _ACCOUNT.api_key, "paypay_api_secret": _ACCOUNT.api_secret})


def _name(user: int) -> str:
    return f"user-{user}"
