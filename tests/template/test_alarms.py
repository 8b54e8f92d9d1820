"""Alarms look at metrics that exist: ours as the code counts them, AWS's of resources of this stack.

What the code only counts for people is a line in a log, and a saved query adds it up.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from honnin import observability, webhook
from honnin.event_worker import LATER_OVERDUE_S, LIVE_OVERDUE_S, NOTICE_OVERDUE_S
from tests.tables import TEMPLATE, template
from tests.template.transformed import REGION, access_log, resources, source_functions, transformed

ROOT = TEMPLATE.parent
DASHBOARD = ROOT / "operations" / "dashboard.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

# What counts for an alarm, and what counts for people, by the names of the functions.
_FOR_ALARM = ("count_for_alarm", "_emit")
_FOR_PEOPLE = ("count", "_log")

type Metric = tuple[str, str, Mapping[str, Any]]
"""Namespace, name, dimensions."""


# --- what the code counts ---


def _calls(functions: Sequence[str]) -> Iterator[tuple[str, Path, ast.Call]]:
    """The calls of these functions in the layer and the functions, with the name that each counts."""
    for path, function, node in _all_calls():
        if function in functions:
            for name in _names(node.args[0]):
                yield name, path, node


@cache
def _all_calls() -> list[tuple[Path, str, ast.Call]]:
    """Every call of a function by its name alone."""
    return [
        (path, node.func.id, node)
        for path in [*(ROOT / "layers/honnin/honnin").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


@cache
def _counted() -> set[str]:
    """Every metric that the code counts. The stack's name is its only dimension."""
    return {name for name, _, _ in _calls(_FOR_ALARM)}


def _facts(name: str) -> set[str]:
    """The facts that a line may have beside its count."""
    found = [call for each, _, call in _calls((*_FOR_ALARM, *_FOR_PEOPLE)) if each == name]
    return {each.arg for call in found for each in call.keywords if each.arg and each.arg != "value"}


def _names(argument: ast.expr) -> Iterator[str]:
    """The metric's name, or both of `"A" if … else "B"`."""
    if isinstance(argument, ast.IfExp):
        yield from _names(argument.body)
        yield from _names(argument.orelse)
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value


def _dimensions_of(record: str) -> tuple[str, set[str]]:
    [definition] = json.loads(record)["_aws"]["CloudWatchMetrics"]
    [dimensions] = definition["Dimensions"]
    return definition["Namespace"], set(dimensions)


def test_a_count_for_an_alarm_has_the_stack_as_its_only_dimension(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "honnin-test")
    observability.count_for_alarm("EventOverdue", queue="events")
    record = capsys.readouterr().out
    assert _dimensions_of(record) == ("Honnin", {"service"})
    assert json.loads(record)["queue"] == "events"


def test_the_ack_path_counts_for_an_alarm_in_the_same_form(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "honnin-test")
    webhook._emit("ConfigurationFault", reason="r")
    assert _dimensions_of(capsys.readouterr().out) == ("Honnin", {"service"})


def test_what_is_counted_for_people_is_a_short_line_and_no_metric(capsys: pytest.CaptureFixture[str]) -> None:
    observability.count("EventApplied", provider="paypay", cause="recon")
    webhook._log("EventQueued", "paypay", event_id="1")
    lines = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"counted": "EventApplied", "value": 1, "provider": "paypay", "cause": "recon"},
        {"counted": "EventQueued", "value": 1, "provider": "paypay", "event_id": "1"},
    ]


# --- what alarms and dashboard look at ---


def _alarms() -> dict[str, Any]:
    return {name: each["Properties"] for name, each in resources("AWS::CloudWatch::Alarm").items()}


def _alarm_metrics(alarm: Mapping[str, Any]) -> list[Metric]:
    single = [alarm] if "MetricName" in alarm else []
    stats = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each]
    return [
        (
            str(_text(each["Namespace"])),
            each["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in each.get("Dimensions", [])},
        )
        for each in [*single, *stats]
    ]


def _text(value: Any) -> Any:
    """`Fn::Sub` and `Ref` over pseudo parameters as the stack "honnin-test" in Tokyo has them; the rest unchanged."""
    pseudo = {"AWS::StackName": "honnin-test", "AWS::Region": REGION}
    match value:
        case {"Ref": str(name)} if name in pseudo:
            return pseudo[name]
        case {"Fn::Sub": str(text)}:
            for name, replacement in pseudo.items():
                text = text.replace(f"${{{name}}}", replacement)
            return text
    return value


def _widgets() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["widgets"]
    return found


def _dashboard_metrics() -> Iterator[Metric]:
    for widget in _widgets():
        for namespace, name, *rest in widget["properties"]["metrics"]:
            *pairs, options = rest
            assert isinstance(options, dict), (name, "every metric has a label")
            assert len(pairs) % 2 == 0
            yield str(_text(namespace)), name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def _all_metrics() -> list[Any]:
    found = [(name, each) for name, alarm in _alarms().items() for each in _alarm_metrics(alarm)]
    found += [("dashboard", each) for each in _dashboard_metrics()]
    return [pytest.param(metric, id=f"{place} {metric[1]} {n}") for n, (place, metric) in enumerate(found)]


@pytest.mark.parametrize("metric", _all_metrics())
def test_the_metric_exists(metric: Metric) -> None:
    namespace, name, dimensions = metric
    if namespace == "Honnin":
        assert name in _counted(), f"nothing counts {name}"
        assert {key: _text(value) for key, value in dimensions.items()} == {"service": "honnin-test"}
    elif namespace == "Honnin/honnin-test":
        assert name in _filtered()
        assert not dimensions, "a metric filter of ours writes no dimensions"
    else:
        _check_of_aws(namespace, name, dimensions)


def _filtered() -> set[str]:
    filters = resources("AWS::Logs::MetricFilter").values()
    written = [each for filter_ in filters for each in filter_["Properties"]["MetricTransformations"]]
    assert {_text(each["MetricNamespace"]) for each in written} == {"Honnin/honnin-test"}
    return {each["MetricName"] for each in written}


# AWS's own metrics, and the type of resource that each dimension names.
_OF_AWS = {
    "AWS/Lambda": ({"Errors", "Throttles"}, {"FunctionName": "AWS::Lambda::Function"}),
    "AWS/SQS": (
        {
            "ApproximateNumberOfMessagesVisible",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateAgeOfOldestMessage",
        },
        {"QueueName": "AWS::SQS::Queue"},
    ),
    "AWS/States": (
        {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"},
        {"StateMachineArn": "AWS::StepFunctions::StateMachine"},
    ),
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, {"TableName": "AWS::DynamoDB::Table"}),
}


def _check_of_aws(namespace: str, name: str, dimensions: Mapping[str, Any]) -> None:
    if namespace == "AWS/ApiGateway":
        _check_of_api_gateway(name, dimensions)
        return
    names, named = _OF_AWS[namespace]
    assert name in names
    extra = {key: value for key, value in dimensions.items() if key not in named}
    if (namespace, name, dict(dimensions)) == ("AWS/Lambda", "Throttles", {}):
        return  # of all functions of the account, whose concurrency they share
    for dimension, kind in named.items():
        match dimensions[dimension]:
            case {"Ref": str(logical_id)} | {"Fn::GetAtt": [str(logical_id), "QueueName"]}:
                assert logical_id in resources(kind)
            case other:
                pytest.fail(f"{dimension} is {other}")
    if extra:
        indexes = resources("AWS::DynamoDB::Table")["StateTable"]["Properties"]["GlobalSecondaryIndexes"]
        assert extra in [{"GlobalSecondaryIndexName": index["IndexName"]} for index in indexes]


def _check_of_api_gateway(name: str, dimensions: Mapping[str, Any]) -> None:
    apis = {_text(each["Properties"]["Name"]): each for each in resources("AWS::ApiGateway::RestApi").values()}
    assert _text(dimensions["ApiName"]) in apis
    stages = {each["Properties"]["StageName"] for each in resources("AWS::ApiGateway::Stage").values()}
    assert dimensions["Stage"] in stages
    assert name == "5XXError"
    assert set(dimensions) == {"ApiName", "Stage"}, "by route it would cost five metrics for each"


def test_no_api_has_metrics_by_route() -> None:
    for stage in resources("AWS::ApiGateway::Stage").values():
        assert not any(each.get("MetricsEnabled") for each in stage["Properties"].get("MethodSettings", []))


# --- alarms ---


def _routes(api: str) -> set[tuple[str, str]]:
    """Method and path of each route."""
    return {
        (event["Properties"]["Method"], event["Properties"]["Path"])
        for function in source_functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": api}
    }


def _behind(api: str) -> set[str]:
    """The functions that an API invokes."""
    return {
        name
        for name, function in source_functions().items()
        for event in function.get("Events", {}).values()
        if event["Type"] == "Api" and event["Properties"]["RestApiId"] == {"Ref": api}
    }


def _watched() -> set[str]:
    """The functions of which some alarm looks at the errors."""
    return {
        dimensions["FunctionName"]["Ref"]
        for alarm in _alarms().values()
        for namespace, name, dimensions in _alarm_metrics(alarm)
        if (namespace, name) == ("AWS/Lambda", "Errors")
    }


def test_errors_of_the_processor_and_of_every_function_behind_the_merchant_api_are_alarmed() -> None:
    """Behind the merchant API a 5xx alone says little: a provider's failure is one, too."""
    assert _watched() >= _behind("MerchantApi") | {"EventProcessorFunction"}


def test_a_webhook_function_that_crashes_or_does_not_start_is_one_5xx_and_that_rings() -> None:
    alarm = _alarms()["WebhookApi5xxAlarm"]
    assert (alarm["Threshold"], alarm["MetricName"], alarm["Statistic"]) == (1, "5XXError", "Sum")
    for function in _behind("WebhookApi"):
        alarms = str(source_functions()[function]["DeploymentPreference"]["Alarms"])
        assert "WebhookApi5xxAlarm" in alarms or function in _behind("MerchantApi"), "its canary looks at it, too"


def test_a_function_that_reads_a_queue_is_alarmed_itself() -> None:
    """Nothing else rings when it crashes: its messages come again, and SQS leaves those out of the queue's age."""
    mapped = [each["Properties"] for each in resources("AWS::Lambda::EventSourceMapping").values()]
    assert {each["FunctionName"]["Ref"].removesuffix("Aliaslive") for each in mapped} <= _watched()


def test_every_function_that_is_not_alarmed_itself_ends_in_an_alarmed_dead_letter_queue() -> None:
    mapped = {
        each["Properties"]["FunctionName"]["Ref"] for each in resources("AWS::Lambda::EventSourceMapping").values()
    }
    for name in set(source_functions()) - _watched() - _of_state_machines() - _behind("WebhookApi"):
        assert "DeadLetterQueue" in source_functions()[name] or name in mapped, name


def test_throttles_of_every_function_are_alarmed() -> None:
    metrics = [each for alarm in _alarms().values() for each in _alarm_metrics(alarm)]
    assert ("AWS/Lambda", "Throttles", {}) in metrics


def _of_state_machines() -> set[str]:
    found: set[str] = set()
    for name, machine in resources("AWS::StepFunctions::StateMachine").items():
        assert _alarms()[f"{name}Alarm"]
        found |= {each["Fn::GetAtt"][0] for each in machine["Properties"]["DefinitionSubstitutions"].values()}
    return found


def test_the_latency_of_paypays_four_webhooks_is_alarmed_and_of_nothing_else() -> None:
    alarm = _alarms()["AckLatencyAlarm"]
    assert (alarm["ExtendedStatistic"], alarm["Threshold"]) == ("p99", 1000)
    filter_ = resources("AWS::Logs::MetricFilter")["PayPayAckLatency"]["Properties"]
    [transformation] = filter_["MetricTransformations"]
    assert (alarm["MetricName"], alarm["Namespace"]) == (
        transformation["MetricName"],
        transformation["MetricNamespace"],
    )
    assert filter_["LogGroupName"] == {"Ref": "WebhookApiLogGroup"}

    pattern = r'\{ \$\.method = "(\w+)" && \$\.route = "(/[\w/-]+/)\*" && \$\.status = "200" \}'
    found = re.fullmatch(pattern, filter_["FilterPattern"])
    assert found
    watched = {
        (method, path) for method, path in _routes("WebhookApi") if method == found[1] and path.startswith(found[2])
    }
    assert watched == {("POST", f"/webhooks/paypay/{each}") for each in ("kyc", "risk", "account-status", "recon")}


def test_a_latency_in_the_access_log_is_a_number_and_the_rest_is_text() -> None:
    """A filter takes the value of a number; `"-"`, as other variables may be, would break the line's JSON."""
    for stage in resources("AWS::ApiGateway::Stage").values():
        written = stage["Properties"]["AccessLogSetting"]["Format"]
        assert re.findall(r":(\$[\w.]+)", written) == ["$context.responseLatency"]
        assert '"latencyMs":$context.responseLatency' in written
    [transformation] = resources("AWS::Logs::MetricFilter")["PayPayAckLatency"]["Properties"]["MetricTransformations"]
    assert transformation["MetricValue"] == "$.latencyMs"
    assert "DefaultValue" not in transformation, "minutes without a webhook would count as fast ones"


def test_a_missing_file_is_told_by_the_daily_report_and_by_no_second_mail() -> None:
    assert not [name for name, each in _alarms().items() if "ReconFileMissing" in str(each)]
    assert "ReconFileMissing" in _asked_for()


@pytest.mark.parametrize("provider", ["paypay", "vexora"])
def test_every_refused_call_to_a_webhook_is_alarmed_whoever_refused_it(provider: str) -> None:
    """API Gateway and the functions answer 403 to an address, and the function to a token. Nothing else is a 403."""
    [written] = [
        each["Properties"]
        for each in resources("AWS::Logs::MetricFilter").values()
        if each["Properties"]["FilterPattern"] == f'{{ $.status = "403" && $.route = "/webhooks/{provider}/*" }}'
    ]
    [transformation] = written["MetricTransformations"]
    metrics = [each for alarm in _alarms().values() for each in _alarm_metrics(alarm)]
    assert [each for each in metrics if each[1] == transformation["MetricName"]]


def test_a_silence_is_told_by_what_was_acknowledged() -> None:
    alarm = _alarms()["PayPaySilenceAlarm"]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("PayPayAckLatency", "SampleCount")


def test_an_event_that_fails_is_overdue_when_the_age_of_its_queue_would_ring() -> None:
    """SQS leaves it out of that age from its third receive on."""
    wanted = {"OldestEventAlarm": LIVE_OVERDUE_S, "OldestNoticeAlarm": NOTICE_OVERDUE_S}
    assert {name: _alarms()[name]["Threshold"] for name in wanted} == wanted
    assert _alarms()["OldestRepairAlarm"]["Threshold"] == LATER_OVERDUE_S
    watched = [str(_alarm_metrics(_alarms()[name])) for name in (*wanted, "OldestRepairAlarm")]
    mapped = [each["Properties"]["EventSourceArn"] for each in resources("AWS::Lambda::EventSourceMapping").values()]
    # The merchant's webhooks have three days, and a circuit that rings.
    ours = [each["Fn::GetAtt"][0] for each in mapped if each["Fn::GetAtt"][0] != "MerchantWebhookQueue"]
    assert all(each in str(watched) for each in ours)


@pytest.mark.parametrize(("name", "alarm"), [each for each in _alarms().items() if "Metrics" in each[1]])
def test_metric_math_uses_each_metric_once_and_gives_one_result(name: str, alarm: Mapping[str, Any]) -> None:
    assert len(alarm["Metrics"]) <= 11, "CloudWatch takes ten metrics and an expression"
    [expression] = [each for each in alarm["Metrics"] if "Expression" in each]
    stats = [each for each in alarm["Metrics"] if "MetricStat" in each]
    assert re.findall(r"\bm\d+", expression["Expression"]) == [each["Id"] for each in stats]
    assert all(each["ReturnData"] is False for each in stats)
    assert transformed()["Resources"][name]["Condition"] == "IsDeployed", "the emulator has no metric math"


def test_a_status_in_a_filter_is_a_text_as_the_access_log_writes_it() -> None:
    [stage, *_] = resources("AWS::ApiGateway::Stage").values()
    written = access_log(stage)
    for name, each in resources("AWS::Logs::MetricFilter").items():
        fields = re.findall(r"\$\.(\w+) = (\S+)", each["Properties"]["FilterPattern"])
        assert fields, name
        for field, value in fields:
            assert field in written, (name, field)
            assert value.startswith('"'), (name, field)


# --- each alarm says what to do ---


def test_no_alarm_rings_for_two_conditions_of_ours() -> None:
    """While it rings for one, CloudWatch would send nothing about the other: each is a metric of its own."""
    assert not [name for name, _, call in _calls(_FOR_ALARM) for each in call.keywords if each.arg == "condition"]


@pytest.mark.parametrize(("name", "alarm"), _alarms().items())
def test_an_alarm_says_what_to_do_and_links_to_a_section_of_the_runbook(name: str, alarm: Mapping[str, Any]) -> None:
    text = alarm["AlarmDescription"]["Fn::Sub"]
    found = re.fullmatch(r"(.{30,170}) See \$\{RunbookUrl\}#([a-z0-9-]+)", text)
    assert found, f"{name} must say what to do in 30 to 170 characters, and end with a link as others do: {text}"
    for page in (RUNBOOK, RUNBOOK.with_suffix(".ja.md")):
        written = page.read_text(encoding="utf-8")
        place = f"{page.relative_to(ROOT)} (CONTRIBUTING.md, How an alarm is added)"
        section = re.search(rf'^<a id="{found[2]}"></a>\n## {name}[:：]', written, re.MULTILINE)
        row = f"\n| [`{name}`](#{found[2]}) | " in written
        assert section, f"{place} has no section with the anchor {found[2]} and the heading {name}"
        assert row, f"{place} has no row of {name} with #{found[2]} in the table of alarms"


def test_no_two_alarms_share_a_section() -> None:
    anchors = [alarm["AlarmDescription"]["Fn::Sub"].rpartition("#")[2] for alarm in _alarms().values()]
    assert len(anchors) == len(set(anchors))


def test_the_runbook_is_a_parameter() -> None:
    assert template()["Parameters"]["RunbookUrl"]["Default"] == "docs/runbook.md"


# --- dashboard ---


def test_the_dashboard_is_the_file() -> None:
    [dashboard] = resources("AWS::CloudWatch::Dashboard").values()
    include = dashboard["Properties"]["DashboardBody"]["Fn::ToJsonString"]["Fn::Transform"]
    assert include["Name"] == "AWS::Include"
    assert ROOT / include["Parameters"]["Location"] == DASHBOARD


def test_the_dashboard_is_made_only_where_it_is_asked_for() -> None:
    """It has a price, and nothing in the runbook needs it."""
    assert template()["Parameters"]["WithDashboard"]["Default"] == "false"
    [dashboard] = resources("AWS::CloudWatch::Dashboard").values()
    assert dashboard["Condition"] == "HasDashboard"


def test_the_dashboard_shows_what_is_measured_anyway() -> None:
    titles = [
        "Waiting",
        "Age of the oldest event",
        "Ack latency, p99",
        "Dead letters",
        "Answers 5xx",
        "Work that failed",
    ]
    assert [each["properties"]["title"] for each in _widgets()] == titles
    assert all(each["properties"]["region"] == {"Ref": "AWS::Region"} for each in _widgets())
    alarmed = {each[1] for alarm in _alarms().values() for each in _alarm_metrics(alarm)}
    ours = {name for namespace, name, _ in _dashboard_metrics() if namespace.startswith("Honnin")}
    assert ours <= alarmed, "a metric of ours for the dashboard alone would be paid for"


def test_widgets_lie_beside_each_other() -> None:
    cells = [
        (x, y)
        for each in _widgets()
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24, "a dashboard is 24 wide"


def test_the_dashboard_stays_small() -> None:
    """A widget shows at most 500 metrics; nobody can tell more than a dozen lines apart."""
    assert max(len(each["properties"]["metrics"]) for each in _widgets()) <= 12


# --- nothing is counted for nobody ---


def _queries() -> dict[str, Any]:
    return {name: each["Properties"] for name, each in resources("AWS::Logs::QueryDefinition").items()}


def _asked_for() -> dict[str, str]:
    """What the saved queries add up, each with its query."""
    found: dict[str, str] = {}
    for name, each in _queries().items():
        if listed := re.search(r"counted in \[([^\]]+)\]", each["QueryString"]):
            found |= dict.fromkeys(re.findall(r'"(\w+)"', listed[1]), name)
    return found


@pytest.mark.parametrize("name", sorted(_counted()))
def test_a_metric_that_the_code_counts_has_an_alarm(name: str) -> None:
    """A metric costs as much as half a million lines: without an alarm it is `count` that is to be called."""
    metrics = [each for alarm in _alarms().values() for each in _alarm_metrics(alarm)]
    assert ("Honnin", name) in [each[:2] for each in metrics], f"no alarm looks at {name}"


@pytest.mark.parametrize("name", sorted(_filtered()))
def test_a_metric_that_a_filter_counts_has_an_alarm(name: str) -> None:
    assert name in [each[1] for alarm in _alarms().values() for each in _alarm_metrics(alarm)]


def test_what_is_counted_for_people_is_added_up_by_a_saved_query_and_the_other_way_round() -> None:
    assert {name for name, _, _ in _calls(_FOR_PEOPLE)} == set(_asked_for())


@pytest.mark.parametrize("name", sorted(_asked_for()))
def test_a_saved_query_shows_each_fact_of_a_line(name: str) -> None:
    """But for the ids, of which there are too many to group by."""
    query = _queries()[_asked_for()[name]]["QueryString"]
    shown = {each.strip() for each in query.split(" by ")[1].split(",")}
    assert "counted" in shown
    assert "sum(value)" in query
    assert _facts(name) - {"event_id", "status"} <= shown


def test_the_saved_query_of_a_metric_finds_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A member of a list is a field of its own to Logs Insights: `EventOverdue.0`."""
    query = _queries()["OverdueQuery"]["QueryString"]
    observability.count_for_alarm("EventOverdue", queue="events", error="TimeoutError")
    fields = {name for name, _ in _flat(json.loads(capsys.readouterr().out))}
    assert {re.findall(r"ispresent\(([\w.]+)\)", query)[0], "queue", "error"} <= fields
    assert _facts("EventOverdue") <= {each.strip() for each in query.split(" by ")[1].split(",")}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    match value:
        case dict():
            for key, each in value.items():
                yield from _flat(each, f"{name}.{key}" if name else key)
        case list():
            for number, each in enumerate(value):
                yield from _flat(each, f"{name}.{number}")
        case _:
            yield name, value


def _log_groups(names: Sequence[Any]) -> Iterator[str]:
    for each in names:
        yield (each["Fn::If"][1] if "Fn::If" in each else each)["Ref"]


def test_a_saved_query_reads_the_logs_of_the_functions_that_count() -> None:
    """A module's counts are in the logs of the functions that run its code. A new module that counts is added here."""
    groups = {name: set(_log_groups(query["LogGroupNames"])) for name, query in _queries().items()}
    webhooks = {f"{name.removesuffix('Function')}LogGroup" for name in _behind("WebhookApi") if "Webhook" in name}
    processor, linking, kyc, submission, erasure = (
        {f"{each}LogGroup"}
        for each in ("EventProcessor", "PayPayAccountLink", "PayPayKyc", "VexoraSubmission", "Erasure")
    )
    by_module = {
        "webhook": webhooks,
        "processor": processor,
        "worker": processor | {"MerchantWebhookLogGroup"},
        "pace": processor | linking | kyc | submission | erasure,
        "problems": linking | kyc | submission | erasure,
        "erasure": processor | erasure,
        "recon/notification": processor,
        "recon/summary": {"ReconSummaryLogGroup"},
        "recon/daily_report": {"ReconDeadlineLogGroup"},
        "paypay/notification": processor,
        "paypay/readings": processor | kyc,
        "paypay/residence": processor | kyc,
        "paypay/archive": processor | kyc,
        "paypay/link_page": linking,
        "vexora/client": processor | submission,
        "vexora/result": processor,
    }
    for name, path, _ in _calls(_FOR_PEOPLE):
        module = str(path.relative_to(ROOT / "layers/honnin/honnin").with_suffix(""))
        assert by_module[module] <= groups[_asked_for()[name]], (name, module)


def test_what_the_code_emits_is_all_found() -> None:
    """An emission whose name is not written out at the call would be counted for nobody, unseen."""
    for path in [*(ROOT / "layers/honnin/honnin").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in (*_FOR_ALARM, *_FOR_PEOPLE)
            ):
                assert not _is_observability(node.func.value), f"{path}: import the function, not the module"
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in (*_FOR_ALARM, *_FOR_PEOPLE)
            ):
                assert path.name == "observability.py" or [*_names(node.args[0])], f"{path}:{node.lineno}"


def test_nobody_emits_a_metric_past_the_functions_that_are_looked_for() -> None:
    """Powertools' own functions, under whatever name, would be counted for nobody, unseen; so would another name."""
    for path in [*(ROOT / "layers/honnin/honnin").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]:
        text = path.read_text(encoding="utf-8")
        if path.name == "observability.py":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("aws_lambda_powertools.metrics"), path
                renamed = [each.name for each in node.names if each.asname and each.name in (*_FOR_ALARM, *_FOR_PEOPLE)]
                assert not (node.module == "honnin.observability" and renamed), path
        assert "CloudWatchMetrics" not in text or path.name == "webhook.py", path


def _is_observability(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "observability"


def test_nothing_but_a_substitution_holds_a_dollar() -> None:
    """CloudFormation may carry the file on as one `Fn::Sub`, where any other `${…}` would be an error."""
    assert set(re.findall(r"\$\{[^}]*\}?", DASHBOARD.read_text(encoding="utf-8"))) <= {"${AWS::StackName}"}
