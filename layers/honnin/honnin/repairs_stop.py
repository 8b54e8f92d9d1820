"""Carries out a stop of repairs and rereads: disables their event source mappings and sends a mail about it."""

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from honnin import aws, people
from honnin.observability import count_for_alarm, logger
from honnin.store import Stop, Store
from honnin.times import JST

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient

_MAIL = """\
短時間に多数の利用者が本人確認済みでなくなったため、修復と再照会を停止しました。

{when} までの 1 時間に、{readings} 件の照会のうち {lost} 件で、利用者が VERIFIED または APPROVED でなくなりました
（上限 MassChangePercent: {percent} %）。

{lines}

停止したもの: キュー「repairs」と「rereads」。再開するまで反映されません。Webhook と API による照会は続いています。
処理待ちのイベントは、再開するまでキューに残ります（最長 14 日）。

確認してください:
  1. プロバイダーのシークレットの paypay_api_key、paypay_api_secret、vexora_merchant_no、vexora_app_secret
  2. X-ASSUME-MERCHANT（パラメーター PayPayAssumeMerchant）
  3. PayPayBaseUrl と VexoraBaseUrl
  4. 該当する利用者のうち数人の、プロバイダーの管理画面での状態

  honninctl repairs status
  honninctl repairs resume

誤りを修正した後、または変更が正しいことを確認した後に、resume で再開します。
誤って変わった利用者の戻し方は、次を参照してください。
{runbook}

------------------------------------------------------------------------------
Many users lost their verification within a short time. Repairs and rereads are stopped.

In the hour before {when}, {lost} of {readings} readings said that a user is no longer VERIFIED or APPROVED
(limit MassChangePercent: {percent} %).

{lines}

Stopped are the queues of repairs and of rereads: nothing more of them is applied. Readings by webhooks and by your API
calls go on. Nothing that waits is lost: it stays in its queue until you resume, for up to 14 days.

Check:
  1. paypay_api_key, paypay_api_secret, vexora_merchant_no and vexora_app_secret in the provider secret
  2. X-ASSUME-MERCHANT (the parameter PayPayAssumeMerchant)
  3. PayPayBaseUrl and VexoraBaseUrl
  4. how some of these users stand in the provider's own console

  honninctl repairs status
  honninctl repairs resume

Resume when the mistake is corrected, or if the changes are right. How to correct users who were changed wrongly:
{runbook}
"""


class RepairsStop:
    """Carries out a stop. It raises no error: a failure is logged, and the next batch tries again.

    Parameters
    ----------
    mappings_parameter
        The SSM parameter with the ids of the event source mappings. They cannot be environment variables: each mapping
        refers to the function, so the function cannot refer to the mappings.
    percent, runbook
        Values that the mail shows.
    """

    def __init__(
        self,
        store: Store,
        *,
        mappings_parameter: str,
        topic_arn: str,
        percent: Decimal,
        runbook: str,
        lambdas: "LambdaClient | None" = None,
        ssm: Any = None,
        sns: "SNSClient | None" = None,
    ) -> None:
        self._store = store
        self._mappings_parameter = mappings_parameter
        self._topic_arn = topic_arn
        self._percent = percent
        self._runbook = runbook
        self._given = lambdas, ssm, sns

    def carry_out(self, stop: Stop) -> None:
        """Disable both mappings (again, if somebody has enabled one since), and send one mail for each stop."""
        for step in (self._disable, self._send_mail):
            try:
                step(stop)
            except (BotoCoreError, ClientError) as error:
                logger().error(
                    "a step of stopping repairs and rereads failed; it is tried again",
                    step=step.__name__,
                    error=_code(error),
                )
                if aws.is_denied(error):
                    count_for_alarm("ConfigurationFault")

    def _disable(self, _: Stop) -> None:
        lambdas, ssm = self._given[0] or aws.lambdas(), self._given[1] or aws.ssm()
        mappings = ssm.get_parameter(Name=self._mappings_parameter)["Parameter"]["Value"].split(",")
        for mapping in mappings:
            set_enabled(lambdas, mapping, enabled=False)
        if self._store.mass_change.read().stop is None:
            # A person has resumed in the meantime.
            for mapping in mappings:
                set_enabled(lambdas, mapping, enabled=True)

    def _send_mail(self, stop: Stop) -> None:
        if not self._store.mass_change.claim_mail(stop):
            return
        logger().error("repairs and rereads stopped", readings=stop.readings, lost=sum(stop.losses.values()))
        count_for_alarm("RepairsStopped")
        try:
            people.send(
                self._given[2] or aws.sns(),
                self._topic_arn,
                "Honnin: repairs are stopped, many users lost their verification",
                mail(stop, self._percent, self._runbook),
            )
        except (BotoCoreError, ClientError):
            self._store.mass_change.release_mail(stop)
            raise


def set_enabled(client: "LambdaClient", mapping: str, *, enabled: bool) -> bool:
    """Enable or disable an event source mapping; False if another change of it is still running.

    Raises botocore's errors.
    """
    try:
        client.update_event_source_mapping(UUID=mapping, Enabled=enabled)
    except ClientError as error:
        # ResourceInUseException: another change (enable or disable) is still running.
        if _code(error) not in ("ResourceInUseException", "ResourceConflictException"):
            raise
        return False
    return True


def mail(stop: Stop, percent: Decimal, runbook: str) -> str:
    """The text of the mail: Japanese first, English below."""
    return _MAIL.format(
        when=f"{datetime.fromisoformat(stop.at).astimezone(JST):%Y-%m-%d %H:%M} JST",
        readings=stop.readings,
        lost=sum(stop.losses.values()),
        percent=percent,
        lines="\n".join(lines(stop)),
        runbook=runbook,
    )


def lines(stop: Stop) -> list[str]:
    """One line for each way in which users lost VERIFIED or APPROVED, the most frequent way first."""
    common = sorted(stop.losses.items(), key=lambda each: -each[1])
    return [f"  {n} × {loss.provider}: {loss.from_status} -> {loss.to_status} ({loss.cause})" for loss, n in common]


def _code(error: Exception) -> str:
    return str(error.response["Error"].get("Code", "")) if isinstance(error, ClientError) else type(error).__name__
