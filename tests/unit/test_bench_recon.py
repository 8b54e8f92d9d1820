"""The recon bench's own day and stand-in: a bench that checks against wrong numbers would prove nothing.

What it counts and is no time is a budget here as well.
"""

import json
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bench import figures, recon, recon_data, recon_worker, stand_in
from bench.figures import Figure
from bench.recon import Compared, Measured
from bench.recon_stand_in import ReconServices
from honnin.recon import plan
from honnin.recon.rows import Rows
from local.errors import LocalError

_ROWS = 2_345
_PER_RANGE = 1_000
_RANGES = 3


class Bench:
    """A small file, planned in three ranges, on the stand-in in this process."""

    def __init__(self, services: ReconServices, endpoint: str) -> None:
        self.services = services
        self._queues = f"{endpoint}/000000000000"
        self._expected = [recon_data.rows_of(number, _PER_RANGE, _ROWS) for number in range(_RANGES)]
        assert recon_worker.plan("bucket", str(_PER_RANGE)) == {"ranges": _RANGES}

    def compare(self, recheck: str) -> Counter[str]:
        """Compare all ranges; what was asked of AWS for that."""
        self.services.asked.clear()
        names = [f"{number:05}" for number in range(_RANGES)]
        assert recon_worker.compare("bucket", "table", self._queues, recheck, *names) == {"ranges": _RANGES}
        return self.services.asked

    def check(self, recheck: str, *, everybody_missed: bool = False) -> None:
        """Check it as the bench does."""
        tally = json.loads(json.dumps(self.services.tally()))
        recon.check_found(tally, self._expected, recheck=recheck, everybody_missed=everybody_missed)


@pytest.fixture(params=[False])
def bench(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, aws_environment: None, fresh_caches: None
) -> Iterator[Bench]:
    services = ReconServices(_ROWS, everybody_missed=request.param)
    with stand_in.serving(services) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        yield Bench(services, endpoint)


def test_the_rows_of_ranges_are_those_of_the_file() -> None:
    content = recon_data.file_content(_ROWS)
    listed = [each.decode() for ids in Rows(content.blocks(0, content.size)) for each in ids]
    ranges = [recon_data.rows_of(number, _PER_RANGE, _ROWS) for number in range(_RANGES)]
    assert [each for some in ranges for each in recon_data.ids(some)] == listed
    assert [recon_data.id_of(each) for each in (0, 1, _ROWS - 1)] == [listed[0], listed[1], listed[-1]]
    assert [each for some in ranges for each in recon_data.missed(some)] == [501, 1501]


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("recheck", ["missed", "all"])
def test_the_comparison_finds_on_the_stand_in_what_the_bench_expects(bench: Bench, recheck: str) -> None:
    bench.compare(recheck)
    bench.check(recheck)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("bench", [True], indirect=True)
def test_everybody_can_be_missed(bench: Bench) -> None:
    bench.compare("all")
    bench.check("all", everybody_missed=True)
    assert bench.services.queued.keys() == {"repairs"}


@pytest.mark.parametrize("spoilt", ["nothing", "left out", "twice", "wrong queue", "not counted"])
def test_a_run_that_finds_something_else_is_invalid(spoilt: str) -> None:
    rows = [range(400, 1600)]
    missed = [recon_data.id_of(each) for each in (501, 1501)]
    repairs, rereads = list(missed), [each for each in recon_data.ids(rows[0]) if each not in missed]
    done = [{"counts": {"rows": 1200, "webhookNeverReceived": 2, "reRead": 1200}}]
    match spoilt:
        case "left out":
            rereads.pop()
        case "twice":
            repairs *= 2
        case "wrong queue":
            rereads.append(repairs.pop())
        case "not counted":
            done.clear()
    tally = {"queued": {"repairs": repairs, "rereads": rereads}, "done": done}
    with nullcontext() if spoilt == "nothing" else pytest.raises(LocalError, match="the run is invalid"):
        recon.check_found(tally, rows, recheck="all")


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_range_keeps_to_its_budget_of_calls(bench: Bench) -> None:
    asked = bench.compare("all")
    # A hundred keys in a call, for links and for statuses; ten events in a call; each range rounds up.
    assert asked["BatchGetItem"] <= 2 * (_ROWS / 100 + _RANGES)
    assert asked["SendMessageBatch"] <= _ROWS / 10 + 2 * _RANGES
    # Is it done, is it known, the file's part, and the plan itself; what was found, and that it is done.
    assert (asked["GetObject"], asked["PutObject"], asked["GetItem"]) == (3 * _RANGES + 1, 2 * _RANGES, _RANGES)
    # A link and a status, each half a unit.
    assert asked["half_read_units"] == 2 * _ROWS + 2 * _RANGES


def test_a_plan_takes_as_much_memory_for_thirty_times_the_rows() -> None:
    peaks = []
    for rows in (100_000, 3_000_000):
        content = recon_data.file_content(rows)
        pieces = content.blocks(0, content.size)
        tracemalloc.start()
        found = sum(1 for _ in plan.ranges(pieces, recon.RANGE_ROWS))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert found == rows // recon.RANGE_ROWS + 1
    assert max(peaks) < 4 * 1024 * 1024


def test_the_bench_cuts_a_file_as_the_engine_does() -> None:
    assert plan.write.__defaults__ == (recon.RANGE_ROWS,)
    assert recon.side_by_side() == 40


def test_the_stand_in_reads_a_range_of_one_version_only() -> None:
    content = recon_data.file_content(_ROWS)
    services = ReconServices(_ROWS)
    assert services.size(recon_data.KEY) == content.size
    assert b"".join(services.content(recon_data.KEY, 10, 100)) == b"".join(content.blocks(10, 100))
    with pytest.raises(KeyError):
        services.call("Scan", {})


def test_ranges_side_by_side_are_as_fast_as_their_cpus_until_the_table_gives_no_more() -> None:
    runs = [Measured(2.0, cpu_s, 40.0, 90.0) for cpu_s in (1.0, 2.0, 3.0)]
    compared = Compared(1000, runs, {"half_read_units": 2000})
    assert (compared.rows_per_s, compared.read_units_per_row) == (500.0, 1.0)
    assert recon.all_missed_rows_per_s(compared, 40) == 20_000
    assert recon.all_missed_rows_per_s(compared, 1000) == 40_000


def test_lambda_seconds_are_those_of_the_cpu_and_of_the_counted_calls() -> None:
    asked: dict[str, Any] = {"BatchGetItem": 80, "SendMessageBatch": 8, "GetObject": 2, "half_read_units": 9}
    compared = Compared(1000, [Measured(9.0, 3.0, 40.0, 90.0)], asked)
    # 80 calls of 10 ms and 8 of 20 ms, eight at once each; two of 150 ms for a range, whose rows are 100,000.
    assert compared.lambda_s(100_000) == pytest.approx(100 * (3.0 + 0.1 + 0.02) + 0.3)


@pytest.mark.parametrize(("value", "holds"), [(1.9, False), (2.0, True), (2.1, True)])
def test_a_figure_may_have_a_least_target(value: float, holds: bool, tmp_path: Path) -> None:
    figure = Figure("recon.parse_vs_csv_reader", value, "times as fast", 2.0, at_least=True)
    assert figure.holds is holds

    figures.write([figure], tmp_path / "bench.json")
    [written] = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert (written["at_least"], written["holds"]) == (True, holds)
