"""Honnin's merchant API as the Python client sees it: made-up answers, one after the other."""

from collections.abc import Mapping
from typing import Any

import httpx
from botocore.credentials import Credentials

from honnin.problem_codes import ProblemCode
from honnin.users_api import USER_EXAMPLE
from honnin_client import Honnin, Retries

URL = "https://abcde12345.execute-api.ap-northeast-1.amazonaws.com/v1"
KEY = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

type Answer = httpx.Response | Exception


class Shop:
    """A server that gives these answers, one after the other, and keeps what it got."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.got: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.got.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def honnin(self, url: str = URL, **more: Any) -> Honnin:
        """A client that asks this server."""
        more = {"credentials": KEY, "retries": Retries(first_wait_s=0.0), **more}
        return Honnin(url, http=httpx.Client(transport=httpx.MockTransport(self)), **more)


def status_of(code: str) -> int:
    """The HTTP status of an error code."""
    return {each.value: each.status for each in ProblemCode}[code]


def problem(code: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """An answer with an error."""
    body = {"type": f"urn:honnin:problem:{code}", "code": code, "title": "A sentence"}
    said = status or status_of(code)
    return httpx.Response(
        said, json=body | {"status": said}, headers={"Content-Type": "application/problem+json", **(headers or {})}
    )


def good(body: Any = USER_EXAMPLE, status: int = 200) -> httpx.Response:
    """An answer that is a success."""
    return httpx.Response(status, json=body)
