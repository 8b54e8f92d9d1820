"""What a stack costs, computed from `prices.toml`, the template and the quantities below: `make costs`.

Writes docs/costs.md; a test fails if that page does not fit its sources. Quantities of the template are counted in it
(`operations.costs_counted`), and those of a webhook in runs of the event processor (`operations.costs_traffic`). All
other quantities that depend on traffic are assumptions, here and in `operations.costs_nights`; the page shows each of
them beside its line.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace

from operations import costs_traffic
from operations.costs_counted import HOURS, ROOT, Counted, Line, Prices, counted, prices
from operations.costs_nights import INDEXED_BYTES, MILLION, night, nights

PLACE = ROOT / "docs" / "costs.md"

_SECONDS = HOURS * 3600
# Lambda keeps five long polls of 20 s open on each queue, messages or not.
_IDLE_POLLS = 5 * _SECONDS / 20
# What a scheduled run reads of the index `due`: a query for each shard of a kind, half a unit each where it is empty.
_SHARD_READ = 16 * 0.5
# What a user calls: QR, redirect, three status reads.
_CALLS = 5
# A change of status in the index `overview`: the old entry is deleted; a new one and one for the timeline are written.
_INDEX_OF_A_CHANGE = costs_traffic.CHANGE.index_writes


def idle(stack: Counted) -> list[Line]:
    """A month of a stack without traffic."""
    runs = sum(stack.runs.values())
    of_kinds = {"VexoraStatusPollFunction": 2, "ExpiryWatchFunction": 3, "ReconDownloadFunction": 1}
    queries = sum(kinds * stack.runs[function] for function, kinds in of_kinds.items())
    return [
        Line("kms_key", stack.keys, "keys in the template, in their first year"),
        Line("secret", stack.secrets, "secrets in the template"),
        Line("cloudwatch_alarm_metric", stack.alarmed_metrics, "metrics that the alarms look at"),
        Line("cloudwatch_metric", stack.own_metrics, "metrics of our own among them, each from its first count on"),
        Line("sqs_request", stack.polled_queues * _IDLE_POLLS, "Lambda's long polls of the empty queues"),
        Line("kms_request", 2 * stack.polled_queues * _SECONDS / 300, "one data key for each 5 minutes"),
        Line("scheduler_invocation", runs, "runs of the schedules in the template"),
        Line("lambda_request", runs, "the same runs"),
        Line("lambda_arm64_gb_second", runs * 0.5 * 0.5, "the same runs, 0.5 s at 0.5 GB"),
        Line(
            "dynamodb_read",
            queries * _SHARD_READ,
            "16 shards of the index `due` for each kind: poll two kinds, expiries three, download one",
        ),
        Line("secret_request", stack.secrets * _SECONDS / 300, "each secret read every 5 minutes"),
        Line("logs_ingested", runs * 3 / MILLION, "3 kB a run"),
    ]


def webhook(stack: Counted, *, changes: bool = True) -> list[Line]:
    """One PayPay notification on its whole way: acknowledged, read back, applied, published, settled.

    With `changes` the user's status is another one after it, and the answer a new one, which is kept. Otherwise
    everything is as it was.
    """
    again, shared = stack.settle_reads, costs_traffic.settle_batch(stack)
    work = costs_traffic.CHANGE if changes else costs_traffic.NO_CHANGE
    settle, once = costs_traffic.SETTLE, costs_traffic.SETTLE_BATCH
    live_s, batch_s = costs_traffic.seconds(work, stack.processor_gb), costs_traffic.settle_seconds(stack)
    stored = (work.stored_bytes + 100 * work.items) / 1e9
    logged = (costs_traffic.ACK_LOG_BYTES + work.log_bytes + again * once.log_bytes / shared) / 1e9
    lines = [
        Line("api_gateway_rest_request", 1, "the notification"),
        Line("lambda_request", 2, "acknowledged and processed, without batches"),
        Line("lambda_arm64_gb_second", 0.02 * stack.ack_gb, "acknowledgement, 20 ms"),
        Line(
            "lambda_arm64_gb_second",
            live_s * stack.processor_gb,
            f"processing, {live_s * 1000:,.0f} ms: 300 for the provider, 20 for its turn there, 10 for each of "
            f"{work.calls} calls of AWS, the rest CPU",
        ),
        Line("sqs_request", 3, "sent, received, deleted"),
        Line(
            "dynamodb_write",
            work.writes,
            "record, timeline entry, status (and a check of the other status, if this one changes) in one transaction, "
            "2 each; the rate, the webhooks of the day (and the mark of what was published)",
        ),
        Line("dynamodb_write", costs_traffic.READINGS, "the readings of the hour, ten together"),
        Line("dynamodb_write", work.index_writes, "the index `overview`: one entry deleted, two written"),
        Line(
            "dynamodb_read",
            work.reads,
            "event, erased, link, both statuses (and one again before an object is written)",
        ),
        Line("dynamodb_storage", stored, f"{stored * 1e6:,.1f} kB, the first month"),
        Line("dynamodb_backup", stored, f"{stored * 1e6:,.1f} kB, the first month"),
        Line("s3_put", changes, "the answer, in the personal-data bucket"),
        Line("s3_storage", 10e-6 * changes, "10 kB, the first month"),
        Line("eventbridge_event", changes, "KycStatusChanged"),
        Line("logs_ingested", logged, f"{logged * 1e6:,.1f} kB: access log, acknowledgement, what was applied"),
        Line("logs_stored", logged, "the same, the first month"),
        Line(
            "sqs_request",
            work.sqs + again + again * costs_traffic.sqs_calls(shared) / shared,
            "settling (`SettleDelays`): sent together, received one by one, deleted by ten at most",
        ),
        Line(
            "lambda_request",
            again / shared,
            f"settling: {again} more reads at most; {shared:.0f} share a run, of those that come within "
            f"{stack.window_s} s at a million webhooks in 220 working hours",
        ),
        Line(
            "lambda_arm64_gb_second", again / shared * batch_s * stack.processor_gb, f"{batch_s * 1000:,.0f} ms a run"
        ),
        Line(
            "dynamodb_read",
            again * (settle.reads + once.reads / shared),
            "the same: erased, link, status; once a run whether repairs are stopped",
        ),
        Line(
            "dynamodb_write",
            again * costs_traffic.settle_writes(stack) / shared,
            "once a run the readings of the hour, and with every few calls the rate",
        ),
    ]
    return [each for each in lines if each.quantity]


def user(stack: Counted) -> list[Line]:
    """One user who links PayPay and is verified: QR, redirect, one notification, three looks at the status."""
    return [
        *webhook(stack),
        Line("api_gateway_rest_request", _CALLS, "QR, redirect, three status reads"),
        Line("lambda_request", _CALLS, "the same"),
        Line(
            "lambda_arm64_gb_second", 1.2 * stack.merchant_gb, "0.5 s for the QR, 0.4 s for the redirect, 0.1 s a read"
        ),
        Line("dynamodb_write", 16, "session, code, link, status and timeline of the link"),
        Line("dynamodb_write", 2 + _INDEX_OF_A_CHANGE, "the index `overview`: LINK_PENDING, then LINKED"),
        Line("dynamodb_write", 3, "the end of the link, and the index that shows it"),
        Line("dynamodb_read", 9, "sessions and status reads"),
        Line("dynamodb_storage", 3e-6, "3 kB, the first month"),
        Line("dynamodb_backup", 3e-6, "3 kB, the first month"),
        Line("eventbridge_event", 1, "KycStatusChanged to LINKED"),
        Line("logs_ingested", 10e-6, "10 kB"),
        Line("logs_stored", 10e-6, "10 kB, the first month"),
    ]


def overview() -> list[Line]:
    """What one change of status costs in the index `overview`. A reading without a change costs nothing here."""
    return [
        Line("dynamodb_write", _INDEX_OF_A_CHANGE, "one entry deleted, one written, and one for the timeline entry"),
        Line("dynamodb_storage", 1e-6, "less than 1 kB for a status and an entry, the first month"),
    ]


def extras(stack: Counted) -> list[tuple[str, list[Line]]]:
    """What is paid later, or is off by default, with a title for each."""
    return [
        (
            "`MerchantWebhookUrl`, a month without traffic",
            _more(idle(stack), idle(counted(MerchantWebhookUrl="https://"))),
        ),
        (
            "`WithDashboard=true`, a month",
            [Line("cloudwatch_dashboard", 1, "one dashboard; its metrics are there anyway")],
        ),
        (
            "Key rotation, a month: from the third year on (half of it in the second)",
            [
                Line(
                    "kms_key",
                    2 * stack.keys,
                    "the first two yearly rotations of a key each add one; later ones add none",
                )
            ],
        ),
        (
            "`Tracing=Active`: X-Ray, at most, for one million PayPay users",
            [
                Line(
                    "xray_trace",
                    MILLION * (_CALLS + 2),
                    "each call and event, at most: X-Ray traces one a second and 5 % of the rest",
                )
            ],
        ),
        (
            "`WebhookProvisionedConcurrency=1`, a month: one warm instance of each webhook function",
            [Line("lambda_arm64_warm_gb_second", stack.warm_gb * _SECONDS, "memory of the webhook functions")],
        ),
        (
            "`GET /overview/counts`, a thousand calls, with a million statuses",
            [
                Line(
                    "dynamodb_read",
                    1000 * MILLION * INDEXED_BYTES / 8192,
                    "each call reads every entry of the index, 8 kB for one unit (eventually consistent)",
                )
            ],
        ),
        (
            "Fixed egress, a month: two NAT gateways with an address each (docs/deploying.md)",
            [
                Line("nat_gateway_hour", 2 * HOURS, "two availability zones"),
                Line("public_ipv4_hour", 2 * HOURS, "two addresses"),
                Line("nat_gateway_data", 10, "10 GB, about a million calls of 10 kB"),
            ],
        ),
    ]


def _more(usual: Sequence[Line], added: Sequence[Line]) -> list[Line]:
    """What the second costs more than the first, whose lines are the same ones."""
    pairs = zip(usual, added, strict=True)
    return [replace(new, quantity=new.quantity - old.quantity) for old, new in pairs if new.quantity != old.quantity]


def page() -> str:
    """docs/costs.md."""
    list_, stack = prices(), counted()
    parts = [
        "# What it costs",
        "",
        "<!-- Written by `make costs`, from operations/prices.toml and operations/costs*.py: change those. -->",
        "",
        f"US dollars without tax, region {list_.region} ({list_.region_name}). "
        f"**List prices as known in {list_.known}: check them**, correct `operations/prices.toml`, run `make costs`. "
        "The figures include no free tier and no discount. They use the first price tier, and arm64.",
        "",
        *_summary(list_, stack),
        "",
        "Not included: the fees of PayPay and Vexora, support plans, outgoing data transfer, and mails of the alarms. "
        "Storage is paid every month, for as long as the retention parameters say.",
        "",
        *_about_nights(list_, stack),
    ]
    scaled = [
        ("Idle, a month", idle(stack), 1.0),
        ("One million PayPay webhooks", webhook(stack), MILLION),
        ("One million PayPay webhooks that change nothing", webhook(stack, changes=False), MILLION),
        ("One million PayPay users", user(stack), MILLION),
        ("The index `overview` alone, one million changes of status (part of the above)", overview(), MILLION),
    ]
    for title, lines, times in [*scaled, *((title, lines, 1.0) for title, lines in (*nights(stack), *extras(stack)))]:
        parts += ["", f"## {title}", "", *_table(list_, lines, times)]
    return "\n".join([*parts, ""])


def _summary(list_: Prices, stack: Counted) -> list[str]:
    rows = [
        ("A stack without traffic, a month", _total(list_, idle(stack))),
        ("One million PayPay webhooks, on top", MILLION * _total(list_, webhook(stack))),
        (
            "The same, if half of them change nothing (as in `make bench`)",
            MILLION / 2 * (_total(list_, webhook(stack)) + _total(list_, webhook(stack, changes=False))),
        ),
        (
            "One million PayPay users (a link, a webhook, three status reads each), on top",
            MILLION * _total(list_, user(stack)),
        ),
    ]
    rows += [(f"On top. {title}", _total(list_, lines)) for title, lines in (*nights(stack), *extras(stack))]
    return ["| what | USD |", "|---|---:|", *(f"| {title} | {usd:,.2f} |" for title, usd in rows)]


def _about_nights(list_: Prices, stack: Counted) -> list[str]:
    everybody = _total(list_, night(stack, MILLION))
    some = _total(list_, night(stack, MILLION, recheck_all=False))
    hours = MILLION / stack.rereads_per_s / 3600
    return [
        "A recon file lists only the users who had a notification on its day. So the cost of a night depends on the "
        "length of its files, and not on the number of linked users. With `ReconRecheck=all`, a user in a file is read "
        "again if the last reading began before the file's notification came. One million users take "
        f"{hours:,.1f} hours at {stack.rereads_per_s:,.0f} reads a second. `ReconRecheck=missed` reads only the users "
        "whose webhook never came (here: one in a thousand). In such a night it saves "
        f"USD {everybody - some:,.2f} of {everybody:,.2f}, and in thirty nights {30 * (everybody - some):,.0f}. The "
        "risk: if a user changed twice and only the first webhook came, the second change is not found.",
    ]


def _total(list_: Prices, lines: Sequence[Line]) -> float:
    return sum(list_.usd(each) for each in lines)


def _table(list_: Prices, lines: Sequence[Line], times: float) -> list[str]:
    rows = ["| item | quantity | price | USD | why so many |", "|---|---:|---:|---:|---|"]
    for line in lines:
        price = list_.prices[line.price]
        name = line.price.replace("_", " ")
        per = f"{price.usd:.10f}".rstrip("0").rstrip(".") + (f" / {price.per:,.0f}" if price.per != 1 else "")
        quantity = f"{line.quantity * times:,.0f} {price.unit}"
        rows.append(f"| {name} | {quantity} | {per} | {list_.usd(line) * times:,.2f} | {line.why} |")
    return [*rows, f"| **total** | | | **{_total(list_, lines) * times:,.2f}** | |"]


def main() -> int:
    """Write the page."""
    PLACE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
