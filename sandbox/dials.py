"""Dials: named settings by which a provider is made to behave or misbehave, for all users or for one."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sandbox.faults import MAX_SECONDS, Fault, is_seconds, parse_fault

Check = Callable[[object], object]


class DialError(ValueError):
    """A dial that does not exist or a value that it does not take; the text is a plain sentence."""


@dataclass(frozen=True)
class Dial:
    """What a dial is when nobody set it, and how a value is checked (raises ValueError with a clause)."""

    default: object
    check: Check


def one_of(*values: str) -> Check:
    """Return a check for one of some words."""

    def check(value: object) -> object:
        if value not in values:
            raise ValueError(f"must be one of: {', '.join(values)}")
        return value

    return check


def seconds(value: object) -> object:
    """Check a number of seconds."""
    if not is_seconds(value):
        raise ValueError(f"must be a number of seconds from 0 to {MAX_SECONDS:.0f}")
    return value


def factor(value: object) -> object:
    """Check a factor from 0 to 1."""
    if not is_seconds(value) or float(str(value)) > 1:
        raise ValueError("must be a number from 0 to 1")
    return value


def text(value: object) -> object:
    """Check a text."""
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 (what a check raises)
    return value


def copies(value: object) -> object:
    """Check a small whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 20:
        raise ValueError("must be a whole number from 1 to 20")
    return value


def fault_of(kinds: Iterable[str]) -> Check:
    """Return a check for a fault of one of `kinds`."""
    known = frozenset(kinds)
    return lambda value: parse_fault(value, known)


def texts(value: object) -> object:
    """Check a list of texts."""
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise ValueError("must be a list of texts")
    return value


class DialBoard:
    """The dials of one provider. A dial set for a user wins over the one for all.

    `names_of` gives every name under which a user's dials may have been set, where there are several.
    """

    def __init__(
        self,
        dials: Mapping[str, Dial],
        lock: threading.RLock,
        names_of: Callable[[str], Sequence[str]] = lambda user_id: (user_id,),
    ) -> None:
        self._dials = dict(dials)
        self._lock = lock
        self._names_of = names_of
        self._for_all: dict[str, object] = {}
        self._per_user: dict[str, dict[str, object]] = {}

    def put(self, patch: Mapping[str, object], user_id: str | None = None) -> None:
        """Merge `patch` into the dials for all, or of one user; None unsets a dial.

        Raises DialError and changes nothing when any dial or value is unknown.
        """
        checked = {name: self._checked(name, value) for name, value in patch.items()}
        with self._lock:
            target = self._for_all if user_id is None else self._per_user.setdefault(user_id, {})
            for name, value in checked.items():
                if patch[name] is None:
                    target.pop(name, None)
                else:
                    target[name] = value

    def clear(self, user_id: str | None = None) -> None:
        """Unset the dials for all, or of one user."""
        with self._lock:
            if user_id is None:
                self._for_all.clear()
            else:
                self._per_user.pop(user_id, None)

    def reset(self) -> None:
        """Unset every dial."""
        with self._lock:
            self._for_all.clear()
            self._per_user.clear()

    def value(self, name: str, user_id: str | None = None) -> object:
        """Return what dial `name` stands at for a user."""
        with self._lock:
            for source in self._sources(user_id):
                if name in source:
                    return source[name]
        return self._dials[name].default

    def text(self, name: str, user_id: str | None = None) -> str | None:
        """Return a dial that holds a word, or None where it is unset and has no default."""
        value = self.value(name, user_id)
        return None if value is None else str(value)

    def number(self, name: str, user_id: str | None = None) -> float | None:
        """Return a dial that holds a number, or None where it is unset and has no default."""
        value = self.value(name, user_id)
        return None if value is None else float(str(value))

    def words(self, name: str, user_id: str | None = None) -> tuple[str, ...]:
        """Return a dial that holds a list of words."""
        value = self.value(name, user_id)
        return tuple(str(word) for word in value) if isinstance(value, list) else ()

    def take_fault(self, name: str, user_id: str | None = None) -> Fault | None:
        """Return the fault that the current call must suffer, and count it against its `times`."""
        with self._lock:
            for source in self._sources(user_id):
                if name in source:
                    fault = source[name]
                    break
            else:
                return None
            if not isinstance(fault, Fault):
                return None
            if fault.skip:
                source[name] = replace(fault, skip=fault.skip - 1)
                return None
            if fault.times == 1:
                del source[name]
            elif fault.times is not None:
                source[name] = replace(fault, times=fault.times - 1)
            return fault

    def view(self, user_id: str | None = None) -> dict[str, object]:
        """Return what is `set` at this level and what is `effective`, ready for JSON."""
        with self._lock:
            own = self._for_all if user_id is None else self._per_user.get(user_id, {})
            view: dict[str, object] = {
                "set": {name: _shown(value) for name, value in own.items()},
                "effective": {name: _shown(self.value(name, user_id)) for name in self._dials},
            }
            if user_id is None:
                view["users"] = sorted(user for user, dials in self._per_user.items() if dials)
            return view

    def _sources(self, user_id: str | None) -> list[dict[str, object]]:
        names = () if user_id is None else self._names_of(user_id)
        return [self._per_user[name] for name in names if name in self._per_user] + [self._for_all]

    def _checked(self, name: str, value: object) -> object:
        dial = self._dials.get(name)
        if dial is None:
            raise DialError(f"There is no dial {name!r}; there are: {', '.join(sorted(self._dials))}.")
        if value is None:
            return None
        try:
            return dial.check(value)
        except ValueError as error:
            raise DialError(f"The dial {name!r} {error}.") from None


def _shown(value: object) -> object:
    return value.view() if isinstance(value, Fault) else value
