"""What a schedule is made of: steps, and a fault plan over the numbered calls that leave the process."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

# The scopes that a user may have agreed to; the KYC Passport QR needs a browser of its own and is left out.
SCOPES = (
    ("mini_app_kyc_passport",),
    ("get_kyc_info",),
    ("get_kyc_info", "mini_app_kyc_passport"),
    ("user_profile",),
)

REDIRECTS = ("once", "twice", "lost", "declined")
CHANGES = (
    "kyc_done",
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
NOTICES = ("sent", "twice", "late", "lost")
KINDS = ("kyc", "risk", "account_status", "unrecognised", "customer", "recon")
ORDERS = ("as sent", "reversed", "rotated")

# `transaction` is DynamoDB as well: its writes are few among many reads, so they are numbered by themselves.
SERVICES = ("dynamodb", "transaction", "s3", "sqs", "events", "secrets", "provider")
# What may go wrong at any service, and what only at one.
FAILURES = ("throttled", "error", "lost", "kill", "pause", "unexpected")
EXTRA_FAILURES = {
    "dynamodb": ("repeated",),
    "transaction": ("repeated", "conflict"),
    "s3": ("repeated",),
    "sqs": (),
    "events": ("repeated", "refused"),
    "secrets": (),
    "provider": ("maintenance", "unauthorized", "garbled", "unsent", "hanging", "dead"),
}


@dataclass(frozen=True)
class Link:
    """The user links a PayPay account: QR, consent, redirect (`once`, `twice`, `lost`, `declined`)."""

    user: int
    scopes: int = 0
    redirect: str = "once"


@dataclass(frozen=True)
class Change:
    """Something about the user changes at PayPay, which notifies us (`sent`, `twice`, `late`) or fails to (`lost`)."""

    user: int
    what: str
    notice: str = "sent"


@dataclass(frozen=True)
class Notify:
    """PayPay notifies without a change. `old`: under the user's first authorization instead of the last."""

    user: int
    kind: str
    copies: int = 1
    old: bool = False


@dataclass(frozen=True)
class Work:
    """After `wait_s` seconds a worker takes up to `size` of the messages that are due."""

    size: int = 10
    order: str = "as sent"
    wait_s: int = 0


@dataclass(frozen=True)
class Echo:
    """The queue hands out once more what it has handed out before."""

    index: int = 0


@dataclass(frozen=True)
class Read:
    """The merchant reads the user's KYC over the API."""

    user: int


@dataclass(frozen=True)
class Rotate:
    """The API secret is rotated: in Secrets Manager and at PayPay."""


@dataclass(frozen=True)
class Poll:
    """The scheduled poll runs, which also publishes what a crash left unpublished."""


@dataclass(frozen=True)
class Wait:
    """Time passes; what was late arrives."""

    seconds: int = 60


type Step = Link | Change | Notify | Work | Echo | Read | Rotate | Poll | Wait


@dataclass(frozen=True)
class Fault:
    """At call number `call` to `service` (from 0) and the `calls - 1` after it, `when` (before, after) its effect.

    `kind`: throttled, error (a 5xx), lost (no answer: before, it never arrived; after, it took effect), repeated
    (the SDK sent it twice), conflict (a transaction met another), refused (an entry of the batch), maintenance,
    unauthorized, garbled (no JSON), unsent (no connection), hanging (the caller gives up while it connects, and it
    goes on later), dead (a kept-alive connection: written to, then reset), unexpected (a bug of ours), kill (the
    environment is gone), pause (`calls` steps of the schedule happen meanwhile).
    """

    service: str
    call: int
    when: str
    kind: str
    calls: int = 1


@dataclass(frozen=True)
class Schedule:
    """Steps and the fault plan. `to_json` gives what `--replay` takes."""

    steps: Sequence[Step]
    faults: Sequence[Fault] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        steps = [[type(step).__name__, asdict(step)] for step in self.steps]
        return json.dumps({"steps": steps, "faults": [asdict(fault) for fault in self.faults]})

    @classmethod
    def from_json(cls, text: str) -> "Schedule":
        """Read what `to_json` wrote. Raises `ValueError`, `KeyError` or `TypeError` when it did not."""
        kinds: dict[str, Any] = {
            kind.__name__: kind for kind in (Link, Change, Notify, Work, Echo, Read, Rotate, Poll, Wait)
        }
        raw = json.loads(text)
        return cls(
            tuple(kinds[name](**fields) for name, fields in raw["steps"]),
            tuple(Fault(**fault) for fault in raw["faults"]),
        )
