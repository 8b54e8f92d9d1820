"""The sandbox of a local stack: what a user, a reviewer or a provider does there, and whether its webhook is sent.

Only the sandbox is ever called. An address that is not of this machine, or at which something else listens, gets
nothing: a real provider must not be sent what a test meant for the sandbox.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from urllib.parse import quote, urlsplit

from honninctl.deployment import Deployment, send
from honninctl.failures import CommandError, NotFoundError, UnreachableError, UsageError
from honninctl.language import _

_CONTROL = "/_sandbox"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_TIMEOUT_S = 20
# sandbox.delivery.LATE_S; the CLI imports nothing of the sandbox.
LATE_S = 60


class Delivery(StrEnum):
    """How the webhook of one change is delivered."""

    SENT = "sent"
    LOST = "lost"
    TWICE = "twice"
    LATE = "late"


class Outcome(StrEnum):
    """What a reviewer of Vexora does. `again` decides nothing: the last callback goes out once more."""

    APPROVE = "approve"
    REJECT = "reject"
    AGAIN = "again"


class AccountStatus(StrEnum):
    """The state that a user's account at PayPay gets; `unlinked`: the user ends the link in the app."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    CANCELED = "canceled"
    UNLINKED = "unlinked"


class RiskFlag(StrEnum):
    """PayPay's two flags."""

    UNACCEPTABLE_OP = "UNACCEPTABLE_OP"
    KYC_UPDATE_REQUIRED = "KYC_UPDATE_REQUIRED"


@dataclass(frozen=True)
class Sandbox:
    """One provider of the sandbox at `url`. Each method raises `CommandError`, and then has changed nothing."""

    url: str

    def kyc(self, user: str, delivery: Delivery, *, completed: bool | None = None) -> Delivery:
        """A user's KYC was updated. Returns how the webhook is delivered, by the sandbox's settings too."""
        change = {} if completed is None else {"completed": completed}
        return self._paypay(user, "kyc-updated", change, delivery)

    def risk(self, user: str, delivery: Delivery, flag: RiskFlag | None) -> Delivery:
        """A user is flagged, or (None) no longer."""
        return self._paypay(user, "risk", {"flag": flag}, delivery)

    def account(self, user: str, delivery: Delivery, status: AccountStatus) -> Delivery:
        """A user's account has another status, or the user has ended the link."""
        if status is AccountStatus.UNLINKED:
            return self._paypay(user, "authorization", {"state": "unlinked"}, delivery)
        return self._paypay(user, "account", {"status": status}, delivery)

    def review(self, user: str, delivery: Delivery, outcome: Outcome) -> Delivery:
        """A reviewer of Vexora decides."""
        path = f"/vexora/users/{quote(user, safe='')}/review"
        found = self._call("POST", path, {"outcome": outcome, "delivery": delivery}, _not_applied(user))
        return _delivery_of(found.get("callbacks"), "state", delivery)

    def night(self, delivery: Delivery, day: str) -> list[dict[str, Any]]:
        """PayPay makes the recon files of a day in Japan (`today` by the sandbox's clock); returns its files."""
        found = self._call("POST", "/paypay/recon-night", {"day": day, "delivery": delivery}, "")
        return [{name: each[name] for name in ("fileType", "day", "rows", "notification")} for each in found["files"]]

    def changed_on(self, user: str, day: str) -> list[str]:
        """The kinds of changes (kyc, risk, account_status) of a user that the files of a day in Japan list."""
        from honnin import times

        path = f"/paypay/users/{quote(user, safe='')}"
        found = self._call("GET", path, None, _not_linked(user))
        if not found["authorizations"]:
            raise NotFoundError(_not_linked(user))
        kinds = [
            each["kind"]
            for each in found["history"]
            if times.jst_day(datetime.fromtimestamp(each["at"], UTC)) == day
            and (each["kind"] != "risk" or each["value"] is not None)
        ]
        return list(dict.fromkeys(kinds))

    def _paypay(self, user: str, path: str, change: Mapping[str, object], delivery: Delivery) -> Delivery:
        place = f"/paypay/users/{quote(user, safe='')}/{path}"
        found = self._call("POST", place, {**change, "delivery": delivery}, _not_linked(user))
        return _delivery_of(found.get("notifications"), "outcome", delivery)

    def _call(self, method: str, path: str, body: Mapping[str, object] | None, missing: str) -> dict[str, Any]:
        """Call the control API. `missing` is the sentence for somebody whom the sandbox does not know."""
        status, answer = _sent(self.url, method, path, body)
        if 200 <= status < 300 and isinstance(answer, dict):
            return answer
        if status == 404 and missing:
            raise NotFoundError(missing)
        if status == 409:
            raise CommandError(_("Vexora's reviewer has decided already: --outcome again sends the callback once more"))
        raise CommandError(
            _("the sandbox at {url} answered HTTP {status}: is it of another version?").format(
                url=self.url, status=status
            )
        )


def _not_linked(user: str) -> str:
    return _(
        "{user} has no PayPay account linked in the sandbox: call POST /paypay/account-links, and open its "
        "linkQRCodeURL"
    ).format(user=user)


def _not_applied(user: str) -> str:
    return _("{user} has not applied to Vexora in the sandbox: call POST /vexora/submissions").format(user=user)


def sandbox(deployment: Deployment, provider: str) -> Sandbox:
    """The sandbox that a local stack has in the place of a provider, `paypay` or `vexora`.

    Raises `UsageError` for a stack, or for an address, that is not of this machine; `UnreachableError` when nothing
    answers there; `CommandError` when what answers is not the sandbox.
    """
    parameter = {"paypay": "PayPayBaseUrl", "vexora": "VexoraBaseUrl"}[provider]
    if not deployment.is_local:
        raise UsageError(
            _(
                "{name} is not the stack of `make run` (its parameter Stage is not local): trigger plays the "
                "providers' sandbox only, and nothing was sent"
            ).format(name=deployment.name)
        )
    url = _root(deployment.parameters.get(parameter, ""))
    if url is None:
        raise UsageError(
            _(
                "the parameter {parameter} of {name} is not the address of the sandbox on this machine: trigger "
                "never calls a provider, and nothing was sent"
            ).format(parameter=parameter, name=deployment.name)
        )
    status, answer = _sent(url, "GET", "/health", None)
    known = answer.get("providers") if isinstance(answer, dict) else None
    if status != 200 or not isinstance(known, list) or provider not in known:
        raise CommandError(
            _("what answers at {url} is not the sandbox of `make run`: nothing was sent to it").format(url=url)
        )
    return Sandbox(url)


def _root(base_url: str) -> str | None:
    """Scheme, host and port of an address of this machine; None for any other."""
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.username is not None or port is None:
        return None
    return f"http://{parts.netloc}"


def _sent(url: str, method: str, path: str, body: Mapping[str, object] | None) -> tuple[int, Any]:
    """Send a request to the control API: the status, and the answer's JSON (None without). Follows no redirect."""
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError

    data = None if body is None else json.dumps(body)
    request = AWSRequest(
        method=method, url=f"{url}{_CONTROL}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    try:
        answer = send(request, use_proxies=False, timeout_s=_TIMEOUT_S)
        return answer.status_code, _json(answer.content)
    except BotoCoreError:
        raise UnreachableError(
            _("the sandbox at {url} does not answer: is `make run` still running?").format(url=url)
        ) from None


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _delivery_of(webhooks: Any, state: str, delivery: Delivery) -> Delivery:
    """How the newest webhook is delivered: as asked, or lost by a setting of the sandbox."""
    newest = webhooks[-1] if isinstance(webhooks, list) and webhooks else {}
    return Delivery.LOST if newest.get(state) == "dropped" else delivery
