"""The table of `verified` in the documents is whole, and says what the code does."""

from itertools import product

from honnin.status import PayPayStatus, VerifiedNeeds, VexoraStatus
from operations import verified_table
from tests import verified_rules
from tests.tables import TEMPLATE


def test_the_table_says_what_every_pair_of_statuses_comes_to() -> None:
    said = {}
    header, _, *lines = verified_table.markdown().splitlines()
    columns = [cell.strip(" `") for cell in header.strip("|").split("|")]
    for line in lines:
        paypay, vexora, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        for one, other in product(paypay.split(" · "), vexora.split(" · ")):
            for needs, cell in zip(columns[2:], cells, strict=True):
                is_verified, reason = cell.split()
                key = (one.strip("`"), other.strip("`"), needs)
                assert key not in said
                said[key] = (is_verified == "true", reason.strip("`"))
    none = verified_table.NOTHING
    every = product((none, *PayPayStatus), (none, *VexoraStatus), VerifiedNeeds)
    assert said == {
        (str(paypay), str(vexora), str(needs)): verified_rules.wanted(
            None if paypay == none else paypay, None if vexora == none else vexora, needs
        )
        for paypay, vexora, needs in every
    }


def test_the_document_shows_the_table_as_it_is() -> None:
    assert verified_table.markdown() in (TEMPLATE.parent / "docs" / "api.md").read_text(encoding="utf-8")


def test_statuses_that_come_to_the_same_share_a_line() -> None:
    assert len(verified_table.rows()) == 9
