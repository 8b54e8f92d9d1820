"""The resend request for a recon file: a mail to a person, with the text to send to PayPay.

PayPay keeps a file for a week and sends its notification again on request (base document, "File retention period").
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from honnin import aws
from honnin.event import Provider
from honnin.recon.file_types import FILE_TYPES
from honnin.recon.own_ids import own_ids
from honnin.store import Store

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

_LETTER = """\
Honnin: a recon file of PayPay is missing
Honnin: PayPayの突合ファイルが取得できていません

  file type / ファイル種別: {file_type}
  day (JST) / 対象日: {days}
  reason / 理由: {reason}

PayPay keeps a file for 7 days. Send the following to your contact at PayPay; when the notification comes again,
everything else happens by itself.
PayPayでのファイル保持期間は7日間です。以下の文面をPayPayの担当窓口へお送りください。再通知を受信すると、以降の処理は自動で行われます。

---------------------------------------------------------------------------
件名: リコンファイル通知の再送のお願い（{file_type}、{days}）

PayPay ご担当者様

いつもお世話になっております。
下記のリコンファイルを取得できておりません。お手数ですが、通知（file.created）の再送をお願いいたします。

・{owner_ja}: {owner_id}
・fileType: {file_type}
・対象日（日本時間）: {days}
・直近の X-REQUEST-ID: {request_id}

よろしくお願いいたします。
---------------------------------------------------------------------------
Subject: Please resend the recon file notification ({file_type}, {days})

Dear PayPay team,

We could not obtain the recon file below. Please send its notification (file.created) again.

- {owner_en}: {owner_id}
- fileType: {file_type}
- day (JST): {days}
- our last X-REQUEST-ID: {request_id}

Thank you very much.
---------------------------------------------------------------------------
"""

_OWNERS = {
    "merchant_id": ("加盟店ID（merchant_id）", "merchant id"),
    "client_id": ("クライアントID（client_id）", "client id"),
}
_TO_FILL_IN = {"merchant_id": "<your merchant id>", "client_id": "<your client id>"}
_NO_REQUEST_ID = "-"


@dataclass(frozen=True)
class Letterhead:
    """What identifies us to PayPay: ids that may be empty, and the X-REQUEST-ID of our last call, if there was one."""

    merchant_id: str
    client_id: str
    request_id: str | None


class ResendAlarm:
    """Sends resend requests to the alarm topic, one for each file type.

    `letterhead` is read when a request is written, not before: most runs write none.
    """

    def __init__(self, topic_arn: str, letterhead: Callable[[], Letterhead], client: "SNSClient | None" = None) -> None:
        self._topic_arn = topic_arn
        self._letterhead = letterhead
        self._given = client

    def send(self, file_type: str, days: Sequence[str], reason: str) -> None:
        """Publish one request about the files of these JST days (`yyyy-mm-dd`). Errors of SNS are botocore's."""
        client = self._given or aws.sns()
        client.publish(
            TopicArn=self._topic_arn,
            # SNS takes ASCII only here, at most 100 characters.
            Subject=f"Honnin: recon file missing: {file_type}"[:100],
            Message=letter(file_type, days, reason, self._letterhead()),
        )


def letterhead(store: Store) -> Letterhead:
    """What identifies this deployment. A secret that cannot be read leaves a blank: the alarm must go out."""
    ours = own_ids()
    return Letterhead(ours["merchant_id"], ours["client_id"], store.recon.last_request_id(Provider.PAYPAY))


def letter(file_type: str, days: Sequence[str], reason: str, head: Letterhead) -> str:
    """The alarm's text: what is wrong, and the request to PayPay in Japanese and English, filled in."""
    owner = FILE_TYPES[file_type].owner
    owner_ja, owner_en = _OWNERS[owner]
    return _LETTER.format(
        file_type=file_type,
        days=", ".join(days),
        reason=reason,
        owner_ja=owner_ja,
        owner_en=owner_en,
        owner_id=getattr(head, owner) or _TO_FILL_IN[owner],
        request_id=head.request_id or _NO_REQUEST_ID,
    )
