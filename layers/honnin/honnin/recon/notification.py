"""A notification of a recon file: which file, and until when it can be fetched (base document, "Recon File").

The URL came in an unsigned message. It is only checked and recorded here; `download` fetches it, and checks it again.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from urllib.parse import unquote, urlsplit

from honnin import times
from honnin.errors import ReconUrlRefusedError
from honnin.event import Event
from honnin.observability import count, logger
from honnin.recon.download import check_url
from honnin.recon.file_types import FILE_TYPES, SENT_AGAIN_FOR, NameParts, read_name
from honnin.store import Announcement, Store
from honnin.times import utc_text

# Base document: "File acquisition period: 2 hours".
ACQUISITION_PERIOD = timedelta(hours=2)

# The kind of the events that `webhook` makes of these notifications.
KIND = "recon_file"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")


@dataclass(frozen=True)
class ReconFiles:
    """Which files are fetched, and from where: the file types that PayPay delivers to us, and the allowed hosts.

    `loopback` opens http to 127.0.0.1, for the local stack only.
    """

    file_types: Sequence[str]
    allowed_hosts: Sequence[str]
    loopback: bool = False

    def announcement(self, event: Event, now: datetime) -> Announcement:
        """The file that a notification is about, with its first state.

        ANNOUNCED is to be fetched. REFUSED has a URL that breaks a rule, which is kept out of the table. IGNORED is of
        a type that we do not take (unknown, or not in `ReconFileTypes`). `now` is an aware moment.
        """
        url = event.detail.get("path", "")
        requested_at = _moment(event.detail.get("requestedAt", ""), now)
        # An id of PayPay's may hold any character; its hash may stand in a key.
        name = file_name(url) or f"unnamed-{hashlib.sha256(event.event_id.encode()).hexdigest()[:32]}"
        parts = read_name(name)
        state, reason = self._verdict(event.subject, url)
        return Announcement(
            event_id=event.event_id,
            file_type=event.subject,
            file_name=name,
            day=_day(parts, requested_at),
            url=url if state == "ANNOUNCED" else "",
            requested_at=utc_text(requested_at),
            deadline=utc_text(requested_at + ACQUISITION_PERIOD),
            received_at=event.received_at,
            at=utc_text(now),
            state=state,
            reason=reason,
            name_says={
                "owner_id": parts.owner_id,
                "first_day": parts.first_day,
                "last_day": parts.last_day,
            }
            if parts
            else {},
        )

    def _verdict(self, file_type: str, url: str) -> tuple[str, str]:
        if file_type not in FILE_TYPES or file_type not in self.file_types:
            count("ReconFileIgnored")
            return "IGNORED", "this file type is not among ReconFileTypes"
        try:
            check_url(url, allowed_hosts=self.allowed_hosts, loopback=self.loopback)
        except ReconUrlRefusedError as refused:
            count("ReconFileRefused")
            logger().error("recon file refused", file_type=file_type, reason=str(refused))
            return "REFUSED", str(refused)
        return "ANNOUNCED", ""


class ReconNotifications:
    """The rule for notifications of recon files. `now` gives aware UTC moments."""

    def __init__(self, store: Store, files: ReconFiles, now: Callable[[], datetime]) -> None:
        self._store = store
        self._files = files
        self._now = now

    def decide(self, event: Event) -> Announcement:
        """The file to record. A file that is sent again under a name without a day belongs to its first day."""
        found = self._files.announcement(event, self._now())
        if found.name_says or found.state != "ANNOUNCED":
            return found
        first = (date.fromisoformat(found.day) - SENT_AGAIN_FOR).isoformat()
        known = self._store.recon.files(found.file_type, first, found.day)
        days = [each.day for each in known if each.name == found.file_name]
        return replace(found, day=days[0]) if days else found


def file_name(url: str) -> str:
    """The file name at the end of a URL's path, or an empty text where there is none that can be a file's name."""
    try:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""
    return name if _FILE_NAME.fullmatch(name) else ""


def _moment(epoch: str, now: datetime) -> datetime:
    if not epoch.isdecimal():
        return now
    seconds = int(epoch) / 1000 if len(epoch) == 13 else int(epoch)
    return datetime.fromtimestamp(seconds, UTC)


def _day(parts: NameParts | None, requested_at: datetime) -> str:
    """The JST processing day: from the name, else the day before the notification."""
    return parts.first_day if parts else times.jst_day(requested_at - timedelta(days=1))
