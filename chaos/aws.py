"""The AWS services around the code under test, each behind the boundary; what is written ends in memory."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.parameters.base import BaseProvider
from botocore.exceptions import ClientError, ReadTimeoutError

from chaos.boundary import Boundary
from chaos.dynamodb import TransactionCanceledException
from chaos.paging import Paginator
from honnin.domain_events import KYC_STATUS_CHANGED, RECON_COMPLETED


def aws_failure(operation: str, kind: str) -> Exception:
    """What botocore raises for a kind of fault."""
    if kind == "lost":
        return ReadTimeoutError(endpoint_url="https://aws.example.com/")
    code, status = ("ThrottlingException", 400) if kind in ("throttled", "conflict") else ("InternalServerError", 500)
    answer: Any = {"Error": {"Code": code, "Message": kind}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


class Guarded:
    """A client in memory; each of its calls passes the boundary as a call to `service`."""

    def __init__(self, client: Any, boundary: Boundary, service: str) -> None:
        self._client = client
        self._boundary = boundary
        self._service = service

    def __getattr__(self, name: str) -> Any:
        if name == "exceptions":
            return self._client.exceptions
        operation = getattr(self._client, name)

        def fail(kind: str) -> Any:
            raise aws_failure(name, kind)

        def call(*arguments: Any, **request: Any) -> Any:
            return self._boundary.call(self._service, lambda: operation(*arguments, **request), fail)

        # Found at once the next time.
        setattr(self, name, call)
        return call

    def get_paginator(self, operation: str) -> Paginator:
        """Pages, each a call of its own."""
        return Paginator(getattr(self, operation), self._client.get_paginator(operation).tokens)


class GuardedDynamoDB(Guarded):
    """The table; transactions count as a service of their own."""

    def transact_write_items(self, **request: Any) -> Any:
        """Write all or nothing; the SDK's own repetition carries a token, by which it takes effect once."""
        done: list[Any] = []

        def once() -> Any:
            if not done:
                done.append(self._client.transact_write_items(**request))
            return done[0]

        def fail(kind: str) -> Any:
            if kind == "conflict":
                reasons = [{"Code": "TransactionConflict"} for _ in request["TransactItems"]]
                answer: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
                raise TransactionCanceledException(answer, "TransactWriteItems")
            raise aws_failure("TransactWriteItems", kind)

        return self._boundary.call("transaction", once, fail)


class Bus:
    """EventBridge. `published` is what was published, by kind; `early` what was before its effect was in the table."""

    def __init__(self, boundary: Boundary, is_applied: Callable[[str], bool]) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.early: list[str] = []
        self._boundary = boundary
        self._is_applied = is_applied

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes of a status."""
        return [detail for kind, detail in self.published if kind == KYC_STATUS_CHANGED]

    @property
    def completed(self) -> list[dict[str, Any]]:
        """The recon files that were compared."""
        return [detail for kind, detail in self.published if kind == RECON_COMPLETED]

    def put_events(self, *, Entries: Sequence[Mapping[str, Any]]) -> Any:  # noqa: N803
        """Take every entry."""

        def publish() -> Any:
            for entry in Entries:
                detail = json.loads(entry["Detail"])
                self.published.append((entry["DetailType"], detail))
                if entry["DetailType"] == KYC_STATUS_CHANGED and not self._is_applied(detail["eventId"]):
                    self.early.append(detail["eventId"])
            return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in Entries]}

        def fail(kind: str) -> Any:
            if kind == "refused":
                return {"FailedEntryCount": len(Entries), "Entries": [{"ErrorCode": "InternalFailure"}]}
            raise aws_failure("PutEvents", kind)

        return self._boundary.call("events", publish, fail)


class Secrets(BaseProvider):
    """Secrets Manager behind Powertools Parameters, whose cache stays the real one."""

    def __init__(self, value: Callable[[], str], boundary: Boundary) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
        self._value = value
        self._boundary = boundary

    def _get(self, name: str, **sdk_options: Any) -> str:  # noqa: ARG002
        def fail(kind: str) -> str:
            raise aws_failure("GetSecretValue", kind)

        return self._boundary.call("secrets", self._value, fail)

    def _get_multiple(self, path: str, **sdk_options: Any) -> dict[str, str]:
        raise NotImplementedError


class Topic:
    """SNS: the texts that were sent to people."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def publish(self, *, Message: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Keep a text."""
        self.texts.append(json.loads(Message)["default"])
        return {"MessageId": "1"}
