"""The answer to a browser that comes back from PayPay: a redirect, or a plain page that says what is wrong."""

from collections.abc import Callable
from html import escape

from aws_lambda_powertools.event_handler import Response

from honnin.errors import ConfigurationError
from honnin.observability import count, count_for_alarm, logger
from honnin.paypay.account_link import LinkRefusedError
from honnin.paypay.response_token import ResponseTokenError

_PAGE = """<!doctype html>
<html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>連携 / Account linking</title>
<body style="font-family:sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem;line-height:1.6">
<h1 style="font-size:1.25rem">{japanese}</h1>
<p lang="en">{english}</p>
"""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # the token is in the address of this page
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def respond(finish: Callable[[], str]) -> Response[str]:
    """303 to the URL that `finish` returns; 400 for an invalid redirect; 503 if it may be tried again."""
    try:
        location = finish()
    except (ResponseTokenError, LinkRefusedError) as error:
        logger().warning("account link refused", error=type(error).__name__, reason=str(error))
        count("AccountLinkRefused", error=type(error).__name__)
        return _page(
            400,
            "PayPay との連携を完了できませんでした。お手数ですが、ご利用のサービスの画面からもう一度お手続きください。",
            "Your PayPay account could not be linked. Please start again from the shop's page.",
        )
    except Exception as error:
        # Anyone can call this, so the page does not describe the error.
        logger().error("account link failed", error=type(error).__name__)
        if isinstance(error, ConfigurationError):
            count_for_alarm("ConfigurationFault")
        return _page(
            503,
            "ただいま処理できません。しばらくしてからもう一度お試しください。",
            "Please load this page again in a moment.",
        )
    return Response(status_code=303, headers={**_HEADERS, "Location": location}, body="")


def _page(status: int, japanese: str, english: str) -> Response[str]:
    body = _PAGE.format(japanese=escape(japanese), english=escape(english))
    return Response(status_code=status, content_type="text/html; charset=utf-8", headers=_HEADERS, body=body)
