"""A text in both languages of those who read our mails. Standard library only."""


class Wording(str):
    """A text in English, which carries the same in Japanese: both are made where the fact is known.

    It is an ordinary text for logs and for the API. The table keeps both.
    """

    japanese: str

    def __new__(cls, english: str, japanese: str) -> "Wording":
        """Of both texts."""
        made = super().__new__(cls, english)
        made.japanese = japanese
        return made

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        return str(self), self.japanese


def in_japanese(text: str) -> str:
    """The Japanese of a text; what is not there in both languages stays what it is."""
    return text.japanese if isinstance(text, Wording) else text
