"""The objects of a reread, in the recon bucket. Only this module knows their keys.

``rereads/<name>/ids.txt`` is the file of ids. ``sources.json`` lists the sources in which users are looked up, and
``parts.json`` lists the parts that are not done; the state machine reads both. ``parts/<part>.json`` is one part: some
users who are read together. It is written once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from honnin.json_objects import JsonObjects, record_of

FOLDER = "rereads/"


def ids_key(name: str) -> str:
    """Where the file of ids of a reread is kept."""
    return f"{FOLDER}{name}/ids.txt"


def sources_key(name: str) -> str:
    """Where the list of its sources is kept."""
    return f"{FOLDER}{name}/sources.json"


def parts_key(name: str) -> str:
    """Where the list of its parts that are not done is kept."""
    return f"{FOLDER}{name}/parts.json"


def _part_key(name: str, part: str) -> str:
    return f"{FOLDER}{name}/parts/{part}.json"


def part_name(source: str, number: int) -> str:
    """The name of a part: the source it belongs to, and its number in that source (from 1)."""
    return f"{source}-{number:05}"


@dataclass(frozen=True)
class Part:
    """Users who are read together, and the position in their source after the last of them."""

    users: Sequence[str]
    after: Any


class RereadBucket(JsonObjects):
    """The bucket, for rereads."""

    def part(self, name: str, part: str) -> Part | None:
        """A part of a reread; None where there is none."""
        found = self.get(_part_key(name, part))
        return record_of(Part, found) if found else None

    def put_part(self, name: str, part: str, found: Part) -> bool:
        """Store a part; False if the part exists already, and then nothing was written."""
        return self.put_new(_part_key(name, part), {"users": list(found.users), "after": found.after})
