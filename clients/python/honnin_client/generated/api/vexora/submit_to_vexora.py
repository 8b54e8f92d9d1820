from typing import Any

from ...models.submission_answer import SubmissionAnswer
from ...models.submission_request import SubmissionRequest
from ...types import UNSET, Unset


def request(
    *,
    body: SubmissionRequest,
    idempotency_key: str | Unset = UNSET,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/vexora/submissions",
    }
    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"
    _kwargs["headers"] = headers
    return _kwargs


def parse(body: Any) -> SubmissionAnswer:
    """The answer of a call that succeeded, from its JSON."""
    return SubmissionAnswer.from_dict(body)
