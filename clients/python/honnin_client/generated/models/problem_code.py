from enum import StrEnum


class ProblemCode(StrEnum):
    ACCESS_DENIED = "access-denied"
    ALREADY_APPROVED = "already-approved"
    AWS_BUSY = "aws-busy"
    BODY_FIELD_TWICE = "body-field-twice"
    BODY_NOT_JSON = "body-not-json"
    BODY_NOT_OBJECT = "body-not-object"
    BODY_TOO_LARGE = "body-too-large"
    CONTRACT_STARTED_AGAIN = "contract-started-again"
    DEPLOYMENT_INCOMPLETE = "deployment-incomplete"
    ERASED_WITHOUT_UNLINK = "erased-without-unlink"
    ERASURE_BEGUN = "erasure-begun"
    FIELD_INVALID = "field-invalid"
    GATEWAY_FAILED = "gateway-failed"
    GATEWAY_TIMEOUT = "gateway-timeout"
    IDEMPOTENCY_IN_PROGRESS = "idempotency-in-progress"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    LINKED_ANEW = "linked-anew"
    MEDIA_TYPE = "media-type"
    NOT_LINKED = "not-linked"
    NOT_SIGNED_OR_NO_ROUTE = "not-signed-or-no-route"
    NO_SUCH_ROUTE = "no-such-route"
    PASSPORT_NOT_COMPLETED = "passport-not-completed"
    PASSPORT_QR_EXPIRED = "passport-qr-expired"
    PASSPORT_QR_UNKNOWN = "passport-qr-unknown"
    PROVIDER_CONFIGURATION = "provider-configuration"
    PROVIDER_FAILED = "provider-failed"
    PROVIDER_MAINTENANCE = "provider-maintenance"
    PROVIDER_NOT_REACHED = "provider-not-reached"
    PROVIDER_NOT_UNDERSTOOD = "provider-not-understood"
    PROVIDER_RATE_LIMITED = "provider-rate-limited"
    PROVIDER_REFUSED = "provider-refused"
    PROVIDER_TIMEOUT = "provider-timeout"
    PROVIDER_UNAVAILABLE = "provider-unavailable"
    RECON_DAY_UNKNOWN = "recon-day-unknown"
    REQUEST_REFUSED = "request-refused"
    SCOPE_NOT_GRANTED = "scope-not-granted"
    SIGNATURE_INVALID = "signature-invalid"
    SUBMISSION_OPEN = "submission-open"
    SUBMISSION_STARTING = "submission-starting"
    SUBMISSION_UNCLEAR = "submission-unclear"
    TOKEN_EXPIRED = "token-expired"
    TOO_MANY_REQUESTS = "too-many-requests"
    UNAUTHORIZED = "unauthorized"
    UNEXPECTED = "unexpected"
    USER_BUSY = "user-busy"
    USER_UNKNOWN = "user-unknown"

    @classmethod
    def _missing_(cls, value: object) -> "ProblemCode | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
