"""`python -m operations.configuration`: write docs/configuration.md and .ja.md, every parameter and output.

Names, groups, defaults, what is allowed, and the English come from template.yaml; the Japanese from
operations/configuration.ja.toml. So a parameter is described once in each language.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent
JAPANESE = Path(__file__).parent / "configuration.ja.toml"

type Table = Mapping[str, str]


@dataclass(frozen=True)
class Language:
    """The words of a page; `groups`, `parameters` and `outputs` map the template's names to texts."""

    page: Path
    about: str
    parameter_heads: str
    outputs_title: str
    outputs_about: str
    output_heads: str
    numbers: str
    groups: Table
    parameters: Table
    outputs: Table


def template() -> dict[str, Any]:
    """The template as it is written."""
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return parsed


def groups(written: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """The names of the parameters, by the template's groups."""
    interface = written["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    return {each["Label"]["default"]: each["Parameters"] for each in interface}


def languages(written: Mapping[str, Any]) -> Iterator[Language]:
    """English, by the template itself, and Japanese."""
    yield Language(
        page=ROOT / "docs" / "configuration.md",
        about=(
            "# Configuration\n\n"
            "Generated from `template.yaml` by `make configuration`. "
            "Every parameter of the stack, in the groups that the CloudFormation console shows; then every output.\n"
            'A default of `""` is the empty text. `honninctl doctor` and [onboarding.md](onboarding.md) say which of '
            "them a provider has to confirm. Several values are separated by commas, without spaces.\n"
        ),
        parameter_heads="| parameter | default | allowed | meaning |",
        outputs_title="Outputs",
        outputs_about="`aws cloudformation describe-stacks` shows them.",
        output_heads="| output | what it is |",
        numbers="{}–{}",
        groups={name: name for name in groups(written)},
        parameters={name: each["Description"] for name, each in written["Parameters"].items()},
        outputs={name: each["Description"] for name, each in written["Outputs"].items()},
    )
    yield Language(
        page=ROOT / "docs" / "configuration.ja.md",
        about=(
            "# 設定\n\n"
            "`template.yaml` と `operations/configuration.ja.toml` から `make configuration` で生成しています。"
            "スタックのすべてのパラメーター（CloudFormation のコンソールと同じグループ分け）と、すべての出力です。\n"
            '既定値 `""` は空文字列を表します。プロバイダーへの確認が必要なものは `honninctl doctor` と '
            "[onboarding.md](onboarding.md) で確認できます。複数の値はコンマで区切り、空白は入れません。\n"
        ),
        parameter_heads="| パラメーター | 既定値 | 許される値 | 意味 |",
        outputs_title="出力",
        outputs_about="`aws cloudformation describe-stacks` で表示できます。",
        output_heads="| 出力 | 内容 |",
        numbers="{}〜{}",
        **tomllib.loads(JAPANESE.read_text(encoding="utf-8")),
    )


def faults(language: Language, written: Mapping[str, Any]) -> list[str]:
    """What the template and the language's texts do not have in common, one line each, with the place to mend."""
    grouped = [name for names in groups(written).values() for name in names]
    found = [f"template.yaml: {name} is in no ParameterGroups" for name in written["Parameters"] if name not in grouped]
    found += [f"template.yaml: {name} is twice in ParameterGroups" for name in {*grouped} if grouped.count(name) > 1]
    found += [f"template.yaml: no parameter {name}" for name in grouped if name not in written["Parameters"]]
    for section, texts, names in (
        ("groups", language.groups, groups(written)),
        ("parameters", language.parameters, written["Parameters"]),
        ("outputs", language.outputs, written["Outputs"]),
    ):
        place = f"{JAPANESE.relative_to(ROOT)}: [{section}]"
        found += [f"{place} has no text for {name}" for name in names if not texts.get(name)]
        found += [f"{place} has {name}, the template has not" for name in texts if name not in names]
    return found


def text(language: Language, written: Mapping[str, Any]) -> str:
    """A page. Raises `KeyError` for a group, parameter or output that the language has no text for."""
    lines = [language.about]
    for group, names in groups(written).items():
        lines += [f"## {language.groups[group]}\n", language.parameter_heads, "|---|---|---|---|"]
        for name in names:
            parameter = written["Parameters"][name]
            cells = (_code(parameter["Default"]), _allowed(parameter, language), _linked(language.parameters[name]))
            lines.append(f"| `{name}` | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"## {language.outputs_title}\n", f"{language.outputs_about}\n", language.output_heads, "|---|---|"]
    lines += [f"| `{name}` | {_linked(language.outputs[name])} |" for name in written["Outputs"]]
    return "\n".join(lines) + "\n"


def _code(value: object) -> str:
    return f"`{' '.join(str(value).split()) or '""'}`"


def _allowed(parameter: Mapping[str, Any], language: Language) -> str:
    if values := parameter.get("AllowedValues"):
        return ", ".join(map(_code, values))
    if "MinValue" in parameter:
        return language.numbers.format(parameter["MinValue"], parameter.get("MaxValue", ""))
    return ""


def _linked(description: str) -> str:
    """The text in one line, with links to the pages that it names."""
    line = " ".join(description.split()).replace("|", "\\|")
    return re.sub(r"docs/([a-z]+(?:\.ja)?\.md(?:#[\w-]+)?)", r"[\1](\1)", line)


def _main() -> int:
    written = template()
    if found := [each for language in languages(written) for each in faults(language, written)]:
        sys.exit("\n".join(dict.fromkeys(found)))
    for language in languages(written):
        language.page.write_text(text(language, written), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
