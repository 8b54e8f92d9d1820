"""Ctrl-C, SIGTERM and a closed terminal: all end the program in the same orderly way."""

import os
import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(BaseException):
    """Someone asked the program to stop. Not an Exception: nothing but the top may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def end_at_once() -> None:
    """Let the first signal end the process with one line: for the time in which nothing has been started."""
    for number in _SIGNALS:
        signal.signal(number, _end)


def install() -> None:
    """Turn the first signal into StopRequestedError; what follows is ignored, so that stopping is not disturbed."""
    for number in _SIGNALS:
        signal.signal(number, _stop)


def ignore() -> None:
    """Take no more signals: everything is being stopped anyway."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, _frame: FrameType | None) -> None:
    os.write(2, b"Stopped: nothing had been started.\n")
    os._exit(128 + number)


def _stop(number: int, _frame: FrameType | None) -> None:
    ignore()
    raise StopRequestedError(number)
