"""template.yaml as CloudFormation gets it: SAM's own transform, with the conditions of a cloud stage decided."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from tests.tables import template

REGION = "ap-northeast-1"
# Outside the local stack: what counts in an account.
_CONDITIONS = {"IsLocal": False, "IsDeployed": True, "HasMerchantWebhooks": True}
_CODE = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}

Resource = dict[str, Any]


@cache
def transformed(*parameters: tuple[str, str]) -> dict[str, Any]:
    """The transformed template, every parameter at its default but those given. Treat it as read-only."""
    return transform(template(), *parameters)


def transform(written: Mapping[str, Any], *parameters: tuple[str, str]) -> dict[str, Any]:
    """`written` as SAM transforms it; code that is not in S3 yet is where `sam package` would put it."""
    source = packaged(written)
    source["Resources"] = decided(source["Resources"])
    session = boto3.session.Session(region_name=REGION)
    translator = Translator({}, Parser(), boto_session=session)
    result: dict[str, Any] = translator.translate(source, _lists() | dict(parameters))
    return result


def packaged(written: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `written` with its code in S3, and for SAM alone: the language extensions are decided by the tests."""
    source = copy.deepcopy(dict(written))
    source["Transform"] = "AWS::Serverless-2016-10-31"
    for resource in source["Resources"].values():
        place = _CODE.get(resource["Type"])
        if place and not resource["Properties"][place].startswith("s3://"):
            resource["Properties"][place] = "s3://bucket/key"
    return source


def _lists() -> dict[str, Any]:
    """The defaults of list parameters as lists: SAM writes parameters into `Auth` itself, and in the cloud it gets
    them so (serverless-application-model, issue 1696); the library alone would write one text with commas."""
    return {
        name: [part.strip() for part in each["Default"].split(",")]
        for name, each in template()["Parameters"].items()
        if each["Type"] == "CommaDelimitedList"
    }


def resources(kind: str, *parameters: tuple[str, str]) -> dict[str, Resource]:
    """The transformed resources of one type, by logical id."""
    found = {name: each for name, each in transformed(*parameters)["Resources"].items() if each["Type"] == kind}
    if not found:
        raise LookupError(f"the template has no {kind}: this test would say nothing")
    return found


def source_functions() -> dict[str, Resource]:
    """The functions as template.yaml writes them, with the globals put in."""
    common = template()["Globals"]["Function"]
    return {
        name: {**common, **each["Properties"]}
        for name, each in template()["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }


def decided(value: Any) -> Any:
    """`value` with each `Fn::If` over a known condition replaced by its branch."""
    match value:
        case {"Fn::If": [str(name), yes, no]} if name in _CONDITIONS:
            return decided(yes if _CONDITIONS[name] else no)
        case dict():
            return {key: decided(each) for key, each in value.items()}
        case list():
            return [decided(each) for each in value]
    return value


def access_log(stage: Resource) -> dict[str, Any]:
    """A line of a stage's access log as API Gateway fills it in: what stands without quotes is a number."""
    line: dict[str, Any] = json.loads(re.sub(r":\$[\w.]+", ":12", stage["Properties"]["AccessLogSetting"]["Format"]))
    return line


def invoked(reference: Mapping[str, str]) -> str:
    """The logical id of the function that `{"Ref": …}` names, itself or by its alias."""
    name = reference["Ref"]
    alias = resources("AWS::Lambda::Alias").get(name)
    return alias["Properties"]["FunctionName"]["Ref"] if alias else name


def statements() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every policy statement of every role, with the role's logical id."""
    for name, role in resources("AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            written = policy["PolicyDocument"]["Statement"]
            for statement in written if isinstance(written, list) else [written]:
                yield name, statement


def logical_id(folder: str) -> str:
    """The function's resource: `paypay_kyc_webhook` is `PayPayKycWebhookFunction`."""
    names = {"paypay": "PayPay"}
    return "".join(names.get(part, part.title()) for part in folder.split("_")) + "Function"
