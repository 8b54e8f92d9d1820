"""How the end-to-end tests are split: each test is of one half, and what runs last runs on both stacks."""

from pathlib import Path

from tests.e2e.halves import _OF_THE_SECOND, FIRST, HALVES, SECOND, half_of

E2E = Path(__file__).parents[1] / "e2e"


def test_a_test_is_of_its_modules_half() -> None:
    assert half_of("tests/e2e/test_cli.py::test_status_and_timeline") == FIRST
    assert half_of("tests/e2e/test_reread.py::test_x[s3:DeleteObject]") == SECOND


def test_what_is_run_for_each_half_is_of_that_half() -> None:
    assert [half_of(f"tests/e2e/test_zz_logs.py::test_no_log_record[{each}]") for each in HALVES] == [FIRST, SECOND]


def test_the_second_half_names_modules_that_are_there_and_leaves_some() -> None:
    modules = {each.stem for each in E2E.glob("test_*.py")}
    assert modules > _OF_THE_SECOND
