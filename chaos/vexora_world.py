"""One schedule's world: Vexora, the merchant, the queue and its workers around Honnin's own code.

Real: `Submissions`, `VexoraClient` down to the HTTP exchange, `secret_store` with Powertools' cache,
`webhook.acknowledge_vexora_result`, `worker.run`, `EventProcessor`, `VexoraResults`, `Store`, `Publisher` and the
poll, `Vault`. Simulated: DynamoDB, S3, SQS, EventBridge, Secrets Manager and Vexora.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import requests

from chaos.aws import Guarded
from chaos.connections import Connections
from chaos.dynamodb import MemoryDynamoDB
from chaos.environment import ACK_S, API_S, Environment
from chaos.s3 import MemoryS3
from chaos.schedule import Work
from chaos.vexora import BASE_URL, UNKNOWN_USER, Application, Vexora
from chaos.vexora_callback import Request, request
from chaos.vexora_schedule import Elsewhere, Forge, Review, Step, Submit, VexoraSchedule
from honnin import secret_store, webhook
from honnin.errors import NotSentError
from honnin.http_client import Answer
from honnin.processor import EventProcessor
from honnin.store import Store
from honnin.vault import Vault
from honnin.vexora import signing
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.submission import Submissions

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

DELAYS_S = (600, 3600, 21600, 86400)
FURIGANA = "カオス ハナコ"

_CALLBACK_KEY = "chaos-callback-key"
_TRIES = 8  # of a callback that is not answered with 200
_LATE_S = 5 * 3600
_DAYS_OPEN = 8  # a submission that is open for long is asked for once a week


@dataclass(frozen=True)
class Parts:
    """The classes under test; a test of the harness itself puts a broken one in."""

    store: type[Store] = Store
    submissions: type[Submissions] = Submissions
    client: type[VexoraClient] = VexoraClient
    processor: type[EventProcessor] = EventProcessor
    table: type[MemoryDynamoDB] = MemoryDynamoDB


@dataclass(frozen=True)
class Called:
    """One submission call of the merchant's: which application it made (empty: none), and how it ended."""

    user_id: str
    submission_id: str
    ended: str
    at: datetime


class _Watched(Connections):
    """Connections at whose far end Vexora notes what was sent and what was reported."""

    vexora: Vexora

    def exchange(self, prepared: requests.PreparedRequest, *, kept: bool) -> Answer:
        """One request."""
        return self.vexora.exchange(prepared, lambda: super(_Watched, self).exchange(prepared, kept=kept))


class VexoraWorld(Environment[Step]):
    """Plays one schedule. What happened is in its public attributes, for `chaos.vexora_checks`."""

    delays_s = DELAYS_S

    def __init__(self, schedule: VexoraSchedule, parts: Parts | None = None) -> None:
        self._parts = parts or Parts()
        super().__init__(schedule, self._parts.store, self._parts.table)
        self.manners = schedule.manners
        self.vexora = Vexora(self.clock, schedule.manners)
        self.connections = _Watched(self.boundary, self.clock, self.vexora.answer, self.vexora.fail)
        self.connections.vexora = self.vexora
        self.vexora.unsent = self.connections.unsent
        self.bucket = MemoryS3()
        self._archive = VexoraArchive(Vault("bucket", cast("S3Client", Guarded(self.bucket, self.boundary, "s3"))))
        self.calls: list[Called] = []
        self.wrong: list[tuple[str, str]] = []
        self._serial = 0

    def calm(self) -> None:
        """Ten minutes later."""
        self.clock.advance(600)
        # The cache of secrets goes by the real clock, which stood still.
        self._cold()
        super().calm()

    # --- steps ---

    def step(self, step: Step) -> None:
        """Play one step."""
        self.arrive()
        match step:
            case Submit(user, repeat_s):
                self._submit(_name(user), repeat_s)
            case Review(user, outcome, callback, form, claims):
                self._review(_name(user), outcome, callback, form, claims)
            case Elsewhere(user):
                self.vexora.apply_elsewhere(_name(user))
            case Forge(user, knows_token, form):
                self._forge(_name(user), form, knows_token=knows_token)
            case Work(size, order, wait_s):
                self.clock.advance(wait_s)
                self.arrive()
                self.work(size, order)
            case _:
                super().step(step)

    def rotate(self) -> None:
        """In Secrets Manager and at Vexora."""
        self.vexora.app_secret = f"secret-{int(self.vexora.app_secret.removeprefix('secret-')) + 1}"

    def _submit(self, user_id: str, repeat_s: int) -> None:
        error = self._call(user_id)
        if repeat_s and error is not None:
            self.clock.advance(repeat_s)
            self.arrive()
            self._call(user_id)

    def _call(self, user_id: str) -> BaseException | None:
        pauses, attempts = self.pauses, len(self.vexora.users[user_id].attempts)
        begun = self.clock.peek()
        submissions = self._submissions()
        _, error = self.invoke(lambda: submissions.submit(user_id, FURIGANA), API_S)
        mine = self.vexora.users[user_id].attempts[attempts:]
        ended = type(error).__name__ if error else "done"
        if self.pauses == pauses:
            self.calls.append(Called(user_id, mine[-1].submission_id if mine else "", ended, begun))
            self._check_not_sent(user_id, error, [each.number for each in mine])
        return error

    def _check_not_sent(self, user_id: str, error: BaseException | None, numbers: list[str]) -> None:
        if not isinstance(error, NotSentError) or not set(numbers[-1:]) & set(self.connections.unsent):
            return
        after, wanted = self.status(user_id), self._before_submission(user_id) or "FAILED"
        if after != wanted:
            self.wrong.append(("diverged", f"{user_id} was {wanted}, nothing was sent, and is {after}"))

    def _before_submission(self, user_id: str) -> str | None:
        """What the user was when the last submission started; it may have been read just before."""
        started: list[str | None] = [
            item.get("from_status", {}).get("S")
            for commit in self.table.journal
            for item in commit.puts
            if item["pk"]["S"] == f"USER#{user_id}" and item.get("what", {}).get("S") == "submission_started"
        ]
        return started[-1]

    def status(self, user_id: str) -> str | None:
        """The user's status in the table, past every boundary."""
        item = self.table.find(f"USER#{user_id}", "STATUS#vexora")
        return item["status"]["S"] if item else None

    def _review(self, user_id: str, outcome: str, callback: str, form: str, claims: str) -> None:
        application = self.vexora.review(user_id, outcome)
        if application is None or outcome == "begin" or not application.callback_url:
            return
        called = self._callback(application, form, claims or application.status)
        match callback:
            case "sent" | "twice":
                for _ in range(2 if callback == "twice" else 1):
                    self._deliver(called)
            case "late":
                self.later(self.clock.peek() + timedelta(seconds=_LATE_S), lambda: self._deliver(called))

    def _callback(self, application: Application, form: str, status: str) -> Request:
        self._serial += 1
        path = application.callback_url.split("/")[-2:]
        secret = self.vexora.app_secret
        return request((path[0], path[1]), form, application.user_id, status, self._serial, secret)

    def _forge(self, user_id: str, form: str, *, knows_token: bool) -> None:
        mine = [each for each in self.vexora.users[user_id].applications if each.callback_url]
        if not mine:
            return
        called = self._callback(mine[0], form, "2")
        if knows_token:
            self._deliver(called)
            return
        called["pathParameters"]["token"] = called["pathParameters"]["token"][::-1]
        sent = len(self.queue.sent)
        answer = self._acknowledge(called)
        if answer and (answer["statusCode"] != 403 or len(self.queue.sent) > sent):
            self.wrong.append(("broken", f"a callback without the token was answered {answer['statusCode']}"))

    def _deliver(self, called: Request) -> None:
        """Vexora delivers: eight tries, then never again."""
        for _ in range(_TRIES):
            sent = len(self.queue.sent)
            answer = self._acknowledge(called)
            if answer and answer["statusCode"] == 200:
                if len(self.queue.sent) == sent:
                    self.wrong.append(("lost", "a callback was acknowledged and not queued"))
                return
            if answer and answer["statusCode"] != 503:
                self.wrong.append(("lost", f"a callback with its token was answered {answer['statusCode']}"))
                return
            self.clock.advance(5)

    def _acknowledge(self, called: Request) -> Any:
        def acknowledge() -> Any:
            return webhook.acknowledge_vexora_result(
                called,
                source_cidrs=("192.0.2.0/24",),
                callback_keys=lambda: (_CALLBACK_KEY,),
                verify_sign=lambda fields, sign: signing.verify(fields, sign, self.vexora.app_secret),
                send=self.accept,
            )

        answer, _ = self.invoke(acknowledge, ACK_S)
        return answer

    def arrive(self, *, everything: bool = False) -> None:
        """Applications that were late arrive before callbacks that were."""
        self.connections.thaw()
        self.vexora.arrive(everything=everything)
        super().arrive(everything=everything)

    def come_to_rest(self) -> None:
        """The poll asks for whatever is open."""
        super().come_to_rest()
        for _ in range(2):
            self.clock.advance(_DAYS_OPEN * 86_400)
            self.poll()
            self.drain()

    def close(self) -> None:
        """Vexora decides what is open, without a callback."""
        for number, user_id in enumerate(list(self.vexora.users)):
            self.vexora.review(user_id, ("approve", "reject")[number % 2])

    # --- what Lambda makes ---

    def processor(self) -> EventProcessor:
        """The processor of a fresh environment."""
        return self._parts.processor(
            store=self.store,
            publisher=self.publisher,
            vexora=self._client(12),
            now=self.clock,
            vexora_archive=self._archive,
        )

    def secret(self) -> str:
        """Vexora's credentials."""
        return json.dumps({"vexora_merchant_no": "merchant-1", "vexora_app_secret": self.vexora.app_secret})

    def _client(self, total_s: float) -> VexoraClient:
        now_ms = lambda: int(self.clock.peek().timestamp() * 1000)  # noqa: E731
        return self._parts.client(BASE_URL, secret_store.vexora_credentials, now_ms=now_ms, total_s=total_s)

    def _submissions(self) -> Submissions:
        return self._parts.submissions(
            store=self.store,
            client=self._client(11),
            publisher=self.publisher,
            webhook_api_url=lambda: "https://hooks.example.com/v1",
            callback_key=lambda: _CALLBACK_KEY,
            poll_delays_s=DELAYS_S,
            unknown_user_codes=(UNKNOWN_USER,) if self.manners.unknown_listed else (),
            now=self.clock,
            archive=self._archive,
        )


def _name(user: int) -> str:
    return f"user-{user}"
