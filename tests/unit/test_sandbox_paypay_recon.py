"""The sandbox's recon files: over Flask's test client, and over a socket where the transfer itself is what counts."""

import base64
import gzip
import hashlib
import http.client
import itertools
import json
import time
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from sandbox.app import Sandbox, SandboxConfig, create_app
from sandbox.delivery import Answer, UndeliveredError
from sandbox.paypay import recon_transfer
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.recon import generated_id
from sandbox.paypay.recon_content import BLOCK_ROWS, FORMATS, Content, generated, listed
from sandbox.paypay.recon_transfer import BOMB_BLOCK_BYTES, METADATA_URL
from sandbox.server import RunningSandbox, running

# 2026-03-31 11:52:33 in Japan.
NOW = 1_774_925_553.0
DAY_S = 86400
KYC, RISK, ACCOUNT_STATUS = (
    "kyc_passport_sync_recon",
    "kyc_passport_risk_sync_recon",
    "kyc_passport_account_status_sync_recon",
)
KYC_NAME = "kyc_passport_unit-merchant_20260331_20260331.csv"
ACCOUNT = PayPayAccount(
    merchant_id="unit-merchant",
    client_id="unit_client",
    webhook_urls={"recon": "https://merchant.example.com/webhooks/paypay/recon"},
)
HEADER = b"userAuthorizationId\r\n"


class Merchant:
    """The merchant's side: gets notifications, fetches files; and the hand that moves the sandbox."""

    def __init__(self) -> None:
        self.sandbox = Sandbox(SandboxConfig(paypay=ACCOUNT))
        self.core = self.sandbox.core
        self.core.clock._time_source = lambda: NOW
        self.core.courier.transport = self._webhook
        self.http: FlaskClient = create_app(self.sandbox).test_client()
        self.notifications: list[dict[str, Any]] = []
        self.answers: list[Answer] = []

    def _webhook(self, url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
        assert url == ACCOUNT.webhook_urls["recon"]
        self.notifications.append(json.loads(body))
        return self.answers.pop(0) if self.answers else Answer(200, "OK")

    def link(self, name: str) -> str:
        register = self.sandbox.paypay.register
        return register.grant(register.user(name), ("get_kyc_info",), 365).id

    def control(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = self.http.open(f"/_sandbox/paypay{path}", method=method, json=body)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return answer.get_json()

    def change(self, user: str, kind: str, body: object = None) -> None:
        self.control("POST", f"/users/{user}/{kind}", body)

    def night(self, **body: object) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = self.control("POST", "/recon-night", body)["files"]
        self.core.schedule.run_due()
        return files

    def kyc_night(self, *users: str) -> dict[str, Any]:
        """Play the night of this day, in which these users' KYC was updated; return its KYC file."""
        for user in users:
            self.link(user)
            self.change(user, "kyc-updated")
        [file] = self.night(day="2026-03-31", types=[KYC])
        return file

    def get(self, file: dict[str, Any], **headers: str) -> TestResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.get(local(file["path"]), headers=names)

    def dial(self, name: str | None = None, **dials: object) -> None:
        self.sandbox.paypay.dials.put(dials, name)

    def pass_time(self, seconds: float) -> None:
        self.core.advance(seconds)
        self.core.schedule.run_due()


@pytest.fixture
def merchant() -> Merchant:
    """A merchant with a sandbox of its own."""
    return Merchant()


def local(url: str) -> str:
    """Return path and query of a URL."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def rows(answer: TestResponse) -> list[str]:
    """Return the ids in a file of the usual form."""
    assert answer.status_code == 200
    assert answer.data.startswith(HEADER)
    assert answer.data.endswith(b"\r\n")
    text: str = answer.data[len(HEADER) :].decode()
    return text.split("\r\n")[:-1]


# --- what a night makes ---


def test_each_file_lists_who_changed_in_its_way_once(merchant: Merchant) -> None:
    first, second, third = (merchant.link(f"user-{number}") for number in range(3))
    for user in ("user-1", "user-0", "user-1"):
        merchant.change(user, "kyc-updated")
    merchant.change("user-2", "risk", {"flag": "UNACCEPTABLE_OP"})
    merchant.change("user-0", "account", {"status": "inactive"})
    kyc, risk, status = merchant.night(day="2026-03-31")
    assert (rows(merchant.get(kyc)), kyc["rows"]) == ([second, first], 2)
    assert rows(merchant.get(risk)) == [third]
    assert rows(merchant.get(status)) == [first]


def test_names_types_and_sums_are_those_of_the_document(merchant: Merchant) -> None:
    files = merchant.night(day="2026-03-31")
    assert [(file["fileType"], file["name"]) for file in files] == [
        (KYC, KYC_NAME),
        (RISK, "kyc_passport_risk_unit_client_20260331_20260331.csv"),
        (ACCOUNT_STATUS, "kyc_passport_account_status_unit_client_20260331_20260331.csv"),
    ]
    for file in files:
        assert (file["day"], file["rows"]) == ("2026-03-31", 0)
        answer = merchant.get(file)
        assert answer.data == HEADER
        assert file["sha256"] == hashlib.sha256(answer.data).hexdigest()
        assert urlsplit(file["path"]).path == f"/paypay/recon/{file['name']}"


def test_a_flag_that_is_cleared_is_no_one_becoming_flagged(merchant: Merchant) -> None:
    flagged = merchant.link("user-0")
    merchant.link("user-1")
    merchant.change("user-1", "risk", {"flag": None})
    merchant.change("user-0", "risk", {"flag": "KYC_UPDATE_REQUIRED"})
    merchant.change("user-0", "risk", {"flag": None})
    [risk] = merchant.night(day="2026-03-31", types=[RISK])
    assert rows(merchant.get(risk)) == [flagged]


def test_a_day_goes_from_midnight_to_midnight_in_japan(merchant: Merchant) -> None:
    ids = [merchant.link(f"user-{number}") for number in range(4)]
    midnight = datetime(2026, 3, 30, 15, tzinfo=UTC).timestamp()  # of 2026-03-31 in Japan
    for user, moment in enumerate((midnight - 0.001, midnight, midnight + DAY_S - 0.001, midnight + DAY_S)):
        merchant.core.clock._time_source = lambda moment=moment: moment  # type: ignore[misc]
        merchant.change(f"user-{user}", "kyc-updated")
    for day, expected in (("2026-03-30", ids[:1]), ("2026-03-31", ids[1:3]), ("2026-04-01", ids[3:])):
        [file] = merchant.night(day=day, types=[KYC])
        assert rows(merchant.get(file)) == expected


def test_the_day_is_yesterday_in_japan_by_the_sandbox_clock(merchant: Merchant) -> None:
    assert {file["day"] for file in merchant.night()} == {"2026-03-30"}
    merchant.pass_time(12.2 * 3600)  # still 03-31 in UTC, 04-01 in Japan
    assert {file["day"] for file in merchant.night()} == {"2026-03-31"}


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        ([], b"userAuthorizationId\r\na\r\nb\r\n"),
        (["no_header"], b"a\r\nb\r\n"),
        (["bom"], b"\xef\xbb\xbfuserAuthorizationId\r\na\r\nb\r\n"),
        (["quoted"], b'"userAuthorizationId"\r\n"a"\r\n"b"\r\n'),
        (["lf"], b"userAuthorizationId\na\nb\n"),
        (["blank_last_line"], b"userAuthorizationId\r\na\r\nb\r\n\r\n"),
        (list(FORMATS), b'\xef\xbb\xbf"a"\n"b"\n\n'),
    ],
)
def test_formats(formats: list[str], expected: bytes) -> None:
    content = listed(["a", "b"], formats)
    assert b"".join(content.blocks(0, content.size)) == expected


def test_the_format_of_a_file_is_a_dial(merchant: Merchant) -> None:
    merchant.dial(KYC, recon_format=["no_header", "lf"])
    kyc, risk, _ = merchant.night(day="2026-03-31")
    assert merchant.get(kyc).data == b""
    assert merchant.get(risk).data == HEADER


def test_a_night_played_again_makes_the_file_anew(merchant: Merchant) -> None:
    first = merchant.kyc_night("user-0")
    second = merchant.kyc_night("user-1")
    assert (first["name"], first["rows"]) == (second["name"], 1)
    assert second["rows"] == 2
    assert first["sha256"] != second["sha256"]
    assert len(merchant.control("GET", "/recon-files")["files"]) == 1


def test_control_refuses_nonsense(merchant: Merchant) -> None:
    nights: list[object] = [{"day": "31.3."}, {"day": 5}, {"types": "kyc"}, {"types": ["kyc"]}, {"when": 1}]
    times: list[object] = [{}, {"at": "3"}, {"at": "25:00"}, {"at": "03:00Z"}, {"at": 3}, {"at": None, "x": 1}]
    contents: list[object] = [{}, {"text": 1}, {"base64": "!"}, {"rows": -1}, {"rows": True}, {"rows": 1, "text": ""}]
    for method, path, bodies in (
        ("POST", "/recon-night", nights),
        ("POST", "/recon-nightly", times),
        ("PUT", f"/recon-files/{KYC_NAME}", contents),
    ):
        for body in bodies:
            merchant.control(method, path, body, status=400)
    merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"rows": 1, "fileType": KYC}, status=404)
    merchant.control("POST", "/recon-files/unknown.csv/resend", status=404)
    assert merchant.control("GET", "/recon-files") == {"files": []}


# --- notifications ---


def test_the_notification_says_what_the_document_says(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    assert merchant.notifications == [
        {
            "notification_type": "file.created",
            "notification_id": file["notification_id"],
            "fileType": KYC,
            "path": file["path"],
            "requestedAt": str(int(NOW)),
        }
    ]
    assert str(uuid.UUID(file["notification_id"])) == file["notification_id"]
    assert file["expires_at"] == int(NOW) + 7200
    assert merchant.control("GET", "/recon-files")["files"][0]["notification"] == "delivered"


def test_late_notifications_carry_the_url_and_the_moment_of_before(merchant: Merchant) -> None:
    merchant.dial(recon_notification="late", recon_notification_delay_s=7300)
    file = merchant.kyc_night()
    merchant.pass_time(7299)
    assert merchant.notifications == []
    merchant.pass_time(1)
    assert merchant.notifications[0]["requestedAt"] == str(int(NOW))
    assert merchant.get(file).status_code == 403


def test_a_missing_notification_is_made_good_by_a_resend(merchant: Merchant) -> None:
    merchant.dial(KYC, recon_notification="missing")
    kyc, risk = merchant.night(day="2026-03-31", types=[KYC, RISK])
    assert [notification["fileType"] for notification in merchant.notifications] == [RISK]
    assert (kyc["path"], kyc["notification_id"], kyc["notification"], kyc["expires_at"]) == (None, None, None, None)
    assert risk["notification"] == "waiting"
    sent = merchant.control("POST", f"/recon-files/{KYC_NAME}/resend")
    merchant.pass_time(0)
    assert merchant.notifications[1]["path"] == sent["path"]
    assert merchant.get(sent).status_code == 200


def test_a_notification_of_the_wrong_type(merchant: Merchant) -> None:
    merchant.dial(KYC_NAME, recon_notification="wrong_type")
    file = merchant.kyc_night()
    [notification] = merchant.notifications
    assert notification["fileType"] == RISK
    assert KYC_NAME in notification["path"]
    assert merchant.get(file).status_code == 200


def test_a_notification_with_the_name_of_another_day(merchant: Merchant) -> None:
    merchant.dial(recon_notification="wrong_name")
    file = merchant.kyc_night("user-0")
    [notification] = merchant.notifications
    assert notification["fileType"] == KYC
    assert "/kyc_passport_unit-merchant_20260301_20260301.csv?" in notification["path"]
    assert merchant.get(file).data == HEADER + merchant.link("user-0").encode() + b"\r\n"


def test_a_resend_has_a_new_url_and_a_new_id_for_a_week(merchant: Merchant) -> None:
    first = merchant.kyc_night()
    merchant.pass_time(7 * DAY_S)
    second = merchant.control("POST", f"/recon-files/{KYC_NAME}/resend")
    assert second["notification_id"] != first["notification_id"]
    assert (merchant.get(first).status_code, merchant.get(second).status_code) == (403, 200)
    merchant.pass_time(1)
    assert "week" in merchant.control("POST", f"/recon-files/{KYC_NAME}/resend", status=410)["error"]
    assert merchant.get(second).status_code == 404


def test_a_notification_is_repeated_though_the_clock_goes_back(merchant: Merchant) -> None:
    merchant.core.advance(DAY_S)
    merchant.answers.append(Answer(500, ""))
    merchant.night()
    assert len(merchant.notifications) == 3
    merchant.core.advance(-DAY_S)
    merchant.pass_time(0.5)
    assert [notification["fileType"] for notification in merchant.notifications] == [KYC, RISK, ACCOUNT_STATUS, KYC]


def test_what_is_due_runs_before_the_clock_goes_back(merchant: Merchant) -> None:
    merchant.core.advance(DAY_S)
    merchant.control("POST", "/recon-night")
    assert merchant.notifications == []
    merchant.core.advance(-DAY_S)
    assert len(merchant.notifications) == 3


# --- every night by itself ---


def test_the_night_is_off_until_it_is_set(merchant: Merchant) -> None:
    merchant.pass_time(3 * DAY_S)
    assert merchant.control("GET", "/recon-files") == {"files": []}


def test_the_night_is_played_at_its_time_in_japan(merchant: Merchant) -> None:
    assert merchant.control("POST", "/recon-nightly", {"at": "03:00"}) == {"at": "03:00"}
    uaid = merchant.link("user-0")
    merchant.change("user-0", "kyc-updated")
    until = datetime(2026, 3, 31, 18, tzinfo=UTC).timestamp() - NOW
    merchant.pass_time(until - 1)
    assert merchant.notifications == []
    merchant.pass_time(1)
    assert [notification["fileType"] for notification in merchant.notifications] == [KYC, RISK, ACCOUNT_STATUS]
    assert rows(merchant.http.get(local(merchant.notifications[0]["path"]))) == [uaid]
    assert merchant.notifications[0]["path"].startswith("http://localhost/paypay/recon/")


def test_each_night_that_the_clock_moves_over_is_played(merchant: Merchant) -> None:
    merchant.control("POST", "/recon-nightly", {"at": "03:00"})
    merchant.pass_time(3 * DAY_S)
    days = [file["day"] for file in merchant.control("GET", "/recon-files")["files"] if file["fileType"] == KYC]
    assert days == ["2026-03-31", "2026-04-01", "2026-04-02"]


def test_a_night_is_played_again_after_the_clock_went_back(merchant: Merchant) -> None:
    merchant.control("POST", "/recon-nightly", {"at": "03:00"})
    for played in (1, 2):
        merchant.pass_time(DAY_S)
        assert len(merchant.notifications) == 3 * played
        merchant.pass_time(-DAY_S)
    assert {file["day"] for file in merchant.control("GET", "/recon-files")["files"]} == {"2026-03-31"}


def test_the_night_ends_with_null_and_with_a_reset(merchant: Merchant) -> None:
    merchant.control("POST", "/recon-nightly", {"at": "03:00"})
    assert merchant.control("POST", "/recon-nightly", {"at": None}) == {"at": None}
    merchant.pass_time(DAY_S)
    merchant.control("POST", "/recon-nightly", {"at": "03:00"})
    merchant.http.post("/_sandbox/reset")
    merchant.pass_time(2 * DAY_S)
    assert merchant.notifications == []


# --- the URL ---


def test_a_url_is_good_for_two_hours_of_the_clock(merchant: Merchant) -> None:
    file = merchant.kyc_night()
    merchant.pass_time(7199)
    assert merchant.get(file).status_code == 200
    merchant.pass_time(1)
    answer = merchant.get(file)
    assert (answer.status_code, answer.data) == (403, b"This URL has expired.\n")


def test_a_url_stays_good_when_the_clock_goes_back(merchant: Merchant) -> None:
    merchant.core.advance(DAY_S)
    file = merchant.kyc_night()
    merchant.core.advance(-DAY_S)
    assert merchant.get(file).status_code == 200


def test_only_the_signed_url_opens_a_file(merchant: Merchant) -> None:
    kyc, risk, _ = merchant.night()
    path, query = local(kyc["path"]).split("?")
    expires, signature = query.split("&")
    later = f"expires={kyc['expires_at'] + 1}"
    for wrong in ("", signature, expires, f"{later}&{signature}", f"{expires}&signature=%E3%81%82", query[:-1]):
        assert merchant.http.get(f"{path}?{wrong}").status_code == 403
    assert merchant.http.get(f"/paypay/recon/{risk['name']}?{query}").status_code == 403
    assert merchant.http.get(f"/paypay/recon/unknown.csv?{query}").status_code == 404
    merchant.http.post("/_sandbox/reset")
    assert merchant.get(kyc).status_code == 404


def test_the_life_of_a_url_is_a_dial(merchant: Merchant) -> None:
    merchant.dial(KYC, recon_url_ttl_s=10)
    kyc, risk = merchant.night(types=[KYC, RISK])
    merchant.pass_time(10)
    assert (merchant.get(kyc).status_code, merchant.get(risk).status_code) == (403, 200)


def test_the_journal_holds_no_signature(merchant: Merchant) -> None:
    file = merchant.kyc_night()
    merchant.get(file)
    journal = merchant.http.get("/_sandbox/journal").get_data(as_text=True)
    assert KYC_NAME in journal
    assert file["path"].rpartition("=")[2] not in journal


# --- content by hand ---


def test_a_large_file_can_be_put_as_text(merchant: Merchant) -> None:
    body = {"text": "x" * 5_000_000, "fileType": RISK, "day": "2026-03-20"}
    assert merchant.control("PUT", f"/recon-files/{KYC_NAME}", body)["bytes"] == 5_000_000


def test_content_by_hand_replaces_that_of_the_night(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    put = merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"text": "あ\r\n"})
    assert merchant.get(file).data == "あ\r\n".encode()
    assert (put["rows"], put["sha256"]) == (None, hashlib.sha256("あ\r\n".encode()).hexdigest())
    raw = bytes(range(256))
    merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"base64": base64.b64encode(raw).decode()})
    assert merchant.get(file).data == raw


def test_content_by_hand_makes_a_file_that_no_night_made(merchant: Merchant) -> None:
    body = {"text": "x", "fileType": RISK, "day": "2026-03-20"}
    put = merchant.control("PUT", "/recon-files/any name.csv", body)
    assert (put["fileType"], put["day"], put["path"], put["notification"]) == (RISK, "2026-03-20", None, None)
    sent = merchant.control("POST", "/recon-files/any name.csv/resend")
    assert merchant.get(sent).data == b"x"
    assert f"/{quote('any name.csv')}?" in sent["path"]


def test_generated_rows_are_uuids_that_can_be_computed(merchant: Merchant) -> None:
    merchant.kyc_night()
    merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"rows": 10_000})
    sent = merchant.control("POST", f"/recon-files/{KYC_NAME}/resend")
    ids = rows(merchant.get(sent))
    assert ids == [generated_id(number) for number in range(10_000)]
    assert len(set(ids)) == 10_000
    assert all(str(uuid.UUID(each)) == each and uuid.UUID(each).version == 4 for each in ids)
    assert sent["sha256"] == hashlib.sha256(HEADER + "".join(f"{each}\r\n" for each in ids).encode()).hexdigest()


@pytest.mark.parametrize("formats", [[], ["no_header"], ["bom", "quoted", "blank_last_line"], ["lf"]])
def test_any_part_of_generated_content_is_that_part_of_the_whole(formats: list[str]) -> None:
    content = generated(BLOCK_ROWS + 3, formats)
    whole = b"".join(content.blocks(0, content.size))
    expected = listed([generated_id(number) for number in range(BLOCK_ROWS + 3)], formats)
    assert whole == b"".join(expected.blocks(0, expected.size))
    assert len(whole) == content.size
    edges = sorted(
        {0, 1, 21, 22, 40, BLOCK_ROWS * 38, BLOCK_ROWS * 38 + 22, len(whole) - 3, len(whole) - 1, len(whole)}
    )
    for start, stop in itertools.combinations(edges, 2):
        assert b"".join(content.blocks(start, stop)) == whole[start:stop]


def test_ten_million_rows_are_never_held() -> None:
    content = generated(10_000_000, [])
    assert content.size == len(HEADER) + 380_000_000
    tracemalloc.start()
    try:
        # The last part of the file only: how far in it lies must not matter.
        tail = b"".join(content.blocks(content.size - 1_000_000, content.size))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert tail.endswith(f"{generated_id(9_999_998)}\r\n{generated_id(9_999_999)}\r\n".encode())


# --- the answer ---


def test_a_whole_file_names_its_length_and_itself(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    answer = merchant.get(file)
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.headers["Content-Length"] == str(file["bytes"])
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == merchant.get(file).headers["ETag"]
    merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"text": "other"})
    assert merchant.get(file).headers["ETag"] != answer.headers["ETag"]


def test_ranges(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0", "user-1")
    whole = merchant.get(file).data
    for wanted, start, stop in (("5-", 5, len(whole)), ("5-9", 5, 10), ("-7", len(whole) - 7, len(whole))):
        answer = merchant.get(file, Range=f"bytes={wanted}")
        assert (answer.status_code, answer.data) == (206, whole[start:stop])
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
        assert answer.headers["Content-Length"] == str(stop - start)
    answer = merchant.get(file, Range=f"bytes={len(whole)}-")
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(whole)}")
    for ignored in ("bytes=0-1,4-5", "lines=1-2", "nonsense"):
        assert merchant.get(file, Range=ignored).data == whole


def test_if_range_of_other_bytes_gets_the_whole(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    etag = merchant.get(file).headers["ETag"]
    assert merchant.get(file, Range="bytes=5-", If_Range=etag).status_code == 206
    merchant.control("PUT", f"/recon-files/{KYC_NAME}", {"text": "other bytes"})
    answer = merchant.get(file, Range="bytes=5-", If_Range=etag)
    assert (answer.status_code, answer.data) == (200, b"other bytes")
    date = "Tue, 31 Mar 2026 00:00:00 GMT"
    assert merchant.get(file, Range="bytes=5-", If_Range=date).status_code == 200


@pytest.mark.parametrize(("word", "status"), [("forbidden", 403), ("gone", 410), ("not_found", 404), ("error", 500)])
def test_refusals(merchant: Merchant, word: str, status: int) -> None:
    file = merchant.kyc_night("user-0")
    merchant.dial(recon_transfer=word, recon_times=2)
    assert [merchant.get(file).status_code for _ in range(3)] == [status, status, 200]


def test_a_redirect_to_the_metadata_address(merchant: Merchant) -> None:
    file = merchant.kyc_night()
    merchant.dial(recon_transfer="redirect")
    answer = merchant.get(file)
    assert (answer.status_code, answer.headers["Location"]) == (302, METADATA_URL)


def test_ranges_can_be_ignored(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    merchant.dial(recon_transfer="no_range")
    answer = merchant.get(file, Range="bytes=5-")
    assert (answer.status_code, answer.headers["Accept-Ranges"]) == (200, "none")
    assert len(answer.data) == file["bytes"]


def test_changed_bytes_from_the_second_request_on(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    merchant.dial(recon_transfer="changed")
    first, second, third = (merchant.get(file) for _ in range(3))
    assert first.headers["ETag"] != second.headers["ETag"] == third.headers["ETag"]
    assert len(rows(second)) == len(rows(first)) + 1
    # A resumed download without a look at the ETag is neither the one nor the other.
    mixed = first.data[:30] + merchant.get(file, Range="bytes=30-").data
    assert mixed not in (first.data, second.data)
    assert merchant.get(file, Range="bytes=30-", If_Range=first.headers["ETag"]).data == second.data


def test_counting_begins_again_with_new_dials_and_with_a_resend(merchant: Merchant) -> None:
    file = merchant.kyc_night("user-0")
    assert [merchant.get(file).status_code for _ in range(2)] == [200, 200]
    merchant.dial(recon_transfer="gone", recon_times=1)
    assert [merchant.get(file).status_code for _ in range(2)] == [410, 200]
    sent = merchant.control("POST", f"/recon-files/{KYC_NAME}/resend")
    assert [merchant.get(sent).status_code for _ in range(2)] == [410, 200]


def test_a_gzip_bomb_is_far_larger_than_it_looks(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recon_transfer.BOMB_BLOCKS * BOMB_BLOCK_BYTES == 4 * 1024**3
    monkeypatch.setattr(recon_transfer, "BOMB_BLOCKS", 8)
    file = merchant.kyc_night()
    merchant.dial(recon_transfer="gzip")
    answer = merchant.get(file)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.data) == int(answer.headers["Content-Length"]) < 16_000
    assert gzip.decompress(answer.data) == bytes(8 * BOMB_BLOCK_BYTES)


def test_transfer_dials_go_by_name_then_type_then_all(merchant: Merchant) -> None:
    kyc, risk, status = merchant.night(day="2026-03-31")
    merchant.dial(recon_transfer="error")
    merchant.dial(RISK, recon_transfer="gone")
    merchant.dial(KYC, recon_transfer="gone")
    merchant.dial(KYC_NAME, recon_transfer="whole")
    assert [merchant.get(file).status_code for file in (kyc, risk, status)] == [200, 410, 500]


@pytest.mark.parametrize(
    "dials",
    [
        {"recon_transfer": "fast"},
        {"recon_transfer": []},
        {"recon_transfer": ["broken", "stall"]},
        {"recon_transfer": ["whole", "slow"]},
        {"recon_transfer": [["slow"]]},
        {"recon_format": "bom"},
        {"recon_format": ["utf-16"]},
        {"recon_times": 0},
        {"recon_break_at": -1},
        {"recon_bytes_per_s": 0},
        {"recon_url_ttl_s": True},
        {"recon_notification": "early"},
    ],
)
def test_wrong_dials_are_refused(merchant: Merchant, dials: dict[str, object]) -> None:
    answer = merchant.http.put("/_sandbox/dials/paypay", json=dials)
    assert answer.status_code == 400
    assert answer.get_json()["error"].endswith(".")


# --- over a socket ---


@pytest.fixture
def box() -> Iterator[RunningSandbox]:
    """A sandbox that listens."""
    with running(SandboxConfig(paypay=ACCOUNT)) as running_box:
        yield running_box


def notified(box: RunningSandbox, number_of_rows: int = 100, **dials: object) -> str:
    """Return the URL of a file of generated rows, with these dials set."""
    control = f"{box.url}/_sandbox/paypay/recon-files/{KYC_NAME}"
    body = {"rows": number_of_rows, "fileType": KYC, "day": "2026-03-31"}
    assert requests.put(control, json=body, timeout=5).status_code == 200
    box.paypay.dials.put(dials)
    return str(requests.post(f"{control}/resend", timeout=5).json()["path"])


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[bytes, bool]:
    """Return what came of a file, and whether it came to its end."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", local(url), headers=headers or {})
        with connection.getresponse() as answer:
            return answer.read(), True
    except http.client.IncompleteRead as cut:
        return cut.partial, False
    finally:
        connection.close()


def whole(number_of_rows: int = 100) -> bytes:
    """Return the bytes of a file of generated rows."""
    content: Content = generated(number_of_rows, [])
    return b"".join(content.blocks(0, content.size))


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_broken_transfer_can_be_resumed(box: RunningSandbox) -> None:
    url = notified(box, recon_transfer="broken", recon_break_at=1000, recon_times=2)
    got, ended = fetch(url)
    assert (got, ended) == (whole()[:1000], False)
    more, ended = fetch(url, {"Range": "bytes=1000-"})
    assert (more, ended) == (whole()[1000:2000], False)
    more, ended = fetch(url, {"Range": "bytes=2000-"})
    assert (more, ended) == (whole()[2000:], True)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_broken_transfer_without_ranges_begins_anew(box: RunningSandbox) -> None:
    url = notified(box, recon_transfer=["broken", "no_range"], recon_times=1)
    got, ended = fetch(url)
    assert (got, ended) == (whole()[: len(whole()) // 2], False)
    assert fetch(url, {"Range": "bytes=1000-"}) == (whole(), True)


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("failure", ["broken", "stall"])
def test_a_break_without_a_length_shows_too(box: RunningSandbox, failure: str) -> None:
    url = notified(box, recon_transfer=["chunked", failure], recon_break_at=50, recon_stall_s=0.1)
    got, ended = fetch(url)
    assert (got, ended) == (whole()[:50], False)


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_stall_is_silent(box: RunningSandbox) -> None:
    url = notified(box, recon_transfer="stall", recon_break_at=100, recon_stall_s=0.5)
    began = time.monotonic()
    assert fetch(url) == (whole()[:100], False)
    assert time.monotonic() - began >= 0.5


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_slow_transfer_takes_its_time_whatever_else_it_does(box: RunningSandbox) -> None:
    url = notified(box, recon_transfer=["slow", "broken", "chunked"], recon_bytes_per_s=4000, recon_break_at=2000)
    began = time.monotonic()
    assert fetch(url) == (whole()[:2000], False)
    assert 0.4 <= time.monotonic() - began < 3


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_a_chunked_transfer_names_no_length(box: RunningSandbox) -> None:
    with requests.get(notified(box, recon_transfer="chunked"), timeout=5) as answer:
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in answer.headers
        assert answer.content == whole()


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_endless_body_goes_on(box: RunningSandbox) -> None:
    url = notified(box, number_of_rows=10, recon_transfer="endless")
    with requests.get(url, timeout=5, stream=True) as answer:
        assert "Content-Length" not in answer.headers
        got = 0
        for block in answer.iter_content(100_000):
            got += len(block)
            if got > 20_000_000:
                break
    assert got > 20_000_000


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_an_endless_body_behind_a_small_length(box: RunningSandbox) -> None:
    url = notified(box, number_of_rows=10, recon_transfer="short_length")
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", local(url))
        with connection.getresponse() as answer:
            assert answer.headers["Content-Length"] == str(len(whole(10)))
            # Past http.client, which stops at the length: the bytes after it are there.
            got = bytes(answer.fp.read(5_000_000))
    finally:
        connection.close()
    assert got.startswith(whole(10))
    assert len(got) == 5_000_000


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_the_clock_moves_over_the_night_and_back(box: RunningSandbox) -> None:
    control = f"{box.url}/_sandbox"
    delivered: list[dict[str, Any]] = []

    def webhook(url: str, body: bytes, content_type: str, timeout_s: float) -> Answer:
        delivered.append(json.loads(body))
        if len(delivered) <= 3:
            raise UndeliveredError("no answer within 1.5 s")  # a cold start
        return Answer(200, "OK")

    box.sandbox.core.courier.transport = webhook
    requests.post(f"{control}/paypay/recon-nightly", json={"at": "03:00"}, timeout=5)
    for step in (DAY_S, -DAY_S):
        assert requests.post(f"{control}/clock", json={"advance_s": step}, timeout=5).status_code == 200
    deadline = time.monotonic() + 10
    while len(delivered) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert sorted(notification["fileType"] for notification in delivered) == sorted([KYC, RISK, ACCOUNT_STATUS] * 2)
    for notification in delivered:
        assert notification["path"].startswith(f"{box.url}/paypay/recon/")
        assert fetch(notification["path"]) == (HEADER, True)
