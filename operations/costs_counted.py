"""The price list, and the quantities that can be counted in the template (alarms, keys, secrets, memory sizes)."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).resolve().parent.parent

HOURS = 730
"""Of a month, as AWS counts."""

EVENTS_PER_S = 20
"""Events that one environment of 512 MB processes in a second, in full batches (`costs_traffic.events_per_s`).

With a whole CPU it is more: `make bench`, process.events_per_s.
"""


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
    polled_queues: int
    warm_gb: float
    processor_gb: float
    ack_gb: float
    merchant_gb: float
    settle_reads: int
    batch_size: int
    window_s: int
    calls_per_s: float
    concurrency: float
    # The scheduled runs of a month, by the function's logical id.
    runs: Mapping[str, float]
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


def counted(**parameters: str) -> Counted:
    """Counts over template.yaml, as it is deployed with these parameters and the defaults of all others."""
    template = yaml_parse((ROOT / "template.yaml").read_text(encoding="utf-8"))
    resources = [
        each for each in template["Resources"].values() if is_made(template, each.get("Condition"), parameters)
    ]
    alarms = [each for each in resources if each["Type"] == "AWS::CloudWatch::Alarm"]
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
        alarmed_metrics=sum(len(_metrics(each)) for each in alarms),
        own_metrics=len({name for each in alarms for name in _metrics(each) if "Honnin" in name}),
        polled_queues=_of_type(resources, "AWS::Lambda::EventSourceMapping"),
        warm_gb=sum(gb(name) for name, each in functions.items() if "ProvisionedConcurrencyConfig" in each),
        processor_gb=gb("EventProcessorFunction"),
        ack_gb=gb("PayPayKycWebhookFunction"),
        merchant_gb=gb("PayPayKycFunction"),
        settle_reads=len(template["Parameters"]["SettleDelays"]["Default"].split(",")),
        batch_size=int(_deployed(template["Resources"]["RereadSource"]["Properties"]["BatchSize"])),
        window_s=int(_deployed(template["Resources"]["RereadSource"]["Properties"]["MaximumBatchingWindowInSeconds"])),
        concurrency=float(template["Parameters"]["ProcessorConcurrency"]["Default"]),
        calls_per_s=float(template["Parameters"]["PayPayMaxCallsPerSecond"]["Default"]),
        runs={
            name: sum(runs_a_month(_deployed(schedule)) for schedule in _schedules(each))
            for name, each in functions.items()
            if is_made(template, template["Resources"][name].get("Condition"), parameters) and _schedules(each)
        },
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


def runs_a_month(schedule: str) -> float:
    """How often an EventBridge schedule runs. Raises `ValueError` for one that is neither a rate nor daily."""
    if found := re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", schedule):
        return HOURS / int(found[1]) / {"minute": 1 / 60, "hour": 1, "day": 24}[found[2]]
    if re.fullmatch(r"cron\([0-9]+ [0-9]+ \* \* \? \*\)", schedule):
        return HOURS / 24
    raise ValueError(f"a schedule that cannot be counted: {schedule}")


def _schedules(function: Mapping[str, Any]) -> list[Any]:
    events = function.get("Events", {}).values()
    return [each["Properties"]["ScheduleExpression"] for each in events if each["Type"] == "ScheduleV2"]


def _deployed(value: Any) -> Any:
    """A value of the template as it is outside the local stack."""
    return value["Fn::If"][2] if isinstance(value, dict) else value


def _of_type(resources: Iterable[dict[str, Any]], kind: str) -> int:
    return sum(each["Type"] == kind for each in resources)


def is_made(template: Mapping[str, Any], condition: str | None, parameters: Mapping[str, str] = {}) -> bool:
    """Whether a condition of the template holds (None: there is none) with these parameters, else their defaults."""

    def value(of: Any) -> Any:
        match of:
            case {"Ref": str(name)}:
                return parameters.get(name, template["Parameters"][name]["Default"])
            case {"Condition": str(name)}:
                return value(template["Conditions"][name])
            case {"Fn::Equals": [one, other]}:
                return str(value(one)) == str(value(other))
            case {"Fn::Not": [one]}:
                return not value(one)
            case {"Fn::And": several}:
                return all(map(value, several))
            case {"Fn::Or": several}:
                return any(map(value, several))
            case {"Fn::Join": [between, several]}:
                return between.join(str(value(several)).split(","))
            case {"Fn::Select": [place, several]}:
                return str(value(several)).split(",")[int(place)]
            case str() | int():
                return of
        raise ValueError(f"a condition that cannot be counted: {of}")

    return condition is None or bool(value({"Condition": condition}))


def _metrics(alarm: dict[str, Any]) -> list[str]:
    """The metrics that an alarm is charged for, each as a text with its namespace and dimensions."""
    properties = alarm["Properties"]
    stats = [each["MetricStat"]["Metric"] for each in properties.get("Metrics", []) if "MetricStat" in each]
    named = ("Namespace", "MetricName", "Dimensions")
    return [str({key: each.get(key) for key in named}) for each in (stats or [properties])]
