"""The recon bench: runs the parser, the download and the comparison, each in a process of its own, and checks them.

A run whose result is not exactly what it must be is void (LocalError): a fast wrong answer is no figure.
"""

import contextlib
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import aws_process, function_settings, programs, recon_data, recon_stack
from bench.artifacts import Artifacts
from bench.aws_process import Aws
from bench.figures import Figure
from bench.recon_data import LARGEST
from local.errors import LocalError
from local.steps import Steps

FUNCTIONS = ("ReconCompareFunction", "ReconDownloadFunction", "ReconPlanFunction")
"""Whose artifacts the measured processes import."""

_COMPARE, _DOWNLOAD, _PLAN = FUNCTIONS

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
"""The rows of the files that are read and downloaded."""

_RACE_ROWS = 1_000_000
_RACE_ROUNDS = 5
_RUNS = 3
_PLANNED = (1_000_000, LARGEST)
RANGE_ROWS = 100_000
"""The rows of a range, as `honnin.recon.plan` cuts a file."""
_SAMPLE_ROWS = 20_000  # a range whose time is taken; that of a row does not depend on how many there are
_SIDE_BY_SIDE = 2  # processes, as many as the smallest machine has CPUs

_WORKER = "bench.recon_worker"

_LAMBDA_LIMIT_S = 900.0

# What one row cost before the comparison ran on Step Functions: rows in a second, all of them missed.
_BEFORE = 2_100

# What AWS takes to answer, which the stand-in does not: on the slow side of what its documents say of each service
# (DynamoDB: single-digit milliseconds for an item; S3: 100 to 200 ms for the first byte of a small object).
_ANSWER_S = {"BatchGetItem": 0.010, "SendMessageBatch": 0.020, "GetItem": 0.010, "GetObject": 0.150, "PutObject": 0.150}
# The calls of which a range has as many at once as it has threads.
_AT_ONCE = {"BatchGetItem": 8, "SendMessageBatch": 8}
# What a table on demand gives at most, without a raised quota (DynamoDB, "Quotas": read request units of a table).
_TABLE_READ_UNITS = 40_000


@dataclass(frozen=True)
class Race:
    """Seconds per round, by peer, that ours and right after it the peer took for the same file of `rows` rows."""

    rows: int
    seconds: dict[str, list[tuple[float, float]]]

    def times_as_fast(self, peer: str) -> list[float]:
        """How many times as fast as the peer ours was, round by round."""
        return [theirs / ours for ours, theirs in self.seconds[peer]]


@dataclass(frozen=True)
class Measured:
    """One process: seconds by the clock and of CPU, its resident set before the work and at its highest, in MiB."""

    wall_s: float
    cpu_s: float
    start_rss_mib: float
    peak_rss_mib: float


@dataclass(frozen=True)
class Read:
    """A file of `rows` rows that was read, or planned."""

    rows: int
    measured: Measured


@dataclass(frozen=True)
class Download:
    """A file fetched from the sandbox into ministack's S3."""

    size: int
    parts: int
    measured: Measured


@dataclass(frozen=True)
class Compared:
    """Ranges of `rows` rows that were compared, each in a process of its own; `asked` is what one asked of AWS."""

    rows: float
    runs: list[Measured]
    asked: Mapping[str, float]

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU of a range, median."""
        return statistics.median(each.cpu_s for each in self.runs)

    @property
    def rows_per_s(self) -> float:
        """Rows that a whole CPU gets through in a second: as many as one Lambda environment has."""
        return self.rows / self.cpu_s

    @property
    def read_units_per_row(self) -> float:
        """Read request units of DynamoDB."""
        return self.asked["half_read_units"] / 2 / self.rows

    def lambda_s(self, rows: int) -> float:
        """Seconds of Lambda for so many rows: the CPU's, and those of waiting for AWS, as if nothing overlapped but
        calls that are made at once."""
        waited = sum(self.asked.get(name, 0) * each / _AT_ONCE.get(name, 1) for name, each in _ANSWER_S.items())
        ranges = rows / self.rows
        whole = ("GetItem", "GetObject", "PutObject")  # once for a range, however many rows it has
        fixed = sum(self.asked.get(name, 0) * _ANSWER_S[name] for name in whole)
        return ranges * (self.cpu_s + waited - fixed) + rows / RANGE_ROWS * fixed


@dataclass(frozen=True)
class Findings:
    """All that was measured. `missed` are ranges side by side, `whole` one as large as the engine makes them."""

    race: Race
    parsed: list[Read]
    downloads: list[Download]
    planned: list[Read]
    floor: Measured
    some: Compared
    missed: Compared
    whole: Compared


def run(artifacts: Artifacts, steps: Steps, largest: int) -> Findings:
    """Run everything, with files to read of up to `largest` rows. LocalError when a run fails or finds other."""
    with steps.step(f"Reading {_RACE_ROWS:,} rows: ours, csv, Powertools, polars, {_RACE_ROUNDS} rounds in turn"):
        race = _race(artifacts)
    sizes = [rows for rows in SIZES if rows <= largest]
    with steps.step(f"Reading {', '.join(f'{each:,}' for each in sizes)} rows"):
        parsed = [_parse(artifacts, rows) for rows in sizes]
    with (
        recon_stack.running("bench") as stack,
        steps.step(f"Downloading {' and '.join(f'{each:,}' for each in sizes[-2:])} rows into ministack's S3"),
    ):
        downloads = [_download(artifacts, stack, rows) for rows in sizes[-2:]]
    planned, whole = _largest(artifacts, steps)
    with _table(artifacts, _SAMPLE_ROWS) as table:
        some, floor = _sample(table, steps)
    rows = _SAMPLE_ROWS * _SIDE_BY_SIDE
    with (
        _table(artifacts, rows, everybody_missed=True) as table,
        steps.step(f"Comparing {_SIDE_BY_SIDE} ranges of {_SAMPLE_ROWS:,} rows side by side, all of them missed"),
    ):
        table.plan(_SAMPLE_ROWS)
        missed = table.compare("all", *range(_SIDE_BY_SIDE))
    return Findings(race, parsed, downloads, planned, floor, some, missed, whole)


def _largest(artifacts: Artifacts, steps: Steps) -> tuple[list[Read], Compared]:
    """The plans of a large file and of the largest, and the last whole range of that."""
    planned = []
    for rows in _PLANNED:
        with _table(artifacts, rows) as table:
            with steps.step(f"Planning a file of {rows:,} rows"):
                planned.append(Read(rows, table.plan()))
            if rows == LARGEST:
                with steps.step(f"Comparing {RANGE_ROWS:,} rows of it, all of which are read again"):
                    whole = table.compare("all", rows // RANGE_ROWS - 1)
    return planned, whole


def _sample(table: "_Table", steps: Steps) -> tuple[Compared, Measured]:
    """A file that is one range, of which those are read again whose webhook never came; and the floor of that."""
    found, floors = [], []
    with steps.step(f"Comparing {_SAMPLE_ROWS:,} rows in turn with bare reads of the same items, {_RUNS} times"):
        for _ in range(_RUNS):
            table.plan()
            found.append(table.compare("missed", 0))
            floors.append(table.bare())
    some = Compared(_SAMPLE_ROWS, [run for each in found for run in each.runs], found[-1].asked)
    return some, min(floors, key=lambda each: each.cpu_s)


def figures(found: Findings) -> list[Figure]:
    """Ratios to the peers, peaks and costs, in the names of the issue."""
    return [
        *_race_figures(found.race),
        *_parse_figures(found.parsed),
        *_download_figures(found.downloads),
        *_plan_figures(found.planned),
        *_range_figures(found),
        *_missed_figures(found.missed),
    ]


def short(rows: int) -> str:
    """A number of rows as the figures name it: 10k, 1m."""
    return f"{rows // 1_000_000}m" if rows >= 1_000_000 else f"{rows // 1000}k"


def side_by_side() -> int:
    """How many ranges the state machine compares at once (template.yaml)."""
    states = function_settings.template()["Resources"]["ReconComparison"]["Properties"]["Definition"]["States"]
    return int(states["Compare"]["MaxConcurrency"])


def all_missed_rows_per_s(missed: Compared, ranges: int) -> float:
    """Rows in a second of so many ranges side by side: each has a CPU of its own, and the table is one for all."""
    return min(ranges * missed.rows_per_s, _TABLE_READ_UNITS / missed.read_units_per_row)


def _race_figures(race: Race) -> list[Figure]:
    least = {"csv_reader": 2.0, "dictreader": 7.0}
    return [
        Figure(
            f"recon.parse_vs_{peer}",
            statistics.median(race.times_as_fast(peer)),
            "times as fast",
            least.get(peer),
            at_least=True,
        )
        for peer in race.seconds
    ]


def _parse_figures(parsed: Sequence[Read]) -> list[Figure]:
    return [
        figure
        for each in parsed
        for figure in (
            Figure(f"recon.parse_{short(each.rows)}_rss_mib", each.measured.peak_rss_mib, "MiB", 96),
            Figure(f"recon.parse_{short(each.rows)}_s", each.measured.wall_s, "s"),
        )
    ]


def _download_figures(downloads: Sequence[Download]) -> list[Figure]:
    largest = downloads[-1]
    found = [
        Figure("recon.download_rss_mib", largest.measured.peak_rss_mib, "MiB", 128),
        Figure("recon.download_mb", largest.size / 1e6, "MB"),
        Figure("recon.download_s", largest.measured.wall_s, "s"),
    ]
    if len(downloads) > 1:
        ratio = largest.measured.peak_rss_mib / downloads[0].measured.peak_rss_mib
        found.append(Figure("recon.download_rss_for_10_times_the_file", ratio, "ratio"))
    return found


def _plan_figures(planned: Sequence[Read]) -> list[Figure]:
    first, last = planned[0], planned[-1]
    times = last.rows // first.rows
    return [
        Figure("recon.plan_rss_mib", max(each.measured.peak_rss_mib for each in planned), "MiB", 128),
        Figure(f"recon.plan_{short(last.rows)}_s", last.measured.wall_s, "s", _LAMBDA_LIMIT_S),
        Figure(
            f"recon.plan_rss_for_{times}_times_the_rows",
            last.measured.peak_rss_mib / first.measured.peak_rss_mib,
            "ratio",
        ),
    ]


def _range_figures(found: Findings) -> list[Figure]:
    ranges = (found.some, found.missed, found.whole)
    return [
        Figure("recon.range_rows_per_s", found.some.rows_per_s, "rows/s"),
        Figure("recon.range_vs_bare_reads", found.some.cpu_s / found.floor.cpu_s, "ratio"),
        Figure("recon.range_rss_mib", max(each.peak_rss_mib for some in ranges for each in some.runs), "MiB", 128),
        Figure("recon.range_read_units_per_row", found.some.read_units_per_row, "read units"),
        Figure("recon.range_dynamodb_calls_per_1000", calls_per_1000(found.some, "BatchGetItem"), "calls", 21),
        Figure("recon.range_100k_lambda_s", found.whole.lambda_s(RANGE_ROWS), "s", _LAMBDA_LIMIT_S),
        Figure("recon.compare_36m_lambda_s", found.whole.lambda_s(LARGEST), "s"),
        Figure("recon.compare_36m_missed_only_lambda_s", found.some.lambda_s(LARGEST), "s"),
    ]


def _missed_figures(missed: Compared) -> list[Figure]:
    """What each missed user costs: a look-up of the link and the status and an event, all in batches."""
    asked = calls_per_1000(missed, "BatchGetItem", "SendMessageBatch")
    return [
        Figure("recon.all_missed_rows_per_s_of_one_range", missed.rows_per_s, "rows/s"),
        Figure(
            "recon.all_missed_rows_per_s",
            all_missed_rows_per_s(missed, side_by_side()),
            "rows/s",
            10 * _BEFORE,
            at_least=True,
        ),
        Figure("recon.all_missed_calls_per_1000", asked, "calls", 122),
    ]


def calls_per_1000(compared: Compared, *names: str) -> float:
    """How many calls of these names a thousand rows take."""
    return 1000 * sum(compared.asked.get(name, 0) for name in names) / compared.rows


# --- the parts ---


def _race(artifacts: Artifacts) -> Race:
    with _file_of(artifacts, _RACE_ROWS) as path:
        said = programs.run(artifacts, "bench.recon_race", [str(path), str(_RACE_ROUNDS)], function=_COMPARE)
    if said["rows"] != _RACE_ROWS:
        raise LocalError(f"{said['rows']} rows were read where there are {_RACE_ROWS}: the run is invalid.")
    return Race(
        said["rows"], {peer: [(pair[0], pair[1]) for pair in said["seconds"][peer]] for peer in said["seconds"]}
    )


def _parse(artifacts: Artifacts, rows: int) -> Read:
    with _file_of(artifacts, rows) as path:
        said = programs.run(artifacts, _WORKER, ["parse", str(path)], function=_COMPARE)
    if (said["rows"], said["bad"]) != (rows, 0):
        raise LocalError(f"{said['rows']} rows were read where there are {rows}: the run is invalid.")
    return Read(rows, _measured(said))


def _download(artifacts: Artifacts, stack: recon_stack.RealStack, rows: int) -> Download:
    file = stack.offer(rows)
    arguments = ["download", recon_stack.BUCKET, recon_stack.TABLE, file.url, file.name]
    said = programs.run(artifacts, _WORKER, arguments, settings=stack.settings(), function=_DOWNLOAD)
    if said.get("stored") != 1:
        raise LocalError(f"{file.name} was not stored ({said}): the run is invalid.")
    return Download(file.size, stack.check_stored(file), _measured(said))


class _Table:
    """The stand-in for AWS with a file of so many rows in its bucket, and the runs that ask it."""

    def __init__(self, artifacts: Artifacts, aws: Aws, rows: int, *, everybody_missed: bool) -> None:
        self._artifacts = artifacts
        self._aws = aws
        self._rows = rows
        self._everybody_missed = everybody_missed
        self._per_range = RANGE_ROWS

    def plan(self, per_range: int = RANGE_ROWS) -> Measured:
        """Forget what was, and plan the comparison of the file."""
        self._aws.ask("DELETE")
        self._per_range = per_range
        arguments = ["plan", "honnin-bench", *([str(per_range)] if per_range != RANGE_ROWS else [])]
        said = self._run(arguments, _PLAN)
        # The header is a line as well.
        if said["ranges"] != -(-(self._rows + 1) // per_range):
            raise LocalError(f"{self._rows} rows were cut into {said['ranges']} ranges: the run is invalid.")
        return _measured(said)

    def compare(self, recheck: str, *numbers: int) -> Compared:
        """Compare planned ranges, each in a process of its own, side by side."""
        before = Counter(self._aws.ask("GET")["asked"])
        queues = self._aws.queue_url("").rstrip("/")
        with contextlib.ExitStack() as started:
            running = [
                started.enter_context(
                    programs.Program(
                        self._artifacts,
                        _WORKER,
                        ["compare", "honnin-bench", "honnin-bench", queues, recheck, f"{number:05}"],
                        function=_COMPARE,
                        settings=self._aws.settings(),
                        log=f"range-{number}",
                    )
                )
                for number in numbers
            ]
            runs = [_measured(each.said()) for each in running]
        tally = self._aws.ask("GET")
        rows = [recon_data.rows_of(number, self._per_range, self._rows) for number in numbers]
        check_found(tally, rows, recheck=recheck, everybody_missed=self._everybody_missed)
        asked = {name: (number - before[name]) / len(numbers) for name, number in tally["asked"].items()}
        return Compared(sum(map(len, rows)) / len(numbers), runs, asked)

    def bare(self) -> Measured:
        """Ask for all links and statuses, and do no more."""
        said = self._run(["bare", "honnin-bench", str(self._rows)], _COMPARE)
        if said["items"] != 2 * self._rows:
            raise LocalError(f"{said['items']} items were read: the run is invalid.")
        return _measured(said)

    def _run(self, arguments: Sequence[str], function: str) -> dict[str, Any]:
        return programs.run(self._artifacts, _WORKER, arguments, settings=self._aws.settings(), function=function)


@contextlib.contextmanager
def _table(artifacts: Artifacts, rows: int, *, everybody_missed: bool = False) -> Iterator[_Table]:
    arguments = [str(rows), *(["--everybody-missed"] if everybody_missed else [])]
    with aws_process.running(artifacts.directory, "bench.recon_stand_in", arguments) as aws:
        yield _Table(artifacts, aws, rows, everybody_missed=everybody_missed)


def check_found(
    tally: Mapping[str, Any], rows: Sequence[range], *, recheck: str, everybody_missed: bool = False
) -> None:
    """LocalError unless exactly those were queued whom the ranges with these rows name, each once, where they belong.

    `tally` is `bench.recon_stand_in`'s.
    """
    named = sorted(each for some in rows for each in recon_data.ids(some))
    missed = {recon_data.id_of(each) for some in rows for each in recon_data.missed(some)}
    repairs = [each for each in named if everybody_missed or each in missed]
    rereads = [] if everybody_missed or recheck != "all" else [each for each in named if each not in missed]
    queued = {name: sorted(some) for name, some in tally["queued"].items()}
    if (queued.get("repairs", []), queued.get("rereads", [])) != (repairs, rereads):
        raise LocalError(f"Of {len(named):,} users, others were queued than should be: the run is invalid.")
    counts: Counter[str] = sum((Counter(each["counts"]) for each in tally["done"]), Counter())
    found = (counts["rows"], counts["webhookNeverReceived"], counts["reRead"])
    if found != (len(named), len(repairs), len(repairs) + len(rereads)):
        raise LocalError(f"Of {len(named):,} rows, others were counted ({dict(counts)}): the run is invalid.")


def _measured(said: Mapping[str, Any]) -> Measured:
    return Measured(said["wall_s"], said["cpu_s"], said["start_rss_mib"], said["peak_rss_mib"])


@contextlib.contextmanager
def _file_of(artifacts: Artifacts, rows: int) -> Iterator[Path]:
    """The file of so many rows on the disk, while the context lasts."""
    path = artifacts.directory / f"recon-{rows}.csv"
    content = recon_data.file_content(rows)
    try:
        with path.open("wb") as file:
            for block in content.blocks(0, content.size):
                file.write(block)
        yield path
    finally:
        path.unlink(missing_ok=True)
