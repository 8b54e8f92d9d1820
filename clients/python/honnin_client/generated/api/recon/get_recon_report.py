from typing import Any
from urllib.parse import quote

from ...models.recon_report_view import ReconReportView


def request(
    date: str,
) -> dict[str, Any]:
    """The parts of the request: `method`, `url` (the path), `params`, `json`, `headers`."""

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/recon/reports/{date}".format(
            date=quote(str(date), safe=""),
        ),
    }
    return _kwargs


def parse(body: Any) -> ReconReportView:
    """The answer of a call that succeeded, from its JSON."""
    return ReconReportView.from_dict(body)
