"""`python -m tests.forms`: freeze the forms of this release in `tests/fixtures/<version>/`."""

import json
from typing import Any

from honnin import VERSION
from tests.documents import ROOT
from tests.forms import api, messages, objects, readers, table

FOLDER = ROOT / "tests" / "fixtures"


def forms() -> dict[str, Any]:
    """The files, by name. Beside each form stands what today's code reads in it."""
    events = messages.domain_events()
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    return {
        "table": {
            kind: [{"item": each, "read": readers.read(each)} for each in some] for kind, some in table.items().items()
        },
        "messages": messages.messages(),
        "webhooks": messages.merchant_webhooks(events),
        "objects": {kind: {**each, "read": objects.read(kind, each)} for kind, each in objects.objects().items()},
        "inputs": {
            function: [{"input": each, "read": objects.read_input(function, each)} for each in some]
            for function, some in objects.inputs().items()
        },
        "api": api.outline(document),
    }


def main() -> None:
    """Write the files."""
    folder = FOLDER / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in forms().items():
        text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=name != "webhooks")
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
