"""Users of the benches as the table has them: made by the layer's own records, so that they have its form and size."""

import json
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from bench import recon_data
from honnin.paypay.readings import Rules, linking, recorded
from honnin.paypay_facets import SUCCEEDED, Answer, Call
from honnin.store import Link, UserStatus
from honnin.store.keys import link_key, recon_key, status_key
from honnin.store.table import attributes, encode
from sandbox.paypay.recon_content import ID_CHARACTERS, generated_id

VERIFIED_WORD = "COMPLETED"

_SCOPES = ("mini_app_kyc_passport",)
_RULES = Rules(frozenset({VERIFIED_WORD}))
_LINKED_AT = "2026-06-01T03:00:00.000Z"
_READ_AT = "2026-11-20T03:00:00.000Z"
_NOTIFIED_AT = "2026-11-21T00:30:00.000Z"


def linked(user_id: str, authorization: str) -> UserStatus:
    """A user who linked in June and was not read since."""
    before = UserStatus(user_id, "paypay", "LINK_PENDING", version=2, scopes=_SCOPES)
    answers = [
        linking(SUCCEEDED, _LINKED_AT, authorization),
        Answer(Call.AUTHORIZATION, _LINKED_AT, authorization, 200, "SUCCESS", "ACTIVE", has_data=True),
    ]
    return recorded(before, answers, _RULES, as_of=datetime.fromisoformat(_LINKED_AT))


def items(status: UserStatus) -> tuple[dict[str, Any], dict[str, Any]]:
    """The items of a user's link and status, not encoded yet."""
    # As the browser's redirect leaves it, which moves what has waited for the link.
    link = attributes(Link(status.user_id, scopes=_SCOPES, is_attached=True))
    link = link_key(status.user_authorization_id or "") | link
    return link, status_key(status.user_id, "paypay") | attributes(status)


def recon_file_item() -> dict[str, Any]:
    """The item of the recon bench's file, as DynamoDB gives it."""
    file = {"file_type": recon_data.FILE_TYPE, "day": recon_data.DAY, "file_name": recon_data.FILE_NAME}
    known = {"state": "STORED", "received_at": _NOTIFIED_AT, "stored_at": _NOTIFIED_AT}
    return encode({**recon_key(*file.values()), **file, **known})


def item_of(key: Mapping[str, Any], *, everybody_missed: bool) -> bytes | None:
    """The item under the key of a link or a status of the recon bench, as DynamoDB gives it; None for any other key."""
    pk, sk = key["pk"]["S"], key["sk"]["S"]
    if sk == "LINK":
        return bytes(pk.removeprefix("PAYPAY#").encode().join(_texts()[0]))
    if sk != "STATUS#paypay":
        return None
    name = pk.removeprefix("USER#u-").encode()
    return bytes(name.join(_texts()[2 if everybody_missed or name in _missed() else 1]))


@cache
def _texts() -> tuple[list[bytes], ...]:
    """A link, a status with a webhook received, and one without: as JSON, cut where the id stands."""
    name = "0" * ID_CHARACTERS
    answer = Answer(Call.KYC_PASSPORT, _READ_AT, name, 200, "SUCCESS", VERIFIED_WORD, has_data=True)
    link, status = items(recorded(linked(f"u-{name}", name), [answer], _RULES))
    texts = (json.dumps(encode(each)) for each in (link, {**status, "received": {"kyc": _READ_AT}}, status))
    return tuple(each.encode().split(name.encode()) for each in texts)


@cache
def _missed() -> frozenset[bytes]:
    return frozenset(generated_id(each).encode() for each in recon_data.missed(range(recon_data.LARGEST)))
