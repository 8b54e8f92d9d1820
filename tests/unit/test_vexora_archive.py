"""Vexora's deciding answers: kept byte by byte, named on the timeline, and only where they decided."""

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import pytest

from chaos.s3 import MemoryS3
from honnin.store import UserStatus
from honnin.vault import Vault
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.models import APPLY_FOR, STATUS_QUERY, Reading

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AT = datetime(2026, 4, 1, 3, tzinfo=UTC)
BEFORE = UserStatus("user-1", "vexora", "PENDING", 3, provider_status="0")


@pytest.mark.parametrize("call", [STATUS_QUERY, APPLY_FOR])
@pytest.mark.parametrize("body", [b'{"code":"0000", "data":{"authenticationStatus":2}}\n', b"\xef\xbb\xbf{}", b"{ }"])
def test_the_answer_that_decided_is_kept_as_it_came(body: bytes, call: str) -> None:
    bucket = MemoryS3()
    archive = VexoraArchive(Vault("vault", cast("S3Client", bucket)))
    after = UserStatus("user-1", "vexora", "APPROVED", 3, provider_status="2")

    made = archive.keep(BEFORE, after, AT, Reading("2", request_id="r-1", body=body, call=call))

    assert made is not None
    made.write()
    digest = hashlib.sha256(body).hexdigest()
    key = f"vexora/user-1/{call}/2026-04-01T03:00:00.000Z-{digest}.json"
    assert made.facts == {"snapshot": key, "sha256": digest, "requestId": "r-1"}
    assert dict(bucket.objects) == {key: body}


@pytest.mark.parametrize(
    ("status", "provider_status", "reason", "decided"),
    [
        ("PENDING", "0", None, False),
        ("UNDER_REVIEW", "1", None, True),
        ("REJECTED", "3", "blurred", True),
        ("PENDING", "1", None, True),
    ],
)
def test_an_answer_that_says_what_was_known_is_not_kept(
    status: str, provider_status: str, reason: str | None, *, decided: bool
) -> None:
    archive = VexoraArchive(Vault("vault", cast("S3Client", MemoryS3())))
    after = UserStatus("user-1", "vexora", status, 3, provider_status=provider_status, reason=reason)

    made = archive.keep(BEFORE, after, AT, Reading(provider_status, body=b"{}"))

    assert (made is not None) is decided
