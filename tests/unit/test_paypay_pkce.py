"""`honnin.paypay.pkce` against RFC 7636."""

import base64
import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st

from honnin.paypay import pkce

# RFC 7636 §4.1: unreserved characters; the base document: at most 64.
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,64}")


def test_the_example_of_rfc_7636_appendix_b() -> None:
    made = pkce.challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")

    assert made == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_have_the_allowed_length_and_alphabet_and_never_repeat() -> None:
    made = {pkce.new_verifier() for _ in range(500)}

    assert len(made) == 500
    assert all(VERIFIER.fullmatch(verifier) for verifier in made)


@given(st.from_regex(VERIFIER, fullmatch=True))
def test_the_challenge_is_the_unpadded_digest(verifier: str) -> None:
    challenge = pkce.challenge(verifier)

    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge)
    assert base64.urlsafe_b64decode(challenge + "=") == hashlib.sha256(verifier.encode()).digest()
