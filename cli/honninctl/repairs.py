"""Repairs and rereads as an operator sees them: stopped or not, the counts, the mappings, what waits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from honninctl import dead_letters
from honninctl.deployment import Deployment
from honninctl.failures import CommandError
from honninctl.language import _

if TYPE_CHECKING:
    from honnin.store import Counted, Losses

# By queue: the mapping's logical id in template.yaml, and the output with the queue's URL.
_MAPPINGS = {"repairs": "RepairSource", "rereads": "RereadSource"}
_URLS = {"repairs": "RepairQueueUrl", "rereads": "RereadQueueUrl"}

# Lambda takes half a minute to enable or disable a mapping, and refuses the next change meanwhile.
_PATIENCE_S = 90
_AGAIN_S = 3

ENABLED = "Enabled"


@dataclass(frozen=True)
class State:
    """How repairs and rereads stand. `mappings` holds Lambda's word for each queue's event source mapping."""

    counted: "Counted"
    mappings: Mapping[str, str]

    @property
    def is_running(self) -> bool:
        """Whether repairs and rereads are processed."""
        return self.counted.stop is None and all(each in (ENABLED, "Enabling") for each in self.mappings.values())

    def as_json(self) -> dict[str, Any]:
        """The answer of `repairs status`."""
        stop = self.counted.stop
        return {
            "running": self.is_running,
            "stop": {
                "at": stop.at,
                "reason": stop.reason or None,
                "readings": stop.readings,
                "losses": _losses(stop.losses),
            }
            if stop
            else None,
            "lastHour": {"readings": self.counted.readings, "losses": _losses(self.counted.losses)},
            "noLimitUntil": self.counted.no_limit_until,
            "mappings": dict(self.mappings),
        }


def look(deployment: Deployment) -> State:
    """How they stand now."""
    client = deployment.client("lambda")
    return State(
        deployment.store.mass_change.read(),
        {
            queue: str(client.get_event_source_mapping(UUID=deployment.resource(logical_id))["State"])
            for queue, logical_id in _MAPPINGS.items()
        },
    )


def stopped_since(deployment: Deployment) -> str | None:
    """Since when they are stopped (UTC); None where they are not."""
    stop = deployment.store.mass_change.read().stop
    return stop.at if stop else None


def waiting(deployment: Deployment) -> dict[str, int]:
    """How many messages wait on each queue."""
    return {queue: dead_letters.waiting(deployment, deployment.output(url)) for queue, url in _URLS.items()}


def stop(deployment: Deployment, reason: str, at: str) -> bool:
    """Stop them, for a person's reason; False where they were stopped already. The mappings are disabled either way."""
    changes = deployment.store.mass_change
    is_new = changes.stop(changes.read(), reason, reported_at=at)
    _set_enabled(deployment, enabled=False)
    return is_new


def resume(deployment: Deployment, no_limit_until: str | None) -> None:
    """Let them go on, and count anew.

    The mark goes first: a batch that finds it would disable its mapping again.
    """
    deployment.store.mass_change.resume(no_limit_until)
    _set_enabled(deployment, enabled=True)


def _set_enabled(deployment: Deployment, *, enabled: bool) -> None:

    from honnin.repairs_stop import set_enabled

    client = deployment.client("lambda")
    until = time.monotonic() + _PATIENCE_S
    for queue, logical_id in _MAPPINGS.items():
        mapping = deployment.resource(logical_id)
        while not set_enabled(client, mapping, enabled=enabled):
            if time.monotonic() > until:
                raise CommandError(
                    _("the mapping of {queue} ({mapping}) is being changed elsewhere: run this again").format(
                        queue=queue, mapping=mapping
                    )
                )
            time.sleep(_AGAIN_S)


def _losses(losses: "Losses") -> list[dict[str, Any]]:
    common = sorted(losses.items(), key=lambda each: -each[1])
    return [
        {"provider": loss.provider, "from": loss.from_status, "to": loss.to_status, "cause": loss.cause, "users": users}
        for loss, users in common
    ]
