"""The recon bench's own day and stand-in: a bench that checks against wrong numbers would prove nothing."""

import json
from pathlib import Path

import pytest

from bench import figures, recon_data
from bench.figures import Figure
from bench.recon_stand_in import Ledger, StandIn
from honnin.recon.rows import Rows

_ROWS = 12_345


def test_the_file_lists_the_ledger_but_for_one_in_a_thousand() -> None:
    content = recon_data.file_content(_ROWS)
    listed = [each.decode() for ids in Rows(content.blocks(0, content.size)) for each in ids]
    heard = [each.decode() for each in recon_data.ledger_ids(_ROWS)]

    assert len(listed) == len(set(listed)) == _ROWS
    assert len(heard) == len(set(heard)) == _ROWS
    missed = set(listed) - set(heard)
    assert missed == recon_data.missed_ids(_ROWS)
    assert len(missed) == 12


def test_nothing_heard_makes_every_row_missed() -> None:
    assert list(recon_data.ledger_ids(_ROWS, nothing_heard=True)) == []
    assert len(recon_data.missed_ids(_ROWS, nothing_heard=True)) == _ROWS


def test_the_stand_in_gives_each_shard_whole_and_in_order_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.recon_stand_in._PAGE_BYTES", 16 * 1024)
    ledger = Ledger(_ROWS)
    found: list[bytes] = []
    for shard in "0123456789abcdef":
        pages, after, has_more = [], None, True
        while has_more:
            page, has_more = ledger.page(f"LEDGER#kyc#{recon_data.DAY}#{shard}", after)
            pages.append(page)
            after = page[-1].decode()
        assert len(pages) > 1
        ids = [each for page in pages for each in page]
        assert ids == sorted(ids)
        found += ids
    assert sorted(found) == sorted(recon_data.ledger_ids(_ROWS))


def test_another_day_or_ledger_is_empty() -> None:
    ledger = Ledger(1000)
    assert ledger.page("LEDGER#kyc#2026-11-21#0", None) == ([], False)
    assert ledger.page(f"LEDGER#risk#{recon_data.DAY}#0", None) == ([], False)


def test_the_tally_counts_pages_items_and_read_units() -> None:
    stand_in = StandIn(1000)
    query = {
        "ExpressionAttributeValues": {":pk": {"S": f"LEDGER#kyc#{recon_data.DAY}#0"}},
        "ProjectionExpression": "sk",
    }
    answer = json.loads(stand_in.call("DynamoDB_20120810.Query", query))

    assert answer["Count"] == len(answer["Items"]) > 0
    assert "LastEvaluatedKey" not in answer
    size = answer["Count"] * recon_data.ledger_line_bytes(f"LEDGER#kyc#{recon_data.DAY}#0")
    expected = {"Query": 1, "pages": 1, "items": answer["Count"], "half_read_units": -(-size // 4096)}
    assert stand_in.tally()["asked"] == expected
    with pytest.raises(KeyError):
        stand_in.call("DynamoDB_20120810.Scan", {})


@pytest.mark.parametrize(("value", "holds"), [(1.9, False), (2.0, True), (2.1, True)])
def test_a_figure_may_have_a_least_target(value: float, holds: bool, tmp_path: Path) -> None:
    figure = Figure("recon.parse_vs_csv_reader", value, "times as fast", 2.0, at_least=True)
    assert figure.holds is holds

    figures.write([figure], tmp_path / "bench.json")
    [written] = json.loads((tmp_path / "bench.json").read_text())["figures"]
    assert (written["at_least"], written["holds"]) == (True, holds)
