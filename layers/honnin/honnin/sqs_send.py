"""One SQS `SendMessage`, signed with our own Signature Version 4, standard library only.

Why not boto3: the answer to a webhook has 1.5 s in all, including a cold start. Importing a boto3 SQS client takes
about nine times as long as importing `http.client` and `hmac` (docs/decisions.md#5). A property test compares the
signature with `botocore.auth.SigV4Auth`.

Protocol: AWS JSON 1.0, `X-Amz-Target: AmazonSQS.SendMessage`, body `{"QueueUrl", "MessageBody"}`.
Signature: AWS General Reference, "Signature Version 4 signing process": canonical request, string to sign,
derived key, each cited at its line below.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from functools import cache, partial
from urllib.parse import quote, urlsplit

TYPE_CHECKING = False  # as in webhook.py: typing itself would cost a cold ack 3 ms
if TYPE_CHECKING:
    from collections.abc import Buffer
    from typing import Any

_CONTENT_TYPE = "application/x-amz-json-1.0"
_TARGET = "AmazonSQS.SendMessage"
_ALGORITHM = "AWS4-HMAC-SHA256"

# PayPay waits 1.5 s. If the first try hangs, the second must still fit into one second.
_TOTAL_S = 1.0
_FIRST_TRY_S = 0.6

_connections: dict[tuple[str, str], http.client.HTTPConnection] = {}


class SendError(Exception):
    """SQS did not accept the message within one second and two tries."""


def send_message(queue_url: str, body: str) -> str:
    """Send `body` to the queue and return the message id.

    The credentials and the region come from the Lambda environment; `AWS_ENDPOINT_URL` is used if it is set. The
    connection stays open between invocations. If the other side has closed it, it is opened again once, which does not
    count as a try.

    Raises
    ------
    SendError
        After two tries, or one second in all.
    """
    deadline = time.monotonic() + _TOTAL_S
    payload = json.dumps({"QueueUrl": queue_url, "MessageBody": body}).encode()
    reason = ""
    for until, context in ((deadline - _TOTAL_S + _FIRST_TRY_S, _amazon_only), (deadline, _every_authority)):
        try:
            status, answer = _post(payload, until, context)
            if status == 200:
                return str(json.loads(answer)["MessageId"])
            reason = f"SQS answered {status}"
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
            reason = type(error).__name__
    raise SendError(f"SQS did not accept the message: {reason}")


@cache
def _amazon_only() -> ssl.SSLContext:
    """Trust only Amazon's own roots, which certify SQS: to parse all public roots would take a cold start 24 ms."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    here = os.path.dirname(__file__)  # noqa: PTH120 -- pathlib is one more import at a cold start
    context.load_verify_locations(cafile=f"{here}/amazon_roots.pem")
    return context


@cache
def _every_authority() -> ssl.SSLContext:
    """Trust all public roots, for the second try: if AWS ever changes its authority, webhooks only become slower."""
    return ssl.create_default_context()


def _post(payload: bytes, until: float, context: Callable[[], ssl.SSLContext]) -> tuple[int, bytes]:
    region = os.environ["AWS_REGION"]
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL") or f"https://sqs.{region}.amazonaws.com")
    key = (endpoint.scheme, endpoint.netloc)
    path = endpoint.path or "/"
    headers = signed_headers(
        host=endpoint.netloc,
        path=path,
        body=payload,
        region=region,
        access_key=os.environ["AWS_ACCESS_KEY_ID"],
        secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        session_token=os.environ.get("AWS_SESSION_TOKEN", ""),
        amz_date=time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
    )
    kept = _connections.pop(key, None)
    if kept is not None:
        try:
            return _exchange(key, kept, path, payload, headers, until)
        except (ConnectionError, http.client.RemoteDisconnected, http.client.CannotSendRequest):
            pass  # the peer closed an idle connection; SQS saw nothing, so open another
    if endpoint.scheme == "https":
        opened: http.client.HTTPConnection = http.client.HTTPSConnection(endpoint.netloc, context=context())
    else:
        opened = http.client.HTTPConnection(endpoint.netloc)
    return _exchange(key, opened, path, payload, headers, until)


def _exchange(
    key: tuple[str, str],
    connection: http.client.HTTPConnection,
    path: str,
    payload: bytes,
    headers: dict[str, str],
    until: float,
) -> tuple[int, bytes]:
    try:
        if connection.sock is None:
            connection.timeout = _left(until)
            connection.connect()
        # A time-out counts for each socket operation, so each operation gets only the time that is left.
        connection.sock.settimeout(_left(until))
        connection.request("POST", path, body=payload, headers=headers)
        connection.response_class = partial(_response, until)  # type: ignore[assignment]
        response = connection.getresponse()
        answer = response.read()
    except BaseException:
        connection.close()
        raise
    if response.will_close:
        connection.close()
    else:
        _connections[key] = connection
    return response.status, answer


class _Timed(io.RawIOBase):
    """A socket's bytes.

    Each read has only the time that is left, so that an answer in slow small pieces ends in time, too.
    """

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock = sock
        self._bytes = sock.makefile("rb", buffering=0)
        self._until = until

    def makefile(self, _mode: str) -> io.BufferedReader:
        """The method that `HTTPResponse` calls on its socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int | None:
        self._sock.settimeout(_left(self._until))
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


def _response(until: float, sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(_Timed(sock, until), **options)  # type: ignore[arg-type]


def _left(until: float) -> float:
    """Seconds until a point in monotonic time. Raises `TimeoutError` when it has passed."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def signed_headers(
    *,
    host: str,
    path: str,
    body: bytes,
    region: str,
    access_key: str,
    secret_key: str,
    session_token: str,
    amz_date: str,
) -> dict[str, str]:
    """The headers of a signed `SendMessage`; `amz_date` is UTC as `YYYYMMDDTHHMMSSZ`, `path` as sent."""
    headers = {"content-type": _CONTENT_TYPE, "host": host, "x-amz-date": amz_date, "x-amz-target": _TARGET}
    if session_token:
        headers["x-amz-security-token"] = session_token
    names = sorted(headers)
    signed_names = ";".join(names)
    # Canonical request: method, URI (each segment encoded once more than on the wire), query, headers, list of
    # their names, hash of the payload.
    canonical = "\n".join(
        [
            "POST",
            quote(path, safe="/~"),
            "",
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            signed_names,
            hashlib.sha256(body).hexdigest(),
        ]
    )
    date = amz_date[:8]
    scope = f"{date}/{region}/sqs/aws4_request"
    # String to sign: algorithm, time, scope, hash of the canonical request.
    string_to_sign = f"{_ALGORITHM}\n{amz_date}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    # Derived key: date, region, service, terminator, each the key of the next.
    derived = f"AWS4{secret_key}".encode()
    for part in (date, region, "sqs", "aws4_request"):
        derived = hmac.digest(derived, part.encode(), "sha256")
    signature = hmac.digest(derived, string_to_sign.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={access_key}/{scope}, SignedHeaders={signed_names}, Signature={signature}"
    )
    return headers
