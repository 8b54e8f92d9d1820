"""The day that the recon bench compares: who is in the file, and who was heard.

The file of `rows` rows lists the sandbox's generated ids 0 to `rows` - 1. The ledger holds as many ids: those of the
file without every thousandth (they are missed), and as many that no row names (they are extra).
"""

from collections.abc import Iterator
from itertools import chain

from sandbox.paypay.recon_content import BLOCK_ROWS, ID_CHARACTERS, Content, Line, generated, generated_id

FILE_TYPE = "kyc_passport_sync_recon"
LEDGER = "kyc"
DAY = "2026-11-20"
FILE_NAME = "bench.csv"
KEY = f"recon/{FILE_TYPE}/{DAY.replace('-', '/')}/{FILE_NAME}"

FIRST_SEEN = f"{DAY}T03:00:00.000Z"
EXPIRES_AT = "1767150000"

# One row in so many was never heard.
_MISSED_EVERY = 1000
# Where the first missed row stands; it is neither the first row of a block nor of the file.
_FIRST_MISSED = 501


def file_content(rows: int) -> Content:
    """The file: a header, rows of 36 characters, CRLF."""
    return generated(rows, ())


def missed_ids(rows: int, *, nothing_heard: bool = False) -> set[str]:
    """Who must be found: the ids of the file that the ledger lacks."""
    numbers = range(rows) if nothing_heard else range(_FIRST_MISSED, rows, _MISSED_EVERY)
    return {generated_id(number) for number in numbers}


def ledger_ids(rows: int, *, nothing_heard: bool = False) -> Iterator[bytes]:
    """Who was heard: as many ids as the file has rows, or nobody."""
    if nothing_heard:
        return iter(())
    missed = range(_FIRST_MISSED, rows, _MISSED_EVERY)
    heard = (each for number, each in enumerate(_generated(rows)) if number % _MISSED_EVERY != _FIRST_MISSED)
    return chain(heard, (generated_id(rows + number).encode() for number in range(len(missed))))


def ledger_line_bytes(pk: str) -> int:
    """The size of one line of the ledger, as DynamoDB counts a page: names and values, a number by its digits."""
    names = len("pk" + "sk" + "first_seen" + "expires_at")
    return names + len(pk) + ID_CHARACTERS + len(FIRST_SEEN) + (len(EXPIRES_AT) + 1) // 2 + 1


def _generated(rows: int) -> Iterator[bytes]:
    """Ids 0 to `rows` - 1, a block of the generator at a time: ten million one by one would take half a minute."""
    plain = Line(end=b"\n")
    for number in range(-(-rows // BLOCK_ROWS)):
        yield from plain.block(number).split()[: rows - number * BLOCK_ROWS]
