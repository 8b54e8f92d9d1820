"""Answers SendMessage over TLS at once, and counts: `python -m bench.sqs_stand_in PORT CHAIN`.

It speaks the JSON protocol of SQS (1.0) for that one action. A request that is not a signed SendMessage gets a 400, so
that a contestant that does less shows. `GET /count` answers how many messages were taken.
"""

import asyncio
import hashlib
import json
import ssl
import sys
import uuid

from local.ports import LOOPBACK

_LONGEST_HEAD = 64 * 1024


class _Queue:
    def __init__(self) -> None:
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, one after the other, until the peer closes it."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                request_line, *lines = head.split("\r\n")
                pairs = (line.partition(":") for line in lines if line)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, answer = self._answer(request_line, headers, body)
                writer.write(_response(status, answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass  # the peer went away, as a stopped runtime does
        finally:
            writer.close()

    def _answer(self, request_line: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, object]]:
        if request_line.startswith("GET /count "):
            return 200, {"count": self.taken}
        is_signed = headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 Credential=")
        if headers.get("x-amz-target") != "AmazonSQS.SendMessage" or not is_signed:
            return 400, {"__type": "com.amazonaws.sqs#InvalidAction", "message": "not a signed SendMessage"}
        text = json.loads(body)["MessageBody"]
        self.taken += 1
        digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return 200, {"MessageId": str(uuid.uuid4()), "MD5OfMessageBody": digest}


def _response(status: int, answer: dict[str, object]) -> bytes:
    body = json.dumps(answer).encode()
    reason = "OK" if status == 200 else "Bad Request"
    head = (
        f"HTTP/1.1 {status} {reason}\r\nx-amzn-RequestId: {uuid.uuid4()}\r\n"
        f"Content-Type: application/x-amz-json-1.0\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _run(port: int, chain: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = await asyncio.start_server(_Queue().serve, LOOPBACK, port, ssl=context, limit=_LONGEST_HEAD)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1]), sys.argv[2]))
