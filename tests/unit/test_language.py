"""Which language honninctl speaks, and how a catalogue is read."""

import pytest

from honninctl import language


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        ([], {}, "en"),
        ([], {"LANG": "ja_JP.UTF-8"}, "ja"),
        ([], {"LANG": "ja_JP.UTF-8", "LC_MESSAGES": "C"}, "en"),
        ([], {"LC_ALL": "ja", "LC_MESSAGES": "en_GB", "LANG": "C"}, "ja"),
        ([], {"LC_ALL": "", "LANG": "ja-JP"}, "ja"),
        ([], {"HONNIN_LANG": "en", "LC_ALL": "ja_JP.UTF-8"}, "en"),
        (["status", "u", "--lang", "ja"], {"HONNIN_LANG": "en"}, "ja"),
        (["--lang=ja", "status"], {}, "ja"),
        (["status", "--", "--lang", "ja"], {}, "en"),
        (["--lang", "fr"], {"LANG": "ja"}, "en"),
        (["--lang", "../ja"], {}, "en"),
        (["--lang"], {}, "en"),
    ],
)
def test_the_line_wins_over_the_variables(arguments: list[str], environment: dict[str, str], expected: str) -> None:
    assert language.choose(arguments, environment) == expected


def test_a_catalogue_is_read_without_its_fuzzy_and_empty_entries() -> None:
    text = (
        'msgid ""\nmsgstr "Language: ja\\n"\n\n#: a.py\nmsgid "One "\n"line"\nmsgstr ""\n"一"\n"行\\n"\n\n'
        '#, fuzzy\nmsgid "Two"\nmsgstr "二"\n\nmsgid "Three"\nmsgstr ""\n'
    )
    assert language.read_po(text) == {"One line": "一行\n"}
