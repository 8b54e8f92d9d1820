"""One run of the recon code in a process of its own, for its time and memory: `python -m bench.recon_worker …`.

    parse FILE
    compare RECON_BUCKET TABLE QUEUE_URL
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
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import recon_data
from honnin.recon.rows import Rows

_READ_BYTES = 256 * 1024  # as honnin.recon.bucket reads from S3
_LAMBDA_LIMIT_S = 900.0


def parse(path: Path) -> dict[str, int]:
    """Read and check the rows of a file, and keep none."""
    with path.open("rb") as file:
        rows = Rows(iter(partial(file.read, _READ_BYTES), b""))
        for _ in rows:
            pass
    return {"rows": rows.good, "bad": rows.bad}


def compare(bucket: str, table: str, queue_url: str) -> dict[str, int]:
    """Plan the bench's file and compare its ranges, one after the other, as the functions of the state machine do."""
    from honnin.recon import plan
    from honnin.recon.bucket import ReconBucket
    from honnin.recon.compare import RangeComparison
    from honnin.recon.repair import Repairs
    from honnin.store import Comparison, Store

    comparison = Comparison(recon_data.FILE_TYPE, recon_data.DAY, recon_data.FILE_NAME, 1)
    objects = ReconBucket(bucket)
    etag = str(plan.write(objects, comparison)["etag"])
    ranges = RangeComparison(
        store=Store(table),
        bucket=objects,
        repairs=Repairs(repair_queue_url=queue_url, reread_queue_url=queue_url),
        now=lambda: datetime.now(UTC),
    )
    found = plan.planned(objects, comparison)
    for each in found:
        ranges.run(comparison, each, etag)
    return {"ranges": len(found)}


def download(bucket: str, table: str, url: str, name: str) -> dict[str, int]:
    """Announce a file and fetch it as `recon_download` does, into S3."""
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
    works: dict[str, Callable[..., dict[str, int]]] = {"compare": compare, "download": download}
    print(json.dumps(_measured(partial(works[command], *arguments))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
