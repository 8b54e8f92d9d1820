"""Python programs whose imports are made already: each is forked from a process that has made them once.

A start of Python with the AWS SDK and the layer's packages takes a second of a core, and a run of the local stack's
tests starts hundreds. What is forked is a process of its own, with its own arguments, environment, streams and exit
code; only its imports are not its own. Linux alone can do that: elsewhere whoever uses this (`emulator_forks.py`,
`tests/e2e/program.py`) starts programs as always.

Only the standard library is imported: this file also runs in the emulator's environment, by its path.

    python forking.py CHANNEL WHAT      (so `Forker` starts it)
"""

import ctypes
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER = 36
_LARGEST_JOB = 200_000
# Clients that functions and honninctl make: the models of these services are read once.
_SERVICES = ("cloudformation", "dynamodb", "events", "lambda", "s3", "secretsmanager", "sns", "sqs", "stepfunctions")


class Forker:
    """A process of the interpreter `python` that has imported these packages with all their modules, and forks.

    `path` is where it looks for them first. Those of `forgotten` are imported anew by each program: what they import
    is not. It ends when this process does.
    """

    def __init__(
        self,
        python: Path,
        packages: Sequence[str],
        *,
        path: Sequence[str] = (),
        forgotten: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        _adopt_orphans()
        self._lock = threading.Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        what = {"packages": packages, "path": path, "forgotten": forgotten}
        with theirs:
            self._process = subprocess.Popen(
                [str(python), __file__, str(theirs.fileno()), json.dumps(what)],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=env,
            )

    def fork(self, arguments: Sequence[str], cwd: str, env: Mapping[str, str], streams: Sequence[int]) -> int:
        """Run the script `arguments[0]`; returns its process id. It is a child of this process."""
        job = json.dumps({"arguments": list(arguments), "cwd": cwd, "env": dict(env)}).encode()
        with self._lock:
            socket.send_fds(self._channel, [job], streams)
            return int(self._channel.recv(100))

    def close(self) -> None:
        """End it. What was forked goes on."""
        self._channel.close()
        self._process.wait()


class Forked(subprocess.Popen[str]):
    """`Popen([script, …])` by a forker. All three streams must be given, and `cwd` and `env`."""

    def __init__(self, forker: Forker, arguments: Sequence[str], **more: Any) -> None:
        self._forker = forker
        super().__init__(arguments, **more)

    def _execute_child(self, args: Any, *more: Any) -> None:
        _, _, _, _, cwd, env, _, _, _, *pipes = more[:15]
        stdin, _, _, stdout, _, stderr = pipes
        try:
            self.pid = self._forker.fork(args, str(cwd), env, [stdin, stdout, stderr])
            self._child_created = True
        finally:
            self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _adopt_orphans() -> None:
    """Whoever loses its parent below this process becomes its child: it can wait for it."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot adopt orphans")


# --- the process that forks ---


def main(channel: socket.socket, packages: Sequence[str], path: Sequence[str], forgotten: Sequence[str]) -> None:
    """Import, then fork for each job on the channel until it ends."""
    del sys.path[0]  # the directory of this file: its neighbours must not shadow any module
    own_path = list(sys.path)
    sys.path[:0] = path
    for each in packages:
        _import(each)
    for name in [each for each in sys.modules if each.partition(".")[0] in forgotten]:
        del sys.modules[name]
    _remember_models()
    sys.path[:] = own_path
    gc.freeze()
    while True:
        text, streams, _, _ = socket.recv_fds(channel, _LARGEST_JOB, 3)
        if not text:
            return
        channel.send(str(_forked(json.loads(text), streams)).encode())
        for stream in streams:
            os.close(stream)


def _import(package: str) -> None:
    for each in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not each.name.endswith(".__main__"):
            importlib.import_module(each.name)


def _remember_models() -> None:
    """Each session would read the models of the services anew: megabytes of JSON."""
    import botocore.session

    botocore.session.create_loader = functools.cache(botocore.session.create_loader)
    session = botocore.session.Session()
    for each in _SERVICES:
        session.create_client(each, "ap-northeast-1", aws_access_key_id="none", aws_secret_access_key="none")


def _forked(job: Mapping[str, Any], streams: Sequence[int]) -> int:
    """Fork twice: who is in between ends, so that the grandchild is adopted by the process that asked for it."""
    reading, writing = os.pipe()
    if (between := os.fork()) == 0:
        child = os.fork()
        if child == 0:
            os.close(reading)
            os.close(writing)
            _become(job, streams)
        os.write(writing, str(child).encode())
        os._exit(0)
    os.close(writing)
    child = int(os.read(reading, 100))
    os.close(reading)
    os.waitpid(between, 0)
    return child


def _become(job: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Run the script as Python would. Never returns."""
    for number, each in enumerate(streams):
        os.dup2(each, number)
    os.closerange(3, max([*streams, int(sys.argv[1])]) + 1)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv = list(job["arguments"])
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115 -- until the end
    sys.stderr = open(2, "w", buffering=1)  # noqa: SIM115
    code: object = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        code = ended.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])), **json.loads(sys.argv[2]))
