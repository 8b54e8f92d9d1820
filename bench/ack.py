"""The ack bench: runs the contestants, and makes figures of what the emulator measured."""

import contextlib
import http.client
import json
import ssl
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import certificates
from bench.artifacts import Artifacts
from bench.contestants import ALL, BARE, CONVENTIONAL, EMPTY, OURS, Contestant
from bench.figures import Figure
from bench.runtime import Measured, Runtime
from local import environment
from local.errors import LocalError
from local.paths import ROOT, TOOLS
from local.ports import LOOPBACK, free_port
from local.processes import LeashedProcess

_BLOCK = 50  # warm invokes of one contestant before the next has its turn
_STAND_IN_TIMEOUT_S = 20.0

# Parameter PayPaySourceCidrs: the default of template.yaml.
_SOURCE_CIDRS = (
    "52.68.128.8/32,52.68.128.84/32,52.192.112.175/32,13.115.29.37/32,13.208.67.224/32,13.208.235.224/32,"
    "13.208.127.89/32,13.112.237.64/32,52.199.148.9/32,52.199.148.95/32,54.199.212.149/32,13.208.106.122/32,"
    "13.208.115.200/32,13.208.152.196/32"
)


@dataclass(frozen=True)
class Summary:
    """One contestant's medians, in milliseconds and MiB; `warm_spread_ms` is the quartile distance of warm invokes."""

    init_ms: float
    first_ms: float
    cold_ms: float
    warm_ms: float
    warm_spread_ms: float
    rss_mib: float


def run(
    artifacts: Artifacts, cold_starts: int, warm_invokes: int, advance: Callable[[str], None]
) -> dict[str, Summary]:
    """Run all contestants; the summaries by name. `advance` is called with what was done, `turns` times.

    LocalError when a contestant fails, or did not send exactly one message per invoke.
    """
    with _sqs(artifacts) as queue:
        settings = _settings(queue)
        cold: dict[str, list[Measured]] = {each.name: [] for each in ALL}
        for turn in range(cold_starts):
            for contestant in ALL:
                cold[contestant.name].append(_cold_start(artifacts, contestant, settings))
                advance(f"cold start {turn + 1}: {contestant.title}")
        warm, rss = _warm(artifacts, settings, warm_invokes, advance)
        expected = sum(each.sends for each in ALL) * (cold_starts + _invokes_when_warm(warm_invokes))
        if (taken := queue.count()) != expected:
            raise LocalError(f"SQS took {taken} messages where {expected} were sent: the run is invalid.")
    return {name: _summary(cold[name], warm[name], rss[name]) for name in cold}


def turns(cold_starts: int, warm_invokes: int) -> int:
    """How often `run` calls `advance`."""
    return len(ALL) * (cold_starts + _blocks(warm_invokes))


def figures(summaries: Mapping[str, Summary]) -> list[Figure]:
    """Ratios to the peers, for the worst of our functions, and each function's own values."""
    conventional, empty = summaries[CONVENTIONAL.name], summaries[EMPTY.name]
    bare_ms = min(summaries[each.name].warm_ms for each in BARE)
    ours = [summaries[each.name] for each in OURS]
    cold_ms, init_ms, warm_ms = (
        max(each.cold_ms for each in ours),
        max(each.init_ms for each in ours),
        max(each.warm_ms for each in ours),
    )
    ratios = [
        Figure("ack.cold_vs_conventional", cold_ms / conventional.cold_ms, "ratio", 0.25),
        Figure("ack.init_vs_empty", init_ms / empty.init_ms, "ratio", 2.5),
        Figure("ack.warm_vs_bare_send", warm_ms / bare_ms, "ratio", 1.2),
        # What the runtime itself costs per invoke is in both; without it the comparison is harder on us.
        Figure("ack.warm_vs_bare_send_net", (warm_ms - empty.warm_ms) / (bare_ms - empty.warm_ms), "ratio"),
        Figure("ack.warm_vs_conventional", warm_ms / conventional.warm_ms, "ratio"),
        Figure("ack.rss_vs_conventional", max(each.rss_mib for each in ours) / conventional.rss_mib, "ratio"),
    ]
    return ratios + [figure for each in ALL for figure in _values(each.name, summaries[each.name])]


def _values(name: str, summary: Summary) -> list[Figure]:
    return [
        Figure(f"ack.{name}.init", summary.init_ms, "ms"),
        Figure(f"ack.{name}.first_invoke", summary.first_ms, "ms"),
        Figure(f"ack.{name}.cold", summary.cold_ms, "ms"),
        Figure(f"ack.{name}.warm", summary.warm_ms, "ms"),
        Figure(f"ack.{name}.peak_rss", summary.rss_mib, "MiB"),
    ]


def _cold_start(artifacts: Artifacts, contestant: Contestant, settings: Mapping[str, str]) -> Measured:
    log = artifacts.directory / f"{contestant.name}-cold.log"
    with Runtime(artifacts, contestant.name, settings, log) as runtime:
        runtime.invoke(contestant.event())
    return runtime.measured()


def _warm(
    artifacts: Artifacts, settings: Mapping[str, str], invokes: int, advance: Callable[[str], None]
) -> tuple[dict[str, Measured], dict[str, float]]:
    """All contestants side by side, each idle while another one has its block; a first invoke precedes the blocks."""
    with contextlib.ExitStack() as started:
        runtimes: list[tuple[Contestant, Runtime]] = []
        for contestant in ALL:
            log = artifacts.directory / f"{contestant.name}-warm.log"
            runtime = started.enter_context(Runtime(artifacts, contestant.name, settings, log))
            runtime.invoke(contestant.event())
            runtimes.append((contestant, runtime))
        for block in range(_blocks(invokes)):
            for contestant, runtime in runtimes:
                for _ in range(_BLOCK):
                    runtime.invoke(contestant.event())
                advance(f"warm invokes, block {block + 1}: {contestant.title}")
        rss = {runtime.name: runtime.peak_rss_mib() for _, runtime in runtimes}
    return {runtime.name: runtime.measured() for _, runtime in runtimes}, rss


def _blocks(invokes: int) -> int:
    return -(-invokes // _BLOCK)


def _invokes_when_warm(invokes: int) -> int:
    return _blocks(invokes) * _BLOCK + 1


def _summary(cold: list[Measured], warm: Measured, rss_mib: float) -> Summary:
    warm_ms = warm.invokes_ms[1:]
    low, median, high = statistics.quantiles(warm_ms, n=4)
    return Summary(
        init_ms=statistics.median(each.init_ms for each in cold),
        first_ms=statistics.median(each.invokes_ms[0] for each in cold),
        cold_ms=statistics.median(each.cold_ms for each in cold),
        warm_ms=median,
        warm_spread_ms=high - low,
        rss_mib=rss_mib,
    )


def _settings(queue: "_Queue") -> dict[str, str]:
    """The function's own variables and credentials; the certificate bundle for OpenSSL and for boto3."""
    return {
        "EVENT_QUEUE_URL": f"{queue.endpoint}/000000000000/honnin-bench-events",
        "RECON_NOTICE_QUEUE_URL": f"{queue.endpoint}/000000000000/honnin-bench-notifications",
        "PAYPAY_SOURCE_CIDRS": _SOURCE_CIDRS,
        "POWERTOOLS_SERVICE_NAME": "honnin",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "AWS_REGION": environment.REGION,
        "AWS_DEFAULT_REGION": environment.REGION,
        "AWS_ENDPOINT_URL": queue.endpoint,
        "AWS_ACCESS_KEY_ID": "ASIABENCHBENCHBENCH0",
        "AWS_SECRET_ACCESS_KEY": "a-key-of-the-usual-length-for-the-bench-",
        # Those of Lambda are about as long.
        "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2Vj" * 50,
        "SSL_CERT_FILE": str(queue.bundle),
        "AWS_CA_BUNDLE": str(queue.bundle),
    }


@dataclass(frozen=True)
class _Queue:
    port: int
    bundle: Path

    @property
    def endpoint(self) -> str:
        return f"https://{LOOPBACK}:{self.port}"

    def count(self) -> int:
        """How many messages were taken."""
        context = ssl.create_default_context(cafile=str(self.bundle))
        connection = http.client.HTTPSConnection(LOOPBACK, self.port, timeout=5, context=context)
        try:
            connection.request("GET", "/count")
            taken: int = json.loads(connection.getresponse().read())["count"]
            return taken
        finally:
            connection.close()


@contextlib.contextmanager
def _sqs(artifacts: Artifacts) -> Iterator[_Queue]:
    """The stand-in for SQS, running; LocalError when it does not start."""
    directory = artifacts.directory
    files = certificates.make(directory, artifacts.public_authorities)
    for pinned in artifacts.layer.glob("honnin/*.pem"):
        # Authorities that the layer brings itself, as they are, and ours (this is a copy of the layer).
        pinned.write_bytes(pinned.read_bytes() + b"\n" + files.authority.read_bytes())
    queue = _Queue(free_port(), files.bundle)
    process = LeashedProcess(
        TOOLS / "bin" / "python",
        ["bench.sqs_stand_in", str(queue.port), str(files.chain)],
        env=environment.bare(directory, venv=TOOLS) | {"PYTHONPATH": str(ROOT)},
        log=directory / "sqs.log",
        cwd=ROOT,
    )
    with process:
        deadline = time.monotonic() + _STAND_IN_TIMEOUT_S
        while True:
            try:
                queue.count()
                break
            except OSError:
                if process.exit_code is not None or time.monotonic() > deadline:
                    raise LocalError(f"The stand-in for SQS did not start: read {process.log}.") from None
                time.sleep(0.05)
        yield queue
