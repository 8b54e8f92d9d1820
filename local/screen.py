"""What `make run` shows: steps with their times, the users' table, the URLs."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from local import deployment, differences, providers
from local.demo import Result, TimelineEntry
from local.stack import Stack

_PLAIN_WIDTH = 120
_SHOWN_CHARACTERS = 60
_SHOWN_OUTPUTS = (
    "MerchantApiUrl",
    "WebhookApiUrl",
    "EventQueueUrl",
    "DeadLetterQueueUrl",
    "StateTableName",
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
    for heading in ("user", "expected", "got"):
        table.add_column(heading, overflow="fold")
    table.add_column("timeline (UTC, newest first)", no_wrap=True)
    for result in results:
        mark = "[green]✓[/]" if result.ok else "[bold red]✗[/]"
        history = "\n".join(_line(entry) for entry in result.timeline) or "none"
        got = "as expected" if result.ok else result.got
        table.add_row(f"{mark} {result.user_id}\n{result.scene}", result.expected, got, history)
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
    table.add_column("file", overflow="fold")
    counts = {"rows": "rows", "reRead": "read again", "changed": "changed", "notRead": "not read"}
    for heading in ("state", *counts.values()):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("whose status changed", overflow="fold")
    for file in files:
        shown = [str((file["counts"] or {}).get(name, "-")) for name in counts]
        changed = "\n".join(f"{each['userId']}: {each['from']} → {each['to']}" for each in file["changed"]) or "nobody"
        table.add_row(file["fileName"], file["state"], *shown, changed)
    screen.print(table)


def show_addresses(screen: Console, stack: Stack) -> None:
    """Where things are, each on a line of its own that can be copied."""
    addresses = {"AWS endpoint (ministack)": stack.endpoint}
    addresses |= {key: stack.outputs[key] for key in _SHOWN_OUTPUTS if key in stack.outputs}
    addresses["Sandbox page"] = f"{stack.sandbox_url}/"
    addresses["Sandbox dials"] = f"{stack.sandbox_url}/_sandbox/dials/vexora"
    addresses["Sandbox journal"] = f"{stack.sandbox_url}/_sandbox/journal"
    addresses["Merchant access key"] = f"{stack.merchant.access_key.key_id}:{stack.merchant.access_key.secret}"
    for name, address in addresses.items():
        screen.print(f"{name:<26}{address}", soft_wrap=True)
    screen.print("Look at it with honninctl (honninctl --help; honninctl console):")
    screen.print(f"  {_honninctl(stack)} recon calendar", soft_wrap=True)


def _honninctl(stack: Stack) -> str:
    """How the operator's CLI is called against this stack."""
    variables = {
        "HONNIN_STACK": deployment.STACK_NAME,
        "HONNIN_ENDPOINT": stack.endpoint,
        "AWS_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": stack.deployer.key_id,
        "AWS_SECRET_ACCESS_KEY": stack.deployer.secret,
    }
    return " ".join([*(f"{name}={value}" for name, value in variables.items()), ".venv/bin/honninctl"])


def _line(entry: TimelineEntry) -> str:
    moved = entry.moved_to and entry.moved_to != entry.moved_from
    move = f"{entry.moved_from or '-'} → {entry.moved_to}" if moved else f"{entry.what}, no change"
    return f"{entry.at[11:19]} {entry.cause}: {move}"
