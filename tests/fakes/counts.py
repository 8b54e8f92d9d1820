"""What was counted, as the lines on stdout say: for people (`counted`) and for an alarm (embedded metric format)."""

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any


def counted(printed: str) -> Counter[str]:
    """Each name with how often it was counted. Lines that are no JSON object are other people's."""
    found: Counter[str] = Counter()
    for line in printed.splitlines():
        if line.startswith("{"):
            found += of(json.loads(line))
    return found


def of(line: Mapping[str, Any]) -> Counter[str]:
    """What one line counts."""
    if "counted" in line:
        return Counter({line["counted"]: line["value"]})
    metrics = line.get("_aws", {}).get("CloudWatchMetrics", [{"Metrics": []}])[0]["Metrics"]
    values = {each["Name"]: line[each["Name"]] for each in metrics}
    return Counter({name: int(value[0] if isinstance(value, list) else value) for name, value in values.items()})
