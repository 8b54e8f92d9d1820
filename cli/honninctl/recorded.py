"""What of honninctl goes into the access record: every command has its decision here, or it cannot be registered.

And what of a command's options is kept there: nothing that may name a person.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache


class Action(StrEnum):
    """What was done with users' data.

    `ended`: the end of a contract was reported or taken back. `redriven`: messages were put back or sent once more;
    `discarded`: they were deleted. `operated`: the stack or its work was changed, and no user by itself.
    """

    LOOKED = "looked"
    LISTED = "listed"
    EXPORTED = "exported"
    REVEALED = "revealed"
    REREAD = "reread"
    ERASED = "erased"
    ENDED = "ended"
    REGISTERED = "registered"
    REDRIVEN = "redriven"
    DISCARDED = "discarded"
    OPERATED = "operated"


_LISTS = (Action.LISTED, Action.REVEALED)
_SENDS = (Action.REDRIVEN, Action.LISTED)  # the second: a dry run

# By command: as what it may be recorded. It writes the record before it asks for anything about a user.
RECORDED: Mapping[str, tuple[Action, ...]] = {
    "status": (Action.LOOKED,),
    "timeline": (Action.LOOKED, Action.REVEALED),
    "access": (Action.LOOKED, Action.LISTED),
    "users": (Action.LISTED,),
    "changes": (Action.LISTED,),
    "expiring": (Action.LISTED,),
    "contract-ends": (Action.LISTED,),
    "submissions": (Action.LISTED,),
    "register": (Action.REGISTERED,),
    "registers list": (Action.LISTED,),
    "registers get": (Action.LISTED,),
    "export": (Action.EXPORTED, Action.REVEALED),
    "erase": (Action.ERASED,),
    "contract-end": (Action.ENDED,),
    "reread": (Action.REREAD,),
    "rereads pause": (Action.OPERATED,),
    "rereads resume": (Action.REREAD,),
    "recon DAY": _LISTS,
    "recon compare": (Action.REREAD,),
    "repairs resume": (Action.REREAD,),
    "repairs stop": (Action.OPERATED,),
    "deadletters list": _LISTS,
    "deadletters show": (*_LISTS, Action.LOOKED),
    "deadletters redrive": (*_SENDS, Action.DISCARDED),
    "webhooks list": (Action.LISTED,),
    "webhooks redrive": _SENDS,
    "webhooks test": (Action.OPERATED,),
    "webhooks rotate": (Action.OPERATED,),
    "events replay": _SENDS,
    "reindex": (Action.OPERATED,),
    "restore": (Action.OPERATED,),
    "rotate-callback-key": (Action.OPERATED,),
}

_NUMBERS = "it shows numbers, and changes nothing"
_LOCAL = "it works on the local stack only, where nobody is real"
_SIGNS = "it shows the signature of a request that was typed, and nothing of a user"

# By command: why it is not.
NOT_RECORDED: Mapping[str, str] = {
    "counts": _NUMBERS,
    "recon calendar": _NUMBERS,
    "repairs status": _NUMBERS,
    "rereads list": _NUMBERS,
    "rereads show": _NUMBERS,
    "doctor": "it shows settings, and changes nothing",
    "console": "each of its pages about users is recorded by itself",
    "delete-stack": "CloudTrail has it as a management event; a stack that was made by half has no table",
    "sign vexora": _SIGNS,
    "sign paypay": _SIGNS,
    **{f"trigger {each}": _LOCAL for each in ("kyc", "risk", "account-status", "vexora-result", "recon-night")},
    **{f"local {each}": _LOCAL for each in ("up", "down", "status", "reset", "events")},
}


def is_recorded(command: str) -> bool:
    """Whether a command is recorded. Raises `LookupError` where that was not decided."""
    if (command in RECORDED) == (command in NOT_RECORDED):
        raise LookupError(f"{command}: decide in honninctl/recorded.py whether it is in the access record")
    return command in RECORDED


# Moments, durations, and the names that honninctl itself gives to rereads and registers.
_PLAIN = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?)?"
    r"|\d{1,4}[dhm]?"
    r"|today|yesterday"
    r"|reread-[a-z-]{1,40}-\d{8}t\d{6}z"
    r"|\d{8}T\d{6}Z-[0-9a-f]{6}"
    r"|[A-Z][A-Za-z]{0,40}(Error|Exception)",
    re.ASCII,
)
_LONGEST = 300


def plain(value: object) -> str:
    """A value as the record may have it: what cannot name a person; of anything else only that there was a value."""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ",".join(map(plain, value))
    parts = str(value).split("/")
    return str(value) if all(_PLAIN.fullmatch(each) or each in _words() for each in parts) else "…"


def options(given: Mapping[str, object]) -> str | None:
    """The options of a command, or the fields of a page, by their names; None where there are none."""
    texts = (name if value is True else f"{name} {plain(value)}" for name, value in given.items())
    return " ".join(texts)[:_LONGEST] or None


@cache
def _words() -> frozenset[str]:
    """The words that options and fields choose from."""
    from honnin.domain_events import EVENTS
    from honnin.store.overview import STATUSES
    from honninctl.dead_letters import Queue

    statuses = (str(each) for known in STATUSES.values() for each in known)
    return frozenset({*STATUSES, *statuses, *EVENTS, *Queue, "csv", "jsonl", "ja", "en", "expiring"})
