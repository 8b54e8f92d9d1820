"""Waiting for what Honnin does by itself, with a plain sentence when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from honnin_client import Honnin, RefusedError, models
from honnin_client.generated.types import Unset

Found = TypeVar("Found")

_POLL_S = 0.2
_SHOWN_ENTRIES = 5


class TooLateError(AssertionError):
    """What a test waits for has not come. The text says what came instead."""


def until(look: Callable[[], Found | None], timeout_s: float, otherwise: Callable[[], str]) -> Found:
    """What `look` gives, once it is not None. Raises `TooLateError` with the text of `otherwise`."""
    deadline = time.monotonic() + timeout_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TooLateError(otherwise())
        time.sleep(_POLL_S)
    return found


class AwaitStatus:
    """Waits until Honnin says of a user what a test expects."""

    def __init__(self, honnin: Honnin) -> None:
        self._honnin = honnin

    def __call__(
        self,
        user_id: str,
        *,
        status: str | None = None,
        verified: bool | None = None,
        provider: str | None = None,
        timeout: float = 60.0,
    ) -> models.UserView:
        """The user, once everything that is given is true of them.

        `status` may be that of either provider, unless `provider` (`vexora` or `paypay`) names one. Raises
        `TooLateError` after `timeout` seconds, with the statuses and what happened last.
        """

        def look() -> models.UserView | None:
            user = self._user(user_id)
            return user if user and _fits(user, status, verified, provider) else None

        wanted = {"status": status, "verified": verified, "provider": provider}
        asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items() if value is not None)
        return until(
            look, timeout, lambda: f"{user_id} had not {asked} after {timeout:g} s.\n{self._account_of(user_id)}"
        )

    def _user(self, user_id: str) -> models.UserView | None:
        try:
            return self._honnin.get_user(user_id)
        except RefusedError as error:
            if error.code == models.ProblemCode.USER_UNKNOWN:
                return None
            raise

    def _account_of(self, user_id: str) -> str:
        user = self._user(user_id)
        if user is None:
            return "Honnin does not know this user: nothing was submitted and no link was made."
        statuses = ", ".join(f"{name} {each}" for name, each in statuses_of(user).items())
        entries = self._honnin.get_timeline(user_id, limit=_SHOWN_ENTRIES).entries
        lines = [
            f"  {each.at:%H:%M:%S} {each.provider} {each.what}, cause {each.cause}: {each.from_} -> {each.to}"
            for each in entries
        ]
        head = f"It is: {statuses}; verified={user.verified} ({user.verified_reason.value})."
        return "\n".join([head, "The timeline, newest first:", *lines])


def statuses_of(user: models.UserView) -> dict[str, str]:
    """The status at each provider that knows the user."""
    views = {"vexora": user.providers.vexora, "paypay": user.providers.paypay}
    return {name: view.status.value for name, view in views.items() if not isinstance(view, Unset)}


def _fits(user: models.UserView, status: str | None, verified: bool | None, provider: str | None) -> bool:
    found = statuses_of(user)
    looked_at = found.values() if provider is None else [found.get(provider)]
    has_status = status in looked_at if status is not None else provider is None or provider in found
    return has_status and (verified is None or user.verified is verified)
