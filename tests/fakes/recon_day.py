"""One day of recon files on the deployment, and what is made of them."""

import json
import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chaos.states import MemoryStates, definition
from honnin.event import Event
from honnin.paypay.readings import recorded
from honnin.paypay_facets import Answer, Call
from honnin.recon import starting
from honnin.recon.bucket import FileId
from honnin.recon.file_types import FILE_TYPES
from honnin.store import Effect, ReconFile
from honnin.times import utc_text
from tests.fakes.deployment import Deployment, Function
from tests.fakes.paypay_user import RULES, paypay_user


class ReconDay:
    """One type's recon files of one JST day, as they lie in the bucket, and the state machine that compares them."""

    def __init__(self, stack: Deployment, file_type: str = "kyc_passport_sync_recon", day: str = "2026-03-31") -> None:
        self._stack = stack
        self._ahead_s = 0.0
        self._states = MemoryStates(definition("ReconComparison"), self._call, self._read, self._now)
        self.type = FILE_TYPES[file_type]
        self.day = day
        self.name = f"{self.type.prefix}900000000000000001_{day.replace('-', '')}_{day.replace('-', '')}.csv"

    def _now(self) -> float:
        return time.time() + self._ahead_s

    def at(self, time_of_day: str, days: int = 0) -> str:
        """A time in Japan on this day, or so many days later, as the table keeps it (UTC)."""
        return utc_text(datetime.fromisoformat(f"{self.day}T{time_of_day}+09:00") + timedelta(days=days))

    def file_id(self, name: str = "") -> FileId:
        """The file of that name; the usual one by default."""
        return FileId(self.type.name, self.day, name or self.name)

    def receive_webhook(self, processor: Function, user_authorization_id: str, at: str) -> None:
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

    def notify(self, name: str = "", received_at: str = "") -> None:
        """Record the file's notification."""
        received_at = received_at or self.at("03:00:00", days=1)
        file = ReconFile(self.type.name, self.day, name or self.name, "ANNOUNCED", received_at=received_at)
        self._stack.store.recon.notified(replace(file, requested_at=received_at, deadline=self.at("05:00:00", days=1)))

    def store(self, content: bytes | str, name: str = "") -> None:
        """Put a file into the bucket, as a person or the download would."""
        raw = content.encode() if isinstance(content, str) else content
        self._stack.s3.put_object(Bucket="recon", Key=self.file_id(name).key, Body=raw)

    def arrive(
        self, content: bytes | str, name: str = "", revision_of: str | None = None, received_at: str = ""
    ) -> None:
        """The file's notification comes; the file is fetched and stored under a name with our own id."""
        self.notify(name, received_at)
        self.stored(len(content), name, revision_of, received_at)
        self.store(content, name)

    def stored(self, size: int, name: str = "", revision_of: str | None = None, received_at: str = "") -> None:
        """Record that the file is stored."""
        file = ReconFile(self.type.name, self.day, name or self.name, "STORED", revision_of=revision_of)
        at = self.at("03:05:00", days=1)
        self._stack.store.recon.stored(
            replace(file, sha256="0" * 64, size=size, stored_at=at, received_at=received_at or at, own_name=True)
        )

    def listing(self, *ids: str) -> str:
        """The content of a file that names these authorizations, in the usual form."""
        return "".join(f"{each}\r\n" for each in ("userAuthorizationId", *ids))

    def compare(self) -> None:
        """Let the state machine go on until it waits, or is over: the functions' own handlers, invoked as it would."""
        for each in self._stack.store.comparisons.due("9999"):
            name = str(each)
            self._states.start_execution(name=name, input=json.dumps(starting.execution_input(each)))
        while self._states.work(1):
            pass

    def look_again(self) -> None:
        """Five minutes later the state machine counts who was read, and goes on."""
        self._ahead_s += 301
        while self._states.work(1):
            pass

    def _call(self, function: str, event: dict[str, Any]) -> Any:
        folder = {"Plan": "recon_plan", "Compare": "recon_compare", "Summary": "recon_summary"}
        return self._stack.function(folder[function.removeprefix("Recon").removesuffix("Function")])(event)

    def _read(self, key: str) -> Any:
        return json.loads(self._stack.s3.get_object(Bucket="recon", Key=key)["Body"].read())

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

    def asked(self) -> list[str]:
        """The authorizations for which an event was queued since the last call, as often as it was."""
        bodies = [*self._stack.drain("RepairQueue"), *self._stack.drain("RereadQueue")]
        assert {(each["cause"], each["kind"]) for each in bodies} <= {("recon", self.type.kind)}
        return sorted(each["subject"] for each in bodies)
