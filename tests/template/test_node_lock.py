"""What npm installs for tests (the Node receiver, the console's look): pinned, with hashes, from whatever registry."""

import json
import re

from tests.documents import ROOT

FOLDER = ROOT / "requirements" / "node"


def test_every_package_is_pinned_with_its_hash_and_the_lock_names_no_registry() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: each for name, each in lock["packages"].items() if name}
    assert {"node_modules/standardwebhooks", "node_modules/axe-core"} <= packages.keys()
    for each in packages.values():
        assert re.fullmatch(r"\d+\.\d+\.\d+", each["version"])
        assert each["integrity"].startswith("sha512-")
    assert "resolved" not in json.dumps(lock)
    assert "omit-lockfile-registry-resolved=true" in (FOLDER / ".npmrc").read_text(encoding="utf-8").splitlines()


def test_the_lock_is_of_this_package() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((FOLDER / "package.json").read_text(encoding="utf-8"))
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
