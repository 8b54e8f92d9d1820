"""`honnin.paypay.response_token`: the vector, and one test per way in which a token can be wrong."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from honnin.errors import ConfigurationError
from honnin.paypay import response_token
from honnin.paypay.response_token import (
    LinkResult,
    ResponseToken,
    ResponseTokenError,
    ResponseTokenExpiredError,
    ResponseTokenSignatureError,
)

VECTOR: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "vectors" / "paypay_response_token.json").read_text(encoding="utf-8")
)
SECRET = VECTOR["api_secret"]
KEY = base64.b64decode(SECRET)
AUDIENCE = VECTOR["claims"]["aud"]
NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
EXP = int(NOW.timestamp()) + 300


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(
    claims: Mapping[str, Any] | None = None, *, alg: str = "HS256", key: bytes = KEY, digest: str = "sha256", **own: Any
) -> str:
    """A token made by hand: a library would refuse to make most of these. A claim of None is left out."""
    payload = VECTOR["claims"] | {"exp": EXP} | dict(claims or {}) | own
    parts = [{"typ": "JWT", "alg": alg}, {name: value for name, value in payload.items() if value is not None}]
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{base64url(hmac.digest(key, signed.encode(), digest))}"


def verify(text: str, *, audience: str = AUDIENCE, now: datetime | float = NOW) -> ResponseToken:
    return response_token.verify(text, api_secret=SECRET, audience=audience, now=now)


def refused(text: str) -> str:
    """The message of the refusal, which must not hold the token, a part of it, or one of its values."""
    with pytest.raises(ResponseTokenError) as caught:
        verify(text)
    message = str(caught.value)
    marks = [part for part in text.split(".") if len(part) > 5] + ["uaid-1", "nonce-1", "ref-1", "5678"]
    assert not [mark for mark in marks if mark in message]
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return message


def test_it_reproduces_the_vector() -> None:
    checked = verify(VECTOR["token"])

    assert checked == ResponseToken(LinkResult.SUCCEEDED, "nonce-1", "ref-1", "uaid-1")
    assert "uaid-1" not in repr(checked)


def test_a_moment_may_be_given_in_seconds() -> None:
    assert verify(token(), now=NOW.timestamp()) == verify(token(), now=NOW)


# --- signature and algorithm ---


def test_the_undecoded_secret_is_refused() -> None:
    refused(token(key=SECRET.encode()))


def test_another_secret_is_refused() -> None:
    refused(token(key=b"x" * 32))


def test_a_changed_claim_is_refused() -> None:
    head, _, signature = token().split(".")
    _, changed, _ = token(referenceId="ref-2").split(".")

    refused(f"{head}.{changed}.{signature}")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", ""])
def test_an_unsigned_token_is_refused(alg: str) -> None:
    head, claims, signature = token(alg=alg).split(".")

    refused(f"{head}.{claims}.")
    refused(f"{head}.{claims}.{signature}")


@pytest.mark.parametrize(("alg", "digest"), [("HS384", "sha384"), ("HS512", "sha512")])
def test_another_hmac_is_refused(alg: str, digest: str) -> None:
    refused(token(alg=alg, digest=digest))


def test_an_asymmetric_algorithm_is_refused() -> None:
    """Both ways round: signed by a key pair of the attacker's, and HMAC under the name RS256."""
    signed = ".".join(token(alg="RS256").split(".")[:2])
    pair = rsa.generate_private_key(65537, 2048)

    refused(token(alg="RS256"))
    refused(f"{signed}.{base64url(pair.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}")


@pytest.mark.parametrize(
    "text",
    ["", "a", "a.b", "a.b.c", "a.b.c.d", "..", "日本", "\x00", "{}", "e30.e30.", "\ud800"],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    refused(text)


def test_claims_that_are_no_object_are_refused() -> None:
    signed = f"{token().split('.')[0]}.{base64url(b'[1]')}"

    refused(f"{signed}.{base64url(hmac.digest(KEY, signed.encode(), hashlib.sha256))}")


# --- iss, aud, exp ---


@pytest.mark.parametrize(
    "iss", ["paypay.example.com", "PayPay.ne.jp", "https://paypay.ne.jp", "", None, 1, ["paypay.ne.jp"]]
)
def test_another_issuer_is_refused(iss: Any) -> None:
    refused(token({"iss": iss}))


@pytest.mark.parametrize("aud", ["a_anotherClient", "", None, [], ["a_anotherClient"], [1], 1, {AUDIENCE: 1}])
def test_another_audience_is_refused(aud: Any) -> None:
    refused(token({"aud": aud}))


def test_a_list_of_audiences_with_ours_is_taken() -> None:
    """RFC 7519 §4.1.3: each principal that the token is meant for is in the list."""
    assert verify(token(aud=["a_anotherClient", AUDIENCE])).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("exp", [None, "", "soon", str(EXP), True, [], {}, [EXP], float("nan"), float("inf")])
def test_a_missing_or_unreadable_expiry_is_refused(exp: Any) -> None:
    refused(token({"exp": exp}))


@pytest.mark.parametrize("exp", [0, -1, 1, EXP - 3600])
def test_a_past_expiry_is_refused(exp: int) -> None:
    assert "expired" in refused(token(exp=exp))


@pytest.mark.parametrize("past_s", [0, 1, 29])
def test_a_clock_up_to_thirty_seconds_ahead_is_forgiven(past_s: int) -> None:
    assert verify(token(), now=EXP + past_s).reference_id == "ref-1"


@pytest.mark.parametrize("past_s", [30, 31, 3600])
def test_thirty_seconds_after_its_expiry_a_token_is_refused(past_s: int) -> None:
    with pytest.raises(ResponseTokenError, match="expired"):
        verify(token(), now=EXP + past_s)


@pytest.mark.parametrize("name", ["sub", "jti", "iat", "auth_time", "azp"])
@pytest.mark.parametrize("value", [7, 1.5, "", "x", [], {}, True])
def test_claims_that_paypay_does_not_document_may_be_anything(name: str, value: Any) -> None:
    assert verify(token({name: value})).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("name", ["sub", "jti", "iat", "nbf", "profileIdentifier"])
def test_a_claim_may_be_null(name: str) -> None:
    claims = VECTOR["claims"] | {"exp": EXP, name: None}
    signed = ".".join(base64url(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))

    assert verify(f"{signed}.{base64url(hmac.digest(KEY, signed.encode(), 'sha256'))}").nonce == "nonce-1"


def test_an_iat_in_the_future_does_not_count() -> None:
    assert verify(token(iat=EXP + 9999)).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("nbf", [0, int(NOW.timestamp()), NOW.timestamp() + 29.5, int(NOW.timestamp()) + 30])
def test_a_token_that_is_valid_already_is_taken(nbf: float) -> None:
    assert verify(token(nbf=nbf)).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("ahead", [31, 3600, 10**9, 10**400, 1e300])
def test_a_token_that_is_not_valid_yet_is_refused(ahead: float) -> None:
    assert "not valid yet" in refused(token(nbf=NOW.timestamp() + ahead if ahead < 10**300 else ahead))


@pytest.mark.parametrize("nbf", ["", "0", str(EXP), True, [0], {}, float("nan"), float("-inf")])
def test_an_nbf_that_cannot_be_read_is_refused(nbf: Any) -> None:
    """RFC 7519 §4.1.5: a number, before which the token is not to be taken. What cannot be read cannot be kept."""
    assert "nbf" in refused(token({"nbf": nbf}))


@pytest.mark.parametrize("exp", [float(EXP), EXP + 0.5, 10**400, 1e308])
def test_any_number_is_an_expiry(exp: float) -> None:
    assert verify(token(exp=exp)).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("exp", ["", "soon", str(EXP), True, [EXP], float("nan"), float("inf")])
def test_an_unreadable_expiry_is_no_past_one(exp: Any) -> None:
    """An expired answer may be repeated to the browser that gave it; this one may not."""
    with pytest.raises(ResponseTokenError) as caught:
        verify(token({"exp": exp}))
    assert not isinstance(caught.value, ResponseTokenExpiredError)


# --- the header ---


def headed(**header: Any) -> str:
    parts = [{"alg": "HS256", **header}, VECTOR["claims"] | {"exp": EXP}]
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    return f"{signed}.{base64url(hmac.digest(KEY, signed.encode(), 'sha256'))}"


@pytest.mark.parametrize(
    "header", [{}, {"typ": "jwt"}, {"typ": "at+jwt"}, {"typ": None}, {"typ": 7}, {"kid": "k1"}, {"cty": "JWT"}], ids=str
)
def test_what_the_header_adds_does_not_matter(header: dict[str, Any]) -> None:
    assert verify(headed(**header)).result is LinkResult.SUCCEEDED


@pytest.mark.parametrize("crit", [["exp"], ["b64"], ["http://example.com/x"], [], "exp", None])
def test_an_extension_that_must_be_understood_is_refused(crit: Any) -> None:
    """RFC 7515 §4.1.11."""
    refused(headed(crit=crit))


# --- why it was refused ---


@pytest.mark.parametrize("forged", [token(key=b"x" * 32), token(key=SECRET.encode()), token(exp=1, key=b"y" * 32)])
def test_another_signature_is_an_error_of_its_own(forged: str) -> None:
    with pytest.raises(ResponseTokenSignatureError):
        verify(forged)


DEEP = f"{base64url(b'[' * 5000)}.e30.x"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        DEEP,
        token(alg="none"),
        token(alg="HS512", digest="sha512"),
        token(exp=1),
        token(aud="x"),
        headed(crit=["a"]),
    ],
)
def test_no_other_error_says_that_the_secret_may_be_old(text: str) -> None:
    with pytest.raises(ResponseTokenError) as caught:
        verify(text)
    assert not isinstance(caught.value, ResponseTokenSignatureError)


# --- the claims of PayPay ---


@pytest.mark.parametrize("result", [None, "", "SUCCEEDED", "accepted", 1, True, ["succeeded"]])
def test_an_unknown_result_is_refused(result: Any) -> None:
    assert "result" in refused(token({"result": result}))


@pytest.mark.parametrize("result", ["declined", "bad_request"])
def test_the_other_results_need_no_authorization_id(result: str) -> None:
    checked = verify(token({"result": result, "userAuthorizationId": None}))

    assert (checked.result, checked.user_authorization_id) == (result, None)


@pytest.mark.parametrize("name", ["nonce", "referenceId"])
@pytest.mark.parametrize("value", [None, "", 1, ["x"]])
def test_a_missing_nonce_or_reference_id_is_refused(name: str, value: Any) -> None:
    assert "nonce or no referenceId" in refused(token({name: value}))


@pytest.mark.parametrize("value", [None, "", 1, ["x"], "u" * 65])
def test_a_success_without_a_usable_authorization_id_is_refused(value: Any) -> None:
    assert "userAuthorizationId" in refused(token({"userAuthorizationId": value}))


def test_an_authorization_id_of_64_characters_is_taken() -> None:
    assert verify(token(userAuthorizationId="u" * 64)).user_authorization_id == "u" * 64


def test_unknown_claims_and_a_missing_profile_are_taken() -> None:
    assert verify(token({"profileIdentifier": None, "extra": {"a": 1}})).nonce == "nonce-1"


# --- our own configuration ---


@pytest.mark.parametrize("secret", ["not base64!", "AAECA", "あ"])
def test_a_secret_that_is_not_base64_is_a_fault_of_the_deployment(secret: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        response_token.verify(token(), api_secret=secret, audience=AUDIENCE, now=NOW)

    assert "paypay_api_secret" in str(caught.value)
    assert secret not in str(caught.value)
