"""What was known of a user at a moment, and by which evidence: what the page of a user says and prints."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from honninctl import past, register
from honninctl.deployment import Deployment
from honninctl.failures import CommandError, explained


@dataclass(frozen=True)
class Evidence:
    """The evidence at a moment.

    Attributes
    ----------
    found
        As `past.status_at` gives it.
    versions
        The version of the kept object, by provider; None where there is no such object any more.
    versions_hidden
        Whether the caller may not look at the versions.
    """

    found: Mapping[str, Any]
    versions: Mapping[str, str | None]
    versions_hidden: bool

    @property
    def providers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """What was known at each provider."""
        yield from self.found["providers"].items()


def of(deployment: Deployment, user_id: str, at: datetime, entries: Sequence[Mapping[str, Any]] | None) -> Evidence:
    """The evidence of a user at a moment. `entries`: the user's whole timeline, where it is known already."""
    found = past.status_at(deployment, user_id, at, entries)
    kept = {name: each["object"] for name, each in found["providers"].items() if each["object"]}
    versions, hidden = _versions(register.version_of(deployment), kept) if kept else ({}, False)
    return Evidence(found, versions, hidden)


def _versions(
    version_of: Callable[[str], str | None], kept: Mapping[str, str]
) -> tuple[Mapping[str, str | None], bool]:
    try:
        return {provider: version_of(key) for provider, key in kept.items()}, False
    except Exception as error:
        _: CommandError = explained(error)
        return {}, True
