"""The circuit of the merchant's endpoint. While it is open, only the probe takes messages from the queue.

The circuit opens after `MOST_FAILURES` failures in a row, over all execution environments. The event source mapping is
then disabled, so that no message uses up its tries on an endpoint that is down. Each minute the probe sends one waiting
message. Its success closes the circuit.

The item in the table decides, and the mapping follows it. If they differ after a crash or a failed AWS call, the next
probe corrects the mapping (`follow`). So the mapping is never disabled for good.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws
from honnin.errors import ConcurrentUpdateError
from honnin.merchant_webhook.delivery import Outcome
from honnin.observability import count_for_alarm, logger
from honnin.repairs_stop import set_enabled
from honnin.store import Circuit, Store
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# A single message that the endpoint never accepts takes days to fail so often, because its waits grow.
MOST_FAILURES = 10

# The states of a mapping in which it is, or will be, enabled.
_ENABLED = frozenset({"Enabled", "Enabling", "Creating"})


class EndpointCircuit:
    """Opens and closes the circuit.

    Parameters
    ----------
    mapping_parameter
        The SSM parameter with the id of the event source mapping. It cannot be an environment variable: the mapping
        refers to the function, so the function cannot refer to the mapping.
    url
        The endpoint. Failures of an earlier one do not count for it.
    now
        Gives aware UTC moments.
    """

    def __init__(
        self,
        store: Store,
        mapping_parameter: str,
        url: str,
        now: Callable[[], datetime],
        *,
        lambdas: "LambdaClient | None" = None,
        ssm: Any = None,
    ) -> None:
        self._store = store
        self._mapping_parameter = mapping_parameter
        # A hash: an URL may contain a secret, and the table is no place for it.
        self._endpoint = hashlib.sha256(url.encode()).hexdigest()[:16]
        self._now = now
        self._has_failed = False
        self._given = lambdas, ssm

    def read(self) -> Circuit:
        """The circuit as it is now."""
        return self._store.circuit.read()

    def failed(self, outcome: Outcome) -> None:
        """Count a failed delivery. Open the circuit if there are too many in a row, or if the endpoint is gone."""
        self._has_failed = True
        circuit = self._store.circuit.fail(outcome.reason, self._endpoint)
        if circuit.is_open or not (outcome.is_gone or circuit.failures >= MOST_FAILURES):
            return
        if self._store.circuit.open(utc_text(self._now())):
            logger().error("circuit opened", reason=outcome.reason, failures=circuit.failures)
            self.follow()

    def succeeded(self, before: Circuit) -> None:
        """Note that a delivery succeeded; `before` is the circuit as it was read before its batch.

        If that fails, the next success notes it. The delivery itself is done and must not be repeated.
        """
        if not (before.failures or self._has_failed):
            return
        try:
            self._store.circuit.succeed()
            self._has_failed = False
        except (BotoCoreError, ClientError, ConcurrentUpdateError) as error:
            logger().warning("a success was not recorded", error=type(error).__name__)

    def begin(self) -> None:
        """Forget the failures of another endpoint, if a deployment has changed the URL since."""
        circuit = self.read()
        if circuit.failures and circuit.endpoint != self._endpoint:
            self.close()

    def close(self) -> None:
        """Close the circuit, because the probe has succeeded."""
        self._store.circuit.close()
        logger().info("circuit closed")
        self.follow()

    def follow(self) -> None:
        """Enable or disable the mapping as the circuit says. If that fails now, the next probe does it."""
        lambdas, ssm = self._given[0] or aws.lambdas(), self._given[1] or aws.ssm()
        try:
            mapping = ssm.get_parameter(Name=self._mapping_parameter)["Parameter"]["Value"]
            is_enabled = lambdas.get_event_source_mapping(UUID=mapping)["State"] in _ENABLED
            # Read last: another environment may have opened or closed it meanwhile.
            wanted = not self.read().is_open
            if is_enabled != wanted:
                set_enabled(lambdas, mapping, enabled=wanted)
        except (BotoCoreError, ClientError) as error:
            logger().error("mapping does not follow the circuit", error=type(error).__name__)
            # Denied, or the mapping or the parameter is gone: nothing is sent until a person corrects it.
            if not aws.is_transient(error):
                count_for_alarm("ConfigurationFault")
