"""Alarms and dashboard look at metrics that exist: ours as the code counts them, AWS's of resources of this stack."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from honnin import observability, webhook
from honnin.recon.file_types import FILE_TYPES
from tests.tables import TEMPLATE, template
from tests.template.transformed import REGION, access_log, resources, source_functions, transformed

ROOT = TEMPLATE.parent
DASHBOARD = ROOT / "operations" / "dashboard.json"
RUNBOOK = ROOT / "docs" / "runbook.md"

# The values that a dimension of ours can have; `error` holds the names of classes and is searched for, not listed.
VALUES = {
    "provider": {"paypay", "vexora"},
    "cause": {"webhook", "poll", "recon", "api", "settle"},
    "kind": {each.kind for each in FILE_TYPES.values()},
    "fileType": set(FILE_TYPES),
}

# What emits a metric, named by its first argument.
_EMITTING = ("count", "measure_s", "_emit")

type Metric = tuple[str, str, Mapping[str, Any]]
"""Namespace, name, dimensions."""


# --- what the code counts ---


@cache
def _counted() -> dict[str, set[frozenset[str]]]:
    """Every metric of the layer and the functions, with the sets of dimension names that it is counted with."""
    found: dict[str, set[frozenset[str]]] = {}
    for path in [*(ROOT / "layers/honnin/honnin").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EMITTING:
                for name in _names(node.args[0]):
                    found.setdefault(name, set()).add(_dimensions(node, node.func.id) | {"service"})
    return found


def _names(argument: ast.expr) -> Iterator[str]:
    """The metric's name, or both of `"A" if … else "B"`."""
    if isinstance(argument, ast.IfExp):
        yield from _names(argument.body)
        yield from _names(argument.orelse)
    elif isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        yield argument.value


def _dimensions(call: ast.Call, function: str) -> frozenset[str]:
    if function == "_emit":
        without = isinstance(call.args[1], ast.Constant) and call.args[1].value is None
        return frozenset() if without else frozenset({"provider"})
    return frozenset(each.arg for each in call.keywords if each.arg and each.arg != "value")


def _dimensions_of(record: str) -> tuple[str, set[str]]:
    [definition] = json.loads(record)["_aws"]["CloudWatchMetrics"]
    [dimensions] = definition["Dimensions"]
    return definition["Namespace"], set(dimensions)


def test_a_count_carries_its_dimensions_and_the_service(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "honnin-test")
    observability.count("EventApplied", provider="paypay", cause="recon")
    assert _dimensions_of(capsys.readouterr().out) == ("Honnin", {"provider", "cause", "service"})


def test_an_emission_of_the_ack_path_carries_provider_and_service(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "honnin-test")
    webhook._emit("EventQueued", "paypay", event_id="1")
    assert _dimensions_of(capsys.readouterr().out) == ("Honnin", {"provider", "service"})


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
        for namespace, name, *rest in (each for each in widget["properties"]["metrics"] if not _is_search(each)):
            *pairs, options = rest
            assert isinstance(options, dict), (name, "every metric has a label")
            assert len(pairs) % 2 == 0
            yield str(_text(namespace)), name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def _is_search(metric: list[Any]) -> bool:
    return isinstance(metric[0], dict) and "expression" in metric[0]


def _searches() -> list[str]:
    found = [each[0] for widget in _widgets() for each in widget["properties"]["metrics"] if _is_search(each)]
    return [str(_text(each["expression"])) for each in found]


def _all_metrics() -> list[Any]:
    found = [(name, each) for name, alarm in _alarms().items() for each in _alarm_metrics(alarm)]
    found += [("dashboard", each) for each in _dashboard_metrics()]
    return [pytest.param(metric, id=f"{place} {metric[1]} {n}") for n, (place, metric) in enumerate(found)]


@pytest.mark.parametrize("metric", _all_metrics())
def test_the_metric_exists(metric: Metric) -> None:
    namespace, name, dimensions = metric
    if namespace == "Honnin":
        assert frozenset(dimensions) in _counted().get(name, set()), f"nothing counts {name} with {set(dimensions)}"
        assert _text(dimensions["service"]) == "honnin-test"
        for dimension in dimensions.keys() & VALUES.keys():
            assert dimensions[dimension] in VALUES[dimension]
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


def _watched(metric: str) -> set[str]:
    """The functions of which some alarm looks at that metric of Lambda."""
    return {
        dimensions["FunctionName"]["Ref"]
        for alarm in _alarms().values()
        for namespace, name, dimensions in _alarm_metrics(alarm)
        if (namespace, name) == ("AWS/Lambda", metric)
    }


def test_errors_of_every_function_that_no_queue_repeats_are_alarmed_and_of_the_processor() -> None:
    assert _watched("Errors") >= _behind("MerchantApi") | _behind("WebhookApi") | {"EventProcessorFunction"}


def test_every_function_that_is_not_alarmed_itself_ends_in_an_alarmed_dead_letter_queue() -> None:
    mapped = {
        each["Properties"]["FunctionName"]["Ref"] for each in resources("AWS::Lambda::EventSourceMapping").values()
    }
    for name in set(source_functions()) - _watched("Errors") - _of_state_machines():
        assert "DeadLetterQueue" in source_functions()[name] or name in mapped, name


def test_throttles_of_every_function_are_alarmed() -> None:
    """But for those that a state machine invokes: it tries again, and its own alarm rings."""
    assert _watched("Throttles") == set(source_functions()) - _of_state_machines()


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

    found = re.fullmatch(r'\{ \$\.method = "(\w+)" && \$\.route = "(/[\w/-]+/)\*" \}', filter_["FilterPattern"])
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
    shown = [dimensions for _, name, dimensions in _dashboard_metrics() if name == "ReconFileMissing"]
    assert {each["fileType"] for each in shown} == set(FILE_TYPES)


@pytest.mark.parametrize("provider", ["paypay", "vexora"])
def test_refused_addresses_of_each_provider_are_alarmed(provider: str) -> None:
    metrics = [each for alarm in _alarms().values() for each in _alarm_metrics(alarm)]
    assert [each for each in metrics if each[1] == "SourceAddressRejected" and each[2]["provider"] == provider]


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


def test_the_dashboard_shows_what_an_operator_asks_for() -> None:
    assert [each["properties"]["title"] for each in _widgets()] == [
        "Received",
        "Applied",
        "Repaired",
        "Missed",
        "Waiting",
        "Age of the oldest event",
        "Ack latency, p99",
        "Dead letters",
        "Provider errors",
        "Recon files",
        "Account links refused",
        "Erased",
    ]
    assert all(each["properties"]["region"] == {"Ref": "AWS::Region"} for each in _widgets())


def test_widgets_lie_beside_each_other() -> None:
    cells = [
        (x, y)
        for each in _widgets()
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24, "a dashboard is 24 wide"


def _searched(search: str) -> tuple[str, frozenset[str]]:
    """The name of the metric that a search is for, and the names of its dimensions."""
    found = re.fullmatch(
        r"SEARCH\('\{Honnin,([\w,]+)\} MetricName=\"(\w+)\" service=\"honnin-test\"', 'Sum', 300\)", search
    )
    assert found, search
    return found[2], frozenset(found[1].split(","))


@pytest.mark.parametrize("search", _searches())
def test_a_search_finds_metrics_that_exist(search: str) -> None:
    name, dimensions = _searched(search)
    assert dimensions in _counted()[name]


def test_the_dashboard_stays_small() -> None:
    """A widget shows at most 500 metrics; nobody can tell more than a dozen lines apart."""
    assert max(len(each["properties"]["metrics"]) for each in _widgets()) <= 12


# --- nothing is counted for nobody ---


def _read() -> set[tuple[str, frozenset[str]]]:
    """Name and dimensions of every metric of ours that an alarm or the dashboard looks at."""
    seen = [each for alarm in _alarms().values() for each in _alarm_metrics(alarm)] + [*_dashboard_metrics()]
    ours = {(name, frozenset(dimensions)) for namespace, name, dimensions in seen if namespace.startswith("Honnin")}
    return ours | {_searched(each) for each in _searches()}


@pytest.mark.parametrize(
    ("name", "dimensions"),
    [pytest.param(name, each, id=name) for name, found in sorted(_counted().items()) for each in found],
)
def test_a_metric_that_the_code_counts_is_read(name: str, dimensions: frozenset[str]) -> None:
    """By an alarm or the dashboard, with all of its dimensions: CloudWatch finds it under these only."""
    assert (name, dimensions) in _read(), f"nobody reads {name} by {sorted(dimensions)}: read it or delete it"


@pytest.mark.parametrize("name", sorted(_filtered()))
def test_a_metric_that_a_filter_counts_is_read(name: str) -> None:
    assert (name, frozenset()) in _read()


def test_what_the_code_emits_is_all_found() -> None:
    """An emission whose name is not written out at the call would be counted for nobody, unseen."""
    for path in [*(ROOT / "layers/honnin/honnin").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _EMITTING:
                assert not _is_observability(node.func.value), f"{path}: import the function, not the module"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _EMITTING:
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
                renamed = [each.name for each in node.names if each.asname and each.name in _EMITTING]
                assert not (node.module == "honnin.observability" and renamed), path
        assert "CloudWatchMetrics" not in text or path.name == "webhook.py", path


def _is_observability(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "observability"


def test_nothing_but_a_substitution_holds_a_dollar() -> None:
    """CloudFormation may carry the file on as one `Fn::Sub`, where any other `${…}` would be an error."""
    assert set(re.findall(r"\$\{[^}]*\}?", DASHBOARD.read_text(encoding="utf-8"))) <= {"${AWS::StackName}"}
