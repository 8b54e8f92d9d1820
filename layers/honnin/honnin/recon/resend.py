"""The request to PayPay to send the notification of a recon file again, filled in, in Japanese and in English.

PayPay keeps a file for a week and sends its notification again on request (base document, "File retention period").
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from honnin.recon.days import CalendarDay, DayState
from honnin.recon.file_types import FileType
from honnin.wording import in_japanese

_JAPANESE = """\
件名: リコンファイル通知の再送のお願い（{file_type}、{days}）

PayPay ご担当者様

いつもお世話になっております。
下記の対象日のリコンファイルにつきまして、お手数ですが、通知（file.created）の再送をお願いいたします。

・{owner_ja}: {owner_id}
・fileType: {file_type}
・対象日（日本時間）と理由:
{reasons_ja}
・直近の X-REQUEST-ID: {request_id}

よろしくお願いいたします。
"""
_ENGLISH = """\
Subject: Please resend the recon file notification ({file_type}, {days})

Dear PayPay team,

Please send the notification (file.created) of the recon files below again.

- {owner_en}: {owner_id}
- fileType: {file_type}
- days (JST), and why:
{reasons_en}
- our last X-REQUEST-ID: {request_id}

Thank you very much.
"""

# The texts for each state of the day.
_REASONS_JA = {
    DayState.MISSING: "通知を受信しておりません",
    DayState.EXPIRED: "通知を受信しましたが、期限内に取得できませんでした（{reason}）",
    DayState.DOUBTFUL: "受領したファイルの内容を確認できませんでした（{reason}）",
}
_REASONS_EN = {
    DayState.MISSING: "we received no notification",
    DayState.EXPIRED: "we received the notification, but could not download the file in time ({reason})",
    DayState.DOUBTFUL: "the file that we received cannot be accepted ({reason})",
}

_OWNERS = {
    "merchant_id": ("加盟店ID（merchant_id）", "merchant id"),
    "client_id": ("クライアントID（client_id）", "client id"),
}
_TO_FILL_IN = {"merchant_id": "<your merchant id>", "client_id": "<your client id>"}


@dataclass(frozen=True)
class Senders:
    """What identifies us to PayPay: `merchant_id` and `client_id`, empty where one is not known, and the X-REQUEST-ID
    of our last call, if there was one."""

    ids: Mapping[str, str]
    request_id: str | None


@dataclass(frozen=True)
class Request:
    """The same request in both languages."""

    japanese: str
    english: str


def request(file_type: FileType, days: Sequence[CalendarDay], senders: Senders) -> Request:
    """Ask for the files of these days."""
    owner_ja, owner_en = _OWNERS[file_type.owner]
    filled = {
        "file_type": file_type.name,
        "days": ", ".join(each.day for each in days),
        "owner_ja": owner_ja,
        "owner_en": owner_en,
        "owner_id": senders.ids.get(file_type.owner) or _TO_FILL_IN[file_type.owner],
        "request_id": senders.request_id or "-",
        "reasons_ja": _reasons(days, _REASONS_JA, in_japanese),
        "reasons_en": _reasons(days, _REASONS_EN, str),
    }
    return Request(_JAPANESE.format(**filled), _ENGLISH.format(**filled))


def _reasons(days: Sequence[CalendarDay], words: Mapping[DayState, str], said: Callable[[str], str]) -> str:
    return "\n".join(f"  {each.day}: {words[each.state].format(reason=said(each.reason or '-'))}" for each in days)
