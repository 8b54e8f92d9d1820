"""Signs each request with SigV4 for `execute-api`, by botocore."""

from __future__ import annotations

import re
from collections.abc import Generator

import botocore.session
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from honnin_client.errors import NotSentError

_SIGNED_HEADERS = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")
_HOST = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com$")


class SigV4(httpx.Auth):
    """Signs what httpx sends. Temporary credentials are refreshed by botocore, for each request anew.

    Without `credentials` they are found as every AWS SDK finds them (environment, profile, role); without `region` it
    is the one in the URL, or else the configured one.
    """

    requires_request_body = True

    def __init__(self, credentials: Credentials | None = None, region: str | None = None) -> None:
        self._credentials = credentials
        self._region = region
        self._session = botocore.session.get_session()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign the request. Raises `NotSentError` without credentials or without a region."""
        if self._credentials is None:
            self._credentials = self._session.get_credentials()
        if self._credentials is None:
            raise NotSentError("no AWS credentials were found")
        found = _HOST.search(request.url.host)
        region = self._region or (found[1] if found else self._session.get_config_variable("region"))
        if not region:
            raise NotSentError("no AWS region is configured: pass region=")
        headers = {name: request.headers[name] for name in ("Host", "Content-Type") if name in request.headers}
        # The query goes apart: botocore then encodes each value as SigV4 wants it (`:` as %3A), whatever was sent.
        url = str(request.url.copy_with(query=None))
        signed = AWSRequest(
            method=request.method, url=url, data=request.content, headers=headers, params=dict(request.url.params)
        )
        SigV4Auth(self._credentials, "execute-api", region).add_auth(signed)
        for name in _SIGNED_HEADERS:
            if name in signed.headers:
                request.headers[name] = signed.headers[name]
        yield request
