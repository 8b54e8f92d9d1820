"""Schedules of the recon world, drawn by hypothesis."""

from collections.abc import Sequence

from hypothesis import strategies as st

from chaos import paypay_generate, recon_checks
from chaos.generate import Game, fault_at
from chaos.recon_schedule import CHANGES, SERVICES, Change, Compare, Download, Kill, Night, ReconSchedule, Step
from chaos.schedule import Echo, Fault, Wait, Work

# How many calls to each service a schedule usually makes: faults beyond are never met.
_REACH = {"dynamodb": 90, "transaction": 3, "s3": 150, "sqs": 16, "states": 10, "events": 4, "provider": 2, "file": 3}


def choices(service: str) -> list[tuple[str, str]]:
    """Each (kind, when) of a fault at a service."""
    meanwhile = [("worker", "before"), ("comparison", "before")]
    if service == "file":
        return [("lost", "before"), ("kill", "before"), ("kill", "after"), ("pause", "after"), *meanwhile]
    return [*paypay_generate.choices(service), *meanwhile]


def schedules() -> st.SearchStrategy[ReconSchedule]:
    """Up to 20 steps, many with a whole day as it mostly is among them, and up to six faults."""
    changes = _changes()
    some = st.lists(_steps(), max_size=5)
    return st.builds(
        lambda first, before, night, after, recheck_all, faults: ReconSchedule(
            (*first, *before, *(A_NIGHT if night else ()), *after), tuple(faults), recheck_all
        ),
        st.lists(changes, min_size=1, max_size=4),
        some,
        st.sampled_from([True, True, False]),
        some,
        st.sampled_from([True, True, False]),
        st.lists(faults(), max_size=6),
    )


def faults() -> st.SearchStrategy[Fault]:
    """One fault at one call: more often at a service that is called more often; half of them are crashes."""
    often = [*SERVICES, "dynamodb", "dynamodb", "s3", "sqs", "sqs", "sqs", "transaction", "provider", "provider"]
    return st.sampled_from(often).flatmap(
        lambda service: fault_at(service, _REACH.get(service, 1), [*choices(service), *_CRASHES])
    )


_CRASHES = (("kill", "before"), ("kill", "after")) * 5


def _changes() -> st.SearchStrategy[Step]:
    notifications = st.sampled_from(["sent", "lost", "lost", "late", "twice", "new_id"])
    return st.builds(Change, st.sampled_from([0, 0, 1, 2]), st.sampled_from(list(CHANGES)), notifications)


def _steps() -> st.SearchStrategy[Step]:
    work: st.SearchStrategy[Step] = st.builds(Work, st.integers(1, 6))
    return st.one_of(
        _changes(),
        st.builds(Wait, st.sampled_from([60, 1500, 4000, 8000, 40_000, 90_000])),
        work,
        st.builds(Echo, st.integers(0, 9)),
        st.builds(Night, st.sampled_from(["sent", "sent", "sent", "missing", "late"])),
        st.just(Download()),
        st.builds(Compare, st.sampled_from([1, 2, 3, 20, 20])),
        st.just(Kill()),
    )


# A day as it mostly is, with whatever happens between its parts.
A_NIGHT: tuple[Step, ...] = (Wait(40_000), Night(), Work(6), Download(), Compare(), Work(6))

# Two webhooks are lost and one is late; the executions are stopped in the middle, and others are started.
LIFE: tuple[Step, ...] = (
    Change(0, "flagged", "lost"),
    Change(1, "not_completed", "lost"),
    Change(2, "canceled", "late"),
    Wait(8000),
    Work(6),
    Night(),
    Work(6),
    Download(),
    Compare(5),
    Kill(),
    Download(),
    Compare(),
    Work(6),
    Wait(400),
    Compare(),
)


def _life(plan: Sequence[Fault]) -> ReconSchedule:
    return ReconSchedule(LIFE, tuple(plan))


RECON = Game("Recon", ReconSchedule, recon_checks.run, schedules, _life, SERVICES, choices)
