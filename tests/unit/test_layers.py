"""Who may know whom: imports run downwards only.

`LAYERS` is the order, from the bottom: a module imports only what stands before it, in an earlier row or further left
in its own. Imports inside functions and under `TYPE_CHECKING` count like any other. A new module gets its place here.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "honnin"

# A package's name stands for all of its modules that have no place of their own.
LAYERS = (
    (
        "the words that all speak in",
        "event times wording status domain_events problem_codes errors json_text field_rules provider_text",
    ),
    ("what PayPay's answers mean, and which reads there are", "paypay_facets paypay_products"),
    ("facts of PayPay's recon files", "recon.file_types"),
    ("the ack path", "sqs_send webhook"),
    ("logs, settings, secrets, clients of AWS", "observability aws config secret_store"),
    ("calls to the outside", "http_client content_coding remote_file"),
    ("what is kept", "json_objects vault store history register kept_registers"),
    (
        "how work is carried on",
        "publish people mass_change repairs_stop commit event_queue settling questions pace worker merchant_webhook "
        "idempotency",
    ),
    ("the forms of the merchant API", "api_request problems merchant_api"),
    ("the providers and recon, side by side", "vexora paypay recon"),
    ("what spans them", "reread erasure erasure_api users_api overview_api processor event_worker"),
)

# Whom a module may know, where that is less than what stands before it.
ONLY = {
    "event": set(),
    "times": set(),
    "wording": set(),
    "status": set(),
    "errors": {"problem_codes"},  # each error of a caller carries its code; the list of codes knows nobody
    "sqs_send": set(),
    "webhook": {"event", "times", "sqs_send"},
}

# Neighbours that do not know each other. The table and the vault know no provider.
SIDE_BY_SIDE = ("vexora", "paypay", "recon")
KNOW_NO_PROVIDER = ("store", "vault")

# Which folders of the repository import which. Whoever is not named here is imported by nobody else.
FOLDERS = {
    "layers/honnin": {"honnin"},
    "functions": {"honnin"},
    "cli": {"honninctl", "honnin"},
    "operations": {"operations", "honninctl", "honnin"},
    "sandbox": {"sandbox"},  # shares no code with the layer: a mistake in one must be seen by the other
    "local": {"local", "honninctl"},
    "chaos": {"chaos", "sandbox", "honnin"},
    "bench": {"bench", "chaos", "local", "sandbox", "honninctl", "honnin"},
}
OURS = set().union(*FOLDERS.values()) | {"tests", "functions"}


def _imported(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, and every name that it takes from one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield from (f"{node.module}.{each.name}" for each in node.names)


@cache
def _modules() -> Mapping[str, Path]:
    found = {}
    for path in sorted((LAYER / "honnin").rglob("*.py")):
        name = ".".join(path.relative_to(LAYER / "honnin").with_suffix("").parts)
        found[name.removesuffix("__init__").removesuffix(".")] = path
    del found[""]
    return found


def _module(name: str) -> str:
    """The module of `honnin` that a dotted name is, or is taken from."""
    while name not in _modules():
        name = name.rpartition(".")[0]
        assert name, "honnin itself holds nothing to import"
    return name


@cache
def _graph() -> Mapping[str, frozenset[str]]:
    return {
        module: frozenset(
            _module(name.removeprefix("honnin.")) for name in _imported(path) if name.startswith("honnin.")
        )
        - {module}
        for module, path in _modules().items()
    }


ORDER = [name for _, row in LAYERS for name in row.split()]


def _place(module: str) -> str:
    """The entry of `LAYERS` for a module: its own, else its package's."""
    found = module if module in ORDER else module.partition(".")[0]
    assert found in ORDER, f"{module} has no place in LAYERS: which modules may it know, and which may know it?"
    return found


def _fault(module: str, known: str) -> str | None:
    """Why a module may not import another; None where it may."""
    here, there = _place(module), _place(known)
    packages = module.partition(".")[0], known.partition(".")[0]
    if here in ONLY and known not in ONLY[here]:
        return f"{module} may know {', '.join(sorted(ONLY[here])) or 'nobody'}"
    if packages[0] != packages[1] and set(packages) <= set(SIDE_BY_SIDE):
        return f"{packages[0]} and {packages[1]} do not know each other"
    if packages[0] in KNOW_NO_PROVIDER and packages[1] in SIDE_BY_SIDE:
        return f"{packages[0]} knows no provider"
    if here != there and ORDER.index(there) > ORDER.index(here):
        return f"{there} stands above {here}"
    return None


def test_every_place_in_the_order_is_taken() -> None:
    assert len(ORDER) == len(set(ORDER))
    assert set(ORDER) == {_place(each) for each in _modules()}


@pytest.mark.parametrize("module", sorted(_modules()))
def test_a_module_imports_only_what_stands_below_it(module: str) -> None:
    faults = {each: _fault(module, each) for each in _graph()[module]}
    assert not {each: why for each, why in faults.items() if why}


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter(_graph()).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize(
    ("module", "known", "why"),
    [
        ("store", "publish", "publish stands above store"),
        ("worker", "processor", "processor stands above worker"),
        ("paypay.client", "recon.file_types", "paypay and recon do not know each other"),
        ("recon.report", "vexora.client", "recon and vexora do not know each other"),
        ("store", "recon.file_types", "store knows no provider"),
        ("webhook", "errors", "webhook may know event, sqs_send, times"),
        ("status", "times", "status may know nobody"),
    ],
)
def test_a_forbidden_import_would_be_seen(module: str, known: str, why: str) -> None:
    assert _fault(module, known) == why


def test_imports_are_seen_wherever_they_stand(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from honnin.store import Store\n"
        "def late():\n    import honnin.vault\n    from honnin import aws as cloud\n"
    )
    assert {"honnin.store.Store", "honnin.vault", "honnin.aws"} <= set(_imported(source))


# --- the folders of the repository ---


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_those_that_it_may_know(folder: str) -> None:
    for path in sorted((ROOT / folder).rglob("*.py")):
        tops = {each.partition(".")[0] for each in _imported(path)}
        assert tops & OURS <= FOLDERS[folder], path


def test_every_folder_with_code_has_its_rule() -> None:
    with_code = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("[!.]*/**/*.py")} - {"build"}
    assert with_code == {each.partition("/")[0] for each in FOLDERS} | {"tests"}


def test_a_subject_of_the_store_fits_a_file_that_can_be_read_at_once() -> None:
    lines = {path.name: len(path.read_text().splitlines()) for path in (LAYER / "honnin" / "store").glob("*.py")}
    assert {name: number for name, number in lines.items() if number > 450} == {}
