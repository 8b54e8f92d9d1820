"""ministack with the table, bucket and queue that recon needs, and the sandbox beside it: what is real of the bench."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import requests

from bench import recon_data
from bench.recon_data import DAY, EXPIRES_AT, FILE_TYPE, FIRST_SEEN, KEY, LEDGER
from local import emulator, environment, providers
from local.errors import LocalError
from local.ports import free_port

TABLE = "honnin-bench"
BUCKET = "honnin-bench-recon"

_QUEUE = "honnin-bench-events"
_SHARDS = "0123456789abcdef"
_READ_BYTES = 1024 * 1024
_CONTROL_TIMEOUT_S = 60


@dataclass(frozen=True)
class SandboxFile:
    """A file of generated rows that the sandbox serves: where, and what its bytes are."""

    name: str
    url: str
    size: int
    sha256: str


class RealStack:
    """The running ministack and sandbox."""

    def __init__(self, endpoint: str, sandbox_url: str) -> None:
        self.endpoint = endpoint
        self._sandbox_url = sandbox_url
        session = boto3.Session(
            environment.DEPLOYER_KEY_ID, environment.DEPLOYER_SECRET, region_name=environment.REGION
        )
        self._s3 = session.client("s3", endpoint_url=endpoint)
        self._sqs = session.client("sqs", endpoint_url=endpoint)
        self._dynamodb = session.resource("dynamodb", endpoint_url=endpoint)
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        self.queue_url: str = self._sqs.create_queue(QueueName=_QUEUE)["QueueUrl"]
        self._create_table()

    def settings(self) -> dict[str, str]:
        """The variables by which a process reaches it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": environment.DEPLOYER_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": environment.DEPLOYER_SECRET,
        }

    def put_day(self, rows: int) -> None:
        """Store the file of `rows` rows, and the ledger of its day, line by line."""
        content = recon_data.file_content(rows)
        self._s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"".join(content.blocks(0, content.size)))
        with self._dynamodb.Table(TABLE).batch_writer() as writer:
            for each in recon_data.ledger_ids(rows):
                shard = hashlib.sha256(each).hexdigest()[0]
                line = {"pk": f"LEDGER#{LEDGER}#{DAY}#{shard}", "sk": each.decode()}
                writer.put_item(Item={**line, "first_seen": FIRST_SEEN, "expires_at": int(EXPIRES_AT)})
            for missed in recon_data.missed_ids(rows):
                writer.put_item(Item={"pk": f"PAYPAY#{missed}", "sk": "LINK", "user_id": f"bench-user-{missed[-12:]}"})

    def results(self) -> list[dict[str, Any]]:
        """What the comparison wrote, shard by shard."""
        keys = [f"reports/{KEY.removeprefix('recon/')}/shard-{shard}.json" for shard in _SHARDS]
        bodies = (self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys)
        return [json.loads(body) for body in bodies]

    def repaired(self) -> list[str]:
        """The subjects of the events on the queue; they are taken off it."""
        found: list[str] = []
        while some := self._sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(each["Body"])["subject"] for each in some]
            entries = [{"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(some)]
            self._sqs.delete_message_batch(QueueUrl=self.queue_url, Entries=entries)  # type: ignore[arg-type]
        return found

    def offer(self, rows: int) -> SandboxFile:
        """Let the sandbox serve a file of `rows` generated rows."""
        name = f"bench-{rows}.csv"
        path = f"{self._sandbox_url}/_sandbox/paypay/recon-files/{name}"
        with requests.Session() as session:
            session.trust_env = False
            body = {"rows": rows, "fileType": FILE_TYPE, "day": DAY}
            session.put(path, json=body, timeout=_CONTROL_TIMEOUT_S).raise_for_status()
            answer = session.post(f"{path}/resend", json={}, timeout=_CONTROL_TIMEOUT_S)
            answer.raise_for_status()
        view = answer.json()
        return SandboxFile(name, view["path"], view["bytes"], view["sha256"])

    def check_stored(self, file: SandboxFile) -> int:
        """In how many parts the file was stored. LocalError unless the stored bytes are those of the sandbox."""
        key = f"recon/{FILE_TYPE}/{DAY.replace('-', '/')}/{file.name}"
        answer = self._s3.get_object(Bucket=BUCKET, Key=key)
        digest = hashlib.sha256()
        for piece in answer["Body"].iter_chunks(_READ_BYTES):
            digest.update(piece)
        if (answer["ContentLength"], digest.hexdigest()) != (file.size, file.sha256):
            raise LocalError(f"{file.name} was not stored as the sandbox sent it: the run is void.")
        return int(answer["ETag"].strip('"').partition("-")[2] or 1)

    def _create_table(self) -> None:
        names = ("pk", "sk", "due_kind", "due_at")
        self._dynamodb.create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "due_kind", "KeyType": "HASH"},
                        {"AttributeName": "due_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )


@contextlib.contextmanager
def running(name: str) -> Iterator[RealStack]:
    """Both, started anew, and stopped at the end. LocalError when one does not start."""
    with emulator.running(name, free_port()) as endpoint, providers.running(name, 0) as sandbox_url:
        yield RealStack(endpoint, sandbox_url)
