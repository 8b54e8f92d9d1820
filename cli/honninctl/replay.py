"""Publishing events again: at a limited rate, and counted."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from honninctl.deployment import Deployment
from honninctl.failures import CommandError
from honninctl.language import _

# What EventBridge does not take at once it may take a little later.
_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass
class Replayed:
    """How many events of each type were (or would be) published again, and the moment of the last one."""

    published: Counter[str] = field(default_factory=Counter)
    last_at: str | None = None


def replay(
    deployment: Deployment,
    since: str,
    until: str,
    *,
    user_id: str | None,
    types: Collection[str],
    per_second: int,
    dry_run: bool,
    seen: Callable[[int], object],
    replayed: Replayed,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Publish again, under the same ids, what was published from `since` up to `until` (UTC); counts in `replayed`.

    `types` empty: all. `seen` is called with each number of events.

    Raises
    ------
    CommandError
        EventBridge does not take an event, time and again.
    """
    from honnin.publish import Publisher

    store = deployment.store
    publisher = Publisher("" if dry_run else deployment.output("EventBusName"), store, deployment.client("events"))
    next_at = monotonic()
    for some in store.replay.published(since, until, user_id):
        wanted = [each for each in some if not types or each.detail_type in types]
        if not dry_run:
            left = wanted
            for pause_s in (*_PAUSES_S, None):
                left = publisher.again(left) if left else []
                if not left:
                    break
                if pause_s is None:
                    raise CommandError(
                        _("EventBridge accepts no more events; continue with --since {applied_at}").format(
                            applied_at=left[0].applied_at
                        )
                    )
                sleep(pause_s)
        replayed.published.update(each.detail_type for each in wanted)
        replayed.last_at = wanted[-1].applied_at if wanted else replayed.last_at
        seen(len(wanted))
        # What a stop has cost is not made up for: `per_second` is the most that the bus and its rules see.
        next_at = max(next_at, now := monotonic()) + len(wanted) / per_second
        if not dry_run and next_at > now:
            sleep(next_at - now)
