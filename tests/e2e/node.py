"""Node and its packages, for tests of what runs on it."""

import os
import shutil

import pytest

from local.paths import ROOT

NODE_MODULES = ROOT / ".node" / "node_modules"
LOCK = ROOT / "requirements" / "node" / "package-lock.json"


def need_node() -> None:
    """Skip without Node and its packages (local/node.sh); fail in CI."""
    installed = NODE_MODULES.parent / ".installed"
    if shutil.which("node") is None:
        reason = "no node on the PATH: install Node 20 or later with npm"
    elif not installed.exists() or installed.read_bytes() != LOCK.read_bytes():
        reason = "run local/node.sh (make test does); build/node.log says why it could not install"
    else:
        return
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
