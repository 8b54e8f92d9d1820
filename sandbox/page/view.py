"""What the page shows, ready for the template. Nothing that a log must not hold: no name, token, signature or
authorization id; a user is shown by the merchant's own id."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandbox.delivery import DELIVERIES, LATE_S, Delivery
from sandbox.explained import Explanation, Origin, Piece
from sandbox.page.presses import PAYPAY, REVIEWS
from sandbox.page.wording import Texts
from sandbox.paypay.register import User as PayPayUser
from sandbox.vexora.register import OUTCOMES
from sandbox.vexora.register import User as VexoraUser

if TYPE_CHECKING:
    from sandbox.app import Sandbox
    from sandbox.journal import Recent

MOST_USERS = 20
MOST_REQUESTS = 25
_STATES = {"waiting": "waiting", "accepted": "delivered"}


def settings_view(sandbox: "Sandbox") -> dict[str, Any]:
    """Return the dials that the page sets, the clock, and what the forms offer."""
    paypay, vexora, core = sandbox.paypay, sandbox.vexora, sandbox.core
    today = paypay.recon.today()
    return {
        "now": core.clock.now_iso()[:19].replace("T", " "),
        "ahead_s": round(core.clock.offset_s()),
        "seed": core.unkindness.seed,
        "maintenance": paypay.dials.text("maintenance", None) == "on",
        "lag_s": round(paypay.dials.number("read_lag_s", None) or 0),
        "review": vexora.dials.text("review", None),
        "reviews": REVIEWS,
        "review_delay_s": f"{vexora.dials.number('review_delay_s', None) or 0:g}",
        "deliveries": DELIVERIES,
        "late_s": round(LATE_S),
        "days": {"today": today.isoformat(), "yesterday": (today - timedelta(days=1)).isoformat()},
    }


def users_view(sandbox: "Sandbox", search: str) -> dict[str, Any]:
    """Return the users of both providers whose id contains `search`, the newest first."""
    wanted = search.strip().casefold()
    paypay = [each for each in sandbox.paypay.register.of_the_merchant() if wanted in str(each.reference_id).casefold()]
    vexora = [each for each in sandbox.vexora.register.newest() if wanted in each[0].casefold()]
    return {
        "paypay_users": [_paypay_user(sandbox, each) for each in paypay[:MOST_USERS]],
        "paypay_more": max(0, len(paypay) - MOST_USERS),
        "vexora_users": [_vexora_user(*each) for each in vexora[:MOST_USERS]],
        "vexora_more": max(0, len(vexora) - MOST_USERS),
    }


def requests_view(sandbox: "Sandbox", texts: Texts) -> list[dict[str, Any]]:
    """Return the last requests, the newest first."""
    return [_request(sandbox, each, texts) for each in sandbox.core.journal.recent()[:MOST_REQUESTS]]


def _paypay_user(sandbox: "Sandbox", user: PayPayUser) -> dict[str, Any]:
    link = user.latest()
    if link is None:
        state = "none"
    elif link.unlinked:
        state = "unlinked"
    else:
        state = "linked" if link.expire_at > sandbox.core.clock.now() else "expired"
    return {
        "id": user.reference_id,
        "link": state,
        "account": user.account_status,
        "risk": user.risk_flag,
        "kyc": "completed" if user.kyc.completed else "not_completed",
        "webhook": _state(user.notifications[-1].delivery if user.notifications else None),
        "presses": {} if link is None else {group: list(presses) for group, presses in PAYPAY.items()},
    }


def _vexora_user(user_id: str, user: VexoraUser) -> dict[str, Any]:
    latest = user.applications[-1] if user.applications else None
    presses = []
    if latest is not None and latest.callback_url:
        presses = [*(OUTCOMES if latest.is_open() else ()), "again"]
    return {
        "id": user_id,
        "status": "none" if latest is None else latest.status.value,
        "applications": len(user.applications),
        "webhook": _state(user.callbacks[-1] if user.callbacks else None),
        "presses": {"review": presses} if presses else {},
    }


def _state(delivery: Delivery | None) -> str:
    return "no_webhook" if delivery is None else _STATES.get(delivery.state, "dropped")


def _request(sandbox: "Sandbox", recent: "Recent", texts: Texts) -> dict[str, Any]:
    entry = recent.entry
    return {
        "at": entry.at[11:19],
        "direction": entry.direction,
        "method": entry.method,
        "path": recent.path or texts("requests", "unknown_path"),
        "status": entry.status,
        "user": _user_id(sandbox, entry.user_id),
        "code": entry.code,
        "detail": texts.detail(entry.detail),
        "fault": entry.fault is not None,
        "unkind": entry.unkind,
        "explanation": None if recent.explanation is None else _explanation(recent.explanation),
    }


def _user_id(sandbox: "Sandbox", name: str | None) -> str | None:
    """Return the merchant's own id of a user that a request named, perhaps by an authorization id."""
    user = None if name is None else sandbox.paypay.register.find(name)
    if user is not None and user.reference_id is not None:
        return user.reference_id
    return name if name is not None and sandbox.vexora.register.has(name) else None


def _explanation(found: Explanation) -> dict[str, Any]:
    rows, first = [], 1
    for piece in found.pieces:
        rows.append(_piece(piece, first))
        first += piece.size
    return {"provider": found.provider, "verdict": found.verdict.value, "pieces": rows, "size": first - 1}


def _piece(piece: Piece, first: int) -> dict[str, Any]:
    origin = "field_unknown" if piece.origin is Origin.FIELD and not piece.name else piece.origin.value
    runs = [
        {"hidden": run} if isinstance(run, int) else {"text": escaped(run), "hex": run.hex(" ")} for run in piece.runs
    ]
    return {
        "origin": origin,
        "name": piece.name,
        "runs": runs,
        "size": piece.size,
        "first": first,
        "last": first + piece.size - 1,
    }


def escaped(data: bytes) -> str:
    r"""Return bytes as text, with everything but printable ASCII escaped (`\n`, `\xe3`)."""
    known = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x5C: "\\\\"}
    return "".join(known.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data)
