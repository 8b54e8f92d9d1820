"""An erasure in the merchant API: who asks for it and why, and the certificate, in the form of docs/openapi.json."""

from pydantic import ConfigDict
from pydantic.config import JsonDict

from honnin import contract_ends
from honnin.erasure import ErasureRequest
from honnin.merchant_api import AnswerModel, Day, Line, RequestModel, ShortLine, UtcTime
from honnin.store import Certificate, Contract

# Example of docs/openapi.json.
_CERTIFICATE: JsonDict = {
    "certificateId": "3f1c6a52-9d7e-4b0a-8c2f-5e6d7c8b9a01",
    "userId": "user-0001",
    "begunAt": "2026-04-02T03:00:00.000Z",
    "completedAt": "2026-04-02T03:00:00.240Z",
    "erased": {"vaultObjects": 2, "links": 1, "statuses": 1, "timelineEntries": 4, "unlinkedAtPayPay": 1},
    "requestedBy": "privacy desk",
    "reason": "request of the person",
    "ticket": "DESK-4711",
}


class ErasureBody(RequestModel):
    """Who asks for the erasure, why, and the ticket. Each is one line, and may be left out. Write no personal data.

    They are kept as long as the certificate. Without `requestedBy`, the ARN of the caller stands there.
    The first request of an erasure counts; a repeated one changes nothing.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{name: _CERTIFICATE[name] for name in ("requestedBy", "reason", "ticket")}],
        }
    )

    requested_by: Line | None = None
    reason: Line | None = None
    ticket: ShortLine | None = None

    def request(self, caller: str | None) -> ErasureRequest:
        """The request of this body, made by the caller with this ARN."""
        return ErasureRequest(self.requested_by or caller, self.reason, self.ticket)


class CertificateView(AnswerModel):
    """The certificate that a user's personal data was erased. Times are UTC.

    `erased` has the number of erased items of each kind: versions of objects in the personal-data bucket, links,
    waiting events, submissions, statuses, and timeline entries whose details were removed. With `unlink=true` it also
    has the number of authorizations that were ended at PayPay. `requestedBy`, `reason` and `ticket` are those of the
    request that began the erasure.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_CERTIFICATE]})

    certificate_id: str
    user_id: str
    begun_at: UtcTime
    completed_at: UtcTime
    erased: dict[str, int]
    requested_by: str | None
    reason: str | None
    ticket: str | None


class ContractEndBody(RequestModel):
    """The last day of a user's contract, in Japan; not in the future. `reason` is one line without personal data."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"endedOn": "2026-10-31", "reason": "cancelled"}]})

    ended_on: Day
    reason: Line | None = None


class ContractEndView(AnswerModel):
    """What is known of the end of a user's contract; null where no end is known.

    `reportedAt` (UTC) is when it was reported. `keptUntil` is the last day (in Japan) on which the user's data is kept;
    the user is erased after it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "userId": "user-0001",
                    "endedOn": "2026-10-31",
                    "reportedAt": "2026-11-02T01:00:00.000Z",
                    "reason": "cancelled",
                    "keptUntil": "2033-10-31",
                }
            ]
        }
    )

    user_id: str
    ended_on: str | None
    reported_at: UtcTime | None
    reason: str | None
    kept_until: str | None


def contract_end(found: Contract) -> ContractEndView:
    """What is known of the end of a contract, as the API answers it."""
    if found.ended_on is None:
        return ContractEndView(user_id=found.user_id, ended_on=None, reported_at=None, reason=None, kept_until=None)
    return ContractEndView(
        user_id=found.user_id,
        ended_on=found.ended_on,
        reported_at=found.reported_at,
        reason=found.reason,
        kept_until=contract_ends.kept_until(found),
    )


def certificate(found: Certificate) -> CertificateView:
    """The certificate of a completed erasure, as the API answers it."""
    return CertificateView(
        certificate_id=found.certificate_id,
        user_id=found.user_id,
        begun_at=found.begun_at,
        completed_at=found.completed_at or found.begun_at,
        # In one order: the table keeps none.
        erased=dict(sorted(found.counts.items())),
        requested_by=found.requested_by,
        reason=found.reason,
        ticket=found.ticket,
    )
