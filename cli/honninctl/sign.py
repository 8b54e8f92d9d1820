"""The two providers' signatures, explained: the string to sign, byte by byte, where each part comes from, the result.

The rules themselves are the layer's (`honnin.vexora.signing`, `honnin.paypay.signing`), so what is shown is what
Honnin does. The secret is in no explanation.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from honninctl.curl import Field
from honninctl.language import N_, _

NOT_SHOWN = "‹app secret›"

# docs/providers.md §1.1, `epoch`: "must be within 2 minutes of PayPay's clock".
_EPOCH_TOLERANCE_S = 120
_BYTES_PER_ROW = 16


@dataclass(frozen=True)
class Part:
    """One piece of the string to sign. `text` is what is hashed at this place, `origin` where it comes from."""

    text: str
    origin: str

    def as_json(self) -> dict[str, str]:
        """For scripts: the text, its bytes in hexadecimal, the origin."""
        return {"text": self.text, "hex": self.text.encode("utf-8", "surrogatepass").hex(), "origin": self.origin}


@dataclass(frozen=True)
class Explanation:
    """A signature with how it came about.

    `left_out` names what is not signed, and why. `given` is the signature that the request itself carried, `matches`
    whether it is the right one (None without one). `remarks` say what looks wrong.
    """

    provider: str
    parts: tuple[Part, ...]
    secret_follows: bool
    left_out: Mapping[str, str]
    results: Mapping[str, str]
    given: str | None = None
    matches: bool | None = None
    remarks: tuple[str, ...] = field(default=())

    @property
    def string_to_sign(self) -> str:
        """All parts together, without the secret."""
        return "".join(part.text for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """The shape of `sign … --json` (cli/README.md)."""
        return {
            "provider": self.provider,
            "stringToSign": self.string_to_sign,
            "hex": self.string_to_sign.encode("utf-8", "surrogatepass").hex(),
            "secretFollows": self.secret_follows,
            "parts": [part.as_json() for part in self.parts],
            "leftOut": dict(self.left_out),
            "result": dict(self.results),
            "given": self.given,
            "matches": self.matches,
            "remarks": list(self.remarks),
        }


def vexora(fields: Sequence[Field], app_secret: str) -> Explanation:
    """Vexora's `sign` over the fields of a request, and whether a `sign` among them is right."""
    from honnin.vexora import signing

    values = {each.name: each.value for each in fields if not each.is_file}
    origins = {each.name: each.origin for each in fields}
    left_out = {each.name: reason for each in fields if (reason := _left_out(each))}
    parts = tuple(
        Part(signing.string_to_sign({name: values[name]}), origins[name])
        for name in sorted(values)
        if name not in left_out
    )
    result = signing.sign(values, app_secret)
    given = values.get("sign")
    return Explanation(
        provider="vexora",
        parts=parts,
        secret_follows=True,
        left_out=left_out,
        results={"sign": result},
        given=given,
        matches=signing.verify(values, given, app_secret) if given else None,
        remarks=_vexora_remarks(fields, given, result),
    )


def _left_out(each: Field) -> str | None:
    if each.name == "sign":
        return _("the signature itself")
    if each.is_file:
        return _("contents of a file")
    if not each.value:
        return _("empty; better not sent at all")
    return None


def _vexora_remarks(fields: Sequence[Field], given: str | None, result: str) -> tuple[str, ...]:
    names = [each.name for each in fields]
    remarks = [
        _("the field {name} comes twice; the last one counts here").format(name=name) for name in _repeated(names)
    ]
    if "timestamp" not in names:
        remarks.append(_("there is no timestamp, which Vexora asks for"))
    if "merchantNo" in names:
        remarks.append(_("merchantNo is among the fields: it is a header, and is not signed"))
    if given and given != result and given.lower() == result:
        remarks.append(_("the sign that was given is in upper case; Vexora asks for lower case"))
    return tuple(remarks)


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


@dataclass(frozen=True)
class OpaRequest:
    """A request to PayPay, as far as it is signed. `path` is as sent, without host and query."""

    method: str
    path: str
    nonce: str
    epoch: str
    api_key: str
    content_type: str | None = None
    body: bytes = b""
    path_origin: str = N_("the URL's path")
    nonce_origin: str = N_("a random text, new for every try")
    epoch_origin: str = N_("seconds since 1970, now")
    given: str | None = None


@dataclass(frozen=True)
class OpaHeader:
    """An `Authorization: hmac OPA-Auth:…` header, taken apart."""

    api_key: str
    mac: str
    nonce: str
    epoch: str
    digest: str


def opa_header(value: str) -> OpaHeader | None:
    """Take a header's value apart, or None when it is not of that form."""
    scheme, _mark, rest = value.partition("OPA-Auth:")
    parts = rest.split(":")
    if scheme.strip() != "hmac" or len(parts) != 5:
        return None
    return OpaHeader(*parts)


def paypay(request: OpaRequest, api_secret: str, *, now: float | None = None) -> Explanation:
    """PayPay's OPA HMAC of a request, and whether the header that it carried is right.

    `now` (epoch seconds) is what the request's own epoch is compared with. Raises `ValueError` for a body without a
    content type.
    """
    from honnin.paypay import signing

    content_type = request.content_type if request.body else None
    digest = signing.body_hash(content_type, request.body)
    header = signing.authorization(
        api_key=request.api_key,
        api_secret=api_secret,
        method=request.method,
        path=request.path,
        nonce=request.nonce,
        epoch=request.epoch,
        content_type=content_type,
        body=request.body,
    )
    lines = signing.string_to_sign(
        method=request.method,
        path=request.path,
        nonce=request.nonce,
        epoch=request.epoch,
        content_type=content_type,
        digest=digest,
    ).split("\n")
    made = opa_header(header)
    return Explanation(
        provider="paypay",
        parts=_opa_parts(lines, request),
        secret_follows=False,
        left_out=_opa_left_out(request),
        results={"hash": digest, "mac": made.mac if made else "", "authorization": header},
        given=request.given,
        matches=None if request.given is None else request.given == header,
        remarks=_opa_remarks(request, header, time.time() if now is None else now),
    )


def _opa_parts(lines: Sequence[str], request: OpaRequest) -> tuple[Part, ...]:
    nothing = _("the word for “no body”")
    origins = (
        _("path: {origin}; no host, no query").format(origin=_(request.path_origin)),
        _("method, in upper case"),
        _("nonce: {origin}").format(origin=_(request.nonce_origin)),
        _("epoch: {origin}").format(origin=_(request.epoch_origin)),
        _("content type: the Content-Type header, byte for byte")
        if request.body
        else _("content type: {nothing}").format(nothing=nothing),
        _("hash: base64(MD5(content type ‖ body of {number} bytes))").format(number=len(request.body))
        if request.body
        else _("hash: {nothing}").format(nothing=nothing),
    )
    last = len(lines) - 1
    return tuple(
        Part(line + ("" if number == last else "\n"), origin)
        for number, (line, origin) in enumerate(zip(lines, origins, strict=True))
    )


def _opa_left_out(request: OpaRequest) -> dict[str, str]:
    left_out = {
        _("host and query"): _("only the path is signed"),
        _("other headers"): _("only Content-Type is signed"),
    }
    if request.content_type and not request.body:
        left_out["Content-Type"] = _("there is no body")
    return left_out


def _opa_remarks(request: OpaRequest, right: str, now: float) -> tuple[str, ...]:
    remarks = []
    if request.epoch.isdecimal() and abs(now - int(request.epoch)) > _EPOCH_TOLERANCE_S:
        template = _("the epoch is {seconds:.0f} s away from this machine's clock; PayPay allows 120 s")
        if len(request.epoch) == 13:
            template = _(
                "the epoch is {seconds:.0f} s away from this machine's clock; PayPay allows 120 s (it looks like "
                "milliseconds)"
            )
        remarks.append(template.format(seconds=abs(now - int(request.epoch))))
    if request.given is None or request.given == right:
        return tuple(remarks)
    theirs, ours = opa_header(request.given), opa_header(right)
    if theirs is None or ours is None:
        remarks.append(_("the Authorization header that was given is not of the form hmac OPA-Auth:…, five parts"))
    elif theirs.digest != ours.digest:
        remarks.append(_("the hash differs: body or content type are not the very bytes that were signed"))
    elif theirs.mac != ours.mac:
        remarks.append(_("the hash is right and the mac differs: path, method or content type, or another secret"))
    return tuple(remarks)


def hex_rows(data: bytes) -> list[tuple[str, str, str]]:
    """A hex dump: offset, bytes in hexadecimal, and the bytes that are printable ASCII."""
    rows = []
    for start in range(0, len(data), _BYTES_PER_ROW):
        chunk = data[start : start + _BYTES_PER_ROW]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in chunk)
        rows.append((f"{start:04x}", chunk.hex(" "), text))
    return rows


def escaped(text: str) -> str:
    r"""The text with everything but printable ASCII as escapes (`\n`, `\xe3`), byte by byte of its UTF-8."""
    return "".join(
        {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x5C: "\\\\"}.get(byte)
        or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")
        for byte in text.encode("utf-8", "surrogatepass")
    )
