"""Makes a provider's message safe to show to the merchant: values of the request in it are replaced.

Providers write values into their messages (`usernameFurigana [ドッペルゲンガー] is not valid`). The value may be
changed: half-width, percent-encoded, without its spaces, or only its beginning. So both texts are brought into one form
before they are compared, and each match is replaced at its place.
"""

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

MASK = "***"

# Values that are not in the request but may still identify a person: a UUID (PayPay's authorization ids are UUIDs), a
# long number, an e-mail address, anything that looks like a token.
_ALWAYS = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|\S+@\S+"
    r"|\+?\d(?:[ -]?\d){6,}"
    r"|(?=[A-Za-z0-9_\-.+/=]*\d)[A-Za-z0-9_\-.+/=]{24,}"
)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_ESCAPED = re.compile(r"(?:\\u|%u|u\+)([0-9a-f]{4})|\\[ux]\{([0-9a-f]{1,5})\}", re.IGNORECASE)
_ESCAPED_BYTE = re.compile(r"\\x([0-9a-f]{2})", re.IGNORECASE)
# Marks on the letter before them are ignored when values are compared, and are replaced together with it.
_HIDDEN = re.compile("\0+[\u3099\u309a゛゜ﾞﾟーｰ]*")
_LONGEST = 200
# Shorter ASCII values are replaced only as a whole word: a user id `a` must not replace every `a`.
_SHORT = 3
# Hiragana as katakana. Banks and old terminals have no small kana, and write a hyphen for the long vowel.
_KANA = {code: code + 0x60 for code in (*range(0x3041, 0x3097), 0x309D, 0x309E)}
_KANA |= str.maketrans("ぁぃぅぇぉゕゖっゃゅょゎァィゥェォヵヶッャュョヮ", "アイウエオカケツヤユヨワ" * 2, "ー")


def mask(message: str, values: Iterable[str]) -> str:
    """`message` with every value, and every word of it, replaced by `***`; at most 200 characters."""
    text = "".join(each if each.isprintable() else " " for each in _decoded(message[: 5 * _LONGEST]))
    folded, places = _folded(text)
    hidden = [False] * len(text)
    forms = {form for each in values for form in _forms(each)}
    for begin, end in _parts("\0".join(forms), folded):
        hidden[places[begin] : places[end - 1] + 1] = [True] * (places[end - 1] + 1 - places[begin])
    for value in forms:
        for begin, end in _found(value, folded):
            first, last = places[begin], places[end - 1]
            if len(value) <= _SHORT and value.isascii() and not _stands_alone(text, first, last):
                continue
            hidden[first : last + 1] = [True] * (last + 1 - first)
        if len(message) >= _LONGEST and (cut := _cut_off(value, folded)) is not None:
            hidden[places[cut] :] = [True] * (len(text) - places[cut])
    for match in _ALWAYS.finditer(text):
        hidden[match.start() : match.end()] = [True] * (match.end() - match.start())
    shown = "".join("\0" if hide else character for character, hide in zip(text, hidden, strict=True))
    return _HIDDEN.sub(MASK, shown)[:_LONGEST].strip()


def code(text: str | None, values: Iterable[str]) -> str | None:
    """A provider's code or request id, if it has the format of one and is no value of the request."""
    if text is None or not _CODE.fullmatch(text):
        return None
    folded, _ = _folded(text)
    return None if any(folded in _forms(value) for value in values) else text


def leaves(value: object) -> Iterator[str]:
    """Every text and number in a JSON value, and every key that is not plain ASCII."""
    match value:
        case dict():
            for key, each in value.items():
                if not key.isascii():
                    yield key
                yield from leaves(each)
        case list():
            for each in value:
                yield from leaves(each)
        case bool() | None:
            return
        case _:
            yield str(value)


def _forms(value: str) -> set[str]:
    """The value and its words, in the common form. An initial is included only if it is the whole value."""
    whole, _ = _folded(value)
    words = {_folded(word)[0] for word in re.split(r"[\s・･,;/]+", unicodedata.normalize("NFKC", value))}
    return ({whole} | {word for word in words if len(word) > 1 or not word.isascii()}) - {""}


def _decoded(message: str) -> str:
    """The message with its escapes decoded, because a value may be written with them."""
    for _ in range(3):
        plain = _ESCAPED.sub(lambda found: chr(int(found[1] or found[2], 16)), message)
        plain = unquote(html.unescape(_ESCAPED_BYTE.sub(r"%\1", plain)))
        if plain == message:
            break
        message = plain
    return message


def _folded(text: str) -> tuple[str, list[int]]:
    """Only the letters and digits, in one width, kana and case, without marks; and the position of each in `text`."""
    folded, places = [], []
    for place, character in enumerate(text):
        for each in unicodedata.normalize("NFKD", character).translate(_KANA).casefold():
            if each.isalnum():
                folded.append(each)
                places.append(place)
    return "".join(folded), places


def _found(value: str, folded: str) -> Iterator[tuple[int, int]]:
    begin = folded.find(value)
    while begin >= 0:
        yield begin, begin + len(value)
        begin = folded.find(value, begin + 1)


def _parts(values: str, folded: str) -> Iterator[tuple[int, int]]:
    """The places where the message has a part of a value that is long enough to reveal it, as when it was cut."""
    for begin in range(len(folded)):
        for length in (2, 3, 6):
            part = folded[begin : begin + length]
            # Two Chinese characters may be a whole name, and three kana may be most of one.
            reveals = length == 6 or (not part.isascii() and (length == 3 or min(part) >= "\u3400"))
            if len(part) == length and reveals and part in values:
                yield begin, begin + length


def _cut_off(value: str, folded: str) -> int | None:
    """Where a value begins, if the message was cut and contains only its first letters."""
    for length in range(min(len(value) - 1, len(folded)), 1, -1):
        if folded.endswith(value[:length]):
            return len(folded) - length
    return None


def _stands_alone(text: str, first: int, last: int) -> bool:
    before, after = text[:first][-1:], text[last + 1 :][:1]
    return not (before.isascii() and before.isalnum()) and not (after.isascii() and after.isalnum())
