"""To which addresses a browser may be sent back: only those on the merchant's own list (no open redirect)."""

from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit, urlunsplit

from honnin.errors import InvalidFieldError

FIELD = "returnUrl"
_MAX_LENGTH = 2048


def check(url: str, allowlist: Sequence[str]) -> str:
    """The URL itself, if an entry of the list covers it.

    An entry is an origin or a URL prefix (`https://shop.example.jp`, `https://shop.example.jp/kyc`,
    `shopapp://kyc`): scheme, host and port must be equal, the path equal or below.

    Raises
    ------
    InvalidFieldError
        Names the rule, never the URL.
    """
    if len(url) > _MAX_LENGTH or any(not "!" <= character <= "~" or character == "\\" for character in url):
        # A Location header is ASCII; other characters must be percent-encoded.
        raise InvalidFieldError(FIELD, f"must be an ASCII URL of at most {_MAX_LENGTH} characters without spaces")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise InvalidFieldError(FIELD, "must be a URL") from None
    if not parts.scheme or not parts.netloc or parts.fragment or "@" in parts.netloc:
        raise InvalidFieldError(FIELD, "must be a whole URL without credentials or fragment")
    path = parts.path.lower().replace("%2e", ".")
    if any(segment in (".", "..") for segment in path.split("/")) or "%2f" in path or "%5c" in path:
        raise InvalidFieldError(FIELD, "must not have . or .. segments or encoded slashes in its path")
    if not any(_covers(entry, url) for entry in allowlist):
        raise InvalidFieldError(FIELD, "is not on the allow-list of this deployment (parameter ReturnUrlAllowlist)")
    return url


def with_result(url: str, result: str) -> str:
    """The URL with `result=…` at the end of its query; the rest of the URL is unchanged."""
    parts = urlsplit(url)
    # It is appended to the text as it is. To parse and write the URL again would change encodings and break signatures.
    separator = "&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{parts.query}{separator}{urlencode({'result': result})}"))


def _covers(entry: str, url: str) -> bool:
    allowed, asked = urlsplit(entry), urlsplit(url)
    if (allowed.scheme.lower(), allowed.netloc.lower()) != (asked.scheme.lower(), asked.netloc.lower()):
        return False
    prefix = allowed.path.rstrip("/")
    return asked.path == prefix or asked.path.startswith(prefix + "/") or not prefix
