"""Applications at Vexora, and when Vexora is asked about each."""

from collections.abc import Iterator
from dataclasses import dataclass

from honnin.store.keys import Item, due, submission_key
from honnin.store.table import POLL, Table, attributes, read


@dataclass(frozen=True)
class Submission:
    """One application at Vexora. `polls` counts the polls so far. An erased one has no user.

    `outcome` is `unclear` if the provider's answer to the application never came or could not be read. It is `refused`
    if the provider refused it and could not be asked what it knows about the user.
    """

    submission_id: str
    user_id: str
    status: str
    submitted_at: str
    polls: int = 0
    outcome: str | None = None
    due_at: str | None = None

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


def submission_item(submission: Submission) -> Item:
    """The item of a new submission; with `due_at` it is polled."""
    item = submission_key(submission.submission_id) | attributes(submission)
    return item | due(POLL, submission.due_at, item) if submission.due_at else item
