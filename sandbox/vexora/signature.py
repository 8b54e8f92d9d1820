"""Vexora's request signature, written from the provider's document alone."""

import hashlib
import hmac
import re
from collections.abc import Mapping

from sandbox.explained import Explanation, Origin, Piece, Run, Verdict, joined, shown

# Fields whose values a log may hold. A callback URL ends with a token, and any other field may hold a person's name.
_SHOWN_FIELDS = frozenset({"userId", "timestamp"})


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


def explanation(fields: Mapping[str, str], app_secret: str) -> Explanation:
    """Explain the `sign` of a request: its fields in order, then the secret, of which only the length is kept."""
    pieces = [
        Piece(Origin.FIELD, joined(*_name(name), b"=", *_value(name, fields[name])), _shown_name(name))
        for name in sorted(fields)
        if name != "sign" and fields[name] != ""
    ]
    secret = Piece(Origin.SECRET, (len(app_secret.encode("utf-8", "replace")),))
    if not fields.get("sign"):
        verdict = Verdict.MISSING
    else:
        verdict = Verdict.MATCHES if is_signed(fields, app_secret) else Verdict.DIFFERS
    return Explanation("vexora", (*pieces, secret), verdict)


def _shown_name(name: str) -> str:
    # A field's name is the sender's text, too.
    return name if re.fullmatch(r"[A-Za-z0-9_]{1,40}", name) else ""


def _name(name: str) -> tuple[Run, ...]:
    return shown(name) if _shown_name(name) else shown(name, [name])


def _value(name: str, value: str) -> tuple[Run, ...]:
    if name in _SHOWN_FIELDS:
        return shown(value)
    if name == "callBackUrl" and (token := value.rpartition("/")[2]):
        return shown(value, [token])
    return shown(value, [value])


def is_signed(fields: Mapping[str, str], app_secret: str) -> bool:
    """Return whether the `sign` among `fields` is right."""
    given = fields.get("sign", "").encode("utf-8", "replace")
    return hmac.compare_digest(given, expected_sign(fields, app_secret).encode("ascii"))
