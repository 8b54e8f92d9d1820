"""What a schedule of the Vexora world is made of: the provider's manners, steps, and the fault plan."""

from dataclasses import dataclass
from typing import Any

from chaos.schedule import COMMON, CommonStep, Schedule

SERVICES = ("dynamodb", "transaction", "s3", "sqs", "events", "secrets", "provider")

# Beside those of every service (`schedule.FAILURES`) and of connections (`schedule.Fault`): late (no answer, and the
# call takes effect minutes later), garbled (a 200 that is no documented answer), contradicts (`success` is false
# beside code 0000 and an approval), system_error (code 8000), denied (a failing code; nothing was done).
PROVIDER_FAILURES = ("unsent", "hanging", "dead", "late", "garbled", "contradicts", "system_error", "denied")
BEFORE_ONLY = ("unsent", "hanging", "late", "denied")

OUTCOMES = ("begin", "approve", "reject", "correct")
CALLBACKS = ("sent", "twice", "late", "lost")
FORMS = ("json", "numbers", "base64", "form", "form_untyped", "multipart", "xml", "empty", "not_utf8")


@dataclass(frozen=True)
class Manners:
    """What Vexora's page leaves open, one way of reading it.

    `query_user_id`, `apply_user_id`: absent, same or other. `success`: boolean, text or absent. `numbers`:
    whether the status is a number. `timestamp`: number, text or absent. `again`: the fate of an application
    over an open one or an approval: refused, or accepted. `unknown_listed`: whether we know the code for a
    user who has no application. `before_us`: the status that each user had at Vexora before we came, or "".
    """

    query_user_id: str = "absent"
    apply_user_id: str = "same"
    success: str = "boolean"
    numbers: bool = False
    timestamp: str = "number"
    again: str = "refused"
    unknown_listed: bool = True
    before_us: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submit:
    """The merchant submits a user, and once more after `repeat_s` seconds (0: never) where the answer was no 2xx."""

    user: int
    repeat_s: int = 0


@dataclass(frozen=True)
class Review:
    """Vexora begins to review the user's latest application, decides it, or corrects its decision.

    `callback`: sent, twice, late or lost. `claims`: what the callback says, where it is not the truth.
    """

    user: int
    outcome: str
    callback: str = "sent"
    form: str = "json"
    claims: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """The user applies at Vexora by another way than through us."""

    user: int


@dataclass(frozen=True)
class Forge:
    """A callback that is not Vexora's and claims an approval; `knows_token`: at the right URL."""

    user: int
    knows_token: bool = False
    form: str = "json"


type Step = Submit | Review | Elsewhere | Forge | CommonStep


@dataclass(frozen=True)
class VexoraSchedule(Schedule[Step]):
    """A schedule of the Vexora world, with the provider's manners."""

    step_kinds = (*COMMON, Submit, Review, Elsewhere, Forge)

    manners: Manners = Manners()

    @classmethod
    def more(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """The manners."""
        manners = raw["manners"]
        return {**raw, "manners": Manners(**{**manners, "before_us": tuple(manners["before_us"])})}
