"""`honnin.paypay.signing` against the published answer and the sandbox's independent code."""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.paypay import signing
from sandbox.paypay.signature import SignedRequest

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "vectors" / "paypay_hmac.json").read_text(encoding="utf-8")
)
JSON_TYPE = "application/json;charset=UTF-8"

wire_text = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=30)


def authorization(**changes: Any) -> str:
    fields: dict[str, Any] = {
        "api_key": "key",
        "api_secret": "secret",
        "method": "GET",
        "path": "/v1/kyc/info",
        "nonce": "acd028",
        "epoch": 1579843452,
    }
    return signing.authorization(**(fields | changes))


def independent(method: str, path: str, nonce: str, epoch: str, content_type: str, body: bytes, secret: str) -> str:
    """The header's value by the sandbox's code."""
    request = SignedRequest(method, path, content_type, body)
    mac = request.mac(secret, nonce, epoch, request.body_hash())
    return f"hmac OPA-Auth:key:{mac}:{nonce}:{epoch}:{request.body_hash()}"


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: str(case["id"]))
def test_it_reproduces_the_published_answer(case: Mapping[str, Any]) -> None:
    names = ("api_key", "api_secret", "method", "path", "nonce", "epoch", "content_type")
    made = signing.authorization(**{name: case[name] for name in names}, body=case["body"].encode())

    assert made == case["authorization"]


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: str(case["id"]))
def test_the_pieces_of_the_published_answer(case: Mapping[str, Any]) -> None:
    digest = signing.body_hash(case["content_type"], case["body"].encode())

    assert digest == case["authorization"].rsplit(":", 1)[1]
    lines = signing.string_to_sign(
        method=case["method"],
        path=case["path"],
        nonce=case["nonce"],
        epoch=case["epoch"],
        content_type=case["content_type"],
        digest=digest,
    ).split("\n")
    assert lines == ["/v2/codes", "POST", "acd028", "1579843452", "application/json;charset=UTF-8;", digest]


def test_the_digest_covers_the_content_type_first_and_nothing_between() -> None:
    expected = base64.b64encode(hashlib.md5(b"application/json{}").digest()).decode()

    assert signing.body_hash("application/json", b"{}") == expected


@pytest.mark.parametrize("body", [None, b""])
@pytest.mark.parametrize("content_type", [None, JSON_TYPE])
def test_without_a_body_hash_and_content_type_are_the_word_empty(body: bytes | None, content_type: str | None) -> None:
    assert signing.body_hash(content_type, body) == "empty"
    assert authorization(content_type=content_type, body=body) == independent(
        "GET", "/v1/kyc/info", "acd028", "1579843452", "", b"", "secret"
    )


@pytest.mark.parametrize("content_type", [None, ""])
def test_a_body_without_its_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(ValueError, match="content type"):
        authorization(content_type=content_type, body=b"{}")


def test_the_method_is_signed_in_capitals() -> None:
    assert authorization(method="get") == authorization(method="GET")


def test_seconds_as_a_number_and_as_a_text_are_the_same() -> None:
    assert authorization(epoch=1579843452) == authorization(epoch="1579843452")


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/v1/kyc/info/"},
        {"method": "POST"},
        {"nonce": "acd029"},
        {"epoch": 1579843453},
        {"api_secret": "Secret"},
        {"content_type": JSON_TYPE, "body": b"{}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_changes_the_mac(change: Mapping[str, Any]) -> None:
    assert authorization(**change).split(":")[2] != authorization().split(":")[2]


def test_the_secret_is_used_as_its_characters_not_decoded() -> None:
    encoded = base64.b64encode(b"secret").decode()

    assert authorization(api_secret=encoded) != authorization(api_secret="secret")
    assert authorization(api_secret=encoded) == independent(
        "GET", "/v1/kyc/info", "acd028", "1579843452", "", b"", encoded
    )


@given(
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    path=wire_text.map(lambda text: "/" + text),
    nonce=wire_text,
    epoch=st.integers(0, 2**33),
    content_type=wire_text,
    body=st.binary(max_size=60),
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
)
def test_it_agrees_with_independent_code(
    method: str, path: str, nonce: str, epoch: int, content_type: str, body: bytes, secret: str
) -> None:
    made = authorization(
        api_secret=secret, method=method, path=path, nonce=nonce, epoch=epoch, content_type=content_type, body=body
    )

    assert made == independent(method, path, nonce, str(epoch), content_type, body, secret)
