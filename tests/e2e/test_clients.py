"""Both clients against the deployed stack, with a user id that holds `:` and `@`; the TypeScript one's own tests."""

import json
import os
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from honnin_client import Honnin, RefusedError, models
from local import demo
from local.demo_paypay import press_allow
from local.paths import ROOT
from local.stack import Stack
from tests.e2e.node import need_node

pytestmark = pytest.mark.e2e

BUILT = ROOT / "build" / "clients" / "typescript"


@pytest.fixture
def user_id(stack: Stack) -> str:
    """A new user, whom Vexora approves at once."""
    found = f"shop:{uuid.uuid4().hex[:12]}@a.b_c-d"
    stack.sandbox("PUT", f"/dials/vexora/{found}", json={"review": "approve", "review_delay_s": 0.1})
    return found


@pytest.fixture
def honnin(stack: Stack) -> Iterator[Honnin]:
    """The Python client with the key of the merchant's back end."""
    key = Credentials(stack.merchant.access_key.key_id, stack.merchant.access_key.secret)
    with Honnin(stack.merchant.url, credentials=key, region=stack.merchant.region) as client:
        yield client


@pytest.fixture(scope="module")
def typescript() -> Path:
    """The TypeScript client with its tests, compiled."""
    need_node()
    subprocess.run([ROOT / "clients" / "typescript" / "build.sh"], check=True, timeout=120)
    return BUILT


def test_the_python_client_submits_links_reads_lists_and_erases(stack: Stack, honnin: Honnin, user_id: str) -> None:
    with pytest.raises(RefusedError) as unknown:
        honnin.get_user(user_id)
    assert (unknown.value.code, unknown.value.status) == (models.ProblemCode.USER_UNKNOWN, 404)

    submission = models.SubmissionRequest(user_id=user_id, username_furigana="テスト ハナコ")
    first = honnin.submit_to_vexora(body=submission, idempotency_key=f"key-{user_id}")
    assert honnin.submit_to_vexora(body=submission, idempotency_key=f"key-{user_id}") == first
    assert demo.wait_for(lambda: honnin.get_user(user_id).verified, 60)
    with pytest.raises(RefusedError) as twice:
        honnin.submit_to_vexora(body=submission)
    assert (twice.value.code, twice.value.status) == (models.ProblemCode.ALREADY_APPROVED, 409)

    request = models.AccountLinkRequest(
        user_id=user_id, scopes=["get_kyc_info"], return_url=f"{stack.sandbox_url}/shop/return"
    )
    press_allow(honnin.create_account_link(body=request).link_qr_code_url)
    read = honnin.get_kyc(user_id)
    assert read.status is models.PayPayStatus.VERIFIED
    assert read.kyc
    user = honnin.get_user(user_id)
    assert user.verified_reason is models.VerifiedReason.BOTH_VERIFIED
    assert user.providers.paypay
    assert user.providers.paypay.facets.kyc is models.Kyc.VERIFIED

    listed = honnin.list_users(provider=models.ProviderName.PAYPAY, status="VERIFIED", since="2026-01-01T00:00:00Z")
    assert user_id in {each.user_id for each in listed.users}
    first_page = honnin.get_timeline(user_id, limit=1)
    assert first_page.cursor
    assert honnin.get_timeline(user_id, limit=1, cursor=first_page.cursor).entries != first_page.entries
    looked_up = honnin.look_up_users(body=models.LookupRequest(user_ids=[user_id, "nobody"]))
    assert ([each.user_id for each in looked_up.users], looked_up.unknown) == ([user_id], ["nobody"])
    assert honnin.count_users().counts.paypay["VERIFIED"] > 0
    with pytest.raises(RefusedError) as invalid:
        honnin.look_up_users(body=models.LookupRequest(user_ids=[]))
    assert invalid.value.problem
    assert invalid.value.problem.errors
    assert honnin.erase_user(user_id, unlink=True).user_id == user_id


def test_the_typescript_client_submits_links_reads_lists_and_erases(
    stack: Stack, typescript: Path, user_id: str
) -> None:
    done = subprocess.run(
        ["node", ROOT / "tests" / "e2e" / "client.mjs"],
        env={
            "PATH": os.environ["PATH"],
            "HONNIN_URL": stack.merchant.url,
            "HONNIN_USER": user_id,
            "HONNIN_RETURN_URL": f"{stack.sandbox_url}/shop/return",
            "AWS_ACCESS_KEY_ID": stack.merchant.access_key.key_id,
            "AWS_SECRET_ACCESS_KEY": stack.merchant.access_key.secret,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "unknown": "user-unknown",
        "sameSubmission": True,
        "twice": "already-approved",
        "verified": True,
        "atVexora": "APPROVED",
        "atPayPay": None,
        "link": True,
        "listed": True,
        "timeline": True,
        "looked": [True, ["nobody"]],
        "invalid": "userIds",
        "counted": True,
        "erased": True,
    }


def test_the_typescript_clients_own_tests(typescript: Path) -> None:
    done = subprocess.run(
        ["node", "--test", typescript / "test"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_the_client_its_types_and_the_licence(tmp_path: Path) -> None:
    sources = shutil.copytree(ROOT / "clients" / "python", tmp_path / "python")
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=sources, check=True, timeout=120, stdout=subprocess.DEVNULL)
    [wheel] = tmp_path.glob("honnin_client-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        [licence] = [name for name in archive.namelist() if name.endswith("/licenses/LICENSE")]
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert {"honnin_client/py.typed", "honnin_client/client.py", "honnin_client/generated/client.py"} <= names
    assert {name for name in names if not name.startswith("honnin_client/")} == {"honnin_pytest.py"}


@pytest.mark.usefixtures("typescript")
def test_the_tarball_holds_the_licence() -> None:
    packed = subprocess.run(
        ["npm", "pack", "--dry-run", "--json", "--ignore-scripts"],
        cwd=ROOT / "clients" / "typescript",
        capture_output=True,
        check=True,
        timeout=60,
    )
    [package] = json.loads(packed.stdout)
    assert {"LICENSE", "README.md", "package.json"} <= {each["path"] for each in package["files"]}
