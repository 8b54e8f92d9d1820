"""The mail that recon files cannot be fetched, sent while there is still time: which, from where, and why."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from honnin import aws, people
from honnin.store import Notification, Store
from honnin.times import JST, utc_text
from honnin.wording import in_japanese

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

# However many notifications fail, people get at most one mail in this time.
_AT_MOST_EVERY = timedelta(hours=1)
_MOST_LINES = 20

_MAIL = """\
PayPay の突合ファイルをまだ取得できていません。

{japanese}

通知の受信から 2 時間は、5 分ごとに取得を繰り返します。ホストが許可リストにない場合は、PayPay に確認のうえ、
パラメーター ReconAllowedHosts に追加してください。期限までに追加されれば、自動的に取得されます。

------------------------------------------------------------------------------
Recon files of PayPay could not be downloaded yet.

{english}

Honnin tries again every 5 minutes, until two hours after the notification was received. If the host is not on the list,
ask PayPay about it, and add it to the parameter ReconAllowedHosts. If you add it in time, the file is then downloaded
automatically.
"""


class FetchAlarm:
    """Sends mails through the alarm topic. Errors of SNS are botocore's."""

    def __init__(self, topic_arn: str, client: "SNSClient | None" = None) -> None:
        self._topic_arn = topic_arn
        self._given = client

    def report(self, store: Store, failing: Sequence[tuple[Notification, str]], now: datetime) -> None:
        """Report failing notifications and the reason of each.

        Each is reported once; within an hour there is only one mail.
        """
        last = store.notifications.last_reported()
        if not failing or (last and now - datetime.fromisoformat(last) < _AT_MOST_EVERY):
            return
        client = self._given or aws.sns()
        people.send(client, self._topic_arn, "Honnin: recon files cannot be fetched", mail(failing))
        store.notifications.note_last_reported(utc_text(now))
        for found, _ in failing:
            store.notifications.note_reported(found, utc_text(now))


def mail(failing: Sequence[tuple[Notification, str]]) -> str:
    """The text of the mail: Japanese first, English below. Failures with the same reason, day and host share a line."""
    alike: dict[tuple[str, str, str, str], list[Notification]] = {}
    for found, reason in failing:
        alike.setdefault((found.file_type, found.day, host_of(found), reason), []).append(found)
    shown = list(alike.items())[:_MOST_LINES]
    more = [f"  … +{len(alike) - _MOST_LINES}"] if len(alike) > _MOST_LINES else []
    japanese = [_line(some, host, in_japanese(reason)) for (_, _, host, reason), some in shown]
    english = [_line(some, host, reason) for (_, _, host, reason), some in shown]
    return _MAIL.format(japanese="\n".join(japanese + more), english="\n".join(english + more))


def host_of(found: Notification) -> str:
    """The host in a notification's URL: the only part of it that is ever shown."""
    try:
        host = urlsplit(found.url).hostname or ""
    except ValueError:
        host = ""
    return "".join(each for each in host[:253] if each.isprintable()) or "-"


def _line(some: Sequence[Notification], host: str, reason: str) -> str:
    first = some[0]
    until = max(each.until for each in some).astimezone(JST)
    more = f" (+{len(some) - 1})" if len(some) > 1 else ""
    named = f"  {first.file_type} {first.day} {first.file_name}{more}"
    return f"{named}\n    {host}: {reason} (→ {until:%H:%M} JST)"
