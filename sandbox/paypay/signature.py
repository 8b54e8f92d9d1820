"""PayPay's request signature (OPA HMAC), checked by code written from the provider's document alone."""

import base64
import hashlib
import hmac
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.clock import SandboxClock
from sandbox.explained import Explanation, Origin, Piece, Verdict, joined, shown

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
        lines = "\n".join(self._lines(nonce, epoch, body_hash).values())
        made = hmac.new(api_secret.encode(), lines.encode("utf-8", "replace"), hashlib.sha256)
        return base64.b64encode(made.digest()).decode("ascii")

    def pieces(self, nonce: str, epoch: str, body_hash: str, hidden: Sequence[str]) -> tuple[Piece, ...]:
        """Return the six lines for people; of a `hidden` part of the path only the length."""
        lines = self._lines(nonce, epoch, body_hash)
        last = list(lines)[-1]
        return tuple(
            Piece(
                origin, joined(*shown(line, hidden if origin is Origin.PATH else ()), b"" if origin is last else b"\n")
            )
            for origin, line in lines.items()
        )

    def _lines(self, nonce: str, epoch: str, body_hash: str) -> dict[Origin, str]:
        return {
            Origin.PATH: self.path,
            Origin.METHOD: self.method,
            Origin.NONCE: nonce,
            Origin.EPOCH: epoch,
            Origin.CONTENT_TYPE: self.content_type if self.body else EMPTY,
            Origin.BODY_HASH: body_hash,
        }


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
        parts = _parts(authorization)
        if parts is None:
            raise SignatureError("the header Authorization is not of the form hmac OPA-Auth:…")
        api_key, mac, nonce, epoch, body_hash = parts
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

    def explanation(self, authorization: str | None, request: SignedRequest, hidden: Sequence[str]) -> Explanation:
        """Explain the signature of a request, without deciding anything. `hidden` are parts of the path."""
        parts = _parts(authorization)
        if parts is None:
            return Explanation("paypay", (), Verdict.MISSING)
        api_key, mac, nonce, epoch, body_hash = parts
        if not _same(api_key, self._api_key):
            verdict = Verdict.OTHER_KEY
        elif not _same(body_hash, request.body_hash()):
            verdict = Verdict.OTHER_HASH
        else:
            is_right = _same(mac, request.mac(self._api_secret, nonce, epoch, body_hash))
            verdict = Verdict.MATCHES if is_right else Verdict.DIFFERS
        return Explanation("paypay", request.pieces(nonce, epoch, request.body_hash(), hidden), verdict)

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


def _parts(authorization: str | None) -> tuple[str, str, str, str, str] | None:
    """Take a header apart: key, mac, nonce, epoch, hash; None when it is not of the form."""
    scheme, *parts = (authorization or "").split(":")
    if scheme != SCHEME or len(parts) != 5:
        return None
    api_key, mac, nonce, epoch, body_hash = parts
    return api_key, mac, nonce, epoch, body_hash


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode("utf-8", "replace"))
