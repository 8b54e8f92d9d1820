"""Vexora's request signature, written from the provider's document alone."""

import hashlib
import hmac
from collections.abc import Mapping


def expected_sign(fields: Mapping[str, str], app_secret: str) -> str:
    """Return the sign that `fields` must carry.

    The names in ASCII order, `name=value` without separators, the app secret behind, MD5 in lower-case hex.
    `sign` itself and empty values stay out.
    """
    text = ""
    for name in sorted(fields):
        if name != "sign" and fields[name] != "":
            text += name + "=" + fields[name]
    return hashlib.md5((text + app_secret).encode("utf-8", "replace")).hexdigest()


def is_signed(fields: Mapping[str, str], app_secret: str) -> bool:
    """Tell whether the `sign` among `fields` is right."""
    given = fields.get("sign", "").encode("utf-8", "replace")
    return hmac.compare_digest(given, expected_sign(fields, app_secret).encode("ascii"))
