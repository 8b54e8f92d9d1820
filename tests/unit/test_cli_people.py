"""`status`, `timeline`, `submissions`, `export`, `erase`: what is shown, what is masked, what is asked."""

import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from honnin.store import Effect, Store, Submission, UserStatus
from honnin.vault import Vault
from honninctl import command
from honninctl.failures import NotFoundError
from tests.unit.cli_fakes import FakeDeployment, run, state_table

AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
REPAIR = f"recon:kyc_passport_sync_recon:2026-11-20:{AUTHORIZATION}"
AT = "2026-04-01T03:00:00.000Z"


class Merchant:
    """One table, one vault, and a user with both providers in it."""

    def __init__(self) -> None:
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="vault", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
        s3.put_bucket_versioning(Bucket="vault", VersioningConfiguration={"Status": "Enabled"})
        self.store = Store(state_table(), boto3.client("dynamodb"))
        self.vault = Vault("vault", s3)
        self.s3 = s3
        self.deployment = FakeDeployment({"StateTableName": "StateTable", "PersonalDataBucketName": "vault"})

    def submit(self, user_id: str, *, status: str = "PENDING", due: bool = True) -> str:
        """A submission in that state; returns its id."""
        submission_id = f"sub-{user_id}"
        after = UserStatus(user_id, "vexora", status, 1, submission_id=submission_id, submitted_at=AT)
        opens = Submission(submission_id, user_id, status, AT, due_at=AT if due else None)
        detail = {"submissionId": submission_id}
        self.store.apply(
            Effect(f"api:{submission_id}", "submission_started", "api", AT, None, after, detail, opens=opens)
        )
        return submission_id

    def link(self, user_id: str, authorization: str = AUTHORIZATION, times: int = 1) -> None:
        """A linked PayPay user with so many readings, all by recon."""
        before: UserStatus | None = None
        for number in range(times):
            after = UserStatus(
                user_id, "paypay", "VERIFIED", number + 1, user_authorization_id=authorization, scopes=("get_kyc_info",)
            )
            at = f"2026-04-01T03:{number // 60:02}:{number % 60:02}.000Z"
            event_id = f"{REPAIR}-{number}" if number else REPAIR
            self.store.apply(Effect(event_id, "kyc_read", "recon", at, before, after, {}, links=not number))
            before = replace(after)


@pytest.fixture
def merchant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Merchant]:
    with mock_aws():
        made = Merchant()
        monkeypatch.setattr(command, "Deployment", lambda _where: made.deployment)
        yield made


def _page(count: int, cursor: str | None, first: int = 0) -> dict[str, Any]:
    entries = [
        {
            "at": f"2026-04-01T03:{number:02}:00.000Z",
            "eventId": REPAIR,
            "provider": "paypay",
            "what": "kyc_read",
            "cause": "recon",
            "from": "VERIFIED" if number else None,
            "to": "VERIFIED",
            "detail": {"snapshot": "s" * 100},
        }
        for number in range(first, first + count)
    ]
    return {"entries": entries, "cursor": cursor}


# status


def test_status_as_json_is_the_apis_answer(merchant: Merchant) -> None:
    answer = {"userId": "u@1", "providers": {"vexora": {"status": "PENDING"}}}
    merchant.deployment.api.append(answer)
    ended = run("status", "u@1", "--json")
    assert (ended.exit_code, json.loads(ended.stdout), ended.stderr) == (0, answer, "")
    assert merchant.deployment.asked == [("GET", "/users/u%401", {})]


def test_status_for_people_says_what_is_stale(merchant: Merchant) -> None:
    vexora = {"status": "PENDING", "providerStatus": "0", "readAt": AT, "submissionId": "s-1", "stale": True}
    paypay = {"status": "LINKED", "providerStatus": None, "readAt": None, "scopes": ["get_kyc_info"]}
    merchant.deployment.api.append({"userId": "u", "providers": {"vexora": vexora, "paypay": paypay}})
    shown = run("status", "u").stdout
    assert "ask Vexora" in shown
    assert "scopes get_kyc_info" in shown


def test_an_unknown_user_is_3(merchant: Merchant) -> None:
    merchant.deployment.api.append(NotFoundError("no user is known under this id"))
    ended = run("status", "u", "--json")
    assert (ended.exit_code, ended.stdout) == (3, "")


# timeline


def test_timeline_as_json_goes_on_at_its_cursor_and_masks(merchant: Merchant) -> None:
    merchant.deployment.api.extend([_page(100, "c1"), _page(50, "c2"), _page(1, None)])
    first = json.loads(run("timeline", "u", "--limit", "150", "--json").stdout)
    assert (len(first["entries"]), first["cursor"]) == (150, "c2")
    last = json.loads(run("timeline", "u", "--cursor", "c2", "--json").stdout)
    assert (len(last["entries"]), last["cursor"]) == (1, None)
    queries = [query for _, _, query in merchant.deployment.asked]
    assert queries == [{"limit": "100"}, {"limit": "50", "cursor": "c1"}, {"limit": "50", "cursor": "c2"}]
    assert AUTHORIZATION not in json.dumps(first)


def test_timeline_all_takes_every_page_and_reveal_shows_ids(merchant: Merchant) -> None:
    merchant.deployment.api.extend([_page(100, "c1"), _page(100, "c2"), _page(7, None)])
    found = json.loads(run("timeline", "u", "--all", "--json", "--reveal").stdout)
    assert (len(found["entries"]), found["cursor"]) == (207, None)
    assert found["entries"][0]["eventId"] == REPAIR


def test_timeline_for_people_stops_at_the_limit_where_nobody_can_be_asked(merchant: Merchant) -> None:
    merchant.deployment.api.append(_page(2, "c1"))
    ended = run("timeline", "u", "--limit", "2")
    assert ended.exit_code == 0
    assert "– → VERIFIED" in ended.stdout
    assert "VERIFIED (unchanged)" in ended.stdout
    assert [query for _, _, query in merchant.deployment.asked] == [{"limit": "2"}]


def test_on_a_terminal_the_timeline_goes_on_until_q(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from honninctl.command import Cli
    from honninctl.people_commands import _page_through
    from honninctl.screen import Screen

    merchant.deployment.api.append(_page(5, None))
    answers = iter(["", "q"])
    monkeypatch.setattr(Screen, "ask", lambda *_: next(answers))
    _page_through(Cli(merchant.deployment, Screen(as_json=False)), "u", 2, reveal=False)
    shown = capsys.readouterr().out
    # Two pages of two; the fifth was not asked for, and none came twice.
    assert [shown.count(f"03:0{number}:00") for number in range(5)] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("user_id", [".", "..", ""])
def test_a_step_in_a_path_is_no_user(merchant: Merchant, user_id: str) -> None:
    for arguments in (["status", user_id], ["timeline", user_id], ["erase", user_id, "--yes"]):
        assert run(*arguments).exit_code == 2
    assert merchant.deployment.asked == []


def test_a_cursor_without_json_is_wrong_usage(merchant: Merchant) -> None:
    assert run("timeline", "u", "--cursor", "c").exit_code == 2


# submissions


def test_open_submissions_come_from_the_index_and_all_from_the_table(merchant: Merchant) -> None:
    for user_id, status, due in (("a", "PENDING", True), ("b", "UNDER_REVIEW", False), ("c", "APPROVED", False)):
        merchant.submit(user_id, status=status, due=due)

    def users(*arguments: str) -> list[str]:
        found = json.loads(run("submissions", *arguments, "--json").stdout)["submissions"]
        return sorted(each["userId"] for each in found)

    assert users("--open") == ["a"]
    assert users("--open", "--whole-table") == ["a", "b"]
    assert users() == ["a", "b", "c"]


def test_the_shape_of_a_submission(merchant: Merchant) -> None:
    merchant.submit("a")
    [found] = json.loads(run("submissions", "--open", "--json").stdout)["submissions"]
    assert found == {
        "submissionId": "sub-a",
        "userId": "a",
        "status": "PENDING",
        "submittedAt": AT,
        "polls": 0,
        "nextPollAt": AT,
        "outcome": None,
    }
    assert "1 submission." in run("submissions", "--open").stdout


# export


def test_export_holds_everything_and_masks_without_reveal(merchant: Merchant) -> None:
    merchant.submit("u")
    merchant.submit("other")
    merchant.link("u", times=130)  # more than a page
    data = {"name": "テスト ハナコ"}
    key = merchant.vault.put_snapshot(provider="paypay", user_id="u", product="kyc_info", read_at=AT, data=data)
    merchant.vault.put_selfie(key, b"\xff\xd8", "image/jpeg")
    merchant.vault.put_snapshot(provider="paypay", user_id="u2", product="kyc_info", read_at=AT, data={})
    merchant.s3.delete_object(Bucket="vault", Key=key)
    ended = run("export", "u")
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found) == [
        "userId",
        "exportedAt",
        "revealed",
        "statuses",
        "link",
        "submissions",
        "timeline",
        "personalData",
    ]
    assert len(found["timeline"]) == 131
    assert [each["submissionId"] for each in found["submissions"]] == ["sub-u"]
    assert found["link"] == {"userAuthorizationId": "a85f…3af7", "userId": "u"}
    assert [(each["key"], each["size"] is None, each["deleted"]) for each in found["personalData"]] == [
        (key, False, False),
        (key, True, True),
        (key.removesuffix(".json") + ".selfie.jpeg", False, False),
    ]
    assert AUTHORIZATION not in ended.stdout
    assert "ハナコ" not in ended.stdout


def test_export_with_reveal_holds_ids_and_contents(merchant: Merchant) -> None:
    merchant.link("u")
    key = merchant.vault.put_snapshot(
        provider="paypay", user_id="u", product="kyc_info", read_at=AT, data={"name": "テスト ハナコ"}
    )
    merchant.vault.put_selfie(key, b"\xff\xd8", "image/jpeg")
    found = json.loads(run("export", "u", "--reveal").stdout)
    assert [each["content"] for each in found["personalData"]] == [
        {"name": "テスト ハナコ"},
        {"contentType": "image/jpeg", "base64": "/9g="},
    ]
    assert found["statuses"][0]["userAuthorizationId"] == AUTHORIZATION
    assert found["timeline"][0]["eventId"] == REPAIR


def test_export_of_nobody_is_3(merchant: Merchant) -> None:
    ended = run("export", "nobody")
    assert (ended.exit_code, ended.stdout) == (3, "")


# erase

CERTIFICATE = {"userId": "u", "objects": 3}


class Terminal(io.StringIO):
    """A stdin where a person sits."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_erase_asks_for_the_id_and_shows_the_certificate(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def typed(_screen: Any, question: str) -> str:
        asked.append(question)
        return "u"

    monkeypatch.setattr("honninctl.screen.Screen.ask", typed)
    merchant.deployment.api.append(CERTIFICATE)
    ended = run("erase", "u", "--unlink", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, CERTIFICATE)
    assert merchant.deployment.asked == [("DELETE", "/users/u/personal-data", {"unlink": "true"})]
    assert "honnin-test" in asked[0]
    assert "PayPay" in asked[0]


@pytest.mark.parametrize("typed", ["", "U", "u ", "yes"])
def test_anything_but_the_id_erases_nothing(merchant: Merchant, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("honninctl.screen.Screen.ask", lambda *_: typed)
    ended = run("erase", "u")
    assert ended.exit_code == 1
    assert merchant.deployment.asked == []


def test_where_nobody_can_be_asked_yes_is_needed(merchant: Merchant) -> None:
    assert run("erase", "u", given="u\n").exit_code == 2
    assert merchant.deployment.asked == []
    merchant.deployment.api.append(CERTIFICATE)
    ended = run("erase", "u", "--yes")
    assert ended.exit_code == 0
    assert merchant.deployment.asked == [("DELETE", "/users/u/personal-data", {})]
    assert '"objects": 3' in ended.stdout


def test_the_question_goes_to_stderr_and_the_answer_comes_from_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from honninctl.screen import Screen

    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    assert Screen(as_json=True).confirmed("Really?")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "Really? [y/N] ")
