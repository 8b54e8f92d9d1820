"""What PayPay demands of the bodies of requests. Every refusal is a RefusedError with a code of the document."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Request

from sandbox.paypay.answers import RefusedError
from sandbox.urls import is_callback_url

KYC_PASSPORT = "KYC_PASSPORT"
REDIRECT_TYPES = ("WEB_LINK", "APP_DEEP_LINK")
MAX_AUTHORIZATION_ID = 64
MAX_CODE_VERIFIER = 64
_MAX_TEXT = 255
_REQUIRED = ("scopes", "nonce", "redirectUrl")
_TEXTS = ("nonce", "redirectUrl", "referenceId", "deviceId", "userAgent", "redirectType", "phoneNumber")
_OBJECTS = ("kycData", "kycPassport")
_FIELDS = frozenset({"scopes", "accountLinkFlow", *_TEXTS, *_OBJECTS})
# A browser that is sent to one of these would run what the merchant wrote.
_FORBIDDEN_SCHEMES = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class LinkRequest:
    """A checked request to create an account-link QR."""

    scopes: tuple[str, ...]
    nonce: str
    redirect_url: str
    redirect_type: str
    reference_id: str | None
    code_challenge: str | None

    @property
    def is_kyc_passport(self) -> bool:
        """Whether it runs the KYC Passport flow."""
        return self.code_challenge is not None


def json_object(request: Request) -> dict[str, object]:
    """Return the JSON object in a request. Raises RefusedError."""
    if request.mimetype != "application/json":
        raise _invalid("the content type is not application/json")
    try:
        body = json.loads(request.get_data())
    except ValueError:
        raise _invalid("the body is not JSON") from None
    if not isinstance(body, dict):
        raise _invalid("the body is not an object")
    return body


def link_request(body: Mapping[str, object], pkce_field: str) -> LinkRequest:
    """Check the body of "create account linking QR code" by the document's table. Raises RefusedError."""
    body = {name: value for name, value in body.items() if value is not None}
    if set(body) - _FIELDS:
        raise _invalid("a field is not in the document")
    for name in _REQUIRED:
        if not body.get(name):
            raise _missing(name)
    for name in _TEXTS:
        if name in body:
            _check_text(name, body[name])
    for name in _OBJECTS:
        if not isinstance(body.get(name, {}), dict):
            raise _invalid(f"{name} is not an object")
    redirect_type = str(body.get("redirectType", "WEB_LINK"))
    if redirect_type not in REDIRECT_TYPES:
        raise _invalid("redirectType is not in the enum")
    redirect_url = str(body["redirectUrl"])
    _check_redirect(redirect_url, redirect_type)
    return LinkRequest(
        scopes=_scopes(body["scopes"]),
        nonce=str(body["nonce"]),
        redirect_url=redirect_url,
        redirect_type=redirect_type,
        reference_id=str(body["referenceId"]) if body.get("referenceId") else None,
        code_challenge=_code_challenge(body, pkce_field),
    )


def check_contract(link: LinkRequest, forbidden_scopes: object, forbidden_domains: object) -> None:
    """Refuse scopes that are not contracted and domains that are not registered. Raises RefusedError."""
    if isinstance(forbidden_scopes, list) and set(forbidden_scopes) & set(link.scopes):
        raise RefusedError("EXPECTATION_FAILED", "a scope is not contracted")
    if isinstance(forbidden_domains, list) and urlsplit(link.redirect_url).hostname in forbidden_domains:
        raise RefusedError("EXPECTATION_FAILED", "the domain of redirectUrl is not registered")


def is_verifier(verifier: str, challenge: str) -> bool:
    """Return whether a PKCE verifier belongs to an S256 challenge."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    made = base64.urlsafe_b64encode(digest).rstrip(b"=")
    return hmac.compare_digest(made, challenge.encode("ascii"))


def required_text(body: Mapping[str, object], name: str, longest: int) -> str:
    """Return a text field that must be there. Raises RefusedError."""
    value = body.get(name)
    if value is None or value == "":
        raise _missing(name)
    if not isinstance(value, str) or len(value) > longest:
        raise _invalid(f"{name} is not a text of at most {longest} characters")
    return value


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise _invalid(f"{name} is not a text of at most {_MAX_TEXT} characters")


def _scopes(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(scope, str) and scope for scope in value):
        raise _invalid("scopes is not an array of texts")
    return tuple(value)


def _check_redirect(url: str, redirect_type: str) -> None:
    if redirect_type == "WEB_LINK":
        if not is_callback_url(url):
            raise _invalid("redirectUrl is not https")
    elif not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:.", url) or url.split(":")[0].lower() in _FORBIDDEN_SCHEMES:
        raise _invalid("redirectUrl is not a deep link")


def _code_challenge(body: Mapping[str, object], pkce_field: str) -> str | None:
    flow = body.get("accountLinkFlow")
    if flow is None:
        return None
    if flow != KYC_PASSPORT:
        raise _invalid("accountLinkFlow is not in the enum")
    passport = body.get("kycPassport")
    if not isinstance(passport, dict):
        raise _missing("kycPassport")
    challenge = passport.get(pkce_field)
    if challenge is None:
        raise _missing(f"kycPassport.{pkce_field}")
    if not isinstance(challenge, str) or not _S256_CHALLENGE.fullmatch(challenge):
        raise _invalid(f"kycPassport.{pkce_field} is not an S256 challenge")
    return challenge


def _missing(name: str) -> RefusedError:
    return RefusedError("MISSING_REQUEST_PARAMS", f"{name} is missing")


def _invalid(rule: str) -> RefusedError:
    return RefusedError("INVALID_REQUEST_PARAMS", rule)
