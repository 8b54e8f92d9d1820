"""honninctl on the deployed stack, as an operator runs it: a process of its own, with credentials and a stack name."""

import json
import re
import subprocess
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from honnin import times
from local import demo, providers
from local.demo_paypay import account_link, flag_unnoticed, press_allow
from local.paths import ROOT
from local.stack import Stack
from tests.e2e import dead_letters
from tests.e2e.program import honninctl, ok, started

pytestmark = pytest.mark.e2e

RISK_FILES = "kyc_passport_risk_sync_recon"


def _user() -> str:
    return f"user.{uuid.uuid4().hex[:12]}"


def _linked(stack: Stack) -> tuple[str, str]:
    """A verified PayPay user, and the authorization id that must be shown nowhere."""
    user_id = _user()
    press_allow(account_link(stack, user_id))
    assert stack.merchant.request("GET", f"/paypay/users/{user_id}/kyc-passport").json()["status"] == "VERIFIED"
    [link] = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    return user_id, str(link["id"])


@pytest.fixture(scope="module")
def verified(stack: Stack) -> tuple[str, str]:
    """One verified user for the commands that only read."""
    return _linked(stack)


def test_status_and_timeline(stack: Stack, verified: tuple[str, str]) -> None:
    user_id, authorization = verified
    assert ok(stack, "status", user_id)["providers"]["paypay"]["status"] == "VERIFIED"
    assert "VERIFIED" in honninctl(stack, "status", user_id).stdout
    newest = ok(stack, "timeline", user_id, "--limit", "1")
    assert [each["what"] for each in newest["entries"]] == ["kyc_read"]
    rest = ok(stack, "timeline", user_id, "--cursor", newest["cursor"])
    # Linking tells no end of the link, so the authorization is read once.
    assert [each["what"] for each in rest["entries"]] == ["account_read", "linked", "link_requested"]
    assert len(ok(stack, "timeline", user_id, "--all")["entries"]) == 4
    shown = honninctl(stack, "timeline", user_id)
    assert shown.code == 0
    assert authorization not in shown.stdout


def test_open_submissions(stack: Stack) -> None:
    user_id = _user()
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "none"})
    demo.submit(stack, user_id, "テスト ハナコ")
    for arguments in (["--open"], []):
        found = ok(stack, "submissions", *arguments)["submissions"]
        assert [each["status"] for each in found if each["userId"] == user_id] == ["PENDING"]


def test_reread_asks_both_providers_and_tells_what_has_changed(stack: Stack) -> None:
    """The callback of the approval and the webhook of the flag were lost, and neither poll nor recon has come yet."""
    user_id, authorization = _linked(stack)
    stack.sandbox("PUT", f"/dials/vexora/{user_id}", json={"review": "none", "callback": "dropped"})
    demo.submit(stack, user_id, "テスト ハナコ")
    unchanged = ok(stack, "reread", user_id)["readings"]
    assert {(each["provider"], each["from"] == each["to"]) for each in unchanged} == {
        ("vexora", True),
        ("paypay", True),
    }
    stack.sandbox("POST", f"/vexora/users/{user_id}/review", json={"outcome": "approve"})
    flag_unnoticed(stack, user_id)
    ended = honninctl(stack, "reread", user_id)
    assert ended.code == 0, ended.stderr
    assert "Vexora, result: PENDING → APPROVED" in ended.stdout
    assert "PayPay, KYC: VERIFIED → RISK_FLAGGED" in ended.stdout
    entries = ok(stack, "timeline", user_id)["entries"]
    assert {each["cause"] for each in entries if each["to"] in ("APPROVED", "RISK_FLAGGED")} == {"operator"}
    assert authorization not in ended.stdout + json.dumps(entries)
    assert ok(stack, "reread", user_id, "--no-wait")["waited"] is False
    assert honninctl(stack, "reread", _user()).code == 3


def test_export_lists_the_objects_and_opens_them_with_reveal_only(stack: Stack, verified: tuple[str, str]) -> None:
    user_id, authorization = verified
    masked = honninctl(stack, "export", user_id)
    assert masked.code == 0, masked.stderr
    assert authorization not in masked.stdout
    [status] = masked.json["statuses"]
    assert (status["provider"], status["status"]) == ("paypay", "VERIFIED")
    assert masked.json["link"]["userId"] == user_id
    snapshots = [each for each in masked.json["personalData"] if each["key"].endswith(".json")]
    assert snapshots
    assert all(each["size"] > 0 and "content" not in each for each in masked.json["personalData"])
    assert {each["eventId"] for each in masked.json["eventRecords"]} == {
        each["eventId"] for each in masked.json["timeline"]
    }
    assert masked.json["qrs"] == []  # a plain link; its session is found in the whole table
    revealed = honninctl(stack, "export", user_id, "--reveal", "--whole-table").json
    assert revealed["link"]["userAuthorizationId"] == authorization
    assert [(each["kind"], each["userId"]) for each in revealed["qrs"]] == [("session", user_id)]
    assert all(each["content"] for each in revealed["personalData"])


def test_dead_letters_are_listed_shown_and_put_back(stack: Stack, verified: tuple[str, str]) -> None:
    _, authorization = verified
    event_id = dead_letters.add_event(stack, authorization)
    listed = honninctl(stack, "deadletters", "list", "--json")
    assert listed.code == 1
    assert authorization not in listed.stdout
    letters = listed.json["deadLetters"]
    [found] = [each for each in letters if (each["event"] or {}).get("event_id") == event_id]
    assert (found["queue"], found["errorType"]) == ("events", "KeyError")
    assert ok(stack, "deadletters", "show", event_id)["messageId"] == found["messageId"]
    assert honninctl(stack, "deadletters", "redrive").code == 2  # nobody to ask
    moved = ok(stack, "deadletters", "redrive", "--yes")
    assert moved["byErrorType"]["KeyError"] >= 1
    assert moved["byQueue"]["events"] >= 1
    assert honninctl(stack, "deadletters", "show", event_id).code == 3


def test_failed_runs_are_made_up_for_by_the_command_that_is_said_and_then_discarded(stack: Stack) -> None:
    dead_letters.add_runs(stack)
    listed = honninctl(stack, "deadletters", "list")
    assert listed.code == 1
    said = re.findall("aws lambda invoke --function-name ([^ ]+) ", listed.stdout)
    assert {stack.outputs["ReconDeadlineFunctionName"], stack.outputs["ReconDownloadFunctionName"]} <= {*said}
    assert honninctl(stack, "deadletters", "redrive", "--queue", "schedule", "--yes").code == 1
    assert honninctl(stack, "deadletters", "redrive", "--queue", "events", "--discard", "--yes").code == 2
    gone = ok(stack, "deadletters", "redrive", "--queue", "schedule", "--discard", "--yes")
    assert gone["discarded"]["schedule"] >= 1
    assert ok(stack, "deadletters", "redrive", "--queue", "recon-download", "--discard", "--yes")["left"] == {}
    for queue in ("schedule", "recon-download"):
        assert ok(stack, "deadletters", "list", "--queue", queue)["total"] == 0


def test_sign_explains_the_very_signatures_that_the_sandbox_accepts(stack: Stack) -> None:
    """The secret comes from the stack; the sandbox checks with code of its own (docs/decisions.md, 21)."""
    fields = ["--field=userId=user-1", "--field=timestamp=1774925553256"]
    vexora = honninctl(stack, "sign", "vexora", *fields, "--json")
    assert len(vexora.json["result"]["sign"]) == 32
    url = f"{stack.sandbox_url}/v2/user/authorizations?userAuthorizationId=nobody"
    header = ok(stack, "sign", "paypay", "--url", url)["result"]["authorization"]
    answer = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-H", f"Authorization: {header}", url],
        capture_output=True,
        timeout=60,
        check=True,
    )
    # Not UNAUTHORIZED. In bytes: the sandbox may begin with a BOM, and say a message in Shift_JIS.
    assert re.search(rb'"code"\s*:\s*"INVALID_USER_AUTHORIZATION_ID"', answer.stdout), answer.stdout
    line = f"curl '{url}' -H 'Authorization: {header}'"
    assert honninctl(stack, "sign", "paypay", "-", given=line).code == 0
    assert honninctl(stack, "sign", "paypay", line.replace("/v2/", "/v1/")).code == 1
    for ended in (vexora, honninctl(stack, "sign", "paypay", line)):
        for name in ("vexora_app_secret", "paypay_api_secret"):
            assert providers.CREDENTIALS[name] not in ended.stdout + ended.stderr


def test_doctor_finds_the_local_stack_in_order(stack: Stack) -> None:
    report = ok(stack, "doctor")
    assert report["summary"]["fail"] == 0
    assert not [each for each in report["checks"] if "not looked at" in each["found"]]
    queues = [each["found"].partition(":")[0] for each in report["checks"] if each["topic"] == "queues"]
    assert len(queues) == 9
    topics = {each["topic"] for each in report["checks"]}
    assert topics >= {"credentials", "secret", "clock", "table", "queues", "buckets", "webhooks", "parameters"}
    unconfirmed = [each["found"] for each in report["checks"] if each["topic"] == "parameters"]
    assert any(each.startswith("PayPayKycInfoPath still has its default") for each in unconfirmed)
    assert not any(each.startswith("PayPayTokenAudience") for each in unconfirmed)  # set by the deployment
    assert "warn  parameters" in honninctl(stack, "doctor").stdout


def test_doctor_sees_a_placeholder_in_the_secret(stack: Stack) -> None:
    client, arn = stack.client("secretsmanager"), stack.outputs["ProvidersSecretArn"]
    kept = client.get_secret_value(SecretId=arn)["SecretString"]
    try:
        broken = {**json.loads(kept), "vexora_app_secret": "REPLACE_ME"}
        client.put_secret_value(SecretId=arn, SecretString=json.dumps(broken))
        ended = honninctl(stack, "doctor", "--json")
    finally:
        client.put_secret_value(SecretId=arn, SecretString=kept)
    assert ended.code == 1
    assert [each["found"] for each in ended.json["checks"] if each["verdict"] == "fail"] == [
        "no usable value for vexora_app_secret"
    ]


def test_recon_of_a_day_with_a_lost_webhook(stack: Stack) -> None:
    """A lost webhook stands in the day's file: the report says whose status changed, and then nobody is to be read."""
    user_id, authorization = _linked(stack)
    assert ok(stack, "trigger", "risk", user_id, "--lost")["delivery"] == "lost"
    assert ok(stack, "status", user_id)["providers"]["paypay"]["status"] == "VERIFIED"
    night = ok(stack, "trigger", "recon-night", user_id)
    assert (night["delivery"], night["named"]) == ("sent", ["risk"])
    day = str(night["day"])

    def changed() -> list[dict[str, Any]]:
        stack.invoke("ReconDownloadFunction")  # its schedule would, every 5 minutes
        ended = honninctl(stack, "recon", day, "--json")
        # Another test's file of this day may be there as well; ours is then a revision beside it.
        files = ended.json["files"] if ended.code in (0, 1) else []
        return [each for file in files for each in file.get("changed", []) if each["userId"] == user_id]

    assert demo.wait_for(lambda: bool(changed()), 90)
    [found] = changed()
    assert (found["from"], found["to"]) == ("VERIFIED", "RISK_FLAGGED")
    assert found["userAuthorizationId"] != authorization
    dry = honninctl(stack, "recon", day, "--dry-run", "--json")
    assert not any(each["userId"] == user_id for file in dry.json["files"] for each in file["wouldRead"])
    assert sum(file["counts"]["upToDate"] for file in dry.json["files"]) >= 1
    shown = honninctl(stack, "recon", day)
    assert "had another status" in shown.stdout
    assert authorization not in shown.stdout + dry.stdout
    entries = ok(stack, "timeline", user_id)["entries"]
    assert entries[0]["cause"] == "recon"
    assert authorization not in json.dumps(entries)


@pytest.fixture
def doubtful_file(stack: Stack, verified: tuple[str, str]) -> Iterator[str]:
    """A file that did not close its day three days ago, and whose bytes list the verified user; yields the day.

    Its notification is of tomorrow, so that no reading answers it. Nobody starts a comparison: none is recorded as due.
    """
    day = (datetime.now(ZoneInfo("Asia/Tokyo")).date() - timedelta(days=3)).isoformat()
    digits = day.replace("-", "")
    name = f"kyc_passport_risk_a_SandboxClient1_{digits}_{digits}.csv"
    place = {"Bucket": stack.outputs["ReconBucketName"], "Key": f"recon/{RISK_FILES}/{day.replace('-', '/')}/{name}"}
    key = {"pk": {"S": f"RECON#{RISK_FILES}"}, "sk": {"S": f"{day}#{name}"}}
    facts = {"file_type": RISK_FILES, "day": day, "file_name": name, "state": "COMPARED", "doubt": "the file is empty"}
    facts["received_at"] = times.utc_text(datetime.now(UTC) + timedelta(days=1))
    table = stack.outputs["StateTableName"]
    stack.client("dynamodb").put_item(
        TableName=table, Item={**key, **{field: {"S": value} for field, value in facts.items()}}
    )
    stack.client("s3").put_object(**place, Body=f"{verified[1]}\n".encode())
    yield day
    stack.client("s3").delete_object(**place)
    stack.client("dynamodb").delete_item(TableName=table, Key=key)


def test_dry_run_compares_anew_and_writes_nothing(stack: Stack, verified: tuple[str, str], doubtful_file: str) -> None:
    user_id, authorization = verified
    before = _version(stack, user_id)
    ended = honninctl(stack, "recon", doubtful_file, "--dry-run", "--json")
    assert ended.code == 1
    [file] = ended.json["files"]
    assert (file["state"], file["doubt"], file["counts"]["reRead"]) == ("COMPARED", "the file is empty", 1)
    assert [each["userId"] for each in file["wouldRead"]] == [user_id]
    assert authorization not in ended.stdout
    assert _version(stack, user_id) == before


def test_the_calendar_shows_the_missing_day(stack: Stack, doubtful_file: str) -> None:
    calendar = honninctl(stack, "recon", "calendar", "--json")
    assert calendar.code == 1
    days = {(each["day"], each["fileType"]): each["state"] for each in calendar.json["days"]}
    # Today is there, too, if another test has had a file of today.
    today = datetime.now(ZoneInfo("Asia/Tokyo")).date().isoformat()
    assert len([day for day, _ in days if day != today]) == 3 * 30
    assert days[doubtful_file, RISK_FILES] == "doubtful"
    assert "doubtful" in honninctl(stack, "recon", "calendar").stdout


def _version(stack: Stack, user_id: str) -> str:
    key = {"pk": {"S": f"USER#{user_id}"}, "sk": {"S": "STATUS#paypay"}}
    item = stack.client("dynamodb").get_item(TableName=stack.outputs["StateTableName"], Key=key)["Item"]
    return str(item["version"]["N"])


def test_erase_asks_before_it_calls(stack: Stack) -> None:
    user_id, _ = _linked(stack)
    assert honninctl(stack, "erase", user_id).code == 2  # nobody to ask
    assert ok(stack, "status", user_id)["providers"]["paypay"]["status"] == "VERIFIED"


def test_erase_shows_the_certificate_and_leaves_dates_and_statuses(stack: Stack) -> None:
    """With --unlink the authorization ends at PayPay as well; a second time the same certificate is shown."""
    user_id, authorization = _linked(stack)
    assert ok(stack, "export", user_id)["personalData"]
    certificate = ok(stack, "erase", user_id, "--yes", "--unlink")
    assert certificate["userId"] == user_id
    erased = certificate["erased"]
    assert erased["vaultObjects"] >= 1
    assert (erased["links"], erased["statuses"], erased["unlinkedAtPayPay"]) == (1, 1, 1)
    assert _is_unlinked(stack, user_id)
    assert honninctl(stack, "status", user_id).code == 3
    left = honninctl(stack, "export", user_id, "--reveal")
    assert left.code == 0, left.stderr
    assert authorization not in left.stdout
    assert (left.json["statuses"], left.json["link"], left.json["personalData"]) == ([], None, [])
    assert [each["certificateId"] for each in left.json["erasures"]] == [certificate["certificateId"]]
    whats = [each["what"] for each in left.json["timeline"]]
    assert whats == ["erased", "kyc_read", "account_read", "linked", "link_requested"]
    assert not any(each["detail"] for each in left.json["timeline"])
    again = honninctl(stack, "erase", user_id, "--yes")
    assert certificate["certificateId"] in again.stdout


def test_erase_without_unlink_leaves_paypays_side_alone(stack: Stack) -> None:
    user_id, _ = _linked(stack)
    assert "unlinkedAtPayPay" not in ok(stack, "erase", user_id, "--yes")["erased"]
    assert not _is_unlinked(stack, user_id)
    assert honninctl(stack, "erase", "nobody-0", "--yes").code == 3


def _is_unlinked(stack: Stack, user_id: str) -> bool:
    [link] = stack.sandbox("GET", f"/paypay/users/{user_id}")["authorizations"]
    return bool(link["unlinked"])


@pytest.mark.parametrize(
    ("code", "arguments", "env"),
    [
        (3, ["status", "nobody-0", "--json"], {}),
        (3, ["export", "nobody-0"], {}),
        (3, ["--stack", "no-such-stack", "status", "nobody-0"], {}),
        (3, ["recon", "2026-01-02", "--json"], {}),
        (2, ["recon", "2026-02-30"], {}),
        (2, ["status"], {}),
        (4, ["status", "nobody-0"], {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}),
        (4, ["doctor"], {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}),
        (4, ["status", "nobody-0"], {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}),
        (5, ["status", "nobody-0", "--endpoint", "http://127.0.0.1:1"], {}),
    ],
)
def test_what_goes_wrong_has_its_exit_code_and_nothing_on_stdout(
    stack: Stack, code: int, arguments: list[str], env: dict[str, str]
) -> None:
    ended = started(stack, *arguments, **env)
    assert (ended.code, ended.stdout) == (code, ""), ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_merchants_own_key_may_ask_for_statuses_and_nothing_else(stack: Stack, verified: tuple[str, str]) -> None:
    """Without a right on CloudFormation nobody learns the stack's outputs."""
    key = stack.merchant.access_key
    ended = honninctl(stack, "status", verified[0], AWS_ACCESS_KEY_ID=key.key_id, AWS_SECRET_ACCESS_KEY=key.secret)
    assert ended.code == 4
    assert "DescribeStacks" in ended.stderr


def test_the_command_leaves_no_bytecode_in_what_is_deployed(stack: Stack, verified: tuple[str, str]) -> None:
    before = _bytecode()
    assert started(stack, "export", verified[0]).code == 0
    assert _bytecode() == before


def _bytecode() -> set[Path]:
    return {path for folder in ("layers", "functions") for path in (ROOT / folder).rglob("*.pyc")}
