"""What a command shows: JSON for scripts, and only JSON, or tables and lines for people. Notes go to stderr."""

import contextlib
import json
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from honninctl import streams
from honninctl.failures import UsageError
from honninctl.language import _, for_scripts
from honninctl.line_breaks import follow_japanese

if TYPE_CHECKING:
    from rich.console import Console

# Where there is no terminal: lines of a fixed width, so that a pipe always gets the same, and a row stays one line.
_PLAIN_WIDTH = 240

# The columns of a terminal that rich's box takes around a table, and between two columns of it.
_EDGES, _GAP = 2, 3


class Screen:
    """One command's output. Rich is loaded when the first line for a person is printed."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        """Where people read the result."""
        return _console(stderr=False)

    @cached_property
    def _notes(self) -> "Console":
        return _console(stderr=True)

    def json(self, value: object) -> None:
        """The result for a script: one JSON document on stdout, without loss in any encoding."""
        value = for_scripts(value)
        text = json.dumps(value, ensure_ascii=False, indent=2)
        sys.stdout.write((text if streams.shows(text) else json.dumps(value, indent=2)) + "\n")

    def line(self, text: str, style: str | None = None) -> None:
        """One line for a person; never wrapped, so that what it holds can be copied."""
        self.console.print(text, style=style, soft_wrap=True, markup=False)

    def advice(self, text: str) -> None:
        """A line beside the result that a person needs: with --json on stderr."""
        (self.note if self.as_json else self.line)(text)

    def note(self, text: str) -> None:
        """A remark beside the result, on stderr."""
        self._notes.print(text, soft_wrap=True, markup=False)

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None) -> None:
        """Rows of texts; None shows as a dash. A cell may be a rich renderable.

        Where the terminal is too narrow for a column's longest word, each row is shown as a block of lines.
        """
        from rich import box
        from rich.table import Table
        from rich.text import Text

        cells = [[_cell(each, Text) for each in row] for row in rows]
        columns = [self._measured(column) for column in zip(headings, *cells, strict=True)]
        # The first column says which row it is: in a narrow terminal the others give way.
        columns[0] = (columns[0][1], columns[0][1])
        plain: list[int | None] = [None] * len(columns)
        widths = _widths(columns, self.console.width) if self.console.is_terminal else plain
        if not widths:
            self._blocks(headings, cells, title)
            return
        shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for number, (heading, width) in enumerate(zip(headings, widths, strict=True)):
            shown.add_column(heading, overflow="fold", no_wrap=not number, width=width)
        for row in cells:
            shown.add_row(*row)
        self.console.print(shown)

    def _measured(self, column: Sequence[Any]) -> tuple[int, int]:
        """The longest word of a column and its longest cell; a full-width character takes two columns."""
        from rich.measure import Measurement

        wide = self.console.options.update(max_width=10_000)
        measured = [Measurement.get(self.console, wide, each) for each in column]
        return max(each.minimum for each in measured), max(each.maximum for each in measured)

    def _blocks(self, headings: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None) -> None:
        from rich.table import Table

        if title:
            self.line(title, "italic")
        for row in rows:
            block = Table.grid(padding=(0, 2, 0, 0))
            block.add_column(no_wrap=True)
            block.add_column(overflow="fold")
            for heading, cell in zip(headings, row, strict=True):
                if str(cell) not in ("", "–"):
                    block.add_row(heading, cell)
            self.console.print(block)
            self.console.print()

    @contextlib.contextmanager
    def progress(self, what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """A bar on stderr while the context lasts; call what it yields with each number of things done."""
        if not self._notes.is_terminal:
            yield lambda _done: None
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._notes, transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.advance(task, done)

    def confirmed(self, question: str) -> bool:
        """Whether a person answers the question with yes. Raises `UsageError` where nobody can be asked."""
        typed = unicodedata.normalize("NFKC", self.ask(_("{question} [y/N] ").format(question=question)) or "")
        return typed.strip().lower() in ("y", "yes", "はい")

    def ask(self, question: str) -> str | None:
        """What a person types after the question, which goes to stderr; None for Ctrl-D, the end of the input.

        Raises `UsageError` where nobody can be asked.
        """
        if not sys.stdin.isatty():
            raise UsageError(_("this is not a terminal, so you cannot be asked: add --yes"))
        sys.stderr.write(question)
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            # The person's cursor still stands behind the question.
            sys.stderr.write("\n")
            return None
        return line.rstrip("\n")


def _widths(columns: Sequence[tuple[int, int]], width: int) -> Sequence[int | None]:
    """The width of each column (its longest word, its longest cell) of a table; none if a word would be broken."""
    free = width - _EDGES - _GAP * (len(columns) - 1) - sum(least for least, _ in columns)
    if free < 0:
        return []
    found = [least for least, _ in columns]
    by_need = sorted(range(len(columns)), key=lambda each: columns[each][1] - columns[each][0])
    for done, each in enumerate(by_need):
        more = min(columns[each][1] - columns[each][0], free // (len(columns) - done))
        found[each] += more
        free -= more
    return found


def padded(text: str, columns: int) -> str:
    """The text with blanks up to that many columns of a terminal, in which a full-width character takes two."""
    taken = sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in text)
    return text + " " * (columns - taken)


def _console(*, stderr: bool) -> "Console":
    from rich.console import Console

    follow_japanese()

    class Quiet(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to `honninctl.command`; rich would end the program with an exit code of its own."""
            raise  # noqa: PLE0704 -- rich calls this where it has caught BrokenPipeError

    terminal = Quiet(stderr=stderr, highlight=False, emoji=False)
    if terminal.is_terminal:
        return terminal
    return Quiet(stderr=stderr, highlight=False, emoji=False, width=_PLAIN_WIDTH, color_system=None)


def _cell(value: object, text: Callable[[str], Any]) -> Any:
    if value is None:
        return "–"
    # As Text, so that a bracket in a value is no markup.
    return text(value) if isinstance(value, str) else value if hasattr(value, "__rich_console__") else text(str(value))
