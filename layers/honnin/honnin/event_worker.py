"""Builds the processor from a deployment's settings, and does what is needed before and after each batch."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import aws, event_queue, secret_store, worker
from honnin.config import Settings
from honnin.erasure import ErasureSweep
from honnin.event import Event, Provider
from honnin.mass_change import BatchWatch
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

# When an event of each queue is overdue, in seconds; as the alarms over the queues' ages have it (template.yaml).
LIVE_OVERDUE_S = 3600
NOTICE_OVERDUE_S = 900  # a recon file can be fetched for two hours only
LATER_OVERDUE_S = 12 * 3600

# Time-out of one call to a provider, in seconds. If a call fails, the queue repeats it.
_CALL_S = 12


class EventWorker:
    """Processes the batches of all four event queues. `now` gives aware UTC moments."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        # The kind of work for which each queue's batches call the providers, and when its events are overdue.
        self._work: Mapping[str, tuple[Work, int]] = {
            settings.event_queue_url: (Work.LIVE, LIVE_OVERDUE_S),
            settings.recon_notice_queue_url: (Work.LIVE, NOTICE_OVERDUE_S),
            settings.repair_queue_url: (Work.REPAIR, LATER_OVERDUE_S),
            settings.reread_queue_url: (Work.REREAD, LATER_OVERDUE_S),
        }
        self._store = Store(
            settings.state_table,
            timeline_days=settings.timeline_retention_days,
            verified_needs=settings.verified_needs,
            waiting_days=settings.waiting_event_days,
            now=now,
        )
        shares = {Work.REPAIR: settings.repair_share, Work.REREAD: settings.reread_share}
        self._paces = {
            Provider.PAYPAY: Pace(Provider.PAYPAY, self._store.paces, settings.paypay_max_calls_per_second, shares),
            Provider.VEXORA: Pace(Provider.VEXORA, self._store.paces, settings.vexora_max_calls_per_second, shares),
        }
        self._processor = self._made(settings, now)

    def run(self, batch: dict[str, Any], context: LambdaContext) -> PartialItemFailureResponse:
        """Process one SQS batch; the answer names the messages that must be delivered again.

        Raises
        ------
        MalformedEventError
            The batch came from none of the queues.
        """
        queue_url = worker.queue_of(batch, tuple(self._work))
        (work, overdue_s), left_ms = self._work[queue_url], context.get_remaining_time_in_millis()
        for pace in self._paces.values():
            pace.begin(work, left_ms)
        begun = self._processor.batch(may_wait=work in (Work.REPAIR, Work.REREAD))
        answer = worker.run(
            batch,
            context,
            parse=Event.from_json,
            divide=begun.divide,
            queue=worker.Queue(queue_url, self._settings.dead_letter_queue_url, overdue_s=overdue_s),
            count_failure=self._store.events.count_failure,
        )
        begun.end()
        return answer

    def _made(self, settings: Settings, now: Callable[[], datetime]) -> EventProcessor:
        store = self._store
        vault = Vault(settings.personal_data_bucket, retention_days=settings.personal_data_max_age_days)
        rules = Rules.from_settings(settings)
        paypay = PayPayNotifications(
            store=store,
            client=PayPayClient.from_settings(
                settings, secret_store.paypay_credentials, tries=1, total_s=_CALL_S, pace=self._paces[Provider.PAYPAY]
            ),
            archive=KycArchive(vault, Selfies(settings.selfie_allowed_hosts, loopback=settings.loopback_files)),
            rules=rules,
            now=now,
        )
        return EventProcessor(
            store=store,
            paypay=paypay,
            expiries=PayPayExpiries(paypay, rules, now),
            recon=ReconNotifications(store, settings.recon_file_types),
            sweep=ErasureSweep(store, vault),
            publisher=Publisher(settings.event_bus, store),
            vexora=VexoraClient(
                settings.vexora_base_url,
                secret_store.vexora_credentials,
                total_s=_CALL_S,
                pace=self._paces[Provider.VEXORA],
            ),
            vexora_archive=VexoraArchive(vault),
            settling=Settling(
                settings.settle_delays,
                partial(event_queue.send_later, settings.reread_queue_url, client=aws.sqs()),
                now,
            ),
            split=partial(
                event_queue.send_split,
                events_url=settings.event_queue_url,
                recon_notifications_url=settings.recon_notice_queue_url,
                client=aws.sqs(),
            ),
            watch=_watch(settings, store, now),
            now=now,
        )


def _watch(settings: Settings, store: Store, now: Callable[[], datetime]) -> BatchWatch:
    stop = RepairsStop(
        store,
        mappings_parameter=settings.repair_mappings_parameter,
        topic_arn=settings.alarm_topic_arn,
        percent=settings.mass_change_percent,
        runbook=settings.repairs_stopped_runbook,
    )
    return BatchWatch(store, settings.mass_change_percent, stop.carry_out, now)
