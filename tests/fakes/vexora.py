"""Vexora and its credentials, in the process."""

import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from honnin.errors import ProviderRefusedError
from honnin.secret_store import VexoraCredentials
from honnin.vexora.client import VexoraClient
from honnin.vexora.models import APPLY_FOR, Reading


@dataclass(frozen=True)
class Applied:
    """One `kycApplyFor` as the fake saw it."""

    user_id: str
    username_furigana: str
    callback_url: str


class FakeVexora(VexoraClient):
    """An in-process Vexora behind the interface of `VexoraClient`.

    `statuses` is what the provider knows (user id to "0".."3"). What is put into `next_apply` or `next_query`
    is taken first: an error is raised, a text is answered. `apply_takes_effect` says whether a failing apply
    has arrived all the same.
    """

    def __init__(self, statuses: Mapping[str, str] | None = None) -> None:
        self.statuses = dict(statuses or {})
        self.next_apply: deque[str | Exception] = deque()
        self.next_query: deque[str | Reading | Exception] = deque()
        self.apply_takes_effect = False
        self.configuration_error: Exception | None = None
        self.applied: list[Applied] = []
        self.queried: list[str] = []

    def check_configuration(self) -> None:
        """Raise `configuration_error`, if the test set one."""
        if self.configuration_error:
            raise self.configuration_error

    def apply(self, *, user_id: str, username_furigana: str, callback_url: str) -> Reading:
        """Take the application, or do what `next_apply` says."""
        self.applied.append(Applied(user_id, username_furigana, callback_url))
        scripted = self.next_apply.popleft() if self.next_apply else "0"
        if isinstance(scripted, Exception):
            if self.apply_takes_effect:
                self.statuses[user_id] = "0"
            raise scripted
        self.statuses[user_id] = scripted
        return replace(_reading(scripted), call=APPLY_FOR)

    def query_status(self, user_id: str) -> Reading:
        """Answer with the user's status, or do what `next_query` says; a user nobody knows is refused."""
        self.queried.append(user_id)
        if self.next_query:
            scripted = self.next_query.popleft()
            if isinstance(scripted, Exception):
                raise scripted
            return scripted if isinstance(scripted, Reading) else _reading(scripted)
        if user_id not in self.statuses:
            raise ProviderRefusedError("vexora", "user not found", http_status=200, code="4004")
        return _reading(self.statuses[user_id])


def _reading(status: str) -> Reading:
    body = json.dumps({"code": "0000", "msg": "success", "data": {"authenticationStatus": status}}).encode()
    return Reading(status, request_id="request-1", body=body)


@dataclass
class FakeCredentials:
    """Reads Vexora credentials: `cached`, or `stored` once a caller asks to refresh."""

    cached: VexoraCredentials = field(default_factory=lambda: VexoraCredentials("1027749636", "test_app_secret"))
    stored: VexoraCredentials = field(default_factory=lambda: VexoraCredentials("1027749636", "test_app_secret"))
    reads: list[bool] = field(default_factory=list)

    def __call__(self, *, refresh: bool = False) -> VexoraCredentials:
        """The credentials; with `refresh` the stored ones, which are cached from then on."""
        self.reads.append(refresh)
        if refresh:
            self.cached = self.stored
        return self.cached
