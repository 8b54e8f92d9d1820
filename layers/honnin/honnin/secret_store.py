"""The secrets: the providers' credentials, and the generated keys of callback tokens and of merchant webhooks.

Powertools Parameters caches them for five minutes. `refresh=True` reads without the cache: if a provider has refused a
call, the secret may have been rotated.
Shapes::

    providers secret   {"vexora_merchant_no", "vexora_app_secret",
                        "paypay_api_key", "paypay_api_secret", "paypay_merchant_id"}
    callback key       {"current"} and, during a rotation, {"current", "previous"}
    merchant webhooks  the same; each value is base64, with or without the prefix `whsec_`
"""

import base64
import json
from dataclasses import dataclass, field
from threading import RLock

from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from honnin import aws
from honnin.config import settings
from honnin.errors import SecretIncompleteError, SecretUnreadableError

# The value that template.yaml puts into the secret at the first deployment; it counts as not set.
PLACEHOLDER = "REPLACE_ME"

_MAX_AGE_S = 300

_WEBHOOK_PREFIX = "whsec_"

# Powertools' cache and the making of its client are not thread-safe, and one call is enough for all threads. The lock
# may be taken twice by one thread: the fault harness runs another worker inside a read, in the same thread.
_reading = RLock()


@dataclass(frozen=True)
class VexoraCredentials:
    """Merchant number (a header, not signed) and app secret (the salt of every `sign`)."""

    merchant_no: str
    app_secret: str = field(repr=False)


@dataclass(frozen=True)
class PayPayCredentials:
    """API key and secret of the Open Payment API, and the merchant id."""

    api_key: str
    api_secret: str = field(repr=False)
    merchant_id: str


def paypay_credentials(*, refresh: bool = False) -> PayPayCredentials:
    """PayPay's credentials. Raises `SecretIncompleteError` naming the first key that is not set."""
    arn = settings().providers_secret_arn
    values = _read(arn, refresh=refresh)
    return PayPayCredentials(
        api_key=_value(arn, values, "paypay_api_key"),
        api_secret=_value(arn, values, "paypay_api_secret"),
        # It is only needed for resend requests, so a deployment works without it.
        merchant_id=values.get("paypay_merchant_id", ""),
    )


def paypay_merchant_id() -> str:
    """Our merchant id at PayPay, for resend requests; empty if it is not set.

    Raises `SecretUnreadableError` when the secret cannot be read.
    """
    value = _read(settings().providers_secret_arn, refresh=False).get("paypay_merchant_id", "").strip()
    return "" if value == PLACEHOLDER else value


def vexora_credentials(*, refresh: bool = False) -> VexoraCredentials:
    """Vexora's credentials. Raises `SecretIncompleteError` naming the first key that is not set."""
    arn = settings().providers_secret_arn
    values = _read(arn, refresh=refresh)
    return VexoraCredentials(
        merchant_no=_value(arn, values, "vexora_merchant_no"),
        app_secret=_value(arn, values, "vexora_app_secret"),
    )


def callback_keys(*, refresh: bool = False) -> tuple[str, ...]:
    """The keys with which a callback token may have been made, the current one first."""
    return _generated_keys(settings().callback_key_secret_arn, refresh=refresh)


def merchant_webhook_keys(*, refresh: bool = False) -> tuple[str, ...]:
    """The keys that sign the merchant's webhooks, the current one first; each as `whsec_` and base64.

    CloudFormation can generate letters and digits, but no text with this prefix. 64 of them are the base64 of 48 bytes.

    Raises
    ------
    SecretIncompleteError
        A key is no base64 of the 24 to 64 bytes that Standard Webhooks requires.
    """
    arn = settings().merchant_webhook_secret_arn
    found = _generated_keys(arn, refresh=refresh)
    for name, key in zip(("current", "previous"), found, strict=False):
        if not _is_webhook_key(key.removeprefix(_WEBHOOK_PREFIX)):
            raise SecretIncompleteError(arn, name)
    return tuple(_WEBHOOK_PREFIX + each.removeprefix(_WEBHOOK_PREFIX) for each in found)


def _generated_keys(arn: str, *, refresh: bool) -> tuple[str, ...]:
    values = _read(arn, refresh=refresh)
    current = _value(arn, values, "current")
    previous = values.get("previous", "")
    return (current, previous) if previous else (current,)


def _is_webhook_key(text: str) -> bool:
    try:
        return 24 <= len(base64.b64decode(text, validate=True)) <= 64
    except ValueError:
        return False


def _read(arn: str, *, refresh: bool) -> dict[str, str]:
    try:
        with _reading:
            text = parameters.get_secret(arn, max_age=_MAX_AGE_S, force_fetch=refresh)
    except GetParameterError as error:
        cause = error.__cause__ or error
        raise SecretUnreadableError(arn, type(cause).__name__, transient=aws.is_transient(cause)) from None
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise SecretIncompleteError(arn, "(a JSON object)")
    return {str(key): value for key, value in values.items() if isinstance(value, str)}


def _value(arn: str, values: dict[str, str], key: str) -> str:
    value = values.get(key, "").strip()
    # Every value is used in a header or in a signature over ASCII. A full-width digit is a typing mistake; a line break
    # comes from copying.
    if not value or value == PLACEHOLDER or not (value.isascii() and value.isprintable()):
        raise SecretIncompleteError(arn, key)
    return value
