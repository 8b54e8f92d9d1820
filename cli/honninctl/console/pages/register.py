"""The page of the register: who was verified in a period, with the evidence; also as a file."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus
from itertools import islice
from typing import TYPE_CHECKING, Any

from honninctl import register as registers
from honninctl import register_commands
from honninctl.console.page import NO_PAGE, Page, Trouble, View, asking
from honninctl.console.wording import jst_day, utc_text
from honninctl.failures import UsageError

if TYPE_CHECKING:
    from honnin.register import Row

_SHOWN = 100
# A longer one would keep the browser waiting; `honninctl register` has no bound.
_MOST_ROWS = 100_000
_CONTENT = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}


@dataclass(frozen=True)
class _Wanted:
    """A period (UTC, from and to before) and the status by provider; `fields` ask for the same again."""

    period: tuple[str, str]
    statuses: Mapping[str, str]
    fields: Mapping[str, str]


def page(view: View) -> Page:
    """The form, and the first rows of what was asked for."""
    fields = view.asked.fields
    wanted, trouble = _wanted(fields)
    found = asking(lambda: _rows(view, wanted, _SHOWN + 1)) if wanted else None
    rows, as_of = found.value if found and found.value else ([], "")
    kept = asking(lambda: _kept(view)).value or []
    status = HTTPStatus.BAD_REQUEST if trouble else found.trouble.status if found and found.trouble else HTTPStatus.OK
    return view.paint(
        "register.html",
        status,
        typed={**_last_month(view), **fields},
        trouble=found.trouble if found else None,
        bad=trouble,
        as_of=as_of,
        rows=[registers.row_json(each) for each in rows[:_SHOWN]],
        has_more=len(rows) > _SHOWN,
        files=[(f"register.{each}", each) for each in _CONTENT],
        fields=wanted.fields if wanted else {},
        shown=_SHOWN,
        kept=kept,
    )


def file(view: View, form: str) -> Page:
    """The whole register as a file."""
    wanted, trouble = _wanted(view.asked.fields)
    if wanted is None:
        return view.trouble(Trouble(trouble or "register.bad_period", "", HTTPStatus.BAD_REQUEST))
    found = asking(lambda: _rows(view, wanted, _MOST_ROWS + 1))
    if found.value is None:
        return view.trouble(found.trouble or NO_PAGE)
    rows, _ = found.value
    if len(rows) > _MOST_ROWS:
        return view.trouble(Trouble("register.large", "", HTTPStatus.BAD_REQUEST))
    stream = io.BytesIO()
    writer = registers.Writer(stream, form, view.wording.language)
    for each in rows:
        writer.row(each)
    name = f"honnin-register-{wanted.fields['from']}-{wanted.fields['to']}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Page(HTTPStatus.OK, stream.getvalue(), _CONTENT[form], headers=headers)


def is_asked(fields: Mapping[str, str]) -> bool:
    """Whether a period was asked for that there can be a register of."""
    return _wanted(fields)[0] is not None


def _wanted(fields: Mapping[str, str]) -> tuple[_Wanted | None, str]:
    """What is asked for, or the name of the text that says why it cannot be."""
    first, last = fields.get("from", "").strip(), fields.get("to", "").strip()
    if not (first or last):
        return None, ""
    provider, status = fields.get("provider", ""), fields.get("status", "")
    try:
        period = register_commands.period(first, last)
    except UsageError:
        return None, "register.bad_period"
    try:
        statuses = register_commands.statuses(provider or None, status or None)
    except UsageError:
        return None, "register.bad_status"
    given = {"from": first, "to": last, "provider": provider, "status": status}
    return _Wanted(period, statuses, {name: value for name, value in given.items() if value}), ""


def _rows(view: View, wanted: _Wanted, most: int) -> tuple[list["Row"], str]:
    """So many rows, with the moment whose knowledge they give."""
    from honnin.register import Register

    register_commands.not_rebuilding(view.deployment.store)
    made = Register(view.deployment.store, wanted.statuses, *wanted.period)
    rows = [registers.masked(each) for each in islice(made.rows(), most)]
    register_commands.not_rebuilding(view.deployment.store)
    return rows, made.as_of


def _kept(view: View) -> list[Mapping[str, Any]]:
    """The registers that were kept with `honninctl register --keep`."""
    from honnin.kept_registers import KeptRegisters

    kept = KeptRegisters(view.deployment.output("ReconBucketName"), view.deployment.client("s3"))
    return [about for name in kept.names() if (about := kept.about(name))]


def _last_month(view: View) -> dict[str, str]:
    """The form as it is at first: the month before this one, in Japan."""
    this = date.fromisoformat(jst_day(utc_text(view.now))).replace(day=1)
    last = this - timedelta(days=1)
    return {"from": last.replace(day=1).isoformat(), "to": last.isoformat(), "provider": "", "status": ""}
