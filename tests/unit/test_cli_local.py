"""`honninctl local`: passed on to the checkout it is run in, and one sentence elsewhere."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from honninctl import app, local_commands


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that looks like a checkout with its tools; the test is in a folder of it."""
    for each in ("template.yaml", "local/stack.py", ".venv/bin/python"):
        (tmp_path / each).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / each).touch()
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    return tmp_path


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the program would have become."""
    calls: list[Any] = []
    monkeypatch.setattr(local_commands, "_become", lambda *arguments: calls.append(arguments))
    return calls


@pytest.mark.parametrize(
    ("typed", "passed"),
    [
        (["up"], ["--name=run", "--sandbox=on"]),
        (
            ["up", "--name", "b", "--port", "0", "--host", "0.0.0.0", "--parameter", "A=b c", "--parameter", "D=",
             "--no-sandbox", "--json"],
            ["--name=b", "--port=0", "--host=0.0.0.0", "--parameter=A=b c", "--parameter=D=", "--sandbox=off",
             "--json"],
        ),
        (["down", "--json"], ["--name=run", "--json"]),
        (["status", "--name", "b"], ["--name=b"]),
        (["reset"], ["--name=run"]),
        (["events"], ["--name=run"]),
        (["events", "--follow", "--timeout", "2.5", "--json"], ["--name=run", "--follow", "--timeout=2.5"]),
    ],
)  # fmt: skip
def test_a_command_is_passed_on_to_the_checkout(
    checkout: Path, become: list[Any], typed: list[str], passed: list[str]
) -> None:
    done = CliRunner().invoke(app.program(), ["local", *typed])
    assert done.exit_code == 0, done.output
    assert become == [(checkout / ".venv" / "bin" / "python", ["-m", "local", typed[0], *passed], checkout)]


@pytest.mark.parametrize("command", ["up", "down", "status", "reset", "events"])
def test_elsewhere_it_is_one_plain_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, become: list[Any], command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app.program(), ["local", command])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "within a checkout of Honnin's repository only" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert become == []


def test_a_checkout_without_its_tools_says_what_makes_them(checkout: Path, become: list[Any]) -> None:
    (checkout / ".venv" / "bin" / "python").unlink()
    done = CliRunner().invoke(app.program(), ["local", "status"])
    assert done.exit_code == 1
    assert "run `make setup` there" in done.stderr
    assert become == []


def test_the_program_that_is_called_takes_each_option_that_is_passed_on() -> None:
    from local import __main__ as program

    parser = program._parser()
    options = parser.parse_args(["up", "--name=b", "--port=0", "--sandbox-port=0", "--host=0.0.0.0", "--parameter=A=b",
                                 "--sandbox=off", "--json"])  # fmt: skip
    assert (options.parameter, options.json) == (["A=b"], True)
    assert parser.parse_args(["events", "--name=run", "--follow", "--timeout=2.5"]).timeout == 2.5
