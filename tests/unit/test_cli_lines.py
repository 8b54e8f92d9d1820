"""Lines of 80 columns: where Japanese is broken, and that nothing is cut off. English is broken as rich does it."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from typer.main import get_command
from typer.testing import CliRunner

from honninctl import app, language, line_breaks, screen

RICHS_OWN = re.compile(r"\s*\S+\s*")
WORDS = ("2026-03-31T02:52:33.256Z", "events", "利用者", "ab cd ef", "原因を 修正して 再投入", "x", "照会日時 (UTC)")


def _pieces(text: str, pattern: re.Pattern[str] = line_breaks._PHRASE) -> list[str]:
    found, at = [], 0
    while piece := pattern.match(text, at):
        found.append(piece[0])
        at = piece.end()
    return found


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("利用者のステータスを表示します。", ["利用者の", "ステータスを", "表示します。"]),
        ("「分かっていた」こと（根拠）です", ["「分かっていた」", "こと", "（根拠）", "です"]),
        ("PayPay に 1 日分を…", ["PayPay ", "に ", "1 ", "日分を…"]),
        ("（--at）、--on", ["（--at）、", "--on"]),
        ("）。", ["）。"]),
        ("", []),
    ],
)
def test_a_line_ends_behind_a_phrase(text: str, pieces: list[str]) -> None:
    assert _pieces(text) == pieces


@given(st.text("aZ0 .,()'-\n→é"))
def test_english_is_broken_at_blanks_as_before(text: str) -> None:
    assert _pieces(text) == _pieces(text, RICHS_OWN)


@given(st.text("aあアー漢「」。、 \n7…", max_size=60), st.integers(20, 40))
def test_no_character_is_lost_and_no_line_is_too_long(text: str, width: int) -> None:
    line_breaks.follow_japanese()
    lines = Text(text).wrap(Console(width=width), width, overflow="fold")
    assert "".join("".join(line.plain.split()) for line in lines) == "".join(text.split())
    assert all(cell_len(line.plain.rstrip("\n")) <= width for line in lines)


@given(
    st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(st.sampled_from(WORDS), min_size=n, max_size=n), min_size=2))
)
def test_a_table_breaks_no_word_and_fits(rows: list[list[str]]) -> None:
    shown, written = screen.Screen(as_json=False), io.StringIO()
    shown.__dict__["console"] = Console(width=80, force_terminal=True, color_system=None, file=written)
    shown.table(rows[0], rows[1:])
    lines = written.getvalue().splitlines()
    assert all(cell_len(line) <= 80 for line in lines)
    assert sum(line.count(WORDS[0]) for line in lines) >= sum(row.count(WORDS[0]) for row in rows[1:])


def test_the_list_of_commands_cuts_no_sentence_off() -> None:
    with language.speaking("ja"):
        program = app.program()
        shown = CliRunner().invoke(program, ["--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output
        commands = get_command(program).commands  # type: ignore[attr-defined]
    said = "".join(re.sub(r"[│\s]", "", shown))
    for each in commands.values():
        first = (each.help or "").split("\n\n")[0]
        assert re.sub(r"\s", "", first)[:20] in said or not first
    assert "…" not in shown
