"""What CloudFormation gets, under parameters that change it: no circle, no reference into nothing, no lint error.

The graph is looked at under all of `COMBINATIONS`. cfn-lint, which takes seconds, runs over those of `LINTED`, in which
every two values that may meet do meet.
"""

import graphlib
import hashlib
import itertools
import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pytest

from tests.tables import TEMPLATE, template
from tests.template.axes import AXES, CERTIFICATE
from tests.template.deployed import Parameters, RefusedError, after_sam, graph, resolved, unknown, values
from tests.template.transformed import REGION

type Combination = tuple[str, ...]


def parameters(combination: Combination) -> Parameters:
    return tuple(
        itertools.chain.from_iterable(axis[value] for axis, value in zip(AXES.values(), combination, strict=True))
    )


def _allowed(combination: Combination) -> bool:
    return not (combination[0] == "local" and combination[1] != "AllAtOnce")  # rule NoCodeDeployLocally


def _combinations() -> list[Combination]:
    """Every canary (AllAtOnce locally, too) with every VPC, boundary and warmth; the other values take turns."""
    found: list[Combination] = []
    stages = {"AllAtOnce": ("local", "dev"), "Canary10Percent10Minutes": ("prod",), "Linear10PercentEvery1Minute": ()}
    for number, chosen in enumerate(itertools.product(*(AXES[each] for each in ("canary", "vpc", "boundary", "warm")))):
        turn = [list(AXES[each])[(number >> place) % 2] for place, each in enumerate(("reserved", "tracing"))]
        turn.append(list(AXES["architecture"])[(number >> 2) % 2])
        turn += [list(AXES["domain"])[number % 3], list(AXES["chat"])[(number >> 3) % 2]]
        turn.append(list(AXES["firewall"])[(number >> 1) % 2])
        for stage in stages[chosen[0]] or (("dev", "prod")[number % 2],):
            found.append((stage, *chosen, *turn, list(AXES["merchant webhooks"])[len(found) % 2]))
    return found


COMBINATIONS = _combinations()

# Each row is a combination: for each axis in its order, which of its values. Twelve are enough for every two to meet.
LINTED: list[Combination] = [
    tuple(list(axis)[int(place)] for axis, place in zip(AXES.values(), row, strict=True))
    for row in (
        "001100011110",
        "000111102000",
        "000000010111",
        "100100100010",
        "110100112000",
        "110101110000",
        "120011101100",
        "121000002011",
        "201011000010",
        "211001102111",
        "211011011001",
        "220110010101",
    )
]


def check(written: Mapping[str, Any], combination: Combination) -> dict[str, Any]:
    """The template as it is deployed; fails with a circle, named, or with a reference to what is not there."""
    transformed = after_sam(written, parameters(combination))
    deployed = resolved(transformed, parameters(combination))
    # Both: AWS's order is that of what is left when conditions are decided, and no branch may close a circle either.
    for resources in (deployed["Resources"], transformed["Resources"]):
        try:
            graphlib.TopologicalSorter(graph(resources)).prepare()
        except graphlib.CycleError as circle:
            pytest.fail(f"a circle: {' -> '.join(reversed(circle.args[1]))}")
    assert not unknown(deployed["Outputs"] | deployed["Resources"])
    return deployed


@pytest.mark.parametrize("combination", COMBINATIONS, ids=" ".join)
def test_the_resources_can_be_put_into_an_order(combination: Combination) -> None:
    deployed = check(template(), combination)
    shifted = combination[1] != "AllAtOnce"
    groups = [each for each in deployed["Resources"].values() if each["Type"] == "AWS::CodeDeploy::DeploymentGroup"]
    assert bool(groups) is shifted, "SAM did not see the value of Canary: this test would say nothing"


@pytest.mark.lint
@pytest.mark.parametrize("combination", LINTED, ids=" ".join)
def test_cfn_lint_finds_no_error_in_what_is_deployed(combination: Combination) -> None:
    deployed = json.dumps(check(template(), combination))
    config = {"regions": [REGION], "ignore_checks": ["W", "I"]}
    # cfn-lint takes seconds, and says of the same text what it said before.
    known = hashlib.sha256(json.dumps([version("cfn-lint"), config, deployed]).encode()).hexdigest()
    passed = TEMPLATE.parent / "build" / "linted" / known
    if not passed.exists():
        # Not at the top: its import takes seconds, and `make test-unit` selects no test that needs it.
        from cfnlint.api import lint  # type: ignore[import-untyped]
        from cfnlint.config import ManualArgs  # type: ignore[import-untyped]

        found = lint(deployed, config=ManualArgs(**config))
        assert not [f"{each.rule.id} {each.path} {each.message}" for each in found]
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()


def test_of_the_linted_every_two_values_meet() -> None:
    for (one, first), (other, second) in itertools.combinations(enumerate(AXES.values()), 2):
        for pair in itertools.product(first, second):
            met = any((each[one], each[other]) == pair for each in LINTED)
            assert met or ((one, other) == (0, 1) and not _allowed(pair)), pair


def test_the_combinations_hold_all_that_decide_about_the_graph() -> None:
    wanted = set(itertools.product(*list(AXES.values())[1:5]))
    assert {each[1:5] for each in COMBINATIONS} == wanted
    assert {each[1:5] for each in COMBINATIONS if each[0] == "local"} == {
        each for each in wanted if each[0] == "AllAtOnce"
    }
    assert all(_allowed(each) for each in [*COMBINATIONS, *LINTED])


OTHER_CANARIES = [each for each in template()["Parameters"]["Canary"]["AllowedValues"] if each not in AXES["canary"]]


@pytest.mark.parametrize("canary", OTHER_CANARIES)
def test_every_canary_can_be_put_into_an_order(canary: str) -> None:
    found = (("Stage", "prod"), ("Canary", canary))
    graphlib.TopologicalSorter(graph(resolved(after_sam(template(), found), found)["Resources"])).prepare()


def test_the_rules_refuse_what_cannot_be_deployed() -> None:
    for refused in (
        (("Stage", "local"), ("Canary", "Linear10PercentEvery1Minute")),
        (("Stage", "prod"), ("LoopbackFiles", "true")),
        (("Stage", "dev"), ("VpcSubnetIds", "subnet-0a0a0a0a")),
        (("SlackWorkspaceId", "T0123ABCD"),),
        (("SlackChannelId", "C0123ABCD"),),
        (*AXES["chat"]["chat"][:2], ("TeamsTeamId", "0a1b2c3d-0000-4000-8000-0123456789ab")),
        AXES["chat"]["chat"][:4],
        AXES["chat"]["chat"][3:],
        (("WebhookDomainName", "hooks.shop.example.jp"),),
        (("MerchantDomainName", "kyc.shop.example.jp"),),
        (("DomainCertificateArn", CERTIFICATE),),
        (("DomainHostedZoneId", "Z0123456789ABCDEFGHIJ"),),
        (("WebhookBasePath", "hooks"),),
        (
            ("MerchantDomainName", "kyc.shop.example.jp"),
            ("DomainCertificateArn", CERTIFICATE),
            ("WebhookBasePath", "a"),
        ),
        (
            ("WebhookDomainName", "kyc.shop.example.jp"),
            ("DomainCertificateArn", CERTIFICATE),
            ("MerchantBasePath", "a"),
        ),
        (*AXES["domain"]["one name"], ("MerchantBasePath", "hooks")),
    ):
        with pytest.raises(RefusedError):
            values(refused)


def test_the_rules_take_each_half_that_is_whole_by_itself() -> None:
    chat = AXES["chat"]["chat"]
    for taken in (chat[:2], chat[2:], chat):
        values(taken)
    for name in ("WebhookDomainName", "MerchantDomainName"):
        values(((name, "kyc.shop.example.jp"), ("DomainCertificateArn", CERTIFICATE)))


# --- that this test can fail ---

CANARY = (
    *("prod", "Canary10Percent10Minutes", "no VPC", "no boundary", "cold", "shared", "untraced", "arm64"),
    *("no domain", "no chat", "open", "none"),
)
_URL = "https://${WebhookApi}.execute-api.${AWS::Region}.amazonaws.com/v1"


@pytest.mark.parametrize(
    ("resource", "changed"),
    [
        pytest.param("VexoraSubmissionFunction", {"Description": {"Fn::Sub": _URL}}, id="Sub"),
        pytest.param(
            "KycStatusFunction", {"Description": {"Fn::Sub": ["${x}", {"x": {"Ref": "WebhookApi"}}]}}, id="Ref"
        ),
        pytest.param("PayPayKycFunction", {"Description": {"Fn::GetAtt": "WebhookApi.RootResourceId"}}, id="GetAtt"),
        pytest.param("PayPayAccountLinkFunction", {"DependsOn": ["WebhookApiv1Stage"]}, id="DependsOn"),
        pytest.param("MerchantFunctionErrorsAlarm", {"AlarmName": {"Fn::Sub": "${WebhookApi}"}}, id="an alarm"),
    ],
)
def test_a_circle_through_an_alarm_of_the_canary_is_found(resource: str, changed: Mapping[str, Any]) -> None:
    """API -> alias -> (UpdatePolicy) deployment group -> alarm -> function -> API, closed in each way there is."""
    written = {**template(), "Resources": dict(template()["Resources"])}
    each = written["Resources"][resource]
    if "DependsOn" in changed:
        written["Resources"][resource] = each | changed
    else:
        written["Resources"][resource] = each | {"Properties": each["Properties"] | changed}
    with pytest.raises(pytest.fail.Exception, match="a circle"):
        check(written, CANARY)


def test_a_reference_to_what_a_condition_leaves_out_is_found() -> None:
    written = {**template(), "Resources": dict(template()["Resources"])}
    written["Resources"]["AlarmTopic"] = {"Type": "AWS::SNS::Topic", "Condition": "HasVpc"}
    with pytest.raises(AssertionError, match="AlarmTopic"):
        check(written, CANARY)
