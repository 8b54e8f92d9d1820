"""Which language honninctl speaks, and its texts: the English sentence is the key (`_`).

What the stack says (its API, its table, the layer's errors) is English, too. It is translated by `said`, and its
sentences have the context `stack` in the catalogue; the names of fields in tables have `field`.
"""

import ast
import gettext
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_TEXTS = Path(__file__).parent / "texts"
ENGLISH = "en"
JAPANESE = "ja"
# Between context and text in a key of gettext.
_CONTEXT_END = "\x04"
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


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak another language for a while: a page of the console has its own. Only for one thread at a time."""
    before = spoken()
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


def said(text: str) -> str:
    """What the stack says, in the chosen language. What the catalogue does not know is shown as it is, in quotes.

    So are sentences of a newer or an older stack.
    """
    if _chosen == ENGLISH:
        return text
    found = known(text, _chosen)
    return Translated.of(_('"{text}"').format(text=text) if found is None else found, str(text))


def known(text: str, language: str) -> str | None:
    """A sentence of the stack in a language; None for any other text, such as a person's or a provider's.

    A `honnin.wording.Wording` has its Japanese with it. Of a sentence with values, such as a limit, the catalogue has
    the pattern. A value may be a sentence itself.
    """
    from honnin.wording import Wording

    if language == JAPANESE and isinstance(text, Wording):
        return text.japanese
    if language == ENGLISH or not text:
        return None
    catalogue = texts(language)
    if exact := catalogue.get(of_stack(text)):
        return exact
    for pattern, translated in _patterns(language):
        if found := pattern.fullmatch(text):
            values = {name: known(value, language) or value for name, value in found.groupdict().items()}
            return translated.format(**values)
    return None


def field(name: str) -> str:
    """A field of the JSON as the heading of a table or the label of a line; its name where it has no other."""
    if _chosen == ENGLISH:
        return name
    return Translated.of(texts(_chosen).get(f"field{_CONTEXT_END}{name}", name), name)


def of_stack(english: str) -> str:
    """The key of a sentence of the stack in the catalogue."""
    return f"stack{_CONTEXT_END}{english}"


@cache
def _patterns(language: str) -> Sequence[tuple[re.Pattern[str], str]]:
    """The stack's sentences that have values; the one with most text of its own is first."""
    found = []
    for key, translated in texts(language).items():
        if not key.startswith(of_stack("")):
            continue
        parts = list(string.Formatter().parse(key.removeprefix(of_stack(""))))
        if any(name for _before, name, _form, _conversion in parts):
            pattern = "".join(
                re.escape(before) + (f"(?P<{name}>.+?)" if name else "") for before, name, _form, _conversion in parts
            )
            found.append((sum(len(each[0]) for each in parts), re.compile(pattern, re.DOTALL), translated))
    return [each[1:] for each in sorted(found, key=lambda each: -each[0])]


@cache
def texts(language: str) -> Mapping[str, str]:
    """The catalogue of a language, read from its .po file: no build step is needed."""
    return read_po((_TEXTS / f"{language}.po").read_text(encoding="utf-8"))


def read_po(text: str) -> dict[str, str]:
    """English to translation. Entries that are empty or fuzzy are left out, and a context is put before the key, as
    msgfmt does."""
    found: dict[str, str] = {}
    for block in text.split("\n\n"):
        parts = {"msgctxt": "", "msgid": "", "msgstr": ""}
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
            context = parts["msgctxt"] + _CONTEXT_END if parts["msgctxt"] else ""
            found[context + parts["msgid"]] = parts["msgstr"]
    return found
