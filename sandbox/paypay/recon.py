"""Recon files: made for a Japanese day from what really happened, and fetched by a URL that expires."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from urllib.parse import quote, urlencode

from flask import Blueprint, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.core import ControlError, Core
from sandbox.dials import DialBoard
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.recon_content import Content, generated, generated_id, listed
from sandbox.paypay.recon_transfer import Manner, respond, sentence
from sandbox.paypay.register import Notification, Register
from sandbox.paypay.webhooks import Notifier
from sandbox.unkind import Dice

__all__ = ["RECON_TYPES", "ReconFile", "ReconFiles", "ReconType", "generated_id"]

PATH = "/paypay/recon"
# Base document: "File retention period 1 week".
RETENTION_S = 7 * 86400
JST = timezone(timedelta(hours=9), "JST")
# A wrong name in a notification has a day so far off; no file is kept for so long.
_WRONG_NAME_DAYS = 30


@dataclass(frozen=True)
class ReconType:
    """One of the three files: its `fileType`, the kind of changes that it lists, and how its name begins."""

    file_type: str
    kind: str
    prefix: str


RECON_TYPES: Mapping[str, ReconType] = {
    each.file_type: each
    for each in (
        ReconType("kyc_passport_sync_recon", "kyc", "kyc_passport"),
        ReconType("kyc_passport_risk_sync_recon", "risk", "kyc_passport_risk"),
        ReconType("kyc_passport_account_status_sync_recon", "account_status", "kyc_passport_account_status"),
    )
}


@dataclass
class ReconFile:
    """One file that PayPay keeps. `rows` is None where bytes were put by hand; `made_at` is in epoch seconds.

    `path` is the URL of the last notification and `expires_at` (epoch seconds) its end, None before the first one.
    `requests` counts the downloads since then, or since new content was put or the transfer dials were changed
    (`played` holds those).
    """

    file_type: str
    name: str
    day: date
    content: Content
    rows: int | None
    made_at: float
    path: str | None = None
    expires_at: int | None = None
    notification: Notification | None = None
    requests: int = 0
    played: object = None

    def view(self) -> dict[str, object]:
        """Return it ready for JSON; `notification` is waiting, delivered or dropped, None without one."""
        notification = None if self.notification is None else self.notification.view()["outcome"]
        expires = None if self.expires_at is None else datetime.fromtimestamp(self.expires_at, UTC).isoformat()
        return {
            "fileType": self.file_type,
            "name": self.name,
            "day": self.day.isoformat(),
            "path": self.path,
            "rows": self.rows,
            "bytes": self.content.size,
            "sha256": self.content.sha256,
            "notification_id": None if self.notification is None else self.notification.id,
            "notification": notification,
            "expires_at": self.expires_at,
            "expires_at_iso": expires,
            "requests": self.requests,
        }


@dataclass(frozen=True)
class _Nightly:
    """From when on the night is played by itself: a time in Japan, and the sandbox's own URL."""

    at: time
    base_url: str


def recon_names(name: str) -> Sequence[str]:
    """Return the names under which the dials of a recon file may be set: its own, then its `fileType`."""
    # The longest prefix first: every name begins like that of the KYC file.
    for each in sorted(RECON_TYPES.values(), key=lambda each: len(each.prefix), reverse=True):
        if name.startswith(f"{each.prefix}_") and name.endswith(".csv"):
            return (name, each.file_type)
    return (name,)


class ReconFiles:
    """Makes and serves the files, and sends their notifications. What the control API calls raises ControlError."""

    def __init__(
        self, core: Core, account: PayPayAccount, register: Register, dials: DialBoard, notifier: Notifier
    ) -> None:
        self._core = core
        self._account = account
        self._register = register
        self._dials = dials
        self._notifier = notifier
        self._key = secrets.token_bytes(32)
        self._files: dict[str, ReconFile] = {}
        self._wrong_names: dict[str, str] = {}
        self._nightly: _Nightly | None = None
        self._plan = object()
        core.when_set_back.append(self._plan_next_night)

    def reset(self) -> None:
        """Forget all files; the night is no longer played by itself."""
        with self._core.lock:
            self._files.clear()
            self._wrong_names.clear()
            self._nightly = None
            self._plan_next_night()

    # --- what the control API does ---

    def night(
        self, day: date | None, file_types: Sequence[str], base_url: str, delivery: str = "sent"
    ) -> list[dict[str, object]]:
        """Make the files of a Japanese day (default: yesterday) and send their notifications; return their views.

        `base_url` is the sandbox's own. Bytes that were put by hand are replaced by what happened. `delivery` is one
        of `DELIVERIES`.
        """
        with self._core.lock:
            day = day or self.today() - timedelta(days=1)
            made = [self._make(RECON_TYPES[file_type], day) for file_type in file_types]
            for file in made:
                notification = self._dials.text("recon_notification", file.name)
                if notification != "missing" and delivery != "lost":
                    self._notify(file, base_url, notification, delivery)
            return [file.view() for file in made]

    def resend(self, name: str, base_url: str) -> dict[str, object]:
        """Send a file's notification again, truthfully and at once, with a new URL and a new notification id."""
        with self._core.lock:
            file = self._found(name)
            if not self._is_kept(file):
                raise ControlError(410, f"The file {name!r} is no longer kept: a week has passed.")
            self._notify(file, base_url, "sent")
            return file.view()

    def put(
        self, name: str, content: bytes | int, file_type: str | None = None, day: date | None = None
    ) -> dict[str, object]:
        """Let a file hold these bytes, or so many generated rows; one that no night made needs its type and day."""
        with self._core.lock:
            file = self._files.get(name)
            if file is None and (file_type is None or day is None):
                raise ControlError(404, f"There is no file {name!r}: give its fileType and day to make it.")
            formats = self._dials.words("recon_format", name)
        new = generated(content, formats) if isinstance(content, int) else Content(foot=content)
        rows = content if isinstance(content, int) else None
        _ = new.sha256  # read now, and not under the lock: it takes a second for 10 million rows
        with self._core.lock:
            file = self._files.get(name)
            if file is None:
                file = ReconFile(str(file_type), name, day or self.today(), new, rows, self._core.clock.now())
                self._files[name] = file
            file.content, file.rows, file.requests = new, rows, 0
            file.file_type, file.day = file_type or file.file_type, day or file.day
            return file.view()

    def put_nightly(self, at: time | None, base_url: str) -> dict[str, object]:
        """Play the night by itself at that time in Japan from now on, or (None) no longer."""
        with self._core.lock:
            self._nightly = None if at is None else _Nightly(at, base_url)
            self._plan_next_night()
            return {"at": None if at is None else f"{at:%H:%M}"}

    def views(self) -> list[dict[str, object]]:
        """Return all files, by name, ready for JSON."""
        with self._core.lock:
            return [self._files[name].view() for name in sorted(self._files)]

    # --- making ---

    def today(self) -> date:
        """Return today's day in Japan, by the sandbox's clock."""
        return _jst(self._core.clock.now()).date()

    def _make(self, recon: ReconType, day: date) -> ReconFile:
        name = self._name(recon, day)
        ids = self._changed(recon.kind, day)
        formats = self._dials.words("recon_format", name)
        if not formats and (unkind := self._dice("recon", recon.file_type, name).variant("recon_format")) is not None:
            formats = (unkind,)
        content = listed(ids, formats)
        file = ReconFile(recon.file_type, name, day, content, len(ids), self._core.clock.now())
        self._files[name] = file
        return file

    def _name(self, recon: ReconType, day: date) -> str:
        # Base document, "File creation unit": merchant_id for the KYC file, client_id for the others.
        unit = self._account.merchant_id if recon.kind == "kyc" else self._account.client_id
        return f"{recon.prefix}_{unit}_{day:%Y%m%d}_{day:%Y%m%d}.csv"

    def _changed(self, kind: str, day: date) -> list[str]:
        """Return who changed on that day, once each; who is listed for a risk *became* flagged, so no clearing."""
        changes = [
            change for change in self._register.history() if change.kind == kind and _jst(change.at).date() == day
        ]
        listed = [change for change in changes if kind != "risk" or change.value is not None]
        return list(dict.fromkeys(change.user_authorization_id for change in listed))

    # --- notifications ---

    def _notify(self, file: ReconFile, base_url: str, notification: str | None, delivery: str = "sent") -> None:
        """Notify of a file as the dial `recon_notification` says; its URL and `requestedAt` are always of now."""
        file_type, name = file.file_type, file.name
        if notification == "wrong_type":
            known = list(RECON_TYPES)
            file_type = known[(known.index(file_type) + 1) % len(known)]
        elif notification == "wrong_name":
            name = self._name(RECON_TYPES[file_type], file.day - timedelta(days=_WRONG_NAME_DAYS))
            self._wrong_names[name] = file.name
        delay_s = self._dials.number("recon_notification_delay_s", file.name) or 0.0
        now = self._core.clock.now()
        file.expires_at = int(now + (self._dials.number("recon_url_ttl_s", file.name) or 0.0))
        file.path = self._url(base_url, name, str(file.expires_at))
        file.requests = 0
        is_ms = self._dice("recon-notification", file_type, file.name).takes("requested_at_ms")
        requested_at = str(int(now * 1000 if is_ms else now))
        file.notification = self._notifier.recon_file(
            self._register.user("recon"),
            file_type,
            file.path,
            requested_at,
            delay_s if notification == "late" else 0.0,
            delivery,
        )

    def _url(self, base_url: str, name: str, expires: str) -> str:
        query = urlencode({"expires": expires, "signature": self._signature(name, expires)})
        return f"{base_url.rstrip('/')}{PATH}/{quote(name)}?{query}"

    def _signature(self, name: str, expires: str) -> str:
        return hmac.new(self._key, f"{name}\n{expires}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    # --- every night ---

    def _plan_next_night(self) -> None:
        """Plan the next night from the clock as it stands; whatever was planned before is void."""
        with self._core.lock:
            self._plan = object()
            if self._nightly is not None:
                self._plan_night_after(_jst(self._core.clock.now()), self._nightly)

    def _plan_night_after(self, after: datetime, nightly: _Nightly) -> None:
        plan = self._plan
        moment = datetime.combine(after.date(), nightly.at, JST)
        if moment <= after:
            moment += timedelta(days=1)

        def play() -> None:
            with self._core.lock:
                if plan is not self._plan:
                    return
                self.night(moment.date() - timedelta(days=1), list(RECON_TYPES), nightly.base_url)
                # From this night on and not from now: a clock that was moved on by days plays each of them.
                self._plan_night_after(moment, nightly)

        self._core.schedule.after(moment.timestamp() - self._core.clock.now(), play)

    # --- serving ---

    def blueprint(self) -> Blueprint:
        """Return the endpoint of the downloads."""
        pages = Blueprint("paypay_recon", "sandbox")
        pages.add_url_rule(f"{PATH}/<name>", view_func=self._answer, methods=["GET"])
        return pages

    def _answer(self, name: str) -> AnyResponse:
        with self._core.lock:
            file = self._files.get(self._wrong_names.get(name, name))
            if file is None or not self._is_kept(file):
                return sentence(404, "There is no such file.")
            expires = request.args.get("expires", "")
            signature = request.args.get("signature", "").encode("utf-8", "replace")
            if not hmac.compare_digest(signature, self._signature(name, expires).encode("ascii")):
                return sentence(403, "The signature of this URL is wrong.")
            if int(expires) <= self._core.clock.now():
                return sentence(403, "This URL has expired.")
            content, manner = self._next_transfer(file)
        return respond(content, manner, self._core.hold, self._core.is_stopping)

    def _next_transfer(self, file: ReconFile) -> tuple[Content, Manner]:
        """Count a download and return what it gets, and how."""
        words = frozenset(self._dials.words("recon_transfer", file.name))
        times = self._dials.number("recon_times", file.name)
        if file.played != (words, times):
            file.played, file.requests = (words, times), 0
        file.requests += 1
        break_at = self._dials.number("recon_break_at", file.name)
        shown = words
        if words == {"whole"}:
            unkind = self._dice("recon-file", file.file_type, file.name).variant("recon_transfer")
            shown = words if unkind is None else frozenset({unkind})
        manner = Manner(
            shown,
            bytes_per_s=self._dials.number("recon_bytes_per_s", file.name) or 1.0,
            break_at=None if break_at is None else int(break_at),
            stall_s=self._dials.number("recon_stall_s", file.name) or 0.0,
        )
        if times is not None and file.requests > times:
            manner = manner.mended()
        is_changed = "changed" in words and file.requests > 1
        return (file.content.changed() if is_changed else file.content), manner

    def _dice(self, call: str, file_type: str, name: str) -> Dice:
        return self._core.unkindness.dice(f"paypay/{call}", file_type, self._dials.value("unkind", name))

    def _is_kept(self, file: ReconFile) -> bool:
        return self._core.clock.now() - file.made_at <= RETENTION_S

    def _found(self, name: str) -> ReconFile:
        file = self._files.get(name)
        if file is None:
            raise ControlError(404, f"There is no recon file {name!r}.")
        return file


def _jst(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, JST)
