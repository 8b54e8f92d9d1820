"""honninctl in Japanese: what is said, that its catalogue fits the program, and that 80 columns break no word."""

import ast
import json
import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.main import get_command
from typer.testing import CliRunner

from honninctl import app, failures, language, screen
from tests.documents import OTHER_WORDS
from tests.fakes.cli import run

PACKAGE = Path(language.__file__).parent
# What looks like a sentence and is none: commands, styles, and expressions that are looked for in the template.
NO_TEXT = re.compile(
    r"^ *(aws|honninctl|webhooks|deadletters|bold) |run\.json|--query|^not published|^[(‹]|^.\(confirm"
)


@pytest.fixture
def japanese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "_chosen", "ja")


def _said_in_code() -> Iterator[str]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("_", "N_"):
                [said] = node.args
                if isinstance(said, ast.Constant) and isinstance(said.value, str):
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
    assert missing == []


def _fields(text: str) -> set[str | None]:
    return {name for _before, name, _form, _conversion in string.Formatter().parse(text) if name is not None}


def test_a_translation_names_no_other_values_than_the_english_text() -> None:
    said = set(_said_in_code())
    for english, translated in language.texts("ja").items():
        if english in said:
            assert _fields(translated) <= _fields(english), english


def test_help_and_errors_are_japanese_and_what_machines_read_is_not() -> None:
    shown = run("status", "--help", env={"COLUMNS": "80", "HONNIN_LANG": "ja"}).stdout
    assert "自社システムの利用者 ID。" in shown
    assert "この説明を表示して終了します。" in shown
    assert "例：honninctl status user-100" in shown
    assert "…" not in shown
    ended = run("status", "u", env={"HONNIN_STACK": "", "HONNIN_LANG": "ja"})
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


class _Marked(dict[str, str]):
    """A catalogue of a language that nobody speaks: each text between brackets."""

    def get(self, english: str, _otherwise: Any = None) -> str:
        return f"⟦{english}⟧"


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue = _Marked()
    monkeypatch.setattr(language, "texts", lambda _language: catalogue)


_WORDS = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")
# The form of a command, and what Typer took from gettext when it was imported, which is before the test began.
_TYPER = re.compile(r"^ *honninctl .*\[|^Try '")


def _unmarked(shown: str) -> list[str]:
    """Lines with two English words in a row that did not come out of the catalogue."""
    shown = re.sub(r"[│╭╮╰╯─]|<[a-z ]+>", " ", shown)
    left = re.sub(r"⟦[^⟦⟧]*⟧", "", shown)
    while left != shown:
        shown, left = left, re.sub(r"⟦[^⟦⟧]*⟧", "", left)
    # A list of commands has each one's first sentence only, without the bracket that ends the text.
    lines = [re.sub(r"⟦.*", "", line) for line in left.splitlines()]
    return [line for line in lines if _WORDS.search(line) and not _TYPER.search(line)]


def _paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from _paths(each, (*path, name))


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize("path", list(_paths(get_command(app.program()))), ids=" ".join)
def test_every_sentence_of_a_help_page_is_in_the_catalogue(path: tuple[str, ...]) -> None:
    shown = _in_no_language(*path, "--help")
    assert "⟦" in shown
    assert [line for line in _unmarked(shown) if "honninctl" not in line] == []


def _in_no_language(*arguments: str) -> str:
    """What the program shows with the marked catalogue."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "_chosen", "ja")
        language.speak("ja")
        result = CliRunner().invoke(app.program(), list(arguments), env={"HONNIN_STACK": "", "COLUMNS": "4000"})
    return result.output


@pytest.mark.usefixtures("marked")
@pytest.mark.parametrize(
    "line",
    [
        "status",
        "status u --nonsense",
        "statu u",
        "status a b",
        "recon calendar --days 0",
        "recon calendar --days x",
        "reread u --timeout 0",
        "trigger risk u --flag x",
        "doctor --json=3",
        "doctor --registered-ip x",
        "register --from 2026-01-01",
        "register --from x --to y",
        "--stack",
        "sign vexora",
        "sign paypay --url x --method GET",
        "status u",
        "users --provider x --status y",
        "events replay --since x",
        "deadletters list --since x",
        "export u",
    ],
)
def test_every_error_of_the_command_line_is_in_the_catalogue(line: str) -> None:
    shown = _in_no_language(*line.split())
    assert "⟦" in shown
    assert _unmarked(shown) == []


def test_every_sentence_in_the_code_goes_through_the_catalogue() -> None:
    """Also those that no other test comes upon."""
    # What is in recorded.py is read by who adds a command.
    files = [each for each in sorted(PACKAGE.glob("*.py")) if each.name != "recorded.py"]
    wrong = [f"{path.name}: {said!r}" for path in files for said in _bare_sentences(path)]
    assert wrong == []


def _bare_sentences(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known: set[int] = set()
    for node in ast.walk(tree):
        docstring = getattr(node, "body", None)
        if isinstance(docstring, list) and docstring and isinstance(docstring[0], ast.Expr):
            known.update(map(id, ast.walk(docstring[0])))
        if isinstance(node, ast.Call) and _called(node) in ("_", "N_", "Option", "Argument", "command", "group"):
            known.update(map(id, ast.walk(node)))
        named = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id
        # Typer's and the parser's own, which `_help` and the tests above read; headings of a file in two languages.
        if named in ("_HELP", "_EPILOG", "_CONNECTION", "_MANY", "_REFUSALS", "COLUMNS") or (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id in ("_REFUSALS", "_SENTENCES", "REMOVAL", "ALLOWED_BY")
        ):
            known.update(map(id, ast.walk(node)))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in known:
            continue
        if _WORDS.search(node.value) and not NO_TEXT.search(node.value):
            yield node.value


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "id", getattr(node.func, "attr", "")))


@pytest.mark.parametrize("answer", ["y", "YES", "はい", "ｙ"])
def test_yes_is_understood_in_both_languages(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen.Screen, "ask", lambda _self, _question: answer)
    assert screen.Screen(as_json=False).confirmed("?")


@pytest.mark.parametrize("answer", ["", "n", "いいえ", "no", None])
def test_anything_else_is_no(answer: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen.Screen, "ask", lambda _self, _question: answer)
    assert not screen.Screen(as_json=False).confirmed("?")


@pytest.mark.usefixtures("japanese")
def test_json_is_the_same_in_each_language(capsys: pytest.CaptureFixture[str]) -> None:
    said = language._("{what}: {why}").format(what=language._("repairs"), why=language._("not known"))
    assert said == "修復：不明"
    screen.Screen(as_json=True).json({"found": said, language._("repairs"): [said, 1, None], "more": (said,)})
    assert json.loads(capsys.readouterr().out) == {
        "found": "repairs: not known",
        "repairs": ["repairs: not known", 1, None],
        "more": ["repairs: not known"],
    }


@pytest.mark.usefixtures("japanese")
def test_an_errors_message_keeps_its_english_for_scripts() -> None:
    error = failures.CommandError(language._("{name} is {status}").format(name="a", status="b"))
    assert language.for_scripts(str(error)) == "a is b"


def test_full_width_characters_take_two_columns() -> None:
    assert screen.padded("状態", 6) + "|" == "状態  |"


def test_the_catalogues_japanese_uses_the_words_of_the_documents() -> None:
    wrong = [
        (form, japanese)
        for japanese in language.texts("ja").values()
        for form in OTHER_WORDS
        if re.search(form, re.sub(r"`[^`]*`", "", japanese))
    ]
    assert wrong == []


def test_the_catalogue_is_installed_with_the_package() -> None:
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert "texts/*.po" in settings["tool"]["setuptools"]["package-data"]["honninctl"]
