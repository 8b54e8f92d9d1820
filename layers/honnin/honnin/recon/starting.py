"""Starts the comparison of each stored recon file: an execution of the state machine, whose name says what it is.

Who asks for the same comparison again finds the execution by its name. One that is running or has succeeded is fine;
after any other, the next comparison is started, with a number of its own.
"""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws
from honnin.observability import count, logger
from honnin.store import Comparison, ReconFile, Store
from honnin.times import utc_text

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

_LONG_STORED = timedelta(minutes=30)
_FINE = ("RUNNING", "SUCCEEDED", "PENDING_REDRIVE")
# One that failed, and the one after it: any more are for the next run.
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
        """Start whatever is to be compared and is not; returns how many comparisons were `started` or `found`.

        One that fails does not stop the others. Raises the last error of AWS once all others are done.
        """
        ended: Counter[str] = Counter()
        failed: Exception | None = None
        for comparison in self._store.comparisons.due(utc_text(self._now())):
            file = self._store.recon.file(comparison.file_type, comparison.day, comparison.file_name)
            if file is None or not file.is_stored:
                # The run that stored it died before it could say so; the next download does.
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
        """Start a comparison, or the next one where this has failed; None where it is under way or done."""
        for _ in range(_TRIES):
            name = execution_name(comparison, file)
            try:
                self._states.start_execution(
                    stateMachineArn=self._machine_arn, name=name, input=json.dumps(told(comparison))
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
            count("ReconNotStarted")


def execution_name(comparison: Comparison, file: ReconFile) -> str:
    """The name of a comparison's execution: at most 80 characters that Step Functions takes."""
    return f"{file.file_type}-{file.day}-{(file.sha256 or '')[:16]}-{comparison.number}"


def told(comparison: Comparison) -> dict[str, Any]:
    """What the state machine is told; read by `comparison_of`."""
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
