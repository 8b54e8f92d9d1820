"""PKCE (RFC 7636) for the KYC Passport QR.

Base document, "Fetch KYC info of completed KYC Passport QR": `codeVerifier`, "string <= 64 characters, The PKCE
code verifier that was used when creating the KYC Passport QR code". RFC 7636 §4.1 wants at least 43.
"""

import base64
import hashlib
import secrets


def new_verifier() -> str:
    """A fresh verifier: 64 characters of the unreserved set, 384 random bits."""
    return secrets.token_urlsafe(48)


def challenge(verifier: str) -> str:
    """The S256 challenge: `BASE64URL(SHA256(ASCII(verifier)))` without padding (RFC 7636 §4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")
