"""How the end-to-end tests are split: each test is of one part, and what runs last runs on every stack."""

from pathlib import Path

from tests.e2e.parts import PART_OF, PARTS, part_of

E2E = Path(__file__).parents[1] / "e2e"


def test_a_test_is_of_its_modules_part() -> None:
    assert part_of("tests/e2e/test_cli.py::test_status_and_timeline") == "first"
    assert part_of("tests/e2e/test_reread.py::test_x[s3:DeleteObject]") == "second"


def test_what_is_run_for_each_part_is_of_that_part() -> None:
    assert [part_of(f"tests/e2e/test_zz_logs.py::test_no_log_record[{each}]") for each in PARTS] == list(PARTS)


def test_each_part_has_modules_and_each_name_is_there() -> None:
    modules = {each.stem for each in E2E.glob("test_*.py")}
    assert modules > set(PART_OF)
    assert set(PART_OF.values()) == set(PARTS[1:])
