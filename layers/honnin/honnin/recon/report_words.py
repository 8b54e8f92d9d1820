"""The words of the daily report, in Japanese and in English."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from honnin.recon.days import DayState
from honnin.wording import in_japanese


@dataclass(frozen=True)
class Words:
    """The words of one language. `summary` makes the first sentences from three values: for how many days PayPay must
    be asked, how many more are not compared yet, and whether any notification ever came. `said` translates a reason."""

    title: str
    summary: Callable[[int, int, bool], str]
    said: Callable[[str], str]
    types: Mapping[str, str]
    states: Mapping[DayState, str]
    counts: Mapping[str, str]
    late: str
    moved: str
    revision: str
    done_at: str
    warning: str
    week: str
    last_webhook: str
    silence: str
    no_webhook: str
    never_notified: str
    too_long: str

    def type(self, name: str) -> str:
        """A file type: a description for people, and its name."""
        return f"{self.types[name]} ({name})"


def _japanese(missing: int, waiting: int, is_known: bool) -> str:
    if not is_known:
        return "突合ファイルはまだ一度も通知されていません。"
    open_days = f"照合が終わっていない日が {waiting} 日あります。" if waiting else ""
    if missing:
        asked = f"PayPay への再送依頼が必要な日が {missing} 日あります。下の再送依頼文を担当窓口へお送りください。"
        return f"{asked}通知が再送されると、以降の処理は自動で行われます。{open_days}"
    return open_days or "直近 7 日間のファイルはすべて照合済みです。対応の必要はありません。"


def _english(missing: int, waiting: int, is_known: bool) -> str:
    if not is_known:
        return "No notification of a recon file has been received so far."
    open_days = f"Days that are not compared yet: {waiting}." if waiting else ""
    if missing:
        asked = (
            f"Days whose notification PayPay has to send again: {missing}. Send the requests below to your contact at "
            "PayPay."
        )
        return (
            f"{asked} When the notification is received again, Honnin does the rest automatically. {open_days}".rstrip()
        )
    return open_days or "All files of the last 7 days are compared. There is nothing to do."


JAPANESE = Words(
    title="Honnin 日次レポート {day}（日本時間）",
    summary=_japanese,
    said=in_japanese,
    types={
        "kyc_passport_sync_recon": "本人確認情報の更新",
        "kyc_passport_risk_sync_recon": "リスク",
        "kyc_passport_account_status_sync_recon": "アカウント状態",
    },
    states={
        DayState.COMPARED: "照合済み",
        DayState.REPAIRED: "照合済み",
        DayState.REPAIRING: "照合済み、再照会中",
        DayState.LATE: "遅れて照合",
        DayState.MISSING: "未着",
        DayState.DOUBTFUL: "内容を確認できないファイル",
        DayState.EXPIRED: "期限内に取得できず",
        DayState.STORED: "取得済み、照合待ち",
        DayState.ANNOUNCED: "通知済み、取得中",
        DayState.DUE: "到着待ち",
        DayState.NONE: "記録なし",
    },
    counts={
        "rows": "行数",
        "upToDate": "照会済み",
        "reRead": "再照会",
        "changed": "ステータス変更",
        "notRead": "照会できず",
        "webhookNeverReceived": "Webhook 未着",
        "notLinkedHere": "連携なし",
        "erased": "消去済み",
        "malformed": "ID でない行",
        "warnings": "警告",
        "leftOut": "対象外",
        "duplicates": "重複した行",
    },
    late="（遅れて照合）",
    moved="（ステータス変更 {changed} 名、再照会待ち {open} 名）",
    revision="（改訂版）",
    done_at="再照会待ち {open} 名。現在のペースでは {at}（日本時間）に完了する見込みです。",
    warning="警告: {text}",
    week="直近 7 日間（新しい順）",
    last_webhook="最後に受信した Webhook: {at}（日本時間）",
    silence="。{days} 日間、1 件も受信していません。PayPay に登録した URL を確認してください（honninctl doctor）",
    no_webhook="直近 {days} 日間、Webhook を 1 件も受信していません。PayPay に登録した URL を確認してください"
    "（honninctl doctor）",
    never_notified="{type}: 導入以来、一度も通知されていません。お申し込みのない種別であれば、対応は不要です。",
    too_long="メールの上限を超えるため、以降を省略しました。続き: honninctl recon calendar、honninctl recon DAY",
)

ENGLISH = Words(
    title="Honnin daily report of {day} (JST)",
    summary=_english,
    said=str,
    types={
        "kyc_passport_sync_recon": "Identity updates",
        "kyc_passport_risk_sync_recon": "Risk flags",
        "kyc_passport_account_status_sync_recon": "Account status",
    },
    states={
        DayState.COMPARED: "compared",
        DayState.REPAIRED: "compared",
        DayState.REPAIRING: "compared, still reading users again",
        DayState.LATE: "compared late",
        DayState.MISSING: "missing",
        DayState.DOUBTFUL: "a file that cannot be accepted for its day",
        DayState.EXPIRED: "not downloaded in time",
        DayState.STORED: "stored, not compared yet",
        DayState.ANNOUNCED: "notification received, being downloaded",
        DayState.DUE: "may still come",
        DayState.NONE: "nothing is known",
    },
    counts={
        "rows": "rows",
        "upToDate": "up to date",
        "reRead": "re-read",
        "changed": "changed",
        "notRead": "not read",
        "webhookNeverReceived": "webhook never received",
        "notLinkedHere": "not linked here",
        "erased": "erased",
        "malformed": "malformed",
        "warnings": "warnings",
        "leftOut": "left out",
        "duplicates": "duplicates",
    },
    late=" (late)",
    moved=" (changed: {changed}, waiting: {open})",
    revision=" (a revision)",
    done_at="{open} users still have to be read; at the present rate the last one is read at {at} JST.",
    warning="warning: {text}",
    week="the last 7 days, the newest first",
    last_webhook="last webhook received: {at} JST",
    silence="; none for {days} days: check the URL that is registered with PayPay (honninctl doctor)",
    no_webhook="no webhook received within {days} days: check the URL that is registered with PayPay"
    " (honninctl doctor)",
    never_notified="{type}: no notification was ever received. If you have not ordered this file from PayPay, there is"
    " nothing to do.",
    too_long="The report is too long for a mail. See the rest with honninctl recon calendar and honninctl recon DAY.",
)
