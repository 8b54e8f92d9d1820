"""The overview API: the routes as API Gateway calls them, over moto."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from honnin import aws, commit, overview_api
from honnin.status import PayPayStatus, VexoraStatus
from honnin.store import Certificate, Store, UserStatus
from honnin.times import jst_day, utc_text
from tests.fakes.deployment import Deployment, Function, sample


@pytest.fixture
def function(stack: Deployment) -> Function:
    return stack.function("overview")


@pytest.fixture
def store(stack: Deployment) -> Store:
    return Store("StateTable")


class Mover:
    """Moves users in the table, a second apart, now."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = datetime.now(UTC) - timedelta(hours=1)
        self.number = 0

    def __call__(self, user_id: str, status: str, provider: str = "paypay") -> str:
        self.number += 1
        self.now += timedelta(seconds=1)
        before = self.store.users.status(user_id, provider)
        facets = {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"} if provider == "paypay" else None
        after = before or UserStatus(user_id, provider, status, 0, facets=facets)
        after = replace(after, status=status, read_at=utc_text(self.now))
        self.store.events.apply(
            commit.effect(f"e-{self.number}", "kyc_read", before, after, {}, at=self.now, cause="webhook")
        )
        return utc_text(self.now)


@pytest.fixture
def move(store: Store) -> Mover:
    return Mover(store)


def get(function: Function, path: str, **query: str) -> tuple[int, dict[str, Any]]:
    event = sample("overview")
    event |= {
        "path": path,
        "resource": path,
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
    }
    answer = function(event)
    return answer["statusCode"], json.loads(answer["body"])


def post(function: Function, path: str, body: object) -> tuple[int, dict[str, Any]]:
    event = sample("overview")
    event |= {"path": path, "resource": path, "httpMethod": "POST", "body": json.dumps(body)}
    event |= {"queryStringParameters": None, "multiValueQueryStringParameters": None}
    answer = function(event)
    return answer["statusCode"], json.loads(answer["body"])


def rule(body: dict[str, Any]) -> tuple[str, str]:
    """Field and rule of a 422."""
    assert body["code"] == "field-invalid"
    return body["errors"][0]["field"], body["errors"][0]["rule"]


# --- users ---


def test_the_sample_event_lists_who_is_flagged_the_latest_change_first(function: Function, move: Mover) -> None:
    first = move("user-1", "RISK_FLAGGED")
    second = move("user-2", "RISK_FLAGGED")
    move("user-3", "VERIFIED")
    move("user-1", "RISK_FLAGGED")

    answer = function(sample("overview"))

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {
        "users": [
            {"userId": "user-2", "provider": "paypay", "status": "RISK_FLAGGED", "since": second},
            {"userId": "user-1", "provider": "paypay", "status": "RISK_FLAGGED", "since": first},
        ],
        "cursor": None,
        "rebuilding": False,
    }


def test_pages_chain_and_since_ends_them(function: Function, move: Mover) -> None:
    moments = [move(f"user-{number}", "VERIFIED") for number in range(7)]

    found: list[str] = []
    query = {"provider": "paypay", "status": "VERIFIED", "limit": "3", "since": moments[1]}
    while True:
        status, body = get(function, "/overview/users", **query)
        assert status == 200
        found += [each["userId"] for each in body["users"]]
        if body["cursor"] is None:
            break
        query["cursor"] = body["cursor"]

    assert found == ["user-6", "user-5", "user-4", "user-3", "user-2", "user-1"]


def test_since_may_be_a_day_in_japan(function: Function, move: Mover) -> None:
    move("user-1", "VERIFIED")
    today, tomorrow = (jst_day(move.now + timedelta(days=days)) for days in (0, 1))

    for since, number in ((today, 1), (tomorrow, 0)):
        _, body = get(function, "/overview/users", provider="paypay", status="VERIFIED", since=since)
        assert len(body["users"]) == number


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ({"status": "VERIFIED"}, ("provider", "is required")),
        ({"provider": "paypay"}, ("status", "is required")),
        ({"provider": "line", "status": "VERIFIED"}, ("provider", "must be vexora or paypay")),
        ({"provider": "vexora", "status": "VERIFIED"}, ("status", "must be a status of vexora: SUBMITTING")),
        ({"provider": "paypay", "status": "verified"}, ("status", "must be a status: LINK_PENDING")),
        (
            {"provider": "paypay", "status": "VERIFIED", "since": "2026-02-30"},
            ("since", "must be a date"),
        ),
        ({"provider": "paypay", "status": "VERIFIED", "since": "yesterday"}, ("since", "must be a day in Japan")),
        (
            {"provider": "paypay", "status": "VERIFIED", "since": "2026-02-01T25:00:00Z"},
            ("since", "must be a date and time that exists"),
        ),
        ({"provider": "paypay", "status": "VERIFIED", "limit": "0"}, ("limit", "must be 1 or more")),
        ({"provider": "paypay", "status": "VERIFIED", "limit": "101"}, ("limit", "must be 100 or less")),
        ({"provider": "paypay", "status": "VERIFIED", "limit": "many"}, ("limit", "must be a whole number")),
    ],
)
def test_what_is_wrong_with_a_list_is_said(function: Function, query: dict[str, str], broken: tuple[str, str]) -> None:
    status, body = get(function, "/overview/users", **query)

    assert status == 422
    field, said = rule(body)
    assert field == broken[0]
    assert said.startswith(broken[1])


def _forged(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def test_a_cursor_goes_with_its_own_list_alone(function: Function, move: Mover) -> None:
    for number in range(4):
        move(f"user-{number}", "VERIFIED")
        move(f"user-{number}", "APPROVED", "vexora")
    query = {"provider": "paypay", "status": "VERIFIED", "limit": "2"}
    cursor = get(function, "/overview/users", **query)[1]["cursor"]
    tag = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("#")[0]
    bad = [
        "",
        "x",
        "ハナコ",
        "====",
        cursor + "A",
        cursor[:-1],
        cursor + "=",
        _forged("2026-04-01T00:00:00.000Z#user"),
        _forged(f"{tag}#"),
        _forged(f"{tag}#~"),
        _forged(f"{tag}#2026-13-41T00:00:00.000Z#user-1"),
        _forged(f"{tag}#2026-04-01T00:00:00.000Z#user 1"),
        _forged(f"{tag}#2026-04-01T00:00:00.000Z#"),
    ]

    assert get(function, "/overview/users", **query, cursor=cursor)[0] == 200
    for other in ({"status": "LINKED"}, {"provider": "vexora", "status": "APPROVED"}, {"since": "2026-04-01"}):
        assert rule(get(function, "/overview/users", **{**query, **other}, cursor=cursor)[1])[0] == "cursor"
    assert rule(get(function, "/overview/changes", cursor=cursor)[1])[0] == "cursor"
    for each in bad:
        status, body = get(function, "/overview/users", **query, cursor=each)
        assert (status, rule(body)[0]) == (422, "cursor"), each
    assert get(function, "/overview/users", **query, cursor="A" * 1025)[0] == 422


@pytest.mark.parametrize(
    "path",
    ["/overview/users?provider=paypay&status=VERIFIED&since=2026-04-01", "/overview/changes", "/overview/expiring"],
)
@pytest.mark.parametrize("place", ["0001-01-01T00:00:00.000Z", "2020-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"])
def test_an_edited_cursor_is_no_error_of_ours(
    function: Function, store: Store, move: Mover, path: str, place: str
) -> None:
    """DynamoDB refuses a range that ends before it begins; moto does not (architect/dynalite, issue 55)."""

    def strict(params: dict[str, Any], **_: object) -> None:
        values = params["ExpressionAttributeValues"]
        low, high = (values.get(name) for name in ((":first", ":last") if ":first" in values else (":since", ":now")))
        assert low["S"] <= high["S"]

    for number in range(2):
        move(f"user-{number}", "VERIFIED")
        _linked(store, f"linked-{number}", datetime.now(UTC) + timedelta(days=3))
    route, _, text = path.partition("?")
    query = dict(each.split("=") for each in text.split("&") if each) | {"limit": "1"}
    cursor = get(function, route, **query)[1]["cursor"]
    tag = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split("#")[0]
    aws.dynamodb().meta.events.register("provide-client-params.dynamodb.Query", strict)

    assert get(function, route, **query, cursor=_forged(f"{tag}#{place}"))[0] in (200, 422)


@pytest.mark.parametrize(
    "path", ["/overview/users?provider=paypay&status=VERIFIED", "/overview/changes", "/overview/counts"]
)
def test_an_index_that_is_being_filled_is_said_to_be_so(function: Function, path: str) -> None:
    """A stack update that adds an index ends before DynamoDB has filled it."""

    def filling(**_: object) -> None:
        message = "Cannot read from backfilling global secondary index: overview"
        raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "Query")

    route, _, text = path.partition("?")
    get(function, "/overview/expiring")
    aws.dynamodb().meta.events.register("before-call.dynamodb.Query", filling)

    status, body = get(function, route, **dict(each.split("=") for each in text.split("&") if each))

    assert (status, body["code"]) == (503, "aws-busy")


# --- counts ---


def test_counts_name_every_status_of_both_providers(function: Function, move: Mover) -> None:
    for number in range(5):
        move(f"user-{number}", "LINKED")
        move(f"user-{number}", "VERIFIED")
    move("user-1", "APPROVED", "vexora")

    status, body = get(function, "/overview/counts")

    assert status == 200
    assert body["counts"] == {
        "vexora": dict.fromkeys(map(str, VexoraStatus), 0) | {"APPROVED": 1},
        "paypay": dict.fromkeys(map(str, PayPayStatus), 0) | {"VERIFIED": 5},
    }
    assert (body["approximate"], body["rebuilding"]) == (False, False)
    assert datetime.fromisoformat(body["countedAt"]).utcoffset() == timedelta(0)


def test_counts_that_find_no_time_are_marked_as_approximate(
    function: Function, move: Mover, monkeypatch: pytest.MonkeyPatch
) -> None:
    move("user-1", "VERIFIED")
    ticks = iter(range(100_000))
    monkeypatch.setattr("honnin.overview_api.monotonic", lambda: next(ticks))
    monkeypatch.setattr("honnin.overview_api._COUNTING_S", 300)

    assert get(function, "/overview/counts")[1]["approximate"] is True


def test_counts_that_find_no_time_at_all_are_a_503(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("honnin.overview_api._COUNTING_S", -1.0)

    status, body = get(function, "/overview/counts")

    assert (status, body["code"]) == (503, "aws-busy")


# --- lookup ---


def test_a_lookup_shows_both_providers_and_lists_who_is_unknown(function: Function, move: Mover) -> None:
    move("user-2", "VERIFIED")
    move("user-1", "APPROVED", "vexora")
    move("user-1", "LINKED")

    status, body = post(function, "/overview/lookup", {"userIds": ["user-1", "nobody", "user-2", "user-1", "nobody"]})

    assert status == 200
    assert [each["userId"] for each in body["users"]] == ["user-1", "user-2"]
    assert body["unknown"] == ["nobody"]
    assert {name: each["status"] for name, each in body["users"][0]["providers"].items()} == {
        "paypay": "LINKED",
        "vexora": "APPROVED",
    }
    assert (body["users"][1]["verified"], body["users"][1]["verifiedReason"]) == (True, "PAYPAY_VERIFIED")


def test_a_lookup_says_what_the_route_of_the_user_says(stack: Deployment, function: Function, move: Mover) -> None:
    for number in range(100):
        move(f"user-{number}", "VERIFIED" if number % 3 else "RISK_FLAGGED")
        if number % 2:
            move(f"user-{number}", "APPROVED", "vexora")

    _, body = post(function, "/overview/lookup", {"userIds": [f"user-{number}" for number in range(100)]})

    assert len(body["users"]) == 100
    one = sample("kyc_status")
    one |= {"path": "/users/user-63", "pathParameters": {"userId": "user-63"}}
    assert body["users"][63] == json.loads(stack.function("kyc_status")(one)["body"])


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ({}, ("userIds", "is required")),
        ({"userIds": []}, ("userIds", "must not be empty")),
        ({"userIds": [f"u-{number}" for number in range(101)]}, ("userIds", "must have 100 entries or fewer")),
        ({"userIds": "user-1"}, ("userIds", "must be a list")),
        ({"userIds": [1]}, ("userIds.0", "must be text")),
        ({"userIds": ["user-1", "ハナコ"]}, ("userIds.1", "must be letters, digits")),
        ({"userIds": ["."]}, ("userIds.0", "must be letters, digits")),
        ({"userids": ["user-1"]}, ("userIds", "is required")),
        ({"userIds": ["user-1"], "limit": 3}, ("?", "is not a field of this request")),
    ],
)
def test_what_is_wrong_with_a_lookup_is_said(function: Function, body: object, broken: tuple[str, str]) -> None:
    status, answer = post(function, "/overview/lookup", body)

    assert status == 422
    field, said = rule(answer)
    assert field == broken[0]
    assert said.startswith(broken[1])


# --- changes ---


def test_the_changes_of_today_are_the_default_the_latest_first(function: Function, move: Mover) -> None:
    # Of one day, whatever the hour of the test is.
    move.now = datetime.now(UTC) - timedelta(seconds=10)
    first, second = move("user-1", "LINKED"), move("user-1", "VERIFIED")
    move("user-1", "VERIFIED")
    day = jst_day(move.now)

    status, body = get(function, "/overview/changes", **{"from": jst_day(move.now - timedelta(days=1)), "to": day})

    assert status == 200
    both: list[dict[str, str | None]] = [
        {"at": second, "from": "LINKED", "to": "VERIFIED", "eventId": "e-2"},
        {"at": first, "from": None, "to": "LINKED", "eventId": "e-1"},
    ]
    shared: dict[str, str | None] = {"userId": "user-1", "provider": "paypay", "cause": "webhook"}
    assert body == {"changes": [shared | each for each in both], "cursor": None, "rebuilding": False}
    assert get(function, "/overview/changes")[0] == 200


def test_changes_chain_over_days_and_are_filtered(function: Function, move: Mover) -> None:
    move.now -= timedelta(days=3)
    for number in range(9):
        move(f"user-{number}", "VERIFIED" if number % 3 else "RISK_FLAGGED")
        move.now += timedelta(hours=8)
    query = {"from": jst_day(move.now - timedelta(days=4)), "to": jst_day(move.now), "limit": "2"}

    for more, expected in (({}, 9), ({"toStatus": "RISK_FLAGGED"}, 3), ({"provider": "vexora"}, 0)):
        found: list[str] = []
        asked = {**query, **more}
        while True:
            status, body = get(function, "/overview/changes", **asked)
            assert status == 200
            found += [each["eventId"] for each in body["changes"]]
            if body["cursor"] is None:
                break
            asked["cursor"] = body["cursor"]
        assert len(found) == len(set(found)) == expected
        assert found == sorted(found, key=lambda each: int(each[2:]), reverse=True)


@pytest.mark.parametrize(
    ("query", "broken"),
    [
        ({"from": "2026-04-02", "to": "2026-04-01"}, ("from", "must not be after `to`")),
        ({"from": "2025-01-01", "to": "2026-04-01"}, ("from", "must be less than 366 days before `to`")),
        ({"from": "2025-02-29", "to": "2025-03-01"}, ("from", "must be a date that exists")),
        ({"to": "2026-4-1"}, ("to", "must be a day in Japan")),
        ({"from": "0001-01-01"}, ("from", "must be a day in Japan")),
        ({"toStatus": "GONE"}, ("toStatus", "must be a status: ")),
        ({"provider": "vexora", "toStatus": "LINKED"}, ("toStatus", "must be a status of vexora")),
        ({"provider": "PayPay"}, ("provider", "must be vexora or paypay")),
    ],
)
def test_what_is_wrong_with_changes_is_said(function: Function, query: dict[str, str], broken: tuple[str, str]) -> None:
    status, body = get(function, "/overview/changes", **query)

    assert status == 422
    field, said = rule(body)
    assert field == broken[0]
    assert said.startswith(broken[1])


@pytest.mark.parametrize("first", [None, "2026-03-31"])
def test_pages_go_on_when_another_day_has_begun(store: Store, move: Mover, first: str | None) -> None:
    move.now = datetime(2026, 4, 1, 14, 50, tzinfo=UTC)
    for number in range(5):
        move(f"user-{number}", "VERIFIED")
    now, cursor = datetime(2026, 4, 1, 14, 59, tzinfo=UTC), None
    found: list[str] = []
    while not found or cursor:
        page = overview_api.changes(
            store, now, first=first, last=None, provider=None, to_status=None, limit=2, cursor=cursor
        )
        found += [each.event_id for each in page.changes]
        cursor, now = page.cursor, now + timedelta(minutes=2)

    assert found == ["e-5", "e-4", "e-3", "e-2", "e-1"]


def test_a_day_far_ahead_or_long_ago_is_empty(function: Function, move: Mover) -> None:
    move("user-1", "VERIFIED")

    for day in ("2000-01-01", "2099-12-31"):
        assert get(function, "/overview/changes", **{"from": day, "to": day})[1]["changes"] == []


# --- expiring ---


def _linked(store: Store, user_id: str, ends_at: datetime, *, residence_ends_on: str | None = None) -> None:
    facets = {"link": "ACTIVE", "kyc": "VERIFIED", "flag": "NONE"}
    after = UserStatus(
        *(user_id, "paypay", "VERIFIED", 0),
        user_authorization_id=f"auth-{user_id}",
        facets=facets,
        link_expires_at=utc_text(ends_at),
        residence_ends_on=residence_ends_on,
    )
    made = commit.effect(f"link:{user_id}", "linked", None, after, {}, at=datetime.now(UTC))
    store.events.apply(replace(made, links=True))


def test_what_ends_is_listed_the_earliest_first(function: Function, store: Store) -> None:
    now = datetime.now(UTC)
    for number in (12, 3, 29, 31, 7):
        _linked(store, f"user-{number}", now + timedelta(days=number, hours=1))
    _linked(store, "ended", now - timedelta(hours=1))

    status, body = get(function, "/overview/expiring")

    assert status == 200
    assert [each["userId"] for each in body["expiring"]] == ["user-3", "user-7", "user-12", "user-29"]
    assert body["expiring"][0] == {
        "userId": "user-3",
        "provider": "paypay",
        "what": "link",
        "endsAt": utc_text(now + timedelta(days=3, hours=1)),
    }
    assert body["cursor"] is None
    for within in ("8", "8d"):
        assert len(get(function, "/overview/expiring", within=within)[1]["expiring"]) == 2


def test_pages_of_what_ends_at_the_same_moment_chain(function: Function, store: Store) -> None:
    now = datetime.now(UTC)
    day = jst_day(now + timedelta(days=9))
    for number in range(11):
        _linked(store, f"user-{number:02}", now + timedelta(days=5), residence_ends_on=day)
    _linked(store, "later", now + timedelta(days=20))

    found: list[tuple[str, str]] = []
    query = {"within": "30d", "limit": "4"}
    while True:
        status, body = get(function, "/overview/expiring", **query)
        assert status == 200
        found += [(each["what"], each["userId"]) for each in body["expiring"]]
        if body["cursor"] is None:
            break
        query["cursor"] = body["cursor"]

    numbers = [f"user-{number:02}" for number in range(11)]
    assert found == [
        *(("link", each) for each in numbers),
        *(("residence", each) for each in numbers),
        ("link", "later"),
    ]
    assert rule(get(function, "/overview/expiring", **{**query, "within": "20d"})[1])[0] == "cursor"


@pytest.mark.parametrize("within", ["0", "0d", "367", "-1", "30 days", "d", "", "1e2", "３０"])
def test_what_is_no_number_of_days_is_refused(function: Function, within: str) -> None:
    status, body = get(function, "/overview/expiring", within=within)

    assert (status, rule(body)) == (422, ("within", "must be a number of days from 1 to 366, such as 30d"))


def test_an_erased_user_ends_nowhere(function: Function, store: Store) -> None:
    _linked(store, "user-1", datetime.now(UTC) + timedelta(days=5))
    certificate = Certificate("c", "user-1", utc_text(datetime.now(UTC)))
    store.erasure.begin(certificate)
    statuses = store.erasure.forget(store.erasure.footprint("user-1"), certificate, lambda _: [], [])
    assert statuses is not None
    assert store.erasure.settle(certificate, statuses, certificate.begun_at)

    assert get(function, "/overview/expiring")[1]["expiring"] == []
    assert get(function, "/overview/users", provider="paypay", status="VERIFIED")[1]["users"] == []


# --- rebuilding ---


def test_lists_say_that_the_index_is_being_rebuilt(function: Function, store: Store, move: Mover) -> None:
    move("user-1", "VERIFIED")
    started = store.reindex.begin("2026-04-01T00:00:00.000Z", 1)

    paths = {"/overview/users": {"provider": "paypay", "status": "VERIFIED"}, "/overview/counts": {}}
    paths |= {"/overview/changes": {}}
    for path, query in paths.items():
        assert get(function, path, **query)[1]["rebuilding"] is True, path
    store.reindex.run(started, lambda _: None)
    for path, query in paths.items():
        assert get(function, path, **query)[1]["rebuilding"] is False, path


def test_there_is_no_such_route(function: Function) -> None:
    assert get(function, "/overview/everything")[0] == 404
