"""How the tests themselves are laid out: a test module holds tests, `tests/fakes/` what several of them need."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


@cache
def _trees() -> dict[str, ast.Module]:
    """The tests' own modules, by their paths."""
    return {str(path.relative_to(TESTS)): ast.parse(path.read_text(encoding="utf-8")) for path in TESTS.rglob("*.py")}


def _imported(tree: ast.Module) -> Iterator[str]:
    """The full name of everything that a module imports, wherever in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from (f"{module}.{each.name}" for each in names)


def _is_test(module: str) -> bool:
    return module.startswith("test_")


def test_nothing_is_imported_from_a_test_module() -> None:
    imports = [(path, name.split(".")) for path, tree in _trees().items() for name in _imported(tree)]
    assert [(path, name) for path, name in imports if name[0] == "tests" and any(map(_is_test, name[1:-1]))] == []


def test_a_module_of_helpers_holds_no_test() -> None:
    helpers = [(path, tree) for path, tree in _trees().items() if not _is_test(Path(path).name)]
    assert len(helpers) > 20
    named = [(path, each.name) for path, tree in helpers for each in tree.body if isinstance(each, ast.FunctionDef)]
    assert [(path, name) for path, name in named if _is_test(name)] == []


def test_no_unit_test_stands_on_moto() -> None:
    trees = {path: tree for path, tree in _trees().items() if path.startswith(("unit/", "fakes/"))}
    assert len(trees) > 60
    imports = [(path, name) for path, tree in trees.items() for name in _imported(tree)]
    assert [(path, name) for path, name in imports if name.partition(".")[0] == "moto"] == []
