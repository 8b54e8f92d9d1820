"""`POST /vexora/submissions`: submit a user to Vexora."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from honnin import secret_store
from honnin.config import settings
from honnin.event import Provider
from honnin.idempotency import Idempotency
from honnin.merchant_api import MerchantApi, answers
from honnin.pace import Pace
from honnin.publish import Publisher
from honnin.status import VexoraStatus
from honnin.store import Store
from honnin.vault import Vault
from honnin.vexora.archive import VexoraArchive
from honnin.vexora.client import VexoraClient
from honnin.vexora.submission import Submissions
from honnin.vexora.submission_api import IdempotencyKey, SubmissionAnswer, SubmissionRequest


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request of the merchant's back end (IAM)."""
    _idempotency().register(context)
    return _api().resolve(event, context)


def submit_to_vexora(body: SubmissionRequest, idempotency_key: IdempotencyKey = None) -> tuple[SubmissionAnswer, int]:
    """Submit a user to Vexora. The answer is 201, or 202 if Vexora did not answer in time."""
    answer = _idempotency().once(idempotency_key, body.model_dump_json(), lambda: _submit(body))
    made = SubmissionAnswer.model_validate(answer)
    return made, 202 if made.status == VexoraStatus.SUBMITTING else 201


def _submit(body: SubmissionRequest) -> dict[str, Any]:
    status = _submissions().submit(body.user_id, body.username_furigana)
    return {"submissionId": status.submission_id, "userId": status.user_id, "status": status.status}


@cache
def _api() -> MerchantApi:
    api = MerchantApi()
    api.resolver.post("/vexora/submissions", responses=answers(201, 202, 409, 502, 503))(submit_to_vexora)
    return api


@cache
def _idempotency() -> Idempotency:
    return Idempotency(settings().idempotency_table, lambda: secret_store.callback_keys()[0])


@cache
def _submissions() -> Submissions:
    store = Store(
        settings().state_table,
        timeline_days=settings().timeline_retention_days,
        verified_needs=settings().verified_needs,
    )
    return Submissions(
        store=store,
        # API Gateway waits 29 s. Vexora is asked about an open earlier submission first, and about the user after a
        # refusal. So three calls must fit into this time.
        client=VexoraClient(
            settings().vexora_base_url,
            secret_store.vexora_credentials,
            total_s=8.5,
            pace=Pace(Provider.VEXORA, store.paces, settings().vexora_max_calls_per_second),
        ),
        publisher=Publisher(settings().event_bus, store),
        webhook_api_url=_api().webhook_api_url,
        callback_key=lambda: secret_store.callback_keys()[0],
        poll_delays_s=settings().vexora_poll_delays,
        unknown_user_codes=settings().vexora_unknown_user_codes,
        archive=VexoraArchive(
            Vault(
                settings().personal_data_bucket,
                retention_days=settings().personal_data_max_age_days,
                may_delete=False,
            )
        ),
        now=lambda: datetime.now(UTC),
    )
