"""The details of a timeline entry in words: no key of the table, no name of a class, no code without its meaning."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from honninctl import masking
from honninctl.console.wording import Wording

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# What others said in English, of which there is no translation.
_ENGLISH = frozenset({"selfieReason"})


@dataclass(frozen=True)
class Detail:
    """A detail: its label, what it is in words, and the value to be read letter by letter, where there is one."""

    label: str
    words: str = ""
    code: str = ""
    is_english: bool = False


def details(t: Wording, entry: Mapping[str, Any]) -> Iterator[Detail]:
    """The details of an entry, in the order of the texts."""
    found: Mapping[str, str] = entry["detail"]
    order = t.names("detail")
    for name in sorted(found, key=lambda each: (order.index(each) if each in order else len(order), each)):
        yield _detail(t, name, str(found[name]))


def error_name(t: Wording, error_type: str) -> str:
    """An error's class, or what stands for it beside a dead letter, in words."""
    plain = {"(received too often)": "received_too_often", "(the run failed)": "run_failed"}
    return t.first(f"error.{plain.get(error_type, error_type)}", otherwise=t("error.unexpected"))


def product_name(t: Wording, product: str) -> str:
    """A provider's product in words."""
    return t.name(f"product.{product}", product)


def _detail(t: Wording, name: str, value: str) -> Detail:
    label = t.first(f"detail.{name}", otherwise=t("detail.other"))
    if value == "…":
        return Detail(label, t("value.hidden"))
    if "://" in value:
        return Detail(label, code=masking.url(value))
    match name:
        case "error" | "selfieError":
            return Detail(label, error_name(t, value))
        case "product":
            return Detail(label, product_name(t, value))
        case "providerCode":
            return Detail(label, t.first(f"code.{value}", otherwise=""), value)
        case "readAt":
            return Detail(label, t.moment(value))
        case "day" if _DAY.fullmatch(value):
            return Detail(label, t.day(value))
    words = t.first(f"value.{name}_{re.sub('[^A-Za-z0-9]+', '_', value)}", otherwise="")
    if words or name in _ENGLISH:
        return Detail(label, words or value, is_english=not words)
    return Detail(label, code=value)
