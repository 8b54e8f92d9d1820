"""honninctl in Japanese: what is said, that its catalogue fits the program, and that 80 columns break no word."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command

from honninctl import app, failures, language, screen
from tests.fakes.cli import run

PACKAGE = Path(language.__file__).parent
# What the catalogue still lacks. It only becomes smaller: translate what you add.
STILL_ENGLISH = 0


@pytest.fixture
def japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_chosen", "ja")


def _said_in_code() -> Iterator[str]:
    for path in sorted(PACKAGE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_"):
                [said] = node.args
                if isinstance(said, ast.Constant):
                    yield said.value


def _help(command: Any) -> Iterator[str]:
    yield from filter(
        None, (command.help, "" if (command.epilog or "Example").startswith("Example") else command.epilog)
    )
    for each in command.params:
        yield from filter(None, (getattr(each, "help", None), getattr(each, "rich_help_panel", None)))
    for each in getattr(command, "commands", {}).values():
        yield from _help(each)


def _all() -> set[str]:
    of_aws = {*failures._REFUSALS.values(), *(sentence for _kinds, _error, sentence in failures._SENTENCES)}
    return {*_said_in_code(), *_help(get_command(app.program())), *of_aws}


def test_no_text_is_missing_in_the_catalogue() -> None:
    missing = sorted(_all() - set(language.texts("ja")))
    assert len(missing) <= STILL_ENGLISH, missing


def _fields(text: str) -> set[str | None]:
    return {name for _before, name, _form, _conversion in string.Formatter().parse(text) if name is not None}


def test_a_translation_names_no_other_values_than_the_english_text() -> None:
    said = set(_said_in_code())
    for english, translated in language.texts("ja").items():
        if english in said:
            assert _fields(translated) <= _fields(english), english


@pytest.mark.usefixtures("japanese")
def test_help_and_errors_are_japanese_and_what_machines_read_is_not() -> None:
    shown = run("status", "--help", env={"COLUMNS": "80"}).stdout
    assert "貴社システムの利用者 ID。" in shown
    assert "この説明を表示して終了します。" in shown
    assert "例：honninctl status user-100" in shown
    assert "…" not in shown
    ended = run("status", "u", env={"HONNIN_STACK": ""})
    assert ended.exit_code == 2
    assert "スタックを指定してください" in ended.stderr


@pytest.mark.parametrize("heading", ["details", "詳細"])
@pytest.mark.parametrize("word", ["result_read_by_operator", "本人確認情報を照会しました"])
def test_a_table_that_is_too_wide_breaks_no_word(heading: str, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown = screen.Screen(as_json=False)
    shown.__dict__["console"] = Console(width=80, force_terminal=True, color_system=None, highlight=False)
    shown.table(["at (UTC)", *[heading] * 5], [["2026-11-20T03:00:00Z", *[word] * 5]])
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.count(word) for line in lines) == 5
