"""The DynamoDB single table (docs/architecture.md, "The table"). Only this package knows its keys and attributes.

Every write that changes a user is one transaction: the event's own record (the write fails if it exists), the timeline
entry, and the status with its version. Readers get frozen dataclasses, never items. Each subject is a module. To add an
attribute, add a field to the dataclass there.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from honnin.status import VerifiedNeeds
from honnin.store.access import Access, Accesses, AccessPage
from honnin.store.circuit import Circuit, Circuits
from honnin.store.comparisons import Comparison, Comparisons
from honnin.store.erasure import Certificate, Erasures
from honnin.store.events import EVENT_KEPT, Dropped, Effect, EventRecord, Events
from honnin.store.expiries import LINK, RESIDENCE, Expiries, Expiry, known_ends
from honnin.store.footprint import Footprint
from honnin.store.keys import authorization_hash
from honnin.store.known import Known
from honnin.store.links import Link, Links, LinkSession, PassportQr, SessionUse, Unattached
from honnin.store.mass_change import Counted, Loss, Losses, MassChange, Stop
from honnin.store.notifications import Notification, Notifications
from honnin.store.overview import Counts, Overview, Page, PublishedEntry, Standing
from honnin.store.pace import Paces
from honnin.store.received import RECON_KINDS, Received, ReceivedDay
from honnin.store.recon import ERASED_ID, Recon, ReconFile
from honnin.store.rereads import Reread, Rereads
from honnin.store.submissions import Submission, Submissions
from honnin.store.table import POLL, AlreadyAppliedError, SessionUsedError, Table, utc_now
from honnin.store.users import UNLINKED, Former, TimelineEntry, Users, UserStatus, verified_reason

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from honnin.event import Event
    from honnin.store.reindex import Reindex
    from honnin.store.replay import Replay
    from honnin.store.restore import Restore

__all__ = [
    "ERASED_ID",
    "EVENT_KEPT",
    "LINK",
    "POLL",
    "RECON_KINDS",
    "RESIDENCE",
    "UNLINKED",
    "Access",
    "AccessPage",
    "AlreadyAppliedError",
    "Certificate",
    "Circuit",
    "Comparison",
    "Counted",
    "Counts",
    "Dropped",
    "Effect",
    "EventRecord",
    "Expiry",
    "Footprint",
    "Former",
    "Known",
    "Link",
    "LinkSession",
    "Loss",
    "Losses",
    "Notification",
    "Overview",
    "Paces",
    "Page",
    "PassportQr",
    "PublishedEntry",
    "ReceivedDay",
    "ReconFile",
    "Reread",
    "SessionUse",
    "SessionUsedError",
    "Standing",
    "Stop",
    "Store",
    "Submission",
    "TimelineEntry",
    "Unattached",
    "UserStatus",
    "authorization_hash",
    "known_ends",
    "verified_reason",
]


class Store:
    """The table by subject. The arguments are those of `Table`, and the parameter `VerifiedNeeds`."""

    def __init__(
        self,
        table: str,
        client: "DynamoDBClient | None" = None,
        *,
        timeline_days: int = 0,
        verified_needs: VerifiedNeeds = VerifiedNeeds.ANY,
        waiting_days: int = 0,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.table = Table(table, client, timeline_days=timeline_days, waiting_days=waiting_days, now=now)
        self.users = Users(self.table)
        self.submissions = Submissions(self.table)
        self.links = Links(self.table)
        self.events = Events(self.table, verified_needs)
        self.expiries = Expiries(self.table)
        self.received = Received(self.table)
        self.mass_change = MassChange(self.table)
        self.paces = Paces(self.table)
        self.circuit = Circuits(self.table)
        self.comparisons = Comparisons(self.table)
        self.notifications = Notifications(self.table)
        self.recon = Recon(self.table)
        self.rereads = Rereads(self.table)
        self.overview = Overview(self.table)
        self.erasure = Erasures(self.table)
        self.access = Accesses(self.table)

    def known(self, events: "Sequence[Event]") -> Known:
        """What the table knows about some events, read once."""
        return Known.of(self.table, events)

    @cached_property
    def restore(self) -> "Restore":
        """Operations for operators only; no function imports it."""
        from honnin.store.restore import Restore

        return Restore(self.table)

    @cached_property
    def reindex(self) -> "Reindex":
        """Builds the index `overview` again; no function imports it."""
        from honnin.store.reindex import Reindex

        return Reindex(self.table)

    @cached_property
    def replay(self) -> "Replay":
        """Publishes events on the bus again; no function imports it."""
        from honnin.store.replay import Replay

        return Replay(self.table)
