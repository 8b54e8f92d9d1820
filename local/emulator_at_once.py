"""Takes work and pauses out of ministack that serve nothing. Runs inside the emulator, before it (`leash.py --first`).

- Its Scheduler looks for what is due four times a second, not every ten seconds: `Stack.fire` makes a schedule that is
  due at once, so that nobody waits for one of a minute. The schedules of the template run as often as before.
- A long poll of an empty queue answers at once. On AWS it waits, because the messages of a queue are on many servers
  (`honninctl deadletters` polls so); here whatever is there is found by the first look.
- A layer is unpacked once and shared, as `/opt` is. ministack unpacks it for every execution environment: ours has more
  than a thousand files, which took most of a cold start, and many seconds to remove at the end.
- What a function wrote to its log is waited for without looking a thousand times a second, as ministack does for up to
  a twentieth of a second after each invocation.

It ends the emulator with a sentence when ministack is no longer made as it expects.
"""

import contextlib
import functools
import hashlib
import queue
import sys
import tempfile
import time
import types
import zipfile
from pathlib import Path
from typing import Any

_SWEEP_S = 0.25
# ministack's own times: how long it waits for a first line, after a line for another one, and altogether.
_FIRST_LINE_S = 0.05
_NEXT_LINE_S = 0.005
_ALL_LINES_S = 0.25


def main() -> None:
    """Change ministack's modules before they begin to work."""
    # Not at the top: the tools that check this file have no ministack.
    from ministack.core import lambda_runtime  # type: ignore[import-not-found]
    from ministack.services import scheduler, sqs  # type: ignore[import-not-found]

    expected = (
        hasattr(scheduler, "_SCHEDULE_TICK_INTERVAL"),
        "ReceiveMessage" in getattr(sqs, "_HANDLERS", ()),
        getattr(lambda_runtime, "zipfile", None) is zipfile,
        hasattr(getattr(lambda_runtime, "Worker", None), "_drain_stderr_bounded"),
    )
    if not all(expected):
        sys.exit(f"Error: this version of ministack is different ({expected}): adapt local/emulator_at_once.py.")
    scheduler._SCHEDULE_TICK_INTERVAL = _SWEEP_S  # its thread reads it before each pause
    sqs._HANDLERS["ReceiveMessage"] = _without_waiting(sqs._HANDLERS["ReceiveMessage"])
    lambda_runtime.zipfile = types.SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce})
    lambda_runtime.Worker._drain_stderr_bounded = _lines


def _without_waiting(receive: Any) -> Any:
    async def receiving(data: dict[str, Any], queue_url: str) -> Any:
        return await receive({**data, "WaitTimeSeconds": 0}, queue_url)

    return receiving


def _lines(worker: Any, first_line_wait: float = _FIRST_LINE_S) -> str:
    """What the function has written, once no more comes."""
    found: list[str] = []
    end = time.monotonic() + _ALL_LINES_S
    with contextlib.suppress(queue.Empty):
        while (left := end - time.monotonic()) > 0:
            found.append(worker._stderr_queue.get(timeout=min(left, _NEXT_LINE_S if found else first_line_wait)))
    return "\n".join(found)


class UnpackedOnce(zipfile.ZipFile):
    """A zip file that is unpacked once, into the temporary directory; who unpacks it again gets a link to that.

    Only a layer, which ministack calls `layer_<n>.zip`: a function's own code has a few files.
    """

    def namelist(self) -> list[str]:
        """The members. None that ministack would have to look at, once they are unpacked."""
        return [] if self._is_layer and self._unpacked.exists() else super().namelist()

    def extractall(self, path: Any = None, *others: Any, **named: Any) -> None:
        """Unpack into the directory `path`; a layer's, which is empty, becomes a link."""
        if not self._is_layer:
            super().extractall(path, *others, **named)
            return
        if not self._unpacked.exists():
            own = Path(tempfile.mkdtemp(prefix="unpacking-"))
            super().extractall(own, *others, **named)
            with contextlib.suppress(OSError):  # another thread was quicker
                own.rename(self._unpacked)
        Path(path).rmdir()
        Path(path).symlink_to(self._unpacked)

    @property
    def _is_layer(self) -> bool:
        return Path(str(self.filename)).name.startswith("layer_")

    @functools.cached_property
    def _unpacked(self) -> Path:
        digest = hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()
        return Path(tempfile.gettempdir()) / f"layer-{digest[:32]}"


if __name__ == "__main__":
    main()
