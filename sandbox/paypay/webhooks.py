"""Webhook notifications, with PayPay's timing: little time to answer, few tries, then dropped for good."""

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from sandbox.core import Core
from sandbox.delivery import LATE_S, Answer, Delivery, RetryPolicy
from sandbox.dials import DialBoard
from sandbox.paypay import variants
from sandbox.paypay.account import WebhookUrls
from sandbox.paypay.dial_table import RETRIES
from sandbox.paypay.register import Notification, Register, User
from sandbox.unkind import Dice

JSON_TYPE = "application/json"
NOTIFICATION_TYPES: Mapping[str, str] = {
    "kyc": "kyc_passport.kyc_info.updated",
    "risk": "kyc_passport.risk.update",
    "account_status": "kyc_passport.account_status.updated",
}
# PayPay's own spelling. It comes to the place of the account status and names its user in camel case
# (docs/providers.md §1.4).
LINK_REVOKED = "customer.authroization.revoked"
# Between notifications whose order matters: their tries run in threads of their own.
ORDER_GAP_S = 0.05


@dataclass(frozen=True)
class Message:
    """What a notification says. `raw_body` goes out instead of the document's JSON, where there is one."""

    notification_id: str
    notification_type: str
    user_authorization_id: str
    raw_body: str | None = None
    recon: Mapping[str, str] | None = None

    def fields(self) -> Mapping[str, str]:
        """Return what the document's JSON holds."""
        if self.recon is not None:
            return self.recon
        name = "userAuthorizationId" if self.notification_type == LINK_REVOKED else "user_authorization_id"
        return {
            "notification_type": self.notification_type,
            "notification_id": self.notification_id,
            name: self.user_authorization_id,
        }


class Notifier:
    """Sends the notifications of all types, as the dials say."""

    def __init__(self, core: Core, register: Register, dials: DialBoard, urls: WebhookUrls) -> None:
        self._core = core
        self._register = register
        self._dials = dials
        self._urls = urls
        self._held: dict[str, list[Notification]] = {}

    def reset(self) -> None:
        """Forget what is held back."""
        with self._core.lock:
            self._held.clear()

    def send(
        self,
        user: User,
        user_authorization_id: str,
        kind: str,
        notification_type: str | None = None,
        delivery: str = "sent",
    ) -> list[Notification]:
        """Notify the merchant that something of `kind` changed; return what was made of it.

        `delivery` is one of `DELIVERIES`; beside it the dials apply.
        """
        delivery = self._core.losses.take(self._register.names(user.key), delivery)
        copies = _copies(delivery, int(self._dials.number("webhook_copies", user.key) or 1))
        is_new = self._dials.text("webhook_copy_id", user.key) == "new"
        first = new_notification_id()
        made = []
        for copy in range(copies):
            notification_id = new_notification_id() if is_new and copy else first
            message = Message(notification_id, notification_type or NOTIFICATION_TYPES[kind], user_authorization_id)
            notification = self._notification(user, kind, message, self._dice(kind, user))
            made.append(notification)
            self._dispatch(user, notification, delivery)
        return made

    def recon_file(
        self,
        user: User,
        file_type: str,
        path: str,
        requested_at: str,
        delay_s: float = 0.0,
        delivery: str = "sent",
    ) -> Notification:
        """Tell the merchant that a recon file lies at `path`, as the document's "Recon File" sections show it.

        `requested_at` is in epoch seconds; `delay_s` is how much later the notification is sent, `delivery` one of
        `DELIVERIES`.
        """
        fields = {
            "notification_type": "file.created",
            "notification_id": str(uuid.uuid4()),
            "fileType": file_type,
            "path": path,
            "requestedAt": requested_at,
        }
        message = Message(fields["notification_id"], fields["notification_type"], "", recon=fields)
        delivery = self._core.losses.take((user.key,), delivery)
        for _ in range(_copies(delivery)):
            notification = self._notification(user, "recon", message, self._dice("recon", user))
            self._dispatch(user, notification, delivery, delay_s)
        return notification

    def send_now(self, user: User, kind: str, message: Message, url: str | None = None) -> Notification:
        """Send one message at once, in this thread and without repeats, whatever the dials say."""
        notification = self._notification(user, kind, message, Dice(None, {}), url)
        if notification.delivery.url:
            self._core.courier.send_once(notification.delivery)
        else:
            notification.delivery.state = "dropped"
        return notification

    def _dispatch(self, user: User, notification: Notification, delivery: str, later_s: float = 0.0) -> None:
        drop = self._dials.text("webhook_drop", user.key)
        if delivery == "lost" or drop in ("all", notification.kind) or not notification.delivery.url:
            notification.delivery.state = "dropped"
            return
        delay_s = later_s + (self._dials.number("webhook_delay_s", user.key) or 0.0)
        delay_s += LATE_S if delivery == "late" else 0.0
        for place, ready in enumerate(self._in_order(user, notification)):
            self._core.courier.send(ready.delivery, delay_s + place * ORDER_GAP_S)

    def _in_order(self, user: User, notification: Notification) -> list[Notification]:
        """Return what may go out now: nothing while notifications are gathered, then all, the last one first."""
        wanted = self._dials.number("webhook_reorder", user.key) or 1
        with self._core.lock:
            held = self._held.setdefault(user.key, [])
            held.append(notification)
            if len(held) < wanted:
                return []
            del self._held[user.key]
            return held[::-1]

    def _dice(self, kind: str, user: User) -> Dice:
        return self._core.unkindness.dice(f"paypay/webhook-{kind}", user.key, self._dials.value("unkind", user.key))

    def _notification(
        self, user: User, kind: str, message: Message, dice: Dice, url: str | None = None
    ) -> Notification:
        target = url or self._urls.of(kind) or ""
        timeout_s = self._dials.number("webhook_timeout_s", user.key) or 1.5
        pauses_s = RETRIES[self._dials.text(f"{kind}_retries", user.key) or "none"]
        body, content_type = variants.notification(message.fields(), dice, JSON_TYPE)
        delivery = Delivery(
            user_id=user.key,
            url=target,
            shown_url=urlunsplit(urlsplit(target)._replace(query="", fragment="")),
            body=body if message.raw_body is None else message.raw_body.encode("utf-8"),
            content_type=content_type,
            policy=RetryPolicy(timeout_s, pauses_s),
            accepts=is_accepted,
            kind=kind,
            may_send=lambda: self._dials.text("maintenance", user.key) != "on",
        )
        notification = Notification(message.notification_id, kind, message.user_authorization_id, delivery)
        with self._core.lock:
            user.notifications.append(notification)
        return notification


def _copies(delivery: str, dialled: int = 1) -> int:
    return max(2, dialled) if delivery == "twice" else dialled


def new_notification_id() -> str:
    """Return a new id in the form of the document's example."""
    return "evt_" + secrets.token_hex(8)


def is_accepted(answer: Answer) -> bool:
    """Return whether the merchant took the notification: HTTP 200, the body does not matter."""
    return answer.status == 200
