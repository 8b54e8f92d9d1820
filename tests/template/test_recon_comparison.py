"""The state machines, as CloudFormation gets them.

The emulator checks little of this: `ItemReader` reads S3 without the role, and numbers may be texts there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.template.transformed import resources, transformed

# By state machine: the functions that it invokes, its Distributed Maps, and its states that wait.
_MACHINES = {
    "ReconComparison": (
        {"ReconPlanFunction", "ReconCompareFunction", "ReconSummaryFunction"},
        {"Compare", "CountOutcomes"},
        {"WaitForTheQueues"},
    ),
    "RereadUsers": (
        {"RereadPlanFunction", "RereadListFunction", "RereadSendFunction"},
        {"ListUsers", "ReadParts"},
        {"WaitForTheQueue"},
    ),
}
_ARN = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"

# AWS, Step Functions developer guide, "IAM policies for using Distributed Map states": what the role of a machine with
# a Distributed Map needs, of the machine itself and of the executions that it starts.
_PUBLISHED = [
    ({"states:StartExecution"}, f"{_ARN}:stateMachine:${{AWS::StackName}}-{{machine}}"),
    (
        {"states:DescribeExecution", "states:StopExecution"},
        f"{_ARN}:execution:${{AWS::StackName}}-{{machine}}:*",
    ),
]
# The same page, "Example of IAM policy for redriving a Distributed Map": of the children, named <machine>/<label>.
_CHILDREN = f"{_ARN}:execution:${{AWS::StackName}}-{{machine}}/*"
_REDRIVEN = ({"states:RedriveExecution"}, _CHILDREN)
# Stopping the parent stops them; the page names the parent's executions only.
_STOPPED = ({"states:DescribeExecution", "states:StopExecution"}, _CHILDREN)

# Where each machine reads its lists.
_LISTS = {"ReconComparison": "${ReconBucket.Arn}/reports/*", "RereadUsers": "${ReconBucket.Arn}/rereads/*"}

_LOG_DELIVERY = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}


@pytest.fixture(params=_MACHINES)
def name(request: pytest.FixtureRequest) -> str:
    """Each of the state machines."""
    return str(request.param)


def test_these_are_all() -> None:
    assert set(resources("AWS::StepFunctions::StateMachine")) == set(_MACHINES)


def machine(name: str) -> Mapping[str, Any]:
    """The properties of a state machine."""
    found: Mapping[str, Any] = resources("AWS::StepFunctions::StateMachine")[name]["Properties"]
    return found


def definition(name: str) -> Mapping[str, Any]:
    """What Step Functions reads."""
    text = machine(name)["DefinitionString"]
    found: Mapping[str, Any] = json.loads("".join(text["Fn::Join"][1]))
    return found


def states(of: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state, those of the children too."""
    for name, state in of["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def statements(name: str) -> list[Mapping[str, Any]]:
    """What the role may do."""
    policy = resources("AWS::IAM::Policy")[f"{name}Policy"]["Properties"]
    assert policy["Roles"] == [{"Ref": f"{name}Role"}]
    assert "Policies" not in resources("AWS::IAM::Role")[f"{name}Role"]["Properties"]
    found: list[Mapping[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def _actions(statement: Mapping[str, Any]) -> set[str]:
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def _resource(statement: Mapping[str, Any]) -> str:
    resource = statement["Resource"]
    return str(resource.get("Fn::Sub", resource)) if isinstance(resource, Mapping) else str(resource)


@pytest.mark.parametrize(("actions", "resource"), [*_PUBLISHED, _REDRIVEN])
def test_the_role_may_what_aws_publishes_for_a_distributed_map(name: str, actions: set[str], resource: str) -> None:
    resource = resource.replace("{machine}", name)
    allowed = [_actions(each) for each in statements(name) if _resource(each) == resource]

    assert allowed, f"nothing is allowed on {resource}"
    assert actions <= set().union(*allowed)


def test_the_role_may_nothing_else_of_step_functions(name: str) -> None:
    wanted = {
        (action, resource.replace("{machine}", name))
        for actions, resource in (*_PUBLISHED, _REDRIVEN, _STOPPED)
        for action in actions
    }
    found = [each for each in statements(name) if any(action.startswith("states:") for action in _actions(each))]
    assert {(action, _resource(each)) for each in found for action in _actions(each)} == wanted


def test_the_role_may_nothing_else(name: str) -> None:
    functions = {each["Fn::GetAtt"][0] for each in machine(name)["DefinitionSubstitutions"].values()}
    assert functions == _MACHINES[name][0]
    rest = [each for each in statements(name) if not _resource(each).startswith(_ARN)]
    assert [_actions(each) for each in rest] == [
        *[{"lambda:InvokeFunction"}] * 3,
        {"s3:GetObject"},
        {"kms:Decrypt"},
        _LOG_DELIVERY,
    ]
    assert [each for each in rest if each["Resource"] == "*"] == rest[-1:], "only deliveries of logs take no resource"
    assert [_resource(each) for each in rest if "s3:GetObject" in _actions(each)] == [_LISTS[name]]
    # It is not traced, and so needs nothing of X-Ray.
    assert not machine(name).get("TracingConfiguration", {}).get("Enabled")


def test_the_machine_has_the_name_that_its_policy_speaks_of_and_waits_for_it(name: str) -> None:
    found = resources("AWS::StepFunctions::StateMachine")[name]
    assert found["Properties"]["StateMachineName"] == {"Fn::Sub": f"${{AWS::StackName}}-{name}"}
    assert f"{name}Policy" in found["DependsOn"]
    # Without a reference from the policy to the machine there is no circle.
    assert f'"{name}"' not in json.dumps(statements(name))


def test_lists_are_where_the_role_may_read_and_name_no_bucket_of_their_own(name: str) -> None:
    for state_name, state in states(definition(name)):
        if state["Type"] == "Map":
            assert state["ItemReader"]["Resource"] == "arn:aws:states:::s3:getObject", state_name
            assert set(state["ItemReader"]["Parameters"]) == {"Bucket.$", "Key.$"}
            assert "ResultWriter" not in state


def test_parent_and_children_are_standard_and_every_number_is_a_number(name: str) -> None:
    assert machine(name)["StateMachineType"] == "STANDARD"
    every = dict(states(definition(name)))
    maps = {each: state for each, state in every.items() if state["Type"] == "Map"}
    assert set(maps) == _MACHINES[name][1]
    for state in maps.values():
        assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        assert type(state["MaxConcurrency"]) is int
        # A result of more than 256 KiB would end the execution.
        assert state["ResultPath"] is None
    assert type(definition(name)["TimeoutSeconds"]) is int
    waiting = {each for each, state in every.items() if state["Type"] == "Wait"}
    assert waiting == _MACHINES[name][2]
    assert all(type(every[each]["Seconds"]) is int for each in waiting)


def test_every_task_is_tried_again(name: str) -> None:
    for each, state in states(definition(name)):
        if state["Type"] == "Task":
            [retry] = state["Retry"]
            assert retry["ErrorEquals"] == ["States.ALL"], each
            assert retry["MaxAttempts"] >= 5


def test_the_log_holds_no_payload(name: str) -> None:
    logging = machine(name)["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False


def test_no_parameter_reaches_the_definition(name: str) -> None:
    """It would come as a text, where Step Functions takes numbers only."""
    given = machine(name).get("DefinitionSubstitutions", {})
    assert all("Fn::GetAtt" in each for each in given.values()), given


def test_the_name_has_room_for_the_longest_stack(request: pytest.FixtureRequest) -> None:
    """Step Functions takes 80 characters: a stack whose comparison can be named has at most 64."""
    assert len("-ReconComparison") + 64 == 80
    assert transformed()


def test_a_part_of_a_reread_waits_for_a_day_within_the_events_that_an_execution_may_have() -> None:
    """AWS ends a Standard execution at 25,000 events; a round of looking and waiting has nine."""
    waiting = dict(states(definition("RereadUsers")))["WaitForTheQueue"]["Seconds"]
    assert 86_400 / waiting * 9 < 25_000 / 1.5


def test_a_reread_that_is_stopped_rings_nothing() -> None:
    alarm = resources("AWS::CloudWatch::Alarm")["RereadUsersAlarm"]["Properties"]
    watched = {each["MetricStat"]["Metric"]["MetricName"] for each in alarm["Metrics"] if "MetricStat" in each}
    assert watched == {"ExecutionsFailed", "ExecutionsTimedOut"}
