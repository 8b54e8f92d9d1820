"""What the emulator's API Gateway does under a domain of one's own, on stand-ins for ministack."""

from typing import Any

import pytest

from local import gateway_as_on_aws as gateway

MAPPINGS = {"": "root-api", "honnin": "merchant-api"}


def _resolve(mapped: set[str]) -> Any:
    """ministack's own: the longest base path that fits, and the path after it."""

    def resolve(_: str, path: str) -> tuple[str, str, str] | None:
        for base in sorted(mapped, key=len, reverse=True):
            if not base or path == f"/{base}" or path.startswith(f"/{base}/"):
                return MAPPINGS[base], "v1", path[len(base) + 1 :] if base else path
        return None

    return resolve


def _event(host: str, sent: str, mapped: set[str]) -> Any:
    """The event of a request, or the answer where there is none."""
    build = gateway._with_base_path(lambda path: {"path": path, "requestContext": {"path": f"/v1{path}"}})

    async def serve(*_: Any, **__: Any) -> Any:
        return build(gateway._raw_path.get())

    serving = gateway._under_a_domain(serve, _resolve(mapped), lambda name: name == "kyc.example.jp")
    # Step by step, without an event loop: that would open a socket.
    with pytest.raises(StopIteration) as ended:
        serving(host, sent, raw_path=sent).send(None)
    return ended.value.value


@pytest.mark.parametrize(
    ("sent", "base_path"),
    [
        ("/honnin/users/a%3Ab", "/honnin"),
        ("/honnin/honnin/users/x", "/honnin"),
        ("/honnin/users/x/", "/honnin"),
        ("/users/a%2Fb", ""),
    ],
)
def test_the_event_has_the_path_as_it_was_sent_and_the_domain(sent: str, base_path: str) -> None:
    event = _event("KYC.example.jp:4566", sent, {"", "honnin"})
    assert event["path"] == event["requestContext"]["path"] == sent
    assert event["requestContext"]["domainName"] == "kyc.example.jp"
    assert event["requestContext"]["domainPrefix"] == "kyc"
    assert gateway._domain.get() == ("kyc.example.jp", base_path)


def test_where_no_base_path_fits_the_answer_is_a_403() -> None:
    for sent in ("/users/x", "/honninx/users/x", "/"):
        assert _event("kyc.example.jp", sent, {"honnin"})[0] == 403


def test_any_other_host_is_as_before() -> None:
    _event("kyc.example.jp", "/honnin/users/x", {"honnin"})
    assert _event("127.0.0.1:4566", "/restapis/a/v1/_user_request_/users/x", {"honnin"})["requestContext"] == {
        "path": "/v1None"  # the next in line, `_remembering`, knows this path
    }
