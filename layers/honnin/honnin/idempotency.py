"""`Idempotency-Key` on the merchant API: Powertools Idempotency over a table of its own, 24 hours.

What is stored is the answer (ids and a status) and a keyed fingerprint of the body. The fingerprint is an HMAC
and not a plain hash because the body holds a name, and names are few enough to guess a plain hash.
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
        Gives the secret under which bodies are fingerprinted.
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
        """Tell how long this invocation may last, so that one that crashes frees its key again."""
        self._config.register_lambda_context(context)

    def once(self, key: str | None, body: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Do `work`, or repeat its earlier answer under the same key; without a key just do it.

        Raises
        ------
        ConflictError
            The key came with another body before, or its first request is still under way.
        botocore's ClientError, BotoCoreError
            The table cannot be read or written now, so nothing was done. After the work, its outcome counts: a table
            that does not take it only means that a repeat may find the first request under way.
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
                "this Idempotency-Key came with another body before", code=ProblemCode.IDEMPOTENCY_KEY_REUSED
            ) from None
        except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
            raise ConflictError(
                "the first request with this Idempotency-Key is still under way",
                code=ProblemCode.IDEMPOTENCY_IN_PROGRESS,
            ) from None
        except IdempotencyPersistenceLayerError as error:
            # Powertools wraps what boto3 raises; AWS's errors are AWS's errors to whoever decides by type.
            return outcome.result(or_raise=error.__cause__ or error)
        return answer


class _Expiring(DynamoDBPersistenceLayer):
    """Powertools' records; one of work that failed ends now instead of being deleted, so that no role need delete."""

    def _delete_record(self, data_record: DataRecord) -> None:
        # One second ago: Powertools takes a key again whose end is before the present second.
        self.client.update_item(
            TableName=self.table_name,
            Key=self._get_key(data_record.idempotency_key),
            UpdateExpression="SET #end = :end",
            ExpressionAttributeNames={"#end": self.expiry_attr},
            ExpressionAttributeValues={":end": {"N": str(int(time.time()) - 1)}},
        )


class _Outcome:
    """Work, and what came of it."""

    def __init__(self, work: Callable[[], dict[str, Any]]) -> None:
        self._work = work
        self._answer: dict[str, Any] | None = None
        self._error: Exception | None = None

    def __call__(self) -> dict[str, Any]:
        """Do it."""
        try:
            self._answer = self._work()
        except Exception as error:
            self._error = error
            raise
        return self._answer

    def result(self, *, or_raise: BaseException) -> dict[str, Any]:
        """The answer of the work or its error; another error where it was not done."""
        if self._answer is None:
            raise self._error or or_raise
        return self._answer


def _work(*, request: dict[str, str], work: Callable[[], dict[str, Any]]) -> dict[str, Any]:  # noqa: ARG001
    return work()
