"""The state machine of the comparison, as CloudFormation gets it.

The emulator checks little of this: `ItemReader` reads S3 without the role, and numbers may be texts there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.template.transformed import resources, transformed

_NAME = {"Fn::Sub": "${AWS::StackName}-ReconComparison"}
_ARN = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}"

# AWS, Step Functions developer guide, "IAM policies for using Distributed Map states": what the role of a machine with
# a Distributed Map needs, of the machine itself and of the executions that it starts.
_PUBLISHED = [
    ({"states:StartExecution"}, f"{_ARN}:stateMachine:${{AWS::StackName}}-ReconComparison"),
    (
        {"states:DescribeExecution", "states:StopExecution"},
        f"{_ARN}:execution:${{AWS::StackName}}-ReconComparison:*",
    ),
]
# The same page, "Example of IAM policy for redriving a Distributed Map": of the children, named <machine>/<label>.
_CHILDREN = f"{_ARN}:execution:${{AWS::StackName}}-ReconComparison/*"
_REDRIVEN = ({"states:RedriveExecution"}, _CHILDREN)
# Stopping the parent stops them; the page names the parent's executions only.
_STOPPED = ({"states:DescribeExecution", "states:StopExecution"}, _CHILDREN)

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


def machine() -> Mapping[str, Any]:
    """The properties of the state machine."""
    found: Mapping[str, Any] = resources("AWS::StepFunctions::StateMachine")["ReconComparison"]["Properties"]
    return found


def definition() -> Mapping[str, Any]:
    """What Step Functions reads."""
    text = machine()["DefinitionString"]
    found: Mapping[str, Any] = json.loads("".join(text["Fn::Join"][1]))
    return found


def states(of: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every state, those of the children too."""
    for name, state in of["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def statements() -> list[Mapping[str, Any]]:
    """What the role may do."""
    policy = resources("AWS::IAM::Policy")["ReconComparisonPolicy"]["Properties"]
    assert policy["Roles"] == [{"Ref": "ReconComparisonRole"}]
    assert "Policies" not in resources("AWS::IAM::Role")["ReconComparisonRole"]["Properties"]
    found: list[Mapping[str, Any]] = policy["PolicyDocument"]["Statement"]
    return found


def _actions(statement: Mapping[str, Any]) -> set[str]:
    actions = statement["Action"]
    return {actions} if isinstance(actions, str) else set(actions)


def _resource(statement: Mapping[str, Any]) -> str:
    resource = statement["Resource"]
    return str(resource.get("Fn::Sub", resource)) if isinstance(resource, Mapping) else str(resource)


@pytest.mark.parametrize(("actions", "resource"), [*_PUBLISHED, _REDRIVEN])
def test_the_role_may_what_aws_publishes_for_a_distributed_map(actions: set[str], resource: str) -> None:
    allowed = [_actions(each) for each in statements() if _resource(each) == resource]

    assert allowed, f"nothing is allowed on {resource}"
    assert actions <= set().union(*allowed)


def test_the_role_may_nothing_else_of_step_functions() -> None:
    wanted = {(action, resource) for actions, resource in (*_PUBLISHED, _REDRIVEN, _STOPPED) for action in actions}
    states = [each for each in statements() if any(action.startswith("states:") for action in _actions(each))]
    assert {(action, _resource(each)) for each in states for action in _actions(each)} == wanted


def test_the_role_may_nothing_else() -> None:
    functions = {each["Fn::GetAtt"][0] for each in machine()["DefinitionSubstitutions"].values()}
    assert functions == {"ReconPlanFunction", "ReconCompareFunction", "ReconSummaryFunction"}
    rest = [each for each in statements() if not _resource(each).startswith(_ARN)]
    assert [_actions(each) for each in rest] == [
        *[{"lambda:InvokeFunction"}] * 3,
        {"s3:GetObject"},
        {"kms:Decrypt"},
        _LOG_DELIVERY,
    ]
    assert [each for each in rest if each["Resource"] == "*"] == rest[-1:], "only deliveries of logs take no resource"
    assert [_resource(each) for each in rest if "s3:GetObject" in _actions(each)] == ["${ReconBucket.Arn}/reports/*"]
    # It is not traced, and so needs nothing of X-Ray.
    assert not machine().get("TracingConfiguration", {}).get("Enabled")


def test_the_machine_has_the_name_that_its_policy_speaks_of_and_waits_for_it() -> None:
    found = resources("AWS::StepFunctions::StateMachine")["ReconComparison"]
    assert found["Properties"]["StateMachineName"] == _NAME
    assert "ReconComparisonPolicy" in found["DependsOn"]
    # Without a reference from the policy to the machine there is no circle.
    assert '"ReconComparison"' not in json.dumps(statements())


def test_both_lists_of_ranges_are_where_the_role_may_read_and_name_no_bucket_of_their_own() -> None:
    for name, state in states(definition()):
        if state["Type"] == "Map":
            assert state["ItemReader"]["Resource"] == "arn:aws:states:::s3:getObject", name
            assert set(state["ItemReader"]["Parameters"]) == {"Bucket.$", "Key.$"}
            assert "ResultWriter" not in state


def test_parent_and_children_are_standard_and_every_number_is_a_number() -> None:
    assert machine()["StateMachineType"] == "STANDARD"
    maps = {name: state for name, state in states(definition()) if state["Type"] == "Map"}
    assert set(maps) == {"Compare", "CountOutcomes"}
    for state in maps.values():
        assert state["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        assert type(state["MaxConcurrency"]) is int
        # A result of more than 256 KiB would end the execution.
        assert state["ResultPath"] is None
    assert type(definition()["TimeoutSeconds"]) is int
    assert type(dict(states(definition()))["WaitForTheQueues"]["Seconds"]) is int


def test_every_task_is_tried_again() -> None:
    for name, state in states(definition()):
        if state["Type"] == "Task":
            [retry] = state["Retry"]
            assert retry["ErrorEquals"] == ["States.ALL"], name
            assert retry["MaxAttempts"] >= 5


def test_the_log_holds_no_payload() -> None:
    logging = machine()["LoggingConfiguration"]
    assert logging["IncludeExecutionData"] is False


def test_no_parameter_reaches_the_definition() -> None:
    """It would come as a text, where Step Functions takes numbers only."""
    given = machine().get("DefinitionSubstitutions", {})
    assert all("Fn::GetAtt" in each for each in given.values()), given


def test_the_name_has_room_for_the_longest_stack(request: pytest.FixtureRequest) -> None:
    """Step Functions takes 80 characters: a stack whose comparison can be named has at most 64."""
    assert len("-ReconComparison") + 64 == 80
    assert transformed()
