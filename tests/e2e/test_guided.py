"""`sam deploy --guided` with Enter at each question begins a deployment, and asks for nothing that has no default.

The emulator does not complete the stack of Stage=dev, so what such a stack answers is not tested here.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]

from local import deployment, emulator, environment, ports
from local.paths import ROOT, SAM_DIRECTORY, TOOLS
from local.steps import QuietSteps
from tests.tables import template

pytestmark = pytest.mark.e2e

_NAME = "guided"
_DEPLOYED_S = 600
_QUESTION = re.compile(r"^\t(.+?)(?: \[([^\n]*)\])?: $", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


@dataclass(frozen=True)
class Trial:
    """What SAM asked (each question with its default), and all that it said."""

    asked: Mapping[str, str]
    said: str


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trial]:
    """`sam deploy --guided` on an emulator of its own, in a folder with what `sam build` made and samconfig.toml."""
    folder = tmp_path_factory.mktemp("guided")
    shutil.copy(ROOT / "samconfig.toml", folder)
    with emulator.running(_NAME, ports.free_port()) as endpoint:
        with deployment.build_lock():
            deployment.build(_NAME, QuietSteps())
            _copy_build(folder)
            said = _press_enter([str(TOOLS / "bin" / "python"), "-m", "samcli", "deploy", "--guided"], folder, endpoint)
        yield Trial(dict(_QUESTION.findall(said)), said)


def test_it_asks_for_the_parameters_of_samconfig_and_the_template(trial: Trial) -> None:
    parameters = template()["Parameters"]
    asked = {name.removeprefix("Parameter "): value for name, value in trial.asked.items() if "Parameter " in name}
    assert asked == {name: str(each["Default"]) for name, each in parameters.items()}
    others = {name: value for name, value in trial.asked.items() if "Parameter " not in name}
    assert (others["Stack Name"], others["AWS Region"]) == ("honnin-dev", "ap-northeast-1")
    assert "has no authentication" not in trial.said
    assert "Deploy this changeset?" not in trial.said
    assert "Saved arguments to config file" in trial.said
    assert "CREATE_IN_PROGRESS" in trial.said


def _copy_build(folder: Path) -> None:
    """What `sam build` made, without the one type of resource that the emulator does not have."""
    built, copy = SAM_DIRECTORY / "build", folder / ".aws-sam" / "build"
    copy.mkdir(parents=True)
    (folder / "operations").symlink_to(ROOT / "operations")  # the dashboard, which the template includes
    for each in built.iterdir():
        (copy / each.name).symlink_to(each)
    (copy / "template.yaml").unlink()
    made = yaml_parse((built / "template.yaml").read_text(encoding="utf-8"))
    made["Resources"] = {
        name: each for name, each in made["Resources"].items() if each["Type"] != "AWS::Logs::QueryDefinition"
    }
    (copy / "template.yaml").write_text(yaml_dump(made), encoding="utf-8")


def _press_enter(command: list[str], folder: Path, endpoint: str) -> str:
    """Run a command in a terminal and press Enter at each question; all that it said."""
    ours, its = pty.openpty()
    env = environment.sam(endpoint=endpoint) | {"TERM": "dumb", "COLUMNS": "200"}
    process = subprocess.Popen(command, cwd=folder, env=env, stdin=its, stdout=its, stderr=its, close_fds=True)
    os.close(its)
    said, deadline = b"", time.monotonic() + _DEPLOYED_S
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 1)[0]:
                continue
            try:
                said += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if said.endswith(b": "):
                os.write(ours, b"\n")
        process.wait(30)
        return _COLOURS.sub("", said.decode(errors="replace")).replace("\r", "")
    finally:
        process.kill()
        os.close(ours)
