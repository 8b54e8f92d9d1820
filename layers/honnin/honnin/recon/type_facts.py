"""What is shown of each type of recon file, by the daily report, the API, the console and the command line alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from honnin import times
from honnin.event import Provider
from honnin.recon import days, resend
from honnin.recon.days import CalendarDay
from honnin.recon.file_types import FILE_TYPES, KEPT_DAYS, FileType
from honnin.store import ReceivedDay, ReconFile, Store


@dataclass(frozen=True)
class TypeFacts:
    """What is known of one file type.

    `week` are the days, the newest first; `files` are all files of these days. `missing` are the days, the oldest
    first, for which PayPay can be asked to send the file again. `ever_notified` is False if no notification of this
    type ever came: PayPay sends some types only on request. `last_received` is the last day on which a webhook of its
    kind was received; it is None if that is longer ago than the table keeps it.
    """

    file_type: FileType
    week: Sequence[CalendarDay]
    files: Sequence[ReconFile]
    missing: Sequence[CalendarDay]
    ever_notified: bool
    last_received: ReceivedDay | None

    def files_of(self, day: str) -> list[ReconFile]:
        """The files of a day. The mark that no notification came is left out if one came later."""
        return days.files_to_show([each for each in self.files if each.day == day])

    def as_json(self, senders: resend.Senders) -> dict[str, Any]:
        """With the field names of the API. The request covers all missing days."""
        request = resend.request(self.file_type, self.missing, senders) if self.missing else None
        return {
            "fileType": self.file_type.name,
            "everAnnounced": self.ever_notified,
            "lastWebhookAt": self.last_received.last if self.last_received else None,
            "week": [each.as_json() for each in self.week],
            "resendRequest": {"ja": request.japanese, "en": request.english} if request else None,
        }


def of_type(store: Store, file_type: str, shown: Sequence[str], now: datetime) -> TypeFacts:
    """What is known of a file type on these JST days, the newest first.

    Today is included only if a file of it is known. This only reads.
    """
    known, today = FILE_TYPES[file_type], times.jst_day(now)
    files = store.recon.files(file_type, shown[-1], shown[0])
    states = [days.of_files(day, file_type, [each for each in files if each.day == day], now) for day in shown]
    return TypeFacts(
        known,
        [each for each in states if each.day < today or each.state not in days.NEUTRAL],
        files,
        days.to_ask_for(states, now),
        store.recon.first_notified(file_type) is not None,
        store.received.last(known.kind, today),
    )


def week(last_day: str) -> list[str]:
    """A JST day and the six before it, the newest first: PayPay keeps a file for seven days."""
    last = date.fromisoformat(last_day)
    return [(last - timedelta(days=back)).isoformat() for back in range(min(KEPT_DAYS, last.toordinal()))]


def senders(store: Store) -> resend.Senders:
    """What identifies this deployment to PayPay, as the daily report last stored it."""
    return resend.Senders(store.recon.own_ids(), store.recon.last_request_id(Provider.PAYPAY))
