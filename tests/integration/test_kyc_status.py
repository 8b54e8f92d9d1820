"""The read side: where a user stands and how that came about, as the merchant's back end gets it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from honnin import times
from honnin.store import Effect, ReceivedDay
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, callback, sample
from tests.fakes.merchant import Merchant
from tests.fakes.recon_day import ReconDay


@pytest.fixture
def function(stack: Deployment) -> Function:
    return stack.function("kyc_status")


def submit(stack: Deployment, user_id: str = "user-0001") -> str:
    event = sample("vexora_submission")
    event["body"] = json.dumps({"userId": user_id, "usernameFurigana": "テスト ハナコ"})
    submission_id: str = json.loads(stack.function("vexora_submission")(event)["body"])["submissionId"]
    return submission_id


def get(function: Function, path: str, user_id: str = "user-0001", **query: str) -> tuple[int, dict[str, Any]]:
    event = sample("kyc_status")
    event |= {
        "path": path,
        "resource": path.replace(user_id, "{userId}"),
        "pathParameters": {"userId": user_id},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
    }
    answer = function(event)
    return answer["statusCode"], json.loads(answer["body"])


def timeline(function: Function, user_id: str = "user-0001", **query: str) -> tuple[int, dict[str, Any]]:
    return get(function, f"/users/{user_id}/timeline", user_id, **query)


def test_the_sample_event_gives_the_user_in_the_agreed_shape(stack: Deployment, function: Function) -> None:
    submission_id = submit(stack)

    answer = function(sample("kyc_status"))

    assert answer["statusCode"] == 200
    body = json.loads(answer["body"])
    read_at = body["providers"]["vexora"].pop("readAt")
    assert read_at.endswith("Z")
    assert datetime.fromisoformat(read_at).utcoffset() is not None
    [status] = stack.store.users.statuses("user-0001")
    vexora = {
        "status": "PENDING",
        "providerStatus": "0",
        "submissionId": submission_id,
        "stale": False,
        "reason": None,
        "version": status.version,
    }
    verified = {"verified": False, "verifiedReason": "NOT_VERIFIED"}
    assert body == {"userId": "user-0001", "providers": {"vexora": vexora}, **verified}


@pytest.mark.parametrize("path", ["/users/nobody", "/users/nobody/timeline"])
def test_an_unknown_user_is_a_404_problem(stack: Deployment, function: Function, path: str) -> None:
    status, body = get(function, path, "nobody")

    assert (status, body["status"]) == (404, 404)


def test_an_unknown_route_is_a_404(function: Function) -> None:
    assert get(function, "/users/user-0001/secrets")[0] == 404


@pytest.mark.parametrize("user_id", ["a b", "ハナコ", "u" * 65, "a/b"])
def test_a_user_id_that_can_be_none_is_refused_and_reads_nothing(function: Function, user_id: str) -> None:
    assert get(function, f"/users/{user_id}", user_id)[0] in (404, 422)


@pytest.mark.parametrize("user_id", ["A.b_c:d@e-9", "u" * 64])
def test_every_allowed_user_id_is_found(stack: Deployment, function: Function, user_id: str) -> None:
    submit(stack, user_id)

    assert get(function, f"/users/{user_id}", user_id)[1]["userId"] == user_id


def test_users_whose_ids_begin_alike_are_kept_apart(stack: Deployment, function: Function) -> None:
    submit(stack, "user-00010")

    assert get(function, "/users/user-0001")[0] == 404
    assert timeline(function)[0] == 404


def test_the_timeline_is_newest_first_and_chains(stack: Deployment, function: Function, box: RunningSandbox) -> None:
    submission_id = submit(stack)
    box.vexora.dials.put({"callback": "dropped"})
    box.vexora.review_now("user-0001", "reject")
    stack.function("vexora_result_webhook")(callback(submission_id, '{"authenticationStatus": "3"}'))
    assert stack.process(stack.function("event_processor"), 120_000) == []

    status, body = timeline(function)

    assert (status, body["cursor"]) == (200, None)
    entries = body["entries"]
    assert [(each["from"], each["to"], each["cause"]) for each in entries] == [
        ("PENDING", "REJECTED", "webhook"),
        ("SUBMITTING", "PENDING", "api"),
        (None, "SUBMITTING", "api"),
    ]
    assert [each["at"] for each in entries] == sorted((each["at"] for each in entries), reverse=True)
    for each in entries:
        assert {"at", "eventId", "provider", "what", "cause", "from", "to"} <= set(each)
        assert each["at"].endswith("Z")


def test_pages_follow_each_other_without_gap_or_repeat(stack: Deployment, function: Function) -> None:
    submission_id = submit(stack)
    for number in range(5):
        stack.function("vexora_result_webhook")(callback(submission_id, json.dumps({"n": number})))
    assert stack.process(stack.function("event_processor"), 120_000) == []
    everything = timeline(function)[1]["entries"]
    assert len(everything) == 7

    pages, cursor = [], ""
    while cursor is not None:
        _, body = timeline(function, limit="3", **({"cursor": cursor} if cursor else {}))
        pages.append(body["entries"])
        cursor = body["cursor"]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [each for page in pages for each in page] == everything


def test_a_cursor_does_not_show_what_is_in_the_table(stack: Deployment, function: Function) -> None:
    submit(stack)

    cursor = timeline(function, limit="1")[1]["cursor"]

    assert cursor
    assert "#" not in cursor
    assert "user-0001" not in cursor


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "101"}, {"limit": "many"}, {"cursor": "!"}, {"cursor": "QUJD"}, {"cursor": "x" * 1025}],
)
def test_a_limit_or_cursor_that_can_be_none_is_a_422(
    stack: Deployment, function: Function, query: dict[str, str]
) -> None:
    submit(stack)

    status, body = timeline(function, **query)

    assert status == 422
    assert body["errors"][0]["field"] in query


def test_a_cursor_of_one_user_shows_nothing_of_another(stack: Deployment, function: Function) -> None:
    submit(stack, "user-0001")
    submit(stack, "user-0002")
    cursor = timeline(function, "user-0001", limit="1")[1]["cursor"]

    status, body = timeline(function, "user-0002", cursor=cursor)

    assert status in (200, 422)
    assert all("user-0001" not in json.dumps(each) for each in body.get("entries", []))


# GET /recon/reports/{date}


def report(function: Function, day: str) -> tuple[int, dict[str, Any]]:
    event = sample("kyc_status") | {
        "path": f"/recon/reports/{day}",
        "resource": "/recon/reports/{date}",
        "pathParameters": {"date": day},
    }
    answer = function(event)
    return answer["statusCode"], json.loads(answer["body"])


LINKED = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"


def test_a_day_of_which_no_file_is_known_is_a_404(stack: Deployment, function: Function) -> None:
    ReconDay(stack).notify()

    assert report(function, "2026-03-30")[0] == 404
    assert report(function, "2026-03-31")[0] == 200


@pytest.mark.parametrize("day", ["2026-02-30", "20260331", "2026-3-31", "yesterday", "2026-03-31T00:00", "2026-W14-2"])
def test_a_day_that_is_none_is_a_422(function: Function, day: str) -> None:
    status, body = report(function, day)

    assert status == 422
    assert body["errors"][0]["field"] == "date"


def test_a_compared_file_is_shown_with_what_its_comparison_has_led_to_by_now(
    stack: Deployment, function: Function
) -> None:
    Merchant(stack).link("user-0001")
    status = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    linked = status.user_authorization_id or ""
    recon = ReconDay(stack)
    recon.arrive(recon.listing(linked, "stranger"), received_at="2099-01-01T00:00:00.000Z")
    recon.compare()
    _, before = report(function, recon.day)
    processor = stack.function("event_processor")
    for queue in ("RepairQueue", "RereadQueue"):
        assert stack.work(processor, queue, 120_000) == []
    recon.look_again()

    status_code, after = report(function, recon.day)

    assert (status_code, after["date"]) == (200, "2026-03-31")
    [waiting], [file] = before["files"], after["files"]
    assert (waiting["repairsOpen"], waiting["completedAt"]) == (1, None)
    assert (file["state"], file["repairsOpen"], file["counts"]["rows"]) == ("COMPARED", 0, 2)
    assert (file["counts"]["reRead"], file["counts"]["notLinkedHere"], file["counts"]["changed"]) == (1, 1, 1)
    assert file["reportKey"] == recon.file_id().report_key
    stack.s3.head_object(Bucket="recon", Key=file["reportKey"])


def test_a_user_whose_status_changed_is_named(stack: Deployment, function: Function) -> None:
    recon = ReconDay(stack)
    recon.link(LINKED, "user-0001")
    recon.arrive(recon.listing(LINKED))
    recon.compare()
    before = stack.store.users.status("user-0001", "paypay") or pytest.fail("no status")
    after = replace(before, status="RISK_FLAGGED", version=before.version + 1)
    event_id = f"recon:{recon.type.name}:{recon.day}:{LINKED}:1"
    at = recon.at("04:00:00", days=1)
    stack.store.events.apply(Effect(event_id, "kyc_read", "recon", at, before, after, {}))
    recon.look_again()

    _, body = report(function, recon.day)

    [changed] = body["files"][0]["changed"]
    assert changed == {
        "userAuthorizationId": LINKED,
        "userId": "user-0001",
        "from": before.status,
        "to": "RISK_FLAGGED",
        "appliedAt": at,
    }


def test_files_of_every_state_are_shown_without_their_url(stack: Deployment, function: Function) -> None:
    notified, doubtful = ReconDay(stack), ReconDay(stack, "kyc_passport_risk_sync_recon")
    notified.notify()
    doubtful.arrive("no, id\n")
    doubtful.compare()
    missing = "kyc_passport_account_status_sync_recon"
    stack.store.recon.missing(missing, notified.day, notified.at("10:15:00", days=1))

    status, body = report(function, notified.day)

    assert status == 200
    states = {each["fileType"]: each["state"] for each in body["files"]}
    assert states == {notified.type.name: "ANNOUNCED", doubtful.type.name: "COMPARED", missing: "MISSING"}
    assert sum(each["reportKey"] is None for each in body["files"]) == 2
    assert sum(each["counts"] is None for each in body["files"]) == 2
    [doubt] = [each["doubt"] for each in body["files"] if each["state"] == "COMPARED"]
    assert doubt == "the file is not a list of ids; it may be a web page or a message"
    assert "https" not in json.dumps(body)
    assert "signature" not in json.dumps(body)


def test_a_file_that_was_missing_and_came_is_shown_alone(stack: Deployment, function: Function) -> None:
    recon = ReconDay(stack)
    stack.store.recon.missing(recon.type.name, recon.day, recon.at("10:15:00", days=1))
    recon.notify()

    _, body = report(function, recon.day)

    assert [each["state"] for each in body["files"]] == ["ANNOUNCED"]


def test_a_missing_day_comes_with_the_request_to_paypay(stack: Deployment, function: Function) -> None:
    recon = ReconDay(stack)
    day = times.jst_day(datetime.now(UTC) - timedelta(days=2))
    recon.notify()
    stack.store.recon.note_own_ids({"merchant_id": "m-1", "client_id": "c-1"})
    stack.store.recon.missing(recon.type.name, day, times.utc_now())
    at = f"{day}T03:00:00.000Z"
    stack.store.received.note(ReceivedDay(recon.type.kind, day, at, at, 1))

    _, body = report(function, day)

    assert [(each["state"], each["reason"]) for each in body["files"]] == [("MISSING", None)]
    facts = next(each for each in body["types"] if each["fileType"] == recon.type.name)
    assert (facts["everAnnounced"], facts["lastWebhookAt"]) == (True, at)
    assert (facts["week"][0]["day"], facts["week"][0]["state"]) == (day, "missing")
    assert len(facts["week"]) == 7
    assert f"{day}: we received no notification" in facts["resendRequest"]["en"]
    assert "m-1" in facts["resendRequest"]["ja"]
    assert not any(each["everAnnounced"] for each in body["types"] if each is not facts)
