"""PayPay's notifications from the webhook to the table, the vault and the bus, read back from the sandbox."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pytest

from honnin import worker
from honnin.paypay.client import PayPayClient
from honnin.publish import Publisher
from honnin.store import TimelineEntry, UserStatus
from sandbox.server import RunningSandbox
from tests.fakes import counts
from tests.fakes.deployment import Deployment, Function, sample, sqs_record
from tests.fakes.merchant import Merchant
from tests.paypay_answers import STATUS_OF

USER = "user-0001"
PASSPORT = ["mini_app_kyc_passport"]
INFO = ["get_kyc_info"]

# Base document: the answers about a user, and what they make of one who was not read before.


class Bench:
    """The deployed functions, the sandbox behind them, and what was sent to the events queue."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box
        self.merchant = Merchant(stack)
        self.processor = stack.function("event_processor")
        self.hooks: dict[str, Function] = {
            kind: stack.function(f"paypay_{kind}_webhook") for kind in ("kyc", "risk", "account_status")
        }
        self.delays: list[int] = []
        self._serial = 0
        self._asked_at_linking: dict[str, Mapping[str, int]] = {}

    def link(self, scopes: list[str], user_id: str = USER) -> str:
        """Link a user as the merchant and the user would; returns the authorization id."""
        self.merchant.link(user_id, scopes=scopes)
        self.stack.published()
        self._asked_at_linking[user_id] = self._calls(user_id)
        linked = self.status(user_id).user_authorization_id
        assert linked is not None
        return linked

    def notify(self, kind: str, linked: str, **fields: str) -> str:
        """One webhook of PayPay's; returns the event's id up to the mark of subject and day."""
        self._serial += 1
        event = sample(f"paypay_{kind}_webhook")
        body = {
            **json.loads(event["body"]),
            "notification_id": f"evt_{self._serial}",
            "user_authorization_id": linked,
            **fields,
        }
        assert self.hooks[kind](event | {"body": json.dumps(body)})["body"] == "OK"
        return f"paypay:{kind}:{body['notification_id']}"

    def process(self) -> list[str]:
        """Let the processor take one batch; returns the ids of the messages that stay."""
        return self.stack.process(self.processor, 120_000)

    def receive_webhook(self, kind: str, linked: str) -> None:
        """A webhook, and its processing."""
        self.notify(kind, linked)
        assert self.process() == []

    def status(self, user_id: str = USER) -> UserStatus:
        """The user's present status."""
        found = self.stack.store.users.status(user_id, "paypay")
        assert found is not None
        return found

    def newest(self, user_id: str = USER) -> TimelineEntry:
        """The newest entry of the user's timeline."""
        return self.stack.store.users.timeline(user_id, 1)[0][0]

    def calls(self, user_id: str = USER) -> Mapping[str, int]:
        """How often each endpoint of PayPay was called for the user since the linking."""
        before = self._asked_at_linking.get(user_id, {})
        since = {name: number - before.get(name, 0) for name, number in self._calls(user_id).items()}
        return {name: number for name, number in since.items() if number}

    def _calls(self, user_id: str) -> Mapping[str, int]:
        calls: dict[str, int] = self.box.paypay.register.view(user_id)["calls"]  # type: ignore[assignment]
        return {name: number for name, number in calls.items() if name != "link"}

    def fault(self, endpoint: str, kind: str, **settings: Any) -> None:
        """Break an endpoint of PayPay."""
        self.box.paypay.dials.put({f"{endpoint}_fault": {"kind": kind, **settings}})


@pytest.fixture
def bench(stack: Deployment, box: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(stack, box)
    wait = worker.Queue.delay

    def delay(queue: worker.Queue, record: Any, seconds: int) -> None:
        bench.delays.append(seconds)
        wait(queue, record, 0)  # so that the test need not wait for it

    monkeypatch.setattr(worker.Queue, "delay", delay)
    return bench


def metrics(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was counted."""
    return list(counts.counted(capsys.readouterr().out).elements())


# The truth is read back


@pytest.mark.parametrize(
    ("scopes", "endpoint"),
    [(INFO, "kyc_info"), (PASSPORT, "kyc_passport"), ([*INFO, *PASSPORT], "kyc_passport")],
)
def test_a_kyc_event_leads_to_the_read_that_fits_the_link(bench: Bench, scopes: list[str], endpoint: str) -> None:
    linked = bench.link(scopes)
    event_id = bench.notify("kyc", linked)
    assert bench.process() == []

    assert bench.calls() == {endpoint: 1}
    assert (bench.status().status, bench.status().provider_status) == ("VERIFIED", "SUCCESS")
    entry = bench.newest()
    assert (entry.event_id.rpartition(":")[0], entry.what, entry.cause) == (event_id, "kyc_read", "webhook")
    assert entry.detail["product"] == endpoint
    assert entry.detail["requestId"].startswith("OPA")
    kept = bench.stack.s3.get_object(Bucket="personal-data", Key=entry.detail["snapshot"])["Body"].read()
    hidden = {"residenceType", "expiryDate"}
    data = bench.box.paypay.register.user(USER).kyc.data
    assert json.loads(kept) == {name: value for name, value in data.items() if name not in hidden}
    [change] = bench.stack.published()
    assert (change["detail-type"], change["detail"]["to"]) == ("KycStatusChanged", "VERIFIED")
    assert bench.stack.receive() == []


def test_the_sample_event_of_nobody_is_kept(bench: Bench) -> None:
    assert bench.hooks["kyc"](sample("paypay_kyc_webhook"))["body"] == "OK"
    assert bench.process() == []
    subject = json.loads(sample("paypay_kyc_webhook")["body"])["user_authorization_id"]
    [item] = [item for item in bench.stack.items() if item["pk"] == f"PAYPAY#{subject}"]
    assert item["what"] == "unknown_user"
    assert item["event_id"].startswith("paypay:kyc:evt_aXnbdeFt2Ke:")


@pytest.mark.parametrize(
    ("flag", "status"), [("UNACCEPTABLE_OP", "RISK_FLAGGED"), ("KYC_UPDATE_REQUIRED", "UPDATE_REQUIRED")]
)
def test_a_flag_is_raised_and_cleared_by_risk_events(bench: Bench, flag: str, status: str) -> None:
    linked = bench.link(PASSPORT)
    user = bench.box.paypay.register.user(USER)
    user.risk_flag = flag
    bench.receive_webhook("risk", linked)
    assert (bench.status().status, bench.status().provider_status) == (status, flag)
    user.risk_flag = None
    bench.receive_webhook("risk", linked)
    assert bench.status().status == "VERIFIED"
    changes = [(each["detail"]["from"], each["detail"]["to"]) for each in bench.stack.published()]
    assert changes == [("LINKED", status), (status, "VERIFIED")]


def test_a_flag_of_the_plain_read_is_cleared_by_its_next_success(bench: Bench) -> None:
    linked = bench.link(INFO)
    bench.fault("kyc_info", "UNACCEPTABLE_OP", times=1)
    bench.receive_webhook("kyc", linked)
    assert bench.status().status == "RISK_FLAGGED"
    bench.receive_webhook("kyc", linked)
    assert (bench.status().status, bench.status().provider_status) == ("VERIFIED", "SUCCESS")
    assert bench.newest().detail["snapshot"]


def test_a_risk_event_of_a_user_without_the_passport_scope_raises_no_alarm(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = bench.link(INFO)
    bench.receive_webhook("risk", linked)
    assert bench.calls() == {}
    assert bench.newest().what == "no_read_fits_scopes"
    assert "ConfigurationFault" not in metrics(capsys)


@pytest.mark.parametrize("account", ["inactive", "canceled"])
def test_an_account_that_is_closed_and_opened_again(bench: Bench, account: str) -> None:
    linked = bench.link(PASSPORT)
    bench.receive_webhook("kyc", linked)
    user = bench.box.paypay.register.user(USER)
    user.account_status = account
    bench.receive_webhook("account_status", linked)
    assert bench.status().status == "INACTIVE"
    bench.receive_webhook("account_status", linked)
    assert bench.calls() == {"kyc_passport": 1, "authorization": 2}
    user.account_status = "active"
    bench.receive_webhook("account_status", linked)
    assert bench.status().status == "VERIFIED"
    assert bench.calls() == {"kyc_passport": 2, "authorization": 3}


def test_an_account_event_alone_changes_nothing_about_the_kyc(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    bench.receive_webhook("account_status", linked)
    assert (bench.status().status, bench.status().provider_status) == ("LINKED", "ACTIVE")
    assert bench.calls() == {"authorization": 1}
    assert bench.stack.published() == []


@pytest.mark.parametrize(("code", "status"), STATUS_OF)
@pytest.mark.parametrize(("kind", "endpoint"), [("kyc", "kyc_passport"), ("account_status", "authorization")])
def test_each_answer_about_the_user_becomes_the_status(
    bench: Bench, kind: str, endpoint: str, code: str, status: str
) -> None:
    linked = bench.link(PASSPORT)
    bench.fault(endpoint, code)
    bench.receive_webhook(kind, linked)
    assert (bench.status().status, bench.status().provider_status) == (status, code)


# Whose it is


def test_a_user_who_linked_anew_is_not_moved_by_the_old_authorization(bench: Bench) -> None:
    former = bench.link(PASSPORT)
    bench.box.paypay.register.user(USER).authorizations[0].unlinked = True
    present = bench.link(PASSPORT)
    assert former != present
    bench.receive_webhook("account_status", former)
    assert bench.status().status == "LINKED"
    assert bench.newest().what == "other_authorization"
    assert bench.calls() == {"authorization": 1}  # whose it is now


def test_a_lost_redirect_is_healed_by_the_first_event(bench: Bench) -> None:
    bench.merchant.press(bench.merchant.ask(scopes=PASSPORT))  # and the browser never comes back
    assert bench.status().status == "LINK_PENDING"
    [link] = bench.box.paypay.register.user(USER).authorizations
    bench.stack.published()
    bench.receive_webhook("kyc", link.id)
    assert (bench.status().status, bench.status().user_authorization_id) == ("VERIFIED", link.id)
    changes = [(each["detail"]["from"], each["detail"]["to"]) for each in bench.stack.published()]
    assert changes == [("LINK_PENDING", "LINKED"), ("LINKED", "VERIFIED")]


def test_what_came_before_the_link_is_attached_by_it_once(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    user = bench.box.paypay.register.user(USER)
    granted = bench.box.paypay.register.grant(user, tuple(PASSPORT), 365)
    ids = [bench.notify("kyc", granted.id), bench.notify("risk", granted.id)]
    assert bench.process() == []
    assert metrics(capsys).count("EventOfUnknownUser") == 2
    assert bench.stack.store.users.status(USER, "paypay") is None

    asked = bench.merchant.ask(scopes=PASSPORT)
    location = bench.merchant.press(asked)
    bench.merchant.come_back(location)
    bench.merchant.come_back(location)  # redirects are known to come twice

    entries = [entry.event_id.rpartition(":")[0] for entry in bench.stack.store.users.timeline(USER, 50)[0]]
    assert [entries.count(each) for each in ids] == [1, 1]
    assert bench.stack.store.links.waiting(granted.id) == []


@pytest.mark.parametrize("field", ["user_authorization_id", "userAuthorizationId"])
def test_an_unrecognised_type_is_on_the_timeline_of_its_user(
    bench: Bench, field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = bench.link(PASSPORT)
    before = bench.status()
    body = {"notification_type": "payment.completed", "notification_id": "n-1", field: linked}
    assert bench.hooks["kyc"](sample("paypay_kyc_webhook") | {"body": json.dumps(body)})["body"] == "OK"
    assert bench.process() == []
    entry = bench.newest()
    assert (entry.what, entry.detail["type"]) == ("unrecognised_notification", "payment.completed")
    assert (bench.status().status, bench.calls()) == (before.status, {})
    assert "NotificationUnrecognised" in metrics(capsys)


@pytest.mark.parametrize(
    "body",
    [
        '{"notification_type": "payment.completed"}',
        '"text"',
        "123",
        "null",
        "[]",
        "{}",
        '{"who": "見本 花子"}',
        "[" * 60_000,
    ],
    ids=lambda body: body[:20],
)
def test_what_names_no_event_is_kept_as_its_hash_and_counted(
    bench: Bench, body: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.hooks["kyc"](sample("paypay_kyc_webhook") | {"body": body})["body"] == "OK"
    assert bench.process() == []
    assert "NotificationUnrecognised" in metrics(capsys)
    [item] = [item for item in bench.stack.items() if item["pk"].startswith("PAYPAY#")]
    assert item["what"] == "unrecognised_notification"
    said = {"type": "payment.completed"} if "payment" in body else {}
    assert item["detail"] == {"sha256": hashlib.sha256(body.encode()).hexdigest(), **said}


@pytest.mark.parametrize("spelling", ["authroization", "authorization", "Authroization"])
@pytest.mark.parametrize("field", ["user_authorization_id", "userAuthorizationId"])
def test_a_link_that_the_user_ends_in_the_app_is_read_and_ended(bench: Bench, spelling: str, field: str) -> None:
    linked = bench.link(PASSPORT)
    bench.receive_webhook("kyc", linked)
    assert bench.status().status == "VERIFIED"
    [link] = bench.box.paypay.register.user(USER).authorizations
    link.unlinked = True
    body = {"notification_type": f"customer.{spelling}.revoked", "notification_id": "n-1", field: linked}
    assert bench.hooks["kyc"](sample("paypay_kyc_webhook") | {"body": json.dumps(body)})["body"] == "OK"
    assert bench.process() == []
    assert bench.newest().what == "account_read"
    assert bench.newest().detail["type"] == f"customer.{spelling}.revoked"
    assert bench.status().status == "INACTIVE"
    # No recon file lists it: it does not count as received.
    assert not [item for item in bench.stack.items() if item["pk"].startswith("RECEIVED#account_status")]


def test_an_array_of_notifications_is_each_of_them(bench: Bench) -> None:
    linked = [bench.link(PASSPORT, user_id) for user_id in ("user-1", "user-2")]
    one = {"notification_type": "kyc_passport.kyc_info.updated", "notification_id": "same"}
    body = [one | {"user_authorization_id": each} for each in linked for _ in range(2)] + ["text"]
    assert bench.hooks["kyc"](sample("paypay_kyc_webhook") | {"body": json.dumps(body)})["body"] == "OK"
    assert bench.process() == []  # the array
    assert bench.process() == []  # its notifications
    for user_id in ("user-1", "user-2"):
        assert bench.status(user_id).status == "VERIFIED"
        whats = [entry.what for entry in bench.stack.store.users.timeline(user_id, 50)[0]]
        assert whats.count("kyc_read") == 1
    assert [item["what"] for item in bench.stack.items() if item["pk"] == "PAYPAY#-"] == ["unrecognised_notification"]


# Once


def test_a_duplicate_notification_has_no_second_effect(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    for _ in range(2):
        bench.notify("kyc", linked, notification_id="same")
        bench.notify("kyc", linked, notification_id="same")
        assert bench.process() == []
    assert bench.calls() == {"kyc_passport": 1}
    entries = [entry.event_id.rpartition(":")[0] for entry in bench.stack.store.users.timeline(USER, 50)[0]]
    assert entries.count("paypay:kyc:same") == 1
    assert len(bench.stack.published()) == 1


def test_events_of_one_user_in_one_batch_cost_one_read_and_the_next_batch_another(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    for _ in range(5):
        bench.notify("kyc", linked)
    assert bench.process() == []
    assert bench.calls() == {"kyc_passport": 1}
    bench.receive_webhook("kyc", linked)
    assert bench.calls() == {"kyc_passport": 2}
    assert sum(entry.what == "kyc_read" for entry in bench.stack.store.users.timeline(USER, 50)[0]) == 6


def test_a_webhook_counts_as_received_and_an_event_of_recon_does_not(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    event_id = bench.notify("kyc", linked)
    [message] = bench.stack.receive()
    event = json.loads(message["Body"])
    recon = event | {"event_id": f"{event_id}:recon", "cause": "recon", "kind": "risk"}
    bench.stack.send(json.dumps(recon))
    assert bench.process() == []
    [day] = [item for item in bench.stack.items() if item["pk"].startswith("RECEIVED#")]
    assert (day["kind"], day["count"], day["first"]) == ("kyc", 1, event["received_at"])
    assert bench.newest().cause == "recon"


# PayPay does not answer


@pytest.mark.parametrize(
    "kind",
    ["RATE_LIMIT", "SERVICE_ERROR", "INTERNAL_SERVER_ERROR", "http_500", "http_429", "reset", "malformed"],
)
def test_an_event_waits_ever_longer_while_paypay_fails(bench: Bench, kind: str) -> None:
    linked = bench.link(PASSPORT)
    before = bench.status()
    bench.fault("kyc_passport", kind)
    bench.notify("kyc", linked)
    for _ in range(6):
        assert len(bench.process()) == 1
    # Doubling from 5 s, each jittered down to its half at most.
    assert all(high / 2 <= delay <= high for delay, high in zip(bench.delays, [5, 10, 20, 40, 80, 160], strict=True))
    # The first reset is that of a kept-alive connection: that call goes out once more, on a fresh one.
    assert bench.calls() == {"kyc_passport": 6 + (kind == "reset")}
    assert bench.status() == before
    bench.box.paypay.dials.clear()
    assert bench.process() == []
    assert bench.status().status == "VERIFIED"
    assert bench.stack.receive("DeadLetterQueue") == []


def test_a_time_out_is_a_failure_like_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = PayPayClient._call.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "timeout_s", 0.3)
    linked = bench.link(PASSPORT)
    bench.fault("kyc_passport", "timeout", seconds=1, times=1)
    bench.notify("kyc", linked)
    assert len(bench.process()) == 1
    assert bench.process() == []
    assert bench.status().status == "VERIFIED"


def test_maintenance_begins_with_a_wait_of_minutes(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    bench.box.paypay.dials.put({"maintenance": "on"})
    bench.notify("kyc", linked)
    for _ in range(4):
        assert len(bench.process()) == 1
    assert 150 <= bench.delays[0] <= 300
    assert 300 <= bench.delays[1] <= 600
    assert all(450 <= delay <= 900 for delay in bench.delays[2:])


@pytest.mark.parametrize("code", ["UNAUTHORIZED", "OP_OUT_OF_SCOPE"])
def test_a_fault_of_our_configuration_waits_and_is_counted(
    bench: Bench, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    linked = bench.link(PASSPORT)
    before = bench.status()
    bench.fault("kyc_passport", code)
    bench.notify("kyc", linked)
    capsys.readouterr()
    for _ in range(4):  # more receives than a poison message gets
        assert len(bench.process()) == 1
    assert metrics(capsys).count("ConfigurationFault") == 4
    assert bench.status() == before
    assert bench.stack.receive("DeadLetterQueue") == []
    bench.box.paypay.dials.clear()
    assert bench.process() == []
    assert bench.status().status == "VERIFIED"


@pytest.mark.parametrize("code", ["UNAUTHORIZED", "OP_OUT_OF_SCOPE"])
def test_so_does_one_while_an_unknown_id_is_looked_up(bench: Bench, code: str) -> None:
    bench.fault("authorization", code)
    bench.notify("kyc", "unknown-1")
    assert len(bench.process()) == 1
    assert [item for item in bench.stack.items() if item["pk"].startswith("PAYPAY#")] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "INVALID_REQUEST_PARAMS"},
        {"kind": "MISSING_REQUEST_PARAMS"},
        {"kind": "refuse", "code": "A_NEW_CODE", "status": 400},
        {"kind": "refuse", "code": "A_NEW_CODE", "status": 404},
    ],
)
def test_a_final_refusal_is_recorded_and_does_not_come_again(bench: Bench, settings: dict[str, Any]) -> None:
    linked = bench.link(PASSPORT)
    before = bench.status()
    bench.fault("kyc_passport", **settings)
    bench.receive_webhook("kyc", linked)
    entry = bench.newest()
    assert (entry.what, entry.detail["providerCode"]) == ("reading_refused", settings.get("code", settings["kind"]))
    assert entry.detail["requestId"].startswith("OPA")
    assert bench.status().status == before.status
    assert bench.calls() == {"kyc_passport": 1}


def test_one_users_outage_does_not_hold_up_another(bench: Bench) -> None:
    first, second = bench.link(PASSPORT), bench.link(PASSPORT, "user-0002")
    bench.box.paypay.dials.put({"kyc_passport_fault": {"kind": "SERVICE_ERROR"}}, USER)
    bench.notify("kyc", first)
    bench.notify("kyc", second)
    assert len(bench.process()) == 1
    assert bench.status("user-0002").status == "VERIFIED"
    assert bench.status().status == "LINKED"


def test_too_little_time_left_gives_the_message_back_at_once(bench: Bench) -> None:
    linked = bench.link(PASSPORT)
    bench.notify("kyc", linked)
    assert len(bench.stack.process(bench.processor, 29_000)) == 1
    assert bench.delays == [0]
    assert bench.calls() == {}


# Poison


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '{"v": 2}',
        json.dumps(
            {
                "v": 1,
                "event_id": "paypay:x:1",
                "provider": "paypay",
                "kind": "x",
                "cause": "webhook",
                "subject": "s",
                "received_at": "2026-04-01T03:00:00.000Z",
                "detail": {},
            }
        ),
    ],
)
def test_poison_is_dead_lettered_at_its_third_receive_with_the_kind_of_error(bench: Bench, body: str) -> None:
    bench.stack.send(body)
    assert len(bench.process()) == 1
    assert len(bench.process()) == 1
    assert bench.process() == []
    [dead] = bench.stack.receive("DeadLetterQueue")
    assert dead["Body"] == body
    assert dead["MessageAttributes"]["errorType"]["StringValue"] == "MalformedEventError"


# The change is published


def test_a_crash_between_commit_and_publish_is_made_good_on_redelivery(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked = bench.link(PASSPORT)
    bench.notify("kyc", linked)
    [message] = bench.stack.receive()

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Publisher, "publish", dies)
        with pytest.raises(KeyboardInterrupt):
            bench.processor({"Records": [sqs_record(message)]}, 120_000)
    assert bench.status().status == "VERIFIED"
    assert bench.stack.published() == []

    assert bench.process() == []
    assert [each["detail"]["to"] for each in bench.stack.published()] == ["VERIFIED"]
    assert bench.calls() == {"kyc_passport": 1}


def test_nothing_personal_is_in_the_table_the_log_or_the_bus(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    linked = bench.link(PASSPORT)
    data = bench.box.paypay.register.user(USER).kyc.data
    data |= {"lastName": "架空印", "birthday": "1990-04-07"}
    capfd.readouterr()
    bench.receive_webhook("kyc", linked)
    bench.fault("kyc_passport", "INVALID_REQUEST_PARAMS")
    bench.receive_webhook("kyc", linked)
    bench.fault("kyc_passport", "SERVICE_ERROR")
    bench.notify("kyc", linked)
    bench.process()
    printed = capfd.readouterr()
    everything = json.dumps([bench.stack.items(), bench.stack.published()], default=str, ensure_ascii=False)
    for mark in ("架空印", "1990-04-07"):
        assert mark not in everything
        assert mark not in printed.out + printed.err
        assert json.dumps(mark).strip('"') not in printed.out + printed.err
    assert linked not in printed.out + printed.err
