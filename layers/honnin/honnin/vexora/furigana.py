"""Converts `usernameFurigana` into the katakana that Vexora accepts, or refuses it with the rule that it breaks.

Source: KYC Authentication 2.0, "usernameFurigana: User name in Katakana." The document's own example is UTF-8 that was
read in another encoding. Such text is refused here and never sent.
"""

import re
import unicodedata

from honnin.errors import InvalidFieldError

FIELD = "usernameFurigana"
MAX_LENGTH = 100
_MOJIBAKE = "is text in a wrong encoding (mojibake); send UTF-8"

# ァ to ヺ, the small letters ㇰ to ㇿ of Ainu, the iteration marks ヽ ヾ, the long mark ー, the middle dot ・, ASCII
# digits, one kind of space.
_ALLOWED = re.compile(r"[ァ-ヺㇰ-ㇿヽヾー・0-9 ]+")
_KATAKANA = re.compile(r"[ァ-ヺㇰ-ㇿ]")

# EUC-JP read as Shift_JIS: every katakana becomes a half-width middle dot and a half-width letter; ASCII is unchanged.
_EUC_JP_RUN = re.compile(r"(?=.*[^･・])(?:[･・].)+[･・]?")
_RUN = re.compile(r"[｡-ﾟ・ァ-ヺ]+")
# UTF-16 read as Shift_JIS: every katakana becomes a half-width letter and the digit 0, in either order.
_UTF_16 = re.compile(r"(?:[｡-ﾟァ-ヺ]0){2}|(?:0[｡-ﾟァ-ヺ]){2}")

# The code points of hiragana ぁ to ゖ and of the marks ゝ ゞ are 0x60 below those of their katakana.
_TO_KATAKANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}

# UTF-8 Japanese that was wrongly read as one of these encodings, character by character.
_WRONG_ENCODINGS = ("latin-1", "cp1252", "cp874", "cp932")


def normalise(text: str) -> str:
    """Apply NFKC, change hiragana to katakana and half-width to full-width, and remove outer spaces.

    Raises
    ------
    InvalidFieldError
        Says which rule is broken, and never contains the value.
    """
    if _is_mojibake(text):
        raise InvalidFieldError(FIELD, _MOJIBAKE)
    mapped = unicodedata.normalize("NFKC", text).translate(_TO_KATAKANA)
    # NFKC is applied again: わ with a sound mark is two characters, ヷ is one.
    plain = unicodedata.normalize("NFKC", mapped).strip(" ")
    if _is_older_mojibake(plain):
        raise InvalidFieldError(FIELD, _MOJIBAKE)
    if not plain:
        raise InvalidFieldError(FIELD, "must not be empty")
    if len(plain) > MAX_LENGTH:
        raise InvalidFieldError(FIELD, f"must be at most {MAX_LENGTH} characters long")
    if not _ALLOWED.fullmatch(plain):
        raise InvalidFieldError(FIELD, "must be katakana, digits, ・, ー and spaces only")
    if not _KATAKANA.search(plain):
        raise InvalidFieldError(FIELD, "must contain at least one katakana letter")
    return plain


def _is_mojibake(text: str) -> bool:
    if "\ufffd" in text:
        return True
    return _is_older_mojibake(text) or any(_is_kana(_reread(text, each, "utf-8")) for each in _WRONG_ENCODINGS)


def _is_older_mojibake(text: str) -> bool:
    """Whether a part of the text looks like katakana but is EUC-JP or UTF-16 that was read as Shift_JIS."""
    return bool(_UTF_16.search(text)) or any(_EUC_JP_RUN.fullmatch(run) for run in _RUN.findall(text))


def _is_kana(text: str) -> bool:
    return bool(_KATAKANA.search(text.translate(_TO_KATAKANA)))


def _reread(text: str, read_as: str, written_in: str) -> str:
    """The text before it was read in the wrong encoding, or "" if that is not the case."""
    try:
        original = text.encode(read_as).decode(written_in)
    except UnicodeError:
        return ""
    return "" if original == text else original
