"""What a schedule of the PayPay world is made of."""

from dataclasses import dataclass

from chaos.schedule import COMMON, CommonStep, Schedule

# The scopes that a user may have agreed to.
SCOPES = (
    ("mini_app_kyc_passport",),
    ("get_kyc_info",),
    ("get_kyc_info", "mini_app_kyc_passport"),
    ("user_profile",),
    ("kyc_passport_qr",),
)

REDIRECTS = ("once", "twice", "lost", "declined")
CHANGES = (
    "kyc_done",
    "kyc_unconfirmed",
    "kyc_undone",
    "flagged",
    "update_required",
    "cleared",
    "active",
    "inactive",
    "canceled",
    "unlinked",
    "expired",
)
# How long the reads lag behind a change; settling reads are made until 15 minutes after the webhook.
LAGS_S = (0, 0, 0, 30, 300, 840)
# How long an authorization lives.
LIVES_S = (0, 0, 0, 900, 3600)
NOTIFICATIONS = ("sent", "twice", "late", "lost")
KINDS = ("kyc", "risk", "account_status", "unrecognised", "customer", "recon")

SERVICES = ("dynamodb", "transaction", "s3", "sqs", "events", "secrets", "provider")
# Beside those of every service (`schedule.FAILURES`).
PROVIDER_FAILURES = ("maintenance", "unauthorized", "refused", "garbled", "unsent", "hanging", "dead")


@dataclass(frozen=True)
class Link:
    """The user links a PayPay account: QR, consent, redirect (`once`, `twice`, `lost`, `declined`).

    The authorization ends after `life_s` seconds (0: in ten years).
    """

    user: int
    scopes: int = 0
    redirect: str = "once"
    life_s: int = 0


@dataclass(frozen=True)
class Change:
    """Something about the user changes at PayPay, which notifies us (`sent`, `twice`, `late`) or fails to (`lost`).

    Its reads show the change `lag_s` seconds later.
    """

    user: int
    what: str
    notification: str = "sent"
    lag_s: int = 0


@dataclass(frozen=True)
class Extend:
    """PayPay extends the user's authorization, without a notification."""

    user: int


@dataclass(frozen=True)
class Notify:
    """PayPay notifies without a change. `old`: under the user's first authorization instead of the last."""

    user: int
    kind: str
    copies: int = 1
    old: bool = False


@dataclass(frozen=True)
class Read:
    """The merchant reads the user's KYC over the API."""

    user: int


type Step = Link | Change | Extend | Notify | Read | CommonStep


@dataclass(frozen=True)
class PayPaySchedule(Schedule[Step]):
    """A schedule of the PayPay world."""

    step_kinds = (*COMMON, Link, Change, Extend, Notify, Read)
