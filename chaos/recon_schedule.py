"""What a schedule of the recon world is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from chaos.schedule import COMMON, CommonStep, Schedule

SERVICES = ("dynamodb", "transaction", "s3", "sqs", "states", "events", "secrets", "provider", "file")

# What happens to a user at PayPay: the path of the sandbox's control, and its body.
CHANGES: Mapping[str, tuple[str, dict[str, object]]] = {
    "verified": ("kyc-updated", {"completed": True}),
    "not_completed": ("kyc-updated", {"completed": False}),
    "flagged": ("risk", {"flag": "UNACCEPTABLE_OP"}),
    "update_required": ("risk", {"flag": "KYC_UPDATE_REQUIRED"}),
    "cleared": ("risk", {"flag": None}),
    "active": ("account", {"status": "active"}),
    "inactive": ("account", {"status": "inactive"}),
    "canceled": ("account", {"status": "canceled"}),
}
NOTIFICATIONS: Mapping[str, dict[str, object]] = {
    "sent": {},
    "twice": {"webhook_copies": 2},
    "new_id": {"webhook_copies": 2, "webhook_copy_id": "new"},
    "late": {"webhook_delay_s": 2400.0},
    "lost": {"webhook_drop": "all"},
}


@dataclass(frozen=True)
class Change:
    """A user's state changes at PayPay. `notification`: sent, twice, new_id (twice, under two ids), late, lost."""

    user: int
    what: str
    notification: str = "sent"


@dataclass(frozen=True)
class Night:
    """PayPay makes yesterday's files and sends a notification of each, late, or not."""

    notification: str = "sent"


@dataclass(frozen=True)
class Download:
    """The schedule fetches the files of the notifications, and starts the comparison of what is stored."""


@dataclass(frozen=True)
class Compare:
    """The state machine goes on, for so many invocations of its functions."""

    calls: int = 20


@dataclass(frozen=True)
class Kill:
    """Whatever runs of the state machine is stopped."""


type Step = Change | Night | Download | Compare | Kill | CommonStep


@dataclass(frozen=True)
class ReconSchedule(Schedule[Step]):
    """A schedule of the recon world. `recheck_all`: users whose webhook came are read again, too (ReconRecheck)."""

    step_kinds = (*COMMON, Change, Night, Download, Compare, Kill)

    recheck_all: bool = True
