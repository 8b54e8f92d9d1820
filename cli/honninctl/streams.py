"""The three streams, whatever the terminal's encoding is and whether they are there at all.

A terminal in Shift_JIS, EUC-JP or ASCII cannot show everything: what it cannot show is replaced, and never an error.
"""

import codecs
import contextlib
import logging
import os
import sys
from collections.abc import Iterator

_HANDLER = "honninctl-replace"

# The symbols of our own texts and of tables, by what says the same in ASCII. Everything else becomes a question mark.
_IN_ASCII = {
    "→": "->",
    "–": "-",
    "—": "-",
    "…": "...",
    "·": ".",
    "×": "x",
    "✓": "+",
    "✗": "x",
    "“": '"',
    "”": '"',
    "‹": "<",
    "›": ">",
    **dict.fromkeys("─━═╶╴╌╸╺", "-"),
    **dict.fromkeys("│┃║", "|"),
    **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼╡╞╪┏┓┗┛", "+"),
}


def prepare() -> None:
    """Call once, before anything is written: from then on no character and no closed stream is an error.

    Logs of libraries go nowhere: botocore would write the text of an error, and what it repeats, on stderr.
    """
    codecs.register_error(_HANDLER, _replaced)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by the caller: `>&-`
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 -- until the end
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace" if name == "stdin" else _HANDLER)
    logging.getLogger().addHandler(logging.NullHandler())


@contextlib.contextmanager
def flushed() -> Iterator[None]:
    """Write everything out at the end of the context. Where nobody takes it any more, Python must not try once again
    at its own end: it would complain."""
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def shows(text: str) -> bool:
    """Whether stdout can show every character of the text as it is."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeError:
        return False
    return True


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_IN_ASCII.get(each, "?") for each in error.object[error.start : error.end]), error.end
