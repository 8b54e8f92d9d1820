"""Merchant webhooks: verified by the reference library of Standard Webhooks, and typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from honnin_client.generated import models


class _Model(Protocol):
    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any], /) -> Any: ...


# The content of each type. A newer Honnin may send others.
_DATA: dict[str, type[_Model]] = {
    "kyc.status.changed": models.KycStatusChangedWebhookData,
    "submission.stale": models.SubmissionStaleWebhookData,
    "user.erased": models.UserErasedWebhookData,
    "recon.completed": models.ReconCompletedWebhookData,
    "authorization.expiring": models.AuthorizationExpiringWebhookData,
    "authorization.expired": models.AuthorizationExpiredWebhookData,
    "residence.period.expiring": models.ResidencePeriodExpiringWebhookData,
    "honnin.test": models.TestWebhookData,
}

Data = (
    models.KycStatusChangedWebhookData
    | models.SubmissionStaleWebhookData
    | models.UserErasedWebhookData
    | models.ReconCompletedWebhookData
    | models.AuthorizationExpiringWebhookData
    | models.AuthorizationExpiredWebhookData
    | models.ResidencePeriodExpiringWebhookData
    | models.TestWebhookData
)


class InvalidWebhookError(Exception):
    """The request is not Honnin's, or it was signed more than five minutes ago: answer 401 and do nothing."""


@dataclass(frozen=True)
class Webhook:
    """A verified webhook. `id` is the same for each try of an event: handle each id once.

    `data` is typed (`isinstance(webhook.data, KycStatusChangedWebhookData)`), and None for a `type` or a form that
    this version of the client does not know: answer 2xx all the same. `raw` is the body's `data` as it came.
    """

    id: str
    type: str
    timestamp: str
    data: Data | None
    raw: Mapping[str, Any]


def verify(body: bytes, headers: Mapping[str, str], secret: str) -> Webhook:
    """The webhook in a request, from the bytes of its body as they came. Raises `InvalidWebhookError`."""
    given = {name.lower(): value for name, value in headers.items()}
    try:
        StandardWebhook(secret).verify(body, given)
        content = json.loads(body)
        kind, timestamp, data = content["type"], content["timestamp"], content["data"]
        identity = given["webhook-id"]
    except (WebhookVerificationError, ValueError, KeyError, TypeError) as error:
        raise InvalidWebhookError("not a webhook that Honnin has signed in the last five minutes") from error
    return Webhook(identity, kind, timestamp, _typed(kind, data), data)


def _typed(kind: str, data: Any) -> Any:
    model = _DATA.get(kind)
    try:
        return model.from_dict(data) if model else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None  # of a newer Honnin: answered all the same
