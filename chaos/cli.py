"""`python -m chaos [--schedules N] [--seed N] [--minutes M]`, and `--replay JSON` for one schedule."""

import argparse
import sys
import time
from collections import Counter

from chaos import checks, generate
from chaos.generate import Failure, Tally
from chaos.schedule import Schedule
from chaos.world import Injected, ViolationError, prepared

_KINDS = ("lost", "twice", "diverged")


def main() -> int:
    """Run the command: 0 when every schedule held."""
    options = _parser().parse_args()
    if options.replay is not None:
        return _replay(options.replay)
    begun = time.monotonic()
    swept, failure = generate.sweep()
    print(f"{swept.schedules:,} schedules: one life, every fault at every one of its calls")
    _print_injected(swept.injected)
    if failure:
        return _verdict(failure)
    begun = time.monotonic()

    def enough(tally: Tally) -> bool:
        spent = time.monotonic() - begun
        print(f"  {tally.schedules:,} of {options.schedules:,} schedules, {spent:.0f} s", flush=True)
        return spent > float(options.minutes) * 60

    tally, failure = generate.explore(options.schedules, seed_number=options.seed, enough=enough)
    _report(tally, time.monotonic() - begun, options.seed)
    return _verdict(failure)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="chaos", description="Play generated event streams with injected faults.")
    parser.add_argument("--schedules", type=_positive, default=10_000, help="how many (10000)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plays the same schedules (1)")
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long (60)")
    parser.add_argument("--replay", metavar="JSON", help="play one schedule, as printed for a failure; - reads it")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _replay(text: str) -> int:
    try:
        schedule = Schedule.from_json(sys.stdin.read() if text == "-" else text)
    except (ValueError, KeyError, TypeError) as error:
        print(f"this is no schedule: {error}", file=sys.stderr)
        return 2
    try:
        with prepared():
            calls, injected = checks.run(schedule)
    except ViolationError as violation:
        return _verdict(Failure(schedule, violation))
    print(f"calls: {_counts(calls)}")
    _print_injected(injected)
    return _verdict(None)


def _report(tally: Tally, seconds: float, seed: int) -> None:
    print(f"{tally.schedules:,} schedules ({len(tally.distinct):,} distinct), seed {seed}, {seconds:.0f} s")
    print(f"calls: {_counts(tally.calls)}")
    _print_injected(tally.injected)


def _print_injected(injected: Injected) -> None:
    print(f"faults injected: {sum(injected.values()):,}")
    for service in sorted({service for service, _, _ in injected}):
        mine = {(when, kind): count for (where, when, kind), count in injected.items() if where == service}
        told = ", ".join(f"{kind} {when} {count:,}" for (when, kind), count in sorted(mine.items()))
        print(f"  {service}: {told}")
    kinds: Counter[str] = Counter()
    for (_, _, kind), count in injected.items():
        kinds[kind] += count
    print(f"  in all: {_counts(kinds)}")


def _verdict(failure: Failure | None) -> int:
    found = {kind: int(failure is not None and failure.violation.kind == kind) for kind in _KINDS}
    print(f"{found['lost']} lost, {found['twice']} applied twice, {found['diverged']} diverged")
    if failure is None:
        return 0
    print(f"\n{failure.violation}\nThe smallest schedule found:")
    for step in (*failure.schedule.steps, *failure.schedule.faults):
        print(f"  {step}")
    print(f"Again: python -m chaos --replay '{failure.schedule.to_json()}'")
    return 1


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())
