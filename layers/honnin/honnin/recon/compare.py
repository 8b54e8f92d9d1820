"""Compares one range of a recon file: which users are read again, and for which users no webhook was received.

Each user in the file is read again, unless a call that answers the file's question began after the file's notification
was received. Whether a webhook was received does not change that, except with ReconRecheck=missed. It decides on which
queue the user's event is put, and it is counted.

The order of the steps makes a killed run harmless. First the list of users to be read again is written, once. Then the
events are sent. Then the range is marked as done. Without that mark the same events are sent again, and each of them
takes effect only once.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import batched, chain
from typing import Any

from honnin import times
from honnin.event import Provider
from honnin.json_objects import record_of
from honnin.questions import answer_to
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.plan import Range
from honnin.recon.repair import Repairs
from honnin.recon.rows import Rows
from honnin.store import Comparison, Link, ReconFile, Store, UserStatus

# Keys in one call to DynamoDB, and the number of calls at the same time.
_USERS_AT_ONCE = 100
_THREADS = 8

_SAMPLE = 20


class Decision(StrEnum):
    """What is done with a row; the values are the names of the report's counts."""

    UP_TO_DATE = "upToDate"
    REPAIR = "repair"
    REREAD = "reRead"
    LEFT_OUT = "leftOut"
    NOT_LINKED = "notLinkedHere"
    ERASED = "erased"


@dataclass(frozen=True)
class Question:
    """What a file asks about each user: its kind, its JST day, and when its notification was received (UTC).

    `required_kyc_type` is the KYC type that the deployment requires of all users.
    """

    kind: str
    day: str
    notified_at: str
    required_kyc_type: str | None = None

    @classmethod
    def of(cls, file: ReconFile, required_kyc_type: str | None = None) -> "Question":
        """The question of a stored file."""
        kind, notified_at = FILE_TYPES[file.file_type].kind, file.received_at or file.stored_at or ""
        return cls(kind, file.day, notified_at, required_kyc_type)

    def is_answered(self, status: UserStatus, link: Link) -> bool:
        """Whether a call that answers the question began after the notification was received."""
        required = self.required_kyc_type
        return answer_to(self.kind, status, link, self.notified_at, required_kyc_type=required) is not None

    def is_received(self, status: UserStatus) -> bool:
        """Whether a webhook of this kind was received since the day began."""
        day_began = times.utc_text(datetime.fromisoformat(self.day).replace(tzinfo=times.JST))
        return (status.received or {}).get(self.kind, "") >= day_began


@dataclass(frozen=True)
class Found:
    """The result for one range. `repairs`, `rereads` and `unlinked` are ids; `counts` are those of the report.

    `shape` is a `recon.rows.Shape`, as a mapping.
    """

    counts: Mapping[str, int]
    repairs: Sequence[str] = field(default=(), repr=False)
    rereads: Sequence[str] = field(default=(), repr=False)
    unlinked: Sequence[str] = field(default=(), repr=False)
    malformed: Sequence[Mapping[str, Any]] = ()
    shape: Mapping[str, int] = field(default_factory=dict)


class Examination:
    """Decides about the users in a text. It reads the table and writes nothing.

    `recheck_all`: users whose webhook was received are read again, too (parameter ReconRecheck).
    """

    def __init__(self, store: Store, *, recheck_all: bool = True) -> None:
        self._store = store
        self._recheck_all = recheck_all

    def of(
        self,
        question: Question,
        pieces: Iterable[bytes],
        *,
        ask_strangers: bool = True,
        begins: bool = True,
        lines_before: int = 0,
    ) -> Found:
        """Decide about every row. `begins` and `lines_before` say where in the file the pieces come from.

        For ids that are linked to no user here, PayPay is asked whose they are, because a redirect may have been lost.
        Without `ask_strangers` this is not done: a file of another owner may name millions of users who are not ours.
        """
        rows = Rows(pieces, begins=begins)
        ids = [each.decode() for some in rows for each in some]
        unique = list(dict.fromkeys(ids))
        counts = Counter(rows=len(ids), duplicates=len(ids) - len(unique), malformed=rows.bad, webhookNeverReceived=0)
        found: dict[Decision, list[str]] = {each: [] for each in Decision}
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="compare") as threads:
            decided = threads.map(lambda some: list(self._decide(question, some)), _batches(unique))
            for user_authorization_id, decision, is_received in chain.from_iterable(decided):
                found[decision].append(user_authorization_id)
                counts["webhookNeverReceived"] += not is_received
        counts.update({str(each): len(some) for each, some in found.items() if each is not Decision.REPAIR})
        counts[str(Decision.REREAD)] += len(found[Decision.REPAIR])
        return Found(
            dict(counts),
            repairs=found[Decision.REPAIR],
            rereads=found[Decision.REREAD],
            unlinked=found[Decision.NOT_LINKED] if ask_strangers else (),
            malformed=[asdict(replace(each, line=each.line + lines_before)) for each in rows.sample[:_SAMPLE]],
            shape=asdict(rows.shape),
        )

    def _decide(self, question: Question, ids: Sequence[str]) -> Iterator[tuple[str, Decision, bool]]:
        """For each id: the decision, and whether its webhook was received.

        Ids without a link here count as received.
        """
        links = self._store.links.of(ids)
        statuses = self._store.users.statuses_of([each.user_id for each in links.values()], Provider.PAYPAY)
        present = {
            each: (links[each], statuses[links[each].user_id])
            for each in links
            # A user who has linked again since has another authorization. Another row or file names that one.
            if links[each].user_id in statuses and statuses[links[each].user_id].user_authorization_id == each
        }
        absent = [each for each in ids if each not in present]
        erased = self._store.erasure.erased(absent) if absent else set()
        for each in absent:
            yield each, Decision.ERASED if each in erased else Decision.NOT_LINKED, True
        for each, (link, status) in present.items():
            is_received = question.is_received(status)
            yield each, self._of_linked(question, link, status, is_received=is_received), is_received

    def _of_linked(self, question: Question, link: Link, status: UserStatus, *, is_received: bool) -> Decision:
        if question.is_answered(status, link):
            return Decision.UP_TO_DATE
        if not is_received:
            return Decision.REPAIR
        return Decision.REREAD if self._recheck_all else Decision.LEFT_OUT


class RangeComparison:
    """Compares ranges.

    Parameters
    ----------
    recheck_all
        Whether users are read again, too, whose webhook was received (parameter ReconRecheck).
    required_kyc_type
        The parameter PayPayRequiredKycType (None: none).
    now
        Gives aware UTC moments.
    """

    def __init__(
        self,
        *,
        store: Store,
        bucket: ReconBucket,
        repairs: Repairs,
        now: Callable[[], datetime],
        recheck_all: bool = True,
        required_kyc_type: str | None = None,
    ) -> None:
        self._store = store
        self._required_kyc_type = required_kyc_type
        self._bucket = bucket
        self._repairs = repairs
        self._now = now
        self._examination = Examination(store, recheck_all=recheck_all)

    def run(self, comparison: Comparison, part: Range, etag: str) -> None:
        """Compare a range of the file that has this ETag, and queue the users to be read again."""
        file, number = FileId.compared(comparison), comparison.number
        if self._bucket.part(file, number, done_name(part)) is not None:
            return
        found = self._found(comparison, part, etag)
        now = self._now()
        self._repairs.repair(comparison, found.repairs, now)
        self._repairs.reread(comparison, [*found.rereads, *found.unlinked], now)
        counted = {"counts": found.counts, "malformed": found.malformed, "shape": found.shape}
        self._bucket.put_part(file, number, done_name(part), counted)

    def _found(self, comparison: Comparison, part: Range, etag: str) -> Found:
        """The result for the range: from this run, or from a run that was killed after it had written it."""
        file, number, name = FileId.compared(comparison), comparison.number, result_name(part)
        known = self._bucket.part(file, number, name)
        if known is None:
            recorded = self._store.recon.file(comparison.file_type, comparison.day, comparison.file_name)
            question = Question.of(recorded or ReconFile(*_named(comparison), "STORED"), self._required_kyc_type)
            found = self._examination.of(
                question,
                self._bucket.read_range(file, etag, part.start, part.end),
                ask_strangers=not (recorded and recorded.foreign),
                begins=part.start == 0,
                lines_before=part.lines_before,
            )
            if self._bucket.put_once(file, number, name, asdict(found)):
                return found
            # Another run has written it meanwhile; that one is used.
            known = self._bucket.part(file, number, name)
        return record_of(Found, known)


def result_name(part: Range) -> str:
    """The name of the object with the users to be read again; it is written once."""
    return f"{part.name}.json"


def done_name(part: Range) -> str:
    """The name of the object that says that all events of a range are on a queue."""
    return f"{part.name}.done"


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return batched(ids, _USERS_AT_ONCE, strict=False)


def _named(comparison: Comparison) -> tuple[str, str, str]:
    return comparison.file_type, comparison.day, comparison.file_name
