"""Lets ministack fork its execution environments (`forking.py`). Runs in the emulator, before it (`leash.py --first`).

An environment is a process of its own that imports Honnin's modules and the function's itself, as before. Not its own
are the imports of the AWS SDK and of the layer's packages, which took most of a cold start.

Elsewhere than on Linux it does nothing, and ministack starts each environment as always.

It ends the emulator with a sentence when ministack is no longer made as it expects.
"""

import functools
import importlib.util
import os
import subprocess
import sys
import threading
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_OWN = ("honnin",)
_one_at_a_time = threading.Lock()


def main() -> None:
    """Change ministack's module before it begins to work."""
    if sys.platform != "linux":
        return
    # Not at the top: the tools that check this file have no ministack.
    from ministack.core import lambda_runtime  # type: ignore[import-not-found]

    if getattr(lambda_runtime, "subprocess", None) is not subprocess:
        sys.exit("Error: this version of ministack is different: adapt local/emulator_forks.py.")
    spec = importlib.util.spec_from_file_location("forking", Path(__file__).with_name("forking.py"))
    assert spec is not None
    assert spec.loader is not None
    forking = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(forking)

    @functools.cache
    def forker(*layers: str) -> Any:
        path = [str(Path(each, "python")) for each in layers]
        return forking.Forker(Path(sys.executable), _OWN, path=path, forgotten=_OWN)

    def started(command: Sequence[str], **more: Any) -> Any:
        layers = more.get("env", {}).get("_LAMBDA_LAYERS_DIRS", "")
        if command[0] != sys.executable or not layers:
            return subprocess.Popen(command, **more)
        with _one_at_a_time:
            made = forker(*map(os.path.realpath, layers.split(os.pathsep)))
        return forking.Forked(made, command[1:], **more)

    lambda_runtime.subprocess = types.SimpleNamespace(**{**vars(subprocess), "Popen": started})


if __name__ == "__main__":
    main()
