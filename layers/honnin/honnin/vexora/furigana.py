"""`usernameFurigana`: brought into the katakana that Vexora takes, or refused with the rule that it breaks.

Source: KYC Authentication 2.0, "usernameFurigana: User name in Katakana." The document's own example is UTF-8
that was read in another encoding; such text is refused here and never sent on.
"""

import re
import unicodedata

from honnin.errors import InvalidFieldError

FIELD = "usernameFurigana"
MAX_LENGTH = 100

# ァ to ヺ, the iteration marks ヽ ヾ, the long mark ー, the middle dot ・, ASCII digits, one kind of space.
_ALLOWED = re.compile(r"[ァ-ヺヽヾー・0-9 ]+")
_KATAKANA = re.compile(r"[ァ-ヺ]")
_KANA = re.compile(r"[ぁ-ゖァ-ヺー]+")
_HALF_WIDTH = re.compile(r"[｡-ﾟ]+")

# Hiragana ぁ to ゖ and the marks ゝ ゞ lie 0x60 below their katakana.
_TO_KATAKANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}

# How UTF-8 Japanese looks after a wrong turn: read as one of these, character by character.
_WRONG_ENCODINGS = ("latin-1", "cp1252", "cp874", "cp932")


def normalise(text: str) -> str:
    """NFKC, hiragana turned into katakana, half-width into full-width, outer spaces removed.

    Raises
    ------
    InvalidFieldError
        Names the rule that is broken, never the value.
    """
    if _is_mojibake(text):
        raise InvalidFieldError(FIELD, "is text in a wrong encoding (mojibake); send UTF-8")
    plain = unicodedata.normalize("NFKC", text).translate(_TO_KATAKANA).strip(" ")
    if not plain:
        raise InvalidFieldError(FIELD, "must not be empty")
    if len(plain) > MAX_LENGTH:
        raise InvalidFieldError(FIELD, f"must be at most {MAX_LENGTH} characters long")
    if not _ALLOWED.fullmatch(plain):
        raise InvalidFieldError(FIELD, "must be katakana, digits, ・, ー and spaces only")
    return plain


def _is_mojibake(text: str) -> bool:
    if "\ufffd" in text:
        return True
    if any(_is_kana(_reread(text, encoding, "utf-8")) for encoding in _WRONG_ENCODINGS):
        return True
    # EUC-JP read as Shift JIS gives nothing but half-width katakana, which would pass as a name.
    return bool(_HALF_WIDTH.fullmatch(text)) and bool(_KANA.fullmatch(_reread(text, "cp932", "euc_jp")))


def _is_kana(text: str) -> bool:
    return bool(_KATAKANA.search(text.translate(_TO_KATAKANA)))


def _reread(text: str, read_as: str, written_in: str) -> str:
    """The text as it was before the wrong reading, or "" when it was not read so."""
    try:
        original = text.encode(read_as).decode(written_in)
    except UnicodeError:
        return ""
    return "" if original == text else original
