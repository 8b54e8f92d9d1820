"""One day of recon files on the deployment, and what is made of them."""

import json
from datetime import datetime, timedelta
from typing import Any

from honnin.event import Event
from honnin.paypay.readings import recorded
from honnin.paypay_facets import Answer, Call
from honnin.recon.bucket import FileId
from honnin.recon.file_types import FILE_TYPES
from honnin.store import Announcement, Effect, Heard, ReconFile, Unattached
from honnin.times import utc_text
from tests.fakes.deployment import Deployment, Function, sample
from tests.fakes.paypay_user import RULES, paypay_user


class ReconDay:
    """One type's recon files of one JST day, as they lie in the bucket, and who was heard on that day."""

    def __init__(self, stack: Deployment, file_type: str = "kyc_passport_sync_recon", day: str = "2026-03-31") -> None:
        self._stack = stack
        self._function = stack.function("recon_compare")
        self.type = FILE_TYPES[file_type]
        self.day = day
        self.name = f"{self.type.prefix}900000000000000001_{day.replace('-', '')}_{day.replace('-', '')}.csv"

    def at(self, time_of_day: str, days: int = 0) -> str:
        """A time in Japan on this day, or so many days later, as the table keeps it (UTC)."""
        return utc_text(datetime.fromisoformat(f"{self.day}T{time_of_day}+09:00") + timedelta(days=days))

    def file_id(self, name: str = "") -> FileId:
        """The file of that name; the usual one by default."""
        return FileId(self.type.name, self.day, name or self.name)

    def heard(self, *ids: str) -> None:
        """Webhooks named these authorizations at noon; nobody knows whose they are."""
        at = self.at("12:00:00")
        for each in ids:
            event_id = f"paypay:{self.type.kind}:noon-{self.day}-{each}"
            heard = Heard(self.type.kind, self.day, each, at)
            self._stack.store.events.keep(
                Unattached(event_id, "paypay", "unknown_user", "webhook", at, each, {}, heard)
            )

    def hear(self, processor: Function, user_authorization_id: str, at: str) -> None:
        """A webhook that came at that time (UTC) goes through the queue and the processor."""
        event_id = f"paypay:{self.type.kind}:{at}-{user_authorization_id}"
        self._stack.send(Event(event_id, "paypay", self.type.kind, "webhook", user_authorization_id, at).to_json())
        assert self._stack.process(processor, 120_000) == []

    def link(self, user_authorization_id: str, user_id: str, read_at: str = "") -> None:
        """Link an authorization to a user whose last reading was at that time (UTC), noon by default."""
        read_at = read_at or self.at("12:00:00")
        status = paypay_user(user_id, linked=user_authorization_id, at=read_at)
        read = [
            Answer(call, read_at, user_authorization_id, 200, "SUCCESS", word, has_data=True)
            for call, word in ((Call.KYC_PASSPORT, "COMPLETED"), (Call.AUTHORIZATION, "ACTIVE"))
        ]
        status = recorded(status, read, RULES)
        effect = Effect(f"link:{user_id}", "linked", "api", read_at, None, status, {}, links=True)
        self._stack.store.events.apply(effect)

    def announce(self, name: str = "", requested_at: str = "") -> None:
        """Record the file as announced."""
        requested_at = requested_at or self.at("03:00:00", days=1)
        url = "https://recon.example.jp/files/x.csv?signature=sample"
        self._stack.store.recon.announce(
            Announcement(
                event_id=f"paypay:recon_file:{name or self.name}-{requested_at}",
                file_type=self.type.name,
                file_name=name or self.name,
                day=self.day,
                url=url,
                requested_at=requested_at,
                deadline=self.at("05:00:00", days=1),
                received_at=requested_at,
                at=requested_at,
            )
        )

    def store(self, content: bytes | str, name: str = "") -> None:
        """Put a file into the bucket, as a person or the download would, and let S3 tell of it."""
        raw = content.encode() if isinstance(content, str) else content
        self._stack.s3.put_object(Bucket="recon", Key=self.file_id(name).key, Body=raw)
        self.tell(self.file_id(name).key)

    def tell(self, *keys: str) -> None:
        """S3's notification of these objects."""
        record = json.loads(sample("recon_compare")["Records"][0]["body"])["Records"][0]
        records = [{**record, "s3": {**record["s3"], "object": {"key": key}}} for key in keys]
        self._stack.send(json.dumps({"Records": records}), "CompareQueue")

    def arrive(self, content: bytes | str, name: str = "", requested_at: str = "") -> None:
        """The file is announced, fetched and stored, and S3 tells of it."""
        self.announce(name, requested_at)
        file = self.file(name)
        at = self.at("03:05:00", days=1)
        self._stack.store.recon.stored(file, name=file.name, sha256="0" * 64, size=len(content), at=at)
        self.store(content, name)

    def listing(self, *ids: str) -> str:
        """The content of a file that names these authorizations, in the usual form."""
        return "".join(f"{each}\r\n" for each in ("userAuthorizationId", *ids))

    def compare(self, *remaining_ms: int) -> list[str]:
        """Let the comparison take what is on its queue; returns the ids of the messages that stay."""
        return self._stack.work(self._function, "CompareQueue", *(remaining_ms or (900_000,)))

    def file(self, name: str = "") -> ReconFile:
        """The file as it is in the table."""
        found = self._stack.store.recon.file(self.type.name, self.day, name or self.name)
        assert found is not None
        return found

    def report(self, name: str = "") -> dict[str, Any]:
        """The report in the bucket."""
        body = self._stack.s3.get_object(Bucket="recon", Key=self.file_id(name).report_key)["Body"].read()
        found: dict[str, Any] = json.loads(body)
        return found

    def repaired(self) -> list[str]:
        """The authorizations whose repair was queued since the last call, as often as it was."""
        bodies = self._stack.drain("RepairQueue")
        assert {(each["cause"], each["kind"]) for each in bodies} <= {("recon", self.type.kind)}
        assert all(each["event_id"] == f"recon:{self.type.name}:{self.day}:{each['subject']}" for each in bodies)
        return sorted(each["subject"] for each in bodies)
