"""A text in both languages of the people who read our mails. Standard library only."""


class Wording(str):
    """A text in English that also contains the same text in Japanese. Both are made where the fact is known.

    In logs and in the API it is an ordinary text. The table stores both.
    """

    japanese: str

    def __new__(cls, english: str, japanese: str) -> "Wording":
        """Make it from both texts."""
        made = super().__new__(cls, english)
        made.japanese = japanese
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.japanese


def in_japanese(text: str) -> str:
    """The Japanese of a text; a text that has no Japanese is returned unchanged."""
    return text.japanese if isinstance(text, Wording) else text
