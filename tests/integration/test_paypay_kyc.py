"""The three KYC reads: what the merchant gets, what the vault and the timeline keep, and every way to fail."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

import pytest

from honnin import http_client
from honnin.http_client import Deadline
from honnin.paypay import client as paypay_client
from honnin.paypay import selfie as paypay_selfie
from sandbox.paypay.selfie import png
from sandbox.server import RunningSandbox
from tests.fakes import counts
from tests.fakes.deployment import PROVIDERS, Deployment, header, sample
from tests.fakes.merchant import Merchant

PASSPORT: dict[str, Any] = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}}
Read = Callable[[], dict[str, Any]]


@pytest.fixture
def merchant(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    monkeypatch.setattr(paypay_client, "_PAUSE_S", 0.0)
    return Merchant(stack)


@pytest.fixture
def code_id(merchant: Merchant) -> str:
    """The code id of a KYC Passport QR that user-0001 has completed; the user is linked."""
    return str(merchant.link(**PASSPORT)["json"]["codeId"])


PRODUCTS = ("kyc_info", "kyc_passport", "kyc_passport_qr")


def in_turn(*cases: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Each case with one of the three reads, in turn: they share the code, and a deployment per pair takes minutes."""
    return [(PRODUCTS[index % 3], *case) for index, case in enumerate(cases)]


@pytest.fixture(params=PRODUCTS)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def read(merchant: Merchant, code_id: str, product: str) -> Read:
    """One of the three reads, of a linked user."""
    reads: dict[str, Read] = {
        "kyc_info": merchant.kyc,
        "kyc_passport": merchant.passport,
        "kyc_passport_qr": lambda: merchant.completed_qr(code_id),
    }
    return reads[product]


def status_of(stack: Deployment) -> str:
    status = stack.store.users.status("user-0001", "paypay")
    return status.status if status else ""


def last_entry(stack: Deployment) -> Any:
    """The newest line of the timeline."""
    return stack.store.users.timeline("user-0001", 1)[0][0]


def vault_keys(stack: Deployment) -> list[str]:
    return [item["Key"] for item in stack.s3.list_objects_v2(Bucket="personal-data").get("Contents", [])]


def stored(stack: Deployment, key: str) -> tuple[bytes, str]:
    """Content and type of one object of the vault."""
    item = stack.s3.get_object(Bucket="personal-data", Key=key)
    return item["Body"].read(), item["ContentType"]


def calls(box: RunningSandbox, product: str) -> int:
    return box.paypay.register.user("user-0001").calls[product]


def counted(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was counted."""
    return list(counts.counted(capsys.readouterr().out).elements())


# --- a success ---


def test_the_sample_event_reads_the_users_kyc(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    merchant.link()
    answer = stack.function("paypay_kyc")(sample("paypay_kyc"))

    body = json.loads(answer["body"])
    assert answer["statusCode"] == 200
    assert set(body) == {"status", "readAt", "kyc"}
    assert body["status"] == "VERIFIED"
    assert body["kyc"]["lastName"] == box.paypay.register.user("user-0001").kyc.data["lastName"]
    assert body["readAt"].endswith("Z")


def test_each_read_verifies_stores_and_publishes(
    stack: Deployment, read: Read, product: str, box: RunningSandbox
) -> None:
    stack.published()
    answer = read()

    assert (answer["statusCode"], answer["json"]["status"]) == (200, "VERIFIED")
    assert calls(box, product) == 1
    status = stack.store.users.status("user-0001", "paypay")
    assert status is not None
    assert (status.status, status.provider_status, status.read_at) == ("VERIFIED", "SUCCESS", answer["json"]["readAt"])
    entry = last_entry(stack)
    assert (entry.what, entry.cause, entry.from_status, entry.to_status) == ("kyc_read", "api", "LINKED", "VERIFIED")
    assert entry.detail["product"] == product
    assert entry.detail["requestId"].startswith("OPA")
    moves = [(each["detail"]["from"], each["detail"]["to"]) for each in stack.published()]
    assert moves == [("LINKED", "VERIFIED")]


def test_the_snapshot_is_what_paypay_gave_at_the_documented_key(
    stack: Deployment, read: Read, product: str, box: RunningSandbox
) -> None:
    odd = {"unknownKey": [1, None, {"é": "架空"}], "status": None, "big": 12345678901234567890, "half": 0.5}
    box.paypay.register.user("user-0001").kyc.data.update(odd)
    answer = read()

    key = last_entry(stack).detail["snapshot"]
    body, content_type = stored(stack, key)
    path = PurePosixPath(key)
    assert path.parts[:3] == ("paypay", "user-0001", product)
    read_at, _, digest = path.stem.rpartition("-")
    assert digest == hashlib.sha256(body).hexdigest()
    assert "2026" <= read_at <= answer["json"]["readAt"]
    assert content_type == "application/json"
    assert json.loads(body) == answer["json"]["kyc"]
    kept = {name: json.loads(body)[name] for name in odd}
    assert kept == odd
    assert vault_keys(stack)[0] == key


def test_neither_a_missing_status_nor_an_empty_object_verifies_anybody(
    stack: Deployment, read: Read, box: RunningSandbox
) -> None:
    data = box.paypay.register.user("user-0001").kyc.data
    assert (read()["statusCode"], status_of(stack)) == (200, "VERIFIED")
    data.pop("status", None)
    assert (read()["statusCode"], status_of(stack)) == (200, "UNCONFIRMED")
    data["status"] = "COMPLETED"
    assert (read()["statusCode"], status_of(stack)) == (200, "VERIFIED")
    data.clear()
    assert (read()["statusCode"], status_of(stack)) == (200, "UNCONFIRMED")
    assert (last_entry(stack).detail["word"], last_entry(stack).detail["providerCode"]) == ("(absent)", "SUCCESS")
    assert stack.store.users.words("paypay").keys() == {"(absent)"}


def test_personal_data_is_in_the_vault_only(stack: Deployment, read: Read, box: RunningSandbox) -> None:
    data = {"lastName": "シルシ姓", "birthday": "1907-07-07", "phone": "09077777777"}
    box.paypay.register.user("user-0001").kyc.data.update(data)
    read()

    table = json.dumps(stack.items(), default=str, ensure_ascii=False)
    bus = json.dumps(stack.published(), ensure_ascii=False)
    assert not [value for value in data.values() if value in table + bus]


def test_every_read_is_kept_and_what_is_the_same_is_kept_once(
    stack: Deployment, box: RunningSandbox, merchant: Merchant
) -> None:
    merchant.link()
    merchant.kyc()
    first = last_entry(stack).detail
    merchant.kyc()
    again = last_entry(stack).detail
    merchant.passport()
    assert len(vault_keys(stack)) == 2
    assert (again["snapshot"], again["sha256"]) == (first["snapshot"], first["sha256"])
    assert again["requestId"] != first["requestId"]

    box.paypay.register.user("user-0001").kyc.data["lastName"] = "見本"
    merchant.kyc()

    assert len(vault_keys(stack)) == 3
    assert last_entry(stack).detail["snapshot"] not in (first["snapshot"], None)


def test_a_success_with_a_clean_answer_leaves_no_second_event_on_the_bus(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    merchant.kyc()
    stack.published()
    merchant.kyc()

    assert stack.published() == []


# --- the selfie ---


def test_the_selfie_lies_beside_its_snapshot(
    stack: Deployment, merchant: Merchant, code_id: str, box: RunningSandbox
) -> None:
    merchant.completed_qr(code_id)

    detail = last_entry(stack).detail
    image, content_type = stored(stack, detail["selfie"])
    assert detail["selfie"] == detail["snapshot"].removesuffix(".json") + ".selfie.png"
    assert (image, content_type) == (png(box.paypay.register.user("user-0001").selfie_id), "image/png")


@pytest.mark.parametrize("kind", ["not_found", "html", "too_large", "redirect", "slow"])
def test_a_selfie_that_cannot_be_fetched_does_not_cost_the_snapshot(
    stack: Deployment,
    merchant: Merchant,
    code_id: str,
    box: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    monkeypatch.setattr(paypay_selfie, "_TOTAL_S", 0.7)
    box.paypay.dials.put({"selfie": kind, "selfie_slow_s": 2})
    answer = merchant.completed_qr(code_id)

    detail = last_entry(stack).detail
    assert (answer["statusCode"], answer["json"]["status"], status_of(stack)) == (200, "VERIFIED", "VERIFIED")
    assert detail["selfie"] == "not_fetched"
    assert detail["selfieReason"]
    assert re.fullmatch(
        "UrlRefusedError|File(NotFetched|Gone|TooLarge)Error|TransferFailedError", detail["selfieError"]
    )
    assert vault_keys(stack) == [detail["snapshot"]]
    assert json.loads(stored(stack, detail["snapshot"])[0]) == answer["json"]["kyc"]
    assert "SelfieNotFetched" in counted(capsys)
    assert "signature" not in json.dumps(dict(detail))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/x.png?signature=secret",
        "https://169.254.169.254/latest/meta-data/",
        "http://selfies.paypay.ne.jp/x.png",
        "https://user@selfies.paypay.ne.jp/x.png",
        "file:///etc/passwd",
        "not a url",
        "https://[",
        "https://xn--.paypay.ne.jp/",
        "https://\u2100.paypay.ne.jp/",
        "https://a..paypay.ne.jp/",
        "https://" + "a" * 70 + ".paypay.ne.jp/",
        "\ufffe",
    ],
)
def test_a_selfie_address_that_breaks_a_rule_is_not_fetched(
    stack: Deployment, merchant: Merchant, code_id: str, box: RunningSandbox, url: str
) -> None:
    box.paypay.register.user("user-0001").kyc.data["selfieImageUrl"] = url
    answer = merchant.completed_qr(code_id)

    assert answer["statusCode"] == 200
    detail = last_entry(stack).detail
    assert detail["selfie"] == "not_fetched"
    assert url not in detail["selfieReason"]
    assert detail["selfieError"] in ("UrlRefusedError", "TransferFailedError")
    assert vault_keys(stack) == [detail["snapshot"]]


@pytest.mark.parametrize("value", [None, "", 1, ["https://x"], {}])
def test_a_selfie_address_that_is_none_says_nothing(
    stack: Deployment, merchant: Merchant, code_id: str, box: RunningSandbox, value: object
) -> None:
    box.paypay.register.user("user-0001").kyc.data["selfieImageUrl"] = value
    merchant.completed_qr(code_id)

    assert "selfie" not in last_entry(stack).detail


# --- answers about the user ---

ABOUT_THE_USER = {
    "KYC_NOT_COMPLETED": "NOT_COMPLETED",
    "NON_EKYC_USER": "NOT_COMPLETED",
    "UNACCEPTABLE_OP": "RISK_FLAGGED",
    "KYC_UPDATE_REQUIRED": "UPDATE_REQUIRED",
    "CANCELED_USER": "INACTIVE",
    "USER_STATE_IS_NOT_ACTIVE": "INACTIVE",
    "INVALID_USER_AUTHORIZATION_ID": "UNLINKED",
    "EXPIRED_USER_AUTHORIZATION_ID": "EXPIRED",
}


@pytest.mark.parametrize(("product", "code", "status"), in_turn(*ABOUT_THE_USER.items()))
def test_an_answer_about_the_user_is_a_200_with_its_status_and_no_kyc(
    stack: Deployment, read: Read, product: str, box: RunningSandbox, code: str, status: str
) -> None:
    box.paypay.dials.put({f"{product}_fault": code})
    answer = read()

    assert answer["statusCode"] == 200
    assert answer["json"] == {"status": status, "readAt": answer["json"]["readAt"]}
    assert status_of(stack) == status
    entry = last_entry(stack)
    assert (entry.what, entry.to_status, entry.detail["providerCode"]) == ("kyc_read", status, code)
    assert entry.detail["requestId"].startswith("OPA")
    assert calls(box, product) == 1
    assert vault_keys(stack) == []


def test_the_register_itself_gives_these_answers(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    """Not by a dial: a user who has no eKYC, and is read with and without asking for it."""
    merchant.link()
    box.paypay.register.user("user-0001").kyc.ekyc = False

    assert merchant.kyc()["json"]["status"] == "VERIFIED"
    assert merchant.kyc(requiredKycType="EKYC")["json"]["status"] == "NOT_COMPLETED"
    # The strictest type that was asked for holds from then on.
    assert merchant.kyc()["json"]["status"] == "NOT_COMPLETED"


def test_a_clean_plain_read_does_not_clear_a_risk_flag(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    merchant.link()
    box.paypay.register.user("user-0001").risk_flag = "UNACCEPTABLE_OP"
    assert merchant.passport()["json"]["status"] == "RISK_FLAGGED"
    assert merchant.kyc()["json"]["status"] == "RISK_FLAGGED"
    box.paypay.register.user("user-0001").risk_flag = None

    assert merchant.passport()["json"]["status"] == "VERIFIED"


# --- faults of ours, of the session, of PayPay ---


@pytest.mark.parametrize(("product", "code"), in_turn(("UNAUTHORIZED",), ("OP_OUT_OF_SCOPE",), ("EXPECTATION_FAILED",)))
def test_a_configuration_fault_is_a_502_and_a_metric(
    stack: Deployment,
    read: Read,
    product: str,
    box: RunningSandbox,
    capsys: pytest.CaptureFixture[str],
    code: str,
) -> None:
    box.paypay.dials.put({f"{product}_fault": code})
    answer = read()

    assert (answer["statusCode"], answer["json"]["providerCode"]) == (502, code)
    assert counted(capsys).count("ConfigurationFault") == 1
    entry = last_entry(stack)
    assert (entry.what, entry.from_status, entry.to_status) == ("kyc_read_failed", "LINKED", "LINKED")
    assert entry.detail["requestId"] == answer["json"]["providerRequestId"]
    assert calls(box, product) == 1


def test_unauthorized_reads_the_secret_again_once(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    merchant.link()
    stack.put_providers_secret(PROVIDERS | {"paypay_api_key": "rotated"})
    box.paypay.dials.put({"kyc_info_fault": {"kind": "UNAUTHORIZED", "times": 1}})
    answer = merchant.kyc()

    # The sandbox does not know the rotated key: the second call shows that the new one was used.
    assert answer["statusCode"] == 502
    assert calls(box, "kyc_info") == 2
    stack.put_providers_secret(PROVIDERS)
    assert merchant.kyc()["statusCode"] == 200


@pytest.mark.parametrize(
    ("product", "code"), in_turn(("INVALID_REQUEST_PARAMS",), ("MISSING_REQUEST_PARAMS",), ("INVALID_PARAMS",))
)
def test_a_refused_request_is_a_502(
    stack: Deployment, read: Read, product: str, box: RunningSandbox, code: str
) -> None:
    box.paypay.dials.put({f"{product}_fault": code})
    answer = read()

    assert (answer["statusCode"], answer["json"]["providerCode"]) == (502, code)
    assert calls(box, product) == 1
    assert last_entry(stack).what == "kyc_read_failed"


@pytest.mark.parametrize(("http_status", "tries"), [(400, 1), (403, 1), (409, 1), (500, 3), (503, 3)])
def test_an_unknown_code_is_told_verbatim_and_goes_by_its_class(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, http_status: int, tries: int
) -> None:
    merchant.link()
    box.paypay.dials.put({"kyc_info_fault": {"kind": "refuse", "code": "A_NEW_CODE", "status": http_status}})
    answer = merchant.kyc()

    # HTTP 503 is a 503, whatever else it says (docs/api.md).
    assert (answer["statusCode"], answer["json"]["providerCode"]) == (max(502, http_status), "A_NEW_CODE")
    assert calls(box, "kyc_info") == tries
    assert last_entry(stack).detail["providerCode"] == "A_NEW_CODE"


@pytest.mark.parametrize(("code", "status"), [("SESSION_NOT_FOUND", 404), ("KYC_PASSPORT_NOT_COMPLETED", 409)])
def test_an_answer_about_the_qr(
    stack: Deployment, merchant: Merchant, code_id: str, box: RunningSandbox, code: str, status: int
) -> None:
    box.paypay.dials.put({"kyc_passport_qr_fault": code})
    answer = merchant.completed_qr(code_id)

    assert (answer["statusCode"], answer["json"]["providerCode"]) == (status, code)
    assert calls(box, "kyc_passport_qr") == 1
    # The merchant asks every few seconds whether the user is done: that leaves nothing.
    left = "account_read" if code == "KYC_PASSPORT_NOT_COMPLETED" else "kyc_read_failed"
    assert (status_of(stack), last_entry(stack).what) == ("LINKED", left)


RETRYABLE = [
    ("RATE_LIMIT", 503, 1),
    ("http_429", 503, 1),
    ("MAINTENANCE_MODE", 503, 1),
    ("SERVICE_ERROR", 502, 3),
    ("INTERNAL_SERVER_ERROR", 502, 3),
    ("http_500", 502, 3),
    ("malformed", 502, 3),
    ("reset", 504, 3),
]


@pytest.mark.parametrize(("product", "kind", "status", "tries"), in_turn(*RETRYABLE))
def test_a_failure_of_paypay_is_tried_again_and_told(
    stack: Deployment, read: Read, product: str, box: RunningSandbox, kind: str, status: int, tries: int
) -> None:
    box.paypay.dials.put({f"{product}_fault": kind})
    answer = read()

    assert answer["statusCode"] == status
    assert header(answer, "Content-Type") == "application/problem+json"
    # The first reset is that of a kept-alive connection: that call goes out once more, on a fresh one.
    assert calls(box, product) == tries + (kind == "reset")
    assert (status_of(stack), last_entry(stack).what) == ("LINKED", "kyc_read_failed")
    assert vault_keys(stack) == []
    seconds = header(answer, "Retry-After")
    assert (seconds is not None) == (status == 503)
    assert kind != "MAINTENANCE_MODE" or int(seconds or 0) >= 300


@pytest.mark.parametrize(
    ("product", "kind"),
    in_turn(("SERVICE_ERROR",), ("INTERNAL_SERVER_ERROR",), ("http_500",), ("reset",)),
)
def test_a_passing_failure_is_not_seen_by_the_merchant(
    stack: Deployment, read: Read, product: str, box: RunningSandbox, kind: str
) -> None:
    box.paypay.dials.put({f"{product}_fault": {"kind": kind, "times": 2}})

    assert read()["statusCode"] == 200
    assert calls(box, product) == 3
    assert status_of(stack) == "VERIFIED"


def test_maintenance_of_all_of_paypay_is_a_503(merchant: Merchant, read: Read, box: RunningSandbox) -> None:
    box.paypay.dials.put({"maintenance": "on"})
    answer = read()

    assert (answer["statusCode"], header(answer, "Retry-After")) == (503, "300")


@pytest.mark.parametrize("kind", ["slow", "timeout"])
def test_a_read_time_out_is_tried_again_and_then_a_504(
    stack: Deployment,
    merchant: Merchant,
    box: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    merchant.link()
    send = http_client.send

    def impatient(provider: str, request: Any, *, deadline: http_client.Deadline, read_timeout_s: float) -> Any:
        assert read_timeout_s == 15
        return send(provider, request, deadline=deadline, read_timeout_s=0.3)

    monkeypatch.setattr(http_client, "send", impatient)
    box.paypay.dials.put({"kyc_info_fault": {"kind": kind, "seconds": 0.9}})
    answer = merchant.kyc()

    assert answer["statusCode"] == 504
    assert calls(box, "kyc_info") == 3
    assert last_entry(stack).detail["error"] == "ProviderTimeoutError"


def test_the_total_deadline_is_a_504_without_a_further_try(
    merchant: Merchant, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    merchant.link()
    monkeypatch.setattr(paypay_client, "Deadline", lambda _seconds: Deadline(0.5))
    box.paypay.dials.put({"kyc_info_fault": {"kind": "slow", "seconds": 1.5}})

    assert merchant.kyc()["statusCode"] == 504
    assert calls(box, "kyc_info") == 1


def test_nobody_at_paypays_address_is_a_503_since_nothing_was_sent(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    stack.parameters["PayPayBaseUrl"] = "http://127.0.0.1:1"

    assert Merchant(stack).kyc()["statusCode"] == 503


# --- who is asked about ---


@pytest.mark.parametrize("path", ["/paypay/users/user-0001/kyc", "/paypay/users/user-0001/kyc-passport"])
def test_without_a_link_it_is_a_409_that_says_how_to_link(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, path: str
) -> None:
    unknown = merchant.read(path)
    merchant.ask()
    pending = merchant.read(path)

    assert [unknown["statusCode"], pending["statusCode"]] == [409, 409]
    assert "POST /paypay/account-links" in unknown["json"]["detail"]
    assert pending["json"]["state"] == "LINK_PENDING"
    assert set(box.paypay.register.user("user-0001").calls) == {"link"}


def test_a_code_id_that_is_not_linked_yet_is_a_409(merchant: Merchant) -> None:
    code_id = merchant.ask(**PASSPORT)["json"]["codeId"]

    assert merchant.completed_qr(code_id)["statusCode"] == 409


@pytest.mark.parametrize("code_id", ["never-made", "x" * 255, "..", "%2e%2e"])
def test_an_unknown_code_id_is_a_404(merchant: Merchant, code_id: str) -> None:
    assert merchant.completed_qr(code_id)["statusCode"] == 404


@pytest.mark.parametrize("code_id", ["x" * 256, "日本"])
def test_a_code_id_that_cannot_be_one_is_refused(merchant: Merchant, code_id: str) -> None:
    assert merchant.completed_qr(code_id)["statusCode"] in (404, 422)


def test_another_kyc_type_is_a_422(merchant: Merchant, box: RunningSandbox) -> None:
    merchant.link()
    answer = merchant.kyc(requiredKycType="OTHER")

    assert answer["statusCode"] == 422
    assert calls(box, "kyc_info") == 0


def test_no_answer_holds_the_authorization_id(
    merchant: Merchant, read: Read, product: str, box: RunningSandbox
) -> None:
    latest = box.paypay.register.user("user-0001").latest()
    assert latest is not None
    answers = [read()]
    for kind in ("KYC_NOT_COMPLETED", "OP_OUT_OF_SCOPE", "SERVICE_ERROR", "reset"):
        box.paypay.dials.put({f"{product}_fault": kind})
        answers.append(read())

    assert latest.id not in json.dumps(answers)


def test_the_read_side_shows_the_reading(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    merchant.kyc()
    status = sample("kyc_status") | {"path": "/users/user-0001"}
    timeline = sample("kyc_status") | {"path": "/users/user-0001/timeline", "resource": "/users/{userId}/timeline"}
    read_side = stack.function("kyc_status")

    paypay = json.loads(read_side(status)["body"])["providers"]["paypay"]
    entries = json.loads(read_side(timeline)["body"])["entries"]
    assert (paypay["status"], paypay["providerStatus"]) == ("VERIFIED", "SUCCESS")
    assert [(entry["what"], entry["to"]) for entry in entries] == [
        ("kyc_read", "VERIFIED"),
        ("account_read", "LINKED"),
        ("linked", "LINKED"),
        ("link_requested", "LINK_PENDING"),
    ]
    assert all(entry["detail"].get("requestId", "OPA").startswith("OPA") for entry in entries)
