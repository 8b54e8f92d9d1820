"""What the command line's parser says of a line that it does not understand, in the chosen language.

Typer and Click have these texts in English only, and not through gettext. What is said here comes from the error's type
and fields; in English the parser's own words are kept.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from functools import partial
from typing import Any

from honninctl.language import ENGLISH, _, spoken


@contextmanager
def explained(command: Any, arguments: Sequence[str]) -> Iterator[None]:
    """An error of the parser that is raised within says its words in the chosen language."""
    given = list(arguments)
    try:
        yield
    except Exception as error:
        if spoken() != ENGLISH and _is_of_parser(error) and "format_message" not in vars(error):
            error.format_message = partial(_message, error, command, given)  # type: ignore[attr-defined]
        raise


def _is_of_parser(error: Exception) -> bool:
    return any(each.__name__ == "UsageError" for each in type(error).__mro__) and hasattr(error, "format_message")


def _message(error: Any, command: Any, arguments: Sequence[str]) -> str:
    kind = type(error).__name__
    if kind == "MissingParameter" and error.param is not None:
        return _missing(error.param)
    if kind == "NoSuchOption":
        return _with_proposals(
            _("There is no option {name}.").format(name=error.option_name), error.possibilities or ()
        )
    if kind == "BadOptionUsage":
        flag = any(getattr(each, "is_flag", False) for each in command.params if error.option_name in each.opts)
        message = _("The option {name} takes no value.") if flag else _("The option {name} needs a value.")
        return message.format(name=error.option_name)
    if kind == "BadParameter" and error.param is not None:
        return _wrong(error.param)
    if kind == "UsageError" and hasattr(command, "commands"):
        if not arguments:
            return _("Missing command.")
        message = _("There is no command {name}.").format(name=arguments[0])
        return _with_proposals(message, difflib.get_close_matches(arguments[0], list(command.commands)))
    if kind == "UsageError":
        return _("There are more arguments than the command takes.")
    return _("The command line is not valid.")


def _missing(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return _("The argument {name} is missing.").format(name=_name(parameter))
    return _("The option {name} is missing.").format(name=_name(parameter))


def _wrong(parameter: Any) -> str:
    name, kind = _name(parameter), getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    if isinstance(kind, type) and issubclass(kind, Enum):
        choices = ", ".join(str(each.value) for each in kind)
        return _("{name} must be one of: {choices}.").format(name=name, choices=choices)
    least, most = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if least is not None and most is not None:
        return _("{name} must be a number from {least} to {most}.").format(name=name, least=least, most=most)
    if least is not None:
        return _("{name} must be a number, {least} or more.").format(name=name, least=least)
    return _("The value of {name} is not valid.").format(name=name)


def _name(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(parameter.opts[0])


def _with_proposals(message: str, proposals: Iterable[str]) -> str:
    named = ", ".join(sorted(proposals))
    return _("{message} Did you mean: {names}?").format(message=message, names=named) if named else message
