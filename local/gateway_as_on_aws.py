"""Makes ministack's REST APIs as unkind as those of AWS. Runs inside the emulator, before it (`leash.py --first`).

- AWS hands a path over as it was sent: `/users/a%3Ab` reaches the function so. ministack decodes it first, and even
  splits it at an encoded slash.
- AWS knows no route with a slash at its end, or with two in a row; ministack passes over them.
- AWS takes the gateway responses of an OpenAPI definition, which is where SAM writes them; ministack does not read
  them there.

It ends the emulator with a sentence when ministack is no longer made as it expects. tests/e2e/test_http_as_it_is.py
shows that it works.
"""

import inspect
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

# No resource of an API can have this path.
_NOWHERE = "/no such resource"

_raw_path: ContextVar[str | None] = ContextVar("raw_path", default=None)


def main() -> None:
    """Put this module's functions in the place of ministack's."""
    # Not at the top: the tools that check this file have no ministack.
    from ministack import app  # type: ignore[import-not-found]
    from ministack.services import apigateway_v1  # type: ignore[import-not-found]

    _expect(app._handle_execute_api_request, "host", "path", "raw_path")
    _expect(app._parse_execute_api_url, "host", "path")
    _expect(apigateway_v1.handle_execute, "api_id", "stage_name", "method", "path")
    _expect(apigateway_v1._import_rest_api, "spec")
    _expect(apigateway_v1._put_gateway_response, "api_id", "response_type", "data")
    app._handle_execute_api_request = _remembering(app._handle_execute_api_request, app._parse_execute_api_url)
    apigateway_v1.handle_execute = _as_sent(apigateway_v1.handle_execute)
    apigateway_v1._import_rest_api = _with_gateway_responses(
        apigateway_v1._import_rest_api, apigateway_v1._put_gateway_response
    )


def _expect(function: Callable[..., Any], *parameters: str) -> None:
    missing = set(parameters) - inspect.signature(function).parameters.keys()
    if missing:
        sys.exit(f"Error: ministack's {function.__name__} has no {sorted(missing)}: adapt local/gateway_as_on_aws.py.")


def _remembering(serve: Callable[..., Any], parse: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the path as it was sent, without the emulator's own prefix, for `_as_sent`."""

    async def serving(host: str, path: str, *others: Any, raw_path: str | None = None, **named: Any) -> Any:
        parsed = parse(host, raw_path) if raw_path else None
        _raw_path.set(parsed[2] if parsed else None)
        return await serve(host, path, *others, raw_path=raw_path, **named)

    return serving


def _as_sent(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Match and hand over the path as it was sent."""

    async def executing(api_id: str, stage_name: str, method: str, path: str, *others: Any, **named: Any) -> Any:
        sent = _raw_path.get() or path
        if "//" in sent or (sent.endswith("/") and sent != "/"):
            sent = _NOWHERE
        return await execute(api_id, stage_name, method, sent, *others, **named)

    return executing


def _with_gateway_responses(take: Callable[..., Any], put: Callable[..., Any]) -> Callable[..., Any]:
    """Take the gateway responses of a definition, too."""

    def taking(spec: dict[str, Any], *others: Any, **named: Any) -> Any:
        api_id = take(spec, *others, **named)
        for kind, response in (spec.get("x-amazon-apigateway-gateway-responses") or {}).items():
            status, _, body = put(api_id, kind, response)
            if status >= 400:
                raise ValueError(f"gateway response {kind}: {body!r}")
        return api_id

    return taking


if __name__ == "__main__":
    main()
