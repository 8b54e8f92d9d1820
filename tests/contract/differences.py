"""What an emulator answers otherwise than AWS in memory, and who is right by AWS's documentation."""

from collections.abc import Mapping

from tests.contract import dynamodb, s3, sqs
from tests.contract.recorder import Case

MOTO: Mapping[Case, str] = {
    dynamodb.update_tells_what_is_new: (
        "UPDATED_NEW: moto leaves out what was set to the value that it had; the API reference says all of 'the "
        "updated attributes, as they appear after the operation'. Memory follows it."
    ),
    dynamodb.transactions_that_cannot_be: (
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
    sqs.a_visible_message_has_no_time_out: (
        "ChangeMessageVisibility of a message that is not in flight is a MessageNotInflight (its API reference); moto "
        "hides it. Memory is right."
    ),
    s3.versions: "a quiet DeleteObjects tells of errors only (its API reference); moto tells all. Memory is right.",
}
MINISTACK: Mapping[Case, str] = {}
