"""The AWS clients, and the meaning of AWS's errors. A client is built at its first use, once for each environment.

Every call has a time-out. botocore itself repeats a failed call (standard mode: three attempts); our own code does not
repeat it again.
"""

import re
from collections.abc import Callable
from functools import cache, wraps
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient


# How many connections a client keeps: one for each thread of a worker.
CONNECTIONS = 16


def _config(read_timeout_s: int = 5, *, connect_timeout_s: int = 2, tries: int = 3) -> Config:
    return Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": tries},
        max_pool_connections=CONNECTIONS,
        # botocore makes its long default text anew for each call, which takes an eighth of the call's CPU.
        user_agent="honnin",
    )


# Several threads may use a client at once, but only one thread at a time may make one.
_making = Lock()
_forgets: list[Callable[[], None]] = []


def _once[**P, C](make: Callable[P, C]) -> Callable[P, C]:
    """Make a client when it is first requested, in one thread at a time."""
    made = cache(make)
    _forgets.append(made.cache_clear)

    @wraps(make)
    def client(*arguments: P.args, **more: P.kwargs) -> C:
        with _making:
            return made(*arguments, **more)  # type: ignore[arg-type]  # all of them can be hashed

    return client


@_once
def dynamodb(*, hurried: bool = False) -> "DynamoDBClient":
    """DynamoDB; `hurried` is for calls for which nobody waits longer than a few seconds."""
    # Two attempts: a connection that was kept alive may turn out to be dead.
    soon = _config(1, connect_timeout_s=1, tries=2)
    return boto3.client("dynamodb", config=soon if hurried else _config())


@_once
def events() -> "EventBridgeClient":
    """EventBridge."""
    return boto3.client("events", config=_config())


@_once
def s3(*, read_timeout_s: int = 5) -> "S3Client":
    """S3; a part of a large file takes more time."""
    return boto3.client("s3", config=_config(read_timeout_s))


@_once
def sns() -> "SNSClient":
    """SNS."""
    return boto3.client("sns", config=_config())


@_once
def ssm() -> Any:
    """Systems Manager, for its parameters."""
    return boto3.client("ssm", config=_config())


@_once
def lambdas() -> "LambdaClient":
    """Lambda."""
    return boto3.client("lambda", config=_config())


@_once
def stepfunctions() -> "SFNClient":
    """Step Functions."""
    return boto3.client("stepfunctions", config=_config())


@_once
def sqs() -> "SQSClient":
    """SQS."""
    return boto3.client("sqs", config=_config())


def is_denied(error: Exception) -> bool:
    """Whether AWS refused our call because a permission is missing."""
    code = error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""
    return code.startswith("AccessDenied")


# Every 5xx and 429 is transient, too. For a transaction, DynamoDB gives the reasons in a list of its own.
_TRANSIENT = re.compile(
    r"Thrott|TooManyRequests|RequestLimitExceeded|SlowDown|ServiceUnavailable|Internal(Server)?(Error|Failure)"
    r"|ProvisionedThroughputExceeded|RequestTimeout|TransactionInProgress|TransactionConflict|Unavailable"
)


def is_transient(error: BaseException) -> bool:
    """Whether AWS could not process our call at the moment: throttled, not available, no answer."""
    if isinstance(error, (HTTPClientError, BotoConnectionError)):
        return True
    if not isinstance(error, ClientError):
        return False
    reasons = error.response.get("CancellationReasons") or []
    codes = [error.response["Error"].get("Code") or "", *(each.get("Code") or "" for each in reasons)]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or any(_TRANSIENT.search(code) for code in codes)


def forget() -> None:
    """Forget all clients, so that they are built again: for tests, each of which has its own AWS double."""
    for each in _forgets:
        each()
