"""What an emulator answers otherwise than AWS in memory, and who is right by AWS's documentation."""

from collections.abc import Mapping

from tests.contract import dynamodb, s3, sqs
from tests.contract.recorder import Case

MOTO: Mapping[Case, str] = {
    dynamodb.update_tells_what_is_new: (
        "UPDATED_NEW: moto leaves out what was set to the value that it had; the API reference says 'the updated "
        "attributes, as they appear after the operation'. Memory follows it."
    ),
    dynamodb.a_transaction_without_a_key: (
        "a Put without its sort key: moto cancels the transaction for a KeyError of its own; AWS answers "
        "ValidationException (CommonErrors). Memory is right."
    ),
    dynamodb.a_page_that_ends_with_the_last_item: (
        "a page that ends by its limit names a next one, even when nothing is left (developer guide, 'Paginating table "
        "query results'); moto looks further. Memory is right."
    ),
    dynamodb.batches_that_cannot_be: (
        "one item twice in a BatchWriteItem rejects the whole (its API reference); moto does it. Memory is right."
    ),
    dynamodb.placeholders_that_are_not_defined: (
        "a name that is used and not defined is a ValidationException; moto fails with a KeyError. Memory is right."
    ),
    sqs.an_old_handle_deletes_nothing: (
        "with a handle that is not the most recent one DeleteMessage succeeds and deletes nothing (its API reference); "
        "moto deletes the message. Memory is right."
    ),
    sqs.a_visible_message_has_no_time_out: (
        "ChangeMessageVisibility of a message that is not in flight is a MessageNotInflight (its API reference); moto "
        "hides it. Memory is right."
    ),
    s3.versions: "a quiet DeleteObjects reports errors only (its API reference); moto reports all. Memory is right.",
}
MINISTACK: Mapping[Case, str] = {
    dynamodb.a_transaction_without_a_key: "an item without its sort key is a ValidationException; ministack takes it.",
    dynamodb.an_attribute_is_not_set_twice: (
        "two paths of an update that overlap are a ValidationException (developer guide, 'Update expressions'); "
        "ministack takes them. Memory is right."
    ),
    sqs.a_message_is_deleted_twice: (
        "DeleteMessage of a message that is gone succeeds; ministack knows its handle no more. Memory is right."
    ),
    sqs.an_old_handle_deletes_nothing: (
        "with a handle that is not the most recent one DeleteMessage succeeds and deletes nothing (its API reference); "
        "ministack refuses it. Memory is right."
    ),
    sqs.a_visible_message_has_no_time_out: "As moto. Memory is right.",
    sqs.numbers_that_cannot_be: (
        "a delay over 900 s and a time-out over 12 h are refused (API reference of SendMessage and "
        "ChangeMessageVisibility); ministack takes them. Memory is right."
    ),
    s3.objects: (
        "an object without a Content-Type has binary/octet-stream (API reference of PutObject); ministack says "
        "application/octet-stream. Memory is right."
    ),
    s3.uploads_in_parts: "As objects. Memory is right.",
    s3.uploads_that_end_otherwise: (
        "a part below 5 MiB that is not the last is EntityTooSmall (API reference of CompleteMultipartUpload); "
        "ministack takes it. Memory is right."
    ),
}
