"""What `sam build` made of the layer: it is what was deployed."""

from pathlib import Path

import pytest

from local.bytecode import is_compiled
from local.stack import Stack

pytestmark = pytest.mark.e2e

_LAYER = Path(__file__).parents[2] / ".aws-sam" / "build" / "HonninLayer" / "python"


def test_it_ships_unchecked_bytecode_of_the_runtime_for_every_source(stack: Stack) -> None:
    sources = sorted(_LAYER.rglob("*.py"))
    assert len(sources) > 100
    assert [str(path.relative_to(_LAYER)) for path in sources if not is_compiled(path)] == []


def test_it_leaves_boto3_to_the_runtime(stack: Stack) -> None:
    assert (_LAYER / "honnin" / "store" / "__init__.py").is_file()
    for name in ("boto3", "botocore", "s3transfer"):
        assert not list(_LAYER.glob(f"{name}*")), name
