"""The process bench, small: what it counts is a budget here as well."""

from collections.abc import Iterator

import pytest

from bench import function_settings, process, process_worker, stand_in
from bench.process_stand_in import ProcessServices
from honnin import config
from tests.handlers import load

_USERS = 20

# What the bench counts and no clock decides.
_BUDGETS = (
    "process.reads_for_120_of_one_user",
    "process.aws_calls_per_event",
    "process.aws_calls_per_change",
)


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch, aws_environment: None, fresh_caches: None) -> Iterator[str]:
    """The stand-in in this process, with a provider that takes a tenth of a second, and the function's variables."""
    with stand_in.serving(ProcessServices(0.1)) as url:
        variables = process.variables(url, lambda name: f"{url}/000000000000/{name}")
        for name, value in {**variables, "AWS_ENDPOINT_URL": url}.items():
            monkeypatch.setenv(name, value)
        # The bench counts at a session of its own.
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
        config.settings.cache_clear()
        yield url


@pytest.mark.allow_hosts(["127.0.0.1"])
def test_what_is_counted_keeps_to_its_budget(endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    handler = load("event_processor").lambda_handler
    said = process_worker.run(handler, _USERS, function_settings.batch_size("EventQueue"))
    capsys.readouterr()  # hundreds of lines of log
    found = process.findings(10, {**said, "peak_rss_mib": 0.0})

    assert (found.changed.events, found.unchanged.events, found.one_user.events) == (_USERS, _USERS, 120)
    assert found.changed.reads >= _USERS
    assert found.unchanged.reads >= _USERS
    figures = {each.name: each for each in process.figures(found)}
    assert {name: figures[name].value for name in _BUDGETS if not figures[name].holds} == {}


def test_the_function_gets_the_variables_of_the_template() -> None:
    variables = process.variables("http://127.0.0.1:1", lambda name: f"queue:{name}")
    assert variables["EVENT_QUEUE_URL"] == "queue:EventQueue"
    assert variables["STATE_TABLE"] == "StateTable"
    assert variables["PROVIDERS_SECRET_ARN"] == "ProvidersSecret"
    assert variables["PAYPAY_BASE_URL"] == "http://127.0.0.1:1/paypay"
    assert variables["PAYPAY_VERIFIED_STATUSES"] == "COMPLETED"
    assert variables["SETTLE_DELAYS"] == "60,900"


def test_figures_are_made_of_the_parts() -> None:
    part = {"events": 10, "wall_s": 0.5, "calls": {"dynamodb.GetItem": 30, "sqs.SendMessageBatch": 10}, "reads": 10}
    said = {"changed": part, "unchanged": part, "one_user": part, "settled": {**part, "reads": 3}, "peak_rss_mib": 90.0}
    figures = {each.name: each for each in process.figures(process.findings(10, said))}
    assert (figures["process.events_per_s"].value, figures["process.events_per_s"].holds) == (20.0, True)
    assert figures["process.batch_vs_one_provider_call"].value == pytest.approx(0.5 / 0.3)
    assert figures["process.reads_for_120_of_one_user"].value == 13
    assert figures["process.aws_calls_per_event"].value == 4.0
