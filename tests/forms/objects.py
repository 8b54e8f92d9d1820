"""The objects of the buckets: their keys, their types of content and what is in them; and the inputs of functions."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from chaos.s3 import MemoryS3
from honnin.json_objects import record_of
from honnin.kept_registers import KeptRegisters, NewRegister
from honnin.recon import outcomes, plan
from honnin.recon.bucket import FileId, ReconBucket
from honnin.recon.compare import Found
from honnin.recon.plan import Range
from honnin.recon.starting import comparison_of
from honnin.register import Row
from honnin.reread.bucket import RereadBucket
from honnin.reread.starting import reread_of
from honnin.vault import Vault, digest_of, product_of, read_at_of, selfie
from tests.fakes.recon_engine import DAY, KYC, comparison
from tests.fakes.reread_engine import NAME
from tests.forms.shape import plain
from tests.forms.table import AT, NOW
from tests.forms.worlds import recon, reread

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The kinds of objects, by their keys. The folders of users and registers are of the personal-data and the recon bucket.
KINDS: Mapping[str, str] = {
    "vault": r"(paypay|vexora)/[^/]+/[^/]+/[^/]+\.json",
    "selfie": r"paypay/[^/]+/[^/]+/[^/]+\.selfie\.jpeg",
    "recon file": r"recon/.+\.csv",
    "report": r"reports/.+/report\.json",
    "plan": r"reports/.+/\d+/plan\.json",
    "open": r"reports/.+/\d+/open\.json",
    "range": r"reports/.+/\d+/\d+\.json",
    "range done": r"reports/.+/\d+/\d+\.done",
    "range outcome": r"reports/.+/\d+/\d+\.outcome\.json",
    "reread ids": r"rereads/[^/]+/ids\.txt",
    "reread sources": r"rereads/[^/]+/sources\.json",
    "reread parts": r"rereads/[^/]+/parts\.json",
    "reread part": r"rereads/[^/]+/parts/.+\.json",
    "register": r"registers/[0-9a-f]{2}/.+",
    "register about": r"registers/about/.+\.json",
}
_REGISTER = "20261128T030000Z-000000"


def kind_of(key: str) -> str:
    """The kind of an object. Raises `LookupError` for one that no kind fits."""
    found = [kind for kind, form in KINDS.items() if re.fullmatch(form, key)]
    if len(found) != 1:
        raise LookupError(f"{key} is of the kinds {found}")
    return found[0]


@cache
def objects() -> dict[str, dict[str, Any]]:
    """The fullest object of each kind: its key, its type of content, its body as text."""
    found: dict[str, dict[str, Any]] = {}
    for bucket in (recon().objects, reread().objects, _vault(), _register()):
        for key, versions in bucket._versions.items():
            for each in versions:
                body = (each.body or b"").decode()
                one = {"key": key, "contentType": each.content_type, "body": body}
                known = found.setdefault(kind_of(key), one)
                found[kind_of(key)] = max(known, one, key=lambda some: len(some["body"]))
    return dict(sorted(found.items()))


@cache
def inputs() -> dict[str, list[Any]]:
    """What the state machines call each function with, by form."""
    found: dict[str, dict[str, Any]] = {}
    for function, event in (*recon().invoked, *reread().invoked):
        found.setdefault(function, {})[" ".join(sorted(event))] = event
    return {function: [forms[each] for each in sorted(forms)] for function, forms in sorted(found.items())}


def content(found: Mapping[str, Any]) -> Any:
    """The body of an object, parsed: JSON, or the lines of a register."""
    if found["key"].startswith("registers/") and "/about/" not in found["key"]:
        return [json.loads(line) for line in found["body"].splitlines()[1:]]
    return json.loads(found["body"]) if found["contentType"] == "application/json" else found["body"]


def read(kind: str, found: Mapping[str, Any]) -> Any:
    """What today's code makes of an object, alone in its bucket, as JSON."""
    s3 = MemoryS3()
    s3.put_object(Key=found["key"], Body=found["body"].encode(), ContentType=found["contentType"])
    return plain(list(_read(kind, found["key"], s3)))


def _read(kind: str, key: str, s3: MemoryS3) -> Iterator[Any]:
    client = cast("S3Client", s3)
    bucket, rereads, file = ReconBucket("recon", client), RereadBucket("recon", client), FileId(KYC, DAY, "a.csv")
    number = next((int(each) for each in re.findall(r"/(\d+)/[^/]+$", key)), 1)
    part = outcomes.Part(comparison(number), Range(_range(key), 0, 0), outcomes.Outcome({}))
    match kind:
        case "vault":
            yield from (read_at_of(key), product_of(key), digest_of(key), Vault("vault", client).erase("user-1"))
        case "selfie":
            yield from (read_at_of(key), product_of(key), Vault("vault", client).erase("user-1"))
        case "recon file":
            yield from (bucket.has(file), bucket.measure(file))
        case "report":
            yield bucket.report(file)
        case "plan":
            yield plan.planned(bucket, comparison(number))
        case "open":
            yield bucket.part(file, number, "open.json")
        case "range":
            yield record_of(Found, bucket.part(file, number, f"{part.range.name}.json"))
            yield outcomes.of(bucket, part.comparison, part.range)
        case "range done":
            yield outcomes.counted(bucket, part)
        case "range outcome":
            yield outcomes.of(bucket, part.comparison, part.range)
        case "reread part":
            yield rereads.part(NAME, key.rpartition("/")[2].removesuffix(".json"))
        case "register":
            yield from _rows(key, s3)
        case "register about":
            yield from (KeptRegisters("recon", client).names(), KeptRegisters("recon", client).about(_REGISTER))
        case _:
            # The state machine reads it, and gives its elements to functions (`inputs`).
            yield s3.objects[key].decode()


def read_input(function: str, event: Mapping[str, Any]) -> Any:
    """What a function understands of its input, as JSON."""
    if function.startswith("Reread"):
        found = reread_of(reread().store, event)
        return [found.name, found.is_paused, event.get("source"), event.get("part"), "sources" in event]
    part = event.get("range")
    return plain([comparison_of(dict(event)), event.get("etag"), record_of(Range, part) if part else None])


def _range(key: str) -> str:
    return key.rpartition("/")[2].partition(".")[0]


def _rows(key: str, s3: MemoryS3) -> Iterator[Row]:
    from honnin.kept_registers import row_of

    yield from map(row_of, s3.objects[key].splitlines()[1:])


def _vault() -> MemoryS3:
    s3 = MemoryS3()
    vault = Vault("vault", cast("S3Client", s3))
    for provider, product in (("paypay", "kyc_info"), ("vexora", "kyc_status_query")):
        evidence = vault.evidence(
            provider=provider, user_id="user-1", product=product, read_at=NOW, body=b'{"of": "them"}', kept=None
        )
        evidence.add("selfie", selfie(evidence.facts["snapshot"], b"image", "image/jpeg"))
        if provider == "vexora":
            evidence._objects.pop()
        evidence.write()
    return s3


def _register() -> MemoryS3:
    s3 = MemoryS3()
    client = cast("S3Client", s3)
    evidence = ("kyc_info", "request-1", "paypay/user-1/kyc_info/x.json", "version-1", "0" * 64)
    ended = (AT, "RISK_FLAGGED", ((AT, "RISK_FLAGGED"),), AT)
    row = Row("user-1", "paypay", "VERIFIED", AT, "webhook", "event-1", *evidence, *ended)
    with TemporaryDirectory() as folder:
        register = NewRegister("recon", _REGISTER, Path(folder), lambda _: (), client)
        register.add(row)
        KeptRegisters("recon", client).end(_REGISTER, {"name": _REGISTER, "rows": register.write()})
    return s3
