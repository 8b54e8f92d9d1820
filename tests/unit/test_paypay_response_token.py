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
from honnin.paypay.response_token import LinkResult, ResponseToken, ResponseTokenError

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


def test_other_times_in_the_token_do_not_count() -> None:
    """providers.md §1.3 knows no `iat`; one that is there, whatever it says, is not a reason to refuse."""
    assert verify(token(iat=EXP + 9999)).result is LinkResult.SUCCEEDED


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
    assert "nonce or referenceId" in refused(token({name: value}))


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
