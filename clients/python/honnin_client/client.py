"""The client: a method for each operation of the merchant API, signed, with retries where they are safe."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx
from botocore.credentials import Credentials

from honnin_client import errors
from honnin_client.generated.client import AsyncOperations, Operations
from honnin_client.retries import Retries, Tries, is_repeatable
from honnin_client.signing import SigV4

Answer = TypeVar("Answer")

# API Gateway answers after 29 seconds at the latest.
_TIMEOUT = httpx.Timeout(35.0, connect=5.0)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)


class Honnin(Operations):
    """Calls the merchant API at `url` (output `MerchantApiUrl`). Safe to share between threads; close it at the end.

    `credentials` are botocore's (default: as every AWS SDK finds them). `http` replaces the httpx client, for a proxy
    or for tests; its own `auth` is not used.
    """

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        region: str | None = None,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._auth = SigV4(credentials, region)
        self._retries = retries or Retries()
        self._http = http or httpx.Client(timeout=_TIMEOUT)

    def __enter__(self) -> Honnin:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _call(self, operation: str, request: dict[str, Any], parse: Callable[[Any], Answer]) -> Answer:
        request, repeatable = _prepared(operation, request)
        tries = Tries(self._retries, repeatable)
        while True:
            try:
                with _failures():
                    response = self._http.request(**_sent(self._url, request), auth=self._auth)
                return _answer(response, parse)
            except errors.HonninError as error:
                wait_s = tries.wait_s(error)
            time.sleep(wait_s)


class AsyncHonnin(AsyncOperations):
    """The same for asyncio: `async with AsyncHonnin(url) as honnin: await honnin.get_user("user-1")`."""

    def __init__(
        self,
        url: str,
        *,
        credentials: Credentials | None = None,
        region: str | None = None,
        retries: Retries | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._auth = SigV4(credentials, region)
        self._retries = retries or Retries()
        self._http = http or httpx.AsyncClient(timeout=_TIMEOUT)

    async def __aenter__(self) -> AsyncHonnin:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _call(self, operation: str, request: dict[str, Any], parse: Callable[[Any], Answer]) -> Answer:
        request, repeatable = _prepared(operation, request)
        tries = Tries(self._retries, repeatable)
        while True:
            try:
                with _failures():
                    response = await self._http.request(**_sent(self._url, request), auth=self._auth)
                return _answer(response, parse)
            except errors.HonninError as error:
                wait_s = tries.wait_s(error)
            await asyncio.sleep(wait_s)


class _failures:  # noqa: N801 -- used like a function
    """Turns what httpx raises into the errors of this client. Their texts name no URL: it holds the user's id."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, _NOT_SENT):
            raise errors.NotSentError("Honnin could not be reached") from error
        if isinstance(error, httpx.DecodingError):
            raise errors.NotUnderstoodError("an answer whose body cannot be decoded") from error
        if isinstance(error, httpx.TransportError):
            raise errors.NoAnswerError("no complete answer came from Honnin") from error


def _prepared(operation: str, request: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The request with an Idempotency-Key where one is taken, the same for each try; and whether it is repeatable."""
    if operation == "submit_to_vexora":
        headers = {"Idempotency-Key": str(uuid.uuid4()), **request.get("headers", {})}
        request = request | {"headers": headers}
    return request, is_repeatable(operation, request)


def _sent(url: str, request: dict[str, Any]) -> dict[str, Any]:
    """The arguments for httpx, with the query written as SigV4 wants it."""
    sent = {name: value for name, value in request.items() if name not in ("url", "params")}
    query = {name: _text(value) for name, value in request.get("params", {}).items()}
    return {
        **sent,
        "url": f"{url}{request['url']}" + (f"?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else ""),
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _answer(response: httpx.Response, parse: Callable[[Any], Answer]) -> Answer:
    if not response.is_success:
        raise errors.of_answer(response)
    try:
        return parse(response.json())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise errors.NotUnderstoodError(
            f"an answer with HTTP {response.status_code} that this version of the client cannot read",
            status=response.status_code,
        ) from error
