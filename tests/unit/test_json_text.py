"""`honnin.json_text`: JSON as others really send it, and nothing in it that breaks what comes later."""

import codecs
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin import json_text

_PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=8,
)


@given(_PLAIN, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]), st.booleans())
def test_what_is_clean_comes_back_as_it_was(value: Any, encoding: str, ascii_only: bool) -> None:
    text = json.dumps({"value": value}, ensure_ascii=ascii_only)

    assert json_text.read(text.encode(encoding)) == {"value": value}


@given(st.binary(max_size=40), st.sampled_from([b'{"code":"0000","msg":"%s"}', b'{"msg":"%s","code":"0000"}']))
def test_no_bytes_of_a_text_break_anything(text: bytes, form: bytes) -> None:
    try:
        read = json_text.read(form.replace(b"%s", text))
    except ValueError:
        # The bytes ended the text themselves, or hold an escape that there is not.
        assert b'"' in text or b"\\" in text
        return
    json.dumps(read, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(codecs.BOM_UTF8 + b'{"code":"0000","msg":"ok"}', "ok", id="BOM"),
        pytest.param(codecs.BOM_UTF8 * 2 + b'{"code":"0000","msg":"ok"}', "ok", id="two BOMs"),
        pytest.param('{"msg":"成功","code":"0000"}'.encode("shift_jis"), "\ufffd\ufffd\ufffd\ufffd", id="Shift_JIS"),
        pytest.param('{"msg":"表","code":"0000"}'.encode("shift_jis"), "表", id="Shift_JIS with a backslash in it"),
        pytest.param('{"msg":"成功"'.encode("euc_jp") + b',"code":"0000"}', "\ufffd\ufffd\ufffd\ufffd", id="EUC-JP"),
        pytest.param('{"msg":"成"'.encode()[:-2] + b'","code":"0000"}', "\ufffd", id="cut in a character"),
        pytest.param(b'{"msg":"a\\ud800b","code":"0000"}', "a\ufffdb", id="half a surrogate pair"),
        pytest.param(b'{"msg":"\\udfff","code":"0000"}', "\ufffd", id="the other half"),
        pytest.param(b'{"msg":"\\ud83d\\ude00","code":"0000"}', "😀", id="a whole pair"),
        pytest.param(b'{"msg":"a\nb","code":"0000"}', "a\nb", id="a line break"),
    ],
)
def test_a_text_that_is_not_clean_hides_nothing_beside_it(body: bytes, message: str) -> None:
    assert json_text.read(body) == {"code": "0000", "msg": message}


def test_a_name_that_is_not_clean_is_cleaned_too() -> None:
    assert json_text.read(b'{"\\ud800":{"b":["\\udc00"]}}') == {"\ufffd": {"b": ["\ufffd"]}}


@pytest.mark.parametrize("two", ['"a":1,"a":2', '"a":1,"a":"1"', '"a":1,"a":true', '"a":{"b":1},"a":{"b":2}'])
def test_a_name_with_two_values_says_nothing(two: str) -> None:
    assert json_text.read(f'{{"c":0,{two}}}'.encode()) == {"c": 0}


def test_a_name_that_is_repeated_with_its_value_says_it() -> None:
    assert json_text.read(b'{"a":"0000","a":"0000"}') == {"a": "0000"}


def test_numbers_without_end_stay_their_digits() -> None:
    digits = "9" * 5000
    body = f'{{"code":"0000","a":{digits},"b":1e999,"c":NaN,"d":-Infinity,"e":1.5}}'.encode()

    assert json_text.read(body) == {"code": "0000", "a": digits, "b": "1e999", "c": None, "d": None, "e": 1.5}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        codecs.BOM_UTF8,
        codecs.BOM_UTF16,
        b"<html>",
        b'{"code":"0000"',
        b'{"code":"0000"} x',
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 101 + b"]" * 101,
    ],
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"nested|Expecting|Extra|delimiter"):
        json_text.read(body)
