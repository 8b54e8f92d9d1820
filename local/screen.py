"""What `make run` shows: steps with their times, the users' table, the URLs."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import description, differences, providers
from local.demo import Result, TimelineEntry
from local.paths import ROOT, env_file
from local.stack import Stack

_PLAIN_WIDTH = 80
_SHOWN_CHARACTERS = 60
_SHOWN_OUTPUTS = (
    "WebhookApiUrl",
    "EventQueueUrl",
    "DeadLetterQueueUrl",
    "StateTableName",
    "PersonalDataBucketName",
    "ReconBucketName",
)


def console() -> Console:
    """The terminal, or plain lines of a fixed width where there is none."""
    terminal = Console(highlight=False, emoji=False)
    if terminal.is_terminal:
        return terminal
    return Console(highlight=False, emoji=False, width=_PLAIN_WIDTH, color_system=None)


class ShownSteps:
    """Each step with a spinner while it lasts and its duration after (Steps)."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Show `title` while the context lasts."""
        begun = time.monotonic()
        if self._screen.is_terminal:
            with self._screen.status(f"{title} …"):
                yield
            self._screen.print(f"[green]✓[/] {title} [dim]{time.monotonic() - begun:.1f} s[/]")
        else:
            self._screen.print(f"{title} …")
            yield
            self._screen.print(f"  done in {time.monotonic() - begun:.1f} s")


def show_results(screen: Console, results: Sequence[Result]) -> None:
    """The table: one row per user."""
    table = Table(title="Users, as the merchant API gives them", show_lines=True, title_justify="left")
    for heading, width in (("user", 17), ("expected, and got", 20)):
        table.add_column(heading, overflow="fold", max_width=max(width, screen.width // 4 - 3))
    table.add_column("timeline (UTC, newest first)", overflow="fold", ratio=1)
    for result in results:
        mark = "[green]✓[/]" if result.ok else "[bold red]✗[/]"
        history = "\n".join(_line(entry) for entry in result.timeline) or "none"
        got = "as expected" if result.ok else f"[bold red]got:[/] {escape(result.got)}"
        table.add_row(f"{mark} {result.user_id}\n{result.scene}", f"{escape(result.expected)}\n{got}", history)
    screen.print(table)
    wrong = [result.user_id for result in results if not result.ok]
    if wrong:
        screen.print(f"[bold red]Not as expected:[/] {', '.join(wrong)}")
    else:
        screen.print(f"[green]All {len(results)} scenes ended as expected.[/]")


def show_differences(screen: Console, stack: Stack) -> None:
    """Show what differs from production, so that the local stack is not mistaken for it."""
    table = Table(title="What differs here from production", title_justify="left")
    for heading in ("what", "production's default", "here", "why"):
        table.add_column(heading, overflow="fold")
    # Several statements of one policy differ in the same way: once is enough.
    for each in dict.fromkeys((*differences.of_parameters(stack.settings), *differences.of_template())):
        table.add_row(each.what, _short(each.production), _short(each.here), each.why)
    screen.print(table)
    seed = "none" if stack.sandbox_seed is None else stack.sandbox_seed
    screen.print(
        f"The sandbox varies its answers by the seed {seed}; to repeat this: {providers.SEED_VARIABLE}={seed} make run"
    )


def _short(value: str) -> str:
    # A list of brackets is no mark-up.
    return escape(value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}…") or "(empty)"


def show_recon(screen: Console, files: Sequence[Mapping[str, Any]]) -> None:
    """The recon report: one row per file, and whose status changed."""
    table = Table(
        title="Recon: PayPay's daily files, and what reading their users again has changed", title_justify="left"
    )
    counts = {"rows": "rows", "reRead": "read again", "changed": "changed", "notRead": "not read"}
    table.add_column("file", overflow="fold", ratio=3)
    table.add_column("state, and users", overflow="fold", ratio=2)
    table.add_column("whose status changed", overflow="fold", ratio=3)
    for file in files:
        numbers = "\n".join(f"{(file['counts'] or {}).get(name, '-')} {heading}" for name, heading in counts.items())
        changed = "\n".join(f"{each['userId']}: {each['from']} → {each['to']}" for each in file["changed"]) or "nobody"
        table.add_row(file["fileName"], f"{file['state']}\n{numbers}", changed)
    screen.print(table)


def show_addresses(screen: Console, described: Mapping[str, Any]) -> None:
    """Where things are, of a stack's description; and what makes a shell ready, to paste or to read from its file."""
    outputs = described["outputs"]
    addresses = {key: outputs[key] for key in _SHOWN_OUTPUTS if key in outputs}
    if described["sandboxUrl"]:
        addresses["Sandbox page"] = f"{described['sandboxUrl']}/"
        addresses["Sandbox journal"] = f"{described['sandboxUrl']}/_sandbox/journal"
    for name, address in addresses.items():
        # An address is never broken: it is copied.
        apart = "\n  " if len(name) + len(address) + 2 > screen.width else ": "
        screen.print(f"{name}{apart}{address}", soft_wrap=True, markup=False)
    place = env_file(described["name"]).relative_to(ROOT)
    screen.print(f"For your shell, to paste, or read with `. {place}`:", soft_wrap=True, markup=False)
    for line in description.exports(described).splitlines():
        # A shell puts such a line together again.
        shown = line if len(line) <= screen.width else line.replace("=", "=\\\n", 1)
        screen.print(shown, soft_wrap=True, markup=False)
    screen.print("Look at it with honninctl (honninctl --help; honninctl console):")
    screen.print("  .venv/bin/honninctl recon calendar")


def _line(entry: TimelineEntry) -> str:
    moved = entry.moved_to and entry.moved_to != entry.moved_from
    move = f"{entry.moved_from or '-'} → {entry.moved_to}" if moved else f"{entry.what}, no change"
    return f"{entry.at[11:19]} {entry.cause}: {move}"
