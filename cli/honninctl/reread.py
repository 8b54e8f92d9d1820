"""Having a user read again at every provider that knows them: one event for each question, on the rereads queue.

The event takes the path of a webhook: the processor asks the provider over a signed call and applies the answer. So
nothing that an operator says decides about a user, and repeating it does no harm.
"""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from honninctl.deployment import Deployment
from honninctl.failures import NotFoundError, UsageError
from honninctl.language import N_, _

if TYPE_CHECKING:
    from honnin.store import TimelineEntry, UserStatus

_PAUSE_S = 0.5
# The newest entries of a user; among them are those of questions that were asked just now.
_ENTRIES = 100

# What an entry of the timeline says of a question that was not answered.
_NOT_READ = {
    "reading_refused": N_("the provider refused the read"),
    "no_read_fits_scopes": N_("the user's scopes allow no KYC read"),
    "other_authorization": N_("the user has linked again meanwhile; run this again"),
}


@dataclass(frozen=True)
class Question:
    """One reading that was asked for, with the status before it. `entry` is what it led to, None while it is open."""

    event_id: str
    provider: str
    kind: str
    before: str
    entry: "TimelineEntry | None" = None

    @property
    def is_read(self) -> bool:
        """Whether the provider has answered the question itself."""
        return self.entry is not None and self.entry.what.endswith("_read")

    def as_json(self) -> dict[str, Any]:
        """For scripts: `what`, `from`, `to` and `providerCode` are null while the outcome is open."""
        entry = self.entry
        return {
            "provider": self.provider,
            "kind": self.kind,
            "eventId": self.event_id,
            "what": entry.what if entry else None,
            "from": entry.from_status if entry else None,
            "to": entry.to_status if entry else None,
            "providerCode": entry.detail.get("providerCode") if entry else None,
        }


def ask(deployment: Deployment, user_id: str) -> list[Question]:
    """Queue a reading of the user for each provider that knows them. Raises the same as `questions`."""
    asked = _planned(deployment, user_id)
    queue_url = deployment.output("RereadQueueUrl")
    for _question, body in asked:
        deployment.client("sqs").send_message(QueueUrl=queue_url, MessageBody=body)
    return [question for question, _body in asked]


def questions(deployment: Deployment, user_id: str) -> list[Question]:
    """What `ask` would queue.

    Raises
    ------
    NotFoundError
        No provider knows the user, or the user was erased.
    UsageError
        There is nothing to read yet: the user has not agreed at PayPay.
    """
    return [question for question, _ in _planned(deployment, user_id)]


def why_not(what: str) -> str:
    """Why a user was not read, by the entry of the timeline about it; the entry's own word if it is another one."""
    return _(_NOT_READ[what]) if what in _NOT_READ else what


def _planned(deployment: Deployment, user_id: str) -> "list[tuple[Question, str]]":
    statuses = deployment.store.users.statuses(user_id)
    if not statuses:
        erased = bool(deployment.store.erasure.certificates(user_id))
        raise NotFoundError(
            _("{user_id} was erased, so there is nothing to read").format(user_id=user_id)
            if erased
            else _("no provider knows a user {user_id}").format(user_id=user_id)
        )
    asked = list(_questions(statuses))
    if not asked:
        raise UsageError(
            _("{user_id} has not agreed at PayPay yet, so there is nothing to read").format(user_id=user_id)
        )
    return asked


def outcomes(
    deployment: Deployment,
    user_id: str,
    asked: Sequence[Question],
    *,
    timeout_s: float,
    done: Callable[[int], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Question]:
    """The questions with what they led to, as far as that is known within `timeout_s` seconds.

    `done` is called with each number of questions that got their outcome.
    """
    until = monotonic() + timeout_s
    found: dict[str, TimelineEntry] = {}
    while True:
        entries, _cursor = deployment.store.users.timeline(user_id, _ENTRIES)
        known = len(found)
        ids = {each.event_id for each in asked}
        found |= {each.event_id: each for each in entries if each.event_id in ids}
        done(len(found) - known)
        if len(found) == len(asked) or monotonic() >= until:
            return [replace(each, entry=found.get(each.event_id)) for each in asked]
        sleep(_PAUSE_S)


def _questions(statuses: "Sequence[UserStatus]") -> "Iterator[tuple[Question, str]]":
    """Each question, with the body of its message."""
    from honnin.event import Event
    from honnin.reread.questions import KINDS, subject

    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for status in statuses:
        asked = subject(status)
        for kind in KINDS[status.provider] if asked else ():
            # Unlike recon's, it names no authorization: an event's id is logged.
            question = Question(f"operator:{uuid.uuid4()}", status.provider, kind, status.status)
            event = Event(question.event_id, status.provider, kind, "operator", asked or "", now)
            yield question, event.to_json()
