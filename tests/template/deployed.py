"""template.yaml as CloudFormation deploys it under given parameters.

In AWS's order: the language extensions, SAM, then the conditions. After the last step there is no `Fn::If`, no
parameter and no resource that a condition leaves out: what is there is what AWS has to put into an order.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from tests.tables import TEMPLATE, template
from tests.template.transformed import REGION, packaged

_GONE = object()  # what `AWS::NoValue` leaves behind
_PSEUDO = {"AWS::StackName": "honnin-test", "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::URLSuffix": "aws"}

type Parameters = tuple[tuple[str, str], ...]


class RefusedError(Exception):
    """A rule of the template refuses these parameters, with its own words."""


@cache
def values(parameters: Parameters) -> dict[str, str | list[str]]:
    """Every parameter's value, a list as a list. `RefusedError` if one of the template's `Rules` says no."""
    declared = template()["Parameters"]
    given = {name: str(each["Default"]) for name, each in declared.items()} | dict(parameters)
    found: dict[str, str | list[str]] = {
        name: value.split(",") if declared[name]["Type"] == "CommaDelimitedList" else value
        for name, value in given.items()
    }
    for rule in template()["Rules"].values():
        if _true(rule["RuleCondition"], {}, found):
            for assertion in rule["Assertions"]:
                if not _true(assertion["Assert"], {}, found):
                    raise RefusedError(assertion["AssertDescription"])
    return found


def after_sam(written: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """The template after the language extensions and SAM; conditions still stand in it."""
    source = packaged(written)
    conditions = source["Conditions"]
    for resource in source["Resources"].values():
        for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
            if policy in resource:
                resource[policy] = _chosen(resource[policy], conditions, values(parameters))
    source["Resources"] = _json_texts(source["Resources"], conditions, values(parameters))
    translator = Translator({}, Parser(), boto_session=boto3.session.Session(region_name=REGION))
    result: dict[str, Any] = translator.translate(source, dict(values(parameters)))
    return result


def resolved(transformed: Mapping[str, Any], parameters: Parameters) -> dict[str, Any]:
    """A transformed template with every condition decided and every parameter's value put in."""
    conditions = transformed["Conditions"]
    result = copy.deepcopy(dict(transformed))
    for section in ("Resources", "Outputs"):
        result[section] = {
            name: _chosen({key: value for key, value in each.items() if key != "Condition"}, conditions, given)
            for given in [values(parameters)]
            for name, each in transformed[section].items()
            if "Condition" not in each or _true({"Condition": each["Condition"]}, conditions, given)
        }
    for section in ("Conditions", "Rules", "Parameters", "Metadata"):
        result.pop(section, None)
    return result


def _chosen(value: Any, conditions: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    match value:
        case {"Fn::If": [str(name), yes, no]}:
            return _chosen(yes if _true({"Condition": name}, conditions, given) else no, conditions, given)
        case {"Ref": "AWS::NoValue"}:
            return _GONE
        case {"Ref": str(name)} if name in given:
            return given[name]
        case {"Fn::Join": [str(separator), {"Ref": str(name)}]} if name in given:
            return separator.join(given[name])
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": re.sub(r"\$\{(\w+)\}", lambda found: str(given.get(found[1], found[0])), text)}
        case {"Fn::Join": [str(separator), list(texts)]}:
            return _joined(separator, _chosen(texts, conditions, given))
        case dict():
            parts = {key: _chosen(each, conditions, given) for key, each in value.items()}
            return {key: each for key, each in parts.items() if each is not _GONE}
        case list():
            return [each for each in (_chosen(part, conditions, given) for part in value) if each is not _GONE]
    return value


def _joined(separator: str, parts: list[Any]) -> Any:
    """Texts, some of them of `Fn::Sub`, as the one text that they are."""
    if all(isinstance(each, str) for each in parts):
        return separator.join(parts)
    texts = [each["Fn::Sub"] if isinstance(each, dict) and [*each] == ["Fn::Sub"] else each for each in parts]
    if all(isinstance(each, str) for each in texts):
        return {"Fn::Sub": separator.join(texts)}
    return {"Fn::Join": [separator, parts]}


def _true(condition: Any, conditions: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    def value(term: Any) -> Any:
        match term:
            case {"Ref": str(name)}:
                return given[name]
            case {"Fn::Join": [str(separator), {"Ref": str(name)}]}:
                return separator.join(given[name])
            case {"Fn::FindInMap": [str(name), first, second]}:
                return template()["Mappings"][name][value(first)][value(second)]
        return str(term)

    match condition:
        case {"Condition": str(name)}:
            return _true(conditions[name], conditions, given)
        case {"Fn::Equals": [left, right]}:
            return bool(value(left) == value(right))
        case {"Fn::Not": [inner]}:
            return not _true(inner, conditions, given)
        case {"Fn::And": terms}:
            return all(_true(each, conditions, given) for each in terms)
        case {"Fn::Or": terms}:
            return any(_true(each, conditions, given) for each in terms)
        case {"Fn::EachMemberEquals": [terms, wanted]}:
            return all(each == wanted for each in value(terms))
    raise ValueError(f"no condition that is known here: {condition}")


def _json_texts(value: Any, conditions: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """`Fn::ToJsonString` as its text. Of an included file, resources stay references, as in `Fn::Sub`."""
    match value:
        case {"Fn::ToJsonString": {"Fn::Transform": {"Parameters": {"Location": str(place)}}}}:
            return {"Fn::Sub": _as_sub(json.loads((TEMPLATE.parent / place).read_text(encoding="utf-8")))}
        case {"Fn::ToJsonString": inner}:
            return json.dumps(_chosen(inner, conditions, given))
        case dict():
            return {key: _json_texts(each, conditions, given) for key, each in value.items()}
        case list():
            return [_json_texts(each, conditions, given) for each in value]
    return value


def _as_sub(document: Any) -> str:
    def written(value: Any) -> Any:
        match value:
            case {"Ref": str(name)}:
                return f"${{{name}}}"
            case {"Fn::GetAtt": [str(name), str(attribute)]}:
                return f"${{{name}.{attribute}}}"
            case {"Fn::Sub": str(text)}:
                return text
            case dict():
                return {key: written(each) for key, each in value.items()}
            case list():
                return [written(each) for each in value]
        return value

    return json.dumps(written(document))


# --- the graph ---


def references(value: Any) -> Iterator[str]:
    """What `value` refers to: resources, parameters and pseudo parameters, by `Ref`, `Fn::GetAtt`, `Fn::Sub`."""
    match value:
        case {"Ref": str(name)}:
            yield name
        case {"Fn::GetAtt": [str(name), *_]}:
            yield name
        case {"Fn::GetAtt": str(path)}:
            yield path.partition(".")[0]
        case {"Fn::Sub": [str(text), dict(variables)]}:
            yield from (name for name in _in_text(text) if name not in variables)
            yield from references(list(variables.values()))
        case {"Fn::Sub": str(text)}:
            yield from _in_text(text)
        case dict():
            for each in value.values():
                yield from references(each)
        case list():
            for each in value:
                yield from references(each)


def _in_text(text: str) -> Iterator[str]:
    return (name.partition(".")[0] for name in re.findall(r"\$\{([^!}][^}]*)\}", text))


def graph(resources: Mapping[str, Any]) -> dict[str, set[str]]:
    """Each resource with those that it must wait for: all that it refers to, in any of its attributes."""
    found = {}
    for name, each in resources.items():
        waits_for = each.get("DependsOn", [])
        named = {waits_for} if isinstance(waits_for, str) else set(waits_for)
        found[name] = (named | set(references(each))) & resources.keys()
    return found


def unknown(resources: Mapping[str, Any]) -> set[tuple[str, str]]:
    """References to what is not there, with who refers: AWS calls them unresolved dependencies."""
    found = set()
    for name, each in resources.items():
        waits_for = each.get("DependsOn", [])
        named = {waits_for} if isinstance(waits_for, str) else set(waits_for)
        for target in named | set(references(each)):
            if target not in resources and not target.startswith("AWS::"):
                found.add((name, target))
    return found


@cache
def deployed(parameters: Parameters) -> dict[str, Any]:
    """The whole template under these parameters."""
    return resolved(after_sam(template(), parameters), parameters)


def of_type(parameters: Parameters, kind: str) -> dict[str, Any]:
    """The properties of each resource of a type, by its name."""
    found = deployed(parameters)["Resources"].items()
    return {name: each["Properties"] for name, each in found if each["Type"] == kind}
