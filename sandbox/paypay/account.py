"""The merchant that the simulated PayPay knows, and where its webhooks go."""

import base64
import binascii
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

# 32 bytes that say what they are; no secret.
_SECRET = base64.b64encode(b"sandbox-paypay-api-secret-32byte").decode("ascii")


@dataclass(frozen=True)
class PayPayPaths:
    """The three paths that PayPay does not publish; these are invented. `{codeId}` stands for the code id."""

    kyc_info: str = "/v1/kyc/info"
    kyc_passport: str = "/v1/kyc/passport"
    kyc_passport_qr: str = "/v1/kyc/passport/qr/{codeId}"

    def __post_init__(self) -> None:
        """Raise ValueError when a path cannot be served."""
        for path in (self.kyc_info, self.kyc_passport, self.kyc_passport_qr):
            if not path.startswith("/"):
                raise ValueError(f"The path {path!r} must begin with a slash.")
        if self.kyc_passport_qr.count("{codeId}") != 1:
            raise ValueError("The path of the KYC Passport QR must hold {codeId} once.")


@dataclass(frozen=True)
class PayPayAccount:
    """Credentials and settings of the merchant. The defaults are invented.

    `client_id` is the `aud` of a response token; `pkce_field` the key of the challenge inside `kycPassport{}`;
    `webhook_urls` go by type (kyc, risk, account_status, recon). Raises ValueError for a secret that is not base64.
    """

    api_key: str = "sandbox-paypay-api-key"
    api_secret: str = field(default=_SECRET, repr=False)
    merchant_id: str = "900000000000000001"
    merchant_name: str = "ホンニン商店 Honnin Shōten"
    client_id: str = "a_sandboxClient"
    pkce_field: str = "codeChallenge"
    paths: PayPayPaths = field(default_factory=PayPayPaths)
    webhook_urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a secret by which no response token can be signed."""
        try:
            base64.b64decode(self.api_secret, validate=True)
        except binascii.Error:
            raise ValueError("The PayPay api secret must be base64.") from None

    def pkce_key(self) -> str:
        """Return the key of the challenge inside `kycPassport{}`; a path from the body's root is taken, too."""
        return self.pkce_field.removeprefix("kycPassport.")

    def token_key(self) -> bytes:
        """Return the key of the response token: the secret, base64-decoded."""
        return base64.b64decode(self.api_secret)


WEBHOOK_TYPES = ("kyc", "risk", "account_status", "recon")


class WebhookUrls:
    """Where the notifications of each type go; None where the merchant named no URL."""

    def __init__(self, urls: Mapping[str, str], lock: threading.RLock) -> None:
        self._lock = lock
        self._urls: dict[str, str | None] = {kind: urls.get(kind) or None for kind in WEBHOOK_TYPES}

    def put(self, patch: Mapping[str, str | None]) -> None:
        """Change some of the URLs; None takes one away."""
        with self._lock:
            self._urls.update(patch)

    def of(self, kind: str) -> str | None:
        """Return the URL for a type."""
        with self._lock:
            return self._urls[kind]

    def view(self) -> dict[str, str | None]:
        """Return all of them, ready for JSON."""
        with self._lock:
            return dict(self._urls)
