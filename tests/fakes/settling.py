"""PayPay's rules with settling, and a PayPay whose read side lags behind its webhooks."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from honnin.event import Event
from honnin.paypay.client import Begins, no_action
from honnin.paypay.models import AuthorizationReading, KycReading
from honnin.settling import Settling
from honnin.times import utc_text
from tests.fakes import FakeClock
from tests.fakes.paypay_world import LINKED, USER, LinkingPayPay, PayPayWorld


@dataclass(frozen=True)
class State:
    """What PayPay holds of the user, and the status that it means here."""

    done: bool = True
    flagged: bool = False
    active: bool = True

    @property
    def means(self) -> str:
        """The status of who has the scope of the KYC Passport."""
        if not self.active:
            return "INACTIVE"
        return "RISK_FLAGGED" if self.flagged else "VERIFIED" if self.done else "NOT_COMPLETED"

    @property
    def code(self) -> str | None:
        """What a KYC read answers instead of a KYC."""
        if not self.active:
            return "USER_STATE_IS_NOT_ACTIVE"
        return "UNACCEPTABLE_OP" if self.flagged else None if self.done else "KYC_NOT_COMPLETED"


class LaggingPayPay(LinkingPayPay):
    """Reads show a change some time after it was made."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        # (from when the reads show it, the state)
        self._shown: list[tuple[datetime, State]] = [(clock(), State())]

    @property
    def truth(self) -> State:
        """The state that holds."""
        return self._shown[-1][1]

    def change(self, lag_s: float = 0, **changed: bool) -> None:
        """Change the state; the reads show it `lag_s` seconds later."""
        self._shown.append((self._clock() + timedelta(seconds=lag_s), replace(self.truth, **changed)))

    def _show(self) -> None:
        state = next(each for at, each in reversed(self._shown) if at <= self._clock())
        self.flag = state.code
        for each in self.authorizations.values():
            each["status"] = "ACTIVE" if state.active else "INACTIVE"

    def _kyc(self, name: str) -> KycReading:
        self._show()
        return super()._kyc(name)

    def user_authorization(self, user_authorization_id: str, *, begins: Begins = no_action) -> AuthorizationReading:
        """Get the state of the authorization, as the read side has it."""
        self._show()
        return super().user_authorization(user_authorization_id, begins=begins)


class SettlingWorld(PayPayWorld):
    """What the processor sends waits in `waiting`, with the moment from which it may be received."""

    def __init__(self, delays_s: tuple[int, ...] = (60, 900)) -> None:
        super().__init__()
        self.lagging = self.paypay = LaggingPayPay(self.clock)
        self.waiting: list[tuple[datetime, Event]] = []
        self.sent: list[tuple[Event, int]] = []
        self.send_fails = 0
        self.settling = Settling(delays_s, self._send, self.clock)
        self._hints = 0

    def _send(self, events: Iterable[tuple[Event, int]]) -> None:
        if self.send_fails:
            self.send_fails -= 1
            raise ConnectionError("SQS does not answer")
        for event, delay_s in events:
            self.sent.append((event, delay_s))
            self.waiting.append((self.clock() + timedelta(seconds=delay_s), event))

    def hint(self, kind: str = "kyc", subject: str = LINKED, type_: str = "") -> Event:
        """A webhook that is received now."""
        self._hints += 1
        event_id = f"paypay:{kind}:h{self._hints}"
        detail = {"type": type_} if type_ else {}
        return Event(event_id, "paypay", kind, "webhook", subject, utc_text(self.clock()), detail)

    def work(self, event: Event) -> None:
        """A fresh worker takes an event."""
        self.processor().process(event)

    def settle(self, *, shuffle: random.Random | None = None) -> int:
        """Time passes until all that waits is worked off; returns how often PayPay was asked."""
        asked = len(self.paypay.asked)
        while self.waiting:
            due = min(at for at, _ in self.waiting)
            self.clock.now = max(self.clock.now, due)
            ready = [each for each in self.waiting if each[0] <= self.clock.now]
            if shuffle:
                shuffle.shuffle(ready)
            for each in ready:
                self.waiting.remove(each)
                self.clock.advance(seconds=0.01)
                self.work(each[1])
        return len(self.paypay.asked) - asked

    def everything(self) -> list[str]:
        """All items of the table but for the counts of refusals, which name nobody, as texts to compare."""
        items = self.db.scan(TableName="StateTable")["Items"]
        return sorted(repr(each) for each in items if not each["pk"]["S"].startswith("PROVIDER#"))

    def truth(self, user_id: str = USER) -> tuple[str, str]:
        """The user's status here, and what it should be."""
        return self.user(user_id).status, self.lagging.truth.means
