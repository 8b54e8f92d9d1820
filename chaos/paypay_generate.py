"""Schedules of the PayPay world, drawn by hypothesis."""

from hypothesis import strategies as st

from chaos import generate, paypay_checks
from chaos.generate import Game, aws_choices, fault_at, works
from chaos.paypay_schedule import (
    CHANGES,
    KINDS,
    LAGS_S,
    LIVES_S,
    NOTIFICATIONS,
    PROVIDER_FAILURES,
    REDIRECTS,
    SCOPES,
    SERVICES,
    Change,
    Extend,
    Link,
    Notify,
    PayPaySchedule,
    Read,
    Step,
)
from chaos.schedule import FAILURES, Echo, Fault, Poll, Rotate, Wait, Work

# How many calls to each service a schedule usually makes: faults beyond are never met.
_REACH = {"dynamodb": 50, "transaction": 15, "s3": 3, "sqs": 16, "events": 5, "secrets": 4, "provider": 10}


def schedules() -> st.SearchStrategy[PayPaySchedule]:
    """Up to 21 steps with two to twelve faults: of one user with much going on, of up to three, or a race."""
    return st.one_of(_races(), _schedules_of(st.just(0)), _schedules_of(st.sampled_from([0, 0, 0, 1, 1, 2])))


def _races() -> st.SearchStrategy[PayPaySchedule]:
    """A worker pauses just before a write; meanwhile the user changes and another worker takes the notification."""
    links = st.builds(Link, st.just(0), st.integers(0, 2))
    changes = st.builds(Change, st.just(0), st.sampled_from(CHANGES))
    steps = st.tuples(links, changes, st.just(Work()), changes, st.just(Work()))
    # The first two transactions are those of the link.
    pauses = st.builds(
        Fault, st.just("transaction"), st.integers(2, 4), st.just("before"), st.just("pause"), st.just(2)
    )
    plans = st.builds(lambda pause, rest: (pause, *rest), pauses, st.lists(faults(), max_size=3))
    return st.builds(PayPaySchedule, steps, plans)


def _schedules_of(users: st.SearchStrategy[int]) -> st.SearchStrategy[PayPaySchedule]:
    links = st.builds(
        Link,
        users,
        st.integers(0, len(SCOPES) - 1),
        st.sampled_from([*REDIRECTS, "once", "once"]),
        st.sampled_from(LIVES_S),
    )
    sent = st.sampled_from([*NOTIFICATIONS, "sent", "sent"])
    changes = st.builds(Change, users, st.sampled_from(CHANGES), sent, st.sampled_from(LAGS_S))
    notifications = st.builds(Notify, users, st.sampled_from([*KINDS, "kyc", "risk"]), st.integers(1, 2), st.booleans())
    work = works()
    rare: st.SearchStrategy[Step] = st.one_of(
        st.builds(Echo, st.integers(0, 9)),
        st.builds(Read, users),
        st.builds(Extend, users),
        st.just(Rotate()),
        st.just(Poll()),
        st.builds(Wait, st.sampled_from([1, 60, 900, 3600])),
    )
    steps: st.SearchStrategy[Step] = st.one_of(changes, changes, notifications, work, work, work, links, rare)
    many = st.lists(steps, min_size=5, max_size=20)
    started = st.builds(lambda first, rest: (first, *rest), links, many)
    return st.builds(PayPaySchedule, started, st.lists(faults(), min_size=2, max_size=12).map(tuple))


def faults() -> st.SearchStrategy[Fault]:
    """One fault at one call: more often at a service that is called more often."""
    return st.sampled_from([*SERVICES, "dynamodb", "transaction", "transaction", "provider"]).flatmap(_faults_of)


def _faults_of(service: str) -> st.SearchStrategy[Fault]:
    return fault_at(service, _REACH[service], choices(service))


def choices(service: str) -> list[tuple[str, str]]:
    """Each (kind, when) of a fault at a service."""
    if service != "provider":
        return aws_choices(service)
    before_only = ("throttled", "unexpected", *(each for each in PROVIDER_FAILURES if each != "dead"))
    return generate.choices([*FAILURES, *PROVIDER_FAILURES], before_only)


# One user's whole life: linked, flagged, cleared, a lost redirect healed, an account closed and open again.
LIFE = (
    Link(0),
    Change(0, "kyc_undone"),
    Change(0, "flagged", "twice"),
    Work(),
    Link(1, 0, "lost"),
    Notify(1, "unrecognised"),
    Change(1, "kyc_undone"),
    Notify(1, "recon"),
    Work(order="reversed"),
    Change(0, "cleared"),
    Change(0, "kyc_done"),
    Change(1, "inactive"),
    Work(),
    Change(1, "active"),
    Read(0),
    Link(2, 4, "once", 3600),
    Extend(2),
    Change(2, "kyc_unconfirmed"),
    Read(2),
    Poll(),
    Work(),
)


PAYPAY = Game(
    "PayPay",
    PayPaySchedule,
    paypay_checks.run,
    schedules,
    lambda faults: PayPaySchedule(LIFE, tuple(faults)),
    SERVICES,
    choices,
)
