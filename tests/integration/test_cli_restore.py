"""Bringing deleted items back from a restored table: what is lost comes back, what was deleted on purpose does not."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest
from typer.testing import Result

from honnin.errors import ConcurrentUpdateError
from honnin.recon.file_types import FILE_TYPES
from honnin.store import (
    Certificate,
    Effect,
    LinkSession,
    ReconFile,
    Store,
    Submission,
    Unattached,
    UserStatus,
)
from honnin.store.restore import Restore, Stored
from honnin.store.segments import AT_ONCE
from honnin.times import utc_text
from honninctl.restore import Outcome, bring_back, live_facts
from tests.fakes import FakeClock
from tests.fakes.cli import run
from tests.fakes.paypay_user import paypay_user
from tests.fakes.recon_file import became
from tests.moto_state import moto
from tests.tables import create_table, template

pytestmark = pytest.mark.usefixtures("aws_environment", "fresh_caches")

SINCE = datetime.fromisoformat("2026-11-20T03:00:00Z")
BEFORE = utc_text(SINCE - timedelta(days=2))
AFTER = utc_text(SINCE + timedelta(hours=5))
NOW = int((SINCE + timedelta(days=1)).timestamp())
DAY = "2026-11-18"

Key = tuple[str, str]


class Tables:
    """A live table, and the table that is restored beside it: what the live one was at `SINCE`."""

    def __init__(self) -> None:
        self.db = boto3.client("dynamodb")
        self.names = {"live": create_table(self.db, "StateTable"), "restored": "restored"}
        schema = template()["Resources"]["StateTable"]["Properties"]
        wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        self.db.create_table(TableName="restored", **{name: schema[name] for name in wanted})
        self.live, self.restored = (Store(name, self.db, now=FakeClock()) for name in self.names.values())

    def restore(self) -> None:
        """What the live table is at this moment is what the other one was restored to."""
        for item in self._scan("live"):
            self.db.put_item(TableName="restored", Item=item)

    def lose(self, *keys: Key) -> None:
        """An accident: these items are gone."""
        for pk, sk in keys:
            self.db.delete_item(TableName=self.names["live"], Key={"pk": {"S": pk}, "sk": {"S": sk}})

    def lose_everything(self) -> None:
        """The same for all of them."""
        self.lose(*self.named_keys())

    def named_keys(self, table: str = "live") -> list[Key]:
        """The keys of a table."""
        return sorted((item["pk"]["S"], item["sk"]["S"]) for item in self._scan(table))

    def items(self, table: str = "live") -> dict[Key, Any]:
        """All items of a table."""
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in self._scan(table)}

    def bring_back(self, *, dry_run: bool = False, also_erased: tuple[str, ...] = ()) -> Outcome:
        """What the command does."""
        read: list[int] = []
        facts = live_facts(self.restored, self.live, utc_text(SINCE), also_erased, read.append)
        return bring_back(self.restored, self.live, facts, now=NOW, dry_run=dry_run, advance=read.append)

    def link(self, user_id: str, authorization: str, at: str = BEFORE, before: UserStatus | None = None) -> None:
        """A link, as `GET /paypay/account-links/callback` makes it."""
        after = paypay_user(user_id, linked=authorization, scopes=("get_kyc_info",), at=at, before=before)
        event_id = f"link:{user_id}:{at}"
        self.live.events.apply(Effect(event_id, "linked", "api", at, before, after, {}, links=True))
        self.live.links.attach(authorization, user_id, "LINKED")

    def receive_webhook(self, user_id: str, authorization: str, event_id: str, at: str = BEFORE) -> None:
        """A webhook about a linked user."""
        before = self.live.users.status(user_id, "paypay")
        assert before is not None
        after = paypay_user(user_id, "VERIFIED", linked=authorization, at=at, before=before)
        self.live.events.apply(Effect(event_id, "kyc_read", "webhook", at, before, after, {"id": "1"}))

    def wait(self, authorization: str, event_id: str, at: str = BEFORE) -> None:
        """An event about an authorization that is nobody's yet."""
        self.live.events.keep(Unattached(event_id, "paypay", "unknown_user", "webhook", at, authorization, {"id": "2"}))

    def erase(self, user_id: str, at: str = AFTER, *, completed: bool = True) -> None:
        """An erasure, as far as the table goes."""
        certificate = Certificate(f"certificate-{user_id}", user_id, at)
        self.live.erasure.begin(certificate)
        footprint = self.live.erasure.footprint(user_id)
        statuses = self.live.erasure.forget(footprint, certificate, lambda _: [], FILE_TYPES)
        assert statuses is not None
        if completed:
            assert self.live.erasure.settle(certificate, statuses, at)
            self.live.erasure.end(certificate, at)

    def _scan(self, table: str) -> list[Any]:
        return list(self.db.scan(TableName=self.names[table], ConsistentRead=True)["Items"])


@pytest.fixture
def tables(aws_environment: None) -> Iterator[Tables]:
    with moto():
        yield Tables()


def _naming(tables: Tables, text: str) -> list[Key]:
    """Keys of live items in which a text stands anywhere."""
    return [key for key, item in tables.items().items() if text in str(item)]


def test_whatever_is_gone_comes_back_as_it_was(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.receive_webhook("user-1", "auth-1", "paypay:kyc:evt-1")
    tables.wait("auth-nobody", "paypay:risk:evt-2")
    tables.live.recon.note_request_id("paypay", "OPA1", BEFORE)
    tables.live.recon.missing("kyc_passport_sync_recon", DAY, BEFORE)
    tables.restore()
    lost = tables.items()
    tables.lose_everything()

    outcome = tables.bring_back()

    assert tables.items() == lost
    assert outcome.left_out == Counter()
    assert outcome.brought == Counter(status=1, timeline=2, link=1, waiting=1, event=3, provider=1, recon=1, contract=1)


def test_what_is_there_is_newer_and_is_not_touched(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.restore()
    tables.receive_webhook("user-1", "auth-1", "paypay:kyc:evt-1", AFTER)
    newer = tables.items()

    assert tables.bring_back().brought == Counter()
    assert tables.items() == newer


def test_what_comes_while_it_is_running_is_not_touched(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.restore()
    [link] = [each for each in tables.restored.restore.everything() if each.kind == "link"]
    tables.lose(("PAYPAY#auth-1", "LINK"))
    assert tables.live.restore.missing([link]) == [link]
    newer = {**link.item, "scopes": {"L": [{"S": "kyc_passport_qr"}]}}
    tables.db.put_item(TableName="StateTable", Item=newer)

    assert not tables.live.restore.put_back(link)
    assert tables.items()["PAYPAY#auth-1", "LINK"] == newer


def test_a_second_run_does_nothing(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.restore()
    tables.lose(("PAYPAY#auth-1", "LINK"))
    assert tables.bring_back().brought == Counter(link=1)

    after = tables.items()
    assert tables.bring_back().brought == Counter()
    assert tables.items() == after


def test_a_dry_run_counts_and_writes_nothing(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.restore()
    tables.lose(("PAYPAY#auth-1", "LINK"), ("USER#user-1", "STATUS#paypay"))
    before = tables.items()

    assert tables.bring_back(dry_run=True).brought == Counter(link=1, status=1)
    assert tables.items() == before


@pytest.mark.parametrize("completed", [True, False], ids=["completed", "broken off"])
def test_a_user_who_was_erased_since_stays_erased(tables: Tables, completed: bool) -> None:
    """Waiting items and records of repairs name an authorization and no user: they stay away too."""
    authorizations = ("auth-former", "auth-present")
    tables.wait("auth-former", f"recon:kyc_passport_risk_sync_recon:{DAY}:auth-former:1")
    tables.link("user-1", "auth-former")
    tables.link("user-1", "auth-present", BEFORE[:-2] + "1Z", tables.live.users.status("user-1", "paypay"))
    tables.receive_webhook("user-1", "auth-present", "paypay:kyc:evt-1", BEFORE[:-2] + "2Z")
    # What a crash left behind: it was attached to the user's timeline, but for this one.
    tables.restore()
    stray = {
        "pk": {"S": "PAYPAY#auth-former"},
        "sk": {"S": f"AT#{BEFORE}#paypay:kyc:evt-0"},
        "event_id": {"S": "paypay:kyc:evt-0"},
    }
    tables.db.put_item(TableName="restored", Item=stray)
    named = [key for key in tables.named_keys("restored") if any(each in str(key) for each in authorizations)]
    assert {pk.partition("#")[0] for pk, _ in named} == {"PAYPAY", "EVENT", "USER"}
    tables.erase("user-1", completed=completed)
    erased = tables.named_keys()

    outcome = tables.bring_back()

    left = {key for each in authorizations for key in _naming(tables, each)}
    if completed:
        assert tables.live.users.statuses("user-1") == []
        assert not left
    else:
        # What the repeat of the erasure goes on by.
        assert {sk.partition("#")[0] for pk, sk in left if pk == "USER#user-1"} == {"STATUS", "FORMER"}
        assert {pk for pk, _ in left} == {"USER#user-1"}
    assert tables.named_keys() == erased
    # What waited was moved to the timeline before the restore, and had ended.
    assert set(outcome.left_out) == {"of users erased since", "expired since"}


def test_what_a_recon_file_shows_comes_back_without_those_who_were_erased_since(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    file = ReconFile("kyc_passport_sync_recon", DAY, "kyc_passport_1.csv", "STORED")
    facts = {"changed_sample": ["auth-1", "auth-2"], "not_read_sample": ["auth-3", "auth-1"], "counts": {"missed": 2}}
    became(tables.live.table, file, "COMPARED", facts)
    tables.restore()
    tables.erase("user-1")
    tables.lose((f"RECON#{file.file_type}", f"{DAY}#{file.name}"))

    assert tables.bring_back().brought == Counter(recon=1)

    assert _naming(tables, "auth-1") == []
    back = tables.live.recon.file(file.file_type, DAY, file.name)
    assert back is not None
    assert (back.changed_sample, back.not_read_sample, back.counts) == (
        ("erased", "auth-2"),
        ("auth-3", "erased"),
        {"missed": 2},
    )


def test_what_was_before_an_erasure_stays_away_although_the_user_has_linked_the_same_again(tables: Tables) -> None:
    """The mark of the authorization is gone by then; the certificate and the restored table still tell."""
    tables.link("user-1", "auth-1")
    tables.receive_webhook("user-1", "auth-1", "paypay:kyc:evt-1")
    tables.restore()
    tables.erase("user-1")
    tables.link("user-1", "auth-1", utc_text(SINCE + timedelta(hours=6)))
    assert not tables.live.erasure.is_erased("auth-1")
    back = tables.items()

    outcome = tables.bring_back()

    assert tables.items() == back
    assert [key for key in tables.named_keys("restored") if key[0].startswith("EVENT#")]
    assert set(outcome.left_out) <= {"of users erased since"}


def test_the_certificates_of_a_user_who_was_erased_again_come_back(tables: Tables) -> None:
    tables.link("user-1", "auth-1", utc_text(SINCE - timedelta(days=9)))
    tables.erase("user-1", utc_text(SINCE - timedelta(days=8)))
    tables.link("user-1", "auth-2")
    tables.restore()
    tables.erase("user-1")
    [first] = [key for key in tables.named_keys("restored") if key[1].startswith("ERASURE#")]
    tables.lose(first)

    assert tables.bring_back().brought == Counter(certificate=1)
    assert len(tables.live.erasure.certificates("user-1")) == 2


def test_an_erasure_before_the_moment_keeps_nobody_away_who_came_back(tables: Tables) -> None:
    tables.link("user-1", "auth-1", utc_text(SINCE - timedelta(days=9)))
    tables.erase("user-1", utc_text(SINCE - timedelta(days=8)))
    tables.link("user-1", "auth-2")
    tables.restore()
    tables.lose(("USER#user-1", "STATUS#paypay"), ("PAYPAY#auth-2", "LINK"))

    assert tables.bring_back().brought == Counter(status=1, link=1)


def test_a_mark_comes_back_unless_its_authorization_is_linked_again(tables: Tables) -> None:
    for user_id, authorization in (("user-1", "auth-1"), ("user-2", "auth-2")):
        tables.link(user_id, authorization, utc_text(SINCE - timedelta(days=9)))
        tables.erase(user_id, utc_text(SINCE - timedelta(days=8)))
    tables.restore()
    tables.link("user-1", "auth-1", AFTER)  # which takes the mark away
    assert not tables.live.erasure.is_erased("auth-1")
    # One is lost; the other has ended, and DynamoDB has deleted it.
    tables.lose(*(key for key in tables.named_keys() if key[0].startswith("ERASED#")))

    outcome = tables.bring_back()

    assert (tables.live.erasure.is_erased("auth-1"), tables.live.erasure.is_erased("auth-2")) == (False, True)
    assert outcome.brought == Counter(erased=1)
    assert outcome.left_out == Counter({"of authorizations linked since": 1})


def test_a_mark_stays_away_as_long_as_a_status_names_the_authorization(tables: Tables) -> None:
    tables.link("user-1", "auth-1", utc_text(SINCE - timedelta(days=9)))
    tables.erase("user-1", utc_text(SINCE - timedelta(days=8)))
    tables.restore()
    tables.link("user-1", "auth-1", AFTER)
    tables.lose(("PAYPAY#auth-1", "LINK"))

    tables.bring_back()

    assert not tables.live.erasure.is_erased("auth-1")


def test_a_mark_stays_away_also_when_the_user_has_another_authorization_by_now(tables: Tables) -> None:
    tables.link("user-1", "auth-1", utc_text(SINCE - timedelta(days=9)))
    tables.erase("user-1", utc_text(SINCE - timedelta(days=8)))
    tables.restore()
    tables.link("user-1", "auth-1", AFTER)
    tables.link("user-1", "auth-2", utc_text(SINCE + timedelta(hours=6)), tables.live.users.status("user-1", "paypay"))
    # The mark has ended, and DynamoDB has deleted it; of the link, only what the user had before still tells.
    tables.lose(*(key for key in tables.named_keys() if key[0].startswith("ERASED#")), ("PAYPAY#auth-1", "LINK"))

    tables.bring_back()

    assert not tables.live.erasure.is_erased("auth-1")


def test_what_waited_for_a_link_stays_on_the_timeline_alone(tables: Tables) -> None:
    tables.wait("auth-1", "paypay:kyc:evt-1")
    tables.wait("auth-2", "paypay:kyc:evt-2")
    tables.restore()
    tables.link("user-1", "auth-1", AFTER)
    # One is lost; the other has ended with the link, and DynamoDB has deleted it.
    tables.lose(*((f"PAYPAY#auth-{each}", f"AT#{BEFORE}#paypay:kyc:evt-{each}") for each in (1, 2)))

    outcome = tables.bring_back()

    assert _naming(tables, "evt-1") == [
        ("EVENT#paypay:kyc:evt-1", "EVENT"),
        ("USER#user-1", f"AT#{BEFORE}#paypay:kyc:evt-1"),
    ]
    assert outcome.brought == Counter(waiting=1)
    assert outcome.left_out == Counter({"of authorizations linked since": 1})


def test_what_has_expired_since_stays_away(tables: Tables) -> None:
    ends = int(SINCE.timestamp()) + 3600
    session = LinkSession("nonce-1", "user-1", ("get_kyc_info",), "https://shop.example.jp/kyc", ends)
    after = UserStatus("user-1", "paypay", "LINK_PENDING", version=1)
    tables.live.events.apply(Effect("qr:1", "link_requested", "api", BEFORE, None, after, {}, session=session))
    tables.restore()
    tables.lose(("SESSION#nonce-1", "SESSION"))

    outcome = tables.bring_back()

    assert outcome.left_out == Counter({"expired since": 1})
    assert outcome.brought == Counter()


def test_a_submission_without_its_user_comes_back_and_one_of_an_erased_user_does_not(tables: Tables) -> None:
    for user_id, number in (("user-1", "s-1"), ("user-2", "s-2")):
        opens = Submission(number, user_id, "PENDING", BEFORE)
        after = UserStatus(user_id, "vexora", "PENDING", version=1, submission_id=number, submitted_at=BEFORE)
        tables.live.events.apply(Effect(f"vexora:{number}:a", "submitted", "api", BEFORE, None, after, {}, opens=opens))
    tables.erase("user-1", utc_text(SINCE - timedelta(days=1)))
    tables.restore()
    tables.erase("user-2")
    tables.lose(("SUBMISSION#s-1", "SUBMISSION"), ("SUBMISSION#s-2", "SUBMISSION"))

    assert tables.bring_back().brought == Counter(submission=1)
    assert tables.live.submissions.get("s-1") == Submission("s-1", "", "PENDING", BEFORE)


def test_a_user_of_whom_only_a_certificate_outside_tells_is_left_out_by_name(tables: Tables) -> None:
    tables.link("user-1", "auth-1")
    tables.link("user-2", "auth-2")
    tables.restore()
    tables.lose_everything()

    tables.bring_back(also_erased=("user-1",))

    assert _naming(tables, "auth-1") == []
    assert _naming(tables, "user-1") == []
    assert tables.live.links.user("auth-2") == "user-2"


def test_both_tables_are_read_in_segments_which_together_are_the_whole(
    tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        tables.link(f"user-{number}", f"auth-{number}")
    tables.restore()
    everything = tables.named_keys()
    tables.lose_everything()
    whole, asked = Restore.everything, Counter[tuple[int, int]]()

    def of_segment(restore: Restore, segment: int = 0, segments: int = 1) -> Iterator[Stored]:
        asked[segment, segments] += 1
        return whole(restore, segment, segments)

    monkeypatch.setattr(Restore, "everything", of_segment)
    tables.bring_back()

    assert tables.named_keys() == everything
    # The restored table for what is in it and to be copied, the live one for what has happened since.
    assert asked == Counter({(segment, AT_ONCE): 3 for segment in range(AT_ONCE)})


def test_an_error_in_one_segment_ends_the_run_and_is_told(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        tables.link(f"user-{number}", f"auth-{number}")
    tables.restore()
    tables.lose_everything()

    def refused(*_: object, **__: object) -> bool:
        raise ConcurrentUpdateError

    monkeypatch.setattr(Restore, "put_back", refused)
    with pytest.raises(ConcurrentUpdateError):
        tables.bring_back()


# --- the command ---


@pytest.fixture
def stack(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> Tables:
    """The tables, and a CloudFormation stack that names the live one."""
    outputs = {"StateTableName": {"Value": "StateTable"}, "AccessRecordRetentionDays": {"Value": "2557"}}
    body = {"Resources": {"T": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
    boto3.client("cloudformation").create_stack(StackName="honnin-prod", TemplateBody=json.dumps(body))
    return tables


def _run(*arguments: str) -> Result:
    return run("restore", *arguments, env={"HONNIN_STACK": "honnin-prod"})


def test_the_command_says_what_it_would_do_then_does_it(stack: Tables) -> None:
    stack.link("user-1", "auth-1")
    stack.link("user-2", "auth-2")
    stack.restore()
    stack.erase("user-2")
    stack.lose(("PAYPAY#auth-1", "LINK"))
    given = ("--from", "restored", "--since", "2026-11-20T12:00:00+09:00")

    would = _run(*given, "--dry-run", "--json")
    assert would.exit_code == 0
    assert json.loads(would.stdout) == {
        "dryRun": True,
        "broughtBack": {"link": 1},
        "leftOut": {"of users erased since": 3},
        "erasedSince": 1,
    }
    assert stack.live.links.user("auth-1") is None
    did = _run(*given)
    assert did.exit_code == 0
    assert "1 × link" in did.stdout
    assert "1 items brought back; 1 users were erased since." in did.stdout
    assert "3 left out: of users erased since" in did.stdout
    assert "auth-" not in did.output
    assert stack.live.links.user("auth-1") == "user-1"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("--from", "StateTable"), 1, "the live table itself"),
        (("--from", "no-such-table"), 1, "ResourceNotFoundException"),
        (("--from", "restored", "--stack", "honnin-dev"), 3, "honnin-dev"),
        (("--from", "restored", "--since", "yesterday"), 2, "not a time with its offset"),
        (("--from", "restored", "--since", "2026-11-20T03:00:00"), 2, "not a time with its offset"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(stack: Tables, arguments: tuple[str, ...], code: int, word: str) -> None:
    ended = _run("--since", "2026-11-20T03:00:00Z", *arguments)
    assert ended.exit_code == code
    assert word in ended.stderr
    assert ended.stderr.count("\n") == 1
