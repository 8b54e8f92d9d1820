"""A table and a vault in memory, with users whose contracts end."""

from collections.abc import Callable
from typing import Any
from unittest import mock

from honnin.contract_ends import ContractEnds, DueErasures
from honnin.erasure import Erasure
from honnin.times import jst_day
from tests.fakes.erasure_world import USER, World

DAYS = 2557
FOREVER: Callable[[], int] = lambda: 900_000  # noqa: E731


class Contracts(World):
    """Users, whose contracts end."""

    def __init__(self, days: int = DAYS) -> None:
        super().__init__()
        self.days = days
        self.most_a_day = 1000

    @property
    def ends(self) -> ContractEnds:
        """What the merchant API calls."""
        return ContractEnds(self.store, self.days, self.tick)

    def report(self, ended_on: str, user_id: str = USER, reason: str | None = None) -> Any:
        """The merchant reports an end."""
        return self.ends.report(user_id, ended_on, reason=reason, reported_by="arn:desk")

    def today(self) -> str:
        """The day in Japan."""
        return jst_day(self.clock.now)

    def erasure(self) -> Erasure:
        """The one way of an erasure."""
        return Erasure(
            store=self.store,
            vault=self.vault,
            registers=mock.Mock(),
            paypay=lambda: self.paypay,
            sweep_later=self.later.append,
            publish=self.publisher.user_erased,
            now=self.tick,
        )

    def run(self, left_ms: Callable[[], int] = FOREVER) -> dict[str, int]:
        """One scheduled run."""
        most = self.most_a_day
        return DueErasures(self.store, self.erasure(), days=self.days, most_a_day=most, now=self.tick).run(left_ms)

    def pass_days(self, number: float) -> None:
        """Time goes by."""
        self.clock.advance(seconds=number * 86_400)

    def is_there(self, user_id: str = USER) -> bool:
        """Whether anything is known of the user."""
        return bool(self.store.users.statuses(user_id))


def numbers(**given: int) -> dict[str, int]:
    """The numbers of a run."""
    return {"erased": 0, "moved": 0, "cancelled": 0, "later": 0, "failed": 0} | given
