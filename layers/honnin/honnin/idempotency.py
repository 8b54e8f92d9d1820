"""`Idempotency-Key` on the merchant API: Powertools Idempotency over a table of its own, 24 hours.

What is stored is the answer (ids and a status) and a keyed fingerprint of the body. The fingerprint is an HMAC and not
a plain hash. The body contains a name, and a plain hash of it could be found by trying all likely names.
"""

import hmac
import time
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import DataRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin.errors import ConflictError
from honnin.problem_codes import ProblemCode

_KEPT_S = 24 * 60 * 60


class Idempotency:
    """Answers a repeated request with the first answer.

    Parameters
    ----------
    table
        Name of the idempotency table (partition key `id`, TTL `expiration`).
    fingerprint_key
        Returns the secret key for the fingerprints of bodies.
    """

    def __init__(self, table: str, fingerprint_key: Callable[[], str]) -> None:
        self._persistence = _Expiring(table_name=table)
        self._config = IdempotencyConfig(
            event_key_jmespath="key",
            payload_validation_jmespath="fingerprint",
            expires_after_seconds=_KEPT_S,
            hash_function="sha256",
        )
        self._fingerprint_key = fingerprint_key

    def register(self, context: LambdaContext) -> None:
        """Pass on how long this invocation may last, so that the key becomes free again if it crashes."""
        self._config.register_lambda_context(context)

    def once(self, key: str | None, body: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do `work`, or return its earlier answer for the same key. Without a key, only do it.

        Raises
        ------
        ConflictError
            The key came with another body before, or its first request is still running.
        botocore's ClientError, BotoCoreError
            The table cannot be read or written now, so nothing was done. If the table fails after the work, the result
            of the work is returned. A repeat may then get the answer that the first request is still running.
        """
        if key is None:
            return work()
        request = {
            "key": key,
            "fingerprint": hmac.digest(self._fingerprint_key().encode(), body.encode(), "sha256").hex(),
        }
        outcome = _Outcome(work)
        once = idempotent_function(
            _work, data_keyword_argument="request", persistence_store=self._persistence, config=self._config
        )
        try:
            answer: dict[str, Any] = once(request=request, work=outcome)
        except IdempotencyValidationError:
            raise ConflictError(
                "this Idempotency-Key was used with another body before", code=ProblemCode.IDEMPOTENCY_KEY_REUSED
            ) from None
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
            raise ConflictError(
                "the first request with this Idempotency-Key is still under way",
                code=ProblemCode.IDEMPOTENCY_IN_PROGRESS,
            ) from None
        except IdempotencyPersistenceLayerError as error:
            # Powertools wraps the errors of boto3. They are unwrapped here, because callers decide by AWS's own error
            # types.
            return outcome.result(or_raise=error.__cause__ or error)
        return answer


class _Expiring(DynamoDBPersistenceLayer):
    """Powertools' records.

    If the work failed, its record expires now and is not deleted, so no role needs to delete.
    """

    def _delete_record(self, data_record: DataRecord) -> None:
        # One second ago, because Powertools reuses a key only if it expired before the present second.
        self.client.update_item(
            TableName=self.table_name,
            Key=self._get_key(data_record.idempotency_key),
            UpdateExpression="SET #end = :end",
            ExpressionAttributeNames={"#end": self.expiry_attr},
            ExpressionAttributeValues={":end": {"N": str(int(time.time()) - 1)}},
        )


class _Outcome:
    """Work, and its result."""

    def __init__(self, work: Callable[[], dict[str, Any]]) -> None:
        self._work = work
        self._answer: dict[str, Any] | None = None
        self._error: Exception | None = None

    def __call__(self) -> dict[str, Any]:
        """Do the work."""
        try:
            self._answer = self._work()
        except Exception as error:
            self._error = error
            raise
        return self._answer

    def result(self, *, or_raise: BaseException) -> dict[str, Any]:
        """The answer or the error of the work; raises `or_raise` if it was not done."""
        if self._answer is None:
            raise self._error or or_raise
        return self._answer


def _work(*, request: dict[str, str], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001
    return work()
