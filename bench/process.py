"""The process bench: one environment of the event processor, with a provider that takes 300 ms for each answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import aws_process, function_settings, programs
from bench.artifacts import Artifacts
from bench.figures import Figure
from local.steps import Steps

FUNCTION = "EventProcessorFunction"
"""Whose artifact is measured."""

PROVIDER_S = 0.3

_USERS = 40
_HINTS = 120

# What one environment can do is measured, and not the rate that all of them share.
_PARAMETERS = {"PayPayVerifiedStatuses": "COMPLETED", "LoopbackFiles": "true", "PayPayMaxCallsPerSecond": "1000"}


@dataclass(frozen=True)
class Part:
    """So many events, how long they took, what was asked of AWS by the calls' names, and how often PayPay was asked."""

    events: int
    wall_s: float
    calls: Mapping[str, int]
    reads: int

    @property
    def calls_per_event(self) -> float:
        """Calls to AWS, those that are made once for a batch included."""
        return sum(self.calls.values()) / self.events


@dataclass(frozen=True)
class Findings:
    """All that was measured. The parts are those of `bench.process_worker`."""

    batch_size: int
    changed: Part
    unchanged: Part
    one_user: Part
    settled: Part
    peak_rss_mib: float

    @property
    def reads_of_one_user(self) -> int:
        """PayPay's calls for all hints about one user, and for what is read later because of them."""
        return self.one_user.reads + self.settled.reads


def run(artifacts: Artifacts, steps: Steps) -> Findings:
    """Run it. LocalError when an event fails, or a user ends as something else."""
    batch_size = function_settings.batch_size("EventQueue")
    with (
        steps.step(f"Working off events, {batch_size} in a batch, PayPay takes {PROVIDER_S * 1000:.0f} ms"),
        aws_process.running(artifacts.directory, "bench.process_stand_in", [str(PROVIDER_S)]) as aws,
    ):
        said = programs.run(
            artifacts,
            "bench.process_worker",
            [str(_USERS), str(batch_size)],
            function=FUNCTION,
            settings=variables(aws.endpoint, aws.queue_url) | aws.settings(),
            log="process",
        )
    return findings(batch_size, said)


def variables(endpoint: str, queue_url: Callable[[str], str]) -> dict[str, str]:
    """What template.yaml puts into the function's environment, with the stand-in as AWS and as the providers."""
    parameters = _PARAMETERS | {"PayPayBaseUrl": f"{endpoint}/paypay", "VexoraBaseUrl": endpoint}
    return function_settings.variables(FUNCTION, parameters, queue_url)


def findings(batch_size: int, said: Mapping[str, Any]) -> Findings:
    """What the worker said."""
    parts = {name: Part(**said[name]) for name in ("changed", "unchanged", "one_user", "settled")}
    return Findings(batch_size, peak_rss_mib=said["peak_rss_mib"], **parts)


def figures(found: Findings) -> list[Figure]:
    """The figures, in the names of the issue."""
    some = (found.changed, found.unchanged)
    events, wall_s = sum(each.events for each in some), sum(each.wall_s for each in some)
    batches = sum(-(-each.events // found.batch_size) for each in some)
    return [
        Figure("process.events_per_s", events / wall_s, "events/s", 20, at_least=True),
        # The floor: of a batch of different users, at least one call to the provider is waited for.
        Figure("process.batch_vs_one_provider_call", wall_s / batches / PROVIDER_S, "ratio"),
        Figure("process.reads_for_120_of_one_user", found.reads_of_one_user, "reads", 10),
        Figure("process.aws_calls_per_event", found.unchanged.calls_per_event, "calls", 5),
        Figure("process.aws_calls_per_change", found.changed.calls_per_event, "calls", 7),
        Figure("process.aws_calls_for_120_of_one_user", sum(found.one_user.calls.values()), "calls"),
        Figure("process.peak_rss_mib", found.peak_rss_mib, "MiB"),
    ]


def show(terminal: Console, found: Findings) -> None:
    """Print what was measured."""
    title = f"One environment, {found.batch_size} events in a batch, PayPay takes {PROVIDER_S * 1000:.0f} ms"
    table = Table(title=title, title_justify="left")
    table.add_column("what")
    for heading in ("events", "s", "events/s", "PayPay", "AWS calls", "a event"):
        table.add_column(heading, justify="right", no_wrap=True)
    for what, each in (
        ("users who change", found.changed),
        ("users who do not", found.unchanged),
        (f"{_HINTS} hints about one user", found.one_user),
        ("what these have left for later", found.settled),
    ):
        table.add_row(
            what,
            f"{each.events}",
            f"{each.wall_s:.1f}",
            f"{each.events / each.wall_s:.1f}",
            f"{each.reads}",
            f"{sum(each.calls.values())}",
            f"{each.calls_per_event:.1f}",
        )
    terminal.print(table)
    for what, each in (("a change", found.changed), ("an unchanged user", found.unchanged)):
        calls = ", ".join(f"{name} {number / each.events:.1f}" for name, number in sorted(each.calls.items()))
        terminal.print(f"  {what}: {calls}")
