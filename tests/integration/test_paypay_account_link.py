"""Account linking from the merchant's request over PayPay's page and back, to the table and the bus."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aws_lambda_powertools.utilities import parameters
from aws_lambda_powertools.utilities.parameters import SecretsProvider

from honnin import secret_store
from honnin.paypay import client as paypay_client
from honnin.paypay import pkce
from honnin.paypay.link_page import _HEADERS
from honnin.paypay.models import AccountLink
from sandbox.paypay.account import PayPayAccount
from sandbox.paypay.response_token import TOKEN_KINDS, response_token
from sandbox.server import RunningSandbox
from tests.fakes.deployment import PAYPAY_SCOPES, PROVIDERS, RETURN_URL, WEBHOOK_API_URL, Deployment, header, sample
from tests.fakes.merchant import Merchant

PASSPORT: dict[str, Any] = {"accountLinkFlow": "KYC_PASSPORT", "kycPassport": {}}
HOSTILE = [kind for kind in TOKEN_KINDS if kind != "good"]


@pytest.fixture
def merchant(stack: Deployment, monkeypatch: pytest.MonkeyPatch) -> Merchant:
    monkeypatch.setattr(paypay_client, "_PAUSE_S", 0.0)
    return Merchant(stack)


def status_of(stack: Deployment, user_id: str = "user-0001") -> str:
    status = stack.store.users.status(user_id, "paypay")
    return status.status if status else ""


def authorization_id(box: RunningSandbox, user_id: str = "user-0001") -> str:
    latest = box.paypay.register.user(user_id).latest()
    assert latest is not None
    return latest.id


def frozen(stack: Deployment) -> str:
    """The whole table, to be compared."""
    return json.dumps(sorted(stack.items(), key=lambda item: (item["pk"], item["sk"])), default=str)


def refused(answer: dict[str, Any]) -> bool:
    """Whether it is the plain page with status 400, of one's own headers, that leads nowhere."""
    page = answer["body"]
    return (
        answer["statusCode"] == 400
        and str(header(answer, "Content-Type")).startswith("text/html")
        and header(answer, "Location") is None
        and "start again" in page
        and "<script" not in page
    )


def what(stack: Deployment, user_id: str = "user-0001") -> list[tuple[str, str | None, str]]:
    """The timeline, oldest first."""
    entries, _ = stack.store.users.timeline(user_id, 100)
    return [(entry.what, entry.from_status, entry.to_status) for entry in reversed(entries)]


# --- creating the QR ---


def test_the_sample_event_creates_a_qr(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    answer = stack.function("paypay_account_link")(sample("paypay_account_link"))

    body = json.loads(answer["body"])
    assert answer["statusCode"] == 201
    assert body["linkQRCodeURL"].startswith(box.url + "/paypay/link/")
    assert body["qrSvg"].startswith("<svg")
    assert body["qrSvg"].endswith("</svg>")
    assert body["codeId"] is None
    assert body["expiresAt"].endswith("Z")
    assert status_of(stack) == "LINK_PENDING"
    assert what(stack) == [("link_requested", None, "LINK_PENDING")]


def test_what_paypay_gets_is_the_merchants_request_and_our_own_fields(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    create = paypay_client.PayPayClient.create_account_link

    def spy(self: paypay_client.PayPayClient, request: Any) -> Any:
        sent.append(request)
        return create(self, request)

    monkeypatch.setattr(paypay_client.PayPayClient, "create_account_link", spy)
    fields: dict[str, Any] = {
        "redirectType": "WEB_LINK",
        "phoneNumber": "09000000000",
        "userAgent": "Mozilla/5.0",
        "kycData": {"lastName": "架空"},
    }
    assert merchant.ask(**fields)["statusCode"] == 201

    body = sent[0]
    assert {name: body[name] for name in fields} == fields
    assert (body["scopes"], body["referenceId"]) == (list(PAYPAY_SCOPES), "user-0001")
    assert body["redirectUrl"] == f"{WEBHOOK_API_URL}/paypay/account-links/callback"
    assert set(body) == {*fields, "scopes", "nonce", "redirectUrl", "referenceId"}
    assert len(body["nonce"]) >= 22
    assert "returnUrl" not in body


def test_every_qr_has_a_nonce_of_its_own(merchant: Merchant, box: RunningSandbox) -> None:
    merchant.ask()
    merchant.ask()

    sessions = box.paypay.register.user("user-0001").sessions
    assert len({session.link.nonce for session in sessions}) == 2


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"userId": ...}, "userId"),
        ({"userId": "a b"}, "userId"),
        ({"scopes": ...}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["Get_kyc"]}, "scopes.0"),
        ({"returnUrl": ...}, "returnUrl"),
        ({"returnUrl": "https://evil.example/"}, "returnUrl"),
        ({"redirectType": "QR"}, "redirectType"),
        ({"userAgent": "x" * 256}, "userAgent"),
        ({"phoneNumber": "call me"}, "phoneNumber"),
        ({"kycData": []}, "kycData"),
        ({"accountLinkFlow": "OTHER"}, "accountLinkFlow"),
        ({"accountLinkFlow": "KYC_PASSPORT"}, "kycPassport"),
        ({"kycPassport": {}}, "kycPassport"),
        ({"nonce": "mine"}, "nonce"),
        ({"redirectUrl": "https://evil.example"}, "redirectUrl"),
        ({"referenceId": "other"}, "referenceId"),
        ({"deviceId": "x"}, "deviceId"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_request_that_breaks_a_rule_is_a_422_that_names_the_field(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, fields: dict[str, Any], named: str
) -> None:
    answer = merchant.ask(**fields)

    assert answer["statusCode"] == 422
    assert named in [error["field"] for error in answer["json"]["errors"]]
    assert stack.items() == []
    assert box.paypay.register.keys() == []


@pytest.mark.parametrize("text", ['"\\ud800"', "NaN", "Infinity", "1e999"])
def test_json_that_paypay_could_not_read_is_refused_before_it_is_sent(
    merchant: Merchant, box: RunningSandbox, text: str
) -> None:
    body = '{"userId": "user-0001", "scopes": ["a"], "returnUrl": "https://shop.example.jp/kyc", "kycData": {"x": %s}}'

    assert merchant.post(body % text)["statusCode"] in (400, 422)
    assert box.paypay.register.keys() == []


@pytest.mark.parametrize(
    ("kind", "status", "calls"),
    [
        ("EXPECTATION_FAILED", 502, 1),
        ("INVALID_REQUEST_PARAMS", 502, 1),
        ("MISSING_REQUEST_PARAMS", 502, 1),
        ("OP_OUT_OF_SCOPE", 502, 1),
        ("SERVICE_ERROR", 502, 3),
        ("INTERNAL_SERVER_ERROR", 502, 3),
        ("RATE_LIMIT", 503, 1),
        ("MAINTENANCE_MODE", 503, 1),
        ("reset", 504, 3),
    ],
)
def test_a_failure_of_paypay_is_a_problem_and_leaves_no_session(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, kind: str, status: int, calls: int
) -> None:
    box.paypay.dials.put({"link_fault": kind})
    answer = merchant.ask()

    assert (answer["statusCode"], answer["json"]["provider"]) == (status, "paypay")
    assert header(answer, "Content-Type") == "application/problem+json"
    assert (header(answer, "Retry-After") is not None) == (status == 503)
    assert box.paypay.register.user("user-0001").calls["link"] == calls
    assert stack.items() == []


def test_a_failure_for_a_known_user_is_on_the_timeline_with_its_request_id(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    merchant.link()
    box.paypay.dials.put({"link_fault": "EXPECTATION_FAILED"})
    answer = merchant.ask()

    entry = stack.store.users.timeline("user-0001", 1)[0][0]
    assert (entry.what, entry.from_status, entry.to_status) == ("link_request_failed", "LINKED", "LINKED")
    assert entry.detail["providerCode"] == "EXPECTATION_FAILED"
    assert entry.detail["requestId"] == answer["json"]["providerRequestId"]
    assert entry.detail["requestId"].startswith("OPA")


def test_a_success_has_its_request_id_on_the_timeline(stack: Deployment, merchant: Merchant) -> None:
    merchant.ask()

    assert stack.store.users.timeline("user-0001", 1)[0][0].detail["requestId"].startswith("OPA")


# --- coming back ---


def test_allow_links_the_user_and_sends_the_browser_on(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    answer = merchant.come_back(merchant.press(merchant.ask()))

    assert (answer["statusCode"], header(answer, "Location")) == (303, f"{RETURN_URL}&result=succeeded")
    assert {name: header(answer, name) for name in _HEADERS} == _HEADERS
    status = stack.store.users.status("user-0001", "paypay")
    assert status is not None
    assert (status.status, status.provider_status, status.scopes) == ("LINKED", "ACTIVE", PAYPAY_SCOPES)
    assert status.link_expires_at is not None
    assert stack.store.links.user(authorization_id(box)) == "user-0001"
    assert what(stack)[1:] == [("linked", "LINK_PENDING", "LINKED"), ("account_read", "LINKED", "LINKED")]
    moves = [(each["detail"].get("from"), each["detail"]["to"]) for each in stack.published()]
    assert moves == [(None, "LINK_PENDING"), ("LINK_PENDING", "LINKED")]


def test_the_read_side_shows_the_link_and_its_scopes(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    event = sample("kyc_status") | {"path": "/users/user-0001"}
    answer = json.loads(stack.function("kyc_status")(event)["body"])

    paypay = answer["providers"]["paypay"]
    assert set(paypay) == {"status", "providerStatus", "readAt", "scopes", "linkExpiresAt", "facets", "version"}
    assert paypay["facets"] == {"link": "ACTIVE", "kyc": "UNREAD", "flag": "NONE"}
    assert (paypay["status"], paypay["scopes"]) == ("LINKED", list(PAYPAY_SCOPES))
    status = stack.store.users.status("user-0001", "paypay")
    assert status
    assert paypay["version"] == status.version


def test_decline_is_a_status_that_the_user_caused(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    answer = merchant.come_back(merchant.press(merchant.ask(), "decline"))

    assert (answer["statusCode"], header(answer, "Location")) == (303, f"{RETURN_URL}&result=declined")
    assert status_of(stack) == "LINK_DECLINED"
    assert what(stack)[1:] == [("link_declined", "LINK_PENDING", "LINK_DECLINED")]
    published = stack.published()[-1]["detail"]
    assert (published["to"], published["cause"], published["verified"]) == ("LINK_DECLINED", "user", False)
    assert not [item for item in stack.items() if item["pk"].startswith("PAYPAY#")]


def test_bad_request_leaves_the_status_and_says_so(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    box.paypay.dials.put({"link_result": "bad_request"})
    answer = merchant.come_back(merchant.press(merchant.ask()))

    assert (answer["statusCode"], header(answer, "Location")) == (303, f"{RETURN_URL}&result=bad_request")
    assert status_of(stack) == "LINK_PENDING"


def test_a_declined_second_link_does_not_touch_the_first(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    answer = merchant.come_back(merchant.press(merchant.ask(), "decline"))

    assert answer["statusCode"] == 303
    assert status_of(stack) == "LINKED"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_token_gives_the_400_page_and_changes_nothing(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, kind: str
) -> None:
    box.paypay.dials.put({"token": kind})
    location = merchant.press(merchant.ask())
    before = frozen(stack)

    answer = merchant.come_back(location)

    assert refused(answer)
    assert frozen(stack) == before
    assert parse_qs(urlsplit(location).query)["responseToken"][0] not in json.dumps(answer)
    assert {name: header(answer, name) for name in _HEADERS} == _HEADERS


FORGED = {
    "wrong_key": 1,  # a signature of another secret: it may have been rotated, so it is read once more
    "alg_none": 0,
    "expired": 0,
    "wrong_iss": 0,
    "other_nonce": 0,
    "malformed": 0,
}


@pytest.mark.parametrize("kind", FORGED)
def test_two_hundred_forged_redirects_read_the_secret_once_at_most(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    box.paypay.dials.put({"token": "good" if kind == "malformed" else kind})
    location = merchant.press(merchant.ask())
    if kind == "malformed":
        location = location[:-20]
    read: list[str] = []
    get = SecretsProvider._get

    def counted(self: SecretsProvider, name: str, **options: Any) -> Any:
        read.append(name)
        return get(self, name, **options)

    monkeypatch.setattr(SecretsProvider, "_get", counted)

    assert {merchant.come_back(location)["statusCode"] for _ in range(200)} == {400}
    assert len(read) <= max(FORGED[kind], kind == "malformed")


def test_a_token_under_a_rotated_secret_is_taken_at_once(stack: Deployment, merchant: Merchant) -> None:
    location = merchant.press(merchant.ask())
    stack.put_providers_secret(PROVIDERS | {"paypay_api_secret": "b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ="})
    parameters.clear_caches()  # type: ignore[no-untyped-call]  # Powertools leaves it untyped
    secret_store.paypay_credentials()
    stack.put_providers_secret(PROVIDERS)

    assert merchant.come_back(location)["statusCode"] == 303


@pytest.mark.parametrize("query", ["", "?responseToken=", "?responseToken=x", "?responseToken=%00", "?other=1"])
def test_a_visit_without_a_token_gives_the_400_page(stack: Deployment, merchant: Merchant, query: str) -> None:
    assert refused(merchant.come_back(f"{WEBHOOK_API_URL}/paypay/account-links/callback{query}"))
    assert stack.items() == []


def test_an_expired_session_is_refused_though_its_token_still_lives(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    box.paypay.dials.put({"token_ttl_s": 3600})
    location = merchant.press(merchant.ask())
    before = frozen(stack)

    # The token's 30 s of leeway are still running.
    stack.pass_time(minutes=60, seconds=2)
    assert refused(merchant.come_back(location))
    assert frozen(stack) == before


@pytest.mark.parametrize(("minutes", "status"), [(5, 400), (49, 400), (51, 303), (10080, 303)])
def test_the_sessions_life_is_a_parameter(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, minutes: int, status: int
) -> None:
    stack.parameters["PayPayLinkSessionMinutes"] = str(minutes)
    box.paypay.dials.put({"token_ttl_s": 3600})
    asked = merchant.ask()
    ends = datetime.fromisoformat(asked["json"]["expiresAt"]) - datetime.now(UTC)
    location = merchant.press(asked)

    stack.pass_time(minutes=50)
    assert merchant.come_back(location)["statusCode"] == status
    assert timedelta(minutes=minutes - 1) < ends <= timedelta(minutes=minutes)


def test_a_session_lives_until_it_expires(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    box.paypay.dials.put({"token_ttl_s": 3600})
    location = merchant.press(merchant.ask())

    stack.pass_time(minutes=59)
    assert merchant.come_back(location)["statusCode"] == 303


def token_for(box: RunningSandbox, nonce: str, user_id: str, uaid: str = "uaid-made", result: str = "succeeded") -> str:
    """A token that PayPay could have signed, for any nonce and user."""
    claims = {"result": result, "nonce": nonce, "referenceId": user_id, "userAuthorizationId": uaid}
    return "https://x/?responseToken=" + response_token(
        PayPayAccount(), claims, now=box.sandbox.core.clock.now(), ttl_s=300
    )


def nonce_of(box: RunningSandbox, user_id: str = "user-0001") -> str:
    return box.paypay.register.user(user_id).sessions[-1].link.nonce


def test_the_nonce_of_another_user_is_refused(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    merchant.ask("user-0001")
    merchant.ask("user-0002")
    before = frozen(stack)

    assert refused(merchant.come_back(token_for(box, nonce_of(box, "user-0001"), "user-0002")))
    assert frozen(stack) == before


def test_an_unknown_nonce_is_refused(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    merchant.ask()
    before = frozen(stack)

    assert refused(merchant.come_back(token_for(box, "never-made", "user-0001")))
    assert frozen(stack) == before


def test_the_same_token_again_is_answered_the_same_and_changes_nothing(stack: Deployment, merchant: Merchant) -> None:
    location = merchant.press(merchant.ask())
    first = merchant.come_back(location)
    before = frozen(stack)
    again = merchant.come_back(location)

    assert (first["statusCode"], header(first, "Location")) == (again["statusCode"], header(again, "Location"))
    assert frozen(stack) == before


@pytest.mark.parametrize("decision", ["allow", "decline"])
def test_a_used_nonce_takes_no_other_token(
    stack: Deployment, merchant: Merchant, box: RunningSandbox, decision: str
) -> None:
    merchant.come_back(merchant.press(merchant.ask(), decision))
    before = frozen(stack)

    assert refused(merchant.come_back(token_for(box, nonce_of(box), "user-0001", "uaid-other")))
    assert frozen(stack) == before


def test_a_double_redirect_links_once(stack: Deployment, merchant: Merchant, box: RunningSandbox) -> None:
    """The sandbox asks for the redirect once more by itself; both visits are played to the function here."""
    visited: list[str] = []
    box.paypay.linking.visit, visit = lambda url: visited.append(url), box.paypay.linking.visit
    try:
        box.paypay.dials.put({"double_redirect": "on"})
        location = merchant.press(merchant.ask())
        box.sandbox.core.clock.advance(1)
        answers = [merchant.come_back(location), merchant.come_back(location)]
    finally:
        box.paypay.linking.visit = visit

    assert [answer["statusCode"] for answer in answers] == [303, 303]
    assert [entry for entry in what(stack) if entry[0] == "linked"] == [("linked", "LINK_PENDING", "LINKED")]


def test_an_account_linked_to_another_user_is_refused(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    merchant.link("user-0001")
    merchant.ask("user-0002")
    before = frozen(stack)

    answer = merchant.come_back(token_for(box, nonce_of(box, "user-0002"), "user-0002", authorization_id(box)))

    assert refused(answer)
    assert frozen(stack) == before
    assert stack.store.links.user(authorization_id(box)) == "user-0001"


def test_a_renewed_link_of_the_same_user_is_taken(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    merchant.link(scopes=["get_kyc_info"])

    status = stack.store.users.status("user-0001", "paypay")
    assert status is not None
    # The same authorization keeps what it had and gains what is new.
    assert status.status == "LINKED"
    assert status.scopes == ("get_kyc_info", "mini_app_kyc_passport", "kyc_passport_qr")


def test_a_new_qr_does_not_take_a_verified_status_away(stack: Deployment, merchant: Merchant) -> None:
    merchant.link()
    assert merchant.kyc()["json"]["status"] == "VERIFIED"
    merchant.ask()

    assert status_of(stack) == "VERIFIED"


def test_the_authorization_id_is_nowhere_that_the_browser_sees(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    asked = merchant.ask(**PASSPORT)
    location = merchant.press(asked)
    answers = [asked, merchant.come_back(location), merchant.come_back(location)]
    box.paypay.dials.put({"token": "wrong_iss"})
    answers.append(merchant.come_back(merchant.press(merchant.ask())))
    uaid = authorization_id(box)

    assert [answer["statusCode"] for answer in answers] == [201, 303, 303, 400]
    assert not [answer for answer in answers if uaid in json.dumps(answer)]


def test_a_rotated_secret_is_read_again_for_the_call(stack: Deployment, merchant: Merchant) -> None:
    """The warm function holds the old secret; PayPay refuses it, and the new one is read at once."""
    stack.put_providers_secret(PROVIDERS | {"paypay_api_secret": "b2xkLXNlY3JldC1vbGQtc2VjcmV0LW9sZC1zZWNyZXQ="})
    stack.enter("paypay_account_link")
    secret_store.paypay_credentials()
    stack.put_providers_secret(PROVIDERS)

    assert merchant.ask()["statusCode"] == 201


def test_an_unset_audience_is_a_500_that_names_it(stack: Deployment) -> None:
    stack.parameters["PayPayTokenAudience"] = ""
    answer = Merchant(stack).ask()

    assert answer["statusCode"] == 500
    assert "PAYPAY_TOKEN_AUDIENCE" in answer["json"]["detail"]


# --- the KYC Passport flow ---


def test_the_kyc_passport_flow_ends_verified_without_the_caller_knowing_the_verifier(
    stack: Deployment, merchant: Merchant, box: RunningSandbox
) -> None:
    asked = merchant.ask(accountLinkFlow="KYC_PASSPORT", kycPassport={"hint": "x"})
    code_id = asked["json"]["codeId"]
    before_linking = merchant.completed_qr(code_id)
    merchant.come_back(merchant.press(asked))
    done = merchant.completed_qr(code_id)

    assert asked["statusCode"] == 201
    assert before_linking["statusCode"] == 409
    assert (done["statusCode"], done["json"]["status"]) == (200, "VERIFIED")
    known = stack.store.links.passport_qr(code_id)
    assert known is not None
    assert 43 <= len(known.code_verifier) <= 64
    challenge = box.paypay.register.user("user-0001").sessions[0].link.code_challenge
    assert pkce.challenge(known.code_verifier) == challenge
    assert known.code_verifier not in json.dumps([asked, done])


@pytest.mark.parametrize("place", ["kycPassport.codeChallenge", "kycPassport.pkce.challenge", "codeChallenge"])
def test_the_challenge_stands_where_the_parameter_says(
    stack: Deployment, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    sent: list[Any] = []

    def spy(_self: object, request: Any) -> Any:
        sent.append(request)
        return AccountLink("https://qr.example/1", "code-1", None)

    monkeypatch.setattr(paypay_client.PayPayClient, "create_account_link", spy)
    stack.parameters["PayPayPkceField"] = place
    Merchant(stack).ask(accountLinkFlow="KYC_PASSPORT", kycPassport={"hint": "x"})

    found = sent[0]
    for name in place.split("."):
        found = found[name]
    known = stack.store.links.passport_qr("code-1")
    assert known is not None
    assert found == pkce.challenge(known.code_verifier)
    assert sent[0]["kycPassport"]["hint"] == "x"
