"""What GitHub reads: the workflow runs what `make pr` runs, and every lock file is watched."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
FORMS = sorted(each for each in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if each.name != "config.yml")


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _of(target: str) -> tuple[set[str], str]:
    """What a target of the Makefile asks for first, and its recipe."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [(first, recipe)] = re.findall(rf"^{target}: ([^#\n]*)[^\n]*\n((?:\t.*\n)*)", makefile, re.MULTILINE)
    return set(first.split()), recipe


def _folders(targets: Iterable[str]) -> set[str]:
    """The folders of tests that these targets run, themselves or by `$(MAKE)`."""
    recipes = [_of(target)[1] for target in targets]
    called = {each for recipe in recipes for each in re.findall(r"\$\(MAKE\) (\S+)", recipe)}
    return set(re.findall(r" (tests/\w+)", "".join(recipes))) | (_folders(called) if called else set())


def test_the_workflow_runs_what_make_pr_runs() -> None:
    [job] = _read(GITHUB / "workflows" / "ci.yml")["jobs"].values()
    assert job["steps"][-1]["run"] == "make ${{ matrix.target }}"
    targets = set(job["strategy"]["matrix"]["target"])
    assert {"lint", "test"} == _of("pr")[0]
    assert "lint" in targets
    folders = {str(each.parent.relative_to(ROOT)) for each in (ROOT / "tests").glob("*/test_*.py")}
    assert _folders(targets - {"lint"}) == _folders(["test"]) == folders


def test_actions_are_pinned_by_their_commit() -> None:
    used = re.findall(r"uses: (\S+) # v", (GITHUB / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert used
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each) for each in used)


def test_dependabot_watches_every_folder_with_a_lock_file() -> None:
    updates = {each["package-ecosystem"]: each for each in _read(GITHUB / "dependabot.yml")["updates"]}
    locks = [each for folder in ("requirements", "layers/honnin") for each in (ROOT / folder).glob("*.txt")]
    folders = {f"/{each.parent.relative_to(ROOT)}" for each in locks if "--hash=" in each.read_text(encoding="utf-8")}
    assert set(updates["pip"]["directories"]) == folders
    assert updates["github-actions"]["directory"] == "/"


@pytest.mark.parametrize("form", FORMS, ids=lambda each: each.stem)
def test_a_form_asks_in_both_languages_and_needs_an_answer(form: Path) -> None:
    read = _read(form)
    assert {"name", "description", "body"} <= set(read)
    asked = [each for each in read["body"] if each["type"] != "markdown"]
    assert len({each["id"] for each in asked}) == len(asked)
    assert all(" · " in each["attributes"]["label"] for each in asked)
    assert any(each.get("validations", {}).get("required") for each in asked)
