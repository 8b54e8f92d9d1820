"""ministack with the table and the bucket that a download needs, and the sandbox beside it."""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import requests

from bench.recon_data import DAY, FILE_TYPE
from local import emulator, environment, providers
from local.errors import LocalError
from local.ports import free_port

TABLE = "honnin-bench"
BUCKET = "honnin-bench-recon"

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
        self._dynamodb = session.resource("dynamodb", endpoint_url=endpoint)
        self._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        self._create_table()

    def settings(self) -> dict[str, str]:
        """The variables by which a process reaches it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": environment.DEPLOYER_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": environment.DEPLOYER_SECRET,
        }

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
            raise LocalError(f"{file.name} was not stored as the sandbox sent it: the run is invalid.")
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
