"""What Vexora answers, read leniently: numbers or strings, unknown keys, missing extras (providers.md §2)."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


def _code(value: Any) -> Any:
    # The document shows "0000"; a JSON number would have lost its leading zeros.
    return f"{value:04d}" if isinstance(value, int) and not isinstance(value, bool) else value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _lenient_text(value: Any) -> str:
    return "" if value is None else str(value)


class KycData(BaseModel):
    """`data`: the user and the authentication status, "0" to "3"."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel)

    user_id: Annotated[str, BeforeValidator(_text)]
    authentication_status: Annotated[str, BeforeValidator(_text)]


class Envelope(BaseModel):
    """The envelope of every answer. `code` "0000" says only that the call arrived, nothing about the user."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[str, BeforeValidator(_code)]
    msg: Annotated[str, BeforeValidator(_lenient_text)] = ""
    data: KycData | None = None


class CodeOnly(BaseModel):
    """A failing answer: its `data` may be absent, null or of another shape."""

    model_config = ConfigDict(extra="ignore")

    code: Annotated[str, BeforeValidator(_code)]
    msg: Annotated[str, BeforeValidator(_lenient_text)] = ""
