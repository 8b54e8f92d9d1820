"""The confirmation that stands before every act, and what became of the act.

A confirmation page carries a token that is good once, for ten minutes, and for exactly what the page said. So no other
site can act in the caller's name, a form that is sent twice acts once, and a page from the browser's history, or of a
stack that has changed since, acts not at all. Only what certainly was not done may be tried again with the same page.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

_GOOD_FOR_S = 600
# Of as many the token is known, with what became of them; older ones are as if they had never been.
_MOST = 50


@dataclass
class Confirmation:
    """What was shown to the caller: an act on a target, and a fingerprint of all that the page said would happen.

    `outcome` is what became of it; None until it was sent. Nothing personal is in it.
    """

    act: str
    target: Mapping[str, str]
    fingerprint: str
    issued: float
    outcome: Any = field(default=None)


class Confirmations:
    """Those of one console, in memory only; the server asks for one page at a time. `monotonic` is the clock."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._known: OrderedDict[str, Confirmation] = OrderedDict()

    def issue(self, act: str, target: Mapping[str, str], fingerprint: str) -> str:
        """A new token for what a page is about to say."""
        token = secrets.token_urlsafe(24)
        self._known[token] = Confirmation(act, dict(target), fingerprint, self._monotonic())
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return token

    def of(self, token: str, act: str, target: Mapping[str, str]) -> Confirmation | None:
        """The confirmation of a token, if it is for exactly this."""
        found = self._known.get(token)
        return found if found and found.act == act and found.target == dict(target) else None

    def was_shown(self, token: str, user_id: str) -> bool:
        """Whether the page with this token was shown, and was about this user ("" for none)."""
        found = self._known.get(token)
        return found is not None and found.target.get("id", "") == user_id

    def is_fresh(self, found: Confirmation) -> bool:
        """Whether the page is young enough to be acted on."""
        return self._monotonic() - found.issued < _GOOD_FOR_S

    def settle(self, token: str, outcome: Any) -> None:
        """Say what became of it: from now on the token acts no more."""
        self._known[token].outcome = outcome

    def outcome(self, token: str) -> Any:
        """What became of it, or None."""
        found = self._known.get(token)
        return found.outcome if found else None
