"""The runbook's "Comparing a stored file again", by its own commands, done with boto3: the file is compared anew, and
whoever was repaired before is not read again."""

import json
import re
import subprocess
from urllib.parse import urlsplit

import pytest

from sandbox.server import RunningSandbox
from tests import documents
from tests.documents import ROOT
from tests.fakes.deployment import Deployment
from tests.fakes.merchant import Merchant
from tests.fakes.recon_day import ReconDay

# What the session has defined before (outputs), and an AWS CLI that says how it was called: \1 ends a word, \2 a call.
_STAND_IN = r"""
out() { case "$1" in StateTableName) echo StateTable ;; ReconBucketName) echo recon ;; *) exit 9 ;; esac; }
aws() { printf '%s\1' "$@"; printf '\2'; }
"""


def documented_calls(recon: ReconDay) -> list[list[str]]:
    """The words of each call of the AWS CLI in the runbook's block, for this file."""
    pages = documents.shell_blocks(ROOT / "docs" / "runbook.md")
    [block] = [each.text for each in pages if "s3 rm --recursive" in each.text]
    values = f"type={recon.type.name} day={recon.day} name={recon.name}"
    script, filled = re.subn(r"^type=.*$", values, block, flags=re.MULTILINE)
    assert filled == 1
    done = subprocess.run(["bash", "-euc", _STAND_IN + script], capture_output=True, text=True, check=True, timeout=20)
    return [call.split("\1")[:-1] for call in done.stdout.split("\2")[:-1]]


class Lost:
    """A file of one day with two linked users. `missed` was never heard and has been repaired; `heard` was, and then a
    restore lost that line of the ledger."""

    def __init__(self, stack: Deployment, box: RunningSandbox) -> None:
        self.stack, self._box, self.recon = stack, box, ReconDay(stack)
        self._processor = stack.function("event_processor")
        self._merchant = Merchant(stack)
        self.missed, self.heard = self._link("missed"), self._link("heard")
        self.recon.hear(self._processor, self.heard, self.recon.at("12:00:00"))
        self.recon.arrive(self.recon.listing(self.missed, self.heard))
        assert self.compare() == (1, 1)
        [line] = [each for each in stack.items() if each["pk"].startswith("LEDGER#") and each["sk"] == self.heard]
        self.stack.dynamodb.delete_item(TableName="StateTable", Key={"pk": {"S": line["pk"]}, "sk": {"S": line["sk"]}})

    def _link(self, user_id: str) -> str:
        self._merchant.link(user_id)
        status = self.stack.store.users.status(user_id, "paypay")
        assert status is not None
        assert status.user_authorization_id is not None
        return status.user_authorization_id

    def compare(self) -> tuple[int, int]:
        """Let the comparison and then the processor do what is on their queues; how many matched, were missed."""
        assert self.recon.compare() == []
        assert self.stack.process(self._processor, 120_000) == []
        counts = self.recon.file().counts
        return counts["matched"], counts["missed"]

    def reads(self) -> list[int]:
        """How often PayPay was asked for the KYC of the one that was missed, and of the other."""
        return [self._box.paypay.register.view(user)["calls"]["kyc_passport"] for user in ("missed", "heard")]  # type: ignore[index]

    def do(self, words: list[str]) -> None:
        """A call of the AWS CLI. What the last of the three makes is a new object, of which S3 tells."""
        match words:
            case ["dynamodb", "delete-item", "--table-name", table, "--key", key]:
                self._delete_item(table, key)
            case ["s3", "rm", "--recursive", prefix]:
                self._remove(prefix)
            case ["s3", "cp", source, target, "--metadata-directive", "REPLACE", "--content-type", content_type]:
                self._copy(source, target, content_type)
            case _:
                raise AssertionError(f"the test does not know how to do: {words}")

    def _delete_item(self, table: str, key: str) -> None:
        asked = json.loads(key)
        assert "Item" in self.stack.dynamodb.get_item(TableName=table, Key=asked), "the item is there"
        self.stack.dynamodb.delete_item(TableName=table, Key=asked)

    def _remove(self, prefix: str) -> None:
        place = urlsplit(prefix)
        found = self.stack.s3.list_objects_v2(Bucket=place.netloc, Prefix=place.path[1:])["Contents"]
        assert len(found) > 1, "the results are there"
        for each in found:
            self.stack.s3.delete_object(Bucket=place.netloc, Key=each["Key"])

    def _copy(self, source: str, target: str, content_type: str) -> None:
        one, other = urlsplit(source), urlsplit(target)
        self.stack.s3.copy_object(
            Bucket=other.netloc,
            Key=other.path[1:],
            CopySource={"Bucket": one.netloc, "Key": one.path[1:]},
            MetadataDirective="REPLACE",
            ContentType=content_type,
        )
        self.recon.tell(other.path[1:])


@pytest.fixture
def lost(stack: Deployment, box: RunningSandbox) -> Lost:
    return Lost(stack, box)


def test_the_file_is_compared_anew_and_the_repaired_user_is_not_read_again(lost: Lost) -> None:
    assert lost.reads() == [1, 1]

    for words in documented_calls(lost.recon):
        lost.do(words)

    assert lost.compare() == (0, 2)
    assert lost.recon.file().state == "COMPARED"
    assert {each["userAuthorizationId"] for each in lost.recon.report()["missed"]} == {lost.missed, lost.heard}
    assert lost.reads() == [1, 2]


@pytest.mark.parametrize("left_out", ["dynamodb", "rm"])
def test_without_one_of_the_first_two_commands_nobody_is_found(lost: Lost, left_out: str) -> None:
    for words in documented_calls(lost.recon):
        if left_out not in words:
            lost.do(words)

    assert lost.compare() == (1, 1)
    assert lost.reads() == [1, 1]
