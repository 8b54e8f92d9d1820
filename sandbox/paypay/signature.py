"""PayPay's request signature (OPA HMAC), checked by code written from the provider's document alone."""

import base64
import hashlib
import hmac
import threading
from dataclasses import dataclass

from sandbox.clock import SandboxClock

SCHEME = "hmac OPA-Auth"
EPOCH_TOLERANCE_S = 120
EMPTY = "empty"


class SignatureError(Exception):
    """A request that is not signed as PayPay demands; the text says what is wrong, without any secret."""


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that the signature covers, exactly as they came over the wire.

    `path` is percent-encoded and without query; `content_type` is the header's value.
    """

    method: str
    path: str
    content_type: str
    body: bytes

    def body_hash(self) -> str:
        """Return base64(MD5(content type, body)), or the word `empty` without a body."""
        if not self.body:
            return EMPTY
        digest = hashlib.md5(self.content_type.encode("latin-1", "replace") + self.body)
        return base64.b64encode(digest.digest()).decode("ascii")

    def mac(self, api_secret: str, nonce: str, epoch: str, body_hash: str) -> str:
        """Return base64(HMAC-SHA256) over the six lines. The secret is used as its characters, undecoded."""
        content_type = self.content_type if self.body else EMPTY
        lines = "\n".join([self.path, self.method, nonce, epoch, content_type, body_hash])
        made = hmac.new(api_secret.encode(), lines.encode("utf-8", "replace"), hashlib.sha256)
        return base64.b64encode(made.digest()).decode("ascii")


class Gate:
    """Lets in what is signed with the merchant's key, at the right time, with a nonce never seen before."""

    def __init__(self, api_key: str, api_secret: str, clock: SandboxClock, lock: threading.RLock) -> None:
        self._api_key = api_key
        self._api_secret = api_secret
        self._clock = clock
        self._lock = lock
        self._nonces: dict[str, float] = {}

    def check(self, authorization: str | None, request: SignedRequest) -> None:
        """Check the `Authorization` header of a request. Raises SignatureError."""
        parts = (authorization or "").split(":")
        if len(parts) != 6 or parts[0] != SCHEME:
            raise SignatureError("the header Authorization is not of the form hmac OPA-Auth:…")
        _, api_key, mac, nonce, epoch, body_hash = parts
        if not _same(api_key, self._api_key):
            raise SignatureError("the api key is unknown")
        if not _same(body_hash, request.body_hash()):
            raise SignatureError("the hash does not fit the content type and the body")
        if not _same(mac, request.mac(self._api_secret, nonce, epoch, body_hash)):
            raise SignatureError("the mac does not fit the request")
        if not (epoch.isascii() and epoch.isdecimal() and len(epoch) == 10):
            raise SignatureError("the epoch is not in seconds")
        if abs(int(epoch) - self._clock.now()) > EPOCH_TOLERANCE_S:
            raise SignatureError("the epoch is more than 2 minutes off")
        self._use(nonce)

    def reset(self) -> None:
        """Forget the nonces."""
        with self._lock:
            self._nonces.clear()

    def _use(self, nonce: str) -> None:
        if not nonce:
            raise SignatureError("the nonce is empty")
        now = self._clock.now()
        with self._lock:
            # Older ones need not be known: their epoch is refused. They stand in the order of their use.
            while self._nonces and self._nonces[first := next(iter(self._nonces))] <= now - 2 * EPOCH_TOLERANCE_S:
                del self._nonces[first]
            if nonce in self._nonces:
                raise SignatureError("the nonce was used before")
            self._nonces[nonce] = now


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
