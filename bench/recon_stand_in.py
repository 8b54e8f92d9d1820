"""DynamoDB, S3 and SQS as a comparison needs them: `python -m bench.recon_stand_in PORT ROWS [--everybody-missed]`.

No local stack holds the table of millions of users, so this makes every item when it is asked for it. It answers

- DynamoDB: BatchGetItem (a link and a status for each id, no mark of an erasure), GetItem (the file's own item), with
  the checksum that boto3 verifies, and counts read units as DynamoDB does: one for 4 KB of an item that is read
  consistently, half of that otherwise;
- S3: the file, made while it is sent, whole or in ranges, with `If-Match`; what a run writes is kept;
- SQS: SendMessageBatch; the subjects of the events are kept, by queue.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping

from bench import recon_data, stand_in, users
from bench.stand_in import Json

_UNIT_BYTES = 4096
_MOST_KEYS = 100
_MOST_MESSAGES = 10


class ReconServices(stand_in.Services):
    """The table, the bucket and the queues."""

    def __init__(self, rows: int, *, everybody_missed: bool = False) -> None:
        self.file = recon_data.file_content(rows)
        self._everybody_missed = everybody_missed
        super().__init__()

    def forget(self) -> None:
        """As new; what a run has written is gone, the file stays."""
        super().forget()
        self.queued: dict[str, list[str]] = {}

    def tally(self) -> Json:
        """What was asked, the events by queue, and what was counted in the ranges that are done."""
        done = [json.loads(body) for key, body in self.objects.items() if key.endswith(".done")]
        return {**super().tally(), "queued": self.queued, "done": done}

    def call(self, operation: str, body: Json) -> bytes:
        """Answer a call. KeyError: it does not know it."""
        calls = {"BatchGetItem": self._batch_get, "GetItem": self._get, "SendMessageBatch": self._send}
        return calls[operation](body)

    def size(self, key: str) -> int | None:
        """How many bytes an object has."""
        return self.file.size if key == recon_data.KEY else super().size(key)

    def content(self, key: str, start: int, end: int) -> Iterable[bytes]:
        """The bytes of an object."""
        return self.file.blocks(start, end) if key == recon_data.KEY else super().content(key, start, end)

    def _batch_get(self, body: Json) -> bytes:
        [(table, wanted)] = body["RequestItems"].items()
        keys = wanted["Keys"]
        if not 1 <= len(keys) <= _MOST_KEYS:
            raise KeyError(len(keys))
        items = [users.item_of(key, everybody_missed=self._everybody_missed) for key in keys]
        halves = 2 if wanted.get("ConsistentRead") else 1
        # A key without an item costs as much as the smallest one.
        self.asked["half_read_units"] += sum(halves * -(-len(each or b".") // _UNIT_BYTES) for each in items)
        found = b",".join(filter(None, items))
        return b'{"Responses":{"' + str(table).encode() + b'":[' + found + b']},"UnprocessedKeys":{}}'

    def _get(self, body: Json) -> bytes:
        item = users.recon_file_item()
        self.asked["half_read_units"] += 2
        return json.dumps({"Item": item} if body["Key"]["pk"] == item["pk"] else {}).encode()

    def _send(self, body: Json) -> bytes:
        if not 1 <= len(body["Entries"]) <= _MOST_MESSAGES:
            raise KeyError(len(body["Entries"]))
        queue = self.queued.setdefault(body["QueueUrl"].rpartition("/")[2], [])
        taken = [_taken(each, queue) for each in body["Entries"]]
        return json.dumps({"Successful": taken, "Failed": []}).encode()


def _taken(entry: Mapping[str, str], queue: list[str]) -> Json:
    text = entry["MessageBody"]
    queue.append(json.loads(text)["subject"])
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return {"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": digest}


if __name__ == "__main__":
    rows, everybody_missed = int(sys.argv[2]), "--everybody-missed" in sys.argv
    stand_in.serve(int(sys.argv[1]), ReconServices(rows, everybody_missed=everybody_missed))
