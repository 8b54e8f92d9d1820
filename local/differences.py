"""What of the local stack differs from production: its parameters, and what the template does for Stage=local.

Computed from template.yaml, from `[local]` of samconfig.toml (the reason stands behind each setting there) and from
what a run adds. `make run` prints it.
"""

import difflib
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from local.errors import LocalError
from local.paths import ROOT

_SECTION = "[local.deploy.parameters]"
_SETTING = re.compile(r'^\s*"(?P<name>\w+)=(?P<value>[^"]*)",\s*(?:#\s*(?P<why>.+?)\s*)?$')
_UNNAMED = frozenset({"Properties", "Fn::If"})
# Whether a deleted local stack leaves something behind says nothing about how it works.
_POLICIES = frozenset({"DeletionPolicy", "UpdateReplacePolicy", "DeletionProtectionEnabled"})


@dataclass(frozen=True)
class Setting:
    """A template parameter of the local stack, and why it is not left at its default."""

    name: str
    value: str
    why: str

    def override(self) -> str:
        """The setting as `--parameter-overrides` takes it."""
        return f"{self.name}={self.value}"


@dataclass(frozen=True)
class Difference:
    """Something that is one thing in production and another here."""

    what: str
    production: str
    here: str
    why: str


def configured() -> list[Setting]:
    """The settings of `[local]` in samconfig.toml, each with the comment behind it."""
    section = (ROOT / "samconfig.toml").read_text(encoding="utf-8").partition(_SECTION)[2]
    lines = re.split(r"^\[", section, maxsplit=1, flags=re.MULTILINE)[0].splitlines()
    return [Setting(**found.groupdict("no reason is given")) for line in lines if (found := _SETTING.match(line))]


def settings(added: Sequence[Setting]) -> list[Setting]:
    """Everything that the local stack is deployed with: samconfig's, the machine's, and `added`, which win."""
    machine = Setting("Architecture", _architecture(), "place: the emulator runs the functions on this machine")
    given = {each.name: each for each in (*configured(), machine, *added)}
    return list(given.values())


def chosen(given: Sequence[str]) -> list[Setting]:
    """Parameters of the template as they are typed, each `Name=value`. LocalError for what is none."""
    found = []
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise LocalError(f"{each!r} is no parameter: write Name=value.")
        found.append(Setting(name, value, "you: this run's parameter"))
    require_known(found)
    return found


def require_known(given: Sequence[Setting]) -> None:
    """LocalError, with the nearest names, for a setting that is no parameter of the template."""
    names = list(_template()["Parameters"])
    for each in given:
        if each.name not in names:
            lower = {name.lower(): name for name in names}
            near = [lower[found] for found in difflib.get_close_matches(each.name.lower(), lower, n=3)]
            advice = f"did you mean {' or '.join(near)}?" if near else "docs/configuration.md lists them."
            raise LocalError(f"The template has no parameter {each.name}: {advice}")


def of_parameters(given: Sequence[Setting]) -> list[Difference]:
    """The settings that differ from what the template has by default."""
    defaults = {name: str(each.get("Default", "")) for name, each in _template()["Parameters"].items()}
    return [
        Difference(each.name, defaults[each.name], each.value, each.why)
        for each in given
        if each.value != defaults[each.name]
    ]


def of_template() -> list[Difference]:
    """Where the template asks whether it is deployed locally."""
    return [
        Difference(".".join(path), _shown(production), _shown(here), "template.yaml, Stage=local")
        for path, here, production in _local_choices(_template()["Resources"], ())
        if not _POLICIES & set(path)
    ]


def _template() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    return parsed


def _local_choices(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object, object]]:
    if isinstance(value, Mapping):
        choice = value.get("Fn::If")
        if isinstance(choice, list) and choice[0] == "IsLocal":
            yield path, choice[1], choice[2]
            return
        for name, each in value.items():
            yield from _local_choices(each, path if name in _UNNAMED else (*path, str(name)))
    elif isinstance(value, list):
        for each in value:
            yield from _local_choices(each, path)


def _shown(value: object) -> str:
    return "not set" if value == {"Ref": "AWS::NoValue"} else re.sub(r"Fn::Sub: |Ref: |[{}'\"]", "", str(value))


def _architecture() -> str:
    """This machine's, by Lambda's name for it: ministack runs the functions on it."""
    return "arm64" if platform.machine().lower() in ("arm64", "aarch64") else "x86_64"
