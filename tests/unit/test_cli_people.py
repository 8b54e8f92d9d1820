"""`status`, `timeline`, `submissions`, `export`, `erase`: what is shown, what is masked, what is asked."""

import inspect
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer

from honnin.store import (
    Certificate,
    Contract,
    Effect,
    LinkSession,
    Store,
    Submission,
    Unattached,
    UserStatus,
    authorization_hash,
    keys,
)
from honnin.store.restore import KINDS
from honnin.times import utc_text
from honnin.vault import Vault, selfie
from honninctl import command
from honninctl.failures import NotFoundError
from tests.fakes.cli import FakeDeployment, run, state_table
from tests.fakes.memory import dynamodb, memory_aws, s3
from tests.fakes.paypay_user import paypay_user

AUTHORIZATION = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
REPAIR = f"recon:kyc_passport_sync_recon:2026-11-20:{AUTHORIZATION}:1"
AT = "2026-04-01T03:00:00.000Z"

NOT_VERIFIED = {"verified": False, "verifiedReason": "NOT_VERIFIED"}


class Merchant:
    """One table, one vault, and a user with both providers in it."""

    def __init__(self) -> None:
        self.s3 = s3("vault")
        self.store = Store(state_table(), dynamodb())
        self.vault = Vault("vault", self.s3)
        self.deployment = FakeDeployment({"StateTableName": "StateTable", "PersonalDataBucketName": "vault"})

    def submit(self, user_id: str, *, status: str = "PENDING", due: bool = True) -> str:
        """A submission in that state; returns its id."""
        submission_id = f"sub-{user_id}"
        after = UserStatus(user_id, "vexora", status, 1, submission_id=submission_id, submitted_at=AT)
        opens = Submission(submission_id, user_id, status, AT, due_at=AT if due else None)
        detail = {"submissionId": submission_id}
        self.store.events.apply(
            Effect(f"api:{submission_id}", "submission_started", "api", AT, None, after, detail, opens=opens)
        )
        return submission_id

    def keep(self, user_id: str, body: bytes, *, provider: str = "paypay", at: str = AT) -> str:
        """What a provider answered, in the vault; returns the key."""
        made = self.vault.evidence(
            provider=provider,
            user_id=user_id,
            product="kyc_info",
            read_at=datetime.fromisoformat(at),
            body=body,
            kept=None,
        )
        made.write()
        return made.facts["snapshot"]

    def link(self, user_id: str, authorization: str = AUTHORIZATION, times: int = 1) -> None:
        """A linked PayPay user with so many readings, all by recon."""
        before: UserStatus | None = None
        for number in range(times):
            after = paypay_user(user_id, "VERIFIED", number + 1, linked=authorization, scopes=("get_kyc_info",))
            at = f"2026-04-01T03:{number // 60:02}:{number % 60:02}.000Z"
            event_id = f"{REPAIR}-{number}" if number else REPAIR
            self.store.events.apply(Effect(event_id, "kyc_read", "recon", at, before, after, {}, links=not number))
            before = replace(after)


@pytest.fixture
def merchant(monkeypatch: pytest.MonkeyPatch) -> Iterator[Merchant]:
    with memory_aws():
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
    answer = {"userId": "u@1", "providers": {"vexora": {"status": "PENDING"}}, **NOT_VERIFIED}
    merchant.deployment.api.append(answer)
    ended = run("status", "u@1", "--json")
    assert (ended.exit_code, json.loads(ended.stdout), ended.stderr) == (0, answer, "")
    assert merchant.deployment.asked == [("GET", "/users/u%401", {})]


def test_status_for_people_says_what_is_stale(merchant: Merchant) -> None:
    vexora = {"status": "PENDING", "providerStatus": "0", "readAt": AT, "submissionId": "s-1", "stale": True}
    paypay = {"status": "LINKED", "providerStatus": None, "readAt": None, "scopes": ["get_kyc_info"]}
    merchant.deployment.api.append({"userId": "u", "providers": {"vexora": vexora, "paypay": paypay}, **NOT_VERIFIED})
    shown = run("status", "u").stdout
    assert "ask Vexora" in shown
    assert "scopes get_kyc_info" in shown


_ENGLISH = {
    "LINK_DECLINED": "PayPay: The user came back from PayPay without having agreed to the link.",
    "UNCONFIRMED": "PayPay: PayPay answered about the identity, but with a value that your settings do not count",
    "EXPIRED": "PayPay: The user's consent has expired; the account has to be linked again.",
    "INACTIVE": "PayPay: The user's PayPay account or its link is not active any more.",
}
_JAPANESE = {
    "LINK_DECLINED": "PayPay：利用者が PayPay での連携を拒否しました。",
    "UNCONFIRMED": "その値は「本人確認済み」を表すものとして設定されていません。",
    "EXPIRED": "PayPay：同意の期限が切れました。再連携が必要です。",
    "INACTIVE": "PayPay：PayPay アカウントが停止・解約されたか、連携が停止されました。",
}


@pytest.mark.parametrize(
    ("language", "reason", "texts"),
    [
        ("en_GB.UTF-8", "Not verified. No provider has verified the identity. (NOT_VERIFIED)", _ENGLISH),
        (
            "ja_JP.UTF-8",
            "本人確認済みではありません。本人確認が完了したプロバイダーはありません。（NOT_VERIFIED）",
            _JAPANESE,
        ),
    ],
)
@pytest.mark.parametrize("status", _ENGLISH)
def test_status_for_people_says_statuses_and_the_reason_in_words(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch, language: str, reason: str, texts: dict[str, str], status: str
) -> None:
    monkeypatch.setenv("LC_ALL", language)
    paypay: dict[str, Any] = {"status": status, "providerStatus": None, "readAt": AT, "scopes": []}
    merchant.deployment.api.append({"userId": "u", "providers": {"paypay": paypay}, **NOT_VERIFIED})
    # As wide as a terminal is, lines are broken.
    shown = run("status", "u").stdout.replace("\n", "")
    assert reason in shown
    assert texts[status] in shown


def test_a_status_that_is_newer_than_the_program_is_shown_as_it_is(merchant: Merchant) -> None:
    providers = {"other": {"status": "BRAND_NEW", "providerStatus": None, "readAt": None}}
    merchant.deployment.api.append({"userId": "u", "providers": providers, **NOT_VERIFIED})
    assert "other: BRAND_NEW" in run("status", "u").stdout


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
    found = json.loads(run("timeline", "u", "--all", "--json", "--reveal", "--reason", "r").stdout)
    assert (len(found["entries"]), found["cursor"]) == (207, None)
    assert found["entries"][0]["eventId"] == REPAIR


def test_the_reason_of_a_rejection_may_be_personal_and_takes_reveal(merchant: Merchant) -> None:
    entry = {**_page(1, None)["entries"][0], "detail": {"reason": "テスト ハナコ", "submissionId": "s-1"}}
    merchant.deployment.api.extend([{"entries": [entry], "cursor": None}] * 2)
    masked = json.loads(run("timeline", "u", "--json").stdout)["entries"][0]["detail"]
    assert masked == {"reason": "…", "submissionId": "s-1"}
    assert "ハナコ" in run("timeline", "u", "--reveal", "--reason", "r").stdout


def test_timeline_for_people_stops_at_the_limit_where_nobody_can_be_asked(merchant: Merchant) -> None:
    merchant.deployment.api.append(_page(2, "c1"))
    ended = run("timeline", "u", "--limit", "2")
    assert ended.exit_code == 0
    assert "– → VERIFIED" in ended.stdout
    assert "VERIFIED (unchanged)" in ended.stdout
    assert [query for _, _, query in merchant.deployment.asked] == [{"limit": "2"}]


class _Terminal(io.StringIO):
    """What a person types; at its end, Ctrl-D."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("typed", ["\nq\n", "\n"], ids=["q", "Ctrl-D"])
def test_on_a_terminal_the_timeline_goes_on_until_q_or_ctrl_d(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    from honninctl.command import Cli
    from honninctl.people_commands import _page_through
    from honninctl.screen import Screen

    merchant.deployment.api.append(_page(5, None))
    monkeypatch.setattr(sys, "stdin", _Terminal(typed))
    _page_through(Cli(merchant.deployment, Screen(as_json=False)), "u", 2, reveal=False)
    shown = capsys.readouterr().out
    # Two pages of two; the fifth was not asked for, and none came twice.
    assert [shown.count(f"03:0{number}:00") for number in range(5)] == [1, 1, 1, 1, 0]


@pytest.mark.parametrize("user_id", [".", "..", ""])
def test_a_step_in_a_path_is_no_user(merchant: Merchant, user_id: str) -> None:
    for arguments in (["status", user_id], ["timeline", user_id], ["erase", user_id, "--yes", "--reason", "r"]):
        assert run(*arguments).exit_code == 2
    assert merchant.deployment.asked == []


def test_a_cursor_without_json_is_wrong_usage(merchant: Merchant) -> None:
    assert run("timeline", "u", "--cursor", "c").exit_code == 2


# submissions


def test_open_submissions_come_from_the_index_and_all_from_the_table(merchant: Merchant) -> None:
    for user_id, status, due in (("a", "PENDING", True), ("b", "UNDER_REVIEW", True), ("c", "APPROVED", False)):
        merchant.submit(user_id, status=status, due=due)

    def users(*arguments: str) -> list[str]:
        found = json.loads(run("submissions", *arguments, "--json").stdout)["submissions"]
        return sorted(each["userId"] for each in found)

    assert users("--open") == ["a", "b"]
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
    key = merchant.keep("u", json.dumps(data).encode())
    merchant.vault.put(selfie(key, b"\xff\xd8", "image/jpeg"))
    answer = merchant.keep("u", b'{"code":"0000"}', provider="vexora")
    merchant.keep("u2", b"{}")
    merchant.s3.delete_object(Bucket="vault", Key=key)
    ended = run("export", "u")
    assert ended.exit_code == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert list(found) == [
        *("userId", "exportedAt", "revealed", "wholeTable", "statuses", "link", "formerLinks", "submissions"),
        *(
            "expiries",
            "timeline",
            "waitingEvents",
            "eventRecords",
            "qrs",
            "contract",
            "erasures",
            "accesses",
            "personalData",
        ),
    ]
    assert len(found["timeline"]) == 131
    assert [each["submissionId"] for each in found["submissions"]] == ["sub-u"]
    assert found["link"] == {"userAuthorizationId": "a85f…3af7", "userId": "u"}
    assert [(each["key"], each["size"] is None, each["deleted"]) for each in found["personalData"]] == [
        (key, False, False),
        (key, True, True),
        (key.removesuffix(".json") + ".selfie.jpeg", False, False),
        (answer, False, False),
    ]
    assert AUTHORIZATION not in ended.stdout
    assert "ハナコ" not in ended.stdout


def test_export_with_reveal_holds_ids_and_contents(merchant: Merchant) -> None:
    merchant.link("u")
    key = merchant.keep("u", json.dumps({"name": "テスト ハナコ"}).encode())
    merchant.vault.put(selfie(key, b"\xff\xd8", "image/jpeg"))
    merchant.keep("u", b'{"code":"0000"}', provider="vexora")
    merchant.keep("u", b"\x83\x65 not UTF-8", provider="vexora", at="2026-04-02T03:00:00.000Z")
    found = json.loads(run("export", "u", "--reason", "r", "--reveal").stdout)
    assert [each["content"] for each in found["personalData"]] == [
        {"name": "テスト ハナコ"},
        {"contentType": "image/jpeg", "base64": "/9g="},
        {"code": "0000"},
        {"contentType": "application/json", "base64": "g2Ugbm90IFVURi04"},
    ]
    assert found["statuses"][0]["userAuthorizationId"] == AUTHORIZATION
    assert found["timeline"][0]["eventId"] == REPAIR


def _of_every_kind(merchant: Merchant) -> tuple[str, str]:
    """Write one item of every kind that names user u, through the store; the authorizations, present and former.

    u was erased, came back, applied twice at Vexora and linked two PayPay accounts one after the other.
    """
    store, former, present = merchant.store, AUTHORIZATION, "b96fe9e9-b4c9-45cf-a392-834c57d83af8"
    certificate = Certificate("certificate-1", "u", "2026-03-01T00:00:00.000Z")
    store.erasure.begin(certificate)
    store.erasure.end(certificate, "2026-03-01T00:00:01.000Z")
    vexora: UserStatus | None = None
    for version, name in enumerate(("sub-former", "sub-present"), start=1):
        after = UserStatus("u", "vexora", "PENDING", version, submission_id=name, submitted_at=AT)
        opens = Submission(name, "u", "PENDING", AT, due_at=AT)
        store.events.apply(
            Effect(f"vexora:{name}:start", "submission_started", "api", AT, vexora, after, {}, opens=opens)
        )
        vexora = store.users.status("u", "vexora")
    session = LinkSession(
        *("nonce-of-a-session-24-long", "u", ("get_kyc_info",), "https://shop.example/back?cart=secret-cart"),
        expires_at=1_900_000_000,
        code_id="code-1",
        code_verifier="verifier-1",
        code_expires_at=1_900_000_000,
    )
    paypay: UserStatus | None = None
    for version, name in enumerate((former, present), start=1):
        after = paypay_user("u", version=version, linked=name, code_id=f"code-{version}")
        ends: dict[str, Any] = {
            "link_expires_at": f"2027-04-0{version}T00:00:00.000Z",
            "residence_ends_on": f"2028-04-0{version}",
        }
        reported: dict[str, Any] = {
            "link_end_reported": ends["link_expires_at"],
            "residence_end_reported": "2026-04-30",
        }
        after = replace(after, **ends, **(reported if version == 2 else {}))
        kept = Unattached(
            f"early:{version}", "paypay", "kyc_read", "webhook", AT, name, {"requestId": f"request-{version}"}
        )
        store.events.keep(kept)
        more: Any = {"links": True, "session": session if version == 1 else None}
        store.events.apply(Effect(REPAIR.replace(former, name), "linked", "recon", AT, paypay, after, {}, **more))
        paypay = store.users.status("u", "paypay")
    return former, present


def _texts(value: Any) -> Iterator[str]:
    """Every text inside a value of the table."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list | set) else ():
        yield from _texts(each)
    if isinstance(value, str):
        yield value


# Secrets of ours, and what the index needs.
_NOT_SHOWN = {"code_verifier", "asked_code_verifier", "used_token", "due_kind", "due_at", "overview_pk", "overview_sk"}
# Families of keys that name nobody: files, providers, the hashes of erased authorizations, failures of messages.
_OF_NOBODY = {
    *("RECON", "NOTIFICATION", "RECEIVED", "COMPARISON", "COMPARISONS", "PROVIDER", "ERASED", "FAILURE", "PACE"),
    *("REREAD", "REREADS"),
}
# The access record names staff, and why: cli/README.md, "What `export` holds".
_NOT_EXPORTED = {"ACCESS"}


def test_export_holds_an_item_of_every_kind_that_names_the_user(merchant: Merchant) -> None:
    """Every text of every item that the store wrote about the user; which kinds there are, its own source says."""
    ids = _of_every_kind(merchant)
    merchant.submit("other")
    hashes = {authorization_hash(each) for each in ids}
    about = [
        each for each in merchant.store.restore.everything() if each.user_id == "u" or each.authorizations & hashes
    ]
    in_users = {"AT", "STATUS", "WORD", "REFUSED", "FORMER", "ERASURE", "EXPIRY"}
    families = set(re.findall(r'f"([A-Z]+)#', inspect.getsource(keys))) - in_users
    decoded = [_decoded(each.item) for each in about]
    assert {each["pk"].partition("#")[0] for each in decoded} == families - _OF_NOBODY - _NOT_EXPORTED
    # "user" is the lock of an erasure that is going on: the user's id and a time, for seconds.
    kinds = {*KINDS.values(), "submission", "session", "code", "event"}
    assert {each.kind for each in about} == kinds
    ended = run("export", "u", "--reason", "r", "--reveal", "--whole-table")
    found = json.loads(ended.stdout)
    written = Counter(each.kind for each in about)
    assert {"status": len(found["statuses"]), "timeline": len(found["timeline"])}.items() <= written.items()
    assert written["waiting"] == len(found["waitingEvents"])
    assert {"certificate": len(found["erasures"]), "submission": len(found["submissions"])}.items() <= written.items()
    assert len([found["link"], *found["formerLinks"]]) == written["link"]
    assert Counter(each["kind"] for each in found["qrs"]).items() <= written.items()
    events = {each["pk"].removeprefix("EVENT#") for each in decoded if each["sk"] == "EVENT"}
    assert {each["eventId"] for each in found["eventRecords"]} == events | {"early:1", "early:2"}
    shown = set(_texts(found))
    for item in decoded:
        facts = {name: value for name, value in item.items() if name not in {"pk", "sk", *_NOT_SHOWN}}
        named = [item["pk"].partition("#")[2]]
        missing = {*_texts(facts), *named} - shown
        assert not missing, (item["pk"], item["sk"])
    assert "sub-other" not in shown
    assert "verifier-1" not in ended.stdout


def test_of_all_that_nothing_is_unmasked_without_reveal(merchant: Merchant) -> None:
    former, present = _of_every_kind(merchant)
    ended = run("export", "u", "--whole-table")
    found = json.loads(ended.stdout)
    for secret in (former, present, "nonce-of-a-session-24-long", "secret-cart", "verifier-1"):
        assert secret not in ended.output
    status = next(each for each in found["statuses"] if each["provider"] == "paypay")
    assert (status["userAuthorizationId"], status["formerUserAuthorizationIds"]) == ("b96f…3af8", ["a85f…3af7"])
    assert found["link"] == {"userAuthorizationId": "b96f…3af8", "userId": "u"}
    assert found["formerLinks"] == [{"userAuthorizationId": "a85f…3af7", "userId": "u"}]
    assert [each["userAuthorizationId"] for each in found["waitingEvents"]] == ["b96f…3af8", "a85f…3af7"]
    assert {each["eventId"] for each in found["timeline"]} >= {
        f"recon:kyc_passport_sync_recon:2026-11-20:{each}:1" for each in ("a85f…3af7", "b96f…3af8")
    }


def test_without_the_whole_table_the_code_in_use_is_there_and_the_rest_is_said(merchant: Merchant) -> None:
    _of_every_kind(merchant)
    ended = run("export", "u")
    assert json.loads(ended.stdout)["qrs"] == []  # the status names code-2, which no session has
    assert "--whole-table" in ended.stderr
    store = merchant.store
    before = store.users.status("u", "paypay")
    assert before is not None
    after = replace(before, code_id="code-1", version=before.version + 1)
    store.events.apply(Effect("again", "linked", "api", AT, before, after, {}))
    [code] = json.loads(run("export", "u").stdout)["qrs"]
    assert (code["kind"], code["codeId"]) == ("code", "code-1")


def test_export_of_an_erased_user_is_the_certificate_and_the_tombstone(merchant: Merchant) -> None:
    certificate = Certificate("certificate-1", "u", AT, requested_by="desk", reason="r")
    merchant.store.erasure.begin(certificate)
    merchant.store.erasure.note_objects(certificate, 2)
    merchant.store.erasure.end(certificate, AT)
    found = json.loads(run("export", "u").stdout)
    assert found["erasures"] == [
        {
            "certificateId": "certificate-1",
            "userId": "u",
            "begunAt": AT,
            "completedAt": AT,
            "erased": {"vaultObjects": 2},
            "requestedBy": "desk",
            "reason": "…",  # whole with --reveal
            "ticket": None,
        }
    ]
    assert [each["what"] for each in found["timeline"]] == ["erased"]
    assert (found["statuses"], found["link"], found["personalData"]) == ([], None, [])


def _decoded(item: Any) -> dict[str, Any]:
    deserializer = TypeDeserializer()
    return {name: deserializer.deserialize(value) for name, value in item.items()}


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
    ended = run("erase", "u", "--reason", "r", "--unlink", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)) == (0, CERTIFICATE)
    assert merchant.deployment.asked == [("DELETE", "/users/u/personal-data", {"unlink": "true"})]
    assert merchant.deployment.sent == [{"reason": "r"}]
    assert "honnin-test" in asked[0]
    assert "PayPay" in asked[0]


END = {"userId": "u", "endedOn": "2026-10-31", "reportedAt": AT, "reason": None, "keptUntil": "2033-10-31"}


def test_contract_end_says_until_when_the_data_is_kept(merchant: Merchant) -> None:
    merchant.deployment.api.append(END)
    ended = run("contract-end", "u", "--on", "2026-10-31", "--reason", "cancelled", "--yes")
    assert (ended.exit_code, merchant.deployment.asked) == (0, [("POST", "/users/u/contract-end", {})])
    assert merchant.deployment.sent == [{"endedOn": "2026-10-31", "reason": "cancelled"}]
    assert "kept until 2033-10-31" in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 80
    merchant.deployment.api.append(dict.fromkeys(END) | {"userId": "u"})
    ended = run("contract-end", "u", "--cancel")
    assert merchant.deployment.asked[1:] == [("DELETE", "/users/u/contract-end", {})]
    assert "No end of the contract of u is known." in ended.stdout


@pytest.mark.parametrize(
    "arguments",
    [(), ("--on", "2026-10-31", "--cancel")],
    ids=lambda each: " ".join(each),
)
def test_contract_end_needs_a_day_or_cancel(merchant: Merchant, arguments: tuple[str, ...]) -> None:
    assert run("contract-end", "u", *arguments).exit_code == 2
    assert merchant.deployment.asked == []


def test_the_end_of_a_contract_needs_a_reason_and_the_id(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    """It leads to an erasure."""
    assert run("contract-end", "u", "--on", "2026-10-31", "--yes").exit_code == 2
    asked: list[str] = []
    answers = ["no", "u"]

    def typed(_screen: Any, question: str) -> str:
        asked.append(question)
        return answers.pop(0)

    monkeypatch.setattr("honninctl.screen.Screen.ask", typed)
    ended = ("contract-end", "u", "--on", "2026-10-31", "--reason", "r")
    assert run(*ended).exit_code == 1
    assert merchant.deployment.asked == []
    merchant.deployment.api.append(END)
    assert run(*ended).exit_code == 0
    assert merchant.deployment.asked == [("POST", "/users/u/contract-end", {})]
    assert "2026-10-31" in asked[0]


def test_contract_ends_lists_who_will_be_erased_and_when(merchant: Merchant) -> None:
    store, now = merchant.deployment.store, datetime.now(UTC)
    for number, (user_id, days) in enumerate((("late", 60), ("soon", 2), ("soon-too", 2), ("due", -3))):
        due_at = utc_text(now + timedelta(days=days))
        ended = Contract(user_id, AT, None, "2019-10-31", AT, "arn", f"private {number}", due_at)
        store.contracts.change(Contract(user_id), ended)
    found = json.loads(run("contract-ends", "--json").stdout)
    assert [each["userId"] for each in found["contractEnds"]] == ["due", "soon", "soon-too"]
    assert set(found["contractEnds"][0]) == {"userId", "endedOn", "reportedAt", "keptUntil"}
    assert found["mostOnOneDay"]["users"] == 2
    shown = run("contract-ends", "--days", "0").stdout
    assert "due" in shown
    assert "soon" not in shown
    assert "private" not in shown
    assert run("contract-ends", "--days", "90", "--csv").stdout.count("\n") == 5


def test_erase_sends_who_why_and_the_ticket_and_needs_the_reason(merchant: Merchant) -> None:
    assert run("erase", "u", "--yes").exit_code == 2
    assert merchant.deployment.asked == []
    merchant.deployment.api.append(CERTIFICATE)
    said = ("--reason", "本人の依頼", "--ticket", "DESK-4711", "--requested-by", "privacy desk")
    assert run("erase", "u", *said, "--yes").exit_code == 0
    assert merchant.deployment.sent == [{"reason": "本人の依頼", "ticket": "DESK-4711", "requestedBy": "privacy desk"}]


@pytest.mark.parametrize("typed", ["", "U", "u ", "yes"])
def test_anything_but_the_id_erases_nothing(merchant: Merchant, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("honninctl.screen.Screen.ask", lambda *_: typed)
    ended = run("erase", "u", "--reason", "r")
    assert ended.exit_code == 1
    assert merchant.deployment.asked == []


def test_where_nobody_can_be_asked_yes_is_needed(merchant: Merchant) -> None:
    assert run("erase", "u", "--reason", "r", given="u\n").exit_code == 2
    assert merchant.deployment.asked == []
    merchant.deployment.api.append(CERTIFICATE)
    ended = run("erase", "u", "--reason", "r", "--yes")
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
