"""Reading a recon file, ours against its peers, in turn: `python -m bench.recon_race FILE ROUNDS`.

All read the same file of valid rows. Only ours looks at what a row holds; its peers get the fastest way there is to
run through them (no loop in Python). polars takes part twice: reading only, and with the same rule for a row as a
regular expression; what it makes is a frame of its own and no Python objects, with as many threads as there are CPUs.

In a round each peer has its turn right after one of ours, so that both meet the machine in the same mood. The last
line of the output is `{"rows": …, "seconds": {peer: [[ours, theirs] per round]}}`; a first round is not counted.
"""

import csv
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars  # type: ignore[import-not-found]  # only the runtime's environment has it
from aws_lambda_powertools.utilities.streaming.transformations import CsvTransform

from honnin.recon.rows import Rows

_READ_BYTES = 256 * 1024  # as honnin.recon.bucket reads from S3
_ROW = r"^[A-Za-z0-9._:@-]{1,64}$"


def ours(path: Path) -> int:
    """Read and check every row; the number of good ones."""
    with path.open("rb") as file:
        rows = Rows(iter(partial(file.read, _READ_BYTES), b""))
        deque(rows, maxlen=0)
    return rows.good


def csv_reader(path: Path) -> int:
    """The rows that `csv.reader` makes, without the header."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        deque(reader, maxlen=0)
    return reader.line_num - 1


def dict_reader(path: Path) -> int:
    """The rows that `csv.DictReader` makes."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        deque(reader, maxlen=0)
    return reader.line_num - 1


def powertools_csv(path: Path) -> int:
    """The rows that the streaming transformation of Powertools makes."""
    with path.open("rb") as file:
        reader = CsvTransform().transform(file)  # type: ignore[no-untyped-call]
        deque(reader, maxlen=0)
        return int(reader.line_num) - 1


def polars_read(path: Path) -> int:
    """The rows that polars reads into a frame, unchecked."""
    return int(polars.read_csv(path).height)


def polars_checked(path: Path) -> int:
    """The rows in the frame that are ids, by a regular expression."""
    frame = polars.read_csv(path)
    return int(frame.to_series().str.contains(_ROW).sum())


PEERS: dict[str, Callable[[Path], int]] = {
    "csv_reader": csv_reader,
    "dictreader": dict_reader,
    "powertools_csv": powertools_csv,
    "polars": polars_read,
    "polars_checked": polars_checked,
}


def race(path: Path, rounds: int) -> dict[str, object]:
    """Run all in turn, `rounds` times after one that does not count. ValueError when their row counts differ."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in PEERS}
    rows = ours(path)
    for turn in range(rounds + 1):
        for name, peer in PEERS.items():
            pair = (_timed(ours, path, rows), _timed(peer, path, rows))
            if turn:
                seconds[name].append(pair)
    return {"rows": rows, "seconds": seconds}


def _timed(reader: Callable[[Path], int], path: Path, rows: int) -> float:
    begun = time.perf_counter()
    found = reader(path)
    took = time.perf_counter() - begun
    if found != rows:
        raise ValueError(f"{reader.__name__} found {found} rows, and ours {rows}")
    return took


if __name__ == "__main__":
    print(json.dumps(race(Path(sys.argv[1]), int(sys.argv[2]))))
