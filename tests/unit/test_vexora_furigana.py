"""`honnin.vexora.furigana`: what is brought into katakana, what is refused, and that no error repeats the value."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from honnin.errors import InvalidFieldError
from honnin.vexora.furigana import normalise

EMPTY = "must not be empty"
LENGTH = "must be at most 100 characters long"
LETTERS = "must be katakana, digits, ・, ー and spaces only"
MOJIBAKE = "is text in a wrong encoding (mojibake); send UTF-8"
NO_LETTER = "must contain at least one katakana letter"
RULES = {EMPTY, LENGTH, LETTERS, NO_LETTER, MOJIBAKE}


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        pytest.param("テスト014", "テスト014", id="the provider's example as it was meant"),
        pytest.param("テスト ハナコ", "テスト ハナコ", id="already right"),
        pytest.param("てすと はなこ", "テスト ハナコ", id="hiragana"),
        pytest.param("ゔぁいおりん", "ヴァイオリン", id="hiragana vu and small a"),
        pytest.param("ぁゖ", "ァヶ", id="first and last hiragana"),
        pytest.param("みすゞ いすゝ", "ミスヾ イスヽ", id="iteration marks"),
        pytest.param("ﾃｽﾄ ﾊﾅｺ", "テスト ハナコ", id="half-width"),
        pytest.param("ｶﾞｷﾞﾊﾟ", "ガギパ", id="half-width with sound marks becomes one letter each"),
        pytest.param("ﾏﾘｰ･ｱﾝ", "マリー・アン", id="half-width long mark and middle dot"),
        pytest.param("カ\u3099ンタ\u3099", "ガンダ", id="decomposed, as macOS file names are"),
        pytest.param("か\u3099", "ガ", id="decomposed hiragana"),
        pytest.param("テスト　ハナコ", "テスト ハナコ", id="ideographic space"),
        pytest.param("テスト\u00a0ハナコ", "テスト ハナコ", id="no-break space"),
        pytest.param("テスト０１４", "テスト014", id="full-width digits"),
        pytest.param("  テスト　", "テスト", id="outer spaces"),
        pytest.param("アン・マリー", "アン・マリー", id="middle dot and long mark"),
        pytest.param("ヷヸヹヺヵヶ", "ヷヸヹヺヵヶ", id="rare katakana"),
        pytest.param("ｱ", "ア", id="one letter"),
    ],
)
def test_it_is_brought_into_katakana(given_text: str, expected: str) -> None:
    assert normalise(given_text) == expected


def refusal(text: str) -> InvalidFieldError:
    with pytest.raises(InvalidFieldError) as caught:
        normalise(text)
    assert caught.value.field == "usernameFurigana"
    return caught.value


@pytest.mark.parametrize(
    ("given_text", "rule"),
    [
        pytest.param("", EMPTY, id="empty"),
        pytest.param(" 　 ", EMPTY, id="spaces only"),
        pytest.param("ア" * 101, LENGTH, id="101 letters"),
        pytest.param("㌔" * 51, LENGTH, id="51 signs that NFKC makes 102 letters"),
        pytest.param("山田花子", LETTERS, id="kanji"),
        pytest.param("テスト花子", LETTERS, id="kanji among katakana"),
        pytest.param("Hanako", LETTERS, id="Latin letters"),
        pytest.param("テストＡ", LETTERS, id="full-width Latin letter"),
        pytest.param("テスト😀", LETTERS, id="emoji"),
        pytest.param("テスト-ハナコ", LETTERS, id="hyphen"),
        pytest.param("テスト\x00", LETTERS, id="NUL"),
        pytest.param("テスト\nハナコ", LETTERS, id="line feed inside"),
        pytest.param("テスト\n", LETTERS, id="line feed at the end, where a regular expression's $ would pass it"),
        pytest.param("テスト\tハナコ", LETTERS, id="tab"),
        pytest.param("テスト\x7f", LETTERS, id="DEL"),
        pytest.param("テスト\x85", LETTERS, id="C1 control"),
        pytest.param("\u202eテスト", LETTERS, id="right-to-left override"),
        pytest.param("テスト\u200f", LETTERS, id="right-to-left mark"),
        pytest.param("テスト\u200bハナコ", LETTERS, id="zero-width space"),
        pytest.param("\ufeffテスト", LETTERS, id="byte order mark"),
        pytest.param("ア\u3099", LETTERS, id="sound mark on a letter that has no voiced form"),
        pytest.param("ﾞテスト", LETTERS, id="half-width sound mark that follows nothing"),
        pytest.param("テスト。", LETTERS, id="full stop"),
        pytest.param("テスト٣", LETTERS, id="Arabic-Indic digit"),
        pytest.param("テスト\ud800", LETTERS, id="lone surrogate"),
        pytest.param("014", NO_LETTER, id="digits only"),
        pytest.param("・・", NO_LETTER, id="dots only"),
        pytest.param("ー", NO_LETTER, id="a long mark only"),
        pytest.param("ヽヾ ー・1", NO_LETTER, id="marks only"),
    ],
)
def test_it_is_refused_with_the_rule_that_it_breaks(given_text: str, rule: str) -> None:
    assert refusal(given_text).rule == rule


@pytest.mark.parametrize("length", [1, 99, 100])
def test_up_to_100_characters_pass(length: int) -> None:
    assert normalise("ア" * length) == "ア" * length


def test_the_length_counts_after_normalisation() -> None:
    assert normalise("ｶﾞ" * 100) == "ガ" * 100


@pytest.mark.parametrize("encoding", ["latin-1", "cp932"])
@pytest.mark.parametrize("name", ["テスト014", "ヤマダ タロウ", "てすと", "マリー・アン"])
def test_utf8_read_in_another_encoding_is_called_mojibake(name: str, encoding: str) -> None:
    try:
        broken = name.encode().decode(encoding)
    except UnicodeDecodeError:
        broken = name.encode().decode(encoding, "replace")
    assert refusal(broken).rule == MOJIBAKE


@pytest.mark.parametrize(
    "encoding", ["cp1252", "cp874", "iso8859_11", "gb18030", "big5", "euc_jp", "cp949", "mac_roman", "koi8_r"]
)
@pytest.mark.parametrize("name", ["テスト014", "ヤマダ タロウ", "てすと"])
def test_no_misreading_of_utf8_passes(name: str, encoding: str) -> None:
    assert refusal(name.encode().decode(encoding, "replace")).rule in {MOJIBAKE, LETTERS}


def test_the_documents_own_example_is_refused() -> None:
    # As the provider's page shows it: テスト014 in UTF-8, read in a Thai code page.
    assert refusal("ใƒ†ใ‚นใƒˆ014").rule in {MOJIBAKE, LETTERS}


@pytest.mark.parametrize(
    ("written_in", "read_as"),
    [
        *(("cp932", other) for other in ("latin-1", "cp1252", "euc_jp", "utf-8", "gb18030")),
        # Not gb18030: it has the kana at the codes of EUC-JP.
        *(("euc_jp", other) for other in ("latin-1", "cp1252", "cp949", "utf-8", "big5")),
        *(("utf-16-le", other) for other in ("latin-1", "cp1252", "euc_jp", "utf-8")),
    ],
)
def test_no_misreading_of_an_older_encoding_passes(written_in: str, read_as: str) -> None:
    refusal("テスト".encode(written_in).decode(read_as, "replace"))


def test_euc_jp_read_as_shift_jis_does_not_pass_as_half_width_katakana() -> None:
    assert refusal("テスト".encode("euc_jp").decode("cp932")).rule == MOJIBAKE


@given(st.text(st.characters(min_codepoint=0x30A1, max_codepoint=0x30FA), min_size=1, max_size=100))
def test_every_katakana_name_passes_unchanged(name: str) -> None:
    assert normalise(name) == name


@given(st.text("ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝｧｨｩｪｫｬｭｮｯ", min_size=1, max_size=100))
def test_every_half_width_name_passes(name: str) -> None:
    assert re.fullmatch("[ァ-ヺ]+", normalise(name))


NEAR = st.text(
    st.one_of(
        st.characters(min_codepoint=0x3040, max_codepoint=0x30FF),
        st.characters(min_codepoint=0xFF00, max_codepoint=0xFF9F),
        st.sampled_from(" 　0９・ーa漢\u3099\u202e\x00ﾞ㌔"),
    ),
    max_size=110,
)


def outcome(text: str) -> str | InvalidFieldError:
    try:
        return normalise(text)
    except InvalidFieldError as error:
        return error


@given(st.one_of(NEAR, st.text(max_size=110)))
def test_either_the_output_is_right_for_good_or_the_error_holds_no_value(text: str) -> None:
    result = outcome(text)
    if isinstance(result, InvalidFieldError):
        # One of six constant sentences: nothing of the value can be in it.
        assert result.rule in RULES
        assert result.args == (f"usernameFurigana: {result.rule}",)
    else:
        assert re.fullmatch(r"[ァ-ヺㇰ-ㇿヽヾー・0-9 ]{1,100}", result)
        assert re.search("[ァ-ヺㇰ-ㇿ]", result)
        assert normalise(result) == result


def misread(name: str, written_in: str, read_as: str) -> str:
    return name.encode(written_in).decode(read_as, "replace")


# Real names of people, as merchants' databases hold them; invented people.
REAL = {
    "サトウ ハナコ": "サトウ ハナコ",
    "サトウ　ハナコ": "サトウ ハナコ",
    "サトウ\u00a0ハナコ": "サトウ ハナコ",
    "サトウ\u3000\u3000ハナコ": "サトウ  ハナコ",
    "サトウ  ハナコ": "サトウ  ハナコ",
    " サトウハナコ ": "サトウハナコ",
    "さとう はなこ": "サトウ ハナコ",
    "ｻﾄｳ ﾊﾅｺ": "サトウ ハナコ",
    "ﾜﾀﾅﾍﾞ ｼﾞｭﾝｲﾁ": "ワタナベ ジュンイチ",
    "ﾊﾟｸ ﾁｪﾖﾝ": "パク チェヨン",
    "ｼｬﾙﾙ･ﾄﾞ･ｺﾞｰﾙ": "シャルル・ド・ゴール",
    "シャルル・ド・ゴール": "シャルル・ド・ゴール",
    "アン ・ マリー": "アン ・ マリー",
    "ヴァン・デル・ベルク ヤン": "ヴァン・デル・ベルク ヤン",
    "ゔぃくとりあ": "ヴィクトリア",
    "う\u3099ぃくとりあ": "ヴィクトリア",
    "わ\u3099いおりん": "ヷイオリン",
    "ゐ\u3099 ゑ\u3099 を\u3099": "ヸ ヹ ヺ",
    "ワ\u3099": "ヷ",
    "ヱツコ ヰ": "ヱツコ ヰ",
    "ヲサム": "ヲサム",
    "シヅヱ ツヅキ": "シヅヱ ツヅキ",
    "オオノ ユウコ": "オオノ ユウコ",
    "オーノ ユーコ": "オーノ ユーコ",
    "ーノ": "ーノ",
    "ミスヾ": "ミスヾ",
    "ｶﾈｺ ﾐｽｽﾞ": "カネコ ミスズ",
    "アシㇼ レラ": "アシㇼ レラ",
    "ㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ": "ㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ",
    "タロウ 2セイ": "タロウ 2セイ",
    "テスト０１４": "テスト014",
    "テスト014": "テスト014",
    "ア": "ア",
}
BROKEN = {
    "EUC-JP read as Shift_JIS, with a space": "･ﾆ･ｹ･ﾈ ･ﾏ･ﾊ･ｳ",
    "EUC-JP read as Shift_JIS, one part of two": "テスト ･ﾏ･ﾊ･ｳ",
    "EUC-JP read as Shift_JIS, with digits": misread("テスト014", "euc_jp", "cp932"),
    "EUC-JP read as Shift_JIS, a digit between": misread("テスト1ハナコ", "euc_jp", "cp932"),
    "EUC-JP read as Shift_JIS, made full-width": "・テ・ケ・ネ ・ハ・ナ・コ",
    "EUC-JP read as Shift_JIS, cut": "･ﾆ･ｹ･",
    "EUC-JP read as Shift_JIS, hiragana": misread("てすと", "euc_jp", "cp932"),
    "EUC-JP read as Shift_JIS, ideographic space": misread("テスト　ハナコ", "euc_jp", "cp932"),
    "EUC-JP read as latin-1": misread("テスト", "euc_jp", "latin-1"),
    "UTF-16LE read as Shift_JIS": misread("テスト", "utf-16-le", "cp932"),
    "UTF-16BE read as Shift_JIS": misread("テスト", "utf-16-be", "cp932"),
    "UTF-16LE read as Shift_JIS, made full-width": "ニ0ケ0ネ0",
    "UTF-8 read as latin-1": misread("テスト ハナコ", "utf-8", "latin-1"),
    "UTF-8 read as cp1252": misread("ナカタ", "utf-8", "cp1252"),
    "UTF-8 read as cp874, the document's example": "ใƒ†ใ‚นใƒˆ014",
    "UTF-8 read as Shift_JIS": misread("テスト", "utf-8", "cp932"),
    "UTF-8 read as EUC-JP": misread("テスト", "utf-8", "euc_jp"),
    "half-width UTF-8 read as Shift_JIS": misread("ﾃｽﾄ", "utf-8", "cp932"),
    "Shift_JIS read as latin-1": misread("テスト", "cp932", "latin-1"),
    "Shift_JIS read as UTF-8": misread("テスト", "cp932", "utf-8"),
    "half-width Shift_JIS read as latin-1": misread("ﾃｽﾄ", "cp932", "latin-1"),
    "UTF-7": "テスト".encode("utf-7").decode("ascii"),
    "ISO-2022-JP": "テスト".encode("iso2022_jp").decode("ascii"),
    "percent-encoded": "%E3%83%86",
    "an HTML entity": "&#12486;",
    "an escape": "\\u30c6",
    "question marks": "??? ???",
    "replacement characters": "テス\ufffd",
    "kanji": "佐藤 花子",
    "Latin": "Sato Hanako",
    "a hyphen for a long mark": "オ-ノ",
    "a dash for a long mark": "オ―ノ",
    "an emoji": "ハナコ😀",
    "a zero-width space": "サトウ\u200bハナコ",
    "a tab": "サトウ\tハナコ",
    "a small tsu and a full stop": "ハナコッ。",
    "digits only": "014",
    "dots only": "・・",
    "a long mark only": "ー",
    "a half-width long mark only": "ｰ",
    "a sound mark on nothing": "゛ハナコ",
}


def test_the_table_has_at_least_60_names() -> None:
    assert len(REAL) + len(BROKEN) >= 60


@pytest.mark.parametrize(("name", "expected"), REAL.items())
def test_a_real_name_of_the_table_passes(name: str, expected: str) -> None:
    assert normalise(name) == expected


@pytest.mark.parametrize("name", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_name_of_the_table_is_refused(name: str) -> None:
    assert refusal(name).rule in RULES - {EMPTY}
