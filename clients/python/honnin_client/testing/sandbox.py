"""The sandbox of a local stack: what users, reviewers and PayPay do, and how the webhook about it is delivered.

Names are those of `honninctl trigger` and of the sandbox's page; its control API is described in `sandbox/__init__.py`
of Honnin's repository.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import quote

import httpx

from honnin_client import Honnin, RefusedError, models
from honnin_client.testing.stacks import HonninStack
from honnin_client.testing.waiting import until

Delivery = Literal["sent", "lost", "twice", "late"]
"""How the webhook of one act is delivered; late is 60 seconds."""

_TIMEOUT_S = 30.0
_SCOPES = ("mini_app_kyc_passport", "get_kyc_info")
_APPROVED = "2"
# The dial of Vexora's callback for an application that is decided when it comes.
_CALLBACK = {"sent": None, "lost": "dropped", "twice": "duplicated", "late": "delayed"}


class SandboxError(Exception):
    """The sandbox has refused something, and nothing was changed. The text is its own sentence."""


class Sandbox:
    """Both providers, simulated. Tests that share a stack take users of their own."""

    def __init__(self, stack: HonninStack, honnin: Honnin) -> None:
        if stack.sandbox_url is None:
            raise SandboxError(f"The stack {stack.name!r} was started without the sandbox.")
        self.url = stack.sandbox_url
        self.stack = stack
        self._honnin = honnin
        self._http = httpx.Client(trust_env=False, timeout=_TIMEOUT_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def user(self, user_id: str) -> SandboxUser:
        """A user of both providers. From now on the user's applications to Vexora wait for the test's decision."""
        return SandboxUser(self, self._honnin, user_id)

    def lose_next_webhook(self, user: str | None = None) -> None:
        """Lose exactly the next notification to Honnin, of `user` if one is given, with all its tries."""
        self.call("POST", "/lose-next", {} if user is None else {"user": user})

    @contextmanager
    def maintenance(self) -> Iterator[None]:
        """PayPay's maintenance, for all users: every call is refused, and no webhook is sent."""
        self.dials("paypay", maintenance="on")
        try:
            yield
        finally:
            self.dials("paypay", maintenance=None)

    def dials(self, provider: Literal["vexora", "paypay"], user: str | None = None, /, **dials: object) -> None:
        """Set dials for all users or for one; None unsets one. `sandbox/__init__.py` of Honnin lists them."""
        self.call("PUT", f"/dials/{provider}" + ("" if user is None else f"/{_quoted(user)}"), dials)

    def recon_night(self, timeout: float = 120.0) -> str:
        """Make today's recon files, as PayPay does at night, and have Honnin fetch and compare them now.

        Returns the day in Japan. Users whom the files name are read again shortly afterwards. Raises `TooLateError`
        after `timeout` seconds.
        """
        made = self.call("POST", "/paypay/recon-night", {"day": "today"})["files"]
        day = str(made[0]["day"])

        def report() -> dict[str, str]:
            try:
                files = self._honnin.get_recon_report(day).files
            except RefusedError as error:
                if error.code == models.ProblemCode.RECON_DAY_UNKNOWN:
                    return {}
                raise
            return {each.sha256: each.state for each in files if each.sha256}

        def compared() -> str | None:
            self.stack.invoke("ReconDownloadFunctionName")
            states = report()
            now = self.call("GET", "/paypay/recon-files")["files"]
            told = [each for each in now if each["day"] == day and each["notification"] not in (None, "dropped")]
            return day if all(states.get(each["sha256"]) == "COMPARED" for each in told) else None

        return until(compared, timeout, lambda: f"The recon files of {day} were not compared: {report()}")

    @contextmanager
    def webhooks_to(self, url: str) -> Iterator[None]:
        """Have Honnin's webhooks to the merchant at `url`, too: the sandbox passes each on as it came.

        Honnin gets the worst status of all receivers, and tries again after any but 2xx.
        """
        self.call("POST", "/shop/receivers", {"url": url})
        try:
            yield
        finally:
            self.call("DELETE", "/shop/receivers", {"url": url})

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Call the control API, `path` being below `/_sandbox`. Raises `SandboxError` when it refuses."""
        answer = self._http.request(method, f"{self.url}/_sandbox{path}", json=body)
        if answer.is_success:
            return answer.json()
        raise SandboxError(_sentence(answer))

    def press(self, url: str, decision: Literal["allow", "decline"]) -> None:
        """Press a button of PayPay's consent page, and follow the browser back to Honnin, but not to the shop."""
        answer = self._http.post(url, data={"decision": decision})
        back = answer.headers.get("Location")
        if back is None:
            raise SandboxError(f"PayPay's consent page answered HTTP {answer.status_code}: has the link expired?")
        self._http.get(back)


class SandboxUser:
    """One user. Each act takes `delivery`: how the webhook about it is delivered."""

    def __init__(self, sandbox: Sandbox, honnin: Honnin, user_id: str) -> None:
        self.user_id = user_id
        self._sandbox = sandbox
        self._honnin = honnin
        dials = sandbox.call("GET", f"/dials/vexora/{_quoted(user_id)}")["set"]
        if "review" not in dials:
            sandbox.dials("vexora", user_id, review="none")

    # --- Vexora ---

    def approve(self, *, delivery: Delivery = "sent") -> None:
        """Vexora's reviewer approves: the application that waits, or else the next ones as soon as they come."""
        self._decide("approve", delivery)

    def reject(self, *, reason: str | None = None, delivery: Delivery = "sent") -> None:
        """The reviewer rejects, with Vexora's words for it: the application that waits, or else the next ones."""
        if reason is not None:
            self._sandbox.dials("vexora", self.user_id, reason=reason)
        self._decide("reject", delivery)

    def result_again(self, *, delivery: Delivery = "sent") -> None:
        """Vexora sends the last result once more."""
        self._vexora("review", {"outcome": "again", "delivery": delivery})

    def _decide(self, outcome: str, delivery: Delivery) -> None:
        known = self._sandbox.call("GET", f"/vexora/users/{_quoted(self.user_id)}")
        if known["status"] in ("0", "1"):
            self._vexora("review", {"outcome": outcome, "delivery": delivery})
        elif known["status"] != _APPROVED:
            how = {"review": outcome, "review_delay_s": 0, "callback": _CALLBACK[delivery]}
            self._sandbox.dials("vexora", self.user_id, **how)
        elif outcome == "reject":
            raise SandboxError(
                f"Vexora has approved {self.user_id!r} already: name the user, sandbox.user({self.user_id!r}), before "
                "the submission, so that it waits for your decision."
            )

    def _vexora(self, act: str, body: Mapping[str, object]) -> None:
        self._sandbox.call("POST", f"/vexora/users/{_quoted(self.user_id)}/{act}", body)

    def poll(self, timeout: float = 60.0) -> None:
        """Have Honnin ask Vexora about the open submission now, and find the result whose callback was lost.

        A submission is not asked about in its first seconds. Raises `TooLateError` after `timeout` seconds.
        """

        def asked() -> int:
            return int(self._sandbox.call("GET", f"/vexora/users/{_quoted(self.user_id)}")["query_calls"])

        before = asked()

        def polled() -> bool | None:
            self._sandbox.stack.invoke("VexoraStatusPollFunctionName")
            return True if asked() > before else None

        until(polled, timeout, lambda: f"Honnin has not asked Vexora about {self.user_id}: is a submission open?")

    # --- PayPay ---

    def link(self, scopes: Sequence[str] = _SCOPES, *, return_url: str | None = None) -> None:
        """Link a PayPay account through Honnin: make the link, open it, press "allow", and come back."""
        request = models.AccountLinkRequest(
            user_id=self.user_id, scopes=list(scopes), return_url=return_url or f"{self._sandbox.url}/shop/return"
        )
        self.allow(self._honnin.create_account_link(body=request).link_qr_code_url)

    def allow(self, url: str) -> None:
        """Press "allow" on the page of a link that the back end under test has made (`linkQRCodeURL`)."""
        self._sandbox.press(url, "allow")

    def decline(self, url: str) -> None:
        """Press "decline" there."""
        self._sandbox.press(url, "decline")

    def cancel_link(self, *, delivery: Delivery = "sent") -> None:
        """The user ends the link in the PayPay app."""
        self._paypay("authorization", {"state": "unlinked", "delivery": delivery})

    def expire_link(self) -> None:
        """The authorization ends now; PayPay sends no webhook of that."""
        self._paypay("authorization", {"state": "expired"})

    def set_kyc(self, *, completed: bool) -> None:
        """Whether the KYC is completed, without a webhook; also before the user is linked."""
        self._sandbox.call("PUT", f"/paypay/users/{_quoted(self.user_id)}/kyc", {"completed": completed})

    def update_kyc(
        self, *, completed: bool | None = None, data: Mapping[str, object] | None = None, delivery: Delivery = "sent"
    ) -> None:
        """The user's KYC was updated. Fields of `data` are merged; None removes one."""
        change = {"completed": completed, "data": data}
        given = {name: value for name, value in change.items() if value is not None}
        self._paypay("kyc-updated", {**given, "delivery": delivery})

    def flag(
        self,
        flag: Literal["UNACCEPTABLE_OP", "KYC_UPDATE_REQUIRED"] = "UNACCEPTABLE_OP",
        *,
        delivery: Delivery = "sent",
    ) -> None:
        """PayPay flags the user."""
        self._paypay("risk", {"flag": flag, "delivery": delivery})

    def clear_flag(self, *, delivery: Delivery = "sent") -> None:
        """PayPay takes the flag away."""
        self._paypay("risk", {"flag": None, "delivery": delivery})

    def account_status(self, status: Literal["active", "inactive", "canceled"], *, delivery: Delivery = "sent") -> None:
        """The user's PayPay account is suspended (`inactive`), closed (`canceled`) or active again."""
        self._paypay("account", {"status": status, "delivery": delivery})

    def _paypay(self, act: str, body: Mapping[str, object]) -> None:
        self._sandbox.call("POST", f"/paypay/users/{_quoted(self.user_id)}/{act}", body)


def _quoted(user_id: str) -> str:
    return quote(user_id, safe="")


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"The sandbox answered HTTP {answer.status_code}: is it of another version?"
