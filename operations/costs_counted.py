"""The price list, and the quantities that can be counted in the template (alarms, keys, secrets, memory sizes)."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent

EVENTS_PER_S = 20
"""Events that one environment processes in a second (`make bench`, process.events_per_s: at least)."""


@dataclass(frozen=True)
class Price:
    """`usd` for `per` units."""

    usd: float
    per: float
    unit: str


@dataclass(frozen=True)
class Line:
    """So many units at one price, and where the number comes from."""

    price: str
    quantity: float
    why: str


@dataclass(frozen=True)
class Prices:
    """The price list of one region."""

    region: str
    region_name: str
    known: str
    prices: dict[str, Price]

    def usd(self, line: Line) -> float:
        """What a line costs."""
        price = self.prices[line.price]
        return line.quantity * price.usd / price.per


@dataclass(frozen=True)
class Counted:
    """Quantities in the template that are paid for."""

    keys: int
    secrets: int
    alarmed_metrics: int
    own_metrics: int
    filtered_metrics: int
    polled_queues: int
    warm_gb: float
    processor_gb: float
    ack_gb: float
    merchant_gb: float
    settle_reads: int
    batch_size: int
    # The state machines by their logical ids.
    machines: Mapping[str, Mapping[str, Any]]
    range_gb: float
    rereads_per_s: float

    @property
    def has_rereads(self) -> bool:
        """Whether there is a machine that reads many users again."""
        return "RereadUsers" in self.machines


def prices() -> Prices:
    """The price list."""
    raw = tomllib.loads((ROOT / "operations" / "prices.toml").read_text(encoding="utf-8"))
    return Prices(
        raw["region"],
        raw["region_name"],
        raw["known"],
        {name: Price(float(each["usd"]), float(each["per"]), each["unit"]) for name, each in raw["prices"].items()},
    )


def counted() -> Counted:
    """Counts over template.yaml and operations/dashboard.json."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    resources: list[dict[str, Any]] = list(template["Resources"].values())
    functions = {
        name: each["Properties"]
        for name, each in template["Resources"].items()
        if each["Type"] == "AWS::Serverless::Function"
    }
    common_mb: int = template["Globals"]["Function"]["MemorySize"]

    def gb(name: str) -> float:
        return float(functions[name].get("MemorySize", common_mb)) / 1024

    return Counted(
        keys=_of_type(resources, "AWS::KMS::Key"),
        secrets=_of_type(resources, "AWS::SecretsManager::Secret"),
        alarmed_metrics=sum(_metrics(each) for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"),
        own_metrics=_own_metrics(),
        filtered_metrics=len(
            {
                transformation["MetricName"]
                for each in resources
                if each["Type"] == "AWS::Logs::MetricFilter"
                for transformation in each["Properties"]["MetricTransformations"]
            }
        ),
        polled_queues=_of_type(resources, "AWS::Lambda::EventSourceMapping"),
        warm_gb=sum(gb(name) for name, each in functions.items() if "ProvisionedConcurrencyConfig" in each),
        processor_gb=gb("EventProcessorFunction"),
        ack_gb=gb("PayPayKycWebhookFunction"),
        merchant_gb=gb("PayPayKycFunction"),
        settle_reads=len(template["Parameters"]["SettleDelays"]["Default"].split(",")),
        batch_size=int(template["Resources"]["RereadSource"]["Properties"]["BatchSize"]),
        machines={
            name: each["Properties"]["Definition"]
            for name, each in template["Resources"].items()
            if each["Type"] == "AWS::Serverless::StateMachine"
        },
        range_gb=gb("ReconCompareFunction"),
        rereads_per_s=rereads_per_s(template["Parameters"]),
    )


def rereads_per_s(parameters: Mapping[str, Any]) -> float:
    """Rereads in a second, as their share of the rate and their concurrency allow."""
    by_concurrency = float(parameters["ProcessorConcurrency"]["Default"]) * EVENTS_PER_S
    if "PayPayMaxCallsPerSecond" not in parameters:
        return by_concurrency
    share = float(parameters["RereadShare"]["Default"]) / 100
    return min(by_concurrency, float(parameters["PayPayMaxCallsPerSecond"]["Default"]) * share)


def _of_type(resources: Iterable[dict[str, Any]], kind: str) -> int:
    return sum(each["Type"] == kind for each in resources)


def _metrics(alarm: dict[str, Any]) -> int:
    """How many metrics an alarm is charged for."""
    return sum("MetricStat" in each for each in alarm["Properties"].get("Metrics", [])) or 1


def _own_metrics() -> int:
    """Our own metrics on the dashboard: about as many as a working stack emits."""
    dashboard = json.loads((ROOT / "operations" / "dashboard.json").read_text(encoding="utf-8"))
    metrics = [each for widget in dashboard["widgets"] for each in widget["properties"]["metrics"]]
    return sum(each[0] == "Honnin" for each in metrics)
