"""Works the queue of events for the merchant's endpoint: batches, the probe of each minute, and a test on request."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import secret_store, worker
from honnin.config import Settings
from honnin.errors import (
    ConfigurationError,
    EventNotReadyError,
    MalformedEventError,
    WebhookHeldError,
    WebhookNotDeliveredError,
)
from honnin.merchant_webhook.circuit import EndpointCircuit
from honnin.merchant_webhook.delivery import Endpoint
from honnin.merchant_webhook.message import Message
from honnin.merchant_webhook.waiting import Waiting, WaitingQueue
from honnin.observability import count_for_alarm, logger
from honnin.store import Circuit, Store
from honnin.wording import Wording

# While the circuit is open, an older message is moved to the dead-letter queue, from where it can be redriven. In its
# own queue, SQS would delete it after 14 days.
_LONGEST_WAIT = timedelta(days=10)

# How many messages a probe takes at most, because those of erased users are dropped and show nothing.
_MOST_LOOKED_AT = 10

# After so many seconds the probe looks again at an event of a user whose erasure is not finished.
_ERASING_PAUSE_S = 900

# Longer than the time between two probes: the next one tries another message, if there is one.
_SHORTEST_PAUSE_S = 75
_LONGEST_PAUSE_S = 6 * 3600


class MerchantWebhook:
    """Sends the events that wait. `now` gives aware UTC moments."""

    def __init__(
        self,
        *,
        store: Store,
        endpoint: Endpoint,
        circuit: EndpointCircuit,
        queue: WaitingQueue,
        now: Callable[[], datetime],
        overlap: worker.Overlap | None = None,
    ) -> None:
        self._store = store
        self._endpoint = endpoint
        self._circuit = circuit
        self._queue = queue
        self._now = now
        self._overlap = overlap

    @classmethod
    def from_settings(cls, settings: Settings, now: Callable[[], datetime]) -> "MerchantWebhook":
        """The one of a deployment."""
        store = Store(settings.state_table, now=now)
        return cls(
            store=store,
            endpoint=Endpoint(
                settings.merchant_webhook_url, secret_store.merchant_webhook_keys, loopback=settings.loopback_files
            ),
            circuit=EndpointCircuit(
                store, settings.merchant_webhook_mapping_parameter, settings.merchant_webhook_url, now
            ),
            queue=WaitingQueue(settings.merchant_webhook_queue_url, settings.merchant_webhook_dead_letter_queue_url),
            now=now,
        )

    def batch(self, event: Mapping[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Send each message of a batch; the answer names those that come again."""
        circuit = self._circuit.read()
        if circuit.is_open:
            # Somebody has enabled the mapping, or it was made anew.
            self._circuit.follow()
        return worker.run(
            event,
            context,
            parse=Message.from_event,
            # Each message on its own: a slow answer delays no other.
            divide=lambda found: [worker.Group([n], partial(self._deliver, circuit)) for n in range(len(found))],
            queue=self._queue,
            count_failure=self._store.events.count_failure,
            overlap=self._overlap,
        )

    def probe(self) -> dict[str, bool]:
        """If the circuit is open, send one waiting message. Returns whether the circuit is open afterwards."""
        self._circuit.begin()
        self._circuit.follow()
        circuit = self._circuit.read()
        if not circuit.opened_at:
            return {"open": False}
        count_for_alarm("MerchantWebhookCircuitOpen")
        open_for = self._now() - datetime.fromisoformat(circuit.opened_at)
        too_old, error = self._now() - _LONGEST_WAIT, WebhookNotDeliveredError(circuit.reason)
        for looked_at in range(_MOST_LOOKED_AT):
            taken = self._queue.take()
            if taken is None:
                break
            # By its own age, however long this circuit has been open: it may have closed for a moment meanwhile.
            if taken.sent_at < too_old:
                self._queue.move(taken, error)
                if not looked_at:  # once, because it takes half a minute
                    self._queue.rescue(too_old, error)
            elif self._probe_with(taken, open_for):
                break
        return {"open": self._circuit.read().is_open}

    def test(self) -> dict[str, Any]:
        """Send a message of the type `honnin.test` now, whatever the circuit says, and say what became of it.

        `japanese` is the reason in Japanese, where there is one.
        """
        try:
            outcome = self._endpoint.send(Message.test(self._now()))
            said = {"japanese": outcome.reason.japanese} if isinstance(outcome.reason, Wording) else {}
            return {**asdict(outcome), **said}
        except ConfigurationError as error:
            return {"delivered": False, "status": None, "reason": str(error), "seconds": 0.0}

    def _deliver(self, circuit: Circuit, message: Message) -> None:
        if self._is_dropped(message):
            return
        if circuit.is_open:
            raise WebhookHeldError
        outcome = self._endpoint.send(message)
        if outcome.delivered:
            self._circuit.succeeded(circuit)
            return
        self._circuit.failed(outcome)
        raise WebhookNotDeliveredError(outcome.reason)

    def _probe_with(self, taken: Waiting, open_for: timedelta) -> bool:
        """Whether this message has shown that the endpoint works, or does not."""
        try:
            message = Message.from_event(taken.body)
        except ValueError as error:
            self._queue.move(taken, MalformedEventError(str(error)))
            return False
        try:
            if self._is_dropped(message):
                self._queue.delete(taken)
                return False
        except EventNotReadyError:
            self._queue.delay(taken, _ERASING_PAUSE_S)
            return False
        # This does not count as a try of the message's schedule. But SQS counts each receive, and moves a message to
        # the dead-letter queue after 1,000. With pauses of a hundredth of the time that the circuit has been open, a
        # message that waits alone is received some 600 times in 14 days.
        pause_s = int(open_for.total_seconds() / 100)
        self._queue.delay(taken, min(max(pause_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S))
        outcome = self._endpoint.send(message)
        if outcome.delivered:
            self._queue.delete(taken)
            self._circuit.close()
        else:
            logger().warning("probe failed", reason=outcome.reason)
        return True

    def _is_dropped(self, message: Message) -> bool:
        """Whether the message is about a user who was erased since: then it is not sent.

        Events of a user who came back after that are sent. Raises `EventNotReadyError` for an event since the beginning
        of an erasure that is not finished: the user may have come back, or it may be dropped when that is finished.
        """
        if message.user_id is None or message.occurred_at is None:
            return False
        certificates = self._store.erasure.certificates(message.user_id)
        dropped = any(message.occurred_at <= (each.completed_at or each.begun_at) for each in certificates)
        if not dropped and any(not each.completed_at for each in certificates):
            raise EventNotReadyError("the erasure of its user is not finished")
        if dropped:
            logger().info("event of an erased user dropped", webhook_id=message.message_id)
        return dropped
