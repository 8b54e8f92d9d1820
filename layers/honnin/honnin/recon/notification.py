"""A notification of a recon file is recorded, whatever it looks like (base document, "Recon File").

Recording is idempotent by itself. No event record keeps a later one out: PayPay may send the very same notification
again, byte for byte, when it is asked to. The URL came in an unsigned message; `download` checks it when it fetches.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime

from honnin import times
from honnin.event import UNNAMED, Event
from honnin.observability import count
from honnin.recon.file_names import day_of, file_name, read_name
from honnin.recon.file_types import FILE_TYPES
from honnin.store import Notification, ReconFile, Store
from honnin.times import utc_text
from honnin.wording import Wording

# The kind of the events that `webhook` makes of these notifications.
KIND = "recon_file"

IGNORED = Wording("this file type is not among ReconFileTypes", "この種別はパラメータ ReconFileTypes に含まれていない")

# No epoch time in seconds is so large before the year 5000, and none in a smaller unit is smaller.
_MOST_SECONDS = 10**11
_UNLIKELY = timedelta(days=366)


class ReconNotifications:
    """Records notifications of recon files. `file_types` are those that PayPay delivers to us."""

    def __init__(self, store: Store, file_types: Sequence[str]) -> None:
        self._store = store
        self._file_types = file_types

    def record(self, event: Event) -> None:
        """Record a notification: a file that is to be fetched, or one of a type that we do not take."""
        received_at = datetime.fromisoformat(event.received_at)
        url = event.detail.get("path", "")
        name = file_name(url)
        parts = read_name(name)
        # `fileType` decides; only where there is none, the name does.
        file_type = event.subject.strip().lower() if event.subject != UNNAMED else parts.file_type or UNNAMED
        found = Notification(
            file_type=file_type,
            day=day_of(parts, received_at),
            file_name=name,
            url=url,
            received_at=utc_text(received_at),
            requested_at=requested_at(event.detail.get("requestedAt", ""), received_at),
        )
        if file_type in FILE_TYPES and file_type in self._file_types:
            self._store.notifications.record(found)
            self._store.recon.notified(file_of(found))
        else:
            count("ReconFileIgnored")
            self._store.recon.notified(file_of(found, "IGNORED", IGNORED))


def file_of(found: Notification, state: str = "ANNOUNCED", reason: str | None = None) -> ReconFile:
    """The file that a notification is about."""
    return ReconFile(
        found.file_type,
        found.day,
        found.file_name,
        state,
        requested_at=found.requested_at,
        deadline=utc_text(found.until),
        received_at=found.received_at,
        reason=reason,
    )


def requested_at(text: str, received_at: datetime) -> str | None:
    """When a notification says that its file was asked for (UTC); None where it says nothing that can be read.

    An epoch time of any unit, ISO 8601 (with slashes as well), 14 digits or more, or a date as mails have it; without a
    zone it is Japan's. It is shown and decides nothing: the message is not signed.
    """
    parsers: tuple[Callable[[str], datetime], ...] = (
        _from_epoch,
        _from_digits,
        datetime.fromisoformat,
        parsedate_to_datetime,
    )
    for parse in parsers:
        try:
            moment = parse(text.strip().replace("/", "-"))
            moment = moment if moment.tzinfo else moment.replace(tzinfo=times.JST)
            if abs(moment - received_at) <= _UNLIKELY:
                return utc_text(moment)
        except (ValueError, ArithmeticError):
            continue
    return None


def _from_epoch(text: str) -> datetime:
    number = Decimal(text)
    if not 0 <= number < _MOST_SECONDS * 10**9:
        raise ValueError("no epoch time of any unit")
    seconds = Decimal(int(number))
    for _ in ("ms", "µs", "ns"):
        seconds = seconds / 1000 if seconds >= _MOST_SECONDS else seconds
    return datetime.fromtimestamp(float(seconds), UTC)


def _from_digits(text: str) -> datetime:
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=times.JST)
