"""One release, named where its users look for it; the source is `honnin.VERSION`."""

import json
import re
import tomllib
from typing import Any

from honnin import VERSION
from tests.documents import ROOT
from tests.fakes.cli import run
from tests.tables import template


def _json(*path: str) -> Any:
    return json.loads(ROOT.joinpath(*path).read_text(encoding="utf-8"))


def test_the_template_the_document_and_both_clients_name_the_release() -> None:
    project = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        "template.yaml": template()["Outputs"]["Version"]["Value"],
        "openapi.json": _json("docs", "openapi.json")["info"]["version"],
        "python": project["version"],
        "typescript": _json("clients", "typescript", "package.json")["version"],
    }
    assert named == dict.fromkeys(named, VERSION)


def test_the_newest_release_of_the_changelog_is_this_one() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[0] == "Unreleased"
    releases = re.findall(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)$", text, re.MULTILINE)
    assert releases[0][0] == VERSION


def test_honninctl_names_it() -> None:
    assert run("--version").stdout == f"honninctl {VERSION}\n"


def test_the_licence_goes_with_both_clients() -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    for client in ("python", "typescript"):
        assert (ROOT / "clients" / client / "LICENSE").read_bytes() == licence
