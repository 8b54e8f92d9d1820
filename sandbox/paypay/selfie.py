"""The selfie of a KYC Passport QR: a URL with a signature that expires, and an image that nobody sat for."""

import gzip
import hashlib
import hmac
import secrets
import struct
import zlib
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from sandbox.core import Core
from sandbox.dials import DialBoard
from sandbox.journal import request_notes
from sandbox.paypay.register import User

PATH = "/paypay/selfies"
TOO_LARGE_BYTES = 11 * 1024 * 1024
_SIDE = 64


class Selfies:
    """Makes selfie URLs and answers them."""

    def __init__(self, core: Core, dials: DialBoard) -> None:
        self._core = core
        self._dials = dials
        self._key = secrets.token_bytes(32)
        self._users: dict[str, str] = {}

    def url(self, user: User, base_url: str) -> str:
        """Return the URL of a user's selfie, good for `selfie_ttl_s` seconds."""
        self._users[user.selfie_id] = user.key
        ttl_s = self._dials.number("selfie_ttl_s", user.key) or 0.0
        expires = str(int(self._core.clock.now() + ttl_s))
        query = urlencode({"expires": expires, "signature": self._signature(user.selfie_id, expires)})
        return f"{base_url.rstrip('/')}{PATH}/{user.selfie_id}.png?{query}"

    def reset(self) -> None:
        """Forget whose selfies were asked for."""
        self._users.clear()

    def blueprint(self) -> Blueprint:
        """Return the endpoint of the images."""
        pages = Blueprint("paypay_selfies", "sandbox")
        pages.add_url_rule(f"{PATH}/<selfie_id>.png", view_func=self._answer, methods=["GET"])
        return pages

    def _answer(self, selfie_id: str) -> AnyResponse:
        expires = request.args.get("expires", "")
        signature = request.args.get("signature", "").encode("utf-8", "replace")
        if not hmac.compare_digest(signature, self._signature(selfie_id, expires).encode("ascii")):
            return _sentence(403, "The signature of this URL is wrong.")
        if selfie_id not in self._users or int(expires) <= self._core.clock.now():
            return _sentence(403, "This URL has expired.")
        user_key = self._users[selfie_id]
        match self._dials.text("selfie", user_key):
            case "not_found":
                return _sentence(404, "There is no such image.")
            case "html":
                return Response("<!doctype html><title>Sorry</title><p>Please sign in.", 200, mimetype="text/html")
            case "too_large":
                return _image(selfie_id, TOO_LARGE_BYTES)
            case "redirect" if "followed" not in request.args:
                return redirect(f"{request.url}&followed=1", 302)
            case "slow":
                self._core.hold(self._dials.number("selfie_slow_s", user_key) or 0.0)
        return self._unkindly(_image(selfie_id), user_key)

    def _unkindly(self, image: Response, user_key: str) -> Response:
        """Name another content type or none, and pack it, as a file store does that does not know what it holds."""
        dice = self._core.unkindness.dice("paypay/selfie", user_key, self._dials.value("unkind", user_key))
        if (content_type := dice.variant("selfie_type")) is not None:
            image.headers["Content-Type"] = content_type
            if content_type == "none":
                del image.headers["Content-Type"]
        if dice.takes("selfie_gzip"):
            image.set_data(gzip.compress(image.get_data()))
            image.headers["Content-Encoding"] = "gzip"
        request_notes().unkind = ", ".join(dice.taken) or None
        return image

    def _signature(self, selfie_id: str, expires: str) -> str:
        text = f"{selfie_id}\n{expires}".encode("utf-8", "replace")
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()


def png(seed: str, at_least_bytes: int = 0) -> bytes:
    """Return a small PNG (a plain head and shoulders in the seed's colour), padded with a comment if need be."""
    colour = hashlib.sha256(seed.encode("utf-8", "replace")).digest()[:3]
    rows = b"".join(
        b"\x00" + b"".join(colour if _is_figure(x, y) else b"\xf2\xf2\xf2" for x in range(_SIDE)) for y in range(_SIDE)
    )
    head = struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 2, 0, 0, 0)
    image = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(rows))
    if at_least_bytes:
        image += _chunk(b"tEXt", b"Comment\x00" + b"." * at_least_bytes)
    return image + _chunk(b"IEND", b"")


def _is_figure(x: int, y: int) -> bool:
    middle = _SIDE // 2
    head = (x - middle) ** 2 + (y - 24) ** 2 < 12**2
    shoulders = (x - middle) ** 2 + (y - 66) ** 2 < 26**2
    return head or shoulders


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _image(seed: str, at_least_bytes: int = 0) -> Response:
    return Response(png(seed, at_least_bytes), 200, mimetype="image/png")


def _sentence(status: int, sentence: str) -> Response:
    return Response(sentence + "\n", status, mimetype="text/plain")
