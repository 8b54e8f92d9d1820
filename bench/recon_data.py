"""The day that the recon bench compares: the file, and of whom no webhook was received.

The file of `rows` rows lists the sandbox's generated ids 0 to `rows` - 1. Everybody is linked here and was read before
the file's notification came (`bench.users` has the items). Of every thousandth, or of everybody, no webhook came.
"""

from collections.abc import Iterator

from sandbox.paypay.recon_content import BLOCK_ROWS, Content, Line, generated, generated_id

FILE_TYPE = "kyc_passport_sync_recon"
DAY = "2026-11-20"
FILE_NAME = "bench.csv"
KEY = f"recon/{FILE_TYPE}/{DAY.replace('-', '/')}/{FILE_NAME}"

LARGEST = 36_000_000
"""The rows of the largest file that is measured."""

# One row in so many has no webhook; the first is neither the first row of a block nor of the file.
_MISSED_EVERY = 1000
_FIRST_MISSED = 501


def file_content(rows: int) -> Content:
    """The file: a header, rows of 36 characters, CRLF."""
    return generated(rows, ())


def missed(rows: range) -> range:
    """Which of these rows have no webhook, where others have one."""
    first = rows.start + (_FIRST_MISSED - rows.start) % _MISSED_EVERY
    return range(first, rows.stop, _MISSED_EVERY)


def ids(rows: range) -> Iterator[str]:
    """The ids of these rows (from 0), a block of the generator at a time: one by one would take as long as a run."""
    plain = Line(end=b"\n")
    for block in range(rows.start // BLOCK_ROWS, -(-rows.stop // BLOCK_ROWS)):
        names = plain.block(block).decode().split()
        yield from names[max(rows.start - block * BLOCK_ROWS, 0) : rows.stop - block * BLOCK_ROWS]


def rows_of(number: int, per_range: int, rows: int) -> range:
    """The rows (from 0) in a planned range of a file of `rows` rows; its header counts as a line, too."""
    return range(max(number * per_range - 1, 0), min((number + 1) * per_range - 1, rows))


def id_of(row: int) -> str:
    """The id in a row (from 0)."""
    return generated_id(row)
