"""Honnin's merchant API for Python back ends: README.md."""

from honnin_client.client import AsyncHonnin, Honnin
from honnin_client.errors import HonninError, NoAnswerError, NotSentError, NotUnderstoodError, RefusedError
from honnin_client.generated import models
from honnin_client.generated.models import ProblemCode
from honnin_client.retries import Retries
from honnin_client.signing import SigV4
from honnin_client.webhooks import InvalidWebhookError, Webhook, verify

__all__ = [
    "AsyncHonnin",
    "Honnin",
    "HonninError",
    "InvalidWebhookError",
    "NoAnswerError",
    "NotSentError",
    "NotUnderstoodError",
    "ProblemCode",
    "RefusedError",
    "Retries",
    "SigV4",
    "Webhook",
    "models",
    "verify",
]
