"""`honnin.vexora.signing` against the published rule, the vectors and the sandbox's independent code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from honnin.vexora import signing
from sandbox.vexora.signature import expected_sign, is_signed

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "fixtures" / "vectors" / "vexora_sign.json").read_text(encoding="utf-8")
)
SECRET = "test_app_secret"

names = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
some_fields = st.dictionaries(names, values, max_size=8)


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["id"]))
def test_it_reproduces_the_vectors(case: Mapping[str, Any]) -> None:
    assert signing.string_to_sign(case["fields"]) == case["string_without_secret"]
    assert signing.sign(case["fields"], case["app_secret"]) == case["sign"]
    assert signing.verify(case["fields"], case["sign"], case["app_secret"])


def test_names_are_sorted_by_ascii_code_upper_case_first() -> None:
    assert signing.string_to_sign({"b": "1", "a": "2", "B": "3", "a1": "4", "_": "5"}) == "B=3_=5a=2a1=4b=1"


def test_the_sign_is_lower_case_hexadecimal_of_the_utf8_text() -> None:
    # Computed with coreutils: printf 'userId=テストsecret' | md5sum
    assert signing.sign({"userId": "テスト"}, "secret") == "d8efa74c0665a0b93fcbf20e9fa361a8"


@given(some_fields, st.randoms(use_true_random=False))
def test_the_order_of_the_fields_does_not_matter(fields: dict[str, str], random: Any) -> None:
    shuffled = list(fields.items())
    random.shuffle(shuffled)
    assert signing.sign(dict(shuffled), SECRET) == signing.sign(fields, SECRET)


@given(some_fields, values)
def test_sign_itself_is_left_out(fields: dict[str, str], sign: str) -> None:
    assume("sign" not in fields)
    assert signing.sign({**fields, "sign": sign}, SECRET) == signing.sign(fields, SECRET)


@given(some_fields, st.lists(names, max_size=3))
def test_empty_values_are_left_out(fields: dict[str, str], empty: list[str]) -> None:
    padded = {**dict.fromkeys(empty, ""), **fields}
    assert signing.sign(padded, SECRET) == signing.sign(fields, SECRET)


@given(some_fields, values)
def test_the_sandboxs_own_code_agrees(fields: dict[str, str], secret: str) -> None:
    assert signing.sign(fields, secret) == expected_sign(fields, secret)
    assert is_signed({**fields, "sign": signing.sign(fields, secret)}, secret)


@given(some_fields.filter(lambda fields: any(fields.values())), values)
def test_a_changed_value_breaks_the_sign(fields: dict[str, str], other: str) -> None:
    name = next(name for name in sorted(fields) if fields[name])
    assume(name != "sign")
    changed = {**fields, name: fields[name] + "x"}
    assert not signing.verify(changed, signing.sign(fields, SECRET), SECRET)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param("", id="empty"),
        pytest.param("E792DD6A794C7E2C7B59826197762C83", id="upper case"),
        pytest.param("e792dd6a794c7e2c7b59826197762c8", id="one digit short"),
        pytest.param("e792dd6a794c7e2c7b59826197762c83 ", id="a space behind"),
        pytest.param("ｅ792dd6a794c7e2c7b59826197762c83", id="not ASCII: hmac.compare_digest takes no such text"),
        pytest.param("\ud800", id="a lone surrogate, as a JSON escape can carry"),
    ],
)
def test_a_wrong_sign_is_refused(wrong: str) -> None:
    case = VECTORS["cases"][0]
    assert signing.verify(case["fields"], wrong, case["app_secret"]) is False


def test_another_secret_is_refused() -> None:
    case = VECTORS["cases"][0]
    assert not signing.verify(case["fields"], case["sign"], "another_secret")


def test_a_field_that_utf8_cannot_carry_is_refused_not_an_error() -> None:
    # A JSON body may hold "\ud800"; json.loads gives the lone surrogate on.
    assert signing.verify({"userId": "\ud800"}, "0" * 32, SECRET) is False
