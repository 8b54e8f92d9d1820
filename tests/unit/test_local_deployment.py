"""Who builds, when stacks are deployed side by side: nobody twice, and nobody while another deploys."""

import threading
from pathlib import Path
from typing import Any

import pytest

from local import deployment
from local.steps import QuietSteps


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """What sam would have been asked to do, in order."""
    calls: list[str] = []

    def sam(name: str, command: str, *_: Any, **__: Any) -> None:
        calls.append(f"{name} {command}")

    monkeypatch.setattr(deployment, "_sam", sam)
    monkeypatch.setattr(deployment, "compile_layers", lambda: 0)
    monkeypatch.setattr(deployment, "run_directory", lambda _: tmp_path)
    return calls


def _deploy(name: str, run_id: str | None) -> None:
    deployment.build_and_deploy(name, "http://127.0.0.1:1", [], QuietSteps(), run_id=run_id)


def test_stacks_of_one_run_are_built_once(said: list[str]) -> None:
    for name in "ab":
        _deploy(name, "run-1")
    _deploy("c", "run-2")
    assert said == ["a build", "a deploy", "b deploy", "c build", "c deploy"]


def test_a_run_without_an_id_builds_and_so_does_who_comes_after(said: list[str]) -> None:
    _deploy("a", "run-1")
    _deploy("b", None)
    _deploy("c", "run-1")
    with deployment.build_lock():
        said.append("another build")
    _deploy("d", "run-1")
    expected = ["a build", "a deploy", "b build", "b deploy", "c build", "c deploy"]
    assert said == [*expected, "another build", "d build", "d deploy"]


def test_a_build_that_failed_is_none(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    _deploy("a", "run-1")

    def broken() -> int:
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(deployment, "compile_layers", broken)
        with pytest.raises(OSError, match="no space"):
            _deploy("b", "run-2")
    _deploy("c", "run-1")
    assert said[-2:] == ["c build", "c deploy"]


def test_two_of_one_run_deploy_at_once_and_a_build_waits_for_both(
    said: list[str], monkeypatch: pytest.MonkeyPatch
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
    deploying = [threading.Thread(target=_deploy, args=(name, "run-1")) for name in "ab"]
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
