"""A user at PayPay in any status, by answers that lead there."""

from dataclasses import replace

from honnin.paypay.readings import Rules, linking, recorded
from honnin.paypay_facets import DECLINED, REQUESTED, SUCCEEDED, Answer, Call
from honnin.store import UserStatus

AT = "2026-04-01T02:00:00.000Z"
# What the sandbox says of a completed KYC.
RULES = Rules(frozenset({"COMPLETED"}))

# Call, HTTP status, code, word.
_ANSWERS = {
    "VERIFIED": (Call.KYC_INFO, 200, "SUCCESS", "COMPLETED"),
    "UNCONFIRMED": (Call.KYC_INFO, 200, "SUCCESS", "REJECTED"),
    "NOT_COMPLETED": (Call.KYC_INFO, 400, "KYC_NOT_COMPLETED", "(absent)"),
    "RISK_FLAGGED": (Call.KYC_PASSPORT, 400, "UNACCEPTABLE_OP", "(absent)"),
    "UPDATE_REQUIRED": (Call.KYC_PASSPORT, 400, "KYC_UPDATE_REQUIRED", "(absent)"),
    "INACTIVE": (Call.AUTHORIZATION, 200, "SUCCESS", "INACTIVE"),
    "EXPIRED": (Call.AUTHORIZATION, 401, "EXPIRED_USER_AUTHORIZATION_ID", "(absent)"),
    "UNLINKED": (Call.AUTHORIZATION, 401, "INVALID_USER_AUTHORIZATION_ID", "(absent)"),
    "CANCELLED": (Call.AUTHORIZATION, 400, "CANCELED_USER", "(absent)"),
}


def paypay_user(
    user_id: str = "user-1",
    status: str = "LINKED",
    version: int = 1,
    *,
    linked: str | None = None,
    scopes: tuple[str, ...] = (),
    code_id: str | None = None,
    at: str = AT,
    before: UserStatus | None = None,
) -> UserStatus:
    """The user after these answers; `CANCELLED` is the INACTIVE of a user who left PayPay.

    With `before` the answers come on top of what was known, with the next version.
    """
    known = before or UserStatus(user_id, "paypay", "LINK_PENDING", 0)
    answers = [linking(DECLINED if status == "LINK_DECLINED" else REQUESTED, at)]
    if linked:
        answers.append(linking(SUCCEEDED, at, linked))
    if status in _ANSWERS:
        call, http, code, word = _ANSWERS[status]
        answers.append(Answer(call, at, linked, http, code, word, has_data=http == 200))
    after = recorded(known, answers, RULES)
    wanted = {"CANCELLED": "INACTIVE"}.get(status, status)
    assert after.status == wanted, f"{after.status} instead of {wanted}"
    number = before.version + 1 if before else version
    return replace(after, version=number, scopes=scopes or after.scopes, code_id=code_id or after.code_id)
