"""Where a line of Japanese may be broken.

rich breaks lines at blanks only, and Japanese has none: a line would end after one word, and in a list of commands a
sentence would be cut off. Here a line may also end behind a phrase: kanji, katakana or a Latin word, the hiragana after
it, and the punctuation around it.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

_OPENING = "「『（【〔［｛〈《"
_CLOSING = "、。，．・：；？！」』）】〕］｝〉》…％"
_HIRAGANA = "ぁ-ゟ"
_WORD = "゠-ヿ㐀-鿿々〆ー〜～０-９Ａ-Ｚａ-ｚ"
_JAPANESE = _OPENING + _CLOSING + _HIRAGANA + _WORD
_PHRASE = re.compile(
    rf"\s*(?:(?:[{_OPENING}]*(?:(?:[{_WORD}]+|[^\s{_JAPANESE}]+)[{_HIRAGANA}]*|[{_HIRAGANA}]+)|[{_OPENING}]+)"
    rf"[{_CLOSING}]*|[{_CLOSING}]+)\s*"
)


def follow_japanese() -> None:
    """From now on rich breaks lines so. It has no setting for that; a text in English is broken as before."""
    from rich import _wrap
    from rich.text import Text

    _wrap.re_word = _PHRASE
    Text.rstrip_end = _rstrip_end  # type: ignore[method-assign,assignment]


def _rstrip_end(text: "Text", size: int) -> None:
    """Remove blanks beyond the last column. rich counts characters, and cuts off one of a line in Japanese instead."""
    from rich.cells import cell_len

    blanks = len(text.plain) - len(text.plain.rstrip())
    if (excess := min(cell_len(text.plain) - size, blanks)) > 0:
        text.right_crop(excess)
