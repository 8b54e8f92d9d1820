"""What happens when a recon file has arrived in the bucket: it is compared, reported, and published on the bus.

The compare queue carries two kinds of message: S3's notification of a new object, and our own reminder to write a
report again, because repairs were still under way.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from honnin import aws
from honnin.domain_events import ReconCompleted
from honnin.observability import logger
from honnin.publish import Publisher
from honnin.recon import report
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import Comparison
from honnin.recon.file_types import FILE_TYPES
from honnin.store import ReconFile, Store
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Seconds until a report with waiting repairs is written again: soon at first, then every 15 minutes (SQS's longest).
_REMINDERS_S = (15, 60, 300)
_LAST_REMINDER_S = 900
# About as long as the events queue tries (docs/decisions.md#4).
_REMIND_FOR = timedelta(days=3)


class CompareQueue:
    """The queue that S3 tells of new files, and that reminders go to."""

    def __init__(self, url: str, client: "SQSClient | None" = None) -> None:
        self._url = url
        self._given = client

    def remind(self, key: str, reminders: int) -> None:
        """Ask for the report of the file under `key` to be written again, later the more often it was asked for."""
        delay_s = _REMINDERS_S[reminders] if reminders < len(_REMINDERS_S) else _LAST_REMINDER_S
        body = json.dumps({"report": key, "reminders": reminders + 1})
        client = self._given or aws.sqs()
        client.send_message(QueueUrl=self._url, MessageBody=body, DelaySeconds=delay_s)


def parse(body: str) -> Mapping[str, Any]:
    """A message of the compare queue. Raises `ValueError` when it is none."""
    message = json.loads(body)
    if not isinstance(message, dict):
        raise ValueError("not a message of the compare queue")  # noqa: TRY004 -- no retry can mend it
    return message


@dataclass(frozen=True)
class Arrivals:
    """Takes the messages of the compare queue. `now` gives aware UTC moments."""

    store: Store
    bucket: ReconBucket
    comparison: Comparison
    publisher: Publisher
    queue: CompareQueue
    now: Callable[[], datetime]

    def take(self, message: Mapping[str, Any], left_ms: Callable[[], int]) -> None:
        """Take one message, as `parse` reads it. Raises `NotEnoughTimeError` when the rest is for the next run."""
        if "report" in message:
            self._report_again(message["report"], int(message["reminders"]))
        # S3 also sends a test event when the notification is set up; that has no records.
        for each in message.get("Records", []):
            self._arrived(unquote_plus(each["s3"]["object"]["key"]), left_ms)

    def _arrived(self, key: str, left_ms: Callable[[], int]) -> None:
        file = self._file(key)
        if file is None or file.completed_at:
            return
        if file.state != "COMPARED":
            file = self.comparison.run(file, left_ms)
        repairs = self._report(file, reminders=0)
        self.publisher.recon_completed(_completed(file))
        # Last of all: a run that dies before this begins again with the report.
        self.store.recon.reported(file, utc_text(self.now()), repairs, completed=True)

    def _file(self, key: str) -> ReconFile | None:
        """The file of an object; a file without a notification was put there by a person, and is compared too."""
        found = FileId.from_key(key)
        if found is None or found.file_type not in FILE_TYPES:
            logger().warning("an object that is no recon file", extra={"key": key})
            return None
        known = self.store.recon.file(found.file_type, found.day, found.name)
        return known or ReconFile(found.file_type, found.day, found.name, "STORED")

    def _report_again(self, key: str, reminders: int) -> None:
        file = self._file(key)
        # A reminder that has come before was answered with the next one: otherwise repeats would multiply.
        if file and file.state == "COMPARED" and reminders >= file.reminders:
            repairs = self._report(file, reminders)
            self.store.recon.reported(file, utc_text(self.now()), repairs, reminders=reminders + 1)

    def _report(self, file: ReconFile, reminders: int) -> Mapping[str, int]:
        repairs = report.write(self.store, self.bucket, file, self.now())
        age = self.now() - datetime.fromisoformat(file.compared_at or "")
        if repairs["waiting"] and age < _REMIND_FOR:
            self.queue.remind(FileId.of(file).key, reminders)
        return repairs


def _completed(file: ReconFile) -> ReconCompleted:
    return {
        "fileType": file.file_type,
        "day": file.day,
        "fileName": file.name,
        "comparedAt": file.compared_at,
        "sha256": file.sha256,
        "counts": dict(file.counts),
        "reportKey": FileId.of(file).report_key,
    }
