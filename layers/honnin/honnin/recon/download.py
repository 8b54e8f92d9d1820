"""Fetches recon files into the recon bucket. Base document: each can be fetched for two hours.

There is one rule: each run tries every known URL, until two hours after its notification came or until its file has
closed its day. A failure only means "not yet", with its reason. Nothing in the notification can end a file, because the
notification is not signed.

A file is streamed: its bytes go into a multipart upload as they arrive, so the memory does not grow with the file. If a
connection breaks, the transfer is resumed if the server allows it. A stored file is never overwritten: if other bytes
come under a known name, they are stored beside it as a revision, and are compared too.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from honnin.errors import RemoteFileError, UrlRefusedError
from honnin.http_client import Deadline
from honnin.observability import count_for_alarm, logger
from honnin.recon.bucket import AlreadyStoredError, FileId, FileWriter, ReconBucket
from honnin.recon.days import NOT_TRIED
from honnin.recon.fetch_alarm import FetchAlarm, host_of
from honnin.recon.file_names import carries, is_foreign, warnings
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.lanes import Lane
from honnin.recon.notification import file_of
from honnin.recon.transfer import Source, Transfer
from honnin.store import Notification, ReconFile, Store
from honnin.times import utc_text
from honnin.wording import Wording

# With less time than this, no new file is started. A running transfer ends this long before the function's time-out.
_MIN_LEFT_S = 30.0

# URLs that were tried before, and URLs that were not, have this many workers each, so that neither wait for the others.
_WORKERS = 4
_PER_HOST = 3

# A URL that was never tried within its time is still tried. After this time it ends without a try.
_UNTRIED = timedelta(hours=3)

_NO_END = Wording("the server did not give the length of the file", "サーバーがファイルの長さを示していない")

# A failure that lasts less than this is not reported, because people cannot help with it.
_PATIENCE = timedelta(minutes=30)


@dataclass(frozen=True)
class Outcome:
    """How the try for one notification ended. `reason` is set if there is no file yet."""

    notification: Notification
    word: str
    reason: str = ""
    is_refused: bool = False


class Downloads:
    """One run: fetches every file that can be fetched. Several runs may overlap, because each notification is claimed.

    `own_ids` gives our `merchant_id` and `client_id` at PayPay, empty if one is not known.
    """

    def __init__(
        self,
        *,
        store: Store,
        bucket: ReconBucket,
        source: Source,
        alarm: FetchAlarm,
        own_ids: Callable[[], Mapping[str, str]],
        now: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._source = source
        self._alarm = alarm
        self._own_ids = own_ids
        self._now = now

    def run(self, left_ms: Callable[[], int]) -> dict[str, int]:
        """Fetch several files at the same time; returns how many ended in each way.

        A file that fails does not stop the others. Errors of AWS itself are raised after all others are done.
        """
        deadline = Deadline(left_ms() / 1000 - _MIN_LEFT_S)
        known = self._store.notifications.to_fetch()
        lanes = [
            Lane([each for each in known if bool(each.tried) is tried], host_of, _PER_HOST) for tried in (False, True)
        ]
        with ThreadPoolExecutor(_WORKERS * len(lanes), thread_name_prefix="recon") as workers:
            running = [
                workers.submit(lane.work, self._one, deadline) for _ in range(_WORKERS) for lane in lanes if lane.items
            ]
        ended = [each for future in running for each in future.result()]
        outcomes = [each for each in ended if isinstance(each, Outcome)]
        counts = Counter(each.word for each in outcomes)
        logger().info("recon download done", extra={"outcomes": dict(counts)})
        self._report_failures([each for each in outcomes if each.reason])
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return dict(counts)

    # --- one notification ---

    def _one(self, found: Notification, turn: Deadline) -> Outcome:
        now = self._now()
        files = self._files(found)
        gave = next((each for each in files if each.name == found.gave), None)
        if gave and gave.closes_day and found.whole:
            return self._over(found, "done", "")
        if now >= found.until and (found.tried or now >= datetime.fromisoformat(found.received_at) + _UNTRIED):
            if not gave and self._is_left_behind(found, files):
                return self._adopt(found, FileId(found.file_type, found.day, found.file_name))
            return self._over(found, "over" if gave else "expired", found.reason or NOT_TRIED)
        if gave and gave.state == "STORED":
            return Outcome(found, "waits_for_comparison")
        if turn.remaining_s <= 0:
            return Outcome(found, "no_time_left")
        return self._try(found, files, turn)

    def _try(self, found: Notification, files: Sequence[ReconFile], turn: Deadline) -> Outcome:
        now = self._now()
        until = utc_text(now + timedelta(seconds=turn.remaining_s))
        if not self._store.notifications.claim(found, utc_text(now), until):
            return Outcome(found, "claimed_elsewhere")
        outcome = Outcome(found, "failed")
        try:
            outcome = self._fetch(found, files, turn)
        except RemoteFileError as error:
            outcome = Outcome(found, "failed", error.reason, isinstance(error, UrlRefusedError))
            logger().warning("recon file not fetched yet", extra={**_named(found), "reason": outcome.reason})
            self._store.recon.not_yet(file_of(found), outcome.reason)
            if self._now() >= found.until:
                outcome = self._over(found, "expired", outcome.reason)
        finally:
            # This does nothing if the notification is over: it only releases what this claim still holds.
            self._store.notifications.release(found, until, outcome.reason)
        return outcome

    def _over(self, found: Notification, word: str, reason: str) -> Outcome:
        """Stop fetching from this URL, unless another notification named it meanwhile."""
        if word == "expired":
            logger().error("recon file lost", extra={**_named(found), "reason": reason})
            self._store.recon.expired(file_of(found), reason)
        if not self._store.notifications.end(found, reason):
            return Outcome(found, "renewed")
        return Outcome(found, word, reason if word == "expired" else "")

    def _files(self, found: Notification) -> list[ReconFile]:
        """What is stored under the name of a notification, revisions included."""
        known = self._store.recon.files(found.file_type, found.day, found.day)
        return [each for each in known if each.is_stored and found.file_name in (each.name, each.revision_of)]

    # --- the file ---

    def _fetch(self, found: Notification, files: Sequence[ReconFile], turn: Deadline) -> Outcome:
        base = FileId(found.file_type, found.day, found.file_name)
        if self._is_left_behind(found, files):
            return self._adopt(found, base)
        known = {each.sha256 or self._bucket.measure(FileId.of(each))[0]: each for each in files}
        # Only the hash shows whether a file is a revision. But its key must be known before the first byte is written.
        name = f"{base.name}.rev-{_compact(self._now())}" if known else base.name
        target = FileId(base.file_type, base.day, name)
        transfer = Transfer(self._source, found.url, lambda: self._bucket.writer(target, self._source.max_bytes))
        writer = transfer.run(turn)
        if same := known.get(writer.sha256):
            writer.abort()
            return self._same(found, same)
        try:
            writer.finish()
        except AlreadyStoredError:
            return self._adopt(found, target)
        return self._stored(found, "revision" if known else "stored", target, writer, whole=transfer.says_its_length)

    def _is_left_behind(self, found: Notification, files: Sequence[ReconFile]) -> bool:
        """Whether the file is in the bucket but not recorded: its run was killed, or a person has put it there."""
        base = FileId(found.file_type, found.day, found.file_name)
        return not any(each.name == base.name for each in files) and self._bucket.has(base)

    def _same(self, found: Notification, same: ReconFile) -> Outcome:
        """These bytes are stored already. If they were compared, they need no other comparison."""
        self._store.notifications.gave(found, same.name, whole=True)
        if same.state == "STORED":
            return Outcome(found, "waits_for_comparison")
        if same.doubt:
            # The file is stored, and the comparison has reported its doubt to people.
            return Outcome(found, "unchanged")
        return self._over(found, "unchanged", "")

    def _adopt(self, found: Notification, stored: FileId) -> Outcome:
        """Use the object that is in the bucket. A killed or faster run stored it, or a person has put it there.

        If it is recorded, the record stays as it is. If not, it is unknown which notification led to these bytes. Then
        the newest notification of this name counts, because with a later moment more users are read again.
        """
        known = self._store.recon.file(stored.file_type, stored.day, stored.name)
        if known and known.is_stored and known.sha256:
            self._store.notifications.gave(found, stored.name, whole=False)
            return Outcome(found, "adopted")
        named = self._store.recon.file(found.file_type, found.day, found.file_name)
        newest = max(found.received_at, (named and named.received_at) or "")
        sha256, size = self._bucket.measure(stored)
        by = replace(found, received_at=newest)
        self._record(by, stored, Measured(sha256, size), says_its_length=True)
        self._store.notifications.gave(found, stored.name, whole=False)
        return Outcome(found, "adopted")

    def _stored(
        self, found: Notification, word: str, stored: FileId, measured: "FileWriter | Measured", *, whole: bool
    ) -> Outcome:
        self._record(found, stored, measured, says_its_length=whole)
        self._store.notifications.gave(found, stored.name, whole=whole)
        return Outcome(found, word)

    def _record(
        self, found: Notification, stored: FileId, measured: "FileWriter | Measured", *, says_its_length: bool
    ) -> None:
        """Record that a file is stored, with the facts that decide about it from now on."""
        received_at = datetime.fromisoformat(found.received_at)
        kind = FILE_TYPES[found.file_type]
        own_id = self._own_ids()[kind.owner]
        base = file_of(found)
        file = ReconFile(
            found.file_type,
            found.day,
            stored.name,
            "STORED",
            requested_at=base.requested_at,
            deadline=base.deadline,
            received_at=base.received_at,
            stored_at=utc_text(self._now()),
            sha256=measured.sha256,
            size=measured.size,
            revision_of=found.file_name if stored.name != found.file_name else None,
            own_name=carries(found.file_name, own_id),
            foreign=is_foreign(found.file_name, own_id),
            webhooks=self._webhooks_received(kind.kind, found.day),
            warnings=(
                *warnings(found.file_name, found.file_type, received_at, own_id),
                *(() if says_its_length else (_NO_END,)),
            ),
        )
        self._store.recon.stored(file)
        logger().info("recon file stored", extra={**_named(found), "stored_as": stored.name, "size": measured.size})

    def _webhooks_received(self, kind: str, day: str) -> bool:
        return self._store.received.of(kind, day) is not None

    # --- people ---

    def _report_failures(self, failed: Sequence[Outcome]) -> None:
        """Count the failures and send a mail: immediately if we refuse the URL, otherwise when the failure lasts.

        Nothing is reported for a day that another file has closed, or may close after its comparison.
        """
        to_report = []
        here: dict[tuple[str, str], bool] = {}
        for each in failed:
            found = each.notification
            day = found.file_type, found.day
            if day not in here:
                files = self._store.recon.files(*day, found.day)
                here[day] = any(file.is_stored and not file.doubt for file in files)
            if here[day]:
                continue
            if each.word == "expired":
                count_for_alarm("ReconFileLost")
            else:
                count_for_alarm("ReconFetchFailed")
            if each.is_refused:
                count_for_alarm("ReconFileRefused")
            lasts = self._now() - datetime.fromisoformat(found.received_at) >= _PATIENCE
            if (each.is_refused or lasts) and not found.reported_at:
                to_report.append(each)
        self._alarm.report(self._store, [(each.notification, each.reason) for each in to_report], self._now())


@dataclass(frozen=True)
class Measured:
    """The hash and the size of the object in the bucket."""

    sha256: str
    size: int


def _compact(moment: datetime) -> str:
    return "".join(character for character in utc_text(moment) if character.isalnum())


def _named(found: Notification) -> dict[str, str]:
    return {
        "file_type": found.file_type,
        "day": found.day,
        "file_name": found.file_name,
        "host": host_of(found),
    }
