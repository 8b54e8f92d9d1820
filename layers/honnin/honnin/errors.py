"""Every error that Honnin raises on purpose, in one tree. Code decides by type, never by text.

::

    HonninError
    ├── ConfigurationError            our own deployment is wrong, a person must act
    │   ├── MissingSettingError       an environment variable is not there
    │   ├── InvalidSettingError       an environment variable cannot be read
    │   ├── SecretUnreadableError     a secret cannot be read now, or not by us
    │   └── SecretIncompleteError     a secret lacks a key or still holds its placeholder
    ├── RequestError                  an error of the caller: a 4xx with a code of its own, no trace
    │   ├── InvalidFieldError         422, names the field and the rule
    │   ├── NotFoundError             404
    │   └── ConflictError             409, carries the present state
    ├── ProviderError                 a provider refused, or did not answer
    │   ├── ProviderRefusedError      final for this call
    │   │   ├── ProviderConfigurationError  our credentials, scopes or contract; a person must act
    │   │   ├── UserAnswerError       an answer about the user: it becomes a status
    │   │   ├── ScopeNotGrantedError  the user's authorization lacks the scope of the call
    │   │   ├── SessionNotFoundError  the KYC Passport QR is unknown or expired
    │   │   └── PassportNotCompletedError   the user has not finished the KYC Passport QR
    │   └── ProviderUnavailableError  retryable: 5xx, a system error
    │       ├── RateLimitedError      429
    │       ├── MaintenanceError      announced maintenance: try again much later
    │       ├── NotSentError          not sent: the request was never written, so it took no effect
    │       │   └── NoLeaseError      the provider's rate left no room for it in time
    │       ├── NotUnderstoodError    not understood: an answer that we cannot read, or that contradicts itself
    │       └── ProviderTimeoutError  no answer: whether the request took effect is unknown
    ├── RemoteFileError               a request to an address that is no API of a provider's
    │   ├── UrlRefusedError           the address breaks a rule; it was not fetched
    │   └── FileNotFetchedError       too large, of another kind, or broken off
    │       ├── FileGoneError         403, 404 or 410: the address has ended
    │       └── FileTooLargeError     larger than the cap
    ├── MerchantWebhookError          an event that is to be sent to the merchant's endpoint
    │   ├── WebhookNotDeliveredError  retryable, on a schedule of its own: the endpoint did not accept it
    │   └── WebhookHeldError          retryable: the endpoint fails, and the event was not sent at all
    ├── ReconError                    something about a recon file
    ├── UnexpectedError               stands for a mistake in the code, whose message might hold a value
    └── EventError
        ├── MalformedEventError       retrying does not help: moved to the dead-letter queue
        ├── EventNotReadyError        retryable: what it needs is still under way
        ├── ConcurrentUpdateError     retryable: another worker was faster
        ├── RepairsStoppedError       retryable: repairs and rereads are stopped, and wait for a person
        └── PublishError              retryable: the bus did not take it
"""

from typing import Any, ClassVar

from honnin.problem_codes import ProblemCode


class HonninError(Exception):
    """Root of the tree. `retryable` says whether the same call may succeed later.

    Two attributes say how a worker (`honnin.worker`) retries a message of a queue that failed with the error. `wait_s`:
    the message was not tried at all, and comes again after these seconds. `schedule_s`: the seconds before each further
    try; after the last try the message is moved to the dead-letter queue. If neither is set, the waits double, up to a
    quarter of an hour, and do not end.
    """

    retryable: ClassVar[bool] = False
    wait_s: ClassVar[int | None] = None
    schedule_s: ClassVar[tuple[int, ...]] = ()


class UnexpectedError(HonninError):
    """Stands for an error that the code does not know: only its type is given."""


class ConfigurationError(HonninError):
    """The deployment itself is wrong. Waiting does not help, but the work must not be lost meanwhile."""


class MissingSettingError(ConfigurationError):
    """The environment variable `name` is missing or empty; `parameter` of the template sets it, if given."""

    def __init__(self, name: str, parameter: str | None = None) -> None:
        where = f"set the parameter {parameter} and deploy" if parameter else "template.yaml sets it"
        super().__init__(f"the environment variable {name} is not set; {where}")
        self.name = name


class InvalidSettingError(ConfigurationError):
    """The environment variable `name` is set to something that breaks `rule`."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"the environment variable {name} {rule}; a parameter of template.yaml sets it")
        self.name = name


class SecretUnreadableError(ConfigurationError):
    """Secrets Manager did not give `secret_id`: an outage, a missing permission, or a secret that is gone."""

    def __init__(self, secret_id: str, reason: str, *, transient: bool = False) -> None:
        super().__init__(f"the secret {secret_id} could not be read: {reason}")
        self.secret_id = secret_id
        # Throttled, or an outage: nothing is wrong with the deployment.
        self.transient = transient


class SecretIncompleteError(ConfigurationError):
    """The secret `secret_id` lacks `key`, or `key` still holds its placeholder."""

    def __init__(self, secret_id: str, key: str) -> None:
        super().__init__(
            f"the secret {secret_id} has no usable value for {key!r}; set it with: "
            f"aws secretsmanager put-secret-value --secret-id {secret_id} --secret-string file://providers.json"
        )
        self.secret_id = secret_id
        self.key = key


class RequestError(HonninError):
    """The caller's mistake. `code` names it for good and has its HTTP status; the message is our own sentence."""

    def __init__(self, message: str, *, code: ProblemCode) -> None:
        super().__init__(message)
        self.code = code


class InvalidFieldError(RequestError):
    """`field` breaks `rule`, a sentence. The value itself is never part of the message: it may be personal."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}", code=ProblemCode.FIELD_INVALID)
        self.field = field
        self.rule = rule


class NotFoundError(RequestError):
    """Nothing is known under the id that was asked for."""


class ConflictError(RequestError):
    """The present state does not allow the request; `state` names it, `submission_id` where there is one.

    `provider_code` is what a provider said when it was asked about that state.
    """

    def __init__(
        self,
        message: str,
        *,
        code: ProblemCode,
        state: str | None = None,
        submission_id: str | None = None,
        provider_code: str | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.state = state
        self.submission_id = submission_id
        self.provider_code = provider_code


class ProviderError(HonninError):
    """A provider's failure: `http_status` and `code` as it gave them, `request_id` for its support desk.

    `message` may be the provider's own text, which may repeat a name or an authorization id. It is for the merchant
    only; `str()` of the error, which ends up in logs, holds a message only where no answer came, since it is ours.
    """

    def __init__(
        self,
        provider: str,
        message: str,
        *,
        http_status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        answered = f"HTTP {http_status}, code {code}, X-REQUEST-ID {request_id}"
        super().__init__(f"{provider}: {message if http_status is None else answered}")
        self.provider = provider
        self.message = message
        self.http_status = http_status
        self.code = code
        self.request_id = request_id
        # The user's status after the failure, where the caller needs it to go on.
        self.state: str | None = None

    def logged(self) -> dict[str, Any]:
        """The fields for a log line, without the message."""
        return {
            "provider": self.provider,
            "error": type(self).__name__,
            "http_status": self.http_status,
            "code": self.code,
            "request_id": self.request_id,
        }

    def facts(self) -> dict[str, str]:
        """The fields for the timeline: the type of the error, the provider's code, the X-REQUEST-ID."""
        named = {"error": type(self).__name__, "providerCode": self.code, "requestId": self.request_id}
        return {name: value for name, value in named.items() if value}


class ProviderRefusedError(ProviderError):
    """The provider understood the call and refused it. It will refuse the same call again."""


class ProviderConfigurationError(ProviderRefusedError):
    """The provider does not accept our credentials, scopes, address or contract. Waiting does not help."""


class UserAnswerError(ProviderRefusedError):
    """`code` says something about the user (no KYC, flagged, unlinked): it becomes the user's status."""


class ScopeNotGrantedError(ProviderRefusedError):
    """The user has not agreed to the scope that the call needs. Nothing of our deployment is wrong."""

    @classmethod
    def of(cls, error: ProviderError) -> "ScopeNotGrantedError":
        """The same answer as this error."""
        return cls(
            error.provider, error.message, http_status=error.http_status, code=error.code, request_id=error.request_id
        )


class SessionNotFoundError(ProviderRefusedError):
    """The KYC Passport QR is unknown at the provider, or has expired."""


class PassportNotCompletedError(ProviderRefusedError):
    """The user has not started or not completed the KYC Passport QR."""


class ProviderUnavailableError(ProviderError):
    """429, 5xx, a system error, or no answer that can be used. A read may be repeated later."""

    retryable = True


class RateLimitedError(ProviderUnavailableError):
    """Too many requests; `retry_after` is the header of that name as the provider gave it."""

    retry_after: str | None = None


class MaintenanceError(ProviderUnavailableError):
    """The provider announces maintenance; it lasts longer than a caller waits."""


class NotSentError(ProviderUnavailableError):
    """The connection had not begun to write the request: it certainly took no effect, and may be made again."""


class NoLeaseError(NotSentError):
    """The shared rate towards the provider (`honnin.pace`) left no room for the call as long as it could wait."""


class NotUnderstoodError(ProviderUnavailableError):
    """An answer came, but it cannot be read, lacks what the document promises, or contradicts itself."""


class ProviderTimeoutError(ProviderUnavailableError):
    """No complete answer, though the request may have been written. Whether the call took effect is unknown."""


class RemoteFileError(HonninError):
    """A file at an address that did not come from our own settings."""

    @property
    def reason(self) -> str:
        """The message as it was given: a `Wording` stays one."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class UrlRefusedError(RemoteFileError):
    """The address breaks a rule, so nothing was fetched. The message names the rule, never the query."""


class FileNotFetchedError(RemoteFileError):
    """The file is gone, too large, of another kind, or broke off."""


class FileGoneError(FileNotFetchedError):
    """403, 404 or 410: the address has ended; only a new one helps."""


class FileTooLargeError(FileNotFetchedError):
    """The file is larger than the cap. Nothing of it was kept."""


class MerchantWebhookError(HonninError):
    """Something about an event that is to be sent to the merchant's endpoint."""

    retryable = True


class WebhookNotDeliveredError(MerchantWebhookError):
    """The endpoint did not accept it. The message says why."""

    # The schedule that Standard Webhooks recommends, except its longest waits, because SQS hides a message for 12 hours
    # at most. The waits are at least 74 hours together; the worker adds up to a fifth.
    schedule_s = (5, 300, 1800, 7200, 18_000, *(34_560,) * 7)


class WebhookHeldError(MerchantWebhookError):
    """The circuit of the endpoint is open: nothing was sent, and this does not count as a try."""

    wait_s = 60


class ReconError(HonninError):
    """Something about a recon file."""


class EventError(HonninError):
    """Something about one event on the queue."""


class MalformedEventError(EventError):
    """The message is not an event of Honnin. Retrying does not help."""


class EventNotReadyError(EventError):
    """What the event depends on is still under way (a submission that has no answer yet). Try again later."""

    retryable = True


class ConcurrentUpdateError(EventError):
    """Another worker changed the same user first, several times over."""

    retryable = True


class RepairsStoppedError(EventError):
    """Repairs and rereads are stopped: nothing was applied, and the message waits until a person resumes them."""

    retryable = True
    wait_s = 900  # as rarely as possible, because each receive uses up one of the message's


class PublishError(EventError):
    """EventBridge did not take a domain event."""

    retryable = True
