"""The texts of a 422 for each field: its name in the API document, and a sentence. Never a value, never a pattern."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

_UNKNOWN_FIELD = "is not a field of this request"
_NOT_VALID = "is not valid; docs/api.md and docs/openapi.json describe it"

# By pydantic's type of error. The names in braces are from its `ctx`; all their values are limits of ours.
_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or fewer",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "int_from_float": "must be a whole number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "greater_than": "must be more than {gt}",
    "less_than": "must be less than {lt}",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "too_short": "must have {min_length} entries or more",
    "too_long": "must have {max_length} entries or fewer",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "none_required": "must be left out",
}

_patterns: dict[str, str] = {}
_names: set[str] = set()


def pattern(regex: str, rule: str) -> str:
    """Return `regex` for a field, and store the sentence that says the same to people."""
    _patterns[regex] = rule
    return regex


def known(names: Iterable[str]) -> None:
    """Store the names of fields of the API: an answer repeats only these."""
    _names.update(names)


def rule_of(regex: str) -> str | None:
    """The sentence that was stored for a pattern."""
    return _patterns.get(regex)


def broken(error: RequestValidationError) -> list[dict[str, str]]:
    """`field` and `rule` of everything that is wrong with a request."""
    return [{"field": _field(each["loc"]), "rule": _rule(each)} for each in error.errors()]


def _field(loc: tuple[Any, ...]) -> str:
    # ("body", "scopes", 0) -> scopes.0. A name in a body may be the caller's own text, and may contain personal data.
    where, *parts = loc
    if where != "body":
        return ".".join(map(str, parts)) or str(where)
    return ".".join(str(part) if isinstance(part, int) or part in _names else "?" for part in parts) or "body"


def _rule(error: Mapping[str, Any]) -> str:
    limits = error.get("ctx") or {}
    match error["type"]:
        case "extra_forbidden":
            return _unknown(str(error["loc"][-1]))
        case "string_pattern_mismatch":
            return _patterns.get(str(limits.get("pattern")), _NOT_VALID)
        case "literal_error" | "enum":
            return f"must be {limits['expected']}".replace("''", "empty").replace("'", "")
        case "string_too_short" | "too_short" if limits["min_length"] == 1:
            return "must not be empty"
        case kind if kind in _SENTENCES:
            return _SENTENCES[kind].format(**limits)
    return _NOT_VALID


def _unknown(name: str) -> str:
    if name in _names:
        return _UNKNOWN_FIELD
    by_letters = {each.lower(): each for each in sorted(_names)}
    meant = difflib.get_close_matches(name[:64].lower(), by_letters, n=1, cutoff=0.75)
    return f"{_UNKNOWN_FIELD}; is {by_letters[meant[0]]} meant?" if meant else _UNKNOWN_FIELD
