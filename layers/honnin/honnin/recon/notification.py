"""Records notifications of recon files, whatever they look like (base document, "Recon File").

Recording is idempotent by itself, and there is no event record that would block a second notification: PayPay may send
the same notification again, byte for byte, when it is asked to. The URL comes from an unsigned message; `download`
checks it before it fetches.
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

IGNORED = Wording(
    "the parameter ReconFileTypes does not list this file type",
    "この種別はパラメーター ReconFileTypes に含まれていない",
)

# An epoch time in seconds is below this until the year 5000. An epoch time in a smaller unit is above it.
_MOST_SECONDS = 10**11
_UNLIKELY = timedelta(days=366)


class ReconNotifications:
    """Records notifications of recon files. `file_types` are those that PayPay sends to us."""

    def __init__(self, store: Store, file_types: Sequence[str]) -> None:
        self._store = store
        self._file_types = file_types

    def record(self, event: Event) -> None:
        """Record a notification: of a file to be fetched, or of a file type that we do not use."""
        received_at = datetime.fromisoformat(event.received_at)
        url = event.detail.get("path", "")
        name = file_name(url)
        parts = read_name(name)
        # `fileType` decides. The file name decides only if there is no `fileType`.
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
    """When its file was asked for, as the notification says (UTC); None if this cannot be read.

    It may be an epoch time in any unit, ISO 8601 (also with slashes), 14 digits or more, or a date as in an e-mail.
    Without a zone it is Japanese time. It is only shown and decides nothing, because the message is not signed.
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
        raise ValueError("not an epoch time in seconds or milliseconds")
    seconds = Decimal(int(number))
    for _ in ("ms", "µs", "ns"):
        seconds = seconds / 1000 if seconds >= _MOST_SECONDS else seconds
    return datetime.fromtimestamp(float(seconds), UTC)


def _from_digits(text: str) -> datetime:
    return datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(tzinfo=times.JST)
