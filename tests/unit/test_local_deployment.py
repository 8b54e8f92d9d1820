"""Who builds, when stacks are deployed side by side: nobody without need, and nobody while another deploys."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local import deployment
from local.steps import QuietSteps


@pytest.fixture
def tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A work tree with a template, a function, and bytecode beside it."""
    monkeypatch.setattr(deployment, "ROOT", tmp_path)
    monkeypatch.setattr(deployment, "SAM_DIRECTORY", tmp_path / ".aws-sam")
    monkeypatch.setattr(deployment, "run_directory", lambda _: tmp_path)
    for path in ("template.yaml", "functions/f/app.py", "functions/f/__pycache__/app.pyc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("first")
    return tmp_path


@pytest.fixture
def said(tree: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What sam would have been asked to do, in order."""
    calls: list[str] = []

    def sam(name: str, command: str, *_: Any, **__: Any) -> None:
        calls.append(f"{name} {command}")
        if command == "build":
            built = tree / ".aws-sam" / "build" / "template.yaml"
            built.parent.mkdir(parents=True, exist_ok=True)
            built.write_text(f"by {name}")

    monkeypatch.setattr(deployment, "_sam", sam)
    monkeypatch.setattr(deployment, "compile_layers", lambda: 0)
    return calls


def _deploy(name: str) -> None:
    deployment.build_and_deploy(name, "http://127.0.0.1:1", [], QuietSteps())


def test_what_is_built_already_is_not_built_again(said: list[str]) -> None:
    for name in "abc":
        _deploy(name)
    assert said == ["a build", "a deploy", "b deploy", "c deploy"]


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: (tree / "functions" / "f" / "app.py").write_text("other"),
        lambda tree: (tree / "functions" / "f" / "more.py").write_text("new"),
        lambda tree: (tree / "template.yaml").unlink(),
        lambda tree: (tree / ".aws-sam" / "build" / "template.yaml").write_text("by `make build` for the cloud"),
        lambda tree: (tree / ".aws-sam" / "build" / "template.yaml").unlink(),
        lambda tree: (tree / "made").unlink(),
    ],
)
def test_what_changed_is_built_anew(said: list[str], tree: Path, change: Callable[[Path], object]) -> None:
    _deploy("a")
    change(tree)
    _deploy("b")
    assert said == ["a build", "a deploy", "b build", "b deploy"]


def test_bytecode_beside_the_sources_is_no_change(said: list[str], tree: Path) -> None:
    _deploy("a")
    (tree / "functions" / "f" / "__pycache__" / "app.pyc").write_text("other")
    _deploy("b")
    assert said.count("b build") == 0


def test_a_build_that_failed_is_none(said: list[str], tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _deploy("a")
    (tree / "template.yaml").write_text("other")

    def broken() -> int:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(deployment, "compile_layers", broken)
        with pytest.raises(OSError, match="no space"):
            _deploy("b")
    (tree / "template.yaml").write_text("first")
    _deploy("c")
    assert said[-2:] == ["c build", "c deploy"]


def test_two_deploy_at_once_and_a_build_waits_for_both(
    said: list[str], tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    both, leave = threading.Barrier(3, timeout=30), threading.Event()
    plain = deployment._sam

    def sam(name: str, command: str, *others: Any, **named: Any) -> None:
        plain(name, command, *others, **named)
        if command == "deploy":
            both.wait()
            assert leave.wait(30)
            said.append(f"{name} deployed")

    monkeypatch.setattr(deployment, "_sam", sam)
    deploying = [threading.Thread(target=_deploy, args=(name,)) for name in "ab"]
    for each in deploying:
        each.start()
    both.wait()  # passed only if both deploy at the same time

    def build() -> None:
        with deployment.build_lock():
            said.append("another build")

    building = threading.Thread(target=build)
    building.start()
    leave.set()
    for each in (*deploying, building):
        each.join(30)
    assert said[-1] == "another build"
    assert sum(each.endswith("build") for each in said) == 2
