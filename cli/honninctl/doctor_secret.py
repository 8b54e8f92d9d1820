"""Whether the secret of the providers has what the functions need."""

import base64
import binascii
from collections.abc import Iterator, Mapping

from honninctl.checks import Check, Verdict
from honninctl.deployment import Deployment
from honninctl.failures import NotAllowedError, explained
from honninctl.language import _

# The provider secret (docs/decisions.md#1), by provider.
_SECRET_KEYS = {
    "Vexora": ("vexora_merchant_no", "vexora_app_secret"),
    "PayPay": ("paypay_api_key", "paypay_api_secret"),
}

_OPTIONAL_SECRET_KEYS = ("paypay_merchant_id",)


def check(deployment: Deployment) -> Iterator[Check]:
    """Each provider's values. If the caller may not read the secret, it says who can."""
    from honnin.secret_store import PLACEHOLDER

    try:
        values = deployment.provider_secret()
    except Exception as error:
        if not isinstance(explained(error), NotAllowedError):
            raise
        # On purpose: with these credentials anybody can ask the providers for any user's personal data.
        advice = _("OperatorPolicy leaves it out on purpose: have whoever fills the secret run this as well")
        yield Check(
            "secret", Verdict.WARN, _("not looked at: your credentials may not read the provider secret"), advice
        )
        return
    yield from _providers(values, PLACEHOLDER)
    yield from _secret_details(values, PLACEHOLDER)


def _providers(values: Mapping[str, str], placeholder: str) -> Iterator[Check]:
    missing = {
        provider: [key for key in keys if values.get(key, "").strip() in ("", placeholder)]
        for provider, keys in _SECRET_KEYS.items()
    }
    if missing == {provider: [*keys] for provider, keys in _SECRET_KEYS.items()}:
        # A new stack: each provider alone may be missing, but not both.
        advice = _("fill the secret with put-secret-value (docs/deploying.md)")
        yield Check("secret", Verdict.FAIL, _("no provider is set up"), advice)
        return
    for provider, keys in _SECRET_KEYS.items():
        wrong = [key for key in keys if not values.get(key, "").isascii()]
        if missing[provider] == [*keys]:
            yield Check(
                "secret",
                Verdict.WARN,
                _("{provider} is not set up").format(provider=provider),
                _("fine if you do not use {provider}").format(provider=provider),
            )
        elif missing[provider] or wrong:
            found = _("no usable value for {names}").format(names=", ".join(missing[provider] + wrong))
            yield Check("secret", Verdict.FAIL, found, _("set it with put-secret-value (docs/deploying.md)"))
        else:
            yield Check("secret", Verdict.OK, _("{provider}: complete").format(provider=provider))


def _secret_details(values: Mapping[str, str], placeholder: str) -> Iterator[Check]:
    secret = values.get("paypay_api_secret", "").strip()
    if secret and secret != placeholder and not _is_base64(secret):
        # docs/providers.md §1.3: the key of the responseToken is the base64-decoded API secret.
        found = _("paypay_api_secret is not base64, so no responseToken can be checked")
        yield Check("secret", Verdict.FAIL, found, _("copy it again from PayPay, without blanks or quotes"))
    for key in _OPTIONAL_SECRET_KEYS:
        if values.get(key, "").strip() in ("", placeholder):
            advice = _("set it if you want ready-made requests to PayPay's support")
            yield Check("secret", Verdict.WARN, _("{key} is not set").format(key=key), advice)
    known = {*_OPTIONAL_SECRET_KEYS, *(key for keys in _SECRET_KEYS.values() for key in keys)}
    if unknown := sorted(set(values) - known):
        yield Check(
            "secret",
            Verdict.WARN,
            _("unknown: {unknown}").format(unknown=", ".join(unknown)),
            _("no function reads it; is the name misspelled?"),
        )


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
