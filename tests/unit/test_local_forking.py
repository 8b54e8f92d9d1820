"""`local/forking.py`: what is forked is a process of its own, and its parent learns how it ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.forking import Forked, Forker
from tests.e2e import program

pytestmark = [
    pytest.mark.allow_hosts(["127.0.0.1"]),
    pytest.mark.skipif(sys.platform != "linux", reason="only there processes are adopted"),
]

_SCRIPT = """
import os, sys
import imported, known
print(imported.NUMBER, known.NUMBER, sys.argv[1:], sorted(os.environ), os.getcwd(), sys.stdin.read(), flush=True)
print("complaint", file=sys.stderr)
if sys.argv[1] == "raise":
    raise ValueError("no")
sys.exit(int(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two packages, and a script that uses both."""
    made = tmp_path_factory.mktemp("forking")
    for name in ("imported", "known"):
        (made / name).mkdir()
        (made / name / "__init__.py").write_text("import os\nNUMBER = os.environ.get('NUMBER', 'none')\n")
    (made / "script.py").write_text(_SCRIPT)
    return made


@pytest.fixture(scope="module")
def forker(place: Path) -> Iterator[Forker]:
    env = {"PATH": os.defpath, "NUMBER": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    made = Forker(Path(sys.executable), ("imported", "known"), path=[str(place)], forgotten=("known",), env=env)
    yield made
    made.close()


def _run(forker: Forker, place: Path, word: str) -> tuple[int, str, str]:
    pipe = subprocess.PIPE
    env = {"NUMBER": "2"}
    with Forked(
        forker, [str(place / "script.py"), word], cwd=place, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as running:
        out, err = running.communicate("given", timeout=60)
    return running.returncode, out, err


@pytest.mark.parametrize("code", [0, 3, 141])
def test_it_has_its_own_arguments_environment_streams_and_exit_code(forker: Forker, place: Path, code: int) -> None:
    """What is forgotten is imported anew, in its own environment."""
    ended, out, err = _run(forker, place, str(code))

    assert ended == code
    # Python itself sets LC_CTYPE where there is no locale.
    assert out.replace("'LC_CTYPE', ", "") == f"1 2 ['{code}'] ['NUMBER'] {place} given\n"
    assert err == "complaint\n"


def test_an_error_is_told_as_python_tells_it(forker: Forker, place: Path) -> None:
    ended, _, err = _run(forker, place, "raise")

    assert ended == 1
    assert err.endswith("ValueError: no\n")


def test_one_that_is_killed_is_told_as_such(forker: Forker, place: Path) -> None:
    pipe = subprocess.PIPE
    arguments = [str(place / "script.py"), "0"]
    with Forked(forker, arguments, cwd=place, env={}, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as running:
        running.kill()
        assert running.wait(10) == -9


def test_elsewhere_than_on_linux_the_tests_of_the_stack_start_honninctl(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = place / "started"
    started.write_text('#!/bin/sh\nread given; echo "$1 $given $NUMBER"; exit 3\n')
    started.chmod(0o755)
    monkeypatch.setattr(program, "_PROGRAM", started)
    monkeypatch.setattr(program, "Forked", None)
    monkeypatch.setattr("sys.platform", "darwin")

    ended = program.forked(["list"], {"PATH": os.defpath, "NUMBER": "2"}, given="word\n")

    assert ended == program.Ended(3, "list word 2\n", "")
