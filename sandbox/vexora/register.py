"""The users that Vexora knows, and what became of their applications."""

import threading
from dataclasses import dataclass, field

from sandbox.delivery import Delivery
from sandbox.vexora.answers import Failure, RefusedError, Status

OUTCOMES = {"approve": Status.APPROVED, "reject": Status.REJECTED}


@dataclass
class Application:
    """One application that took effect."""

    user_id: str
    callback_url: str
    status: Status = Status.PENDING

    def is_open(self) -> bool:
        """Return whether it still waits for its outcome."""
        return self.status in (Status.PENDING, Status.UNDER_REVIEW)


@dataclass
class User:
    """One `userId`. `apply_calls` and `query_calls` count every call that came in, whatever became of it."""

    apply_calls: int = 0
    query_calls: int = 0
    applications: list[Application] = field(default_factory=list)
    callbacks: list[Delivery] = field(default_factory=list)


class Register:
    """All users, under the sandbox's lock."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._users: dict[str, User] = {}

    def count_apply(self, user_id: str) -> None:
        """Count an apply call that names the user."""
        with self._lock:
            self._user(user_id).apply_calls += 1

    def count_query(self, user_id: str) -> None:
        """Count a query call that names the user."""
        with self._lock:
            self._user(user_id).query_calls += 1

    def apply(self, user_id: str, callback_url: str) -> Application:
        """Open an application. Raises RefusedError while one is open, and after an approval."""
        with self._lock:
            latest = self.latest(user_id)
            if latest is not None and latest.is_open():
                raise RefusedError(Failure.STILL_OPEN)
            if latest is not None and latest.status is Status.APPROVED:
                raise RefusedError(Failure.ALREADY_APPROVED)
            application = Application(user_id, callback_url)
            self._user(user_id).applications.append(application)
            return application

    def know(self, user_id: str, outcome: str) -> None:
        """Know a user as decided before the merchant's first application, of which no callback URL is known."""
        with self._lock:
            self._user(user_id).applications.append(Application(user_id, "", OUTCOMES[outcome]))

    def latest(self, user_id: str, *, back: bool = False) -> Application | None:
        """Return the newest application of a user, or None; with `back` the one before it, if there is one."""
        with self._lock:
            user = self._users.get(user_id)
            if user is None or not user.applications:
                return None
            return user.applications[-2 if back and len(user.applications) > 1 else -1]

    def begin_review(self, application: Application) -> None:
        """Put a pending application under review."""
        with self._lock:
            if application.status is Status.PENDING:
                application.status = Status.UNDER_REVIEW

    def decide(self, application: Application, outcome: str) -> bool:
        """Give an open application its outcome (`approve`, `reject`); False if it had one already."""
        with self._lock:
            if not application.is_open():
                return False
            application.status = OUTCOMES[outcome]
            return True

    def add_callback(self, user_id: str, delivery: Delivery) -> None:
        """Remember a callback."""
        with self._lock:
            self._user(user_id).callbacks.append(delivery)

    def newest(self) -> list[tuple[str, User]]:
        """Return all users with their ids, the newest first."""
        with self._lock:
            return list(reversed(self._users.items()))

    def has(self, user_id: str) -> bool:
        """Return whether a call has named this user."""
        with self._lock:
            return user_id in self._users

    def ids(self) -> list[str]:
        """Return the ids of all users that a call named."""
        with self._lock:
            return sorted(self._users)

    def view(self, user_id: str) -> dict[str, object]:
        """Return what is known of a user, ready for JSON (counts of 0 for an unknown one)."""
        with self._lock:
            user = self._users.get(user_id, User())
            latest = self.latest(user_id)
            return {
                "user_id": user_id,
                "apply_calls": user.apply_calls,
                "query_calls": user.query_calls,
                "applications": len(user.applications),
                "status": latest.status.value if latest else None,
                "callback_url": latest.callback_url if latest else None,
                "callbacks": [delivery.view() for delivery in user.callbacks],
            }

    def clear(self) -> None:
        """Forget all users."""
        with self._lock:
            self._users.clear()

    def _user(self, user_id: str) -> User:
        return self._users.setdefault(user_id, User())
