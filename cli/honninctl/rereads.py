"""Having many users read again: an execution of the state machine `RereadUsers`, which is followed, paused, resumed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from honninctl.deployment import Deployment
from honninctl.failures import CommandError, NotFoundError, UsageError
from honninctl.language import _, said

if TYPE_CHECKING:
    from honnin.reread.starting import Executions, Progress
    from honnin.store import Reread

# A segment of the table is read within minutes.
_USERS_OF_A_SEGMENT = 20_000
_MOST_SEGMENTS = 1000
_LEAST_SEGMENTS = 8

_WATCHED_EVERY_S = 5.0

# So long all users are counted at most; what is not counted by then is estimated.
_COUNTED_S = 10.0


@dataclass(frozen=True)
class Asked:
    """Whom an operator wants to be read again: those of a status, all, or those whom a file names; at which provider.

    `provider` is None for both.
    """

    status: str = ""
    everybody: bool = False
    file: str = ""
    provider: str | None = None


@dataclass(frozen=True)
class Plan:
    """A reread that has not begun, and of how many users in words: empty for all, where nobody has counted them."""

    reread: "Reread"
    users: str
    file: Path | None = None

    @property
    def summary(self) -> str:
        """What it will do, in a sentence."""
        reread = self.reread
        where = {"paypay": "PayPay", "vexora": "Vexora"}.get(reread.provider or "", _("PayPay and Vexora"))
        template = _("{users} users in all are read again at {where}, some thousands at a time, after all live events.")
        if not self.users:
            template = _("All users are read again at {where}, some thousands at a time, after all live events.")
        if self.file:
            template = _(
                "{users} users of {file} are read again at {where}, some thousands at a time, after all live events."
            )
        if reread.status:
            template = _(
                "{users} users with the status {status} are read again at {where}, some thousands at a time, after all "
                "live events."
            )
        file = self.file.name if self.file else ""
        return template.format(users=self.users, file=file, status=reread.status, where=where)


def plan(deployment: Deployment, asked: Asked, now: datetime) -> Plan:
    """What a reread would do. Changes nothing.

    Raises
    ------
    UsageError
        There is no such status or provider, or the status is not one of that provider's.
    NotFoundError
        There is no such file.
    """
    from honnin.store import Reread
    from honnin.store.rereads import Kind
    from honnin.times import utc_text

    overview = deployment.store.overview
    provider = _provider(asked)
    stamp = now.strftime("%Y%m%dt%H%M%Sz")
    facts: dict[str, Any] = {"started_at": utc_text(now), "provider": provider}
    if asked.status:
        name = f"reread-{provider}-{asked.status.lower()}-{stamp}"
        reread = Reread(name, Kind.STATUS, status=asked.status, **facts)
        return Plan(reread, str(overview.count(provider or "", asked.status)))
    if asked.file:
        path = Path(asked.file)
        if not path.is_file():
            raise NotFoundError(_("there is no file {file}").format(file=asked.file))
        with path.open("rb") as lines:
            users = sum(1 for each in lines if each.strip())
        return Plan(Reread(f"reread-file-{stamp}", Kind.FILE, **facts), str(users), path)
    number = _everybody(deployment, provider)
    segments = _MOST_SEGMENTS if number is None else number // _USERS_OF_A_SEGMENT
    segments = min(max(segments, _LEAST_SEGMENTS), _MOST_SEGMENTS)
    reread = Reread(f"reread-all-{stamp}", Kind.ALL, segments=segments, **facts)
    return Plan(reread, "" if number is None else _("About {number}").format(number=number))


def _everybody(deployment: Deployment, provider: str | None) -> int | None:
    """About how many users there are, by an index; None where it cannot say, which stops nobody from reading them."""
    from honnin.store.overview import IndexNotReadyError

    until = time.monotonic() + _COUNTED_S
    try:
        counts = deployment.store.overview.counts(lambda: time.monotonic() < until).users
    except IndexNotReadyError:
        return None
    return sum(number for (each, _), number in counts.items() if provider in (None, each))


def begin(deployment: Deployment, planned: Plan) -> str:
    """Start a reread; returns the name of its execution."""
    from honnin.reread.bucket import ids_key

    if planned.file:
        with planned.file.open("rb") as ids:
            deployment.client("s3").put_object(
                Bucket=deployment.output("ReconBucketName"), Key=ids_key(planned.reread.name), Body=ids
            )
    return _as_command_error(lambda: executions(deployment).begin(planned.reread))


def resume(deployment: Deployment, name: str) -> str:
    """Go on with one that was paused or has failed; returns the name of its next execution."""
    return _as_command_error(lambda: executions(deployment).resume(name))


def pause(deployment: Deployment, name: str) -> None:
    """Stop one: nothing more is sent."""
    _as_command_error(lambda: executions(deployment).pause(name))


def progress(deployment: Deployment, name: str) -> "Progress":
    """How far one is."""
    return _as_command_error(lambda: executions(deployment).progress(name, datetime.now(UTC)))


def watch(deployment: Deployment, name: str, *, sleep: Callable[[float], None] = time.sleep) -> "Iterator[Progress]":
    """How far one is, time and again, until it is running no more."""
    from honnin.reread.starting import State

    while True:
        found = progress(deployment, name)
        yield found
        if found.state is not State.RUNNING:
            return
        sleep(_WATCHED_EVERY_S)


def known(deployment: Deployment, most: int) -> "list[Progress]":
    """The newest rereads, the latest first."""
    return [progress(deployment, each.name) for each in deployment.store.rereads.all()[:most]]


def as_json(found: "Progress") -> dict[str, Any]:
    """For scripts."""
    reread = found.reread
    return {
        "name": reread.name,
        "state": found.state.value,
        "kind": reread.kind,
        "provider": reread.provider,
        "status": reread.status,
        "startedAt": reread.started_at,
        "users": reread.users,
        "sent": reread.sent,
        "done": reread.done,
        "open": reread.sent - reread.done,
        "skipped": reread.skipped,
        "read": reread.read,
        "changed": reread.changed,
        "notRead": reread.not_read,
        "gone": reread.gone,
        "left": reread.left,
        "perSecond": None if found.per_second is None else round(found.per_second, 2),
        "expectedEnd": found.expected_end,
    }


def executions(deployment: Deployment) -> "Executions":
    """The executions of the stack's state machine."""
    from honnin.reread.starting import Executions

    return Executions(deployment.store, deployment.output("RereadUsersArn"), deployment.client("stepfunctions"))


def _provider(asked: Asked) -> str | None:
    from honnin.store.overview import STATUSES

    if asked.provider and asked.provider not in STATUSES:
        raise UsageError(_("--provider must be one of: {join}").format(join=", ".join(sorted(STATUSES))))
    if not asked.status:
        return asked.provider
    having = [each for each, statuses in STATUSES.items() if asked.status in tuple(statuses)]
    if not having:
        every = sorted({str(each) for statuses in STATUSES.values() for each in statuses})
        raise UsageError(_("--status must be one of: {join}").format(join=", ".join(every)))
    if asked.provider and asked.provider not in having:
        raise UsageError(
            _("{status} is not a status of {provider}").format(status=asked.status, provider=asked.provider)
        )
    if not asked.provider and len(having) > 1:
        raise UsageError(
            _("{status} is a status of {join}: add --provider").format(status=asked.status, join=" and ".join(having))
        )
    return asked.provider or having[0]


def _as_command_error[R](call: Callable[[], R]) -> R:
    from honnin.reread.starting import RereadConflictError, UnknownRereadError

    try:
        return call()
    except UnknownRereadError as error:
        raise NotFoundError(said(str(error))) from None
    except RereadConflictError as error:
        raise CommandError(said(str(error))) from None
