"""Every sentence that the layer says to honninctl and the console: read from the layer's own code and tables."""

import ast
import string
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import honnin
from honnin import field_rules, problems
from honnin.problem_codes import ProblemCode
from honnin.wording import Wording

_LAYER = Path(honnin.__file__).parent
# Which argument of a call is a sentence: of errors that become an answer of the API or an error of honninctl, and of
# the rules of fields.
_CALLS = {
    "NotFoundError": 0,
    "ConflictError": 0,
    "UnreadableError": 1,
    "InvalidFieldError": 1,
    "InvalidSettingError": 1,
    "ConfigurationError": 0,
    "RereadConflictError": 0,
    "UnknownRereadError": 0,
    "pattern": 1,
}
# Kinds of ConfigurationError, whose sentences are in their constructors.
_KINDS = frozenset({"MissingSettingError", "InvalidSettingError", "SecretUnreadableError", "SecretIncompleteError"})


def forms() -> set[str]:
    """Each sentence, with `{}` where it has a value."""
    found = {*(each.summary for each in ProblemCode), *problems._DETAILS.values()}
    found |= {*field_rules._SENTENCES.values(), field_rules._UNKNOWN_FIELD, field_rules._NOT_VALID}
    for path in sorted(_LAYER.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= set(_of_module(tree))
        if path.name.endswith("_api.py"):
            found |= set(_choices(tree))
    return {form(each) for each in found if each}


def wordings() -> list[Wording]:
    """Each `Wording` in the layer's code. A value in it is `X1`."""
    found = []
    for path in sorted(_LAYER.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Wording" and len(node.args) == 2:
                both = [next(_text(each, {})).replace("{}", "X1") for each in node.args]
                if not both[0].startswith("?"):  # the codec of the table
                    found.append(Wording(*both))
    return found


def form(sentence: str) -> str:
    """A sentence without the names of its values."""
    return "".join(
        before + ("{}" if name is not None else "") for before, name, _, _ in string.Formatter().parse(sentence)
    )


def _of_module(tree: ast.Module) -> Iterator[str]:
    assigned: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node.targets[0], node.value):
                if isinstance(target, ast.Name):
                    assigned.setdefault(target.id, []).append(value)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in _KINDS:
            yield from _of_constructor(node)
        elif isinstance(node, ast.Call):
            place = _CALLS.get(getattr(node.func, "id", getattr(node.func, "attr", "")))
            if place is not None and len(node.args) > place:
                yield from _text(node.args[place], assigned)


def _choices(tree: ast.Module) -> Iterator[str]:
    """The rule of each field that takes certain values only (`field_rules._rule`)."""
    # What the API itself answers breaks no rule of its own.
    given = [each for each in tree.body if not (isinstance(each, ast.ClassDef) and each.name.endswith("View"))]
    for node in (node for each in given for node in ast.walk(each)):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "Literal":
            names = [str(each.value) or "empty" for each in ast.walk(node.slice) if isinstance(each, ast.Constant)]
            yield "must be " + " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        yield from zip(target.elts, value.elts, strict=True)
    else:
        yield target, value


def _of_constructor(kind: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(kind):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "__init__":
            yield from _text(node.args[0], {})


def _text(node: ast.expr, assigned: Mapping[str, Sequence[ast.expr]]) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text.replace("{", "{{").replace("}", "}}")
        case ast.JoinedStr(values=parts):
            yield "".join(each.value if isinstance(each, ast.Constant) else "{}" for each in parts)  # type: ignore[misc]
        case ast.Name(id=name) if name in assigned:
            for each in assigned[name]:
                yield from _text(each, {})
        case _:
            yield f"?? {ast.unparse(node)} ({node.lineno})"
