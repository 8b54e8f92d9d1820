"""The `responseToken` that the browser carries back: a JWT made by hand, so that it can also be made wrongly."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping

from sandbox.paypay.account import PayPayAccount

ISSUER = "paypay.ne.jp"
TOKEN_KINDS = (
    "good",
    "wrong_key",
    "alg_none",
    "wrong_iss",
    "wrong_aud",
    "no_exp",
    "expired",
    "other_nonce",
)
# An expired token must be expired beyond any leeway that a merchant grants.
EXPIRED_SINCE_S = 3600


def response_token(
    account: PayPayAccount, claims: Mapping[str, object], *, now: float, ttl_s: float, kind: str = "good"
) -> str:
    """Return the token for `claims` (result, nonce and so on), good for `ttl_s` seconds from `now` on.

    `kind` is one of `TOKEN_KINDS`: the good one, or one that a merchant must refuse.
    """
    payload: dict[str, object] = {"iss": ISSUER, "aud": account.client_id, "exp": int(now + ttl_s), **claims}
    match kind:
        case "wrong_iss":
            payload["iss"] = "paypay.example.com"
        case "wrong_aud":
            payload["aud"] = "a_anotherClient"
        case "no_exp":
            del payload["exp"]
        case "expired":
            payload["exp"] = int(now) - EXPIRED_SINCE_S
        case "other_nonce":
            payload["nonce"] = "another-nonce"
    if kind == "alg_none":
        return _signing_input("none", payload) + "."
    # wrong_key: the mistake that integrations make, the secret's characters instead of what they encode.
    key = account.api_secret.encode() if kind == "wrong_key" else account.token_key()
    signed = _signing_input("HS256", payload)
    return f"{signed}.{_base64url(hmac.new(key, signed.encode('ascii'), hashlib.sha256).digest())}"


def _signing_input(algorithm: str, payload: Mapping[str, object]) -> str:
    parts = ({"typ": "JWT", "alg": algorithm}, payload)
    return ".".join(_base64url(json.dumps(part, separators=(",", ":")).encode("utf-8")) for part in parts)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
