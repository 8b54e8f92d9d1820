"""The poll: Vexora has no recon file, so it is asked about every open submission until the submission is decided."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime

from botocore.exceptions import BotoCoreError, ClientError

from honnin.errors import ConcurrentUpdateError, PublishError
from honnin.event import Event, Provider
from honnin.observability import logger
from honnin.publish import Publisher
from honnin.store import Store, Submission
from honnin.times import utc_text
from honnin.vexora import schedule

# When the time is over, the remaining submissions stay due for the next run.
_MIN_LEFT_MS = 5_000


def poll(
    *,
    store: Store,
    publisher: Publisher,
    send: Callable[[str], str],
    delays_s: Sequence[int],
    now: datetime,
    left_ms: Callable[[], int],
) -> dict[str, int]:
    """Queue one event for each submission that is due, and publish changes that a crash left unpublished.

    The event is sent first and the next time is written second. A crash between the two repeats the same event id,
    which takes effect once. Returns the numbers of both.

    Raises
    ------
    SendError
        SQS did not accept an event. That submission and all after it stay due.
    PublishError, botocore's errors
        The bus did not accept a change, which stays due. All others were tried as well.
    """
    polled = 0
    for submission in store.submissions.due(utc_text(now)):
        if left_ms() < _MIN_LEFT_MS:
            break
        send(_event(submission, now).to_json())
        submitted_at = datetime.fromisoformat(submission.submitted_at)
        polls, at = schedule.next_poll(submitted_at, submission.polls + 1, delays_s, now)
        # If another transaction holds this item, it stays due: the next run sends the same event, which takes effect
        # once.
        with suppress(ConcurrentUpdateError):
            store.submissions.advance(submission, polls, utc_text(at))
        polled += 1
    published, refused = 0, None
    for record in store.events.unpublished(utc_text(now)):
        if left_ms() < _MIN_LEFT_MS:
            break
        try:
            publisher.publish(record)
            published += 1
        except (PublishError, BotoCoreError, ClientError) as error:
            refused = error  # it must not stand in the way of the others
    logger().info("poll done", polled=polled, published=published)
    if refused:
        raise refused
    return {"polled": polled, "published": published}


def _event(submission: Submission, now: datetime) -> Event:
    return Event(
        event_id=f"poll:{submission.submission_id}:{submission.due_at}",
        provider=Provider.VEXORA,
        kind="kyc_result",
        cause="poll",
        subject=submission.submission_id,
        received_at=utc_text(now),
    )
