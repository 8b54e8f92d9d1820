"""How unhelpful an answer is: drawn by a seed, one answer at a time, within what the providers' documents promise.

What decides (codes, statuses, ids that only the provider knows) is always right and as documented. Everything else
may be missing, of another type, written or sent in another way. ``FORMS`` lists every form with its share of the
answers in which it can occur. The draw of a form depends on the seed, the call, the user, how many such calls there
were before, and the form's own name: the same seed and the same calls give the same answers, whatever other users do.

The dial ``unkind`` (of a provider, or of a user) forces forms or rules them out::

    {"bom": true}                           a BOM before every answer; the other forms by the seed
    {"drop": "unseen", "gzip": false}       of a form with variants, one of them; another form never
    {"all": false, "odd_text": "shift_jis"} nothing but this one
"""

import gzip
import json
import random
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Response, request

from sandbox.journal import request_notes

ALL = "all"
# Where the server finds in the WSGI environment how the connection must die.
DROP = "sandbox.drop"
# And that it stays open.
KEEP_ALIVE = "sandbox.keep_alive"
# As it comes out of a system that does not know UTF-8.
_DONE = "成功しました"
ODD_TEXTS: Mapping[str, bytes] = {
    "surrogate": rb"success \ud83d",
    "shift_jis": _DONE.encode("shift_jis"),
    # The second byte of 申 is a backslash: only who reads it as Shift_JIS sees JSON.
    "shift_jis_5c": "申請を受け付けました".encode("shift_jis"),
    "euc_jp": _DONE.encode("euc_jp"),
    "control": rb"success\u0000\u001b[31m\u2028",
    "long": _DONE.encode() * 200,
}
EXTRAS: Mapping[str, object] = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "ext": {"list": [1, 2.5, True, None], "備考": "なし"},
    "reserved": None,
}


@dataclass(frozen=True)
class Form:
    """One way to be unhelpful: its share of the answers in which it can occur, and its variants, if it has any."""

    share: float
    variants: tuple[str, ...] = ()


FORMS: Mapping[str, Form] = {
    # Of the API answers of both providers: how they are written.
    "ascii": Form(0.3),  # \uXXXX instead of letters
    "bom": Form(0.1),
    "extra": Form(0.3),  # keys that no document names, in every object
    "key_order": Form(0.3),
    "odd_text": Form(0.15, tuple(ODD_TEXTS)),  # in message texts only
    "spaces": Form(0.1),
    # How they are sent.
    "chunked": Form(0.1),
    "content_type": Form(0.4, ("other_case", "charset", "none", "text")),
    "drop": Form(0.3, ("fin", "rst", "unseen")),  # of the kept-alive connection, without notice
    "gzip": Form(0.2),  # where the client takes it
    "header_case": Form(0.5, ("lower", "upper")),
    # What a refusal says and holds.
    "echo": Form(0.3),  # its text repeats a value of the request
    "no_data": Form(0.5, ("absent", "empty")),
    # Vexora.
    "success_text": Form(0.3),  # "true" instead of true
    "timestamp_text": Form(0.5),
    "no_reason": Form(0.75, ("absent", "null", "empty")),  # failReason of who is not rejected
    "callback_body": Form(
        0.8,
        (
            *("form", "multipart", "json_as_form", "form_as_json", "json_as_text", "json_no_type", "form_no_type"),
            *("xml", "empty", "bom", "surrogate", "not_utf8"),
        ),
    ),
    "callback_values": Form(0.5, ("numbers", "mixed")),
    "callback_sign": Form(0.5, ("none", "upper")),
    "callback_twice": Form(0.15),  # the very same bytes
    # PayPay.
    "authorization_keys": Form(0.4, ("absent", "null")),  # referenceIds, issuedAt
    "code_id": Form(0.3, ("absent", "null", "number")),
    "created_as_ok": Form(0.25),  # 200 instead of 201 for a QR
    "epoch_text": Form(0.4),  # expireAt and issuedAt
    "kyc_keys": Form(0.5, ("absent", "renamed", "null")),  # keys of `data` that are not proven
    "kyc_proven": Form(0.3, ("absent", "null", "object")),  # the proven ones, but for what decides
    "no_message": Form(0.15, ("absent", "null")),
    "no_request_id": Form(0.1),  # "with some exceptions"
    "recon_format": Form(0.5, ("no_header", "bom", "quoted", "blank_last_line")),
    "recon_transfer": Form(0.3, ("chunked", "no_range")),
    "requested_at_ms": Form(0.3),
    "selfie_gzip": Form(0.2),
    "selfie_type": Form(0.6, ("image/jpg", "binary/octet-stream", "application/octet-stream", "image/PNG", "none")),
    "token_claims": Form(0.5, ("numbers", "null", "lists")),  # claims that are not documented
    "webhook_shape": Form(0.3, ("array", "camel_case")),  # the notification twice in one array; names as elsewhere
    "webhook_type": Form(0.4, ("other_case", "charset", "none", "text")),
}


class Dice:
    """The draws for one answer. `taken` says which forms it got."""

    def __init__(self, key: str | None, forced: Mapping[str, object]) -> None:
        self.taken: list[str] = []
        self._key = key
        self._forced = forced

    def takes(self, form: str) -> bool:
        """Return whether this answer has a form."""
        return self.variant(form) is not None

    def variant(self, form: str) -> str | None:
        """Return the variant of a form that this answer has (the form's own name if it has none), or None."""
        known = FORMS[form]
        forced = self._forced.get(form, self._forced.get(ALL))
        draw = random.Random(f"{self._key}/{form}")
        if forced is False or (forced is None and (self._key is None or draw.random() >= known.share)):
            return None
        found = forced if isinstance(forced, str) else draw.choice(known.variants or (form,))
        self.taken.append(form if found == form else f"{form}={found}")
        return found

    def shuffled(self, items: Sequence[str]) -> list[str]:
        """Return `items` in another order."""
        return random.Random(f"{self._key}/order").sample(items, len(items))


class Unkindness:
    """Hands out the dice. Without a seed nothing happens but what a dial forces."""

    def __init__(self, seed: int | None, lock: threading.RLock) -> None:
        self.seed = seed
        self._lock = lock
        self._made: Counter[str] = Counter()

    def dice(self, call: str, user: str | None, dial: object) -> Dice:
        """Return the dice of the next answer to `call` about `user`; `dial` is what the dial `unkind` stands at."""
        name = f"{call}/{user or ''}"
        with self._lock:
            self._made[name] += 1
            key = None if self.seed is None else f"{self.seed}/{name}/{self._made[name]}"
        return Dice(key, dial if isinstance(dial, Mapping) else {})

    def reset(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self._made.clear()


def forms(value: object) -> object:
    """Check the dial `unkind`."""
    if not isinstance(value, dict):
        raise ValueError('must be an object such as {"bom": true, "drop": "rst"}')  # noqa: TRY004 (what a check raises)
    for name, wanted in value.items():
        if name != ALL and name not in FORMS:
            raise ValueError(f"must name forms out of: {ALL}, {', '.join(sorted(FORMS))}")
        variants = () if name == ALL else FORMS[name].variants
        if not isinstance(wanted, bool) and wanted not in variants:
            raise ValueError(f"must set {name!r} to: {', '.join(['true', 'false', *variants])}")
    return value


class Document(Response):
    """An answer in JSON. It can still be made worse (`worsen`)."""

    def __init__(self, document: Mapping[str, object], status: int, content_type: str) -> None:
        super().__init__(json.dumps(document, ensure_ascii=False), status, content_type=content_type)
        self.document = dict(document)


def worsen(answer: Response, dice: Dice, *, promises_json: bool) -> Response:
    """Write and send an answer less helpfully. `promises_json`: its document says that it is application/json."""
    if isinstance(answer, Document):
        answer.set_data(written(answer.document, dice))
        if (content_type := other_type(dice.variant("content_type"), may_be_text=not promises_json)) is not None:
            answer.headers["Content-Type"] = content_type
            if not content_type:
                del answer.headers["Content-Type"]
    if "gzip" in request.headers.get("Accept-Encoding", "") and dice.takes("gzip"):
        answer.set_data(gzip.compress(answer.get_data()))
        answer.headers["Content-Encoding"] = "gzip"
    if dice.takes("chunked"):
        content = answer.get_data()
        answer.response = iter([content[:7], content[7:]])
        answer.headers.pop("Content-Length", None)
    request.environ[KEEP_ALIVE] = True
    request.environ[DROP] = dice.variant("drop")
    if (case := dice.variant("header_case")) is not None:
        for name, value in list(answer.headers):
            del answer.headers[name]
            answer.headers[name.lower() if case == "lower" else name.upper()] = value
    request_notes().unkind = ", ".join(dice.taken) or None
    return answer


def written(document: object, dice: Dice) -> bytes:
    """Return a JSON document as the dice say."""
    shown = document
    if dice.takes("extra"):
        shown = _with_extras(shown)
    if dice.takes("key_order"):
        shown = _reordered(shown, dice)
    # No program writes one body in two encodings, nor marks Shift_JIS as UTF-8.
    is_shift_jis = "odd_text=shift_jis_5c" in dice.taken
    is_ascii = dice.takes("ascii") or is_shift_jis
    text = json.dumps(shown, ensure_ascii=is_ascii, indent="\t" if dice.takes("spaces") else None)
    raw = text.replace("\n", "\r\n").encode()
    for name, odd in ODD_TEXTS.items():
        raw = raw.replace(odd_mark(name).encode(), odd)
    return b"\xef\xbb\xbf" + raw if not is_shift_jis and dice.takes("bom") else raw


def odd_text(dice: Dice) -> str | None:
    """Return what stands for a text that is not clean, where this answer has one."""
    name = dice.variant("odd_text")
    return None if name is None else odd_mark(name)


def odd_mark(name: str) -> str:
    """Return what stands in a document for one of `ODD_TEXTS` until it is written."""
    return f"@@{name}@@"


def other_type(variant: str | None, *, may_be_text: bool) -> str | None:
    """Return another content type for JSON ("" for none), or None to leave it as it is."""
    match variant:
        case "other_case":
            return "Application/Json"
        case "charset":
            return 'application/json ; Charset="utf-8"'
        case "none":
            return "" if may_be_text else "APPLICATION/JSON;CHARSET=UTF-8"
        case "text":
            return "text/html;charset=ISO-8859-1" if may_be_text else "application/json"
    return None


def _with_extras(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    return {**{name: _with_extras(each) for name, each in value.items()}, **EXTRAS}


def _reordered(value: object, dice: Dice) -> object:
    if not isinstance(value, Mapping):
        return value
    return {name: _reordered(value[name], dice) for name in dice.shuffled(list(value))}
