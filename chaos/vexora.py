"""Vexora in process, as unhelpful as its page allows: applications, what a question answers, and their history.

It stands behind `chaos.connections`: signing, the reading of answers and the typing of errors are the real ones. The
signature is checked by a rule of its own, written from the provider's page.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from chaos.boundary import START, Clock
from chaos.connections import NUMBER
from chaos.vexora_schedule import Manners
from honnin.http_client import Answer

BASE_URL = "https://vexora.example.com/japan"
UNKNOWN_USER = "2001"
REASON = "REASON the photo of the document is not sharp"

# A late application arrives before the first poll is due; until then nobody may take it for lost.
_LATE_S = (20, 150, 400)
_FIRST_POLL_S = 570  # 600 s after the submission was written, which may be up to 29 s before the call

OPEN = ("0", "1")

# Answers after which nobody knows whether an application was taken.
_UNCLEAR = ("throttled", "error", "system_error", "garbled", "contradicts", "8000")


@dataclass
class Application:
    """One application that took effect. `callback_url` is empty where it did not come through us."""

    user_id: str
    callback_url: str
    status: str = "0"
    corrected: bool = False  # a decision is corrected once, not to and fro


@dataclass
class Attempt:
    """One `kycApplyFor` of ours. `outcome` is what the caller could know: unclear, refused, answered."""

    number: str
    submission_id: str
    user_id: str
    at: datetime
    outcome: str = "unclear"
    arrived: bool = False
    on_its_way: bool = False


@dataclass(frozen=True)
class Change:
    """From `at` on a question about the user answers `value` (None: unknown there).

    `silent`: nobody need know of it before the next hint, since no submission of ours is open through it.
    """

    at: datetime
    value: str | None
    silent: bool


@dataclass
class User:
    """Everything that Vexora knows of one `userId`, and what it answered us."""

    applications: list[Application] = field(default_factory=list)
    history: list[Change] = field(default_factory=lambda: [Change(START, None, silent=True)])
    attempts: list[Attempt] = field(default_factory=list)
    approved_at: list[datetime] = field(default_factory=list)  # an answer "2" reached us
    asked: list[tuple[datetime, str]] = field(default_factory=list)  # a question, and the answer that reached us

    @property
    def value(self) -> str | None:
        """What a question answers now."""
        return self.history[-1].value


@dataclass
class _Present:
    """A request under way, and the failure that it met."""

    request: requests.PreparedRequest
    failed: str = ""


class Vexora:
    """The register and its API. `wrong` collects what no caller may do; `unsent` are requests reported as not sent,
    `answers` all bodies that were answered.
    """

    unsent: Collection[str] = ()

    def __init__(self, clock: Clock, manners: Manners) -> None:
        self.users: dict[str, User] = defaultdict(User)
        self.app_secret = "secret-0"
        self.wrong: list[tuple[str, str]] = []
        self.answers: list[bytes] = []
        self._manners = manners
        self._clock = clock
        self._late: list[tuple[datetime, Attempt, Mapping[str, str]]] = []
        self._calls = 0
        self._present: list[_Present] = []  # the last is under way, the others pause meanwhile
        self._attempts: dict[str, Attempt] = {}
        for number, status in enumerate(manners.before_us):
            if status:
                self.apply_elsewhere(f"user-{number}", status)

    # --- what happens at Vexora ---

    def apply_elsewhere(self, user_id: str, status: str = "0") -> None:
        """The user applies by another way than through us, unless Vexora would refuse it."""
        if self.users[user_id].value not in ("0", "1", "2"):
            self._open(Application(user_id, "", status), silent=True)

    def review(self, user_id: str, outcome: str) -> Application | None:
        """Change the latest application; returns it if that was possible."""
        user = self.users[user_id]
        application = user.applications[-1] if user.applications else None
        wanted = {"begin": "1", "approve": "2", "reject": "3"}.get(outcome)
        if outcome == "correct" and application and not application.corrected:
            application.corrected = application.status in ("2", "3")
            wanted = {"2": "3", "3": "2"}.get(application.status)
        decided = application is not None and application.status not in OPEN
        if application is None or wanted is None or (outcome != "correct" and decided) or application.status == wanted:
            return None
        application.status = wanted
        self._remember(user_id, wanted, silent=outcome == "correct" or not application.callback_url)
        return application

    def arrive(self, *, everything: bool = False) -> None:
        """What was late and is due takes effect."""
        now = self._clock.peek()
        due = [each for each in self._late if everything or each[0] <= now]
        self._late = [each for each in self._late if each not in due]
        for _, attempt, fields in sorted(due, key=lambda each: each[0]):
            attempt.on_its_way = False
            self._apply(attempt, fields)

    # --- the API ---

    def exchange(self, prepared: requests.PreparedRequest, exchange: Callable[[], Answer]) -> Answer:
        """Watch one request, which `exchange` makes: what was sent, what may have arrived, what was reported."""
        self.arrive()
        self._calls += 1
        present = _Present(prepared)
        fields = _fields(prepared)
        user = self.users[fields["userId"]]
        attempt = self._attempt(prepared, fields) if _applies(prepared) else None
        self._present.append(present)
        try:
            answer = exchange()
        finally:
            self._present.pop()
        now, answered = self._clock.peek(), {} if present.failed else json.loads(answer.body)
        code = present.failed or answered["code"]
        if attempt:
            attempt.outcome = {"0000": "answered", **dict.fromkeys(_UNCLEAR, "unclear")}.get(code, "refused")
        else:
            user.asked.append((now, code))
        if answered and (answered["data"] or {}).get("authenticationStatus") in ("2", 2):
            user.approved_at.append(now)
        return answer

    def answer(self, prepared: requests.PreparedRequest) -> Answer:
        """What Vexora does with a request."""
        fields = _fields(prepared)
        rightly = prepared.headers.get("merchantNo") == "merchant-1" and fields.get("sign") == self._sign(fields)
        if not rightly:
            return self._refused("1001", "sign verification failed")
        if _applies(prepared):
            return self._apply(self._attempts[prepared.headers[NUMBER]], fields)
        value = self.users[fields["userId"]].value
        if value is None:
            return self._refused(UNKNOWN_USER, "user does not exist")
        return self._result(fields["userId"], value, self._manners.query_user_id, {"failReason": REASON})

    def fail(self, kind: str) -> Answer:
        """An answer that is a failure, or none that comes in time."""
        present = self._present[-1]
        present.failed = kind
        match kind:
            case "late":
                if _applies(present.request):
                    attempt = self._attempts[present.request.headers[NUMBER]]
                    attempt.on_its_way = True
                    due = self._clock.peek() + timedelta(seconds=_LATE_S[self._calls % len(_LATE_S)])
                    self._late.append((due, attempt, _fields(present.request)))
                self._clock.advance(15)
                raise requests.ReadTimeout
            case "throttled":
                return Answer(429, CaseInsensitiveDict(), b"slow down")
            case "error":
                return Answer(503, CaseInsensitiveDict(), b"<html>")
            case "denied":
                return self._refused("2099", "refused")
            case "system_error":
                return self._refused("8000", "system error")
            case "garbled":
                return Answer(200, CaseInsensitiveDict(), (b"<html>", b'{"code":"0000","data":null}')[self._calls % 2])
        false = (False, "false", "False")[self._calls % 3]
        data = {"authenticationStatus": "2"}
        return self._json({"code": "0000", "msg": "success", "success": false, "timestamp": 1, "data": data})

    def _attempt(self, prepared: requests.PreparedRequest, fields: Mapping[str, str]) -> Attempt:
        user = self.users[fields["userId"]]
        now = self._clock.peek()
        blocking = [each for each in user.attempts if self._may_be_there(each, user, now)]
        number = prepared.headers[NUMBER]
        attempt = Attempt(number, fields["callBackUrl"].split("/")[-2], fields["userId"], now)
        if blocking:
            self.wrong.append(("twice", f"{attempt} although {blocking} may have arrived"))
        user.attempts.append(attempt)
        self._attempts[number] = attempt
        return attempt

    def _may_be_there(self, earlier: Attempt, user: User, now: datetime) -> bool:
        """Whether an earlier application forbids another: it arrived and was not rejected, or may still arrive."""
        if earlier.outcome == "refused" or earlier.number in self.unsent:
            return False
        if earlier.arrived:
            return not any(each.value == "3" and each.at >= earlier.at for each in user.history)
        if earlier.outcome == "answered":
            return False  # about an approval from before
        asked = any(at > earlier.at for at, _ in user.asked)
        return earlier.on_its_way or not asked or now - earlier.at < timedelta(seconds=_FIRST_POLL_S)

    def _apply(self, attempt: Attempt, fields: Mapping[str, str]) -> Answer:
        user_id, value = attempt.user_id, self.users[attempt.user_id].value
        if value in ("0", "1", "2") and self._manners.again == "refused":
            return self._refused("2002", f"kyc application of {user_id} already submitted")
        if value != "2":
            attempt.arrived = True
            self._open(Application(user_id, fields["callBackUrl"]), silent=False)
        return self._result(user_id, value if value == "2" else "0", self._manners.apply_user_id, {"message": REASON})

    def _open(self, application: Application, *, silent: bool) -> None:
        self.users[application.user_id].applications.append(application)
        self._remember(application.user_id, application.status, silent=silent)

    def _remember(self, user_id: str, value: str, *, silent: bool) -> None:
        self.users[user_id].history.append(Change(self._clock(), value, silent))

    def _sign(self, fields: Mapping[str, str]) -> str:
        text = "".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name])
        return hashlib.md5((text + self.app_secret).encode(), usedforsecurity=False).hexdigest()

    def _result(self, user_id: str, value: str, user_id_in: str, reason: Mapping[str, str]) -> Answer:
        data: dict[str, Any] = {"authenticationStatus": int(value) if self._manners.numbers else value}
        if user_id_in != "absent":
            data["userId"] = user_id if user_id_in == "same" else "79x7p10nh4xd121m"
        if value == "3":
            data |= reason
        return self._json({"code": "0000", "msg": "success", "data": data} | self._extras(success=True))

    def _refused(self, code: str, message: str) -> Answer:
        return self._json({"code": code, "msg": message, "data": None} | self._extras(success=False))

    def _extras(self, *, success: bool) -> dict[str, Any]:
        now_ms = int(self._clock.peek().timestamp() * 1000)
        extras: dict[str, Any] = {"success": success, "timestamp": now_ms}
        if self._manners.success == "text":
            extras["success"] = str(success).lower()
        if self._manners.timestamp == "text":
            extras["timestamp"] = str(now_ms)
        absent = [name for name in extras if getattr(self._manners, name) == "absent"]
        return {name: value for name, value in extras.items() if name not in absent}

    def _json(self, body: Mapping[str, Any]) -> Answer:
        self.answers.append(json.dumps(body).encode())
        return Answer(200, CaseInsensitiveDict(), self.answers[-1])


def _applies(request: requests.PreparedRequest) -> bool:
    return urlsplit(str(request.url)).path.endswith("/v1/vexora/kycApplyFor")


def _fields(request: requests.PreparedRequest) -> dict[str, str]:
    body = request.body if isinstance(request.body, bytes) else b""
    if not _applies(request):
        fields: dict[str, str] = json.loads(body)
        return fields
    whole = message_from_bytes(b"Content-Type: " + request.headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    parts = whole.get_payload()
    fields = {}
    for part in parts if isinstance(parts, list) else []:
        payload: Any = part.get_payload(decode=True)  # type: ignore[union-attr]  # email types parts as texts too
        fields[str(part.get_param("name", header="Content-Disposition"))] = payload.decode("utf-8")  # type: ignore[union-attr]
    return fields
