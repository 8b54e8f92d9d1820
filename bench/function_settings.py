"""The environment variables that template.yaml gives a function, with the names of a stand-in's resources."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from local.paths import ROOT


@cache
def template() -> dict[str, Any]:
    """template.yaml with its short forms (`!Ref`) spelled out. Treat it as read-only."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return parsed


def variables(function: str, parameters: Mapping[str, str], queue_url: Callable[[str], str]) -> dict[str, str]:
    """The variables of the function with this logical id. `parameters` win over the template's defaults.

    A queue is its URL, every other resource its logical id. What cannot be known without a deployment is left out: the
    function says so when it misses it.
    """
    given = template()["Resources"][function]["Properties"]["Environment"]["Variables"]
    found = {name: _resolved(value, parameters, queue_url) for name, value in given.items()}
    return {name: value for name, value in found.items() if value is not None}


def batch_size(queue: str) -> int:
    """How many messages of the queue with this logical id Lambda hands over at once."""
    [source] = [
        each["Properties"]
        for each in template()["Resources"].values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping"
        and each["Properties"]["EventSourceArn"] == {"Fn::GetAtt": [queue, "Arn"]}
    ]
    return int(_resolved(source["BatchSize"], {}, str) or 0)


def _resolved(value: Any, parameters: Mapping[str, str], queue_url: Callable[[str], str]) -> str | None:
    match value:
        case {"Ref": str(name)} if name in parameters:
            return parameters[name]
        case {"Ref": str(name)} if name in template()["Parameters"]:
            default = template()["Parameters"][name].get("Default")
            return None if default is None else str(default)
        case {"Ref": str(name)} if name in template()["Resources"]:
            is_queue = template()["Resources"][name]["Type"] == "AWS::SQS::Queue"
            return queue_url(name) if is_queue else name
        case {"Fn::GetAtt": [str(name), _]}:
            return name
        case {"Fn::Join": [_, inner]}:
            return _resolved(inner, parameters, queue_url)
        case {"Fn::Sub": str(text)}:
            return text  # nobody looks at what it names
        case dict() | list():
            return None
    return str(value)
