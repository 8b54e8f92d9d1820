"""docs/configuration.md and .ja.md say what the template has, no more and no less."""

from collections.abc import Mapping
from typing import Any

import pytest

from operations import configuration
from operations.configuration import Language, faults, languages, text
from tests.tables import template

LANGUAGES = [pytest.param(each, id=each.page.name) for each in languages(configuration.template())]


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_parameter_is_in_one_group_and_each_language_describes_what_the_template_has(language: Language) -> None:
    found = faults(language, template())
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("section", "name", "fault"),
    [
        ("Parameters", "New", "template.yaml: New is in no ParameterGroups"),
        ("Parameters", "New", "operations/configuration.ja.toml: [parameters] has no text for New"),
        ("Outputs", "NewUrl", "operations/configuration.ja.toml: [outputs] has no text for NewUrl"),
    ],
)
def test_what_was_forgotten_is_named_with_its_place(section: str, name: str, fault: str) -> None:
    [japanese] = [each for each in languages(configuration.template()) if each.page.name == "configuration.ja.md"]
    written = {**template(), section: {**template()[section], name: {"Description": "new"}}}
    assert fault in faults(japanese, written)


def test_what_is_left_over_is_named_with_its_place() -> None:
    [japanese] = [each for each in languages(configuration.template()) if each.page.name == "configuration.ja.md"]
    written = {**template(), "Parameters": {k: v for k, v in template()["Parameters"].items() if k != "Stage"}}
    assert {
        "template.yaml: no parameter Stage",
        "operations/configuration.ja.toml: [parameters] has Stage, the template has not",
    } <= {*faults(japanese, written)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_up_to_date(language: Language) -> None:
    assert language.page.read_text(encoding="utf-8") == text(language, template()), "run make configuration"


def _page(**parameter: Any) -> str:
    [language] = [each for each in languages(configuration.template()) if each.page.name == "configuration.md"]
    written: Mapping[str, Any] = {
        "Metadata": {
            "AWS::CloudFormation::Interface": {
                "ParameterGroups": [{"Label": {"default": "Deployment"}, "Parameters": ["Stage"]}]
            }
        },
        "Parameters": {"Stage": {"Description": language.parameters["Stage"], **parameter}},
        "Outputs": {},
    }
    return text(language, written)


@pytest.mark.parametrize(
    ("parameter", "cells"),
    [
        ({"Default": ""}, '| `""` |  |'),
        ({"Default": "a", "AllowedValues": ["a", "b"]}, "| `a` | `a`, `b` |"),
        ({"Default": "", "AllowedValues": ["", "b"]}, '| `""` | `""`, `b` |'),
        ({"Default": 3, "MinValue": 0, "MaxValue": 9}, "| `3` | 0–9 |"),
        ({"Default": 3, "MinValue": 1}, "| `3` | 1– |"),
    ],
)
def test_a_row_says_the_default_and_what_is_allowed(parameter: dict[str, Any], cells: str) -> None:
    assert cells in _page(**parameter)


def test_pages_that_a_description_names_are_links() -> None:
    assert "[costs.md](costs.md)" in configuration._linked("at a price (docs/costs.md)")
    assert "[api.md#verified](api.md#verified)" in configuration._linked("see docs/api.md#verified")
