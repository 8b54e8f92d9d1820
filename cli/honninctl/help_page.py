"""How Typer shows a command's help: in the chosen language, and with every character of a text without blanks."""

from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand, TyperGroup

from honninctl import usage
from honninctl.language import _
from honninctl.line_breaks import follow_japanese


class _Page:
    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the help. Typer's tables cut a long word off, and a Japanese sentence is one: here they break it."""
        from rich.columns import Columns
        from rich.text import Text
        from typer import rich_utils

        def joined(parts: Sequence[Any], *_more: Any) -> Any:
            if not all(isinstance(each, Text) for each in parts):
                return Columns(parts)
            text = Text(" ").join(parts)
            text.overflow = "fold"
            return text

        follow_japanese()
        rich_utils.Columns = joined  # type: ignore[attr-defined,assignment]
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """The line with the command's form."""
        pieces = " ".join(self.collect_usage_pieces(ctx))  # type: ignore[attr-defined]
        formatter.write_usage(ctx.command_path, pieces, prefix=_("Usage: "))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the line; what is wrong with it is said in the chosen language."""
        with usage.explained(self, args):
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def get_help_option(self, ctx: Any) -> Any:
        """`--help`, whose own text Typer does not send through gettext."""
        option = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help = _("Show this message and exit.")
        return option


class Command(_Page, TyperCommand):
    """A command whose help is such a page."""


class Group(_Page, TyperGroup):
    """A group of commands whose help is such a page."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is named; where there is none, that is said in the chosen language."""
        with usage.explained(self, args):
            return super().resolve_command(ctx, args)
