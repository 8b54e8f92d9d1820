"""The page's texts, in the language that the reader's browser asks for."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from flask import Request

from sandbox.delivery import LATE_S

LANGUAGES: Mapping[str, str] = {"en": "English", "ja": "日本語"}


def language_of(request: Request) -> str:
    """Return the language that a request names (`lang`), or the browser's favourite, or English."""
    named = request.args.get("lang") or request.form.get("lang")
    if named is not None and named in LANGUAGES:
        return named
    best = request.accept_languages.best_match(list(LANGUAGES))
    return best or "en"


class Texts:
    """The texts of one language. A name that is missing is an error, so that no page shows a key."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._sections = sections(language)

    def __call__(self, section: str, name: object, /, **values: object) -> str:
        """Return a text with its values filled in."""
        return self._sections[section][str(name)].format(**values)

    def done(self, word: str) -> str | None:
        """Return what is said of a press; None for a word that the page never made."""
        return self._sections["done"][word].format(seconds=round(LATE_S)) if word in self._sections["done"] else None

    def detail(self, english: str | None) -> tuple[str, str] | None:
        """Return the journal's remark in this language where it has words for it, and the language that it is in."""
        if english is None or self.language == "en":
            return None if english is None else (english, "en")
        for form, text in self._sections["detail"].items():
            pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>.+)", re.escape(form))
            if found := re.fullmatch(pattern, english):
                return text.format(**found.groupdict()), self.language
        return english, "en"


@cache
def sections(language: str) -> Mapping[str, Mapping[str, str]]:
    """Return all texts of a language, by section and name."""
    path = Path(__file__).parent / "texts" / f"{language}.toml"
    found: Mapping[str, Mapping[str, str]] = tomllib.loads(path.read_text(encoding="utf-8"))
    return found
