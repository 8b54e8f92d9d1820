"""`python -m operations.openapi`: write docs/openapi.json. The layer is on no path by itself: it is put there first."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _main() -> int:
    sys.path.insert(0, str(ROOT / "layers" / "honnin"))
    from operations.openapi import document

    document.PLACE.write_text(document.text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(_main())
