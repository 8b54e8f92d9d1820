"""Ctrl-C, SIGTERM and a closed terminal: all end the program in the same orderly way."""

import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(BaseException):
    """Someone asked the program to stop. Not an Exception: nothing but the top may catch it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def install() -> None:
    """Turn the first signal into StopRequestedError; what follows is ignored, so that stopping is not disturbed."""
    for number in _SIGNALS:
        signal.signal(number, _stop)


def ignore() -> None:
    """Take no more signals: everything is being stopped anyway."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _stop(number: int, _frame: FrameType | None) -> None:
    ignore()
    raise StopRequestedError(number)
