"""Which language honninctl speaks, and its texts: the English sentence is the key (`_`)."""

import ast
import contextlib
import gettext
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_TEXTS = Path(__file__).parent / "texts"
ENGLISH = "en"
_VARIABLES = ("HONNIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG")
_chosen = ENGLISH


def choose(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The language: `--lang` anywhere before `--`, else the first variable that is set; English if unknown."""
    wanted = next(filter(None, (environment.get(name) for name in _VARIABLES)), "")
    for place, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == "--lang" and place + 1 < len(arguments):
            wanted = arguments[place + 1]
        elif argument.startswith("--lang="):
            wanted = argument.removeprefix("--lang=")
    code = wanted.replace("-", "_").split(".")[0].split("_")[0].lower()
    return code if code.isalpha() and (_TEXTS / f"{code}.po").is_file() else ENGLISH


def speak(language: str) -> None:
    """From now on `_` answers in this language, and so does `gettext`, which Typer's own texts go through."""
    global _chosen
    _chosen = language
    gettext.dgettext = _of_typer


@contextlib.contextmanager
def speaking(language: str) -> Iterator[None]:
    """`speak` until the block ends."""
    before = _chosen
    speak(language)
    try:
        yield
    finally:
        speak(before)


def _of_typer(domain: str, message: str) -> str:  # noqa: ARG001 -- gettext's own signature
    return _(message)


def spoken() -> str:
    """The chosen language."""
    return _chosen


class Translated(str):
    """A text in the chosen language that knows its English, which is what scripts get (`for_scripts`)."""

    __slots__ = ("english",)
    english: str

    @classmethod
    def of(cls, shown: str, english: str) -> "Translated":
        """Both together."""
        made = cls(shown)
        made.english = english
        return made

    def __str__(self) -> str:
        """Itself: the message of an error stays one of these."""
        return self

    def format(self, *values: Any, **named: Any) -> "Translated":
        """Both with the same values, each of which has its own English."""
        return Translated.of(
            super().format(*values, **named), self.english.format(*map(for_scripts, values), **for_scripts(named))
        )


def for_scripts(value: Any) -> Any:
    """The same with the English of every text in it: JSON is the same in each language."""
    if isinstance(value, Translated):
        return value.english
    if isinstance(value, dict):
        return {for_scripts(key): for_scripts(each) for key, each in value.items()}
    return [for_scripts(each) for each in value] if type(value) in (list, tuple) else value


def _(english: str) -> str:
    """The text in the chosen language; the English one where the catalogue has none."""
    if _chosen == ENGLISH:
        return english
    return Translated.of(texts(_chosen).get(english, english), english)


def N_(english: str) -> str:  # noqa: N802 -- the name that gettext's own documentation has for it
    """The text as it is, for the catalogue: `_` translates it where it is shown."""
    return english


@cache
def texts(language: str) -> Mapping[str, str]:
    """The catalogue of a language, read from its .po file: no build step is needed."""
    return read_po((_TEXTS / f"{language}.po").read_text(encoding="utf-8"))


def read_po(text: str) -> dict[str, str]:
    """English to translation. Entries that are empty or fuzzy are left out, as msgfmt does."""
    found: dict[str, str] = {}
    for block in text.split("\n\n"):
        parts = {"msgid": "", "msgstr": ""}
        part, fuzzy = "", False
        for line in block.splitlines():
            fuzzy = fuzzy or (line.startswith("#,") and "fuzzy" in line)
            word, space, rest = line.partition(" ")
            if word in parts and space:
                part = word
            quoted = rest if word in parts else line
            if quoted.startswith('"') and part:
                parts[part] += ast.literal_eval(quoted)
        if parts["msgid"] and parts["msgstr"] and not fuzzy:
            found[parts["msgid"]] = parts["msgstr"]
    return found
