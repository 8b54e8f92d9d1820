"""`status --at`: what was known at a moment, in plain answers."""

import json
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from honnin.store import Certificate
from honninctl import command, past
from honninctl.failures import NotFoundError, UsageError
from tests.fakes.cli import FakeDeployment, run

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
SHA = "ab" * 32
KEY = f"paypay/user-1/kyc_info/2026-10-02T03:00:00.000Z-{SHA}.json"


def entry(at: str, to: str, before: str | None, event: str, cause: str = "webhook", **detail: str) -> dict[str, Any]:
    """An entry as the merchant API gives it."""
    found = {"at": at, "eventId": event, "provider": "paypay", "what": "kyc_read", "cause": cause}
    return found | {"from": before, "to": to, "detail": detail}


ENTRIES = [
    entry(
        "2026-11-03T03:00:00.000Z", "RISK_FLAGGED", "VERIFIED", "recon:risk:2026-10-31:a85fe9e9-b4c9-45cf-a1:1", "recon"
    ),
    entry("2026-10-20T03:00:00.000Z", "VERIFIED", "VERIFIED", "e-3"),
    entry("2026-10-02T03:00:00.000Z", "VERIFIED", "LINK_PENDING", "e-2", requestId="r-2", snapshot=KEY, sha256=SHA),
    entry("2026-10-01T03:00:00.000Z", "LINK_PENDING", None, "e-1", "api"),
]


@pytest.fixture(autouse=True)
def _present(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "now", lambda: NOW)


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> FakeDeployment:
    made = FakeDeployment({}, {"VerifiedNeeds": "paypay"})
    monkeypatch.setattr(command, "Deployment", lambda _: made)
    return made


def answers(deployment: FakeDeployment, entries: list[dict[str, Any]], user: dict[str, Any] | Exception) -> None:
    """The timeline in two pages, and the present status."""
    deployment.api.extend([{"entries": entries[:1], "cursor": "c"}, {"entries": entries[1:], "cursor": None}, user])


def test_what_was_known_at_the_end_of_a_day_and_how_and_what_was_found_out_later(deployment: FakeDeployment) -> None:
    answers(deployment, ENTRIES, {"providers": {"paypay": {"status": "RISK_FLAGGED", "linkExpiresAt": None}}})
    ended = run("status", "user-1", "--at", "2026-10-31", "--json")

    assert ended.exit_code == 0
    assert json.loads(ended.stdout) == {
        "userId": "user-1",
        "at": "2026-10-31T14:59:59.999Z",
        "providers": {
            "paypay": {
                "status": "VERIFIED",
                "since": "2026-10-02T03:00:00.000Z",
                "until": "2026-11-03T03:00:00.000Z",
                "endedBy": "RISK_FLAGGED",
                "what": "kyc_read",
                "cause": "webhook",
                "eventId": "e-2",
                "confirmedAt": "2026-10-20T03:00:00.000Z",
                "confirmedCause": "webhook",
                "flag": "NONE",
                "product": "kyc_info",
                "requestId": "r-2",
                "object": KEY,
                "sha256": SHA,
            }
        },
        "verified": True,
        "verifiedReason": "PAYPAY_VERIFIED",
        "verifiedNeeds": "paypay",
        "foundLater": [
            {
                "why": "recon",
                "provider": "paypay",
                "at": "2026-11-03T03:00:00.000Z",
                "from": "VERIFIED",
                "to": "RISK_FLAGGED",
                "cause": "recon",
                "eventId": "recon:risk:2026-10-31:a85f…f-a1:1",
                "day": "2026-10-31",
                "endedAt": None,
            }
        ],
        "firstEntryAt": "2026-10-01T03:00:00.000Z",
        "erasedAt": None,
        "erasure": None,
    }


def test_a_person_reads_it_in_japans_time_within_80_columns(deployment: FakeDeployment) -> None:
    answers(deployment, ENTRIES, {"providers": {"paypay": {"status": "RISK_FLAGGED", "linkExpiresAt": None}}})
    ended = run("status", "user-1", "--at", "2026-10-31")

    assert "paypay: VERIFIED" in ended.stdout
    assert "2026-10-02 12:00:00, kyc_read, cause webhook" in ended.stdout
    assert "2026-11-03 12:00:00, then RISK_FLAGGED" in ended.stdout
    assert "PayPay's recon file of 2026-10-31" in ended.stdout
    long = [each for each in ended.stdout.splitlines() if len(each) > 80]
    assert [each for each in long if KEY not in each] == []


def test_a_link_that_had_ended_is_said_though_it_was_seen_later(deployment: FakeDeployment) -> None:
    expired = entry("2026-10-31T15:20:00.000Z", "EXPIRED", "VERIFIED", "e-4", "poll")
    ended_at = "2026-10-31T14:30:00.000Z"
    answers(
        deployment, [expired, *ENTRIES[1:]], {"providers": {"paypay": {"status": "EXPIRED", "linkExpiresAt": ended_at}}}
    )
    assert "the link had ended at 2026-10-31 23:30:00" in run("status", "user-1", "--at", "2026-10-31").stdout


def test_an_erased_user_has_statuses_and_times_and_no_evidence(
    deployment: FakeDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    erased = entry("2026-11-10T00:00:00.000Z", "ERASED", None, "erase:c-1", "api") | {
        "provider": "honnin",
        "what": "erased",
    }
    kept = [each | {"detail": {}} for each in ENTRIES]
    begun_at, completed_at = "2026-11-09T23:59:59.000Z", "2026-11-10T00:00:00.000Z"
    certificate = Certificate("c-1", "user-1", begun_at, completed_at, requested_by="privacy desk", reason="本人の依頼")
    erasures = mock.Mock(certificates=mock.Mock(return_value=[certificate]))
    monkeypatch.setitem(vars(deployment), "store", mock.Mock(erasure=erasures))
    answers(deployment, [erased, *kept], NotFoundError("gone"))
    ended = run("status", "user-1", "--at", "2026-10-31")

    assert "paypay: VERIFIED" in ended.stdout
    assert "erased on 2026-11-10 09:00:00" in ended.stdout
    assert "asked by    privacy desk" in ended.stdout
    assert "reason      本人の依頼" in ended.stdout
    # Who may read the API only sees the rest.
    refused = {"Error": {"Code": "AccessDeniedException", "Message": ""}}
    erasures.certificates.side_effect = ClientError(refused, "Query")  # type: ignore[arg-type]
    answers(deployment, [erased, *kept], NotFoundError("gone"))
    ended = run("status", "user-1", "--at", "2026-10-31")
    assert ended.exit_code == 0
    assert "erased on 2026-11-10 09:00:00" in ended.stdout
    assert "privacy desk" not in ended.stdout
    answers(deployment, [erased, *kept], NotFoundError("gone"))
    found = json.loads(run("status", "user-1", "--at", "2026-11-11", "--json").stdout)
    assert (found["providers"], found["verified"]) == ({}, False)


def test_a_moment_before_the_first_entry_is_a_plain_answer(deployment: FakeDeployment) -> None:
    answers(deployment, ENTRIES, {"providers": {}})
    ended = run("status", "user-1", "--at", "2026-09-01")
    assert ended.exit_code == 0
    assert "Nothing was known" in ended.stdout
    assert "begins on 2026-10-01 12:00:00" in ended.stdout


def test_a_user_without_any_entry_left_is_a_plain_answer(deployment: FakeDeployment) -> None:
    deployment.api.extend([{"entries": [], "cursor": None}, {"providers": {"paypay": {"status": "VERIFIED"}}}])
    assert "no entry any more" in run("status", "user-1", "--at", "2026-09-01").stdout


def test_an_unknown_user_is_not_found(deployment: FakeDeployment) -> None:
    deployment.api.append(NotFoundError("no user is known under this id"))
    assert run("status", "nobody", "--at", "2026-09-01").exit_code == 3


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-10-31", "2026-10-31T14:59:59.999+00:00"),
        ("2026-10-31T09:30", "2026-10-31T00:30:00+00:00"),
        ("2026-10-31 09:30", "2026-10-31T00:30:00+00:00"),
        ("2026-10-31T09:30+09:00", "2026-10-31T00:30:00+00:00"),
        ("2026-10-31T09:30:15.250Z", "2026-10-31T09:30:15.250+00:00"),
        ("today", NOW.isoformat()),
        ("yesterday", "2026-11-27T14:59:59.999+00:00"),
        ("2026-11-28", NOW.isoformat()),  # has not ended: what is known so far
        ("2026-11-28T11:59", "2026-11-28T02:59:00+00:00"),
    ],
)
def test_a_time_is_a_day_or_a_moment_of_japan(text: str, moment: str) -> None:
    assert past.moment(text) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "20261031",
        "2026-10-32",
        "2026-10",
        "2026-W44-6",
        "2026-10-31T25:00",
        "9999-12-31",
        "2026-11-29",
        "2026-11-28T12:01",
    ],
)
def test_a_time_that_is_none_or_is_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        past.moment(text)
