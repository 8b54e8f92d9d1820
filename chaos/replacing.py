"""Something of ours in the place of something of a module's, for a while."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(*replacements: tuple[Any, str, Any]) -> Iterator[None]:
    """Set each (owner, name, value), and set them back in the end."""
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replacements]
    try:
        for owner, name, value in replacements:
            setattr(owner, name, value)
        yield
    finally:
        for owner, name, value in reversed(before):
            setattr(owner, name, value)


class Inline:
    """An executor that runs what it is given here and now; a crash ends the whole run."""

    def __init__(self, *_: object, **__: object) -> None:
        """Nothing is kept."""

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left to wait for."""

    def submit(self, work: Callable[..., str], *arguments: object) -> Future[str]:
        """Run it."""
        done: Future[str] = Future()
        try:
            done.set_result(work(*arguments))
        except Exception as error:
            done.set_exception(error)
        return done

    def map(self, work: Callable[..., Any], *arguments: Iterable[Any]) -> Iterator[Any]:
        """Run it for each, one after the other."""
        return map(work, *arguments)
