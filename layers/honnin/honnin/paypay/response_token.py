"""The `responseToken` that the browser brings back from PayPay: a JWT, checked before anything in it is used.

docs/providers.md §1.3: HS256, the key is the base64-*decoded* API secret (the HMAC header uses it undecoded), `iss`
is `paypay.ne.jp`, `aud` the client id, `exp` required, no `iat`.
"""

import base64
import binascii
import math
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import jwt
from jwt.types import Options

from honnin.errors import ConfigurationError, HonninError

ISSUER = "paypay.ne.jp"
LEEWAY_S = 30

# PyJWT itself would require `sub` and `jti` to be texts, which PayPay does not promise. It would also check the times
# against its own clock; here they are checked below against the given moment.
_OPTIONS: Options = {
    "require": ["exp", "iss", "aud"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_sub": False,
    "verify_jti": False,
}


class LinkResult(StrEnum):
    """The user's answer."""

    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    BAD_REQUEST = "bad_request"


class ResponseTokenError(HonninError):
    """PayPay did not make it for us, or it is not valid now.

    The message says which check failed and never has the token.
    """


class ResponseTokenSignatureError(ResponseTokenError):
    """The token is signed, but not under this secret: it is forged, or the secret has been rotated."""


class ResponseTokenExpiredError(ResponseTokenError):
    """The token is PayPay's, but has expired.

    `answer` is its content; it may only repeat an answer that was given before.
    """

    def __init__(self, answer: "ResponseToken") -> None:
        super().__init__("the token has expired")
        self.answer = answer


@dataclass(frozen=True)
class ResponseToken:
    """A checked token. `user_authorization_id` is set whenever the result is `succeeded`."""

    result: LinkResult
    nonce: str
    reference_id: str
    user_authorization_id: str | None = field(default=None, repr=False)


def verify(token: str, *, api_secret: str, audience: str, now: datetime | float) -> ResponseToken:
    """Check signature, algorithm, issuer, audience and times (30 s leeway), and the shape of the claims.

    Only what PayPay documents counts, and `nbf`, which no reader of a token may pass over. Every other claim may be of
    any type or missing.

    Parameters
    ----------
    now
        An aware moment, or seconds since 1970.

    Raises
    ------
    ResponseTokenError
        Any check fails: `ResponseTokenSignatureError` that of the signature, `ResponseTokenExpiredError` the expiry
        alone.
    ConfigurationError
        The API secret is not base64, so no token can ever be checked.
    """
    if not token.isascii():
        raise ResponseTokenError("the token is not valid (not ASCII)")
    try:
        claims = jwt.decode(
            token,
            _key(api_secret),
            algorithms=["HS256"],  # never taken from the token
            issuer=ISSUER,
            audience=audience,
            options=_OPTIONS,
        )
    except jwt.InvalidSignatureError:
        raise ResponseTokenSignatureError("the token's signature does not match our API secret") from None
    # A header that is nested too deeply makes the token invalid, too.
    except (jwt.InvalidTokenError, RecursionError) as error:
        raise ResponseTokenError(f"the token is not valid ({type(error).__name__})") from None
    answer = _read(claims)
    seconds = now.timestamp() if isinstance(now, datetime) else now
    # RFC 7519 §4.1.5: "MUST NOT be accepted" before; null means the same as a missing claim.
    if claims.get("nbf") is not None and _time(claims, "nbf") > seconds + LEEWAY_S:
        raise ResponseTokenError("the token is not valid yet")
    if _time(claims, "exp") + LEEWAY_S <= seconds:
        raise ResponseTokenExpiredError(answer)
    return answer


def _key(api_secret: str) -> bytes:
    try:
        return base64.b64decode(api_secret, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigurationError("paypay_api_secret in the providers secret is not base64") from None


def _time(claims: dict[str, Any], name: str) -> float:
    """A moment in seconds since 1970. RFC 7519 allows only a JSON number there."""
    value = claims[name]
    # Python's JSON reader accepts NaN and Infinity, which no comparison would refuse.
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value or abs(value) == math.inf:
        raise ResponseTokenError(f"the token has an unreadable {name}")
    return value


def _read(claims: dict[str, Any]) -> ResponseToken:
    try:
        result = LinkResult(str(claims.get("result")))
    except ValueError:
        raise ResponseTokenError("the token has an unknown result") from None
    nonce, reference_id = claims.get("nonce"), claims.get("referenceId")
    if not isinstance(nonce, str) or not isinstance(reference_id, str) or not nonce or not reference_id:
        raise ResponseTokenError("the token has no nonce or no referenceId")
    authorization_id = claims.get("userAuthorizationId")
    # Base document: userAuthorizationId is at most 64 characters.
    known = isinstance(authorization_id, str) and 1 <= len(authorization_id) <= 64
    if result is LinkResult.SUCCEEDED and not known:
        raise ResponseTokenError("the token has no userAuthorizationId")
    return ResponseToken(result, nonce, reference_id, authorization_id if known else None)
