"""AWS and PayPay as the event processor needs them: `python -m bench.process_stand_in PORT PROVIDER_SECONDS`.

The table is the one in memory that the fault harness uses (`chaos.dynamodb`, held to moto and the emulator by
`tests/contract`). S3 keeps objects, SQS keeps what is sent to each queue, EventBridge takes everything. PayPay answers
each call after so many seconds, with the same KYC for everybody; calls to it are counted, and wait side by side.
"""

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

from bench import stand_in
from bench.stand_in import Json, RefusedError
from bench.users import VERIFIED_WORD
from chaos.dynamodb import MemoryDynamoDB

PAYPAY = "/paypay"
"""Where PayPay's paths begin."""

_SECRET = {
    "vexora_merchant_no": "1027749636",
    "vexora_app_secret": "bench-app-secret",
    "paypay_api_key": "a_bench_key",
    "paypay_api_secret": "a-secret-of-the-bench",
    "paypay_merchant_id": "100000000000000001",
}
# As long as an answer about a person is; it says nothing about anybody.
_KYC = {"status": VERIFIED_WORD, "kycData": {f"field{number:02}": "あ" * 20 for number in range(20)}}
_SUCCESS = {"code": "SUCCESS", "message": "Success", "codeId": "08100001"}


class ProcessServices(stand_in.Services):
    """The table, the vault, the queues, the bus, the secret, and PayPay."""

    def __init__(self, provider_s: float) -> None:
        self._provider_s = provider_s
        self.table = MemoryDynamoDB()
        super().__init__()

    def forget(self) -> None:
        """Forget what was asked and sent; what the table and the vault hold stays."""
        super().forget()
        self.sent: dict[str, list[str]] = {}
        self.reads = 0

    def tally(self) -> Json:
        """What was asked, the bodies that were sent to each queue, and how often PayPay was asked."""
        return {**super().tally(), "sent": self.sent, "reads": self.reads}

    def elsewhere(self, path: str) -> bytes | None:
        """PayPay's answer."""
        if not path.startswith(PAYPAY):
            return None
        with self.lock:
            self.reads += 1
        time.sleep(self._provider_s)
        is_authorization = "/user/authorizations" in path
        data: Json = {"status": "ACTIVE", "scopes": [], "referenceIds": []} if is_authorization else _KYC
        return json.dumps({"resultInfo": _SUCCESS, "data": data}).encode()

    def call(self, operation: str, body: Json) -> bytes:
        """Answer a call of DynamoDB, SQS, EventBridge or Secrets Manager."""
        others: dict[str, Callable[[Json], Json]] = {
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ChangeMessageVisibility": lambda _body: {},
            "PutEvents": lambda body: {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in body["Entries"]]},
            "GetSecretValue": lambda body: {"ARN": body["SecretId"], "SecretString": json.dumps(_SECRET)},
        }
        answer = others[operation](body) if operation in others else self._dynamodb(operation, body)
        return json.dumps(answer).encode()

    def _dynamodb(self, operation: str, body: Json) -> Any:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        # The SDK's own, for its repetitions.
        request = {key: value for key, value in body.items() if key != "ClientRequestToken"}
        try:
            return getattr(self.table, name)(**request)
        except AttributeError:
            raise KeyError(operation) from None
        except ClientError as error:
            said: Any = dict(error.response)
            failure = said.pop("Error")
            raise RefusedError({"__type": failure["Code"], "message": failure.get("Message", ""), **said}) from None

    def _send(self, body: Json) -> Json:
        self.sent.setdefault(body["QueueUrl"].rpartition("/")[2], []).append(body["MessageBody"])
        digest = hashlib.md5(body["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": "1", "MD5OfMessageBody": digest}

    def _send_batch(self, body: Json) -> Json:
        sent = [{"Id": each["Id"], **self._send({**each, "QueueUrl": body["QueueUrl"]})} for each in body["Entries"]]
        return {"Successful": sent, "Failed": []}


if __name__ == "__main__":
    stand_in.serve(int(sys.argv[1]), ProcessServices(float(sys.argv[2])))
