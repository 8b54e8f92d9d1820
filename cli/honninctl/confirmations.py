"""Which parameters of a stack still have a default that a provider has to confirm, or somebody has to choose."""

import re
from dataclasses import dataclass

from honninctl.deployment import Deployment

# How template.yaml's descriptions say that a value is ours to find out: the provider does not publish it.
_UNCONFIRMED = re.compile(r"not published|confirm|\bask\b|until it is set|refuses every", re.IGNORECASE)
_PROVIDER = re.compile("PayPay|Vexora")
_CONFIRM_GROUP = re.compile(r"\(confirm each", re.IGNORECASE)


@dataclass(frozen=True)
class Unconfirmed:
    """A parameter still at its default, and the provider who knows the right value (None: a matter of choice)."""

    name: str
    value: str
    provider: str | None


def unconfirmed(deployment: Deployment) -> list[Unconfirmed]:
    """The parameters that the template asks to confirm and that are at their default, by name.

    The template itself says which: by a description (not published, confirm, ask), or by the label of their group.
    """
    summary = deployment.client("cloudformation").get_template_summary(StackName=deployment.name)
    grouped = _grouped_to_confirm(summary.get("Metadata"))
    found = []
    for each in summary["Parameters"]:
        name, default, description = each["ParameterKey"], each.get("DefaultValue"), each.get("Description", "")
        asks = name in grouped or _UNCONFIRMED.search(description)
        value = deployment.parameters.get(name, default or "")
        if asks and default is not None and _list(value) == _list(default):
            provider = _PROVIDER.search(f"{name} {description}")
            found.append(Unconfirmed(name, value, provider[0] if provider else None))
    return sorted(found, key=lambda each: each.name)


def _grouped_to_confirm(metadata: str | None) -> set[str]:
    import json

    try:
        groups = json.loads(metadata or "{}")["AWS::CloudFormation::Interface"]["ParameterGroups"]
    except (ValueError, KeyError, TypeError):
        return set()
    return {
        name for group in groups if _CONFIRM_GROUP.search(group["Label"]["default"]) for name in group["Parameters"]
    }


def _list(value: str) -> list[str]:
    """A parameter's value, as a list is compared: white space around commas does not count."""
    return [part.strip() for part in value.split(",")]
