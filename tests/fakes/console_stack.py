"""A console over a stack that is made up: the pages as a person sees them after some weeks, without AWS.

Used by the test of the console's look and by what makes the documents' pictures (`python -m tests.e2e.console_look`).
"""

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock

from honnin.recon.days import CalendarDay, DayState
from honnin.register import Register, Row
from honnin.wording import Wording
from honninctl import (
    access,
    confirmations,
    dead_letters,
    doctor,
    doctor_egress,
    people,
    recon,
    redrive,
    register_commands,
    repairs,
    reread,
    rereads,
    webhooks,
)
from honninctl.checks import Check, Verdict
from honninctl.console.pages import Pages
from honninctl.console.rights import Rights
from honninctl.console.server import listen
from honninctl.dead_letters import Places, Queue
from honninctl.failures import NotFoundError
from honninctl.language import _
from tests.fakes.cli import FakeDeployment

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
DAY = "2026-11-20"
TYPES = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)
# As long as an id of a user may be, and the id of somebody whose whole month is listed.
LONG = "customer:ab12cd34-0000-4000-8000-000000000000@shop.example.jp"
USER = "user-1042"
# Nowhere in it may a line end: as long as an id of a user may be, and as long as one of a provider's may be.
UNBROKEN = "x" * 64
UNBROKEN_AT_PROVIDER = "0123456789abcdef" * 8
# A night after which many users were read again.
BUSY_DAY = "2026-11-19"
_HELD = "2026-11-21T23:10:00.000Z"
PAGES = (
    "",
    "users",
    "users?provider=paypay&status=VERIFIED",
    "users?list=expiring&days=30",
    "users?q=user-x",
    f"user?id={USER}",
    "recon",
    f"recon/{DAY}",
    "dead-letters",
    f"user?id={USER}&at=2026-11-12",
    f"act/erase?id={USER}",
    f"act/reread?id={USER}",
    f"act/export?id={USER}&reveal=1",
    "act/redrive?queue=events&error=UserAnswerError",
    "act/test-webhook",
    "register?from=2026-10-01&to=2026-10-31",
    f"access?id={USER}",
    "settings",
    f"user?id={UNBROKEN}",
    f"act/erase?id={UNBROKEN}",
    f"recon/{BUSY_DAY}?rows=500",
)


class Stack(FakeDeployment):
    """Answers of the merchant API by their paths. What would be read from its table is answered by `answering`."""

    store = mock.Mock()

    def merchant(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The same users, whatever is asked of them."""
        asked = query or {}
        match path:
            case "/overview/counts":
                paypay = {"VERIFIED": 12_840, "LINK_PENDING": 31, "RISK_FLAGGED": 2, "EXPIRED": 118}
                vexora = {"APPROVED": 1204, "PENDING": 7, "REJECTED": 40}
                counts = {"paypay": paypay, "vexora": vexora}
                return {"counts": counts, "approximate": False, "countedAt": _text(NOW), "rebuilding": False}
            case "/overview/users":
                return {
                    "users": _listed(asked),
                    "cursor": "more" if "cursor" not in asked else None,
                    "rebuilding": False,
                }
            case "/overview/expiring":
                ends = [
                    {"userId": each, "provider": "paypay", "what": what, "endsAt": "2026-12-08T15:00:00.000Z"}
                    for each, what in ((USER, "link"), (LONG, "residence"))
                ]
                return {"expiring": ends, "cursor": None, "until": _text(NOW)}
            case _ if path == f"/users/{USER}":
                return _user()
            case _ if path == f"/users/{USER}/timeline":
                return {"entries": _timeline(), "cursor": None}
            case _ if path == f"/users/{UNBROKEN}":
                return _long_ids()
            case _ if path == f"/users/{UNBROKEN}/timeline":
                long = {"eventId": UNBROKEN_AT_PROVIDER, "detail": {"requestId": UNBROKEN_AT_PROVIDER}}
                return {"entries": [{**each, **long} for each in _timeline()], "cursor": None}
        raise NotFoundError(f"nothing is known of {path}")


@contextlib.contextmanager
def answering() -> Iterator[contextlib.ExitStack]:
    """Until the block ends, what the pages ask of AWS itself has the answers of this stack."""
    with contextlib.ExitStack() as patches:
        for module, name, answer in (
            (recon, "calendar", _calendar()),
            (dead_letters, "find", Places({Queue.EVENTS: "u", Queue.SCHEDULE: "v"})),
            (dead_letters, "counts", {Queue.EVENTS: 2, Queue.SCHEDULE: 0}),
            (dead_letters, "letters", _letters()),
            (repairs, "stopped_since", None),
            (rereads, "known", []),
            (confirmations, "unconfirmed", _unconfirmed()),
            (people, "contract_ends", [{"userId": LONG}]),
            (access, "accesses", _accesses()),
            (webhooks, "state", _endpoint()),
            (webhooks, "held_since", _HELD),
            (redrive, "look", redrive.Moved(Counter({"UserAnswerError": 1}), Counter({"TypeError": 1}))),
            (
                reread,
                "questions",
                [
                    reread.Question("e-1", "paypay", "kyc", "VERIFIED"),
                    reread.Question("e-2", "vexora", "kyc_result", "PENDING"),
                ],
            ),
            (register_commands, "not_rebuilding", None),
            (Rights, "may", True),
        ):
            patches.enter_context(mock.patch.object(module, name, lambda *_, _answer=answer, **__: _answer))
        patches.enter_context(mock.patch.object(recon, "report", _report))
        patches.enter_context(mock.patch.object(doctor, "examine", _checks))
        patches.enter_context(mock.patch.object(Register, "rows", _register))
        yield patches


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a console that runs for the length of the block."""
    stack = Stack(
        {"DeadLetterQueueUrl": "https://sqs.example/dead"}, {"MerchantWebhookUrl": "https://shop.example/hook"}
    )
    with answering() as patches:
        server = patches.enter_context(listen(Pages(stack, lambda: NOW, is_read_only=False, may_reveal=True), 0))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _listed(asked: Mapping[str, str]) -> list[dict[str, str]]:
    facts = {"provider": asked["provider"], "status": asked["status"]}
    return [
        {"userId": each, **facts, "since": f"2026-11-{20 - position % 19:02}T03:04:05.000Z"}
        for position, each in enumerate([LONG, *(f"user-{1000 + number}" for number in range(24))])
    ]


def _user() -> dict[str, Any]:
    paypay = {
        "status": "RISK_FLAGGED",
        "providerStatus": "SUCCESS",
        "readAt": "2026-11-21T18:20:00.000Z",
        "scopes": ["user_kyc_passport", "user_profile"],
        "linkExpiresAt": "2026-12-08T15:00:00.000Z",
        "facets": {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "RISK_FLAGGED"},
    }
    return {
        "userId": USER,
        "providers": {"paypay": paypay},
        "verified": False,
        "verifiedReason": "PAYPAY_RISK_FLAGGED",
    }


def _long_ids() -> dict[str, Any]:
    facts = {"status": "UNDER_REVIEW", "providerStatus": "1", "readAt": _text(NOW), "stale": True, "reason": None}
    vexora = {**facts, "submissionId": UNBROKEN_AT_PROVIDER}
    paypay = {**_user()["providers"]["paypay"], "scopes": [f"user_{each}_kyc_passport" for each in range(9)]}
    providers = {"paypay": paypay, "vexora": vexora}
    return {**_user(), "userId": UNBROKEN, "providers": providers}


def _timeline() -> list[dict[str, Any]]:
    told = (
        ("2026-11-21T18:20:00.000Z", "kyc_read", "recon", "VERIFIED", "RISK_FLAGGED"),
        ("2026-11-18T03:00:00.000Z", "kyc_read", "webhook", "UPDATE_REQUIRED", "VERIFIED"),
        ("2026-11-15T03:00:00.000Z", "kyc_read", "webhook", "VERIFIED", "UPDATE_REQUIRED"),
        ("2026-11-12T03:00:00.000Z", "kyc_read", "webhook", "VERIFIED", "VERIFIED"),
        ("2026-11-10T03:00:00.000Z", "kyc_read", "user", "LINKED", "VERIFIED"),
        ("2026-11-10T02:59:00.000Z", "linked", "user", "LINK_PENDING", "LINKED"),
        ("2026-11-10T02:55:00.000Z", "link_requested", "api", None, "LINK_PENDING"),
    )
    return [
        {
            "at": at,
            "eventId": f"recon:{TYPES[1]}:2026-11-21:a85f…af7:1" if cause == "recon" else f"paypay:kyc:{position}",
            "provider": "paypay",
            "what": what,
            "cause": cause,
        }
        | {"from": before, "to": after, "detail": {"requestId": "c0ffee00-0000-4000-8000-000000000000"}}
        for position, (at, what, cause, before, after) in enumerate(told)
    ]


def _calendar() -> list[CalendarDay]:
    last = date(2026, 11, 21)
    odd = {
        (1, 0): DayState.MISSING,
        (4, 1): DayState.REPAIRED,
        (5, 0): DayState.REPAIRING,
        (9, 2): DayState.LATE,
        (14, 1): DayState.EXPIRED,
        (20, 0): DayState.REPAIRED,
        (25, 2): DayState.DOUBTFUL,
    }
    found = []
    for back in range(30):
        for position, kind in enumerate(TYPES):
            state = odd.get((back, position), DayState.COMPARED)
            facts: dict[str, Any] = {
                "received": 180 + 37 * (back * 7 % 11),
                "never_received": back % 9 == 4,
                "re_read": 40 + back % 13,
            }
            changed = {DayState.REPAIRED: 30 if back == 4 else 1204, DayState.REPAIRING: 3}.get(state, 0)
            waiting = 12 if state is DayState.REPAIRING else 0
            day = (last - timedelta(days=back)).isoformat()
            found.append(CalendarDay(day, kind, state, changed=changed, open=waiting, **facts))
    return found


def _report(_: object, day: str, *__: object, **___: object) -> dict[str, Any]:
    file = _file()
    if day == BUSY_DAY:
        ids = [UNBROKEN, *(f"user-{number}" for number in range(1000, 1299))]
        changed = [{**file["changed"][0], "userId": each} for each in ids]
        unread = [{"userId": each, "userAuthorizationId": "a85f…af7", "why": "reading_refused"} for each in ids[:2]]
        file |= {"day": day, "changed": changed, "notRead": unread}
        file["counts"] = {**file["counts"], "changed": 300, "notRead": 2}
    return {"day": day, "files": [file], "types": []}


def _file() -> dict[str, Any]:
    at = "2026-11-20T18:20:00.000Z"
    return {
        "fileType": TYPES[1],
        "day": DAY,
        "state": "COMPARED",
        "fileName": "kyc_passport_risk_1_20261120_20261120.csv",
        "counts": {"rows": 1204, "upToDate": 1174, "reRead": 30, "changed": 2, "webhookNeverReceived": 2},
        "changed": [
            {
                "userId": each,
                "userAuthorizationId": "a85f…af7",
                "from": "VERIFIED",
                "to": "RISK_FLAGGED",
                "appliedAt": at,
            }
            for each in (USER, LONG)
        ],
        "requestedAt": at,
        "deadline": at,
        "storedAt": at,
        "comparedAt": at,
        "completedAt": at,
        "repairsOpen": 0,
        "bytes": 44_548,
        "sha256": "0" * 64,
        "malformedRows": [],
    }


def _letters() -> list[dict[str, Any]]:
    event = {
        "provider": "paypay",
        "kind": "risk",
        "cause": "webhook",
        "subject": "a85f…af7",
        "event_id": "paypay:risk:1",
    }
    facts = {
        "queue": "events",
        "sentAt": "2026-11-21T04:00:00.000Z",
        "bodyBytes": 312,
        "function": None,
        "webhook": None,
    }
    return [
        {**facts, "messageId": f"00000000-0000-4000-8000-00000000000{number}", "errorType": name, "event": given}
        for number, (name, given) in enumerate((("UserAnswerError", event), ("(received too often)", None)))
    ]


def _unconfirmed() -> list[confirmations.Unconfirmed]:
    return [
        confirmations.Unconfirmed("PayPayVerifiedStatuses", "SUCCESS", "PayPay"),
        confirmations.Unconfirmed("VexoraPollMinutes", "", None),
    ]


def _checks(*_given: object) -> list[Check]:
    return [
        Check("credentials", Verdict.OK, "arn:aws:sts::123456789012:assumed-role/operator/ito in ap-northeast-1"),
        doctor_egress._without_vpc(()),
        Check(
            "alarms",
            Verdict.FAIL,
            _("AlarmEmail is not confirmed: it gets no alarm and no daily report"),
            _("follow the link in AWS's mail; if it is older than 48 hours, subscribe the address again in SNS"),
        ),
        Check("queues", Verdict.OK, _("{what}: {waiting} waiting").format(what=_("events"), waiting=0)),
    ]


def _accesses() -> list[dict[str, Any]]:
    facts = {"who": "arn:aws:sts::123456789012:assumed-role/officer/ito", "reasonErasedAt": None}
    return [
        {**facts, "at": at, "action": action, "source": source, "what": what, "options": options, "reason": reason}
        for at, action, source, what, options, reason in (
            ("2026-11-22T01:20:00.000Z", "looked", "console", "user", None, None),
            ("2026-11-21T07:05:00.000Z", "revealed", "cli", "timeline", "--reveal", "Audit 2026-11, ticket 4711"),
        )
    ]


def _endpoint() -> dict[str, Any]:
    reason = Wording("the answer was HTTP 503", "レスポンスは HTTP 503 でした")
    circuit = {"open": True, "since": _HELD, "reason": reason, "failures": 12}
    return {"circuit": {**circuit, "mapping": "Disabled"}, "waiting": 31, "inFlight": 2, "oldestSeconds": 5400}


def _register(register: Register) -> Iterator[Row]:
    register.as_of = _text(NOW)
    evidence = {"cause": "recon", "event_id": "paypay:kyc:1", "product": "kyc_passport", "sha256": "0" * 64}
    yield from [
        Row(each, "paypay", "VERIFIED", "2026-10-03T03:00:00.000Z", until=until, ended_by=ended, flags=(), **evidence)
        for each, until, ended in ((USER, "2026-11-21T18:20:00.000Z", "RISK_FLAGGED"), (LONG, None, None))
    ]
