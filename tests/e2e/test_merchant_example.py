"""The example of a merchant's back end: its own tests, run by its own CI workflow as a script, on the running stack."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from local.paths import ROOT
from local.stack import Stack

pytestmark = pytest.mark.e2e

_PYTHON = ROOT / "clients" / "python"
_EXAMPLE = _PYTHON / "example"
_TIMEOUT_S = 240
# Of the workflow: the name of this run's stack is the only thing that a merchant does not set.
_OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTEST_ADDOPTS": "-p no:schemathesis"}


class Runner:
    """GitHub's runner, offline: each action has a stand-in here, and each `run` is what it is."""

    def __init__(self, folder: Path, **env: str) -> None:
        self._workspace = folder / "workspace"
        self._workspace.mkdir()
        self._tools = folder / "tools"
        path = f"{self._tools / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self._env = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", **_OFFLINE, **env}

    def run(self, job: Mapping[str, Any]) -> str:
        """What the last step has printed; AssertionError when a step fails."""
        output = ""
        given = {
            name: value.replace("${{ github.workspace }}", str(self._workspace)) for name, value in job["env"].items()
        }
        for step in job["steps"]:
            if "uses" in step:
                self._act(step["uses"].partition("@")[0], step["with"])
                continue
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]],
                cwd=self._workspace,
                env={**self._env, **given},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            assert done.returncode == 0, done.stdout
            output = done.stdout
        return output

    def _act(self, action: str, given: Mapping[str, str]) -> None:
        if action == "actions/setup-python":
            self._set_up_python(given["python-version"])
        elif action == "actions/checkout" and "repository" in given:
            _check_out(self._workspace / given["path"])
        elif action == "actions/checkout":
            shutil.copytree(_EXAMPLE, self._workspace, dirs_exist_ok=True)
        else:
            pytest.fail(f"no stand-in for {action}")

    def _set_up_python(self, version: str) -> None:
        """A Python without packages of its own, for which those of `.venv` are the index."""
        assert version == f"{sys.version_info[0]}.{sys.version_info[1]}"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._tools], check=True, timeout=60)
        [packages] = self._tools.glob("lib/python*/site-packages")
        (packages / "index.pth").write_text(sysconfig.get_path("purelib"))


def _check_out(folder: Path) -> None:
    """This repository, without what a build of the client would write into it."""
    folder.mkdir()
    for each in ROOT.iterdir():
        if each.name not in ("clients", ".git"):
            (folder / each.name).symlink_to(each)
    shutil.copytree(_PYTHON, folder / "clients" / "python")


@pytest.mark.timeout(_TIMEOUT_S + 60)
def test_the_workflow_runs_the_shops_tests_on_a_stack_that_is_up(stack: Stack, tmp_path: Path) -> None:
    workflow = yaml.safe_load((_EXAMPLE / "ci.yml").read_text(encoding="utf-8"))
    written = (_EXAMPLE / "test_shop.py").read_text(encoding="utf-8").count("\ndef test_")
    output = Runner(tmp_path, HONNIN_NAME=stack.name).run(workflow["jobs"]["test"])
    assert f"{written} passed" in output, output
    assert (ROOT / "build" / "local" / stack.name / "stack.json").exists(), "a stack that was up is left up"


def test_the_workflow_uses_the_actions_that_our_own_uses() -> None:
    ours, example = (
        {
            step["uses"]
            for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
            for step in job["steps"]
            if "uses" in step
        }
        for path in (ROOT / ".github" / "workflows" / "ci.yml", _EXAMPLE / "ci.yml")
    )
    assert example <= ours
