"""A recon file notification: what was announced, until when it can be fetched (base document, "Recon File").

The URL came in an unsigned message. It is only recorded here; nothing fetches it without checking it first.
"""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from honnin import jst
from honnin.store import Announcement, utc_text
from honnin.webhook import Event

# Base document: "File acquisition period: 2 hours".
ACQUISITION_PERIOD = timedelta(hours=2)

# Base document, "File Name": kyc_passport[_risk|_account_status]_<id>_<from>_<to>.csv; the format of <from> and
# <to> is not published, so only their first eight digits are read as a day, where they are one.
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_NAME_PARTS = re.compile(r"kyc_passport(?:_risk|_account_status)?_.+_(\d{8})\d*_(\d{8})\d*\.csv")


def announcement(event: Event, now: datetime) -> Announcement:
    """The file that an event announces. `now` is an aware moment, for a notice without a readable time."""
    requested_at = _moment(event.detail.get("requestedAt", ""), now)
    name = _file_name(event.detail.get("path", ""))
    if not _FILE_NAME.fullmatch(name):
        name = f"unnamed-{event.event_id.rpartition(':')[2][:64]}"
    return Announcement(
        event_id=event.event_id,
        file_type=event.subject,
        file_name=name,
        day=_day(name, requested_at),
        url=event.detail.get("path", ""),
        requested_at=utc_text(requested_at),
        deadline=utc_text(requested_at + ACQUISITION_PERIOD),
        at=utc_text(now),
    )


def _file_name(url: str) -> str:
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""


def _moment(epoch: str, now: datetime) -> datetime:
    if not epoch.isdecimal():
        return now
    seconds = int(epoch) / 1000 if len(epoch) == 13 else int(epoch)
    return datetime.fromtimestamp(seconds, UTC)


def _day(name: str, requested_at: datetime) -> str:
    """The JST processing day: from the name, else the day before the notice."""
    if found := _NAME_PARTS.fullmatch(name):
        try:
            return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=jst.JST).date().isoformat()
        except ValueError:
            pass
    return jst.day(requested_at - timedelta(days=1))
