"""The page of the access record: who looked at a user, or at lists of users."""

from typing import Any

from honninctl import access
from honninctl.console.page import NO_PAGE, Page, View, asking
from honninctl.console.wording import Wording

_SHOWN = 100


def page(view: View) -> Page:
    """The latest accesses to a user; without a user, to lists. The look at this page is among them."""
    user_id = view.asked.fields.get("id", "").strip()
    found = asking(lambda: access.accesses(view.deployment, user_id or None, "0", "9", _SHOWN + 1))
    if found.value is None:
        return view.trouble(found.trouble or NO_PAGE, user_id=user_id)
    return view.paint(
        "access.html",
        user_id=user_id,
        rows=[_shown(view.wording, each) for each in found.value[:_SHOWN]],
        has_more=len(found.value) > _SHOWN,
    )


def _shown(t: Wording, each: dict[str, Any]) -> dict[str, Any]:
    """An access in words. What was asked for is left as the record has it: it is compared letter by letter."""
    return {
        **each,
        "did": t.first(f"access.did_{each['action']}", otherwise=t("access.did_other")),
        "by": t.name(f"access.by_{each['source']}", each["source"]),
        "is_of_nobody": (each["options"] or "").partition(" ")[0] == access.NOBODY,
        "asked": " ".join(filter(None, (each["what"], each["options"]))),
    }
