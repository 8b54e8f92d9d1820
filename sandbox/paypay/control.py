"""The control endpoints of PayPay: what happens to a user, and which notifications the merchant gets."""

import base64
import binascii
from collections.abc import Mapping
from datetime import date, time
from typing import TypeGuard
from urllib.parse import urlsplit

from flask import Blueprint, request

from sandbox.core import CONTROL_PREFIX, ControlError, Core, control_object, without_delivery
from sandbox.dials import DialBoard
from sandbox.paypay.account import WEBHOOK_TYPES, WebhookUrls
from sandbox.paypay.people import Kyc
from sandbox.paypay.recon import RECON_TYPES, ReconFiles
from sandbox.paypay.register import ACCOUNT_STATES, RISK_FLAGS, Authorization, Register, User
from sandbox.paypay.webhooks import LINK_REVOKED, NOTIFICATION_TYPES, Message, Notifier, new_notification_id

MAX_BURST = 1000
MAX_RECON_ROWS = 100_000_000
# Of a file that is put as bytes; sandbox.server reads no more.
MAX_RECON_BYTES = 16 * 1024 * 1024

View = Mapping[str, object]


def control_blueprint(changes: "Changes", register: Register, urls: WebhookUrls, recon: ReconFiles) -> Blueprint:
    """Return the endpoints under `/_sandbox/paypay`."""
    control = Blueprint("paypay_control", "sandbox", url_prefix=f"{CONTROL_PREFIX}/paypay")
    _add_views(control, register, urls)
    _add_changes(control, changes)
    _add_recon(control, recon)
    return control


def _add_views(control: Blueprint, register: Register, urls: WebhookUrls) -> None:
    @control.get("/webhooks")
    def webhooks() -> View:
        return urls.view()

    @control.put("/webhooks")
    def put_webhooks() -> View:
        urls.put(_webhook_urls(control_object()))
        return urls.view()

    @control.get("/users")
    def users() -> View:
        return {"users": register.keys()}

    @control.get("/users/<name>")
    def user(name: str) -> View:
        return register.view(name)

    @control.get("/history")
    def history() -> View:
        return {"history": [change.view() for change in register.history()]}


def _add_changes(control: Blueprint, changes: "Changes") -> None:
    @control.post("/links")
    def links() -> View:
        return changes.link(control_object())

    @control.put("/users/<name>/kyc")
    def put_kyc(name: str) -> View:
        return changes.put_kyc(name, control_object())

    @control.post("/users/<name>/kyc-updated")
    def kyc_updated(name: str) -> View:
        return changes.kyc_updated(name, control_object())

    @control.post("/users/<name>/risk")
    def risk(name: str) -> View:
        return changes.risk(name, control_object())

    @control.post("/users/<name>/account")
    def account(name: str) -> View:
        return changes.account(name, control_object())

    @control.post("/users/<name>/authorization")
    def authorization(name: str) -> View:
        return changes.authorization(name, control_object())

    @control.post("/users/<name>/notify")
    def notify(name: str) -> View:
        return changes.notify(name, control_object())

    @control.post("/recon-notification")
    def recon_notification() -> View:
        return changes.recon_notification(control_object())

    @control.post("/burst")
    def burst() -> View:
        return changes.burst(control_object())


def _add_recon(control: Blueprint, recon: ReconFiles) -> None:
    @control.post("/recon-night")
    def recon_night() -> View:
        body, delivery = without_delivery(control_object())
        day, file_types = _night(body, recon.today())
        return {"files": recon.night(day, file_types, request.url_root, delivery)}

    @control.get("/recon-files")
    def recon_files() -> View:
        return {"files": recon.views()}

    @control.put("/recon-files/<name>")
    def put_recon_file(name: str) -> View:
        request.max_content_length = MAX_RECON_BYTES
        body = control_object()
        content = _recon_content(body)
        return recon.put(name, content, _file_type(body.get("fileType")), _day(body.get("day")))

    @control.post("/recon-files/<name>/resend")
    def resend(name: str) -> View:
        return recon.resend(name, request.url_root)

    @control.post("/recon-nightly")
    def recon_nightly() -> View:
        return recon.put_nightly(_time_of_day(control_object()), request.url_root)


class Changes:
    """What can be done to users, over the control API and on the page. Each raises ControlError, and then has changed
    nothing. What notifies the merchant takes `delivery`, one of `sandbox.delivery.DELIVERIES`, in its body.
    """

    def __init__(self, core: Core, register: Register, dials: DialBoard, notifier: Notifier) -> None:
        self._core = core
        self._register = register
        self._dials = dials
        self._notifier = notifier

    def link(self, body: Mapping[str, object]) -> View:
        """Link many users at once, as if each had pressed "allow" (`users`, `scopes`), without a notification."""
        users, scopes = body.get("users"), body.get("scopes")
        if set(body) != {"users", "scopes"} or not _are_texts(users) or not _are_texts(scopes):
            raise ControlError(400, 'The body must be {"users": [names], "scopes": [scopes]}.')
        with self._core.lock:
            granted = {name: self._grant(name, tuple(scopes)) for name in users}
        return {"authorizations": {name: each.id for name, each in granted.items()}}

    def put_kyc(self, name: str, body: Mapping[str, object]) -> View:
        """Change a user's KYC without telling the merchant; also before the user is linked."""
        with self._core.lock:
            user = self._register.user(name)
            self._trail(user)
            _change_kyc(user.kyc, body)
            return self._register.view(name)

    def kyc_updated(self, name: str, body: Mapping[str, object]) -> View:
        """Change a user's KYC (nothing in particular without a body) and notify the merchant."""
        body, delivery = without_delivery(body)
        with self._core.lock:
            user, link = self._linked(name)
            self._trail(user)
            _change_kyc(user.kyc, body)
            return self._tell(user, link, "kyc", "updated", delivery)

    def risk(self, name: str, body: Mapping[str, object]) -> View:
        """Flag a user, or clear the flag (None), and notify the merchant."""
        body, delivery = without_delivery(body)
        flag = body.get("flag")
        if set(body) != {"flag"} or (flag is not None and flag not in RISK_FLAGS):
            raise ControlError(400, f'The body must be {{"flag": null or one of {", ".join(RISK_FLAGS)}}}.')
        with self._core.lock:
            user, link = self._linked(name)
            self._trail(user)
            user.risk_flag = None if flag is None else str(flag)
            return self._tell(user, link, "risk", user.risk_flag, delivery)

    def account(self, name: str, body: Mapping[str, object]) -> View:
        """Change the state of a user's account and notify the merchant."""
        body, delivery = without_delivery(body)
        status = body.get("status")
        if set(body) != {"status"} or status not in ACCOUNT_STATES:
            raise ControlError(400, f'The body must be {{"status": one of {", ".join(ACCOUNT_STATES)}}}.')
        with self._core.lock:
            user, link = self._linked(name)
            self._trail(user)
            user.account_status = str(status)
            return self._tell(user, link, "account_status", user.account_status, delivery)

    def authorization(self, name: str, body: Mapping[str, object]) -> View:
        """Let a user's authorization expire or end at another time, without a notification, or let the user end it."""
        body, delivery = without_delivery(body)
        state, end = body.get("state"), body.get("expireAt")
        is_moved = set(body) == {"expireAt"} and isinstance(end, int) and not isinstance(end, bool) and end > 0
        if not is_moved and (set(body) != {"state"} or state not in ("expired", "unlinked")):
            raise ControlError(
                400, 'The body must be {"state": "expired"}, {"state": "unlinked"} or {"expireAt": epoch seconds}.'
            )
        with self._core.lock:
            user, link = self._linked(name)
            self._trail(user)
            if isinstance(end, int):
                link.expire_at = end
            elif state == "expired":
                link.expire_at = self._core.clock.now()
            else:
                link.unlinked = True
                # No recon file lists it, so it is not in the history.
                self._notifier.send(user, link.id, "account_status", LINK_REVOKED, delivery)
            return self._register.view(name)

    def notify(self, name: str, body: Mapping[str, object]) -> View:
        """Send one notification now, true or not; nothing else changes, and the user need not exist.

        `type` says by which URL; `notification_type`, `notification_id`, `user_authorization_id`, `raw_body` and
        `url` override what would be sent.
        """
        texts = _texts(
            body, ("type", "notification_type", "notification_id", "user_authorization_id", "raw_body", "url")
        )
        kind = texts.get("type", "kyc")
        if kind not in NOTIFICATION_TYPES:
            raise ControlError(400, f"The type must be one of: {', '.join(NOTIFICATION_TYPES)}.")
        user = self._register.user(name)
        latest = user.latest()
        message = Message(
            texts.get("notification_id", new_notification_id()),
            texts.get("notification_type", NOTIFICATION_TYPES[kind]),
            texts.get("user_authorization_id", name if latest is None else latest.id),
            texts.get("raw_body"),
        )
        return self._notifier.send_now(user, kind, message, texts.get("url")).view()

    def recon_notification(self, body: Mapping[str, object]) -> View:
        """Send a notification of a recon file (`fileType`, `path`; `requestedAt` in epoch seconds, now by default)."""
        texts = _texts(body, ("fileType", "path", "requestedAt"))
        if not {"fileType", "path"} <= texts.keys():
            raise ControlError(400, 'The body must be {"fileType": …, "path": …, "requestedAt": optional}.')
        requested_at = texts.get("requestedAt", str(int(self._core.clock.now())))
        # Recon files belong to no user: their notifications are kept under a name of their own.
        user = self._register.user("recon")
        return self._notifier.recon_file(user, texts["fileType"], texts["path"], requested_at).view()

    def burst(self, body: Mapping[str, object]) -> View:
        """Update the KYC of many users at once: `count` notifications, spread over `users` (default: all linked)."""
        count, names = body.get("count"), body.get("users", self._register.keys())
        if set(body) - {"count", "users"} or not isinstance(count, int) or not 1 <= count <= MAX_BURST:
            raise ControlError(400, f'The body must be {{"count": 1 to {MAX_BURST}, "users": [names]}}.')
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ControlError(400, "The users must be a list of names.")
        with self._core.lock:
            if "users" in body:
                linked = [self._linked(name) for name in names]
            else:
                users = [self._register.user(name) for name in names]
                linked = [(user, link) for user in users if (link := user.latest()) is not None]
            if not linked:
                raise ControlError(409, "No user has linked.")
            made = []
            for number in range(count):
                user, link = linked[number % len(linked)]
                self._register.record("kyc", link.id, "updated")
                made += self._notifier.send(user, link.id, "kyc")
        return {"notification_ids": [notification.id for notification in made]}

    def _grant(self, name: str, scopes: tuple[str, ...]) -> Authorization:
        user = self._register.user(name)
        user.reference_id = name
        return self._register.grant(user, scopes, self._dials.number("validity_days", name) or 0.0)

    def _linked(self, name: str) -> tuple[User, Authorization]:
        user = self._register.find(name)
        link = None if user is None else user.latest()
        if user is None or link is None:
            raise ControlError(404, f"The user {name!r} has not linked.")
        return user, link

    def _trail(self, user: User) -> None:
        """Let the reads answer for a while as before the change that follows, if the dial `read_lag_s` says so."""
        if self._dials.number("read_lag_s", user.key):
            user.keep_as_before(self._core.clock.now())

    def _tell(self, user: User, link: Authorization, kind: str, value: str | None, delivery: str) -> View:
        self._register.record(kind, link.id, value)
        self._notifier.send(user, link.id, kind, delivery=delivery)
        return self._register.view(user.key)


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _change_kyc(kyc: Kyc, body: Mapping[str, object]) -> None:
    """Merge a KYC patch: `completed`, `ekyc`, and keys of `data` (None removes one)."""
    data = body.get("data", {})
    if set(body) - {"completed", "ekyc", "data"} or not isinstance(data, dict):
        raise ControlError(400, 'The body may hold "completed", "ekyc" and the object "data".')
    for name in ("completed", "ekyc"):
        if not isinstance(body.get(name, True), bool):
            raise ControlError(400, f"{name} must be true or false.")
    kyc.completed = bool(body.get("completed", kyc.completed))
    kyc.ekyc = bool(body.get("ekyc", kyc.ekyc))
    # A new object: an answer under way must not see half of the change.
    kyc.data = {name: value for name, value in {**kyc.data, **data}.items() if value is not None}


def _webhook_urls(body: Mapping[str, object]) -> dict[str, str | None]:
    urls: dict[str, str | None] = {}
    for kind, url in body.items():
        if kind not in WEBHOOK_TYPES:
            raise ControlError(400, f"There is no webhook {kind!r}; there are: {', '.join(WEBHOOK_TYPES)}.")
        if url is not None and not (isinstance(url, str) and urlsplit(url).scheme in ("http", "https")):
            raise ControlError(400, f"The webhook {kind} must be an http or https URL, or null.")
        urls[kind] = url
    return urls


def _texts(body: Mapping[str, object], known: tuple[str, ...]) -> dict[str, str]:
    for name, value in body.items():
        if name not in known:
            raise ControlError(400, f"There is no override {name!r}; there are: {', '.join(known)}.")
        if not isinstance(value, str):
            raise ControlError(400, f"The override {name!r} must be a text.")
    return {name: str(value) for name, value in body.items()}


def _night(body: Mapping[str, object], today: date) -> tuple[date | None, list[str]]:
    types = body.get("types", list(RECON_TYPES))
    if set(body) - {"day", "types"} or not isinstance(types, list):
        raise ControlError(400, 'The body may hold "day" (yyyy-mm-dd, or today) and the list "types".')
    day = today if body.get("day") == "today" else _day(body.get("day"))
    return day, [name for each in types if (name := _file_type(each)) is not None]


def _recon_content(body: Mapping[str, object]) -> bytes | int:
    """Return the bytes, or how many generated rows, a recon file shall hold."""
    known = set(body) - {"fileType", "day"}
    text, encoded, rows = body.get("text"), body.get("base64"), body.get("rows")
    if known == {"text"} and isinstance(text, str):
        return text.encode("utf-8", "surrogatepass")
    if known == {"base64"} and isinstance(encoded, str):
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            raise ControlError(400, "The base64 cannot be decoded.") from None
    if known == {"rows"} and isinstance(rows, int) and not isinstance(rows, bool) and 0 <= rows <= MAX_RECON_ROWS:
        return rows
    raise ControlError(
        400,
        f'The body must hold one of "text", "base64" and "rows" (0 to {MAX_RECON_ROWS}), beside "fileType" and "day".',
    )


def _file_type(value: object) -> str | None:
    if value is not None and value not in RECON_TYPES:
        raise ControlError(400, f"The file type must be one of: {', '.join(RECON_TYPES)}.")
    return None if value is None else str(value)


def _day(value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ControlError(400, "The day must be yyyy-mm-dd.") from None


def _time_of_day(body: Mapping[str, object]) -> time | None:
    value = body.get("at", "")
    if set(body) == {"at"} and value is None:
        return None
    try:
        if set(body) != {"at"} or not isinstance(value, str):
            raise ValueError
        at = time.fromisoformat(value)
        if at.tzinfo is not None:
            raise ValueError
        return at
    except ValueError:
        raise ControlError(400, 'The body must be {"at": "hh:mm" in Japan, or null}.') from None
