"""Notifications to the merchant: one POST, repeated by the provider's rule until it is accepted."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field

import requests

from sandbox.clock import SandboxClock, Schedule
from sandbox.journal import Journal

# A merchant's answer is a word; more is never read.
MAX_ANSWER_BYTES = 4096
SHOWN_ANSWER_CHARS = 200

# How the notification of one change is delivered, if whoever makes the change says so. Dials say it for all.
DELIVERIES = ("sent", "lost", "twice", "late")
LATE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What the merchant answered."""

    status: int
    body: str


class UndeliveredError(Exception):
    """No answer came: refused, reset, timed out. The text says which, without the URL."""


Transport = Callable[[str, bytes, str, float], Answer]
Spawn = Callable[[Callable[[], None]], None]


class Losses:
    """Which notifications are to be lost next, each with all its copies and tries: of anybody, or of one user."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._waiting: list[str | None] = []

    def add(self, user_id: str | None) -> None:
        """Lose the next notification, of `user_id` if there is one."""
        with self._lock:
            self._waiting.append(user_id)

    def take(self, names: Iterable[str], delivery: str) -> str:
        """Return how a notification about the user with these names is delivered: `lost`, or as it was meant to be."""
        with self._lock:
            fitting = (place for place, name in enumerate(self._waiting) if name is None or name in names)
            place = None if delivery == "lost" else next(fitting, None)
            if place is None:
                return delivery
            del self._waiting[place]
            return "lost"

    def reset(self) -> None:
        """Lose nothing."""
        with self._lock:
            self._waiting.clear()


@dataclass(frozen=True)
class RetryPolicy:
    """How long one try may take and how long to pause before each further one, in seconds."""

    timeout_s: float
    pauses_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """One try: when (UTC ISO 8601), what was answered or why nothing was, and whether that was accepted."""

    at: str
    status: int | None
    answer: str | None
    error: str | None
    accepted: bool


def always() -> bool:
    """Allow every try."""
    return True


@dataclass
class Delivery:
    """One notification. `shown_url` is `url` with its token masked; `state` says how far it is.

    States: waiting, accepted, given_up, dropped (not sent, or not repeated, by a dial). `may_send` is asked
    before every try.
    """

    user_id: str | None
    url: str = field(repr=False)
    shown_url: str
    body: bytes = field(repr=False)
    content_type: str
    policy: RetryPolicy
    accepts: Callable[[Answer], bool]
    kind: str
    signature_ok: bool | None = None
    state: str = "waiting"
    attempts: list[Attempt] = field(default_factory=list)
    may_send: Callable[[], bool] = field(default=always, repr=False)

    def view(self) -> dict[str, object]:
        """Return what may be shown, ready for JSON."""
        return {
            "kind": self.kind,
            "state": self.state,
            "url": self.shown_url,
            "content_type": self.content_type,
            "attempts": [asdict(attempt) for attempt in self.attempts],
        }


def post(url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
    """POST `body` and return the answer. Follows no redirect and uses no proxy. Raises UndeliveredError."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url,
                data=body,
                headers={"Content-Type": content_type} if content_type else {},
                timeout=timeout_s,
                allow_redirects=False,
                stream=True,
            ) as answer:
                head = next(answer.iter_content(MAX_ANSWER_BYTES), b"")
                return Answer(answer.status_code, bytes(head).decode("utf-8", "replace"))
    except requests.Timeout:
        raise UndeliveredError(f"no answer within {timeout_s:g} s") from None
    except requests.RequestException as error:
        # The class only: the text of the error holds the URL, and with it the token.
        raise UndeliveredError(f"not delivered: {type(error).__name__}") from None


def in_thread(action: Callable[[], None]) -> None:
    """Run `action` in a daemon thread: a merchant that never answers must not hold up the others."""
    threading.Thread(target=action, name="sandbox-delivery", daemon=True).start()


def inline(action: Callable[[], None]) -> None:
    """Run `action` here and now (unit tests)."""
    action()


class Courier:
    """Sends deliveries on the sandbox clock."""

    def __init__(
        self,
        clock: SandboxClock,
        schedule: Schedule,
        journal: Journal,
        lock: threading.RLock,
        transport: Transport = post,
    ) -> None:
        self.transport = transport
        self.spawn: Spawn = inline
        self._clock = clock
        self._schedule = schedule
        self._journal = journal
        self._lock = lock
        self._era = 0

    def send(self, delivery: Delivery, delay_s: float = 0.0) -> None:
        """Send after `delay_s` seconds and repeat by the delivery's policy; returns at once."""
        self._plan(delivery, delay_s, self._era)

    def send_once(self, delivery: Delivery) -> Attempt:
        """Send now, in this thread, without repeating; return what came of it."""
        attempt = self._try(delivery)
        with self._lock:
            delivery.state = "accepted" if attempt.accepted else "given_up"
        return attempt

    def reset(self) -> None:
        """Let tries that are under way be their last."""
        with self._lock:
            self._era += 1

    def _plan(self, delivery: Delivery, delay_s: float, era: int) -> None:
        self._schedule.after(delay_s, lambda: self.spawn(lambda: self._step(delivery, era)))

    def _step(self, delivery: Delivery, era: int) -> None:
        if not delivery.may_send():
            with self._lock:
                delivery.state = "dropped"
            return
        attempt = self._try(delivery)
        with self._lock:
            pauses = delivery.policy.pauses_s
            made = len(delivery.attempts)
            if attempt.accepted:
                delivery.state = "accepted"
            elif made > len(pauses):
                delivery.state = "given_up"
            elif era == self._era:
                self._plan(delivery, pauses[made - 1], era)

    def _try(self, delivery: Delivery) -> Attempt:
        at = self._clock.now_iso()
        try:
            answer = self.transport(delivery.url, delivery.body, delivery.content_type, delivery.policy.timeout_s)
        except UndeliveredError as error:
            attempt = Attempt(at, None, None, str(error), accepted=False)
        else:
            accepted = delivery.accepts(answer)
            attempt = Attempt(at, answer.status, answer.body[:SHOWN_ANSWER_CHARS], None, accepted)
        with self._lock:
            delivery.attempts.append(attempt)
        self._journal.sent(
            delivery.shown_url,
            user_id=delivery.user_id,
            status=attempt.status,
            signature_ok=delivery.signature_ok,
            detail=attempt.error or ("accepted" if attempt.accepted else "not accepted"),
        )
        return attempt
