"""The users that PayPay knows: their links, their KYC, what changed, and which notifications were sent about it."""

import secrets
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime

from sandbox.clock import SandboxClock
from sandbox.delivery import Delivery
from sandbox.paypay.checks import LinkRequest
from sandbox.paypay.people import Kyc, invented_kyc, masked_phone

ACCOUNT_STATES = ("active", "inactive", "canceled")
RISK_FLAGS = ("UNACCEPTABLE_OP", "KYC_UPDATE_REQUIRED")
DAY_S = 86400


@dataclass(frozen=True)
class Change:
    """One change of a user's state, by which recon files can be made: `kind` is kyc, risk or account_status.

    `at` is in epoch seconds on the sandbox clock; `value` is the new state (a flag, None for a cleared one).
    """

    at: float
    kind: str
    user_authorization_id: str
    value: str | None

    def view(self) -> dict[str, object]:
        """Return it ready for JSON, with `at` also as UTC ISO 8601."""
        at_iso = datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")
        return {**asdict(self), "at_iso": at_iso}


@dataclass
class Authorization:
    """One `userAuthorizationId`. Moments are epoch seconds."""

    id: str
    scopes: tuple[str, ...]
    issued_at: float
    expire_at: float
    unlinked: bool = False


@dataclass
class LinkSession:
    """One account-link QR. `page_id` is in the URL of the consent page, `code_id` only in a KYC Passport flow."""

    link: LinkRequest
    page_id: str
    code_id: str | None
    expire_at: float
    result: str | None = None
    location: str | None = None
    user_authorization_id: str | None = None


@dataclass
class Notification:
    """One webhook notification; a retry keeps its id."""

    id: str
    kind: str
    user_authorization_id: str
    delivery: Delivery

    def view(self) -> dict[str, object]:
        """Return it ready for JSON; `outcome` is waiting, delivered or dropped."""
        outcome = {"waiting": "waiting", "accepted": "delivered"}.get(self.delivery.state, "dropped")
        return {
            "notification_id": self.id,
            "type": self.kind,
            "user_authorization_id": self.user_authorization_id,
            "outcome": outcome,
            "tries": len(self.delivery.attempts),
            **self.delivery.view(),
        }


@dataclass
class User:
    """One user. `key` is the referenceId, or an invented one. `calls` counts every call that named the user."""

    key: str
    kyc: Kyc
    profile_identifier: str
    selfie_id: str
    reference_id: str | None = None
    risk_flag: str | None = None
    account_status: str = "active"
    calls: Counter[str] = field(default_factory=Counter)
    authorizations: list[Authorization] = field(default_factory=list)
    sessions: list[LinkSession] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    before: "list[tuple[float, User]]" = field(default_factory=list)

    def latest(self) -> Authorization | None:
        """Return the newest authorization, whatever its state."""
        return self.authorizations[-1] if self.authorizations else None

    def keep_as_before(self, changed_at: float) -> None:
        """Remember what is true just before a change (epoch seconds), for reads that do not have it yet."""
        links = [replace(link) for link in self.authorizations]
        self.before.append((changed_at, replace(self, kyc=replace(self.kyc), authorizations=links, before=[])))

    def as_of(self, moment: float) -> "User":
        """Return the user as it was at a moment (epoch seconds): before the first change after it."""
        self.before = [(changed_at, user) for changed_at, user in self.before if changed_at > moment]
        return self.before[0][1] if self.before else self


class Register:
    """All users, under the sandbox's lock. Users are named by referenceId or by userAuthorizationId."""

    def __init__(self, clock: SandboxClock, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._users: dict[str, User] = {}
        self._owners: dict[str, User] = {}
        self._pages: dict[str, tuple[User, LinkSession]] = {}
        self._codes: dict[str, tuple[User, LinkSession]] = {}
        self._history: list[Change] = []

    # --- users ---

    def find(self, name: str) -> User | None:
        """Return the user of a referenceId or a userAuthorizationId, or None."""
        with self._lock:
            return self._owners.get(name) or self._users.get(name)

    def user(self, name: str) -> User:
        """Return the user of that name; one not known yet is invented."""
        with self._lock:
            known = self.find(name)
            if known is None:
                known = User(name, invented_kyc(name), masked_phone(name), secrets.token_urlsafe(12))
                self._users[name] = known
            return known

    def names(self, name: str) -> Sequence[str]:
        """Return every name of a user: the given one, the authorization ids (newest first), the referenceId."""
        with self._lock:
            user = self.find(name)
            ids = [] if user is None else [link.id for link in reversed(user.authorizations)]
            return list(dict.fromkeys([name, *ids, *([] if user is None else [user.key])]))

    def count(self, name: str, endpoint: str) -> None:
        """Count a call that names a user."""
        with self._lock:
            self.user(name).calls[endpoint] += 1

    def of_the_merchant(self) -> list[User]:
        """Return the users whom the merchant's own id names, the newest first."""
        with self._lock:
            return [user for user in reversed(self._users.values()) if user.reference_id is not None]

    def keys(self) -> list[str]:
        """Return the keys of all users that a call named."""
        with self._lock:
            return sorted(self._users)

    # --- links ---

    def open_session(self, link: LinkRequest, ttl_s: float) -> LinkSession:
        """Make an account-link QR that lives for `ttl_s` seconds."""
        with self._lock:
            page_id = secrets.token_urlsafe(18)
            code_id = secrets.token_urlsafe(18) if link.is_kyc_passport else None
            session = LinkSession(link, page_id, code_id, self._clock.now() + ttl_s)
            user = self.user(link.reference_id or f"anonymous-{page_id}")
            user.reference_id = link.reference_id
            user.sessions.append(session)
            self._pages[page_id] = (user, session)
            if code_id is not None:
                self._codes[code_id] = (user, session)
            return session

    def session_of_page(self, page_id: str) -> tuple[User, LinkSession] | None:
        """Return who and what a consent page is about."""
        with self._lock:
            return self._pages.get(page_id)

    def session_of_code(self, code_id: str) -> tuple[User, LinkSession] | None:
        """Return who and what a code id is about."""
        with self._lock:
            return self._codes.get(code_id)

    def grant(self, user: User, scopes: tuple[str, ...], days: float) -> Authorization:
        """Link a user: an active authorization is renewed with these scopes added, else a new one is made."""
        with self._lock:
            now = self._clock.now()
            latest = user.latest()
            if latest is not None and not latest.unlinked and latest.expire_at > now:
                latest.scopes = tuple(dict.fromkeys([*latest.scopes, *scopes]))
                latest.issued_at, latest.expire_at = now, now + days * DAY_S
                return latest
            made = Authorization(str(uuid.uuid4()), scopes, now, now + days * DAY_S)
            user.authorizations.append(made)
            self._owners[made.id] = user
            return made

    def authorization(self, authorization_id: str) -> tuple[User, Authorization] | None:
        """Return an authorization and its user."""
        with self._lock:
            user = self._owners.get(authorization_id)
            if user is None:
                return None
            return user, _link_of(user, authorization_id)

    def as_read(self, authorization_id: str, lag_s: float) -> tuple[User, Authorization] | None:
        """Return an authorization and its user as reads show them that trail what is true by `lag_s` seconds."""
        with self._lock:
            user = self._owners.get(authorization_id)
            if user is None:
                return None
            shown = user.as_of(self._clock.now() - lag_s)
            # A link that was made since is there at once.
            is_there = any(link.id == authorization_id for link in shown.authorizations)
            return shown, _link_of(shown if is_there else user, authorization_id)

    def is_active(self, user: User, authorization: Authorization) -> bool:
        """Return whether an authorization stands: linked, not expired, of an active account."""
        with self._lock:
            alive = not authorization.unlinked and authorization.expire_at > self._clock.now()
            return alive and user.account_status == "active"

    # --- history ---

    def record(self, kind: str, user_authorization_id: str, value: str | None) -> None:
        """Write down a change of a user's state."""
        with self._lock:
            self._history.append(Change(self._clock.now(), kind, user_authorization_id, value))

    def history(self) -> list[Change]:
        """Return a copy of all changes, oldest first."""
        with self._lock:
            return list(self._history)

    # --- views ---

    def view(self, name: str) -> dict[str, object]:
        """Return everything about a user, ready for JSON (counts of 0 for an unknown one)."""
        with self._lock:
            user = self.find(name) or User(name, invented_kyc(name), masked_phone(name), "")
            ids = {link.id for link in user.authorizations}
            return {
                "key": user.key,
                "reference_id": user.reference_id,
                "account_status": user.account_status,
                "risk_flag": user.risk_flag,
                "kyc": user.kyc.view(),
                "authorizations": [self._link_view(user, link) for link in user.authorizations],
                "sessions": [_session_view(session) for session in user.sessions],
                "calls": dict(user.calls),
                "notifications": [notification.view() for notification in user.notifications],
                "history": [change.view() for change in self._history if change.user_authorization_id in ids],
            }

    def clear(self) -> None:
        """Forget all users and what happened to them."""
        with self._lock:
            for store in (self._users, self._owners, self._pages, self._codes):
                store.clear()
            self._history.clear()

    def _link_view(self, user: User, link: Authorization) -> dict[str, object]:
        return {**asdict(link), "active": self.is_active(user, link)}


def _link_of(user: User, authorization_id: str) -> Authorization:
    return next(link for link in user.authorizations if link.id == authorization_id)


def _session_view(session: LinkSession) -> dict[str, object]:
    return {
        "page_id": session.page_id,
        "code_id": session.code_id,
        "expire_at": session.expire_at,
        "result": session.result,
        "scopes": session.link.scopes,
    }
