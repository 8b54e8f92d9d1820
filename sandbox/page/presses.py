"""What the page's buttons do. Each returns how the webhook is delivered, or `set`; each raises ControlError."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandbox.core import ControlError, without_delivery
from sandbox.paypay.control import Changes, View
from sandbox.paypay.register import ACCOUNT_STATES, RISK_FLAGS
from sandbox.vexora.provider import AGAIN
from sandbox.vexora.register import OUTCOMES

if TYPE_CHECKING:
    from sandbox.app import Sandbox

type Form = Mapping[str, str]
type Press = Callable[[Changes, str, dict[str, object]], View]

LAGS_S = (0, 10, 60, 600)
REVIEWS = (*OUTCOMES, "none")


def _kyc(**change: object) -> Press:
    return lambda changes, name, how: changes.kyc_updated(name, {**change, **how})


def _risk(flag: str | None) -> Press:
    return lambda changes, name, how: changes.risk(name, {"flag": flag, **how})


def _account(status: str) -> Press:
    return lambda changes, name, how: changes.account(name, {"status": status, **how})


def _unlink(changes: Changes, name: str, how: dict[str, object]) -> View:
    return changes.authorization(name, {"state": "unlinked", **how})


# By the group in which the page shows them; the names are in its texts.
PAYPAY: Mapping[str, Mapping[str, Press]] = {
    "kyc": {"kyc": _kyc(), "kyc-completed": _kyc(completed=True), "kyc-not-completed": _kyc(completed=False)},
    "risk": {**{f"risk-{flag}": _risk(flag) for flag in RISK_FLAGS}, "risk-none": _risk(None)},
    "account": {f"account-{status}": _account(status) for status in ACCOUNT_STATES},
    "link": {"unlink": _unlink},
}


def paypay_press(sandbox: "Sandbox", form: Form) -> str:
    """Do what a user of PayPay, or PayPay itself, would."""
    found = {name: press for group in PAYPAY.values() for name, press in group.items()}.get(form.get("press", ""))
    if found is None or not form.get("user"):
        raise ControlError(400, "There is no such button.")
    delivery = delivery_of(form)
    found(sandbox.paypay.changes, form["user"], {"delivery": delivery})
    return delivery


def vexora_press(sandbox: "Sandbox", form: Form) -> str:
    """Decide as a reviewer of Vexora, or send the result again."""
    outcome = form.get("press", "")
    if outcome not in (*OUTCOMES, AGAIN) or not form.get("user"):
        raise ControlError(400, "There is no such button.")
    delivery = delivery_of(form)
    sandbox.vexora.review_now(form["user"], outcome, delivery)
    return delivery


def setting(sandbox: "Sandbox", form: Form) -> str:
    """Set a dial for all users. Raises DialError, too."""
    value = form.get("value", "")
    match form.get("setting"):
        case "maintenance" if value in ("on", "off"):
            sandbox.paypay.dials.put({"maintenance": value})
        case "lag" if value in map(str, LAGS_S):
            sandbox.paypay.dials.put({"read_lag_s": float(value)})
        case "review" if value in REVIEWS:
            sandbox.vexora.dials.put({"review": value})
        case _:
            raise ControlError(400, "There is no such setting.")
    return "set"


def delivery_of(form: Form) -> str:
    """Return what shall become of the webhook. Raises ControlError."""
    return without_delivery({"delivery": form.get("delivery", "")})[1]
