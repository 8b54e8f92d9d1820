"""`python -m chaos`: see `chaos.cli`. The layer is on no path by itself, so it is put there first."""

import sys
from pathlib import Path


def _main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "honnin"))
    from chaos import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(_main())
