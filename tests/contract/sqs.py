"""The kinds of requests that Honnin and its operators make of queues, and those that SQS refuses."""

from typing import Any

from tests.contract.recorder import Case, Recorder

_RECEIVE = {"AttributeNames": ["ApproximateReceiveCount"], "MessageAttributeNames": ["All"], "WaitTimeSeconds": 0}


def _receive(call: Recorder, **request: Any) -> list[Any]:
    return list(call("receive_message", **_RECEIVE, **request).get("Messages", []))


def a_message_comes_and_goes(call: Recorder) -> None:
    """With its attributes; hidden while it is worked on."""
    dead_lettered = {"errorType": {"DataType": "String", "StringValue": "MalformedEventError"}}
    call("send_message", MessageBody="one", MessageAttributes=dead_lettered)
    [message] = _receive(call, MaxNumberOfMessages=10, VisibilityTimeout=60)
    _receive(call)
    call("delete_message", ReceiptHandle=message["ReceiptHandle"])
    _receive(call)


def a_message_is_deleted_twice(call: Recorder) -> None:
    """The second time it is no error."""
    call("send_message", MessageBody="twice")
    [message] = _receive(call)
    for _ in range(2):
        call("delete_message", ReceiptHandle=message["ReceiptHandle"])


def an_old_handle_deletes_nothing(call: Recorder) -> None:
    """The message was received again since: the deletion succeeds, and the message stays."""
    call("send_message", MessageBody="again")
    [first] = _receive(call)
    call("change_message_visibility", ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0)
    [second] = _receive(call)
    call("delete_message", ReceiptHandle=first["ReceiptHandle"])
    call("change_message_visibility", ReceiptHandle=second["ReceiptHandle"], VisibilityTimeout=0)
    for message in _receive(call):
        call("delete_message", ReceiptHandle=message["ReceiptHandle"])


def a_message_comes_again(call: Recorder) -> None:
    """At once, by a visibility time-out of 0; each receive counts."""
    call("send_message", MessageBody="two")
    for _ in range(2):
        [message] = _receive(call)
        call("change_message_visibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [message] = _receive(call)
    call("change_message_visibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=900)
    _receive(call)
    call("delete_message", ReceiptHandle=message["ReceiptHandle"])


def a_delayed_message(call: Recorder) -> None:
    """Is not there yet."""
    call("send_message", MessageBody="later", DelaySeconds=900)
    _receive(call)


def a_visible_message_has_no_time_out(call: Recorder) -> None:
    """Only what was received can be hidden longer."""
    call("send_message", MessageBody="visible")
    [message] = _receive(call)
    call("change_message_visibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    call("change_message_visibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=10)
    [message] = _receive(call)
    call("delete_message", ReceiptHandle=message["ReceiptHandle"])


def batches(call: Recorder) -> None:
    """Up to ten at once, sent and deleted."""
    entries = [{"Id": str(number), "MessageBody": f"m{number}"} for number in range(10)]
    call("send_message_batch", Entries=entries)
    found = call.client.receive_message(QueueUrl=call.target, MaxNumberOfMessages=10)["Messages"]
    call.answers.append(("received", sorted(each["Body"] for each in found)))
    handles = [{"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]} for number, each in enumerate(found)]
    call("delete_message_batch", Entries=handles)
    _receive(call)


def batches_that_cannot_be(call: Recorder) -> None:
    """None, eleven, one id twice."""
    entries = [{"Id": str(number), "MessageBody": "m"} for number in range(11)]
    call("send_message_batch", Entries=[])
    call("send_message_batch", Entries=entries)
    call("send_message_batch", Entries=[entries[0], entries[0]])
    _receive(call)


def numbers_that_cannot_be(call: Recorder) -> None:
    """Too long a delay, too many messages, too long a time-out."""
    call("send_message", MessageBody="m", DelaySeconds=901)
    call("receive_message", MaxNumberOfMessages=11)
    call("send_message", MessageBody="hidden")
    [message] = _receive(call)
    call("change_message_visibility", ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=43_201)
    call("delete_message", ReceiptHandle=message["ReceiptHandle"])


def a_handle_that_is_none(call: Recorder) -> None:
    """Refused by its form."""
    call("delete_message", ReceiptHandle="none")
    call("change_message_visibility", ReceiptHandle="none", VisibilityTimeout=0)


CASES: tuple[Case, ...] = (
    a_message_comes_and_goes,
    a_message_is_deleted_twice,
    an_old_handle_deletes_nothing,
    a_message_comes_again,
    a_delayed_message,
    a_visible_message_has_no_time_out,
    batches,
    batches_that_cannot_be,
    numbers_that_cannot_be,
    a_handle_that_is_none,
)
