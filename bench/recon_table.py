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
    terminal.print(_files(found))
    terminal.print(_ranges(found))
    ranges = recon.side_by_side()
    terminal.print(
        f"A day on which everybody is missed: {found.missed.rows_per_s:,.0f} rows a second of CPU in each of "
        f"{len(found.missed.runs)} processes side by side. The engine has {ranges} ranges side by side, each with a "
        f"CPU of its own: {ranges * found.missed.rows_per_s:,.0f}; the table gives "
        f"{recon.all_missed_rows_per_s(found.missed, 10**9):,.0f} at most."
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


def _files(found: recon.Findings) -> Table:
    table = Table(
        title="Whole files: read from the disk, downloaded into ministack's S3, planned", title_justify="left"
    )
    table.add_column("what")
    for heading in ("rows or MB", "s", "CPU s", "RSS at start", "peak RSS MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    rows = [("read", recon.short(each.rows), each.measured) for each in found.parsed]
    rows += [(f"download, {each.parts} parts", f"{each.size / 1e6:.0f} MB", each.measured) for each in found.downloads]
    rows += [("plan", recon.short(each.rows), each.measured) for each in found.planned]
    for what, size, each in rows:
        rss = (f"{each.start_rss_mib:.0f}", f"{each.peak_rss_mib:.0f}")
        table.add_row(what, size, f"{each.wall_s:.2f}", f"{each.cpu_s:.2f}", *rss)
    return table


def _ranges(found: recon.Findings) -> Table:
    table = Table(title="Ranges that are compared", title_justify="left")
    table.add_column("what")
    for heading in ("rows", "CPU s", "rows/s of CPU", "peak RSS MiB", "DynamoDB calls", "read units", "SQS calls"):
        table.add_column(heading, justify="right", no_wrap=True)
    for what, each in (
        ("one in a thousand missed, the others left out", found.some),
        ("everybody missed, side by side", found.missed),
        ("of the largest file, everybody read again", found.whole),
    ):
        table.add_row(
            what,
            f"{each.rows:,.0f}",
            f"{each.cpu_s:.1f}",
            f"{each.rows_per_s:,.0f}",
            f"{max(run.peak_rss_mib for run in each.runs):.0f}",
            f"{each.asked.get('BatchGetItem', 0):,.0f}",
            f"{each.read_units_per_row * each.rows:,.0f}",
            f"{each.asked.get('SendMessageBatch', 0):,.0f}",
        )
    floor = found.floor
    table.add_row("the same reads as the first, bare boto3", "", f"{floor.cpu_s:.1f}", *[""] * 5)
    return table
