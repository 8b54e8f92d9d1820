"""How everything that happens to a user is written: read → decide → apply → publish.

The order of events does not matter, for this reason: the user's version is read *before* the provider is asked, and the
decision is applied only if the version is still the same. So each applied reading began after the end of the reading
that was applied before it, and the last applied one is the newest that anybody requested. A worker that loses this race
waits a while, reads and decides again.

The provider's answer is written to the vault before anything refers to it. If its effect has lost the race, it is
deleted again.
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

# How long a call of the merchant API continues after lost races; API Gateway ends it after 29 s.
CALLER_WAITS = timedelta(seconds=4)

# Seconds between two tries: at least half of this and at most this; the value doubles each time. Each try asks the
# provider again. A worker whose clock is behind loses each race until its clock has reached the other's time.
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

    The version is set here; empty details are left out. The facts that `evidence` has about itself are added to the
    details, and the status stores it as the newest evidence of its kind.
    """
    if evidence:
        detail = {**detail, **evidence.timeline_facts}
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
        Is called with each effect once it is in the table. If a caller waits for the answer, use
        `Publisher.publish_or_leave`.
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
        """Decide, apply and publish, and repeat it after each lost race; returns the last decision.

        Parameters
        ----------
        decide
            Reads the user, asks the provider, and decides what the user becomes. If the decision is neither an Effect
            nor Unattached, nothing is written.
        until
            After a race that is lost later than this, there is no further try (None: there is no limit).
        late
            Makes the decision to commit instead of the one that lost the last race, for example `unmoved`.
        lost
            The errors of `Events.apply` that mean a lost race.

        Raises
        ------
        ConcurrentUpdateError
            The last race was lost.
        HonninError
            Any other error of `decide` and `Events.apply`.
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
        """Write the same timeline entry without changing the user: the status that others have read meanwhile stays.

        Raises `ConcurrentUpdateError` when the user no longer exists.
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
        """Write the evidence first, so that a status never refers to missing evidence.

        If the race is lost already, write nothing.
        """
        if effect.evidence is None:
            self._apply_counted(effect)
            return
        if effect.evidence.is_to_be_written:
            self._check_in_time(effect)
            effect.evidence.write()
        try:
            self._apply_counted(effect)
        except HonninError:
            # A condition failed: certainly nothing was written. (After any other error it is possible that it was
            # written.)
            self._take_back(effect, effect.evidence)
            raise
        effect.evidence.keep()

    def _apply_counted(self, effect: Effect) -> None:
        with self._watch.over(effect):
            self._store.events.apply(effect)

    def _check_in_time(self, effect: Effect) -> None:
        """If the conditions of `Events.apply` no longer hold, raise what it would raise."""
        before, now = effect.before, self._store.users.status(effect.after.user_id, effect.after.provider)
        versions = [each.version if each else 0 for each in (before, now)]
        if versions[0] != versions[1] or (now and (now.read_at or "") > (effect.after.read_at or effect.at)):
            applied = self._store.events.get(effect.event_id) is not None
            raise (AlreadyAppliedError if applied else ConcurrentUpdateError)(f"event {loggable(effect.event_id)}")

    def _take_back(self, effect: Effect, evidence: Evidence) -> None:
        """Delete evidence that nothing refers to.

        If it cannot be deleted now, it stays until an erasure or its end of life.
        """
        try:
            now = self._store.users.status(effect.after.user_id, effect.after.provider)
            # An earlier try of the SDK may have won the race. Then this is the evidence of the status.
            if now is None or not any(key in str(now.kept) for key in evidence.written):
                evidence.take_back()
        except (BotoCoreError, ClientError) as error:
            logger().warning(
                "an object in the personal-data bucket that no status refers to was not deleted",
                error=type(error).__name__,
            )


def _with_what_is_left[D](decision: D, left: Evidence | None) -> D:
    """The decision; if its evidence is the same as what the try before has left in the vault, that one is used."""
    if left is None or not isinstance(decision, Effect) or decision.evidence is None:
        return decision
    if not left.is_left_of(decision.evidence):
        return decision
    after = replace(decision.after, kept=newest(decision.before.kept if decision.before else None, left.facts))
    return replace(decision, after=after, detail={**decision.detail, **left.timeline_facts}, evidence=left)
