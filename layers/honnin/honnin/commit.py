"""How anything that happens to a user is written: read → decide → apply → publish.

Why the order of events does not matter: the user's version is read *before* the provider is asked, and what was decided
is applied only if it is still the same. So every applied reading began after the one applied before it had ended, and
the last one is the newest that anybody asked for. Whoever loses this race reads and decides again, a while later.

What the provider answered is in the vault before anything names it, and is taken back when its effect lost the race.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from time import sleep

from botocore.exceptions import BotoCoreError, ClientError

from honnin.errors import ConcurrentUpdateError, HonninError
from honnin.mass_change import CountedAfterwards, Watch
from honnin.observability import loggable, logger
from honnin.store import AlreadyAppliedError, Effect, Store, Unattached, UserStatus
from honnin.times import utc_text
from honnin.vault import Evidence, newest

# How long a call of the merchant API goes on after lost races; API Gateway ends it after 29 s.
CALLER_WAITS = timedelta(seconds=4)

# Seconds between two tries: at most the first and at least half of it, then twice as much each time. Each try asks the
# provider again, and a worker whose clock is behind loses until its clock has caught up.
_FIRST_PAUSE_S = 0.2
_LAST_PAUSE_S = 3.2
_LEAST_PAUSE_S = 0.02


def effect(
    event_id: str,
    what: str,
    before: UserStatus | None,
    after: UserStatus,
    detail: Mapping[str, str],
    *,
    at: datetime,
    cause: str = "api",
    evidence: Evidence | None = None,
) -> Effect:
    """The effect that takes a user from `before` to `after`.

    The version is set here; empty details are left out. What `evidence` says of itself is told among the details, and
    the status remembers it as the newest of its kind.
    """
    if evidence:
        detail = {**detail, **evidence.told}
        after = replace(after, kept=newest(after.kept, evidence.facts))
    return Effect(
        event_id=event_id,
        what=what,
        cause=cause,
        at=utc_text(at),
        before=before,
        after=replace(after, version=before.version + 1 if before else 1),
        detail={name: value for name, value in detail.items() if value},
        evidence=evidence,
    )


class Commits:
    """Commits decisions.

    Parameters
    ----------
    publish
        Gets each effect once it is in the table. Where a caller waits for the answer: `Publisher.publish_or_leave`.
    now
        Gives aware UTC moments.
    watch
        Counts the readings, and may refuse one (`honnin.mass_change`).
    """

    def __init__(
        self,
        store: Store,
        publish: Callable[[Effect], None],
        now: Callable[[], datetime],
        watch: Watch | None = None,
    ) -> None:
        self._store = store
        self._watch = watch or CountedAfterwards(store)
        self._publish = publish
        self._now = now

    def once(self, effect: Effect) -> None:
        """Apply and publish an effect. Raises as `Events.apply`; then nothing was written."""
        self._apply_effect(effect)
        self._publish(effect)

    def run[D](
        self,
        decide: Callable[[], D],
        *,
        until: datetime | None = None,
        late: Callable[[D], D] | None = None,
        lost: tuple[type[HonninError], ...] = (ConcurrentUpdateError,),
    ) -> D:
        """Decide, apply and publish, again some time after each lost race; returns what was decided last.

        Parameters
        ----------
        decide
            Reads the user, asks the provider, and decides what the user becomes. Where it decides anything but an
            Effect or Unattached, nothing is written.
        until
            A race that is lost later is the last one (None: there is no last one).
        late
            What to commit instead of the decision that lost the last race, for example `unmoved`.
        lost
            The errors of `Events.apply` that mean a lost race.

        Raises
        ------
        ConcurrentUpdateError
            The last race was lost.
        HonninError
            Whatever `decide` and `Events.apply` raise besides.
        """
        pause_s, left = _FIRST_PAUSE_S, None
        while True:
            decision = _with_what_is_left(decide(), left)
            try:
                self._apply(decision)
            except lost:
                left = decision.evidence if isinstance(decision, Effect) else None
                left_s = None if until is None else (until - self._now()).total_seconds()
                if left_s is None or left_s >= 0:
                    wanted_s = random.uniform(pause_s / 2, pause_s)
                    sleep(wanted_s if left_s is None else max(min(wanted_s, left_s), _LEAST_PAUSE_S))
                    pause_s = min(2 * pause_s, _LAST_PAUSE_S)
                    continue
                if late is None:
                    raise
                return self.run(partial(late, decision), until=self._now() + CALLER_WAITS, lost=lost)
            if isinstance(decision, Effect):
                self._publish(decision)
            return decision

    def unmoved(self, decided: Effect) -> Effect:
        """The same entry for the timeline, without moving the user: the status that others have read meanwhile stands.

        Raises `ConcurrentUpdateError` when the user is no longer there.
        """
        now = self._store.users.status(decided.after.user_id, decided.after.provider)
        if now is None:
            raise ConcurrentUpdateError("the user was erased meanwhile")
        return effect(
            decided.event_id,
            decided.what,
            now,
            now,
            decided.detail,
            at=self._now(),
            cause=decided.cause,
            evidence=decided.evidence,
        )

    def _apply(self, decision: object) -> None:
        match decision:
            case Effect():
                self._apply_effect(decision)
            case Unattached():
                self._store.events.keep(decision)

    def _apply_effect(self, effect: Effect) -> None:
        """The evidence first, so that a status never names what is not there; and not when the race is lost already."""
        if effect.evidence is None:
            self._apply_counted(effect)
            return
        if effect.evidence.is_to_be_written:
            self._check_in_time(effect)
            effect.evidence.write()
        try:
            self._apply_counted(effect)
        except HonninError:
            # A condition failed: certainly nothing was written. (After any other error it may have been.)
            self._take_back(effect, effect.evidence)
            raise
        effect.evidence.keep()

    def _apply_counted(self, effect: Effect) -> None:
        with self._watch.over(effect):
            self._store.events.apply(effect)

    def _check_in_time(self, effect: Effect) -> None:
        """Raise what `Events.apply` would raise, where its conditions do not hold any more."""
        before, now = effect.before, self._store.users.status(effect.after.user_id, effect.after.provider)
        versions = [each.version if each else 0 for each in (before, now)]
        if versions[0] != versions[1] or (now and (now.read_at or "") > (effect.after.read_at or effect.at)):
            applied = self._store.events.get(effect.event_id) is not None
            raise (AlreadyAppliedError if applied else ConcurrentUpdateError)(f"event {loggable(effect.event_id)}")

    def _take_back(self, effect: Effect, evidence: Evidence) -> None:
        """Take evidence back that nothing names. What cannot be taken back now stays until an erasure, or its end."""
        try:
            now = self._store.users.status(effect.after.user_id, effect.after.provider)
            # An earlier try of the SDK may have been the one that won: then this is the evidence of the status.
            if now is None or not any(key in str(now.kept) for key in evidence.written):
                evidence.take_back()
        except (BotoCoreError, ClientError) as error:
            logger().warning("evidence not taken back", error=type(error).__name__)


def _with_what_is_left[D](decision: D, left: Evidence | None) -> D:
    """The decision, with the evidence that the try before has left in the vault where its own is the same."""
    if left is None or not isinstance(decision, Effect) or decision.evidence is None:
        return decision
    if not left.is_left_of(decision.evidence):
        return decision
    after = replace(decision.after, kept=newest(decision.before.kept if decision.before else None, left.facts))
    return replace(decision, after=after, detail={**decision.detail, **left.told}, evidence=left)
