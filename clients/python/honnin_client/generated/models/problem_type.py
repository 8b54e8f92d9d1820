from enum import StrEnum


class ProblemType(StrEnum):
    URNHONNINPROBLEMACCESS_DENIED = "urn:honnin:problem:access-denied"
    URNHONNINPROBLEMALREADY_APPROVED = "urn:honnin:problem:already-approved"
    URNHONNINPROBLEMAWS_BUSY = "urn:honnin:problem:aws-busy"
    URNHONNINPROBLEMBODY_FIELD_TWICE = "urn:honnin:problem:body-field-twice"
    URNHONNINPROBLEMBODY_NOT_JSON = "urn:honnin:problem:body-not-json"
    URNHONNINPROBLEMBODY_NOT_OBJECT = "urn:honnin:problem:body-not-object"
    URNHONNINPROBLEMBODY_TOO_LARGE = "urn:honnin:problem:body-too-large"
    URNHONNINPROBLEMCONTRACT_STARTED_AGAIN = "urn:honnin:problem:contract-started-again"
    URNHONNINPROBLEMDEPLOYMENT_INCOMPLETE = "urn:honnin:problem:deployment-incomplete"
    URNHONNINPROBLEMERASED_WITHOUT_UNLINK = "urn:honnin:problem:erased-without-unlink"
    URNHONNINPROBLEMERASURE_BEGUN = "urn:honnin:problem:erasure-begun"
    URNHONNINPROBLEMFIELD_INVALID = "urn:honnin:problem:field-invalid"
    URNHONNINPROBLEMGATEWAY_FAILED = "urn:honnin:problem:gateway-failed"
    URNHONNINPROBLEMGATEWAY_TIMEOUT = "urn:honnin:problem:gateway-timeout"
    URNHONNINPROBLEMIDEMPOTENCY_IN_PROGRESS = "urn:honnin:problem:idempotency-in-progress"
    URNHONNINPROBLEMIDEMPOTENCY_KEY_REUSED = "urn:honnin:problem:idempotency-key-reused"
    URNHONNINPROBLEMLINKED_ANEW = "urn:honnin:problem:linked-anew"
    URNHONNINPROBLEMMEDIA_TYPE = "urn:honnin:problem:media-type"
    URNHONNINPROBLEMNOT_LINKED = "urn:honnin:problem:not-linked"
    URNHONNINPROBLEMNOT_SIGNED_OR_NO_ROUTE = "urn:honnin:problem:not-signed-or-no-route"
    URNHONNINPROBLEMNO_SUCH_ROUTE = "urn:honnin:problem:no-such-route"
    URNHONNINPROBLEMPASSPORT_NOT_COMPLETED = "urn:honnin:problem:passport-not-completed"
    URNHONNINPROBLEMPASSPORT_QR_EXPIRED = "urn:honnin:problem:passport-qr-expired"
    URNHONNINPROBLEMPASSPORT_QR_UNKNOWN = "urn:honnin:problem:passport-qr-unknown"
    URNHONNINPROBLEMPROVIDER_CONFIGURATION = "urn:honnin:problem:provider-configuration"
    URNHONNINPROBLEMPROVIDER_FAILED = "urn:honnin:problem:provider-failed"
    URNHONNINPROBLEMPROVIDER_MAINTENANCE = "urn:honnin:problem:provider-maintenance"
    URNHONNINPROBLEMPROVIDER_NOT_REACHED = "urn:honnin:problem:provider-not-reached"
    URNHONNINPROBLEMPROVIDER_NOT_UNDERSTOOD = "urn:honnin:problem:provider-not-understood"
    URNHONNINPROBLEMPROVIDER_RATE_LIMITED = "urn:honnin:problem:provider-rate-limited"
    URNHONNINPROBLEMPROVIDER_REFUSED = "urn:honnin:problem:provider-refused"
    URNHONNINPROBLEMPROVIDER_TIMEOUT = "urn:honnin:problem:provider-timeout"
    URNHONNINPROBLEMPROVIDER_UNAVAILABLE = "urn:honnin:problem:provider-unavailable"
    URNHONNINPROBLEMRECON_DAY_UNKNOWN = "urn:honnin:problem:recon-day-unknown"
    URNHONNINPROBLEMREQUEST_REFUSED = "urn:honnin:problem:request-refused"
    URNHONNINPROBLEMSCOPE_NOT_GRANTED = "urn:honnin:problem:scope-not-granted"
    URNHONNINPROBLEMSIGNATURE_INVALID = "urn:honnin:problem:signature-invalid"
    URNHONNINPROBLEMSUBMISSION_OPEN = "urn:honnin:problem:submission-open"
    URNHONNINPROBLEMSUBMISSION_STARTING = "urn:honnin:problem:submission-starting"
    URNHONNINPROBLEMSUBMISSION_UNCLEAR = "urn:honnin:problem:submission-unclear"
    URNHONNINPROBLEMTOKEN_EXPIRED = "urn:honnin:problem:token-expired"
    URNHONNINPROBLEMTOO_MANY_REQUESTS = "urn:honnin:problem:too-many-requests"
    URNHONNINPROBLEMUNAUTHORIZED = "urn:honnin:problem:unauthorized"
    URNHONNINPROBLEMUNEXPECTED = "urn:honnin:problem:unexpected"
    URNHONNINPROBLEMUSER_BUSY = "urn:honnin:problem:user-busy"
    URNHONNINPROBLEMUSER_UNKNOWN = "urn:honnin:problem:user-unknown"

    @classmethod
    def _missing_(cls, value: object) -> "ProblemType | None":
        """A value that a newer Honnin has added: kept as it is, and equal to its text."""
        if not isinstance(value, str):
            return None
        added = str.__new__(cls, value)
        added._name_ = added._value_ = value
        return added
