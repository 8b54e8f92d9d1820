"""The queues of events: read the truth back, apply it once, publish."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import aws, event_queue, secret_store, worker
from honnin.config import settings
from honnin.erasure import ErasureSweep
from honnin.event import Event, Provider
from honnin.mass_change import BatchWatch
from honnin.observability import reporting
from honnin.pace import Pace, Work
from honnin.paypay.archive import KycArchive
from honnin.paypay.client import PayPayClient
from honnin.paypay.expiry import PayPayExpiries
from honnin.paypay.notification import PayPayNotifications
from honnin.paypay.readings import Rules
from honnin.paypay.selfie import Selfies
from honnin.processor import EventProcessor
from honnin.publish import Publisher
from honnin.recon.notification import ReconNotifications
from honnin.repairs_stop import RepairsStop
from honnin.settling import Settling
from honnin.store import Store
from honnin.vault import Vault
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient


@reporting
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
    """Process one SQS batch; the answer names the messages that must come again."""
    queue_url = worker.queue_of(event, tuple(_work()))
    left_ms = context.get_remaining_time_in_millis()
    for provider in (Provider.PAYPAY, Provider.VEXORA):
        _pace(provider).begin(_work()[queue_url], left_ms)
    batch = _processor().batch(may_wait=_work()[queue_url] in (Work.REPAIR, Work.REREAD))
    answer = worker.run(
        event,
        context,
        parse=Event.from_json,
        divide=batch.divide,
        queue=worker.Queue(queue_url, settings().dead_letter_queue_url),
        count_failure=_store().events.count_failure,
    )
    batch.end()
    return answer


@cache
def _store() -> Store:
    return Store(
        settings().state_table,
        timeline_days=settings().timeline_retention_days,
        verified_needs=settings().verified_needs,
        waiting_days=settings().waiting_event_days,
        now=_now,
    )


@cache
def _processor() -> EventProcessor:
    store = _store()
    vault = Vault(settings().personal_data_bucket, retention_days=settings().personal_data_retention_days)
    rules = Rules.from_settings(settings())
    paypay = PayPayNotifications(
        store=store,
        client=PayPayClient.from_settings(
            settings(), secret_store.paypay_credentials, tries=1, total_s=12, pace=_pace(Provider.PAYPAY)
        ),
        archive=KycArchive(vault, Selfies(settings().selfie_allowed_hosts, loopback=settings().loopback_files)),
        rules=rules,
        now=_now,
    )
    return EventProcessor(
        store=store,
        paypay=paypay,
        expiries=PayPayExpiries(paypay, rules, _now),
        recon=ReconNotifications(store, settings().recon_file_types),
        sweep=ErasureSweep(store, vault),
        publisher=Publisher(settings().event_bus, store),
        vexora=VexoraClient(
            settings().vexora_base_url,
            secret_store.vexora_credentials,
            total_s=12,
            pace=_pace(Provider.VEXORA),
        ),
        vexora_archive=VexoraArchive(vault),
        settling=Settling(
            settings().settle_delays,
            partial(event_queue.send_later, settings().reread_queue_url, client=aws.sqs()),
            _now,
        ),
        split=partial(
            event_queue.send_split,
            events_url=settings().event_queue_url,
            recon_notices_url=settings().recon_notice_queue_url,
            client=aws.sqs(),
        ),
        watch=_watch(),
        now=_now,
    )


@cache
def _watch() -> BatchWatch:
    percent = settings().mass_change_percent
    stop = RepairsStop(
        _store(),
        mappings_parameter=settings().repair_mappings_parameter,
        topic_arn=settings().alarm_topic_arn,
        percent=percent,
        runbook=settings().repairs_stopped_runbook,
    )
    return BatchWatch(_store(), percent, stop.carry_out, _now)


@cache
def _pace(provider: Provider) -> Pace:
    shares = {Work.REPAIR: settings().repair_share, Work.REREAD: settings().reread_share}
    is_paypay = provider == Provider.PAYPAY
    most = settings().paypay_max_calls_per_second if is_paypay else settings().vexora_max_calls_per_second
    return Pace(provider, _store().paces, most, shares)


@cache
def _work() -> Mapping[str, Work]:
    """Whom the calls of each queue's batches are for."""
    return {
        settings().event_queue_url: Work.LIVE,
        settings().recon_notice_queue_url: Work.LIVE,
        settings().repair_queue_url: Work.REPAIR,
        settings().reread_queue_url: Work.REREAD,
    }


def _now() -> datetime:
    return datetime.now(UTC)
