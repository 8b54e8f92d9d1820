"""Applications at Vexora, and when Vexora is asked about each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from honnin.store.contracts import Contract, contract_attributes
from honnin.store.keys import Item, due, submission_key
from honnin.store.table import POLL, Table, attributes, encode, read

# The attribute that goes as soon as it is known whether an application was sent.
EARLIER_CONTRACT = "earlier_contract"


@dataclass(frozen=True)
class Submission:
    """One application at Vexora. `polls` counts the polls so far. An erased one has no user.

    `outcome` is `unclear` if the provider's answer to the application never came or could not be read. It is `refused`
    if the provider refused it and could not be asked what it knows about the user. `earlier_contract` is what was known
    of the user's contract before (`contract_attributes`), until it is known whether the application was sent.
    """

    submission_id: str
    user_id: str
    status: str
    submitted_at: str
    polls: int = 0
    outcome: str | None = None
    due_at: str | None = None
    earlier_contract: Mapping[str, Any] | None = field(default=None, repr=False)

    def awaits_first_poll(self, now: str) -> bool:
        """Whether its first poll is not due yet. Until then the application may still be on its way."""
        return self.polls == 0 and self.due_at is not None and now < self.due_at


class Submissions:
    """Reads submissions, and sets the times of their polls.

    Changes of a submission are events (`honnin.store.events`).
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, submission_id: str) -> Submission | None:
        """One submission, read consistently."""
        item = self._table.get(submission_key(submission_id))
        return read(Submission, item) if item else None

    def due(self, now: str) -> Iterator[Submission]:
        """Open submissions whose poll is due at `now` (UTC), the longest overdue first."""
        return (read(Submission, item) for item in self._table.due(POLL, now))

    def advance(self, submission: Submission, polls: int, next_due_at: str) -> None:
        """Set the number of polls and the next time (UTC).

        Does nothing when another poll was faster or the submission has been decided meanwhile.
        """
        self._table.attempt(
            self._table.update(
                submission_key(submission.submission_id),
                {"polls": polls, "due_at": next_due_at},
                "due_at = :known",
                known={"known": submission.due_at},
            )
        )


def submission_item(submission: Submission, earlier: Contract | None) -> Item:
    """The item of a new submission, with the contract before it; with `due_at` it is polled."""
    known = {EARLIER_CONTRACT: contract_attributes(earlier)} if earlier else {}
    item = submission_key(submission.submission_id) | attributes(submission) | known
    return item | due(POLL, submission.due_at, item) if submission.due_at else item


def poll_end(table: Table, submission_id: str) -> Item:
    """The update after which a submission is not polled any more."""
    return {
        "TableName": table.name,
        "Key": encode(submission_key(submission_id)),
        "UpdateExpression": "REMOVE due_kind, due_at",
        "ConditionExpression": "attribute_exists(pk)",
    }


def withdrawal(table: Table, submission_id: str, at: str) -> Item:
    """The update of a submission that was never sent. Without a user, an erasure does not need to find it."""
    values = {"user_id": "", "status": "NOT_SENT", "withdrawn_at": at}
    gone = ("due_kind", "due_at", EARLIER_CONTRACT)
    return table.update(submission_key(submission_id), values, "attribute_exists(pk)", remove=gone)
