"""The sample back end in TypeScript, with the packed client, as a merchant would have both: its own tests.

They find the stack of this run by its name, and so does the example of the client's README.
"""

import os
import shutil
import subprocess
import tarfile
import uuid
from pathlib import Path

import pytest

from local.paths import ROOT
from local.stack import Stack
from tests import documents
from tests.e2e.node import NODE_MODULES, need_node

pytestmark = pytest.mark.e2e

TYPESCRIPT = ROOT / "clients" / "typescript"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the sample, with its packages: ours from the tarball, the others from .node."""
    need_node()
    subprocess.run([TYPESCRIPT / "build.sh", "pack"], check=True, timeout=120)
    copy = tmp_path / "example"
    shutil.copytree(TYPESCRIPT / "example", copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    packages = copy / "node_modules"
    packages.mkdir()
    for each in NODE_MODULES.iterdir():
        (packages / each.name).symlink_to(each)
    [tarball] = (ROOT / "build" / "clients").glob("honnin-client-*.tgz")
    with tarfile.open(tarball) as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "package").rename(packages / "honnin-client")
    return copy


def test_the_samples_own_tests_and_the_example_of_the_readme(stack: Stack, example: Path) -> None:
    text = documents.blocks(TYPESCRIPT / "README.md")[-1].text
    # A test file of its own: the runner has it in another process, beside the sample's.
    (example / "readme.test.ts").write_text(text.replace("user-1", f"readme-{uuid.uuid4().hex[:12]}"), encoding="utf-8")
    done = subprocess.run(
        ["npm", "test", "--silent"],
        cwd=example,
        env={"PATH": os.environ["PATH"], "HOME": str(example), "HONNIN_HOME": str(ROOT), "HONNIN_NAME": stack.name},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_the_first_call_of_the_page(stack: Stack, example: Path) -> None:
    [text] = [each.text for each in documents.blocks(ROOT / "docs" / "integrating.md") if "createHonnin(" in each.text]
    access = stack.merchant.access_key
    (example / "first.mjs").write_text(text.replace("user-202", f"first-{uuid.uuid4().hex[:12]}"), encoding="utf-8")
    env = {
        "PATH": os.environ["PATH"],
        "MERCHANT_API": stack.merchant.url,
        "MERCHANT_KEY": f"{access.key_id}:{access.secret}",
        "AWS_REGION": stack.region,
    }
    command = ["node", "first.mjs"]
    done = subprocess.run(command, cwd=example, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "false\n"), done.stderr
