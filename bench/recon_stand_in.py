"""DynamoDB, S3 and SQS as one comparison needs them: `python -m bench.recon_stand_in PORT ROWS [--nothing-heard]`.

No local stack holds a ledger of ten million lines, so this holds their ids alone. It answers

- DynamoDB: Query of a partition of the ledger in pages of 1 MB as DynamoDB counts them (the size of the items before
  the projection), in the order of the sort key, with LastEvaluatedKey and the checksum that boto3 verifies;
  BatchGetItem (every asked link exists), GetItem (nothing is there), UpdateItem;
- S3: the file, made while it is sent; what a run writes is kept, and refused when it is there already;
- SQS: SendMessageBatch; the subjects of the events are kept.

`GET /tally` answers what was asked, and `DELETE /tally` forgets it and what was written. Unlike AWS it answers without
delay, so what is timed is our side's work. It runs in a process of its own: its memory counts nowhere.
"""

import bisect
import hashlib
import json
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench import recon_data
from local.ports import LOOPBACK

Json = dict[str, Any]

_PAGE_BYTES = 1024 * 1024
_SHARDS = "0123456789abcdef"
_NO_SUCH_KEY = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
_IS_THERE = b"<Error><Code>PreconditionFailed</Code><Message>The object exists.</Message></Error>"


class Ledger:
    """The ids of one day, in the sixteen partitions of the table."""

    def __init__(self, rows: int, *, nothing_heard: bool = False) -> None:
        shards: dict[str, list[bytes]] = {shard: [] for shard in _SHARDS}
        for each in recon_data.ledger_ids(rows, nothing_heard=nothing_heard):
            # The rule of docs/architecture.md, "The table", a second time: a mistake in the layer's must show.
            shards[_SHARDS[hashlib.sha256(each).digest()[0] >> 4]].append(each)
        for ids in shards.values():
            ids.sort()
        prefix = f"LEDGER#{recon_data.LEDGER}#{recon_data.DAY}#"
        self._partitions = {f"{prefix}{shard}": ids for shard, ids in shards.items()}

    def page(self, pk: str, after: str | None) -> tuple[list[bytes], bool]:
        """The ids of a page of the partition, those that follow `after`, and whether there are more."""
        ids = self._partitions.get(pk, [])
        first = bisect.bisect_right(ids, after.encode()) if after else 0
        last = first + _PAGE_BYTES // recon_data.ledger_line_bytes(pk)
        return ids[first:last], last < len(ids)


class StandIn:
    """What the three services hold, and what was asked of them."""

    def __init__(self, rows: int, *, nothing_heard: bool = False) -> None:
        self.file = recon_data.file_content(rows)
        self.ledger = Ledger(rows, nothing_heard=nothing_heard)
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """As new: nothing asked, nothing written."""
        self.asked: Counter[str] = Counter()
        self.written: dict[str, bytes] = {}
        self.repaired: list[str] = []

    def tally(self) -> Json:
        """What was asked: calls by name, pages and items of the ledger, results of shards, subjects of events."""
        results = [json.loads(body) for body in self.written.values()]
        return {"asked": dict(self.asked), "results": results, "repaired": self.repaired}

    def call(self, target: str, body: Json) -> bytes:
        """The answer to a call of the JSON protocols. KeyError: it does not know the call."""
        name = target.rpartition(".")[2]
        answer = {
            "Query": self._query,
            "BatchGetItem": self._batch_get,
            "GetItem": lambda _body: b"{}",
            "UpdateItem": lambda _body: b"{}",
            "SendMessageBatch": self._send,
        }[name](body)
        self.asked[name] += 1
        return answer

    def _query(self, body: Json) -> bytes:
        pk = body["ExpressionAttributeValues"][":pk"]["S"]
        if not pk.startswith("LEDGER#") or body["ProjectionExpression"] != "sk":
            raise KeyError(pk)
        start = body.get("ExclusiveStartKey")
        ids, has_more = self.ledger.page(pk, start["sk"]["S"] if start else None)
        size = len(ids) * recon_data.ledger_line_bytes(pk)
        self.asked["pages"] += 1
        self.asked["items"] += len(ids)
        # An eventually consistent read: half a unit for each 4 KB of a page, and one page costs no less than that.
        self.asked["half_read_units"] += max(1, -(-size // 4096))
        items = b'{"sk":{"S":"' + b'"}},{"sk":{"S":"'.join(ids) + b'"}}' if ids else b""
        more = {"LastEvaluatedKey": {"pk": {"S": pk}, "sk": {"S": ids[-1].decode()}}} if has_more else {}
        rest = json.dumps({"Count": len(ids), "ScannedCount": len(ids), **more})
        return b'{"Items":[' + items + b"]," + rest[1:].encode()

    def _batch_get(self, body: Json) -> bytes:
        [(table, wanted)] = body["RequestItems"].items()
        # Everybody is linked, and nobody was erased.
        links = [key for key in wanted["Keys"] if key["sk"]["S"] == "LINK"]
        items = [{**key, "user_id": {"S": f"bench-user-{key['pk']['S'][-12:]}"}} for key in links]
        self.asked["links"] += len(items)
        return json.dumps({"Responses": {table: items}, "UnprocessedKeys": {}}).encode()

    def _send(self, body: Json) -> bytes:
        taken = []
        for entry in body["Entries"]:
            text = entry["MessageBody"]
            self.repaired.append(json.loads(text)["subject"])
            digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
            taken.append({"Id": entry["Id"], "MessageId": entry["Id"], "MD5OfMessageBody": digest})
        return json.dumps({"Successful": taken, "Failed": []}).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, stand_in: StandIn) -> None:
        super().__init__((LOOPBACK, port), _Handler)
        self.stand_in = stand_in


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        """A call of DynamoDB or SQS."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        stand_in = self.server.stand_in
        try:
            with stand_in.lock:
                answer = stand_in.call(self.headers.get("X-Amz-Target", ""), body)
        except (KeyError, ValueError) as error:
            self._answer(400, json.dumps({"__type": "ValidationException", "message": repr(error)}).encode())
            return
        # DynamoDB sends this checksum, and boto3 computes it again.
        self._answer(200, answer, {"x-amz-crc32": str(zlib.crc32(answer))})

    def do_GET(self) -> None:
        """An object of S3, or the tally."""
        stand_in = self.server.stand_in
        if self.path == "/tally":
            with stand_in.lock:
                self._answer(200, json.dumps(stand_in.tally()).encode())
            return
        key = self._key()
        if key == recon_data.KEY:
            self._head(200, stand_in.file.size, {"ETag": '"bench"'})
            for block in stand_in.file.blocks(0, stand_in.file.size):
                self.wfile.write(block)
            return
        found = stand_in.written.get(key)
        if found is None:
            self._answer(404, _NO_SUCH_KEY)
        else:
            self._answer(200, found, {"ETag": '"bench"'})

    def do_PUT(self) -> None:
        """Write an object of S3, once."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.stand_in.lock:
            if self.headers.get("If-None-Match") == "*" and self._key() in self.server.stand_in.written:
                self._answer(412, _IS_THERE)
                return
            self.server.stand_in.written[self._key()] = body
        self._answer(200, b"", {"ETag": '"bench"'})

    def do_DELETE(self) -> None:
        """Forget what was asked and written."""
        with self.server.stand_in.lock:
            self.server.stand_in.forget()
        self._answer(200, b"{}")

    def log_message(self, *_arguments: object) -> None:
        """Keep quiet: a line per page is no use."""

    def _key(self) -> str:
        """The path without the bucket."""
        return self.path.partition("?")[0].removeprefix("/").partition("/")[2]

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._head(status, len(body), headers or {})
        self.wfile.write(body)

    def _head(self, status: int, size: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()


if __name__ == "__main__":
    _Server(int(sys.argv[1]), StandIn(int(sys.argv[2]), nothing_heard="--nothing-heard" in sys.argv)).serve_forever()
