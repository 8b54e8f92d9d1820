"""A provider's message for the merchant: readable, and without any value of the request in any form."""

import json
import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin import provider_text

NAME = "テスト ハナコ"


@pytest.mark.parametrize(
    "written",
    [
        NAME,
        "テストハナコ",
        "テスト　ハナコ",
        "ﾃｽﾄ ﾊﾅｺ",
        "ﾃｽﾄﾊﾅｺ",
        "てすと はなこ",
        "テスト・ハナコ",
        "ハナコ",
        quote(NAME),
        quote(quote(NAME)),
        json.dumps(NAME),
        "&#12486;&#12473;&#12488; &#12495;&#12490;&#12467;",
        unicodedata.normalize("NFD", NAME),
    ],
)
@pytest.mark.parametrize("sent", [NAME, "ﾃｽﾄ ﾊﾅｺ", "てすと　はなこ"])
def test_a_name_is_masked_in_every_form(written: str, sent: str) -> None:
    shown = provider_text.mask(f"usernameFurigana [{written}] is not valid", [sent])
    assert shown.startswith("usernameFurigana [")
    assert shown.endswith("] is not valid")
    assert "***" in shown
    assert not [each for each in "テスハナコﾃｽﾊﾅｺてすはなこ" if each in shown]
    assert "%" not in shown


@pytest.mark.parametrize(
    ("sent", "written", "shown"),
    [
        ("ドッペル", "ﾄﾞｯﾍﾟﾙ", "*** is wrong"),  # one letter in two
        ("ドッペルゲンガー", "ドッペルゲンガー様", "***様 is wrong"),
        ("090-1234-5678", "09012345678", "*** is wrong"),
        ("０９０", "090", "*** is wrong"),
        ("User-1", "USER-1", "*** is wrong"),
        ("a@b:1", "a%40b%3A1", "*** is wrong"),
        ("a", "a user a1", "*** user a1 is wrong"),  # a short value only where it stands alone
        ("7", "7 of 17", "*** of 17 is wrong"),
        ("ア", "カアカ", "カ***カ is wrong"),
        ("-", "-", "- is wrong"),
        ("林 さくら", "林", "*** is wrong"),  # a name of one character is a whole name
        ("J. Smith", "J", "J is wrong"),
        ("ドッペルゲンガー", "ドツペルゲンガー", "*** is wrong"),  # as banks write it
        ("メアリー", "メアリ-", "***- is wrong"),
        ("ドッペルゲンガー", "ドッペルゲン…", "***… is wrong"),
        ("山田太郎", "<b>山田</b>", "<b>***</b> is wrong"),
        ("東京都渋谷区", "渋谷", "*** is wrong"),
        ("user-0001-of-shop", "user-0001-of…", "***… is wrong"),
        ("user-0001", "the user", "the user is wrong"),
        ("デスティニー", "氏名が不正です", "氏名が不正です is wrong"),
        ("Renée", "Renee", "*** is wrong"),
        ("ドッペル", r"\xe3\x83\x89\xe3\x83\x83\xe3\x83\x9a\xe3\x83\xab", "*** is wrong"),
        ("ドッペル", "%u30C9%u30C3%u30DA%u30EB", "*** is wrong"),
        ("ドッペル", "U+30C9 U+30C3 U+30DA U+30EB", "*** is wrong"),
        ("ドッペル", r"\u{30c9}\u{30c3}\u{30da}\u{30eb}", "*** is wrong"),
        ("", "nothing", "nothing is wrong"),
    ],
)
def test_what_is_masked_and_what_is_left(sent: str, written: str, shown: str) -> None:
    assert provider_text.mask(f"{written} is wrong", [sent]) == shown


@pytest.mark.parametrize(
    "personal",
    [
        "a85fe9e9-b4c9-45cf-a392-834c57d83af7",
        "hanako@example.jp",
        "+81 90 1234 5678",
        "09012345678",
        "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    ],
)
def test_what_names_a_person_without_being_sent_is_masked_too(personal: str) -> None:
    assert provider_text.mask(f"bad: {personal} here", []) == "bad: *** here"


def test_a_message_that_was_cut_in_a_value_shows_not_even_its_beginning() -> None:
    message = ("x" * 190 + " ドッペルゲンガー")[:196]
    assert provider_text.mask(message.rjust(200), ["ドッペルゲンガー"]).endswith("x ***")


def test_a_message_is_at_most_200_characters_of_one_line() -> None:
    assert provider_text.mask("a\nb\x1b[0m " * 100, []).isprintable()
    assert len(provider_text.mask("word " * 100, [])) <= 200


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_value_is_left_as_it_was_sent(value: str, before: str, after: str) -> None:
    shown = provider_text.mask(f"{before}[{value}]{after}", [value])
    letters = [each for each in value if each.isalnum()]
    if len(letters) > 3 and value.isprintable():
        assert value not in shown


@pytest.mark.parametrize("text", ["4004", "OP_OUT_OF_SCOPE", "5a3c9d1e7b", "r-9"])
def test_a_code_is_shown(text: str) -> None:
    assert provider_text.code(text, [NAME, "user-1"]) == text


@pytest.mark.parametrize("text", [None, "", "テスト", "a b", "x" * 65, "user-1", "USER-1", "bad\n"])
def test_what_has_not_the_form_of_a_code_or_is_a_value_is_not(text: str | None) -> None:
    assert provider_text.code(text, [NAME, "user-1"]) is None


def test_leaves_are_all_texts_and_numbers_and_the_keys_that_may_be_names() -> None:
    body = {"a": ["x", 1, True, None, {"ハナコ": 2.5}], "b": {"c": "y"}}
    assert list(provider_text.leaves(body)) == ["x", "1", "ハナコ", "2.5", "y"]


@pytest.mark.parametrize(
    ("written", "sent", "shown"),
    [("YAMADA", "yamada taro", None), ("HAYASHI", "yamada taro", "HAYASHI"), ("E-1", "e 1", None)],
)
def test_a_code_that_is_a_word_of_a_value_is_none(written: str, sent: str, shown: str | None) -> None:
    assert provider_text.code(written, [sent]) == shown
