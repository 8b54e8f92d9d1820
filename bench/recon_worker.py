"""One run of the recon code in a process of its own, for its time and memory: `python -m bench.recon_worker …`.

    parse FILE
    plan RECON_BUCKET [ROWS]
    compare RECON_BUCKET TABLE QUEUES_URL all|missed RANGE…
    bare TABLE ROWS
    download RECON_BUCKET TABLE URL NAME

The process has what the function has in Lambda: its handler's module is imported (which brings boto3, Powertools,
pydantic) and so is the runtime interface client; only `parse` imports the parser alone. AWS is where AWS_ENDPOINT_URL
points. The last line of the output is `{"wall_s", "cpu_s", "start_rss_mib", "peak_rss_mib", …}`.

The peak is `VmHWM`, that of this program alone: `ru_maxrss` would begin at what its starter had.
"""

import importlib
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import recon_data
from bench.stand_in import ETAG
from honnin.recon.rows import Rows

if TYPE_CHECKING:
    from honnin.store import Comparison

_READ_BYTES = 256 * 1024  # as honnin.recon.bucket reads from S3
_LAMBDA_LIMIT_S = 900.0
# As honnin.recon.compare has them.
_KEYS = 100
_THREADS = 8


def parse(path: Path) -> dict[str, int]:
    """Read and check the rows of a file, and keep none."""
    with path.open("rb") as file:
        rows = Rows(iter(partial(file.read, _READ_BYTES), b""))
        for _ in rows:
            pass
    return {"rows": rows.good, "bad": rows.bad}


def plan(bucket: str, rows: str = "") -> dict[str, int]:
    """Plan the comparison of the bench's file, as `recon_plan` does; with `rows`, in ranges of so many."""
    from honnin.recon import plan as plans
    from honnin.recon.bucket import ReconBucket

    size = (int(rows),) if rows else ()
    return {"ranges": int(plans.write(ReconBucket(bucket), _comparison(), *size)["ranges"])}


def compare(bucket: str, table: str, queues: str, recheck: str, *names: str) -> dict[str, int]:
    """Compare planned ranges by their names, one after the other, as `recon_compare` does."""
    from honnin.recon import plan as plans
    from honnin.recon.bucket import ReconBucket
    from honnin.recon.compare import RangeComparison
    from honnin.recon.repair import Repairs
    from honnin.store import Store

    bucket_ = ReconBucket(bucket)
    ranges = RangeComparison(
        store=Store(table),
        bucket=bucket_,
        repairs=Repairs(repair_queue_url=f"{queues}/repairs", reread_queue_url=f"{queues}/rereads"),
        now=lambda: datetime.now(UTC),
        recheck_all=recheck == "all",
    )
    found = [each for each in plans.planned(bucket_, _comparison()) if each.name in names]
    for each in found:
        ranges.run(_comparison(), each, ETAG)
    return {"ranges": len(found)}


def bare(table: str, rows: str) -> dict[str, int]:
    """The floor of a comparison: ask DynamoDB for as many links and statuses, with as many threads, and do no more."""
    from honnin import aws

    client = aws.dynamodb()

    def ask(keys: Sequence[tuple[str, str]]) -> int:
        wanted: Any = {table: {"Keys": [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys]}}
        return len(client.batch_get_item(RequestItems=wanted)["Responses"][table])

    with ThreadPoolExecutor(_THREADS) as threads:
        batches = list(batched(recon_data.ids(range(int(rows))), _KEYS, strict=False))
        links = threads.map(ask, ([(f"PAYPAY#{each}", "LINK") for each in some] for some in batches))
        statuses = threads.map(ask, ([(f"USER#u-{each}", "STATUS#paypay") for each in some] for some in batches))
        return {"items": sum(links) + sum(statuses)}


def _comparison() -> "Comparison":
    from honnin.store import Comparison

    return Comparison(recon_data.FILE_TYPE, recon_data.DAY, recon_data.FILE_NAME, 1)


def download(bucket: str, table: str, url: str, name: str) -> dict[str, int]:
    """Record a file's notification and fetch it as `recon_download` does, into S3."""
    from honnin.recon.bucket import ReconBucket
    from honnin.recon.download import Downloads
    from honnin.recon.fetch_alarm import FetchAlarm
    from honnin.recon.transfer import Source
    from honnin.store import Notification, Store
    from honnin.times import utc_text

    store = Store(table)
    received_at = utc_text(datetime.now(UTC))
    store.notifications.record(Notification(recon_data.FILE_TYPE, recon_data.DAY, name, url, received_at))
    downloads = Downloads(
        store=store,
        bucket=ReconBucket(bucket),
        source=Source(allowed_hosts=(), max_bytes=2 * 1024**3, loopback=True),
        alarm=FetchAlarm(""),
        own_ids=lambda: {"merchant_id": "", "client_id": ""},
        now=lambda: datetime.now(UTC),
    )
    return downloads.run(lambda: int(_LAMBDA_LIMIT_S * 1000))


def _measured(work: Callable[[], dict[str, int]]) -> dict[str, float]:
    start_rss_mib = _peak_rss_mib()
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    return {
        **found,
        "wall_s": time.perf_counter() - begun,
        "cpu_s": time.process_time() - cpu,
        "start_rss_mib": start_rss_mib,
        "peak_rss_mib": _peak_rss_mib(),
    }


def _peak_rss_mib() -> float:
    kib = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if kib is None:
        raise OSError("/proc/self/status has no VmHWM")
    return int(kib[1]) / 1024


def _main(command: str, *arguments: str) -> None:
    if command == "parse":
        print(json.dumps(_measured(partial(parse, Path(arguments[0])))))
        return
    importlib.import_module("awslambdaric.bootstrap")
    importlib.import_module("app")
    works: dict[str, Callable[..., dict[str, int]]] = {
        "plan": plan,
        "compare": compare,
        "bare": bare,
        "download": download,
    }
    print(json.dumps(_measured(partial(works[command], *arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
