"""`expiry_watch` and the processor behind it: links that end, as the template has the functions."""

import json
import time
from typing import Any

import pytest

from honnin.event_queue import NotQueuedError
from sandbox.server import RunningSandbox
from tests.fakes.deployment import Deployment, Function, sample
from tests.fakes.merchant import Merchant

USER = "user-0001"
DAY = 86_400


class Bench:
    """A user who is linked and verified, and the functions."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack = stack
        self.box = box
        self.watch: Function = stack.function("expiry_watch")
        self.processor: Function = stack.function("event_processor")
        self.merchant = Merchant(stack)

    def linked_until(self, ends: float) -> None:
        """Link the user, with an end that PayPay says at once."""
        asked = self.merchant.ask(USER)
        location = self.merchant.press(asked)
        self.ends(ends)
        self.merchant.come_back(location)
        assert self.merchant.passport(USER)["json"]["status"] == "VERIFIED"
        self.stack.published()

    def ends(self, ends: float) -> None:
        """PayPay moves the end."""
        link = self.box.paypay.register.user(USER).latest()
        assert link is not None
        link.expire_at = int(ends)

    def run(self) -> dict[str, int]:
        """One run, and all that it has queued."""
        answer: dict[str, int] = self.watch(sample("expiry_watch"), 600_000)
        assert self.stack.process(self.processor, 120_000) == []
        return answer

    def status(self) -> str:
        """The user's status."""
        found = self.stack.store.users.status(USER, "paypay")
        assert found is not None
        return found.status

    def published(self) -> list[tuple[str, dict[str, Any]]]:
        """What has been published since."""
        return [(each["detail-type"], each["detail"]) for each in self.stack.published()]


@pytest.fixture
def bench(stack: Deployment, box: RunningSandbox) -> Bench:
    return Bench(stack, box)


def test_a_link_that_ends_is_told_ahead_and_then_expires(bench: Bench) -> None:
    bench.linked_until(time.time() + 40 * DAY)
    assert bench.run() == {"ended": 0, "expiring": 0, "given_up": 0}
    bench.stack.pass_time(days=11)
    assert bench.run() == {"ended": 0, "expiring": 1, "given_up": 0}
    [(kind, detail)] = bench.published()
    assert (kind, detail["userId"], detail["status"]) == ("AuthorizationExpiring", USER, "VERIFIED")
    assert bench.run() == {"ended": 0, "expiring": 0, "given_up": 0}
    bench.stack.pass_time(days=40, seconds=5)
    assert bench.run() == {"ended": 1, "expiring": 0, "given_up": 0}
    assert bench.status() == "EXPIRED"
    events = dict(bench.published())
    assert events.keys() == {"AuthorizationExpired", "KycStatusChanged"}
    assert (events["KycStatusChanged"]["to"], events["KycStatusChanged"]["cause"]) == ("EXPIRED", "poll")
    assert bench.run() == {"ended": 0, "expiring": 0, "given_up": 0}


def test_a_link_that_was_extended_stays(bench: Bench) -> None:
    bench.linked_until(time.time() + 40 * DAY)
    bench.ends(time.time() + 400 * DAY)
    bench.stack.pass_time(days=41)
    assert bench.run()["ended"] == 1
    assert bench.status() == "VERIFIED"
    assert bench.published() == []


def test_the_time_ahead_is_a_parameter(bench: Bench) -> None:
    bench.stack.parameters["LinkExpiryNotice"] = "0"
    bench.linked_until(time.time() + 5 * DAY)
    assert bench.run() == {"ended": 0, "expiring": 0, "given_up": 0}
    bench.stack.parameters["LinkExpiryNotice"] = "10"
    assert bench.run() == {"ended": 0, "expiring": 1, "given_up": 0}


def test_what_sqs_does_not_take_stays_due(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.linked_until(time.time() + 5 * DAY)
    refused = {"Failed": [{"Id": "0", "Code": "InternalError"}]}
    with monkeypatch.context() as patch:
        patch.setattr("honnin.aws.sqs", lambda: type("Q", (), {"send_message_batch": lambda _, **__: refused})())
        with pytest.raises(NotQueuedError):
            bench.watch(sample("expiry_watch"), 600_000)
    assert bench.run()["expiring"] == 1


def test_without_time_nothing_is_begun(bench: Bench) -> None:
    bench.linked_until(time.time() + 5 * DAY)
    assert bench.watch(sample("expiry_watch"), 9_000) == {"ended": 0, "expiring": 0, "given_up": 0}
    assert bench.run()["expiring"] == 1


def test_an_event_on_the_queue_names_no_date_and_no_person(bench: Bench) -> None:
    bench.linked_until(time.time() + 5 * DAY)
    bench.watch(sample("expiry_watch"), 600_000)
    [message] = bench.stack.receive()
    event = json.loads(message["Body"])
    assert (event["provider"], event["kind"], event["cause"]) == ("paypay", "expiry", "poll")
    assert event["detail"].keys() == {"what", "end"}
    assert USER not in message["Body"]


@pytest.mark.parametrize("switch", ["true", "false"])
def test_a_residence_period_is_kept_only_with_the_parameter(bench: Bench, switch: str) -> None:
    bench.stack.parameters["WatchResidencePeriod"] = switch
    bench.box.paypay.register.user(USER).kyc.data["expiryDate"] = "2099-03-31"
    bench.merchant.link(USER, scopes=["get_kyc_info", "mini_app_kyc_passport", "kyc_foreign_status"])
    assert bench.merchant.passport(USER)["json"]["status"] == "VERIFIED"
    found = sorted(
        (item for item in bench.stack.items() if "2099-03-31" in str(item)), key=lambda item: str(item["sk"])
    )
    assert [item["sk"] for item in found] == (["EXPIRY#residence", "STATUS#paypay"] if switch == "true" else [])
