"""The daily report: one mail each day at 10:15 JST, whether or not something is wrong.

It contains the requests to PayPay for the missing days. The mail may be sent twice, because the Scheduler delivers at
least once and people may start the function by hand. The second mail says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from honnin import aws, people, times
from honnin.observability import count, logger
from honnin.recon import days, type_facts
from honnin.recon.days import CalendarDay, DayState
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.report_words import ENGLISH, JAPANESE, Words
from honnin.recon.resend import Senders, request
from honnin.recon.type_facts import TypeFacts
from honnin.store import ReconFile, Store
from honnin.store.received import RECEIVED_KEPT
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# What `people.send` takes, half for each language.
_MOST_BYTES = 60 * 1024
_MOST_FILES = 20
_MOST_WARNINGS = 20
_RULE = "-" * 78

# Counts that are shown only if they are not 0.
_SELDOM = ("leftOut", "duplicates")
_COUNTS = (
    "rows",
    "upToDate",
    "reRead",
    "changed",
    "notRead",
    "webhookNeverReceived",
    "notLinkedHere",
    "erased",
    "malformed",
    "warnings",
    *_SELDOM,
)


@dataclass(frozen=True)
class DailyReport:
    """The report. `own_ids` are our `merchant_id` and `client_id` at PayPay, empty where one is not known.

    `empty_day_announced`: whether PayPay sends a file for a day on which nothing happened.
    """

    store: Store
    topic_arn: str
    own_ids: Mapping[str, str]
    file_types: Sequence[str]
    empty_day_announced: bool
    client: "SNSClient | None" = None

    def run(self, now: datetime) -> dict[str, list[str]]:
        """Record which days are missing, and send the mail; returns the missing days by file type.

        Errors of AWS are botocore's. The run is then repeated, and if it still fails, an alarm is raised.
        """
        self.store.recon.note_own_ids(self.own_ids)
        shown = [times.jst_day(now), *type_facts.week(days.yesterday(now))]
        found = []
        for file_type in self.file_types:
            self._note_missing(file_type, shown, now)
            found.append(type_facts.of_type(self.store, file_type, shown, now))
        for each in found:
            if each.missing:
                reasons = "; ".join(f"{day.day}: {day.state}: {day.reason}" for day in each.missing)
                logger().error("recon files missing", extra={"file_type": each.file_type.name, "reason": reasons})
                count("ReconFileMissing", len(each.missing), fileType=each.file_type.name)
        client = self.client or aws.sns()
        text = mail(found, type_facts.senders(self.store), now)
        people.send(client, self.topic_arn, subject(found, now), text)
        return {each.file_type.name: [day.day for day in each.missing] for each in found}

    def _note_missing(self, file_type: str, shown: Sequence[str], now: datetime) -> None:
        """Mark the days for which the notification of a file should have come but did not.

        If no notification of a type ever came, its files are not expected. Neither are files of days before the first
        one.
        """
        first = self.store.recon.first_notified(file_type)
        if first is None:
            return
        files = self.store.recon.files(file_type, shown[-1], shown[0])
        known = {each.day for each in files if each.state != "IGNORED"}
        for day in shown:
            is_awaited = first <= day and not days.is_on_time(day, now) and self._is_expected(file_type, day)
            if is_awaited and day not in known:
                self.store.recon.missing(file_type, day, utc_text(now))

    def _is_expected(self, file_type: str, day: str) -> bool:
        return self.empty_day_announced or self.store.received.of(FILE_TYPES[file_type].kind, day) is not None


def subject(found: Sequence[TypeFacts], now: datetime) -> str:
    """The mail's subject. SNS takes one line of ASCII here, of fewer than 100 characters."""
    missing, waiting, is_known = _open(found)
    verdict = "all compared" if is_known else "no notification so far"
    if missing or waiting:
        verdict = f"days to ask PayPay about: {missing}" if missing else f"days not compared yet: {waiting}"
    return f"Honnin daily report {times.jst_day(now)}: {verdict}"


def mail(found: Sequence[TypeFacts], senders: Senders, now: datetime) -> str:
    """The text of the mail: Japanese first, English below."""
    parts = [_shortened("\n".join(_part(words, found, senders, now)), words) for words in (JAPANESE, ENGLISH)]
    return f"\n\n{'=' * 78}\n\n".join(parts) + "\n"


def _part(words: Words, found: Sequence[TypeFacts], senders: Senders, now: datetime) -> list[str]:
    lines = [words.title.format(day=times.jst_day(now)), "", words.summary(*_open(found))]
    # This comes before the details, because the details may be so long that they are cut.
    for each in found:
        if each.missing:
            asked = request(each.file_type, each.missing, senders)
            lines += ["", _RULE, (asked.japanese if words is JAPANESE else asked.english).rstrip(), _RULE]
    for each in found:
        if each.ever_notified:
            lines += ["", *_of_type(words, each, now)]
        else:
            lines += ["", words.never_notified.format(type=words.type(each.file_type.name))]
    return lines


def _open(found: Sequence[TypeFacts]) -> tuple[int, int, bool]:
    """How many days PayPay must be asked for, how many more are not compared yet, and whether any file is known."""
    lacking = sum(len(each.missing) for each in found)
    known = [each for each in found if each.ever_notified]
    waiting = sum(day.state in (*days.UNDER_WAY, DayState.DUE) for each in known for day in each.week)
    return lacking, waiting, bool(known)


def _of_type(words: Words, facts: TypeFacts, now: datetime) -> list[str]:
    lines = [f"■ {words.type(facts.file_type.name)}"]
    recent = [day for day in facts.week if day.day >= days.yesterday(now)]
    for day in reversed(recent):
        lines.append(f"  {_state(words, day)}")
        for file in [each for each in facts.files_of(day.day) if each.is_stored][:_MOST_FILES]:
            lines += [f"    {line}" for line in _of_file(words, file)]
    lines.append(f"  {_webhooks(words, facts, now)}")
    lines.append(f"  {words.week}")
    lines += [f"    {_state(words, day)}" for day in facts.week]
    return lines


def _state(words: Words, day: CalendarDay) -> str:
    text = words.states[day.state]
    if day.late and day.state is not DayState.LATE:
        text += words.late
    if day.changed or day.open:
        text += words.moved.format(changed=day.changed, open=day.open)
    return f"{day.day}  {text}" + (f" ({words.said(day.reason)})" if day.reason else "")


def _of_file(words: Words, file: ReconFile) -> list[str]:
    lines = [file.name + (words.revision if file.revision_of else "")]
    if file.counts:
        names = [name for name in _COUNTS if name not in _SELDOM or file.counts.get(name)]
        lines.append(" / ".join(f"{words.counts[name]} {file.counts.get(name, 0):,}" for name in names))
    if file.done_at:
        done_at = datetime.fromisoformat(file.done_at).astimezone(times.JST)
        lines.append(words.done_at.format(open=file.repairs_open, at=f"{done_at:%Y-%m-%d %H:%M}"))
    lines += [words.warning.format(text=words.said(each)) for each in file.warnings[:_MOST_WARNINGS]]
    return lines


def _webhooks(words: Words, facts: TypeFacts, now: datetime) -> str:
    """When the last webhook was received: this shows if PayPay no longer sends webhooks."""
    last = facts.last_received
    if last is None:
        return words.no_webhook.format(days=RECEIVED_KEPT.days)
    at = datetime.fromisoformat(last.last).astimezone(times.JST)
    text = words.last_webhook.format(at=f"{at:%Y-%m-%d %H:%M}")
    quiet = date.fromisoformat(times.jst_day(now)) - date.fromisoformat(last.day)
    return text if quiet <= timedelta(days=1) else text + words.silence.format(days=quiet.days)


def _shortened(text: str, words: Words) -> str:
    """The text, at most as long as SNS allows. A longer text is cut at the end of a line and says that it was cut."""
    whole = text.encode()
    if len(whole) <= _MOST_BYTES:
        return text
    kept = whole[:_MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n{words.too_long}"
