"""A recon file in any state, for tests to which it does not matter how it came there."""

from collections.abc import Mapping
from typing import Any

from honnin.store import ReconFile
from honnin.store.keys import recon_key
from honnin.store.table import Table


def became(table: Table, file: ReconFile, state: str, facts: Mapping[str, Any]) -> None:
    """Give a file that state, and these attributes."""
    named = {"file_type": file.file_type, "day": file.day, "file_name": file.name}
    update = table.update(recon_key(file.file_type, file.day, file.name), {**named, **facts, "state": state}, "")
    table.attempt(update)
