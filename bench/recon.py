"""The recon bench: runs the parser, the download and the comparison, each in a process of its own, and checks them.

A run whose result is not exactly what it must be is void (LocalError): a fast wrong answer is no figure.
"""

import contextlib
import http.client
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import recon_data, recon_stack
from bench.artifacts import Artifacts
from bench.figures import Figure
from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS
from local.ports import LOOPBACK, free_port
from local.processes import LeashedProcess
from local.steps import Steps

FUNCTIONS = ("ReconCompareFunction", "ReconDownloadFunction")
"""Whose artifacts the measured processes import."""

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
"""The rows of a file, and the lines of its ledger, from step to step."""

_RACE_ROWS = 1_000_000
_RACE_ROUNDS = 7
_RUNS = 3
_LARGE = 10_000_000  # is run once
_CHECKED_ROWS = 10_000  # what ministack takes in seconds
_NOTHING_HEARD_ROWS = 20_000

# What a run may take at most; far more than it does, so that a busy machine spoils nothing.
_RUN_TIMEOUT_S = 900.0
_PREPARE_TIMEOUT_S = 300.0
_LAMBDA_LIMIT_S = 900.0

_SETTINGS = {
    "AWS_DEFAULT_REGION": environment.REGION,
    "AWS_REGION": environment.REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_SERVICE_NAME": "honnin",
}


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
class Growth:
    """The runs of one size; `asked` is what one comparison asked of AWS."""

    rows: int
    parse: Measured
    compare: list[Measured]
    asked: dict[str, int]

    @property
    def wall_s(self) -> float:
        """Seconds of a comparison, median."""
        return statistics.median(each.wall_s for each in self.compare)

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU of a comparison, median."""
        return statistics.median(each.cpu_s for each in self.compare)

    @property
    def peak_rss_mib(self) -> float:
        """Peak of the worst comparison."""
        return max(each.peak_rss_mib for each in self.compare)


@dataclass(frozen=True)
class Download:
    """A file fetched from the sandbox into ministack's S3."""

    size: int
    parts: int
    measured: Measured


@dataclass(frozen=True)
class Findings:
    """All that was measured."""

    race: Race
    growth: list[Growth]
    downloads: list[Download]
    nothing_heard: Growth


def run(artifacts: Artifacts, steps: Steps, largest: int) -> Findings:
    """Run everything, with files of up to `largest` rows. LocalError when a run fails or finds something else."""
    with steps.step(f"Reading {_RACE_ROWS:,} rows: ours, csv, Powertools, polars, {_RACE_ROUNDS} rounds in turn"):
        race = _race(artifacts)
    with recon_stack.running("bench") as stack:
        with steps.step(f"Comparing {_CHECKED_ROWS:,} rows on ministack"):
            real_results = _compare_on_ministack(artifacts, stack)
        sizes = [each for each in SIZES[-2:] if each <= largest] or [largest]
        with steps.step(f"Downloading {' and '.join(f'{each:,}' for each in sizes)} rows into ministack's S3"):
            downloads = [_download(artifacts, stack, rows) for rows in sizes]
    growth = [_grow(artifacts, steps, rows, real_results) for rows in SIZES if rows <= largest]
    with steps.step(f"Comparing {_NOTHING_HEARD_ROWS:,} rows when not one webhook was heard"):
        nothing_heard = _compare(artifacts, _NOTHING_HEARD_ROWS, 1, nothing_heard=True)
    return Findings(race, growth, downloads, nothing_heard)


def figures(found: Findings) -> list[Figure]:
    """Ratios to the peers, peaks and costs, in the names of the issue."""
    return [
        *_race_figures(found.race),
        *_download_figures(found.downloads),
        *(figure for each in found.growth for figure in _size_figures(each)),
        *_step_figures(found.growth),
        *_nothing_heard_figures(found.nothing_heard),
    ]


def short(rows: int) -> str:
    """A number of rows as the figures name it: 10k, 1m."""
    return f"{rows // 1_000_000}m" if rows >= 1_000_000 else f"{rows // 1000}k"


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


def _size_figures(growth: Growth) -> list[Figure]:
    size = short(growth.rows)
    is_large = growth.rows >= _LARGE
    return [
        Figure(f"recon.parse_{size}_rss_mib", growth.parse.peak_rss_mib, "MiB", 96),
        Figure(f"recon.parse_{size}_s", growth.parse.wall_s, "s"),
        Figure(f"recon.compare_{size}_rss_mib", growth.peak_rss_mib, "MiB", 512 if is_large else 256),
        Figure(f"recon.compare_{size}_s", growth.wall_s, "s", _LAMBDA_LIMIT_S),
        Figure(f"recon.compare_{size}_cpu_s", growth.cpu_s, "s"),
        Figure(f"recon.compare_{size}_pages", growth.asked["pages"], "pages"),
        Figure(f"recon.compare_{size}_items_read", growth.asked["items"], "items"),
        Figure(f"recon.compare_{size}_read_units", growth.asked["half_read_units"] / 2, "read units"),
        Figure(f"recon.compare_{size}_dynamodb_calls", calls(growth, "Query", "BatchGetItem"), "calls"),
    ]


def calls(growth: Growth, *names: str) -> int:
    """How many calls of these names one comparison made."""
    return sum(growth.asked.get(name, 0) for name in names)


def _step_figures(growth: Sequence[Growth]) -> list[Figure]:
    """How ten times the rows tell on the time and on the memory, at the last step."""
    if len(growth) < 2:
        return []
    before, after = growth[-2:]
    return [
        Figure("recon.compare_cpu_for_10_times_the_rows", after.cpu_s / before.cpu_s, "ratio"),
        Figure("recon.compare_rss_for_10_times_the_rows", after.peak_rss_mib / before.peak_rss_mib, "ratio"),
    ]


def _nothing_heard_figures(worst: Growth) -> list[Figure]:
    """What each missed user costs: a look-up of its link and an event, both in batches."""
    thousands = worst.rows / 1000
    asked = calls(worst, "BatchGetItem", "SendMessageBatch")
    return [
        Figure("recon.compare_s_per_1000_missed", worst.wall_s / thousands, "s"),
        Figure("recon.compare_cpu_s_per_1000_missed", worst.cpu_s / thousands, "s"),
        Figure("recon.compare_calls_per_1000_missed", asked / thousands, "calls"),
    ]


# --- the parts ---


def _race(artifacts: Artifacts) -> Race:
    with _file_of(artifacts, _RACE_ROWS) as path:
        said = _program(artifacts, "bench.recon_race", [str(path), str(_RACE_ROUNDS)])
    if said["rows"] != _RACE_ROWS:
        raise LocalError(f"{said['rows']} rows were read where there are {_RACE_ROWS}: the run is void.")
    return Race(
        said["rows"], {peer: [(pair[0], pair[1]) for pair in said["seconds"][peer]] for peer in said["seconds"]}
    )


def _compare_on_ministack(artifacts: Artifacts, stack: recon_stack.RealStack) -> list[dict[str, Any]]:
    """What the comparison found on a real table, for the stand-in to be held to."""
    stack.put_day(_CHECKED_ROWS)
    arguments = ["compare", recon_stack.BUCKET, recon_stack.TABLE, stack.queue_url]
    _program(artifacts, "bench.recon_worker", arguments, stack.settings(), FUNCTIONS[0])
    results = stack.results()
    _check_found(_CHECKED_ROWS, results, stack.repaired())
    return results


def _download(artifacts: Artifacts, stack: recon_stack.RealStack, rows: int) -> Download:
    file = stack.offer(rows)
    arguments = ["download", recon_stack.BUCKET, recon_stack.TABLE, file.url, file.name]
    said = _program(artifacts, "bench.recon_worker", arguments, stack.settings(), FUNCTIONS[1])
    if said.get("stored") != 1:
        raise LocalError(f"{file.name} was not stored ({said}): the run is void.")
    return Download(file.size, stack.check_stored(file), _measured(said))


def _grow(artifacts: Artifacts, steps: Steps, rows: int, real_results: list[dict[str, Any]]) -> Growth:
    with steps.step(f"Reading {rows:,} rows"), _file_of(artifacts, rows) as path:
        said = _program(artifacts, "bench.recon_worker", ["parse", str(path)])
    if (said["rows"], said["bad"]) != (rows, 0):
        raise LocalError(f"{said['rows']} rows were read where there are {rows}: the run is void.")
    runs = 1 if rows >= _LARGE else _RUNS
    with steps.step(f"Comparing {rows:,} rows with a ledger of {rows:,}{' (some minutes)' if rows >= _LARGE else ''}"):
        found = _compare(artifacts, rows, runs, real_results=real_results if rows == _CHECKED_ROWS else None)
    return Growth(rows, _measured(said), found.compare, found.asked)


def _compare(
    artifacts: Artifacts,
    rows: int,
    runs: int,
    *,
    nothing_heard: bool = False,
    real_results: list[dict[str, Any]] | None = None,
) -> Growth:
    measured, tally = [], {}
    with _stand_in(artifacts, rows, nothing_heard=nothing_heard) as aws:
        for _ in range(runs):
            aws.ask("DELETE")
            arguments = ["compare", "honnin-bench", "honnin-bench", f"{aws.endpoint}/000000000000/honnin-bench"]
            said = _program(artifacts, "bench.recon_worker", arguments, aws.settings(), FUNCTIONS[0])
            tally = aws.ask("GET")
            _check_found(rows, tally["results"], tally["repaired"], nothing_heard=nothing_heard)
            measured.append(_measured(said))
    if real_results is not None and tally["results"] != real_results:
        raise LocalError("The comparison found something else on the stand-in than on ministack: the run is void.")
    return Growth(rows, measured[-1], measured, tally["asked"])


def _check_found(
    rows: int, results: Sequence[Mapping[str, Any]], repaired: Sequence[str], *, nothing_heard: bool = False
) -> None:
    """LocalError unless exactly those were found who are missing, and each was queued once."""
    expected = recon_data.missed_ids(rows, nothing_heard=nothing_heard)
    reported = [each for result in results for each in result["missed"]]
    matched = sum(result["matched"] for result in results)
    extra = sum(result["extra"] for result in results)
    if set(reported) != expected or sorted(reported) != sorted(repaired) or len(reported) != len(expected):
        raise LocalError(f"Of {len(expected)} missed users, others were found or queued: the run is void.")
    if (matched, extra) != (rows - len(expected), 0 if nothing_heard else len(expected)):
        raise LocalError(f"{matched} of {rows} rows were matched and {extra} lines were extra: the run is void.")


# --- processes ---


class _Aws:
    """The stand-in, running."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.endpoint = f"http://{LOOPBACK}:{port}"

    def settings(self) -> dict[str, str]:
        """The variables by which a process reaches it; any credentials do."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "ASIABENCHBENCHBENCH0",
            "AWS_SECRET_ACCESS_KEY": "a-key-of-the-usual-length-for-the-bench-",
        }

    def ask(self, method: str) -> dict[str, Any]:
        """Read (GET) or forget (DELETE) what was asked of it."""
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=60)
        try:
            connection.request(method, "/tally")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        finally:
            connection.close()


@contextlib.contextmanager
def _stand_in(artifacts: Artifacts, rows: int, *, nothing_heard: bool) -> Iterator[_Aws]:
    aws = _Aws(port := free_port())
    process = LeashedProcess(
        TOOLS / "bin" / "python",
        ["bench.recon_stand_in", str(port), str(rows), *(["--nothing-heard"] if nothing_heard else [])],
        env=environment.bare(artifacts.directory, venv=TOOLS) | {"PYTHONPATH": str(ROOT)},
        log=artifacts.directory / "recon-stand-in.log",
        cwd=ROOT,
    )
    with process:
        deadline = time.monotonic() + _PREPARE_TIMEOUT_S
        while True:
            try:
                aws.ask("GET")
                break
            except OSError:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise LocalError(f"The stand-in for AWS did not start: read {process.log}.") from None
                time.sleep(0.1)
        yield aws


def _program(
    artifacts: Artifacts,
    module: str,
    arguments: Sequence[str],
    settings: Mapping[str, str] | None = None,
    function: str = FUNCTIONS[0],
) -> dict[str, Any]:
    """Run a module of ours under the runtime's interpreter with a function's artifacts; the JSON that it ends with."""
    path = f"{artifacts.task(function)}:{artifacts.layer}:{ROOT}"
    process = LeashedProcess(
        artifacts.python,
        [module, *arguments],
        env=environment.bare(artifacts.directory, venv=TOOLS) | _SETTINGS | dict(settings or {}) | {"PYTHONPATH": path},
        log=artifacts.directory / "recon-run.log",
        cwd=ROOT,
    )
    with process:
        exit_code = process.wait(_RUN_TIMEOUT_S)
    if exit_code:
        raise LocalError(f"{module} failed ({process.last_words()}): read {process.log}.")
    said: dict[str, Any] = json.loads(process.log.read_text(encoding="utf-8").splitlines()[-1])
    return said


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
