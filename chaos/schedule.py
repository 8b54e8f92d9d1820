"""What a schedule of any world is made of: steps, and a fault plan over the numbered calls that leave the process."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

ORDERS = ("as sent", "reversed", "rotated")

# Something else happens meanwhile, and then the call goes on: the schedule's next steps, a worker's batch, or the
# comparison of a recon file.
MEANWHILE = ("pause", "worker", "comparison")

# What may go wrong at any service, and what only at some.
FAILURES = ("throttled", "error", "lost", "kill", "pause", "unexpected")
AWS_FAILURES = {
    "dynamodb": ("repeated",),
    "transaction": ("repeated", "conflict"),
    "s3": ("repeated",),
    "events": ("repeated", "refused"),
}


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
class Rotate:
    """The API secret is rotated: in Secrets Manager and at the provider."""


@dataclass(frozen=True)
class Poll:
    """The scheduled poll runs, which also publishes what a crash left unpublished."""


@dataclass(frozen=True)
class Wait:
    """Time passes; what was late arrives."""

    seconds: int = 60


type CommonStep = Work | Echo | Rotate | Poll | Wait

COMMON = (Work, Echo, Rotate, Poll, Wait)


@dataclass(frozen=True)
class Fault:
    """At call number `call` to `service` (from 0) and the `calls - 1` after it, `when` (before, after) its effect.

    `service`: dynamodb, transaction (DynamoDB as well: its writes are few among many reads, so they are numbered by
    themselves), s3, sqs, events, secrets, provider, file (the download of a recon file).

    `kind`: throttled, error (a 5xx), lost (no answer: before, it never arrived; after, it took effect), repeated
    (the SDK sent it twice), conflict (a transaction met another), refused (an entry of the batch), maintenance,
    unauthorized, garbled (no JSON), unsent (no connection), hanging (the caller gives up while it connects, and it
    goes on later), dead (a kept-alive connection: written to, then reset), unexpected (a bug of ours), kill (the
    environment is gone), pause (`calls` steps of the schedule happen meanwhile), worker (another worker takes a
    batch meanwhile), comparison (another comparison of a recon file runs meanwhile).
    """

    service: str
    call: int
    when: str
    kind: str
    calls: int = 1


@dataclass(frozen=True)
class Schedule[S]:
    """Steps and the fault plan. `to_json` gives what `--replay` takes."""

    # The kinds of its steps, by which they are read back.
    step_kinds: ClassVar[Sequence[type]] = COMMON

    steps: Sequence[S]
    faults: Sequence[Fault] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        steps = [[type(step).__name__, asdict(step)] for step in self.steps]  # type: ignore[call-overload]  # dataclasses
        return json.dumps({**asdict(self), "steps": steps})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote. Raises `ValueError`, `KeyError` or `TypeError` when it did not."""
        raw = json.loads(text)
        kinds = {kind.__name__: kind for kind in cls.step_kinds}
        steps = tuple(kinds[name](**fields) for name, fields in raw.pop("steps"))
        faults = tuple(Fault(**fault) for fault in raw.pop("faults"))
        return cls(steps, faults, **cls.more(raw))

    @classmethod
    def more(cls, raw: dict[str, Any]) -> dict[str, Any]:
        """What else a world's schedule has, read from JSON."""
        return raw
