"""clients/: what is generated is of the present docs/openapi.json, and what is packed fits what is tested."""

import json
import re
from typing import Any

from operations import clients
from operations.openapi import document
from tests.documents import ROOT

PYTHON = ROOT / "clients" / "python"
TYPESCRIPT = ROOT / "clients" / "typescript"


def _json(*path: str) -> Any:
    return json.loads(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def test_the_generated_files_are_those_that_the_generators_made_of_the_present_document() -> None:
    recorded, present = json.loads(clients.MADE.read_text(encoding="utf-8")), clients.made()
    changed = [
        name
        for part in present
        for name in present[part].keys() | recorded[part].keys()
        if present[part].get(name) != recorded[part].get(name)
    ]
    assert not changed, "stale: run make clients and commit what it writes"


def test_the_clients_have_every_signed_route_and_no_other() -> None:
    described = {
        each["operationId"]
        for path in document.document()["paths"].values()
        for method, each in path.items()
        if method != "servers" and each["security"]
    }
    api = clients.merchant_api(document.document())
    assert described == {each["operationId"] for path in api["paths"].values() for each in path.values()}
    table = (TYPESCRIPT / "src" / "generated" / "operations.ts").read_text(encoding="utf-8")
    assert described == set(re.findall(r"^  (\w+): \{", table, re.MULTILINE))
    source = (PYTHON / "honnin_client" / "generated" / "client.py").read_text(encoding="utf-8")
    snake = {re.sub(r"(?=[A-Z])", "_", each).lower() for each in described}
    assert snake == set(re.findall(r"^    async def ([a-z]\w+)\(", source, re.MULTILINE))


def test_the_clients_know_the_events_and_the_webhooks_but_not_what_providers_send() -> None:
    schemas = clients.merchant_api(document.document())["components"]["schemas"]
    assert {
        "KycStatusChanged",
        "KycStatusChangedWebhook",
        "MerchantWebhook",
        "TestWebhook",
        "Problem",
    } <= schemas.keys()
    assert not {"PayPayNotification", "VexoraResult"} & schemas.keys()


def test_the_typescript_client_is_tested_with_the_packages_that_it_asks_for() -> None:
    package, tested = _json("clients", "typescript", "package.json"), _json("requirements", "node", "package.json")
    for name, wanted in package["dependencies"].items():
        assert wanted == f"^{tested['dependencies'][name]}"


def test_the_readmes_are_short() -> None:
    for folder in (PYTHON, TYPESCRIPT):
        assert len((folder / "README.md").read_text(encoding="utf-8").splitlines()) <= 64
