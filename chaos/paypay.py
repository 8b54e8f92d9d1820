"""PayPay in process: users whose state changes, what a read answers at each moment, and their history.

It stands behind `chaos.connections`, so the client's signing, parsing and typing of errors is the real one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.structures import CaseInsensitiveDict

from chaos.boundary import START, Clock
from honnin.http_client import Answer
from honnin.paypay.readings import Rules

BASE_URL = "https://paypay.example.com"
KYC_INFO_PATH = "/kyc/info"
KYC_PASSPORT_PATH = "/kyc/passport"
QR_PATH = "/kyc/qr/"

# The word of a completed KYC here, and one that confirms nothing.
WORD = "COMPLETED"
OTHER_WORD = "UNDER_REVIEW"
RULES = Rules(frozenset({WORD}))

PASSPORT_SCOPE = "mini_app_kyc_passport"
QR_SCOPE = "kyc_passport_qr"

# In every value of a person, so that one is found wherever it should not be.
PERSONAL = "PERSONAL"

# How long an authorization lives, if nothing else is said.
_LONG = timedelta(days=3650)

_FAILURES = {
    "throttled": (429, "RATE_LIMIT"),
    "error": (500, "SERVICE_ERROR"),
    "maintenance": (503, "MAINTENANCE_MODE"),
    "unauthorized": (401, "UNAUTHORIZED"),
    "refused": (400, "INVALID_PARAMS"),
}

STATUS_OF = {
    "CANCELED_USER": "INACTIVE",
    "USER_STATE_IS_NOT_ACTIVE": "INACTIVE",
    "INVALID_USER_AUTHORIZATION_ID": "UNLINKED",
    "EXPIRED_USER_AUTHORIZATION_ID": "EXPIRED",
    "UNACCEPTABLE_OP": "RISK_FLAGGED",
    "KYC_UPDATE_REQUIRED": "UPDATE_REQUIRED",
    "KYC_NOT_COMPLETED": "NOT_COMPLETED",
    "SUCCESS": "VERIFIED",
}


@dataclass(frozen=True)
class State:
    """All that decides what a read under one authorization answers."""

    word: str = WORD  # of the KYC; empty while it is not completed
    flag: str = ""
    account: str = "active"
    unlinked: bool = False
    expired: bool = False

    def access(self) -> str:
        """The code by which any read is refused for the link or the account, or empty.

        An authorization that has ended stays so, whatever becomes of the account.
        """
        if self.unlinked:
            return "INVALID_USER_AUTHORIZATION_ID"
        if self.expired:
            return "EXPIRED_USER_AUTHORIZATION_ID"
        return {"canceled": "CANCELED_USER", "inactive": "USER_STATE_IS_NOT_ACTIVE"}.get(self.account, "")

    def kyc(self, *, passport: bool) -> str:
        """The code that a KYC read answers."""
        return self.access() or (self.flag if passport else "") or ("SUCCESS" if self.word else "KYC_NOT_COMPLETED")

    def means(self, *, passport: bool) -> str:
        """The status that a KYC read means."""
        code = self.kyc(passport=passport)
        return "UNCONFIRMED" if code == "SUCCESS" and self.word != WORD else STATUS_OF[code]

    def means_without_access(self) -> str:
        """The status that a refused access means; empty when there is access."""
        return STATUS_OF[self.access()] if self.access() else ""


@dataclass
class Authorization:
    """One `userAuthorizationId`, its state, and since when it has had which.

    `shown` says from when on the reads answer by which state: the read side may lag behind.
    """

    id: str
    user_id: str
    scopes: tuple[str, ...]
    state: State
    history: list[tuple[datetime, State]] = field(default_factory=list)
    shown: list[datetime] = field(default_factory=list)
    ends_at: datetime = field(default=START + _LONG)

    def become(self, state: State, now: datetime, lag_s: float = 0) -> None:
        """Change, which the reads show later; never before an earlier change."""
        self.state = state
        self.history.append((now, state))
        self.shown.append(max([now + timedelta(seconds=lag_s), *self.shown]))

    def as_read(self, now: datetime) -> State:
        """The state by which the reads answer."""
        return next(
            state for at, (_, state) in zip(reversed(self.shown), reversed(self.history), strict=True) if at <= now
        )

    def seen(self, at: datetime) -> datetime:
        """The moment whose state a read of that moment saw at the latest."""
        hidden = [begun for shown, (begun, _) in zip(self.shown, self.history, strict=True) if begun <= at < shown]
        return min([at, *(each - timedelta(milliseconds=1) for each in hidden)])

    @property
    def changed_at(self) -> datetime:
        """The moment of the last change."""
        return self.history[-1][0]

    def states_since(self, moment: datetime) -> list[State]:
        """The state of that moment and all later ones."""
        begun = [number for number, (at, _) in enumerate(self.history) if at <= moment]
        return [state for _, state in self.history[begun[-1] if begun else 0 :]]


class PayPay:
    """The register and its API. `given` holds the KYC object of each successful read by X-REQUEST-ID.

    An authorization ends when its time is over; nobody is notified of that.
    """

    def __init__(self, clock: Clock) -> None:
        self.authorizations: dict[str, list[Authorization]] = {}
        self.given: dict[str, dict[str, Any]] = {}
        self.api_key = "key-0"
        self.nonces: list[tuple[str, str]] = []
        # The authorization to which each KYC Passport QR has led; none until the user has agreed.
        self.qrs: dict[str, str] = {}
        self._by_id: dict[str, Authorization] = {}
        self._clock = clock
        self._answers = 0

    # --- the users ---

    def pass_time(self) -> None:
        """End what is over by now."""
        for each in self._by_id.values():
            if each.ends_at <= self._clock() and not each.state.unlinked and not each.state.expired:
                each.become(replace(each.state, expired=True), each.ends_at)

    def grant(self, user_id: str, scopes: tuple[str, ...], life_s: int = 0) -> Authorization:
        """The user agrees: a standing authorization is renewed with these scopes added, else a new one is made.

        It ends after `life_s` seconds from now (0: in ten years).
        """
        self.pass_time()
        granted = self._granted(user_id, scopes)
        granted.ends_at = (self._clock() + (timedelta(seconds=life_s) or _LONG)).replace(microsecond=0)
        return granted

    def extend(self, user_id: str) -> None:
        """PayPay lets the user's last authorization live a day longer, without a notification."""
        self.pass_time()
        self.authorizations[user_id][-1].ends_at += timedelta(days=1)

    def _granted(self, user_id: str, scopes: tuple[str, ...]) -> Authorization:
        mine = self.authorizations.setdefault(user_id, [])
        last = mine[-1] if mine else None
        if last and not last.state.unlinked and not last.state.expired:
            last.scopes = tuple(dict.fromkeys((*last.scopes, *scopes)))
            return last
        before = last.state if last else State()
        made = Authorization(
            f"auth-{user_id}-{len(mine)}", user_id, scopes, replace(before, unlinked=False, expired=False)
        )
        mine.append(made)
        self._by_id[made.id] = made
        made.become(made.state, self._clock())
        return made

    def change(self, user_id: str, lag_s: float = 0, **changed: Any) -> None:
        """Change the user's state: `unlinked` and `expired` of the last authorization, the rest of the person.

        The reads show it `lag_s` seconds later.
        """
        self.pass_time()
        now = self._clock()
        mine = self.authorizations[user_id]
        for each in mine:
            wanted = changed if each is mine[-1] else {k: v for k, v in changed.items() if k not in _OF_A_LINK}
            state = replace(each.state, **wanted)
            if state != each.state:
                each.become(state, now, lag_s)

    # --- the API ---

    def fail(self, kind: str) -> Answer:
        """An answer that is a failure."""
        self._answers += 1
        return failure(kind, f"OPA{self._answers}")

    def answer(self, request: requests.PreparedRequest) -> Answer:
        """What PayPay does with a request."""
        self.pass_time()
        if f"OPA-Auth:{self.api_key}:" not in request.headers["Authorization"]:
            return self._envelope(401, "UNAUTHORIZED", {})
        url = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        match url.path:
            case "/v1/qr/sessions":
                return self._create_qr(json.loads(request.body or b"{}"))
            case "/v2/user/authorizations":
                return self._authorization(query["userAuthorizationId"])
            case "/kyc/info":
                return self._kyc(query["userAuthorizationId"], "get_kyc_info")
            case "/kyc/passport":
                return self._kyc(request.headers["X-USER-AUTHORIZATION-ID"], PASSPORT_SCOPE)
        if url.path.startswith(QR_PATH):
            body = json.loads(request.body or b"{}")
            return self._qr(url.path.removeprefix(QR_PATH), body["userAuthorizationId"])
        raise NotImplementedError(url.path)

    def _create_qr(self, body: Mapping[str, Any]) -> Answer:
        self.nonces.append((body["referenceId"], body["nonce"]))
        data = {"linkQRCodeURL": "https://qr.example.com/x"}
        if body.get("accountLinkFlow"):
            data["codeId"] = f"code-{len(self.nonces)}"
        return self._envelope(201, "SUCCESS", data)

    def _authorization(self, authorization_id: str) -> Answer:
        known = self._by_id.get(authorization_id)
        if known is None:
            return self._envelope(401, "INVALID_USER_AUTHORIZATION_ID", {})
        code = known.as_read(self._clock.peek()).access()
        if code in ("INVALID_USER_AUTHORIZATION_ID", "EXPIRED_USER_AUTHORIZATION_ID"):
            return self._envelope(401, code, {})
        data = {
            "userAuthorizationId": known.id,
            "referenceIds": [known.user_id],
            "status": "INACTIVE" if code else "ACTIVE",
            "scopes": list(known.scopes),
            "expireAt": int(known.ends_at.timestamp()),
        }
        return self._envelope(200, "SUCCESS", data)

    def _qr(self, code_id: str, authorization_id: str) -> Answer:
        if self.qrs.get(code_id) != authorization_id:
            return self._envelope(400, "KYC_PASSPORT_NOT_COMPLETED", {})
        return self._kyc(authorization_id, QR_SCOPE)

    def _kyc(self, authorization_id: str, scope: str) -> Answer:
        known = self._by_id[authorization_id]
        state = known.as_read(self._clock.peek())
        if not state.access() and scope not in known.scopes:
            return self._envelope(401, "OP_OUT_OF_SCOPE", {})
        code = state.kyc(passport=scope != "get_kyc_info")
        if code != "SUCCESS":
            return self._envelope(400, code, {})
        answer = self._envelope(
            200, code, {"status": state.word, "eKycDocument": {"name": f"{PERSONAL} {known.user_id}"}}
        )
        self.given[answer.headers["X-REQUEST-ID"]] = json.loads(answer.body)["data"]
        return answer

    def _headers(self) -> "CaseInsensitiveDict[str]":
        self._answers += 1
        return CaseInsensitiveDict({"X-REQUEST-ID": f"OPA{self._answers}"})

    def _envelope(self, status: int, code: str, data: Mapping[str, Any]) -> Answer:
        headers = self._headers()
        if "eKycDocument" in data:
            # So that no two reads are alike.
            data = {**data, "serial": f"{PERSONAL} {headers['X-REQUEST-ID']}"}
        return _answer(status, code, headers, data)


def failure(kind: str, request_id: str = "OPA0") -> Answer:
    """An answer of PayPay's that is a failure."""
    headers = CaseInsensitiveDict({"X-REQUEST-ID": request_id})
    if kind == "garbled":
        return Answer(200, headers, b"<html>")
    return _answer(*_FAILURES[kind], headers, {})


def _answer(status: int, code: str, headers: "CaseInsensitiveDict[str]", data: Mapping[str, Any]) -> Answer:
    info = {"code": code, "message": "m", "codeId": "1"}
    return Answer(status, headers, json.dumps({"resultInfo": info, "data": data}).encode())


_OF_A_LINK = ("unlinked", "expired")

CHANGED: Mapping[str, tuple[str, dict[str, Any]]] = {
    "kyc_done": ("kyc", {"word": WORD}),
    "kyc_unconfirmed": ("kyc", {"word": OTHER_WORD}),
    "kyc_undone": ("kyc", {"word": ""}),
    "flagged": ("risk", {"flag": "UNACCEPTABLE_OP"}),
    "update_required": ("risk", {"flag": "KYC_UPDATE_REQUIRED"}),
    "cleared": ("risk", {"flag": ""}),
    "active": ("account_status", {"account": "active"}),
    "inactive": ("account_status", {"account": "inactive"}),
    "canceled": ("account_status", {"account": "canceled"}),
    "unlinked": ("account_status", {"unlinked": True}),
    "expired": ("account_status", {"expired": True}),
}
