"""Vexora's `sign`: pure functions over text, no clock, no network, no settings.

Source: KYC Authentication 2.0, "Body", parameter `sign`: "Sort all fields except sign alphabetically by
parameter name, concatenate them as key1=value1key2=value2, append the app secret as the salt, and generate a
lowercase MD5 hash." docs/providers.md §2 adds: sort by ASCII code, leave out empty values (the provider's own code
skips them), sign the UTF-8 text as sent, before multipart encoding; `merchantNo` is a header and is not signed.
"""

import hashlib
import hmac
from collections.abc import Mapping


def string_to_sign(fields: Mapping[str, str]) -> str:
    """The concatenation that is hashed, without the secret: `key=value` pairs with no separator."""
    return "".join(
        f"{name}={value}"
        # ASCII field names: code point order is the ASCII order that the provider asks for.
        for name, value in sorted(fields.items())
        if name != "sign" and value
    )


def sign(fields: Mapping[str, str], app_secret: str) -> str:
    """The lower-case hexadecimal MD5 over `string_to_sign(fields)` and the app secret, as UTF-8."""
    salted = string_to_sign(fields) + app_secret
    # MD5 is the provider's choice (document, parameter `sign`), not ours.
    # surrogatepass: a callback may hold a lone surrogate (JSON "\\ud800"); it must compare as different, not fail.
    return hashlib.md5(salted.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def verify(fields: Mapping[str, str], sign: str, app_secret: str) -> bool:
    """Whether `sign` is the signature of `fields`, compared in constant time."""
    return hmac.compare_digest(_digest(fields, app_secret).encode(), sign.encode("utf-8", "surrogatepass"))


_digest = sign  # `verify` has a parameter of that name, as its interface demands
