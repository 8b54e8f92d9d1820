"""Starts the comparison of each stored recon file, as an execution of the state machine with a name of its own.

If the same comparison is asked for again, the execution is found by its name. If it is running or has succeeded,
nothing is done. If it has ended in another way, the next comparison is started, with the next number.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws
from honnin.observability import count_for_alarm, logger
from honnin.store import Comparison, ReconFile, Store
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_LONG_STORED = timedelta(minutes=30)
_FINE = ("RUNNING", "SUCCEEDED", "PENDING_REDRIVE")
# In one run a failed comparison is followed by at most one new one. Further ones are left to the next run.
_TRIES = 3


class Starting:
    """Starts comparisons. `now` gives aware UTC moments."""

    def __init__(
        self, *, store: Store, machine_arn: str, now: Callable[[], datetime], client: "SFNClient | None" = None
    ) -> None:
        self._store = store
        self._machine_arn = machine_arn
        self._now = now
        self._given = client

    @property
    def _states(self) -> "SFNClient":
        return self._given or aws.stepfunctions()

    def run(self) -> dict[str, int]:
        """Start each comparison that is due and was not started; returns how many were `started` or `found`.

        A comparison that fails does not stop the others. Raises the last error of AWS after all others are done.
        """
        ended: Counter[str] = Counter()
        failed: Exception | None = None
        for comparison in self._store.comparisons.due(utc_text(self._now())):
            file = self._store.recon.file(comparison.file_type, comparison.day, comparison.file_name)
            if file is None or not file.is_stored:
                # The run that stored it was killed before it could record that; the next download does so.
                continue
            try:
                ended["started" if self.start(comparison, file) else "found"] += 1
            except (BotoCoreError, ClientError) as error:
                failed = error
                self._report(file, error)
        if ended:
            logger().info("comparisons started", extra={"outcomes": dict(ended)})
        if failed:
            raise failed
        return dict(ended)

    def start(self, comparison: Comparison, file: ReconFile) -> Comparison | None:
        """Start a comparison, or the next one if this one has failed; None if it is running or done."""
        for _ in range(_TRIES):
            name = execution_name(comparison, file)
            try:
                self._states.start_execution(
                    stateMachineArn=self._machine_arn, name=name, input=json.dumps(execution_input(comparison))
                )
            except self._states.exceptions.ExecutionAlreadyExists:
                if self._is_fine(name):
                    return None
                comparison = self._store.comparisons.another(comparison, utc_text(self._now()))
            else:
                return comparison
        return None

    def _is_fine(self, name: str) -> bool:
        arn = self._machine_arn.replace(":stateMachine:", ":execution:") + f":{name}"
        return self._states.describe_execution(executionArn=arn)["status"] in _FINE

    def _report(self, file: ReconFile, error: Exception) -> None:
        named = {"file_type": file.file_type, "day": file.day, "file_name": file.name}
        logger().error("comparison not started", extra={**named, "error": type(error).__name__})
        if self._now() - datetime.fromisoformat(file.stored_at or "") >= _LONG_STORED:
            count_for_alarm("ReconNotStarted")


def execution_name(comparison: Comparison, file: ReconFile) -> str:
    """The name of a comparison's execution: at most 80 characters that Step Functions takes."""
    return f"{file.file_type}-{file.day}-{(file.sha256 or '')[:16]}-{comparison.number}"


def execution_input(comparison: Comparison) -> dict[str, Any]:
    """The input of the state machine; `comparison_of` reads it."""
    return {
        "file": {
            "fileType": comparison.file_type,
            "day": comparison.day,
            "fileName": comparison.file_name,
            "number": comparison.number,
        }
    }


def comparison_of(event: dict[str, Any]) -> Comparison:
    """The comparison that a function of the state machine is called for."""
    file = event["file"]
    return Comparison(file["fileType"], file["day"], file["fileName"], int(file["number"]))
