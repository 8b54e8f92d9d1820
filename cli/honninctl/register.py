"""The register as CSV that Excel opens rightly, or as JSON lines; a file is complete, or is not there."""

import contextlib
import csv
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from honninctl import masking, moments, spreadsheet
from honninctl.deployment import Deployment
from honninctl.failures import UsageError
from honninctl.language import _

if TYPE_CHECKING:
    from honnin.register import Row

FORMATS = ("csv", "jsonl")
LANGUAGES = ("ja", "en")

# Each column with its headings in English and in Japanese; the names are those of the JSON lines.
COLUMNS = {
    "userId": ("User ID", "利用者ID"),
    "provider": ("Provider", "プロバイダー"),
    "status": ("Status", "ステータス"),
    "since": ("From (JST)", "開始日時(日本時間)"),
    "until": ("Until (JST)", "終了日時(日本時間)"),
    "endedBy": ("Next status", "次のステータス"),
    "product": ("Product", "確認に使ったAPI"),
    "cause": ("Cause", "契機"),
    "eventId": ("Event ID", "イベントID"),
    "requestId": ("X-REQUEST-ID", "X-REQUEST-ID"),
    "object": ("Kept answer", "保存したレスポンス"),
    "objectVersion": ("Version of the kept answer", "保存したレスポンスのバージョン"),
    "sha256": ("SHA-256 of the kept answer", "保存したレスポンスのSHA-256"),
    "flags": ("Flags since then (JST)", "その後のフラグ(日本時間)"),
    "erasedAt": ("Erased (JST)", "消去日時(日本時間)"),
}
_TIMES = frozenset({"since", "until", "erasedAt"})


def row_json(row: "Row") -> dict[str, Any]:
    """A row as a line of JSON: times in UTC, null where there is nothing, PayPay's ids masked."""
    return {
        "userId": row.user_id,
        "provider": row.provider,
        "status": row.status,
        "since": row.since or None,
        "until": row.until,
        "endedBy": row.ended_by,
        "product": row.product,
        "cause": row.cause,
        "eventId": masked(row).event_id,
        "requestId": row.request_id,
        "object": row.object,
        "objectVersion": row.object_version,
        "sha256": row.sha256,
        "flags": [{"at": at, "flag": flag} for at, flag in row.flags],
        "erasedAt": row.erased_at,
    }


def masked(row: "Row") -> "Row":
    """The row with PayPay's ids masked."""
    return replace(row, event_id=masking.event_id(row.event_id, reveal=False)) if row.event_id else row


def cells(row: "Row") -> list[str]:
    """A row as the cells of a spreadsheet: times in Japan's time, and nothing that it would read as something else."""
    found = row_json(row)
    found |= {name: moments.shown(found[name]) for name in _TIMES}
    found["flags"] = "; ".join(f"{flag} {moments.shown(at)}" for at, flag in row.flags)
    return [(found[name] or "") if name in _TIMES else spreadsheet.cell(found[name] or "") for name in COLUMNS]


class Writer:
    """Writes rows as bytes, whatever the terminal's encoding is; counts them, and takes the SHA-256 of all bytes."""

    def __init__(self, stream: IO[bytes], form: str, language: str) -> None:
        self._stream = stream
        self._csv = csv.writer(self, lineterminator="\r\n") if form == "csv" else None
        self._digest = hashlib.sha256()
        self.rows = 0
        if self._csv:
            # Without this mark Excel reads the file as Shift_JIS.
            self.write("\ufeff")
            self._csv.writerow(japanese if language == "ja" else english for english, japanese in COLUMNS.values())

    def row(self, row: "Row") -> None:
        """Write a row."""
        if self._csv:
            self._csv.writerow(cells(row))
        else:
            self.write(json.dumps(row_json(row), ensure_ascii=False) + "\n")
        self.rows += 1

    def write(self, text: str) -> None:
        """Write a text."""
        data = text.encode()
        self._digest.update(data)
        self._stream.write(data)

    @property
    def sha256(self) -> str:
        """The SHA-256 (hexadecimal) of what was written."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def target(path: Path | None) -> Iterator[IO[bytes]]:
    """Where the register is written: standard output, or a file that gets its name only when it is complete.

    Until then it has another name beside it (`….part`). If anything goes wrong, it is deleted.

    Raises
    ------
    UsageError
        The file exists already, or cannot be written.
    """
    if path is None:
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:
            raise UsageError(_("standard output takes no bytes here: add --output FILE"))
        sys.stdout.flush()
        yield stream
        stream.flush()
        return
    if path.exists():
        raise UsageError(_("{path} exists already: choose another name, or delete it").format(path=path))
    try:
        # Only its owner may read it: it says who is verified.
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".part")
    except OSError as error:
        raise UsageError(_("{path} cannot be written: {strerror}").format(path=path, strerror=error.strerror)) from None
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_access(deployment: Deployment, *, versions: bool, erased: bool) -> None:
    """Make one small call of each kind that comes only after the header. Raises AWS's refusal of it."""
    deployment.store.overview.users("paypay", "VERIFIED", limit=1)
    if versions:
        _versions(deployment, "paypay/", 1)
    if erased:
        deployment.client("dynamodb").scan(TableName=deployment.output("StateTableName"), Limit=1)


def version_of(deployment: Deployment) -> Callable[[str], str | None]:
    """Gives the newest version of an object of the vault, without reading the object."""

    def version(key: str) -> str | None:
        found = (each for each in _versions(deployment, key, 2) if each["Key"] == key and each["IsLatest"])
        return next((str(each["VersionId"]) for each in found), None)

    return version


def _versions(deployment: Deployment, prefix: str, most: int) -> list[dict[str, Any]]:
    answer = deployment.client("s3").list_object_versions(
        Bucket=deployment.output("PersonalDataBucketName"), Prefix=prefix, MaxKeys=most
    )
    found: list[dict[str, Any]] = answer.get("Versions", [])
    return found
