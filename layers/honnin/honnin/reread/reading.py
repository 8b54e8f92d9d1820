"""Reads one part of a reread: sends its events to the rereads queue, then waits until they have taken effect.

Only a limited number of parts is read at a time (`MaxConcurrency` of the state machine). So other messages on that
queue wait only for minutes, however many users are read again, and a reread that is paused ends within minutes.

The order of the steps makes a killed run harmless. First the part is written, once. Then the events are sent. Then the
part is marked as sent. Without that mark the same events are sent again, and each of them takes effect only once.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from honnin import aws, event_queue
from honnin.event import Event
from honnin.recon.outcomes import moved, was_read
from honnin.reread import questions
from honnin.reread.bucket import RereadBucket
from honnin.store import EventRecord, Reread, Store, UserStatus
from honnin.store.rereads import Mark, Phase
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# After this time the part is given up: its open events may be in the dead-letter queue, or their provider may be down.
# If only a few users of a part are open, the time is shorter. Otherwise one user in each part for whom a provider never
# answers would make each part take a day.
_WAITED_FOR = timedelta(days=1)
_FEW_WAITED_FOR = timedelta(hours=1)
_FEW_OF = 50


class PartReading:
    """Reads parts. `now` gives aware UTC moments."""

    def __init__(
        self,
        *,
        store: Store,
        bucket: RereadBucket,
        queue_url: str,
        now: Callable[[], datetime],
        client: "SQSClient | None" = None,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._queue_url = queue_url
        self._now = now
        self._given = client

    def run(self, reread: Reread, part: str) -> bool:
        """Send a part's events, or check what they have led to.

        True if all events have ended, or those that are open are given up. It is also True if the reread is paused: the
        next execution continues with the part. Repeating it does no harm. Raises `event_queue.NotQueuedError` when an
        event could not be sent.
        """
        if reread.is_paused or self._store.rereads.marked(reread.name, Phase.DONE, part):
            return True
        found = self._bucket.part(reread.name, part)
        users = found.users if found else ()
        sent = self._store.rereads.marked(reread.name, Phase.SENT, part)
        if sent is None:
            # While repairs and rereads are stopped (honnin.mass_change), no more events are added to the queue.
            if not self._store.mass_change.read().stop:
                self._send(reread, part, users)
            return False
        return self._look(reread, part, users, sent)

    def _send(self, reread: Reread, part: str, users: Sequence[str]) -> None:
        asked: dict[str, list[int]] = {}
        events: list[Event] = []
        statuses = self._statuses(reread, users)
        for place, user_id in enumerate(users):
            for status in statuses.get(user_id, ()):
                of_user = list(questions.events(reread.name, status, utc_text(self._now())))
                events += of_user
                if of_user:
                    asked.setdefault(status.provider, []).append(place)
        event_queue.send_side_by_side(self._queue_url, events, self._given or aws.sqs())
        sent = len(set().union(*asked.values()))
        counts = {"sent": sent, "skipped": len(users) - sent}
        self._store.rereads.mark(reread.name, Phase.SENT, part, counts, asked=asked)

    def _look(self, reread: Reread, part: str, users: Sequence[str], sent: Mark) -> bool:
        ids: dict[str, list[str]] = {}
        for provider, places in (sent.asked or {}).items():
            for place in places:
                ids.setdefault(users[place], []).extend(questions.event_ids(reread.name, provider, users[place]))
        records = self._store.events.get_many([each for some in ids.values() for each in some])
        waiting = [user_id for user_id, some in ids.items() if not records.keys() >= set(some)]
        # Users who were erased before their event came are not waited for.
        known = self._statuses(reread, waiting)
        ended = Counter(gone=sum(each not in known for each in waiting), left=sum(each in known for each in waiting))
        waits = _FEW_WAITED_FOR if ended["left"] * _FEW_OF <= len(ids) else _WAITED_FOR
        is_early = self._now() < datetime.fromisoformat(sent.at) + waits
        if ended["left"] and (is_early or self._store.mass_change.read().stop):
            return False
        for some in (some for user_id, some in ids.items() if user_id not in waiting):
            ended.update(_outcome_counts([records[each] for each in some]))
        self._store.rereads.mark(reread.name, Phase.DONE, part, ended)
        return True

    def _statuses(self, reread: Reread, users: Sequence[str]) -> Mapping[str, Sequence[UserStatus]]:
        if reread.provider:
            found = self._store.users.statuses_of(users, reread.provider)
            return {user_id: [status] for user_id, status in found.items()}
        return self._store.users.statuses_of_all(users)


def _outcome_counts(records: Sequence[EventRecord]) -> Counter[str]:
    """What the events about one user have led to."""
    read = all(map(was_read, records))
    return Counter(read=int(read), not_read=int(not read), changed=int(any(map(moved, records))))
