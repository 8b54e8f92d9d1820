"""The calls from outside: PayPay's four notifications, Vexora's callback, the browser that returns from PayPay.

These functions load no Powertools (the ack path is the standard library), so they are described here by hand, from
the constants of `honnin.webhook` where it has them; tests/template/test_openapi.py holds limits and examples to it.
"""

from typing import Any

from honnin import webhook
from operations.openapi import problems

type Json = dict[str, Any]

_AUTHORIZATION_ID = "a85fe9e9-b4c9-45cf-a392-834c57d83af7"
_NOTIFICATION_ID = "evt_aXnbdeFt2Ke"
_SUBMISSION_ID = "5f0c9c1e-6f0b-4d52-9d0e-0c6b7e0c2a11"
_NOTIFICATION_ID_SCHEMA: Json = {
    "description": "Notifications with the same id about the same user (or file) on the same day in Japan are "
    "handled once. An id is 1 to 128 characters, or a number. Without one, notifications "
    "whose bytes are equal are handled once",
}
_KIB = webhook.MAX_BODY_BYTES // 1024

# path -> (operationId, what PayPay calls it, kind of our event)
_PAYPAY = {
    "/webhooks/paypay/kyc": ("receivePayPayKycEvent", "KYC events", "kyc"),
    "/webhooks/paypay/risk": ("receivePayPayRiskEvent", "KYC Passport risk events", "risk"),
    "/webhooks/paypay/account-status": ("receivePayPayAccountStatusEvent", "Account status events", "account_status"),
    "/webhooks/paypay/recon": ("receivePayPayReconFile", "Recon file notifications", "recon_file"),
}
_TYPES = {kind: notification_type for notification_type, kind in webhook.PAYPAY_KINDS.items()}


def paths() -> Json:
    """The paths of the webhook API."""
    found = {path: {"post": _paypay(*described)} for path, described in _PAYPAY.items()}
    found["/webhooks/vexora/kyc-result/{submissionId}/{token}"] = {"post": _vexora()}
    found["/paypay/account-links/callback"] = {"get": _callback()}
    return dict(sorted(found.items()))


def examples() -> dict[str, Json]:
    """PayPay's own examples, by kind of event; what they leave open (`<UUID>`, `<epoch time>`) is invented."""
    user = {"notification_id": _NOTIFICATION_ID, "user_authorization_id": _AUTHORIZATION_ID}
    found = {kind: {"notification_type": _TYPES[kind], **user} for kind in ("kyc", "risk", "account_status")}
    found["recon_file"] = {
        "notification_type": _TYPES["recon_file"],
        "notification_id": "0f8d7c1e-4b3a-4f5e-9c2d-1a2b3c4d5e6f",
        "fileType": "kyc_passport_sync_recon",
        "path": "https://recon.example.jp/files/kyc_passport_900000000000000001_20260331_20260331.csv?parameters",
        "requestedAt": "1775012400",
    }
    return found


def schemas() -> Json:
    """`PayPayNotification`, its kinds, and `VexoraResult`."""
    return {
        "PayPayNotification": {
            "description": "A notification, or an array of notifications. `notification_type` decides what it is "
            "about: each of the four URLs accepts every type.",
            "anyOf": [
                {"$ref": "#/components/schemas/PayPayUserEvent"},
                {"$ref": "#/components/schemas/PayPayCustomerEvent"},
                {"$ref": "#/components/schemas/PayPayReconFile"},
                {"$ref": "#/components/schemas/PayPayOtherEvent"},
                {"type": "array", "items": {"$ref": "#/components/schemas/PayPayNotification"}},
            ],
        },
        "PayPayUserEvent": {
            "type": "object",
            "description": "Something about a user has changed. The notification contains no values; Honnin then reads "
            "them from PayPay with a signed call. The names may be in camelCase, and an id may be a number.",
            "properties": {
                "notification_type": {"enum": [_TYPES[kind] for kind in ("kyc", "risk", "account_status")]},
                "notification_id": _NOTIFICATION_ID_SCHEMA,
                "user_authorization_id": _id(64),
            },
            "required": ["notification_type", "user_authorization_id"],
        },
        "PayPayCustomerEvent": {
            "type": "object",
            "description": "The user's link was created, declined or ended, for example in the PayPay app. Honnin then "
            "reads the authorization from PayPay with a signed call.",
            "properties": {
                "notification_type": {
                    "description": "PayPay's document spells it `authroization`; `authorization` is accepted too",
                    "type": "string",
                    "pattern": "^customer[.]auth(ro|or)ization[.].+$",
                    "maxLength": 128,
                },
                "notification_id": _NOTIFICATION_ID_SCHEMA,
                "userAuthorizationId": _id(64),
            },
            "required": ["notification_type", "userAuthorizationId"],
        },
        "PayPayReconFile": {
            "type": "object",
            "description": "A daily recon file can be downloaded.",
            "properties": {
                "notification_type": {"const": _TYPES["recon_file"]},
                "notification_id": _NOTIFICATION_ID_SCHEMA,
                "fileType": _text(128),
                "path": _text(16 * 1024) | {"description": "The URL of the file"},
                "requestedAt": {
                    "description": "Epoch time in seconds or milliseconds, as a text or a number. If it is missing or "
                    "cannot be read, the time at which the notification is processed is used",
                },
            },
            "required": ["notification_type", "fileType", "path"],
        },
        "PayPayOtherEvent": {
            "description": "Any other JSON value. It is acknowledged and counted, and the SHA-256 of the body is "
            "stored. If it names a user, it is added to the user's timeline.",
        },
        "VexoraResult": {
            "type": "object",
            "description": "Vexora does not publish the fields, so any object is accepted. If it has a `sign`, it is "
            "checked, and the result is recorded. Honnin then reads the status with kycStatusQuery.",
            "minProperties": 1,
        },
    }


def responses() -> Json:
    """The plain answers of the ack path."""
    return {
        "Acknowledged": _plain("The notification was put on the queue.", "OK"),
        "Unreadable": _plain(f"The body is not JSON, or it is larger than {_KIB} KiB.", "the body is not JSON"),
        "Refused": {
            "description": "The source address is not on the allow-list, or the token is wrong.",
            "content": _text_content("this address is not allowed to call this URL") | problems.gateway_content(403),
        },
        "TooLarge": _plain(f"The body is larger than {_KIB} KiB.", f"the body is larger than {_KIB} KiB"),
        "TryAgain": _plain("The notification could not be put on the queue. Send it again.", "try again"),
    }


def _paypay(operation_id: str, name: str, kind: str) -> Json:
    return {
        "operationId": operation_id,
        "summary": f"PayPay: {name}",
        "description": "Answers as soon as the notification is on the queue. PayPay does not sign notifications; the "
        "source address must be on the allow-list.",
        "tags": ["Webhooks"],
        "security": [],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/PayPayNotification"},
                    "example": examples()[kind],
                }
            },
        },
        "responses": _answers({200: "Acknowledged", 400: "Unreadable", 403: "Refused", 503: "TryAgain"}),
    }


def _vexora() -> Json:
    schema = {"$ref": "#/components/schemas/VexoraResult"}
    example = {"userId": "user-0001", "authenticationStatus": "2", "timestamp": "1775012400000"}
    return {
        "operationId": "receiveVexoraResult",
        "summary": "Vexora: result of a submission",
        "description": "Vexora calls the URL that Honnin sent with the submission. The call is not signed; the source "
        "address must be on the allow-list, and the token must be the HMAC of the submission id.",
        "tags": ["Webhooks"],
        "security": [],
        "parameters": [
            _path_parameter("submissionId", "^[0-9A-Za-z-]{1,64}$", _SUBMISSION_ID),
            _path_parameter("token", "^[0-9a-f]{64}$", webhook.callback_token(_SUBMISSION_ID, "example")),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": schema, "example": example},
                "application/x-www-form-urlencoded": {"schema": schema, "example": example},
            },
        },
        "responses": _answers(
            {200: "Acknowledged", 400: "Unreadable", 403: "Refused", 413: "TooLarge", 503: "TryAgain"}
        ),
    }


def _callback() -> Json:
    page = {"text/html": {"schema": {"type": "string"}, "example": "<!doctype html>…"}}
    location = {
        "description": "Your `returnUrl` with `result=…` added to its query",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
        "example": "https://shop.example.jp/kyc/done?result=succeeded",
    }
    own: dict[int, Json] = {
        303: {"description": "The browser is sent to your `returnUrl`.", "headers": {"Location": location}},
        400: {"description": "The token is not valid. The browser gets a page that says so.", "content": page},
        503: {
            "description": "Honnin cannot finish now. The browser gets a page that asks the user to load it again.",
            "content": page,
        },
    }
    return {
        "operationId": "comeBackFromPayPay",
        "summary": "The browser returns from account linking at PayPay",
        "tags": ["Browser"],
        "security": [],
        "parameters": [
            {
                "name": "responseToken",
                "in": "query",
                "required": True,
                "description": "PayPay's JWT (HS256). It is verified, and is accepted only once",
                "schema": {"type": "string"},
                "example": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
            }
        ],
        "responses": {str(status): each for status, each in sorted((problems.gateway_references() | own).items())},
    }


def _answers(own: dict[int, str]) -> Json:
    references = {status: {"$ref": f"#/components/responses/{name}"} for status, name in own.items()}
    return {str(status): each for status, each in sorted((problems.gateway_references() | references).items())}


def _plain(description: str, example: str) -> Json:
    return {"description": description, "content": _text_content(example)}


def _text_content(example: str) -> Json:
    return {"text/plain": {"schema": {"type": "string"}, "example": example}}


def _path_parameter(name: str, pattern: str, example: str) -> Json:
    schema = {"type": "string", "pattern": pattern}
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


def _id(longest: int) -> Json:
    return {"anyOf": [_text(longest), {"type": "number"}]}


def _text(longest: int) -> Json:
    """1 to `longest` characters; control characters are refused, which no portable pattern can say."""
    return {"type": "string", "minLength": 1, "maxLength": longest}
