"""`DELETE /users/{userId}/personal-data`, through the functions as the template deploys them, and what follows it."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from honnin import aws, erasure, vault
from honnin.times import utc_text
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, callback, utc_now
from tests.fakes.recon_day import ReconDay
from tests.fakes.shop import NAME, PERSONAL, USER, Shop


@pytest.fixture
def shop(stack: Deployment, box: RunningSandbox) -> Shop:
    return Shop(stack, box)


def test_a_whole_life_is_erased_and_unlinked(shop: Shop, stack: Deployment, capfd: pytest.CaptureFixture[str]) -> None:
    authorizations = shop.live()
    submission = shop.submit()
    stored = shop.versions()
    assert {each["Key"].split("/")[0] for each in stored} == {"paypay", "vexora"}
    assert len(stored) >= 3
    # Somebody deleted an object the usual way: its version and a delete marker stay behind.
    stack.s3.delete_object(Bucket="personal-data", Key=stored[0]["Key"])
    stack.published()

    status, certificate = shop.erase(unlink="true")

    assert status == 200
    assert shop.versions() == []
    assert not [each for each in shop.holding(*authorizations, *PERSONAL) if not each.startswith("SESSION#")]
    assert shop.call("GET", f"/users/{USER}")[0] == 404
    entries = shop.call("GET", f"/users/{USER}/timeline", limit="100")[1]["entries"]
    assert (entries[0]["what"], entries[0]["to"]) == ("erased", "ERASED")
    assert not [each for each in entries if each["detail"]]
    assert {"VERIFIED", "LINKED", "PENDING"} <= {each["to"] for each in entries}
    found = stack.store.submissions.get(submission)
    assert found is not None
    assert (found.user_id, found.due_at) == ("", None)
    assert certificate["userId"] == USER
    assert certificate["erased"]["vaultObjects"] == len(stored) + 1
    assert certificate["erased"]["unlinkedAtPayPay"] == 2
    assert certificate["erased"]["links"] == 2
    assert shop.unlink_calls() == 2
    printed = "".join(capfd.readouterr())
    assert "user erased" in printed
    assert not [each for each in (*authorizations, *PERSONAL) if each in printed]
    [event] = stack.published()
    assert event["detail-type"] == "UserErased"
    version = int(datetime.fromisoformat(certificate["completedAt"]).timestamp() * 1000)
    facts = {name: certificate[name] for name in ("userId", "certificateId", "completedAt")}
    assert event["detail"] == {**facts, "version": version}


SAID = {"requestedBy": "相談窓口", "reason": "本人の依頼 (電話)", "ticket": "DESK-4711"}


def test_the_certificate_says_who_asked_and_why_and_nothing_else_does(
    shop: Shop, stack: Deployment, capfd: pytest.CaptureFixture[str]
) -> None:
    shop.live()
    stack.published()
    status, certificate = shop.erase(body=json.dumps(SAID), unlink="true")
    assert status == 200
    assert {name: certificate[name] for name in SAID} == SAID
    # The first request of an erasure counts.
    assert shop.erase(body=json.dumps({"reason": "another"})) == (200, certificate)
    assert shop.erase() == (200, certificate)
    [event] = stack.published()
    told = json.dumps(event, ensure_ascii=False) + "".join(capfd.readouterr())
    assert not [each for each in SAID.values() if each in told]
    assert set(shop.holding(*SAID.values())) == {f"USER#{USER}"}
    naming = [each for each in stack.items() if SAID["reason"] in each.values()]
    assert [each["sk"].partition("#")[0] for each in naming] == ["ERASURE"]


def test_without_a_body_the_certificate_names_the_caller(shop: Shop) -> None:
    shop.live()
    _, certificate = shop.erase()
    caller = "arn:aws:sts::000000000000:assumed-role/merchant/merchant-back-end"
    assert [certificate[name] for name in SAID] == [caller, None, None]


# Each body with the status and the field of the answer.
NOT_VALID: list[tuple[str, int, str | None]] = [
    ("{", 400, None),
    ('["reason"]', 400, None),
    ('{"reason": "a", "reason": "b"}', 400, None),
    (json.dumps({"reason": "x" * 70_000}), 413, None),
    (json.dumps({"reason": ""}), 422, "reason"),
    (json.dumps({"reason": " padded-4711"}), 422, "reason"),
    (json.dumps({"reason": "　４７１１"}), 422, "reason"),
    (json.dumps({"reason": "two\nlines-4711"}), 422, "reason"),
    (json.dumps({"reason": "over\u202e4711"}), 422, "reason"),
    (json.dumps({"reason": "山" * 201}), 422, "reason"),
    (json.dumps({"reason": 4711}), 422, "reason"),
    (json.dumps({"ticket": "4711" * 17}), 422, "ticket"),
    (json.dumps({"requestedBy": ["4711"]}), 422, "requestedBy"),
    (json.dumps({"4711": "reason"}), 422, "?"),
    (json.dumps({"requested_by": "4711"}), 422, "?"),
]


def test_a_body_that_is_not_valid_erases_nothing_and_is_not_repeated(
    shop: Shop, stack: Deployment, subtests: pytest.Subtests
) -> None:
    # One user for all of them, who takes longer to make than the rest. An erasure by one would fail the others, too.
    shop.live()
    before = stack.items()
    for body, status, field in NOT_VALID:
        with subtests.test(body[:60]):
            answered, problem = shop.erase(body=body)
            assert answered == status
            assert [each["field"] for each in problem.get("errors", [])] == ([field] if field else [])
            told = json.dumps(problem, ensure_ascii=False)
            assert not [each for each in ("4711", "４７１１", "山", "xxx") if each in told]
            assert stack.items() == before


def test_the_longest_texts_are_taken(shop: Shop) -> None:
    shop.live()
    said = {"requestedBy": "東" * 200, "reason": "京" * 200, "ticket": "7" * 64}
    _, certificate = shop.erase(body=json.dumps(said))
    assert {name: certificate[name] for name in said} == said


def test_the_second_call_gives_the_same_certificate_and_writes_nothing(shop: Shop, stack: Deployment) -> None:
    shop.live()
    first = shop.erase(unlink="true")
    before = stack.items()

    assert shop.erase(unlink="true") == first
    assert shop.erase() == first

    assert stack.items() == before
    assert shop.unlink_calls() == 2


def test_unlinking_too_late_is_a_409_that_says_why(shop: Shop, stack: Deployment) -> None:
    shop.live()
    certificate = shop.erase()
    before = stack.items()

    status, problem = shop.erase(unlink="true")

    assert (status, problem["status"]) == (409, 409)
    assert "without unlink" in problem["detail"]
    assert (stack.items(), shop.unlink_calls()) == (before, 0)
    assert shop.erase() == certificate


def test_two_at_once_are_a_certificate_and_a_503_with_retry_after(shop: Shop, stack: Deployment) -> None:
    shop.live()
    now = utc_now()
    assert stack.store.erasure.claim(USER, utc_text(now), utc_text(now + timedelta(seconds=20)))
    before = stack.items()

    status, problem = shop.erase()

    assert (status, problem["status"]) == (503, 503)
    assert stack.items() == before
    stack.store.erasure.release(USER, utc_text(now + timedelta(seconds=20)))
    assert shop.erase()[0] == 200


@pytest.mark.parametrize("unlink", ["true", "false"])
def test_who_was_never_known_is_a_404(shop: Shop, stack: Deployment, unlink: str) -> None:
    status, problem = shop.erase("nobody", unlink=unlink)
    assert (status, problem["status"]) == (404, 404)
    assert stack.items() == []


def test_an_unlink_that_is_no_boolean_is_a_422_and_erases_nothing(shop: Shop, stack: Deployment) -> None:
    shop.live()
    before = stack.items()
    assert shop.erase(unlink="perhaps")[0] == 422
    assert stack.items() == before


@pytest.mark.parametrize("ended", ["unlinked", "expired"])
def test_what_the_user_has_ended_at_paypay_is_erased_all_the_same(shop: Shop, ended: str) -> None:
    [_, present] = shop.live()
    if ended == "unlinked":
        shop.authorization(present).unlinked = True
    else:
        shop.authorization(present).expire_at = 0

    assert shop.erase(unlink="true")[0] == 200
    assert shop.unlink_calls() == 2
    assert shop.versions() == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("SERVICE_ERROR", 503), ("http_500", 503), ("reset", 503), ("MAINTENANCE_MODE", 503), ("UNAUTHORIZED", 502)],
)
def test_while_paypay_does_not_unlink_nothing_is_erased_and_the_repeat_works(
    shop: Shop, stack: Deployment, kind: str, expected: int
) -> None:
    shop.live()
    before, stored = stack.items(), shop.versions()
    shop.box.paypay.dials.put({"unlink_fault": {"kind": kind}})

    status, problem = shop.erase(unlink="true")

    assert status in (expected, 502, 503, 504)
    assert problem["status"] == status
    assert (stack.items(), shop.versions()) == (before, stored)
    shop.box.paypay.dials.put({"unlink_fault": None})
    assert shop.erase(unlink="true")[0] == 200
    assert shop.versions() == []


def test_paypay_down_does_not_keep_from_erasing_without_unlink(shop: Shop) -> None:
    shop.live()
    shop.box.paypay.dials.put({"unlink_fault": {"kind": "http_500"}})
    assert shop.erase()[0] == 200
    assert shop.unlink_calls() == 0


def test_more_versions_than_one_page_holds(shop: Shop, stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    # S3 lists and deletes at most 1,000 a call. Here it is 100, so that 210 versions are three pages.
    assert vault._MOST_DELETED == 1_000
    monkeypatch.setattr(vault, "_MOST_DELETED", 100)
    asked: list[int] = []

    def smaller(params: dict[str, Any], **_: Any) -> None:
        asked.append(params.setdefault("MaxKeys", 100))

    aws.s3().meta.events.register("provide-client-params.s3.ListObjectVersions", smaller)
    shop.live()
    for number in range(210):
        stack.s3.put_object(Bucket="personal-data", Key=f"paypay/{USER}/kyc_info/{number % 3}.json", Body=b"{}")
    stack.s3.put_object(Bucket="personal-data", Key=f"paypay/{USER}0/kyc_info/x.json", Body=b"{}")
    stored = len(shop.versions())
    assert stored > 210

    assert shop.erase()[1]["erased"]["vaultObjects"] == stored

    assert asked.count(100) >= 3
    assert shop.versions() == []
    assert len(shop.versions(f"{USER}0")) == 1


def test_what_s3_did_not_delete_is_deleted_by_the_repeat(
    shop: Shop, stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.live()
    stored = len(shop.versions())
    client = aws.s3()

    def refused(**request: Any) -> dict[str, Any]:
        return {"Errors": [{**each, "Code": "InternalError"} for each in request["Delete"]["Objects"]]}

    with monkeypatch.context() as patched:
        patched.setattr(client, "delete_objects", refused)
        status, problem = shop.erase()
        assert status >= 500
        assert USER not in json.dumps(problem)
    assert len(shop.versions()) == stored

    status, certificate = shop.erase()

    assert status == 200
    assert certificate["erased"]["vaultObjects"] == stored
    assert shop.versions() == []
    assert len([item for item in stack.items() if item["sk"].startswith("ERASURE#")]) == 1


def test_a_neighbour_is_not_touched(shop: Shop, stack: Deployment) -> None:
    shop.live()
    neighbour = f"{USER}0"
    shop.live(neighbour)
    mine = (f'"{USER}"', shop.linked())
    theirs = [item for item in stack.items() if not any(mark in json.dumps(item, default=str) for mark in mine)]
    theirs = [item for item in theirs if neighbour in json.dumps(item, default=str)]
    stored = shop.versions(neighbour)
    assert theirs
    assert stored

    assert shop.erase(unlink="true")[0] == 200

    assert [item for item in stack.items() if item in theirs] == theirs
    assert shop.versions(neighbour) == stored
    assert shop.merchant.passport(neighbour)["statusCode"] == 200


# The sweep


def test_the_sweep_waits_until_no_reading_from_before_can_be_under_way(shop: Shop, stack: Deployment) -> None:
    shop.live()
    shop.erase()

    url = stack.sqs.get_queue_url(QueueName="EventQueue")["QueueUrl"]
    counts = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesDelayed"] == "1"
    assert stack.receive() == []


def test_the_sweep_empties_the_vault_and_is_counted_in_the_certificate(
    shop: Shop, stack: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "_SWEEP_AFTER_S", 0)
    shop.live()
    certificate = shop.erase()[1]
    # A worker that looked the user up before, and wrote after.
    key = f"paypay/{USER}/kyc_info/{certificate['completedAt']}-{'0' * 64}.json"
    stack.s3.put_object(Bucket="personal-data", Key=key, Body=NAME.encode())
    before = stack.items()

    assert stack.process(shop.processor, 120_000) == []

    assert shop.versions() == []
    certificate["erased"]["vaultObjects"] += 1
    assert shop.erase()[1] == certificate
    others = [item for item in before if item["sk"] != "LAST_REQUEST" and not item["sk"].startswith("ERASURE#")]
    assert [item for item in stack.items() if item in others] == others
    assert stack.receive("DeadLetterQueue") == []


def test_a_user_who_comes_back_is_not_swept(shop: Shop, stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "_SWEEP_AFTER_S", 0)
    shop.live()
    first = shop.erase()[1]
    shop.merchant.link()
    linked = shop.linked()
    assert not stack.store.erasure.is_erased(linked)
    assert shop.merchant.kyc()["json"]["kyc"]["lastName"] == NAME
    stored = shop.versions()
    assert stored

    assert stack.process(shop.processor, 120_000) == []

    assert shop.versions() == stored
    assert shop.call("GET", f"/users/{USER}")[1]["providers"]["paypay"]["status"] == "VERIFIED"
    shop.notify("kyc", linked)
    second = shop.erase()[1]
    assert second["certificateId"] != first["certificateId"]
    assert shop.versions() == []


# What comes later


def test_later_notifications_recreate_nothing_and_do_not_fail(shop: Shop, stack: Deployment) -> None:
    authorizations = shop.live()
    submission = shop.submit()
    shop.erase()  # PayPay itself still knows the authorization, and whose it is
    before = {
        json.dumps(item, default=str, sort_keys=True)
        for item in stack.items()
        if item["sk"] not in ("LAST_REQUEST", "RECEIVED")
    }

    for linked in authorizations:
        for kind in shop.hooks:
            shop.notify(kind, linked)
        shop.notify("kyc", linked, notification_type="kyc_passport.unknown")
    shop.notify("kyc", authorizations[-1], notification_id="evt_1")  # the same notification once more
    stack.function("vexora_result_webhook")(callback(submission, '{"authenticationStatus": "2"}'))
    assert stack.process(shop.processor, 120_000) == []

    after = {
        json.dumps(item, default=str, sort_keys=True)
        for item in stack.items()
        if item["sk"] not in ("LAST_REQUEST", "RECEIVED")
    }
    assert after == before
    assert shop.versions() == []
    assert (stack.receive(), stack.receive("DeadLetterQueue")) == ([], [])


def test_a_recon_file_that_lists_an_erased_user_repairs_nobody(shop: Shop, stack: Deployment) -> None:
    authorizations = shop.live()
    shop.erase()
    recon = ReconDay(stack)
    recon.arrive(recon.listing(*authorizations))

    recon.compare()

    assert recon.asked() == []
    counts = recon.file().counts
    assert (counts["erased"], counts["reRead"], counts["notLinkedHere"]) == (2, 0, 0)
    assert not shop.holding(*authorizations) or all(
        each.startswith("SESSION#") for each in shop.holding(*authorizations)
    )


def test_a_repair_whose_user_was_erased_meanwhile_is_not_waited_for(shop: Shop, stack: Deployment) -> None:
    [_, present] = shop.live()
    recon = ReconDay(stack)
    recon.arrive(recon.listing(present), received_at="2099-01-01T00:00:00.000Z")
    recon.compare()
    shop.erase()
    assert stack.work(shop.processor, "RepairQueue", 120_000) == []  # the repair is dropped
    assert stack.work(shop.processor, "RereadQueue", 120_000) == []

    recon.look_again()

    assert recon.file().completed_at is not None
    assert recon.file().counts["erased"] == 1


def test_a_qr_from_before_the_erasure_links_nobody(shop: Shop, stack: Deployment) -> None:
    shop.live()
    asked = shop.merchant.ask()
    location = shop.merchant.press(asked)
    assert shop.erase()[0] == 200

    shop.merchant.come_back(location)

    assert stack.store.users.statuses(USER) == []


def test_reading_the_kyc_of_an_erased_user_asks_for_a_link_and_reads_nothing(shop: Shop) -> None:
    shop.live()
    shop.erase()
    asked = dict(shop.box.paypay.register.view(USER)["calls"])  # type: ignore[call-overload]

    assert shop.merchant.kyc()["statusCode"] == 409
    assert shop.merchant.passport()["statusCode"] == 409

    assert shop.box.paypay.register.view(USER)["calls"] == asked
    assert shop.versions() == []


# How long the timeline is kept


@pytest.mark.parametrize("days", ["0", "365"])
def test_every_function_that_writes_the_timeline_heeds_its_retention(shop: Shop, stack: Deployment, days: str) -> None:
    stack.parameters["TimelineRetentionDays"] = days
    shop.live()
    shop.submit()
    shop.erase()

    entries = [item for item in stack.items() if item["sk"].startswith("AT#")]
    assert {"erased", "linked", "kyc_read", "account_read", "submission_accepted"} <= {each["what"] for each in entries}
    expiring = [each for each in entries if "expires_at" in each]
    assert len(expiring) == (len(entries) if days != "0" else 0)
