"""The kinds of items of the state table, as `honnin.store.keys` names them, and how each is found by its key."""

import re
from collections.abc import Mapping
from typing import Any

_ID = ".+"

# The name of the function of `honnin.store.keys` without `_key`: the forms of `pk` and `sk`.
KINDS: Mapping[str, tuple[str, str]] = {
    "status": (f"USER#{_ID}", "STATUS#.+"),
    "expiry": (f"USER#{_ID}", "EXPIRY#.+"),
    "contract": (f"USER#{_ID}", "CONTRACT"),
    "entry": (f"USER#{_ID}", "AT#.+"),
    "former": (f"USER#{_ID}", "FORMER#.+"),
    "erasing": (f"USER#{_ID}", "ERASING"),
    "certificate": (f"USER#{_ID}", "ERASURE#.+"),
    "submission": (f"SUBMISSION#{_ID}", "SUBMISSION"),
    "session": (f"SESSION#{_ID}", "SESSION"),
    "code": (f"CODE#{_ID}", "CODE"),
    "link": (f"PAYPAY#{_ID}", "LINK"),
    "waiting": (f"PAYPAY#{_ID}", "AT#.+"),
    "event": (f"EVENT#{_ID}", "EVENT"),
    "failure": (f"FAILURE#{_ID}", ".+"),
    "received": (f"RECEIVED#{_ID}", "RECEIVED"),
    "comparison": (f"COMPARISON#{_ID}", ".+#.*"),
    "comparison_count": (f"COMPARISONS#{_ID}", ".+"),
    "recon": (f"RECON#{_ID}", ".+#.*"),
    "notification": (f"NOTIFICATION#{_ID}", "NOTIFICATION"),
    "last_reported": ("RECON#", "TOLD"),
    "own_ids": ("RECON#", "OWN_IDS"),
    "provider": (f"PROVIDER#{_ID}", "LAST_REQUEST"),
    "word": (f"PROVIDER#{_ID}", "WORD#.+"),
    "refusal": (f"PROVIDER#{_ID}", "REFUSED#.+"),
    "rebuilding": ("OVERVIEW", "REINDEX"),
    "segment": ("OVERVIEW", "segment .+"),
    "reread": ("REREADS", ".+"),
    "mark": (f"REREAD#{_ID}", ".+#.+"),
    "readings": ("READINGS", "LAST_HOUR"),
    "webhook_circuit": ("MERCHANT_WEBHOOK", "CIRCUIT"),
    "pace_second": (f"PACE#{_ID}", "SECOND"),
    "slowed": (f"PACE#{_ID}", "SLOWED"),
    "access": ("ACCESS#.*", ".+#.+"),
    "erased": (f"ERASED#{_ID}", "ERASED"),
}


def kind_of(item: Mapping[str, Any]) -> str:
    """The kind of an item in DynamoDB's format. Raises `LookupError` for one that no kind, or more than one, fits."""
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    found = [
        kind for kind, (p, s) in KINDS.items() if re.fullmatch(p, pk, re.DOTALL) and re.fullmatch(s, sk, re.DOTALL)
    ]
    if len(found) != 1:
        raise LookupError(f"{pk} / {sk} is of the kinds {found}")
    return found[0]
