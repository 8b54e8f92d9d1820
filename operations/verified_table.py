"""The table of `verified` and `verifiedReason` for the documents: PayPay status × Vexora status × `VerifiedNeeds`.

Statuses that come to the same share a line, so the table is whole and short. `python -m operations.verified_table`
prints it; a document that shows it is held against `markdown()` by a test.
"""

import sys
from collections.abc import Iterable, Mapping

from honnin.status import PayPayStatus, VerifiedNeeds, VerifiedReason, VexoraStatus, verified

# A provider that knows nothing of the user.
NOTHING = "–"

_PAYPAY = (*PayPayStatus, None)
_VEXORA = (*VexoraStatus, None)


def rows() -> list[tuple[list[PayPayStatus | None], list[VexoraStatus | None], list[VerifiedReason]]]:
    """Statuses at PayPay, statuses at Vexora, and what they come to under each of `VerifiedNeeds`."""
    found = []
    for paypay in _alike({each: [_reasons(each, other) for other in _VEXORA] for each in _PAYPAY}):
        for vexora in _alike({each: _reasons(paypay[0], each) for each in _VEXORA}):
            found.append((paypay, vexora, _reasons(paypay[0], vexora[0])))
    return found


def markdown() -> str:
    """The table in Markdown; it reads the same in every language."""
    header = ["PayPay", "Vexora", *(f"`{needs}`" for needs in VerifiedNeeds)]
    lines = [header, ["---"] * len(header)]
    for paypay, vexora, reasons in rows():
        said = [f"{str(reason.is_verified).lower()} `{reason}`" for reason in reasons]
        lines.append([_names(paypay), _names(vexora), *said])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _reasons(paypay: PayPayStatus | None, vexora: VexoraStatus | None) -> list[VerifiedReason]:
    return [verified(paypay, vexora, needs) for needs in VerifiedNeeds]


def _alike[Status](come_to: Mapping[Status, object]) -> list[list[Status]]:
    """The statuses in groups that come to the same, in the order of their first ones."""
    groups: list[list[Status]] = []
    for status, what in come_to.items():
        group = next((each for each in groups if come_to[each[0]] == what), None)
        if group is None:
            groups.append([status])
        else:
            group.append(status)
    return groups


def _names(statuses: Iterable[str | None]) -> str:
    return " · ".join(f"`{each}`" if each else NOTHING for each in statuses)


if __name__ == "__main__":
    sys.stdout.write(markdown())
