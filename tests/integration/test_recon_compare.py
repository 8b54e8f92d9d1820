"""The functions of the state machine on moto, as the state machine of the template invokes them."""

import json

import boto3
import pytest

from tests.fakes.deployment import Deployment, sample
from tests.fakes.merchant import Merchant
from tests.fakes.recon_day import ReconDay


@pytest.fixture
def recon(stack: Deployment) -> ReconDay:
    return ReconDay(stack)


def process(stack: Deployment) -> None:
    """The processor takes what is on the queues of repairs and rereads."""
    processor = stack.function("event_processor")
    for queue in ("RepairQueue", "RereadQueue"):
        while stack.receive(queue):
            assert stack.work(processor, queue, 120_000) == []


def test_the_sample_events_are_those_of_one_comparison(stack: Deployment, recon: ReconDay) -> None:
    recon.link("a85fe9e9-b4c9-45cf-a392-834c57d83af7", "user-1")
    recon.arrive(recon.listing("a85fe9e9-b4c9-45cf-a392-834c57d83af7"))

    planned = stack.function("recon_plan")(sample("recon_plan"))
    event = sample("recon_compare") | {"etag": planned["etag"]}
    assert planned["ranges"] == 1
    assert stack.function("recon_compare")(event) is None
    answer = stack.function("recon_summary")(sample("recon_summary"))

    assert answer["settled"] is False
    [part] = json.loads(stack.s3.get_object(Bucket=answer["bucket"], Key=answer["key"])["Body"].read())
    assert stack.function("recon_summary")(sample("recon_summary") | {"range": part}) is None
    assert recon.asked() == ["a85fe9e9-b4c9-45cf-a392-834c57d83af7"]


def test_a_lost_webhook_is_made_up_for_and_the_report_says_what_came_of_it(stack: Deployment, recon: ReconDay) -> None:
    Merchant(stack).link("user-0001")
    status = stack.store.users.status("user-0001", "paypay")
    assert status is not None
    linked = status.user_authorization_id or ""
    # Its notification comes tomorrow, by the clock of the test.
    recon.arrive(recon.listing(linked), received_at="2099-01-01T00:00:00.000Z")
    recon.compare()
    assert recon.file().repairs_open == 1

    process(stack)
    recon.look_again()

    file = recon.file()
    assert (file.state, file.repairs_open, file.counts["reRead"]) == ("COMPARED", 0, 1)
    assert file.completed_at is not None
    assert recon.report()["counts"] == dict(file.counts)
    [completed] = [each for each in stack.published() if each["detail-type"] == "ReconCompleted"]
    assert completed["detail"]["counts"] == dict(file.counts)
    assert linked not in json.dumps(completed)


def test_the_download_starts_what_is_stored(stack: Deployment, recon: ReconDay) -> None:
    recon.arrive(recon.listing("a"))

    assert stack.function("recon_download")(sample("recon_download")) == {}
    assert stack.function("recon_download")(sample("recon_download")) == {}

    states = boto3.client("stepfunctions")
    [machine] = states.list_state_machines()["stateMachines"]
    started = states.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    assert [each["name"] for each in started] == [f"{recon.type.name}-{recon.day}-{'0' * 16}-1"]
