"""Every problem of the HTTP APIs: its code, its HTTP status and its title. One list for the code and the documents.

A code does not change: callers decide by it. docs/api.md describes each; docs/openapi.json and the gateway responses of
template.yaml are held to this list by tests.
"""

from enum import StrEnum


class ProblemCode(StrEnum):
    """The code of a problem; `summary` is its `title`.

    `retry_after_s` is how many seconds to wait before the same call may succeed; 0: not known.
    """

    status: int
    summary: str
    retry_after_s: int

    def __new__(cls, code: str, status: int, summary: str, retry_after_s: int = 0) -> "ProblemCode":
        """Make one of the codes below."""
        made = str.__new__(cls, code)
        made._value_ = code
        made.status = status
        made.summary = summary
        made.retry_after_s = retry_after_s
        return made

    @property
    def type(self) -> str:
        """The `type` of RFC 9457: a URI that only names the problem; nothing is to be fetched from it."""
        return f"urn:honnin:problem:{self.value}"

    # The request itself.
    BODY_NOT_JSON = "body-not-json", 400, "The body is not JSON in UTF-8"
    BODY_NOT_OBJECT = "body-not-object", 400, "The body is not a JSON object"
    BODY_FIELD_TWICE = "body-field-twice", 400, "The body contains a field twice"
    BODY_TOO_LARGE = "body-too-large", 413, "The body is larger than 64 KiB"
    MEDIA_TYPE = "media-type", 415, "The body must be application/json in UTF-8"
    FIELD_INVALID = "field-invalid", 422, "A field is not valid"

    # Not found.
    NO_SUCH_ROUTE = "no-such-route", 404, "There is no such route"
    USER_UNKNOWN = "user-unknown", 404, "No user is known under this id"
    RECON_DAY_UNKNOWN = "recon-day-unknown", 404, "No recon file of this day is known"
    PASSPORT_QR_UNKNOWN = "passport-qr-unknown", 404, "No KYC Passport QR is known under this code id"
    PASSPORT_QR_EXPIRED = "passport-qr-expired", 404, "PayPay does not know this KYC Passport QR any more"

    # The present state does not allow it.
    SUBMISSION_OPEN = "submission-open", 409, "The user has an open submission"
    ALREADY_APPROVED = "already-approved", 409, "The user is already approved"
    SUBMISSION_UNCLEAR = "submission-unclear", 409, "It is not known yet whether an earlier submission arrived"
    SUBMISSION_STARTING = "submission-starting", 409, "Another submission of the user has just started"
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused", 409, "The Idempotency-Key came with another body before"
    IDEMPOTENCY_IN_PROGRESS = "idempotency-in-progress", 409, "The first request with this key is still under way"
    NOT_LINKED = "not-linked", 409, "The user has not linked a PayPay account"
    SCOPE_NOT_GRANTED = "scope-not-granted", 409, "The user has not agreed to the scope that this read needs"
    LINKED_ANEW = "linked-anew", 409, "The user has since linked with another QR"
    PASSPORT_NOT_COMPLETED = "passport-not-completed", 409, "The user has not completed the KYC Passport QR"
    ERASED_WITHOUT_UNLINK = "erased-without-unlink", 409, "The user was erased without ending the authorization"
    ERASURE_BEGUN = "erasure-begun", 409, "The erasure of the user has begun and cannot be taken back"
    CONTRACT_STARTED_AGAIN = "contract-started-again", 409, "The user was submitted or linked after that day"

    # The provider.
    PROVIDER_REFUSED = "provider-refused", 502, "The provider refused the request"
    PROVIDER_CONFIGURATION = "provider-configuration", 502, "The provider does not accept this deployment"
    PROVIDER_NOT_UNDERSTOOD = "provider-not-understood", 502, "The provider's answer cannot be understood"
    PROVIDER_FAILED = "provider-failed", 502, "The provider failed"
    PROVIDER_NOT_REACHED = "provider-not-reached", 503, "The provider could not be reached; nothing was sent", 5
    PROVIDER_RATE_LIMITED = "provider-rate-limited", 503, "The provider accepts no more requests at this moment", 5
    PROVIDER_UNAVAILABLE = "provider-unavailable", 503, "The provider is not available now", 30
    PROVIDER_MAINTENANCE = "provider-maintenance", 503, "The provider is under maintenance", 300
    PROVIDER_TIMEOUT = "provider-timeout", 504, "The provider did not answer in time"

    # This deployment.
    USER_BUSY = "user-busy", 503, "Other requests are changing the user at this moment", 1
    AWS_BUSY = "aws-busy", 503, "An AWS service that this deployment needs is not available now", 2
    DEPLOYMENT_INCOMPLETE = "deployment-incomplete", 500, "The configuration of this deployment is incomplete"
    UNEXPECTED = "unexpected", 500, "An unexpected error occurred in this deployment"

    # API Gateway itself, before or instead of a function: `GatewayResponses` of template.yaml.
    # API Gateway does not tell these two apart.
    NOT_SIGNED_OR_NO_ROUTE = "not-signed-or-no-route", 403, "The request is not signed, or there is no such route"
    UNAUTHORIZED = "unauthorized", 401, "The request is not authorized"
    ACCESS_DENIED = "access-denied", 403, "The caller is not allowed to call this"
    SIGNATURE_INVALID = "signature-invalid", 403, "The signature of the request is wrong"
    TOKEN_EXPIRED = "token-expired", 403, "The security token has expired"
    TOO_MANY_REQUESTS = "too-many-requests", 429, "Too many requests", 1
    REQUEST_REFUSED = "request-refused", 400, "API Gateway refused the request"
    GATEWAY_FAILED = "gateway-failed", 500, "API Gateway or the function behind it failed"
    GATEWAY_TIMEOUT = "gateway-timeout", 504, "The function behind API Gateway did not answer in time"
