"""The kinds of requests that `honnin.store` makes of the table, and those that DynamoDB refuses."""

from collections.abc import Mapping
from typing import Any

from tests.contract.recorder import Case, Recorder

type Item = dict[str, Any]


def key(case: str, sk: str = "A") -> Item:
    """A key of the case's own."""
    return {"pk": {"S": f"CONTRACT#{case}"}, "sk": {"S": sk}}


def item(case: str, sk: str = "A", **values: Any) -> Item:
    """An item: texts and numbers as they are, lists as lists, sets as sets of texts."""
    return key(case, sk) | {name: wire(value) for name, value in values.items()}


def wire(value: Any) -> Any:
    """A value as it goes over the wire."""
    match value:
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case set():
            return {"SS": sorted(value)}
        case list():
            return {"L": [wire(each) for each in value]}
    return {"M": {name: wire(each) for name, each in value.items()}}


def values(**given: Any) -> dict[str, Any]:
    """ExpressionAttributeValues."""
    return {f":{name}": wire(value) for name, value in given.items()}


def _clean(call: Recorder, case: str, *sks: str) -> None:
    """The table may be another test's as well: what an earlier run left goes away, unrecorded."""
    for sk in sks:
        call.client.delete_item(TableName=call.target, Key=key(case, sk))


# --- single writes ---


def put_where_nothing_lives(call: Recorder) -> None:
    """As every new item: an item that has expired may still be there, and counts for nothing."""
    new: Item = {
        "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
        "ExpressionAttributeValues": values(now=100),
    }
    call("put_item", Item=item("put", expires_at=100), **new)
    call("put_item", Item=item("put", expires_at=101, second=True), **new)
    call("put_item", Item=item("put", expires_at=200), **new)
    call("get_item", Key=key("put"), ConsistentRead=True)
    call("get_item", Key=key("put", "absent"))
    _clean(call, "put", "A")


def put_over_a_version(call: Recorder) -> None:
    """As a status: the version fences, and so does the time of the reading."""
    fence = "version = :version AND (attribute_not_exists(read_at) OR read_at <= :read_at)"
    call("put_item", Item=item("version", version=1))
    for version, read_at in ((1, "b"), (1, "c"), (2, "a"), (2, "b")):
        call(
            "put_item",
            Item=item("version", version=2, read_at="b"),
            ConditionExpression=fence,
            ExpressionAttributeValues=values(version=version, read_at=read_at),
        )
    call("get_item", Key=key("version"))
    _clean(call, "version", "A")


def update_makes_and_changes(call: Recorder) -> None:
    """SET, REMOVE and ADD together; every right side sees the item as it was."""
    both = "SET first_seen = if_not_exists(first_seen, :at), expires_at = :end REMOVE gone ADD n :one, shards :shard"
    for at, shard in (("1", "a"), ("2", "b")):
        call(
            "update_item",
            Key=key("update"),
            UpdateExpression=both,
            ExpressionAttributeValues=values(at=at, end=9, one=1, shard={shard}),
        )
        call("get_item", Key=key("update"))
    swap = {"UpdateExpression": "SET a1 = first_seen, first_seen = :new", "ExpressionAttributeValues": values(new="3")}
    call("update_item", Key=key("update"), **swap)
    call("update_item", Key=key("update"), UpdateExpression="REMOVE a1, absent")
    call("get_item", Key=key("update"))
    _clean(call, "update", "A")


def update_tells_what_is_new(call: Recorder) -> None:
    """As the count of failures."""
    for _ in range(2):
        call(
            "update_item",
            Key=key("told"),
            UpdateExpression="SET expires_at = :end ADD failures :one",
            ExpressionAttributeValues=values(one=1, end=7),
            ReturnValues="UPDATED_NEW",
        )
    _clean(call, "told", "A")


def a_refused_update_tells_what_is_there(call: Recorder) -> None:
    """As the slots of a second: what they are is known without another read."""
    update = {
        "Key": key("refused"),
        "UpdateExpression": "SET #rate = :rate ADD #used :number",
        "ConditionExpression": "(attribute_not_exists(#rate) OR #rate = :rate) AND #used BETWEEN :floor AND :ceiling",
        "ExpressionAttributeNames": {"#rate": "rate", "#used": "used"},
        "ExpressionAttributeValues": values(rate=50, number=3, floor=1, ceiling=4),
        "ReturnValues": "ALL_NEW",
    }
    call("update_item", **update, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    call("put_item", Item=item("refused", used=2))
    call("update_item", **update, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    call("update_item", **update, ReturnValuesOnConditionCheckFailure="ALL_OLD")
    call("update_item", **update)
    _clean(call, "refused", "A")


def update_of_an_item_that_is_not_there(call: Recorder) -> None:
    """A condition is about an empty item then."""
    for condition in ("attribute_exists(pk)", "n = :n", "n <> :n", "NOT n = :n", "attribute_not_exists(pk) OR n < :n"):
        given = values(n=1) if ":n" in condition else {}
        call(
            "update_item",
            Key=key("absent"),
            UpdateExpression="SET seen = :seen",
            ConditionExpression=condition,
            ExpressionAttributeValues={**given, **values(seen="x")},
        )
        _clean(call, "absent", "A")


def conditions(call: Recorder) -> None:
    """Each kind of condition, met and not met."""
    call("put_item", Item=item("if", n=10, told="abc", state="STORED", held=["x", "y"], ids={"p", "q"}))
    tried: list[tuple[str, Mapping[str, Any]]] = [
        ("n = :v", {"v": 10}),
        ("n = :v", {"v": "10"}),
        ("n <> :v", {"v": "10"}),
        ("n > :v", {"v": 9}),
        ("n >= :v", {"v": 10}),
        ("n < :v", {"v": 9}),
        ("n < :v", {"v": 100}),
        ("n <= :v", {"v": 9}),
        ("absent < :v", {"v": 9}),
        ("n BETWEEN :v AND :w", {"v": 10, "w": 11}),
        ("n BETWEEN :v AND :w", {"v": 11, "w": 12}),
        ("#state IN (:v, :w)", {"v": "COMPARED", "w": "STORED"}),
        ("NOT #state IN (:v, :w)", {"v": "COMPARED", "w": "INVALID"}),
        ("NOT #state IN (:v, :w)", {"v": "COMPARED", "w": "STORED"}),
        ("begins_with(told, :v)", {"v": "ab"}),
        ("begins_with(told, :v)", {"v": "b"}),
        ("begins_with(absent, :v)", {"v": "b"}),
        ("contains(held, :v)", {"v": "y"}),
        ("contains(held, :v)", {"v": "z"}),
        ("contains(ids, :v)", {"v": "q"}),
        ("contains(told, :v)", {"v": "bc"}),
        ("contains(absent, :v)", {"v": "bc"}),
        ("held = :v", {"v": ["x", "y"]}),
        ("held = :v", {"v": ["y", "x"]}),
        ("ids = :v", {"v": {"q", "p"}}),
        ("attribute_exists(n) AND attribute_not_exists(m) OR n = :v", {"v": 1}),
        ("attribute_exists(m) AND (attribute_exists(n) OR n = :v)", {"v": 10}),
        ("NOT (n = :v)", {"v": 10}),
    ]
    for condition, given in tried:
        names = {"ExpressionAttributeNames": {"#state": "state"}} if "#state" in condition else {}
        call(
            "update_item",
            Key=key("if"),
            UpdateExpression="SET seen = :seen",
            ConditionExpression=condition,
            ExpressionAttributeValues=values(seen=condition, **given),
            **names,
        )
    _clean(call, "if", "A")


def delete_under_a_condition(call: Recorder) -> None:
    """As the end of a claim."""
    ours: Item = {"ConditionExpression": "claimed_until = :ours", "ExpressionAttributeValues": values(ours="a")}
    call("delete_item", Key=key("delete"), **ours)
    call("put_item", Item=item("delete", claimed_until="b"))
    call("delete_item", Key=key("delete"), **ours)
    call("put_item", Item=item("delete", claimed_until="a"))
    call("delete_item", Key=key("delete"), **ours)
    call("get_item", Key=key("delete"))
    call("delete_item", Key=key("delete"))


# --- transactions ---


def transactions(call: Recorder) -> None:
    """All or nothing; the reasons keep the places of the writes."""
    table = {"TableName": call.target}
    absent = {"ConditionExpression": "attribute_not_exists(pk)"}
    put = {"Put": {**table, "Item": item("tx", "B", n=1), **absent}}
    update = {
        "Update": {
            **table,
            "Key": key("tx", "C"),
            "UpdateExpression": "SET n = :n REMOVE due_kind",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": values(n=2),
        }
    }
    gone = {"Delete": {**table, "Key": key("tx", "D"), "ConditionExpression": "attribute_exists(pk)"}}
    check = {"ConditionCheck": {**table, "Key": key("tx", "E"), **absent}}
    call("transact_write_items", TransactItems=[put, update, gone, check])
    call("get_item", Key=key("tx", "B"))
    call("put_item", Item=item("tx", "C", n=0, due_kind="x"))
    call("put_item", Item=item("tx", "D"))
    call("transact_write_items", TransactItems=[put, update, gone, check])
    for sk in "BCDE":
        call("get_item", Key=key("tx", sk))
    call("transact_write_items", TransactItems=[put, update, gone, check])
    _clean(call, "tx", *"BCDE")


def a_transaction_with_one_item_twice(call: Recorder) -> None:
    """Refused as a whole."""
    put = {"Put": {"TableName": call.target, "Item": item("bad", n=1)}}
    gone = {"Delete": {"TableName": call.target, "Key": key("bad")}}
    call("transact_write_items", TransactItems=[put, gone])
    call("get_item", Key=key("bad"))


def a_transaction_without_a_key(call: Recorder) -> None:
    """Refused as a whole, too."""
    no_key = {"Put": {"TableName": call.target, "Item": {"pk": {"S": "CONTRACT#bad"}}}}
    call("transact_write_items", TransactItems=[no_key])


# --- queries ---


def _some(call: Recorder, case: str) -> list[str]:
    sks = ["AT#1", "AT#2", "AT#3", "AT#4", "AT#5", "BY#1", "STATUS#x"]
    for number, sk in enumerate(sks):
        call.client.put_item(TableName=call.target, Item=item(case, sk, n=number, expires_at=number * 10))
    return sks


def queries(call: Recorder) -> None:
    """By prefix, between two keys, backwards; what has expired is still there."""
    sks = _some(call, "query")
    pk = {":pk": {"S": "CONTRACT#query"}}
    for condition, given in (
        ("pk = :pk", {}),
        ("pk = :pk AND begins_with(sk, :sk)", values(sk="AT#")),
        ("pk = :pk AND sk BETWEEN :a AND :b", values(a="AT#2", b="AT#4")),
        ("pk = :pk AND sk BETWEEN :a AND :b", values(a="AT#", b="AT#~")),
        ("pk = :pk AND sk <= :sk", values(sk="AT#2")),
        ("pk = :pk AND sk > :sk", values(sk="BY#1")),
        ("pk = :pk AND begins_with(sk, :sk)", values(sk="absent")),
    ):
        for forward in (True, False):
            call(
                "query",
                KeyConditionExpression=condition,
                ExpressionAttributeValues=pk | given,
                ScanIndexForward=forward,
                ConsistentRead=True,
            )
    _clean(call, "query", *sks)


def pages(call: Recorder) -> None:
    """The limit counts what was looked at; the filter comes after it."""
    sks = _some(call, "pages")
    query: Item = {
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
        "ExpressionAttributeValues": {":pk": {"S": "CONTRACT#pages"}} | values(sk="AT#", now=15),
        "FilterExpression": "expires_at > :now",
        "ProjectionExpression": "sk",
    }
    for forward in (True, False):
        start: Item = {}
        for _ in range(4):
            page = call("query", Limit=2, ScanIndexForward=forward, **query, **start)
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    # After an item that is gone, as a cursor may name one.
    call("query", Limit=2, **query, ExclusiveStartKey=key("pages", "AT#2x"))
    call("query", Limit=2, ScanIndexForward=False, **query, ExclusiveStartKey=key("pages", "AT#4x"))
    _clean(call, "pages", *sks)


def a_page_that_ends_with_the_last_item(call: Recorder) -> None:
    """DynamoDB does not look whether there is more."""
    sks = _some(call, "last")
    call(
        "query",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "CONTRACT#last"}},
        Limit=len(sks),
    )
    _clean(call, "last", *sks)


def the_sparse_index(call: Recorder) -> None:
    """As what is due: an item is in it as long as it has both attributes."""
    for number in (3, 1, 2):
        call.client.put_item(
            TableName=call.target, Item=item("due", str(number), due_kind="CONTRACT", due_at=f"2026-0{number}")
        )
    call.client.put_item(TableName=call.target, Item=item("due", "4", due_kind="CONTRACT"))
    due: Item = {
        "IndexName": "due",
        "KeyConditionExpression": "due_kind = :kind AND due_at <= :now",
        "ExpressionAttributeValues": values(kind="CONTRACT", now="2026-02"),
    }
    call("query", **due)
    page = call("query", Limit=1, **due)
    call("query", Limit=1, **due, ExclusiveStartKey=page["LastEvaluatedKey"])
    call("update_item", Key=key("due", "1"), UpdateExpression="REMOVE due_kind, due_at")
    call("query", **due)
    _clean(call, "due", *"1234")


def an_index_that_holds_a_part(call: Recorder) -> None:
    """As the lists of users: what is not projected is neither told nor compared, and a count names nobody."""
    for number in (1, 2, 3):
        place = {"overview_pk": "CONTRACT", "overview_sk": f"2026-0{number}#u{number}"}
        call.client.put_item(TableName=call.target, Item=item("part", str(number), **place, status="A", version=number))
    request: Item = {
        "IndexName": "overview",
        "KeyConditionExpression": "overview_pk = :pk AND overview_sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": values(pk="CONTRACT", first="0", last="2026-03"),
        "ScanIndexForward": False,
    }
    call("query", **request)
    page = call("query", Limit=1, **request)
    call("query", **request, ExclusiveStartKey=page["LastEvaluatedKey"])
    call("query", **request, Select="COUNT")
    moved = {":pk": "CONTRACT", ":sk": "2026-09#u1"}
    call.client.update_item(
        TableName=call.target,
        Key=key("part", "1"),
        UpdateExpression="SET overview_pk = :pk, overview_sk = :sk",
        ExpressionAttributeValues={name: wire(value) for name, value in moved.items()},
    )
    call("query", **request)
    filtered = {**request, "ExpressionAttributeValues": values(pk="CONTRACT", first="0", last="~", status="A")}
    call("query", **filtered, FilterExpression="#status = :status", ExpressionAttributeNames={"#status": "status"})
    _clean(call, "part", *"123")


def a_consistent_read_of_an_index(call: Recorder) -> None:
    """There is none."""
    call(
        "query",
        IndexName="due",
        KeyConditionExpression="due_kind = :kind",
        ExpressionAttributeValues=values(kind="CONTRACT"),
        ConsistentRead=True,
    )


def scans(call: Recorder) -> None:
    """Filtered by prefix, as for an operator's rare question."""
    sks = _some(call, "scan")
    start: Item = {}
    found: list[Any] = []
    while True:
        page = call.client.scan(
            TableName=call.target,
            FilterExpression="begins_with(pk, :pk) AND sk IN (:a, :b)",
            ExpressionAttributeValues=values(pk="CONTRACT#scan", a="AT#1", b="BY#1"),
            **start,
        )
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    call.answers.append(("scan", sorted(each["sk"]["S"] for each in found)))
    _clean(call, "scan", *sks)


# --- batches ---


def batches(call: Recorder) -> None:
    """Those items that exist; a deletion of one that does not is no error."""
    call("put_item", Item=item("batch", "1", n=1))
    call("put_item", Item=item("batch", "2", n=2))
    wanted = {"Keys": [key("batch", sk) for sk in "123"], "ConsistentRead": True}
    call("batch_get_item", RequestItems={call.target: wanted})
    gone: list[Item] = [{"DeleteRequest": {"Key": key("batch", sk)}} for sk in "13"]
    call("batch_write_item", RequestItems={call.target: [*gone, {"PutRequest": {"Item": item("batch", "4")}}]})
    call("batch_get_item", RequestItems={call.target: {"Keys": [key("batch", sk) for sk in "1234"]}})
    _clean(call, "batch", *"1234")


def batches_that_cannot_be(call: Recorder) -> None:
    """One key twice, and more than DynamoDB takes."""
    call("batch_get_item", RequestItems={call.target: {"Keys": [key("many"), key("many")]}})
    call("batch_get_item", RequestItems={call.target: {"Keys": [key("many", str(n)) for n in range(101)]}})
    gone = [{"DeleteRequest": {"Key": key("many", str(number))}} for number in range(26)]
    call("batch_write_item", RequestItems={call.target: gone})
    call("batch_write_item", RequestItems={call.target: [gone[0], gone[0]]})


# --- what DynamoDB refuses ---


def a_value_that_is_not_used(call: Recorder) -> None:
    """Unused placeholders are mistakes."""
    call(
        "update_item",
        Key=key("unused"),
        UpdateExpression="SET a1 = :a",
        ExpressionAttributeValues=values(a=1, b=2),
    )
    _clean(call, "unused", "A")


def a_name_that_is_not_used(call: Recorder) -> None:
    """The same for names."""
    call(
        "update_item",
        Key=key("unused"),
        UpdateExpression="SET a1 = :a",
        ExpressionAttributeNames={"#b": "b"},
        ExpressionAttributeValues=values(a=1),
    )
    _clean(call, "unused", "A")


def placeholders_that_are_not_defined(call: Recorder) -> None:
    """A value and a name that are used and not given."""
    call("update_item", Key=key("undefined"), UpdateExpression="SET a1 = :a")
    call("put_item", Item=item("undefined"), ConditionExpression="#n = :n", ExpressionAttributeValues=values(n=1))
    _clean(call, "undefined", "A")


def keys_that_cannot_be(call: Recorder) -> None:
    """Empty, of another type, or not whole."""
    call("put_item", Item=item("key", ""))
    call("put_item", Item={"pk": {"S": "CONTRACT#key"}, "sk": {"N": "1"}})
    call("put_item", Item={"pk": {"S": "CONTRACT#key"}})
    call("get_item", Key={"pk": {"S": "CONTRACT#key"}})


def reserved_words(call: Recorder) -> None:
    """Stand for nothing without a placeholder."""
    for name in ("state", "url", "status", "result", "counts"):
        call("put_item", Item=item("word"), ConditionExpression=f"attribute_not_exists({name})")
        call(
            "update_item",
            Key=key("word"),
            UpdateExpression=f"SET {name} = :v",
            ExpressionAttributeValues=values(v=1),
        )
    _clean(call, "word", "A")


def a_key_is_never_updated(call: Recorder) -> None:
    """Nor is an attribute set twice."""
    call("update_item", Key=key("fixed"), UpdateExpression="SET sk = :sk", ExpressionAttributeValues=values(sk="B"))
    _clean(call, "fixed", "A", "B")


def an_attribute_is_not_set_twice(call: Recorder) -> None:
    """Two paths overlap."""
    twice = "SET a1 = :a REMOVE a1"
    call("update_item", Key=key("twice"), UpdateExpression=twice, ExpressionAttributeValues=values(a=1))
    _clean(call, "twice", "A")


def an_addition_to_a_text(call: Recorder) -> None:
    """Operands of other types."""
    call("put_item", Item=item("add", n="text"))
    call("update_item", Key=key("add"), UpdateExpression="ADD n :one", ExpressionAttributeValues=values(one=1))
    call("get_item", Key=key("add"))
    _clean(call, "add", "A")


CASES: tuple[Case, ...] = (
    put_where_nothing_lives,
    put_over_a_version,
    update_makes_and_changes,
    update_tells_what_is_new,
    a_refused_update_tells_what_is_there,
    update_of_an_item_that_is_not_there,
    conditions,
    delete_under_a_condition,
    transactions,
    a_transaction_with_one_item_twice,
    a_transaction_without_a_key,
    queries,
    pages,
    a_page_that_ends_with_the_last_item,
    the_sparse_index,
    an_index_that_holds_a_part,
    a_consistent_read_of_an_index,
    scans,
    batches,
    batches_that_cannot_be,
    a_value_that_is_not_used,
    a_name_that_is_not_used,
    placeholders_that_are_not_defined,
    keys_that_cannot_be,
    reserved_words,
    a_key_is_never_updated,
    an_attribute_is_not_set_twice,
    an_addition_to_a_text,
)
