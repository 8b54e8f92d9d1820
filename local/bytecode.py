"""Compiles the layer that `sam build` made, because SAM leaves it without bytecode.

    python3.13 -m local.bytecode

A cold start with our packages took 1,003 ms without bytecode and 360 ms with it. The files are hash-based and
unchecked: Lambda unpacks the layer with other file times, and a time-stamped .pyc would be thrown away there.
SAM's own copy of the packages in `.aws-sam/deps` is compiled too: the next build copies it, and little is left to do.
"""

import importlib.util
import py_compile
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from local.errors import LocalError
from local.paths import SAM_DIRECTORY

_RUNTIME = (3, 13)
_UNCHECKED = 0b01  # PEP 552: hash-based, and the hash is not compared at import


def compile_layers(sam_directory: Path = SAM_DIRECTORY) -> int:
    """Compile every layer below `sam_directory` that is not compiled yet; returns how many files that were.

    LocalError when this interpreter is not the runtime's version, whose bytecode alone the runtime takes.
    """
    if sys.version_info[:2] != _RUNTIME:
        raise LocalError("The layer must be compiled by Python 3.13, the Lambda runtime's: run `make setup`.")
    stale = [
        (source, layer)
        for layer in (*sam_directory.glob("build/*/python"), *sam_directory.glob("deps/*"))
        for source in _sources(layer)
        if not is_compiled(source)
    ]
    for source, layer in stale:
        _compile(source, layer)
    return len(stale)


def is_compiled(source: Path) -> bool:
    """Whether the .pyc beside `source` is this Python's, unchecked, and made of these very bytes."""
    try:
        header = _target(source).read_bytes()[:16]
    except OSError:
        return False
    expected = importlib.util.MAGIC_NUMBER + struct.pack("<L", _UNCHECKED)
    return header == expected + importlib.util.source_hash(source.read_bytes())


def _sources(layer: Path) -> Iterator[Path]:
    return (path for path in sorted(layer.rglob("*.py")) if path.is_file())


def _target(source: Path) -> Path:
    # Not importlib's cache_from_source: PYTHONPYCACHEPREFIX would send the file out of the layer.
    return source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"


def _compile(source: Path, layer: Path) -> None:
    """Compile one file; tracebacks will name it as it lies in Lambda."""
    try:
        py_compile.compile(
            str(source),
            cfile=str(_target(source)),
            dfile=str(Path("/opt/python") / source.relative_to(layer)),
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError as error:
        # Packages may carry templates that are no Python; whoever imports a broken file gets its error then.
        print(f"not compiled: {source}: {error.exc_value}", file=sys.stderr)


if __name__ == "__main__":
    try:
        compile_layers()
    except LocalError as error:
        sys.exit(str(error))
