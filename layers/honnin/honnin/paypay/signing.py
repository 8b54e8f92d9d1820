"""PayPay's OPA HMAC: pure functions over bytes, no clock, no network, no settings.

Source: "API Authentication" of the Open Payment API, which the base document points to, as recorded in
docs/providers.md §1.1; a published known answer is reproduced in the tests.
"""

import base64
import hashlib
import hmac

# docs/providers.md §1.1: "the word `empty` when there is no body", for the content type and the hash alike.
_EMPTY = "empty"


def authorization(
    *,
    api_key: str,
    api_secret: str,
    method: str,
    path: str,
    nonce: str,
    epoch: int | str,
    content_type: str | None = None,
    body: bytes | None = None,
) -> str:
    """The whole value of the `Authorization` header.

    Parameters
    ----------
    path
        The URL's path only, as sent on the wire (percent-encoded): no scheme, host or query.
    epoch
        Seconds since 1970; must be within 2 minutes of PayPay's clock, so sign at send time.
    content_type
        Byte-identical to the `Content-Type` header that is sent; needed with a body, left out without one.
    body
        The exact bytes that are sent.

    Raises
    ------
    ValueError
        A body without its content type.
    """
    digest = body_hash(content_type, body)
    signed = string_to_sign(
        method=method, path=path, nonce=nonce, epoch=epoch, content_type=content_type if body else None, digest=digest
    )
    # docs/providers.md §1.1, `mac`: the secret as its UTF-8 characters, not base64-decoded.
    mac = base64.b64encode(hmac.digest(api_secret.encode(), signed.encode(), "sha256")).decode()
    # docs/providers.md §1.1, header: `hmac OPA-Auth:{apiKey}:{mac}:{nonce}:{epoch}:{hash}`.
    return f"hmac OPA-Auth:{api_key}:{mac}:{nonce}:{epoch}:{digest}"


def body_hash(content_type: str | None, body: bytes | None) -> str:
    """`base64(MD5(contentType ‖ body))`: the content type first, no separator, the raw 16-byte digest."""
    if not body:
        return _EMPTY
    if not content_type:
        raise ValueError("a body is signed together with its content type")
    md5 = hashlib.md5(content_type.encode() + body, usedforsecurity=False)  # the provider's choice
    return base64.b64encode(md5.digest()).decode()


def string_to_sign(
    *, method: str, path: str, nonce: str, epoch: int | str, content_type: str | None, digest: str
) -> str:
    r"""`path\nMETHOD\nnonce\nepoch\ncontentType\nhash`: LF between, none at the end."""
    return "\n".join([path, method.upper(), nonce, str(epoch), content_type or _EMPTY, digest])
