"""The download of recon files with its table, bucket and topic in memory, and servers on the loopback interface."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from honnin.event import Event
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.download import Downloads
from honnin.recon.fetch_alarm import FetchAlarm
from honnin.recon.notification import ReconNotifications
from honnin.recon.transfer import Source
from honnin.store import Notification, ReconFile, Store
from honnin.times import utc_text
from tests.fakes.aws import FakeTopic
from tests.fakes.clocks import FakeClock
from tests.fakes.loopback import LoopbackServer
from tests.fakes.memory import dynamodb, s3
from tests.fakes.recon_file import became
from tests.tables import create_table

KYC, RISK = "kyc_passport_sync_recon", "kyc_passport_risk_sync_recon"
DAY = "2026-03-31"
NAME = "kyc_passport_9_20260331_20260331.csv"
ROWS = b"".join(b"%036d\r\n" % number for number in range(50))


class DownloadBench:
    """A download function with all that it needs; the clock stands at noon in Japan, the day after `DAY`."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.db = dynamodb()
        self.store = Store(create_table(self.db, "StateTable"), self.db, now=self.clock)
        self.s3 = s3("recon")
        self.bucket = ReconBucket("recon", self.s3)
        self.topic = FakeTopic()
        self.source = Source((".paypay.ne.jp",), max_bytes=100_000, loopback=True)
        self.own_ids: Mapping[str, str] = {"merchant_id": "9", "client_id": "c-1"}

    def notify(
        self, url: str, name: str = NAME, *, file_type: str = KYC, ago_s: float = 0, query: str = "", asked_at: str = ""
    ) -> None:
        """A notification of the file at this server, that came so many seconds ago."""
        path = f"{url}/{name}?signature=very-secret{query}"
        at = utc_text(self.clock() - timedelta(seconds=ago_s))
        event = Event("e", "paypay", "recon_file", "webhook", file_type, at, {"path": path, "requestedAt": asked_at})
        ReconNotifications(self.store, (KYC, RISK)).record(event)

    def downloads(self, bucket: ReconBucket | None = None) -> Downloads:
        """The function's rule."""
        return Downloads(
            store=self.store,
            bucket=bucket or self.bucket,
            source=self.source,
            alarm=FetchAlarm("arn:topic", self.topic.client),
            own_ids=lambda: self.own_ids,
            now=self.clock,
        )

    def run(self, seconds: float = 40) -> dict[str, int]:
        """One run of the function that has so many seconds (30 of which it keeps for itself)."""
        return self.downloads().run(lambda: int(seconds * 1000))

    def fetch(self, server: LoopbackServer, seconds: float = 40) -> dict[str, int]:
        """Record the notification of the file at that server, and run."""
        self.notify(server.url)
        return self.run(seconds)

    def compare(self, doubt: str | None = None, name: str = NAME) -> None:
        """The comparison of a stored file ends: it closes its day, unless there is a doubt."""
        facts = {"counts": {"rows": 50}, "doubt": doubt}
        became(self.store.table, self.file(name), "COMPARED", facts)

    def file(self, name: str = NAME, file_type: str = KYC, day: str = DAY) -> ReconFile:
        """The file as it is in the table."""
        found = self.store.recon.file(file_type, day, name)
        assert found is not None
        return found

    def files(self) -> list[ReconFile]:
        """What is stored of the day."""
        return [each for each in self.store.recon.files(KYC, DAY, DAY) if each.is_stored]

    def to_fetch(self) -> list[Notification]:
        """What there is to fetch."""
        return self.store.notifications.to_fetch()

    def items(self) -> list[dict[str, Any]]:
        """Everything in the table."""
        return [dict(each) for each in self.db.scan(TableName="StateTable")["Items"]]

    def content(self, name: str = NAME) -> bytes:
        """The bytes of a file in the bucket."""
        return b"".join(self.bucket.read(FileId(KYC, DAY, name)))

    def keys(self) -> list[str]:
        """What lies in the bucket."""
        return [each["Key"] for each in self.s3.list_objects_v2(Bucket="recon").get("Contents", [])]

    def is_clean(self) -> bool:
        """Whether nothing lies in S3, no half of a file either."""
        return not self.keys() and not self.s3.list_multipart_uploads(Bucket="recon").get("Uploads")
