"""What the recon bench prints."""

import statistics

from rich.console import Console
from rich.table import Table

from bench import recon

_PEERS = {
    "csv_reader": "csv.reader, checks nothing",
    "dictreader": "csv.DictReader, checks nothing",
    "powertools_csv": "Powertools CsvTransform, checks nothing",
    "polars": "polars, checks nothing, makes no Python objects",
    "polars_checked": "polars, every row by a regular expression, makes no Python objects",
}


def show(terminal: Console, found: recon.Findings) -> None:
    """Print all tables."""
    terminal.print(_race(found.race))
    terminal.print(_growth(found.growth))
    terminal.print(_downloads(found.downloads))
    worst = found.nothing_heard
    terminal.print(
        f"{worst.rows:,} rows of which not one was heard: {worst.wall_s:.1f} s ({worst.cpu_s:.1f} s of CPU), "
        f"{recon.calls(worst, 'SendMessageBatch'):,} batches of events and "
        f"{recon.calls(worst, 'BatchGetItem'):,} of links."
    )


def _race(race: recon.Race) -> Table:
    rounds = len(race.seconds["csv_reader"])
    title = f"honnin.recon.rows reads and checks {race.rows:,} rows; its peers, medians of {rounds} paired rounds"
    table = Table(title=title, title_justify="left")
    table.add_column("peer")
    for heading in ("ms", "ours ms", "ours is × as fast", "(least - most)"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, what in _PEERS.items():
        ours, theirs = zip(*race.seconds[name], strict=True)
        ratios = race.times_as_fast(name)
        table.add_row(
            what,
            f"{statistics.median(theirs) * 1000:.0f}",
            f"{statistics.median(ours) * 1000:.0f}",
            f"{statistics.median(ratios):.2f}",
            f"{min(ratios):.2f} - {max(ratios):.2f}",
        )
    return table


def _growth(growth: list[recon.Growth]) -> Table:
    title = "Growth: reading, and comparing with a ledger as large (in brackets: times the step before)"
    table = Table(title=title, title_justify="left")
    for heading in ("rows", "read s", "RSS MiB", "compare s", "CPU s", "RSS MiB", "pages", "items", "read units"):
        table.add_column(heading, justify="right", no_wrap=True)
    before: recon.Growth | None = None
    for each in growth:
        table.add_row(
            recon.short(each.rows),
            f"{each.parse.wall_s:.3f}" + _times(each.parse.wall_s, before.parse.wall_s if before else None),
            f"{each.parse.peak_rss_mib:.0f}",
            f"{each.wall_s:.2f}" + _times(each.wall_s, before.wall_s if before else None),
            f"{each.cpu_s:.2f}" + _times(each.cpu_s, before.cpu_s if before else None),
            f"{each.peak_rss_mib:.0f}" + _times(each.peak_rss_mib, before.peak_rss_mib if before else None),
            f"{each.asked['pages']:,}",
            f"{each.asked['items']:,}",
            f"{each.asked['half_read_units'] / 2:,.0f}",
        )
        before = each
    return table


def _downloads(downloads: list[recon.Download]) -> Table:
    table = Table(title="Downloading from the sandbox into ministack's S3", title_justify="left")
    for heading in ("MB", "parts", "s", "CPU s", "RSS at start", "peak RSS MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in downloads:
        measured = each.measured
        table.add_row(
            f"{each.size / 1e6:.0f}",
            f"{each.parts}",
            f"{measured.wall_s:.1f}",
            f"{measured.cpu_s:.1f}",
            f"{measured.start_rss_mib:.0f}",
            f"{measured.peak_rss_mib:.0f}",
        )
    return table


def _times(value: float, before: float | None) -> str:
    return f" (×{value / before:.1f})" if before else ""
