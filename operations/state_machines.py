"""How many state transitions of Step Functions an execution takes, counted by walking through its definition.

AWS counts one for each step of a Standard workflow, and for a Distributed Map one more for each child that it starts
(Step Functions developer guide, "Transitions"). Retries count too, and are not in here: a step that works needs none.
"""

from collections.abc import Mapping
from typing import Any


def transitions(machine: Mapping[str, Any], items: Mapping[str, int], waits: Mapping[str, int]) -> int:
    """The transitions of one execution, with those of its children.

    `items` says how many children the map of each label starts, each time; `waits` how often an execution, or a child,
    passes each Wait state. A choice leads to a Wait as long as that is to be passed, and else to its first other state.

    Raises
    ------
    KeyError
        A map whose label, or a Wait whose name, is not given.
    """
    states, name = machine["States"], machine["StartAt"]
    left = dict(waits)
    counted = 0
    while name:
        state = states[name]
        counted += 1
        match state["Type"]:
            case "Map":
                counted += items[state["Label"]] * (1 + transitions(state["ItemProcessor"], items, waits))
                name = state.get("Next")
            case "Wait":
                left[name] -= 1
                name = state.get("Next")
            case "Choice":
                name = _chosen(state, states, left)
            case _:
                name = state.get("Next")
    return counted


def _chosen(choice: Mapping[str, Any], states: Mapping[str, Any], left: Mapping[str, int]) -> str:
    branches: list[str] = [*(each["Next"] for each in choice["Choices"]), choice["Default"]]
    waiting = [each for each in branches if states[each]["Type"] == "Wait"]
    for each in waiting:
        if left[each] > 0:
            return each
    return next(each for each in branches if each not in waiting)
