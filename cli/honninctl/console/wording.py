"""What the console says, in Japanese and English: the texts of texts/*.toml, and times and days as people write them.

Times are Japan's: the providers' days are, and so are the people who read this.
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from honninctl.console import verdict
from honninctl.language import known

LANGUAGES = ("ja", "en")

_DEFAULT = "en"
_TEXTS = Path(__file__).parent / "texts"
_JST = timezone(timedelta(hours=9), "JST")


def preferred(accept_language: str) -> str:
    """The language that an Accept-Language header asks for, of those that the console has."""
    wanted = []
    for each in accept_language.split(","):
        tag, _, weight = each.strip().partition(";q=")
        try:
            wanted.append((float(weight or 1), tag.partition("-")[0].lower()))
        except ValueError:
            continue
    # Of equal weight, the first named is preferred; sorting keeps that order.
    ranked = [tag for weight, tag in sorted(wanted, key=lambda pair: -pair[0]) if weight > 0]
    return next((tag for tag in ranked if tag in LANGUAGES), _DEFAULT)


class Wording:
    """The texts of one language. Call it with a text's name and the values of its places."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = texts(language)

    def __call__(self, name: str, **values: object) -> str:
        """The text. Raises `KeyError` for a name or a place that is not there."""
        return self._texts[name].format(**values)

    def first(self, *names: str, otherwise: str) -> str:
        """The first of the texts that exists: what a newer stack sends may be unknown here."""
        return next((self._texts[name] for name in names if name in self._texts), otherwise)

    def name(self, text: str, value: str) -> str:
        """A value in words; as it is, to be read letter by letter, if there are none: see `first`."""
        return self.first(text, otherwise=Markup("<code>{}</code>").format(value))

    def names(self, table: str) -> list[str]:
        """The names of a table's texts, in their order."""
        return [name.removeprefix(f"{table}.") for name in self._texts if name.startswith(f"{table}.")]

    def said(self, text: str) -> str:
        """What the stack says; as it is where nothing says it in this language."""
        return known(text, self.language) or str(text)

    def verified(self, user: Mapping[str, Any]) -> str:
        """Whether the API calls a user verified, and why."""
        reason = str(user["verifiedReason"])
        why = self.first(f"reason.{reason}", otherwise=reason)
        answer = self(f"verified.{str(user['verified']).lower()}")
        return self("verified.because", answer=answer, why=why, reason=reason)

    def standing(self, provider: str, status: str) -> str:
        """What a status at a provider means, in a sentence."""
        return self.first(f"standing.{provider}_{status}", otherwise=status)

    def moment(self, utc: str) -> str:
        """A UTC time (ISO 8601) as Japan's, to the minute."""
        when = datetime.fromisoformat(utc).astimezone(_JST)
        return f"{self.day(when.date().isoformat())} {when:%H:%M}"

    def clock(self, utc: str) -> str:
        """The time of day in Japan, to the second."""
        return f"{datetime.fromisoformat(utc).astimezone(_JST):%H:%M:%S}"

    def day(self, iso: str) -> str:
        """A day (`yyyy-mm-dd`) with its weekday."""
        when = date.fromisoformat(iso)
        return self("day", year=when.year, month=self.month(when.month), number=when.day, weekday=self.weekday(when))

    def short_day(self, iso: str) -> str:
        """A day where there is little room: month and number."""
        when = date.fromisoformat(iso)
        return f"{when.month}/{when.day}"

    def tone(self, status: str) -> str:
        """How a status is to be taken, as a colour's name."""
        return verdict.tone(status).value

    def month(self, number: int) -> str:
        """A month's name."""
        return self(f"months.{number}")

    def weekday(self, when: date) -> str:
        """A weekday's short name."""
        return self(f"weekdays.{when.isoweekday() % 7}")

    def number(self, value: int) -> str:
        """A number with its thousands apart."""
        return f"{value:,}"

    def rough(self, value: int) -> str:
        """A number where there is room for three letters: 1204 is `1k`."""
        for size, letter in ((10**6, "M"), (10**3, "k")):
            if value >= size:
                return f"{value // size}{letter}"
        return str(value)


def jst_day(utc: str) -> str:
    """The day in Japan (`yyyy-mm-dd`) of a UTC time (ISO 8601)."""
    return datetime.fromisoformat(utc).astimezone(_JST).date().isoformat()


def utc_text(moment: datetime) -> str:
    """An aware moment as UTC ISO 8601."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language by their names, `table.name`."""
    with (_TEXTS / f"{language}.toml").open("rb") as file:
        return dict(_flat("", tomllib.load(file)))


def _flat(prefix: str, table: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, value in table.items():
        found += _flat(f"{prefix}{name}.", value) if isinstance(value, dict) else [(f"{prefix}{name}", str(value))]
    return found
