"""Compares a recon file with the webhooks received: whoever is in the file without a webhook goes on the repairs queue.

The file is first partitioned on the disk by the sixteen shards of the ledger, so that memory holds a sixteenth of it;
then each shard of the ledger is read once, whole. The result of a shard is stored before its events are sent. If a run
is killed, the next one reads that result, sends the same events again (each takes effect once), and goes on with the
first shard that is not done.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from honnin import times
from honnin.errors import InvalidReconFileError, ReconError
from honnin.event import Provider
from honnin.observability import count, logger
from honnin.paypay_facets import KYC_CALLS, Call, last_read, restored
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.file_types import FILE_TYPES, SENT_AGAIN_FOR, read_name
from honnin.recon.repair import Repairs
from honnin.recon.rows import LONGEST_ID, BadRow, Rows
from honnin.store import ERASED_ID, SHARDS, ReconFile, Store, UserStatus, ledger_shard
from honnin.times import utc_text
from honnin.worker import NotEnoughTimeError

# A shard is not begun with less time than this.
_MIN_LEFT_MS = 60_000

# After so many events of a shard, the progress of the sending is stored.
_SENT_AT_ONCE = 5_000

_SAMPLE = 20

_DIRECTORY = "recon-dealt-"

# Which calls answer what a kind of file tells of. A risk is told by the KYC Passport reads only.
_ANSWERED_BY = {
    "kyc": KYC_CALLS,
    "risk": frozenset({Call.KYC_PASSPORT, Call.KYC_PASSPORT_QR}),
    "account_status": frozenset({Call.AUTHORIZATION}),
}


class ResultGoneError(ReconError):
    """What an earlier run stored of a shard is no longer there; the next run compares it again."""

    retryable = True


@dataclass(frozen=True)
class ShardResult:
    """What the comparison with one shard of the ledger found. `missed`, `recheck` and `extra_sample` hold ids."""

    rows: int
    matched: int
    extra: int
    extra_first_hour: int
    duplicates: int
    unknown_users: int
    erased_users: int = 0
    missed: list[str] = field(default_factory=list, repr=False)
    recheck: list[str] = field(default_factory=list, repr=False)
    extra_sample: list[str] = field(default_factory=list, repr=False)

    def counts(self) -> dict[str, int]:
        """The figures of the report."""
        return {
            "rows": self.rows,
            "matched": self.matched,
            "missed": len(self.missed),
            "extra": self.extra,
            "extraFirstHour": self.extra_first_hour,
            "duplicates": self.duplicates,
            "unknownUsers": self.unknown_users,
            "erasedUsers": self.erased_users,
            "rechecked": len(self.recheck),
        }


@dataclass(frozen=True)
class Dealt:
    """A file partitioned by shard, and the counts of its rows."""

    directory: Path
    sha256: str
    size: int
    bad: int
    bad_sample: list[BadRow]


class Comparison:
    """Compares one file. `recheck_all` also reads users again whose webhook was received (parameter ReconRecheck)."""

    def __init__(
        self,
        *,
        store: Store,
        bucket: ReconBucket,
        repairs: Repairs,
        now: Callable[[], datetime],
        recheck_all: bool = False,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._repairs = repairs
        self._now = now
        self._recheck_all = recheck_all

    def run(self, file: ReconFile, left_ms: Callable[[], int]) -> ReconFile:
        """Compare the file, or what earlier runs left of it, and put its missed users on the queue.

        Returns the file as it now is in the table: COMPARED, with its counts.

        Raises
        ------
        InvalidReconFileError
            The file is invalid. Nothing was queued.
        NotEnoughTimeError
            Some shards are done; run it again.
        """
        check_name(file)
        begun = self._now()
        _clear_away()
        with TemporaryDirectory(prefix=f"{_DIRECTORY}{os.getpid()}-") as directory:
            dealt = deal(self._bucket.read(FileId.of(file)), Path(directory))
            for shard in SHARDS:
                if shard not in file.shards_done:
                    if left_ms() < _MIN_LEFT_MS:
                        raise NotEnoughTimeError(f"{file.name}: the rest of its shards comes in the next run")
                    self._shard(file, shard, dealt, left_ms)
        return self._end(file, dealt, begun)

    def _shard(self, file: ReconFile, shard: str, dealt: Dealt, left_ms: Callable[[], int]) -> None:
        result = self.stored_result(file, shard)
        if result is None:
            result = compare_shard(self._store, file, shard, dealt, recheck_all=self._recheck_all)
            if not self._bucket.put_result(FileId.of(file), shard, asdict(result)):
                # Another run stored its result first and sends its events: that result is the one to keep.
                result = self.stored_result(file, shard) or result
        self._send(file, shard, [*result.missed, *result.recheck], left_ms)
        self._store.recon.shard_done(file, shard)

    def _send(self, file: ReconFile, shard: str, ids: list[str], left_ms: Callable[[], int]) -> None:
        """Queue a shard's events, going on where an earlier run stopped: there may be a whole day of them."""
        for start in range(file.sent.get(shard, 0), len(ids), _SENT_AT_ONCE):
            if start and left_ms() < _MIN_LEFT_MS:
                raise NotEnoughTimeError(f"{file.name}: the rest of its events goes out in the next run")
            self._repairs.send(file, ids[start : start + _SENT_AT_ONCE], self._now())
            if start + _SENT_AT_ONCE < len(ids):
                self._store.recon.shard_sent(file, shard, start + _SENT_AT_ONCE)

    def stored_result(self, file: ReconFile, shard: str) -> ShardResult | None:
        """What an earlier run found in a shard."""
        found = self._bucket.result(FileId.of(file), shard)
        return ShardResult(**found) if found else None

    def _end(self, file: ReconFile, dealt: Dealt, begun: datetime) -> ReconFile:
        counts: Counter[str] = Counter(badRows=dealt.bad)
        missed: list[str] = []
        extra: list[str] = []
        for shard in SHARDS:
            found = self.stored_result(file, shard)
            if found is None:
                raise ResultGoneError(f"{file.name}: the result of shard {shard} is gone")
            counts.update(found.counts())
            missed += found.missed[:_SAMPLE]
            extra += found.extra_sample
        facts: dict[str, Any] = {
            "counts": dict(counts),
            "compared_at": utc_text(self._now()),
            "compare_ms": int((self._now() - begun).total_seconds() * 1000),
            "sha256": dealt.sha256,
            "size": dealt.size,
            "bad_sample": [asdict(each) for each in dealt.bad_sample],
        }
        extra = extra[:_SAMPLE]
        erased: set[str] | None = None
        # A user may have been erased after the comparison. The marks of erased users are read before and after the
        # write: an erasure that finds no samples to blank has set its marks before this write.
        while erased != (marked := self._store.erasure.erased([*missed, *extra])):
            erased = marked
            facts["missed_sample"] = [ERASED_ID if each in erased else each for each in missed]
            facts["extra_sample"] = [ERASED_ID if each in erased else each for each in extra]
            self._store.recon.end_comparison(file, "COMPARED", facts)
        logger().info("recon file compared", extra={"file_type": file.file_type, "day": file.day, **counts})
        kind = FILE_TYPES[file.file_type].kind
        count("ReconCompared", kind=kind)
        if counts["missed"]:
            count("ReconMissed", counts["missed"], kind=kind)
        compared = self._store.recon.file(file.file_type, file.day, file.name)
        return compared or file


def _clear_away() -> None:
    """Delete the directories of runs that were killed: the disk of an execution environment outlives a run."""
    for left in Path(gettempdir()).glob(f"{_DIRECTORY}*"):
        owner = left.name.removeprefix(_DIRECTORY).partition("-")[0]
        # Process ids are used again. A directory under our own id is stale too: this run has made none yet.
        if owner == str(os.getpid()) or not Path(f"/proc/{owner}").exists():
            rmtree(left, ignore_errors=True)


def check_name(file: ReconFile) -> None:
    """Raise `InvalidReconFileError` when the name says another type or day than the notification.

    The day of the notification is that of `requestedAt`; since PayPay can send a file again, it may be older than that.
    """
    says = read_name(file.revision_of or file.name)
    if says is None:
        return
    if says.file_type != file.file_type:
        raise InvalidReconFileError(f"its name says {says.file_type}")
    first, last = date.fromisoformat(says.first_day), date.fromisoformat(says.last_day)
    # Not published: whether <to> is the day itself or the midnight that ends it.
    if first.isoformat() != file.day or not timedelta(0) <= last - first <= timedelta(days=1):
        raise InvalidReconFileError(f"its name says the days {first} to {last}")
    if file.requested_at:
        requested = date.fromisoformat(times.jst_day(datetime.fromisoformat(file.requested_at)))
        if not timedelta(0) <= requested - first <= SENT_AGAIN_FOR:
            raise InvalidReconFileError(f"its name says {first}, and it was announced on {requested} (JST)")


def deal(chunks: Iterator[bytes], directory: Path) -> Dealt:
    """Check every row and partition the ids into one file per shard of the ledger.

    Raises
    ------
    InvalidReconFileError
        Not text, or more than 1 % of the rows are bad.
    """
    digest = hashlib.sha256()
    size = 0

    def measured() -> Iterator[bytes]:
        nonlocal size
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            yield chunk

    rows = Rows(measured())
    with ExitStack() as opened:
        piles = {shard: opened.enter_context((directory / shard).open("wb")) for shard in SHARDS}
        for ids in rows:
            sorted_out: dict[str, list[bytes]] = {shard: [] for shard in SHARDS}
            for each in ids:
                sorted_out[ledger_shard(each)].append(each)
            for shard, pile in piles.items():
                if sorted_out[shard]:
                    pile.write(b"\n".join(sorted_out[shard]) + b"\n")
    rows.check()
    return Dealt(directory, digest.hexdigest(), size, rows.bad, rows.sample)


def compare_shard(store: Store, file: ReconFile, shard: str, dealt: Dealt, *, recheck_all: bool = False) -> ShardResult:
    """Compare one shard of a partitioned file with the ledger. Reads the ledger's shard once, and writes nothing."""
    kind = FILE_TYPES[file.file_type].kind
    listed, rows = _listed(dealt.directory / shard)
    missed = set(listed)
    matched = extra = 0
    extras: list[str] = []
    first_hour = _heard_late(store, kind, _day_before(file.day), shard)
    in_first_hour = 0
    for page in store.ledger.received(kind, file.day, shard):
        for each in page:
            if each in listed:
                matched += each in missed
                missed.discard(each)
            else:
                extra += 1
                in_first_hour += each in first_hour
                if len(extras) < _SAMPLE:
                    extras.append(each)
    # Received within the hour after midnight: counts for this day if the file names the user, and never as an extra.
    late = _heard_late(store, kind, file.day, shard) & missed
    matched += len(late)
    missed -= late
    # An erased user is not read again because of a file.
    erased = store.erasure.erased(sorted(missed))
    names = sorted(missed - erased)
    known = store.links.users(names)
    return ShardResult(
        rows=rows,
        matched=matched,
        extra=extra,
        extra_first_hour=in_first_hour,
        duplicates=rows - len(listed),
        unknown_users=len(names) - len(known),
        erased_users=len(erased),
        missed=names,
        recheck=_read_before(store, sorted(listed - missed), kind, _end_of(file.day)) if recheck_all else [],
        extra_sample=extras,
    )


def _listed(pile: Path) -> tuple[set[str], int]:
    ids: set[str] = set()
    rows = 0
    with pile.open(encoding="ascii") as lines:
        while batch := lines.readlines(LONGEST_ID * 1024):
            rows += len(batch)
            ids.update(map(str.rstrip, batch))
    return ids, rows


def _heard_late(store: Store, kind: str, day: str, shard: str) -> set[str]:
    return {each for page in store.ledger.received(kind, day, f"late-{shard}") for each in page}


def _read_before(store: Store, ids: list[str], kind: str, moment: str) -> list[str]:
    """Those of whom the file's kind of fact was last read before a moment (UTC).

    One webhook may stand for two changes, and a reading of another kind does not show the second.
    """
    users = store.links.users(ids)
    statuses = store.users.statuses_of(list(users.values()), Provider.PAYPAY)
    read_at = {user: _last_read(status, kind) for user, status in statuses.items()}
    return [each for each, user in users.items() if user in read_at and read_at[user] < moment]


def _last_read(status: UserStatus, kind: str) -> str:
    answers = restored(status.answers, status.user_authorization_id)
    return last_read(answers, _ANSWERED_BY[kind]) or ""


def _day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()


def _end_of(day: str) -> str:
    midnight = datetime.fromisoformat(day).replace(tzinfo=times.JST) + timedelta(days=1)
    return utc_text(midnight)
