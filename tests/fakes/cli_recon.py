"""What the commands about recon look at: four linked users, a bucket, a table."""

import json
from dataclasses import replace

from honnin.recon.bucket import FileId, ReconBucket
from honnin.store import Comparison, Effect, ReconFile, Store
from tests.fakes.cli import FakeDeployment, state_table
from tests.fakes.memory import dynamodb, s3
from tests.fakes.paypay_user import paypay_user

TYPE = "kyc_passport_sync_recon"


DAY = "2026-11-20"


FILE = FileId(TYPE, DAY, "kyc_passport_1_20261120_20261120.csv")


USERS = {f"user-{number}": f"a85fe9e9-b4c9-45cf-a392-00000000000{number}" for number in range(4)}


NOON = "2026-11-20T03:00:00.000Z"


class Recon:
    """A table and a bucket. Four users are linked; webhooks named the first two on the day."""

    def __init__(self) -> None:
        self.s3 = s3("recon")
        self.store = Store(state_table(), dynamodb())
        self.bucket = ReconBucket("recon", self.s3)
        self.deployment = FakeDeployment({"StateTableName": "StateTable", "ReconBucketName": "recon"})
        for number, (user_id, authorization) in enumerate(USERS.items()):
            received = {"kyc": NOON} if number < 2 else None
            after = paypay_user(user_id, "VERIFIED", linked=authorization, at="2026-11-01T00:00:00.000Z")
            after = replace(after, received=received)
            effect = Effect(f"link:{user_id}", "linked", "api", NOON, None, after, {}, links=True)
            self.store.events.apply(effect)

    def put(self, *rows: str, name: str = FILE.name) -> FileId:
        """Store a file with these rows, and record it as stored."""
        file = FileId(TYPE, DAY, name)
        body = "".join(f"{row}\n" for row in ("userAuthorizationId", *rows)).encode()
        self.s3.put_object(Bucket="recon", Key=file.key, Body=body)
        at = "2026-11-21T00:00:00.000Z"
        known = ReconFile(TYPE, DAY, name, "STORED", sha256="0" * 64, size=len(body), stored_at=at, received_at=at)
        self.store.recon.stored(known)
        return file

    def compared(
        self,
        *changed: str,
        not_read: tuple[str, ...] = (),
        waiting: int = 0,
        at: str = "2026-11-21T00:10:00.000Z",
    ) -> None:
        """Record that the stored file was compared, with its report: these authorizations had another status."""
        counts = {"rows": 4, "changed": len(changed), "notRead": len(not_read), "webhookNeverReceived": 2}
        facts = {
            "comparisons": [1],
            "counts": counts,
            "repairs_open": waiting,
            "compared_at": at,
            "completed_at": None if waiting else at,
        }
        self.store.recon.compared(Comparison(TYPE, DAY, FILE.name, 1), facts)
        report = {
            "changed": [
                {"userAuthorizationId": each, "from": "VERIFIED", "to": "RISK_FLAGGED", "appliedAt": at}
                for each in changed
            ],
            "notRead": [{"userAuthorizationId": each, "why": "reading_refused"} for each in not_read],
        }
        self.s3.put_object(Bucket="recon", Key=FILE.report_key, Body=json.dumps(report).encode())

    def everything(self) -> str:
        """All that is in table and bucket, to see that nothing is written."""
        items = dynamodb().scan(TableName="StateTable")["Items"]
        objects = self.s3.list_objects_v2(Bucket="recon").get("Contents", [])
        return json.dumps([items, [(each["Key"], each["ETag"]) for each in objects]], sort_keys=True, default=str)
