"""What of PayPay's answers and notifications is missing or of another type, as the dice say.

Promised are: `resultInfo.code`; of `data` the link's URL and code id, the authorization's id, status, scopes and
`expireAt`. Nothing else is (docs/providers.md §1.2): of a KYC five names are proven, but neither that they are there
nor their types. Its `status` and the URL of the selfie, which a read is judged by, stay nevertheless.
"""

from collections.abc import Callable, Mapping, MutableMapping

from sandbox.unkind import Dice, odd_text, other_type, written

PROVEN_KYC_KEYS = frozenset({"status", "eKycDocument", "residenceType", "expiryDate", "selfieImageUrl"})
_DECIDING_KYC_KEYS = frozenset({"status", "selfieImageUrl"})
_EPOCHS = ("expireAt", "issuedAt")
_UNPROMISED_OF_AUTHORIZATION = ("referenceIds", "issuedAt")
# Claims of a response token that PayPay does not document.
_CLAIMS: Mapping[str, Mapping[str, object]] = {
    "numbers": {"sub": 4711, "jti": 20261127, "nbf": 0},
    "null": {"sub": None, "jti": None, "scope": None},
    "lists": {"sub": ["4711"], "jti": True, "roles": []},
}


def vary(document: MutableMapping[str, object], endpoint: str, dice: Dice) -> None:
    """Change an envelope in place. The code and what decides in `data` stay as they are."""
    info = document["resultInfo"]
    assert isinstance(info, dict)
    _change(info, ["codeId"], dice.variant("code_id"), {"number": lambda value: int(str(value))})
    if (odd := odd_text(dice)) is not None:
        info["message"] = odd
    _change(info, ["message"], dice.variant("no_message"))
    data = document["data"]
    if not isinstance(data, dict):
        match dice.variant("no_data"):
            case "absent":
                del document["data"]
            case "empty":
                document["data"] = {}
    elif endpoint == "authorization":
        _change(data, _EPOCHS, "text" if dice.takes("epoch_text") else None, {"text": str})
        _change(data, _UNPROMISED_OF_AUTHORIZATION, dice.variant("authorization_keys"))
    elif endpoint.startswith("kyc_"):
        proven = [name for name in data if name in PROVEN_KYC_KEYS - _DECIDING_KYC_KEYS]
        _change(data, proven, dice.variant("kyc_proven"), {"object": lambda value: {"value": value}})
        names = [name for name in data if name not in PROVEN_KYC_KEYS]
        variant = dice.variant("kyc_keys")
        if variant == "renamed":
            for name in names:
                data[f"kyc_{name.lower()}"] = data.pop(name)
        else:
            _change(data, names, variant)


def claims(known: dict[str, object], dice: Dice) -> dict[str, object]:
    """Return the claims of a response token, and others that no document names."""
    variant = dice.variant("token_claims")
    return known if variant is None else {**known, **_CLAIMS[variant]}


def notification(fields: Mapping[str, object], dice: Dice, json_type: str) -> tuple[bytes, str]:
    """Return the body of a notification, and its content type ("" for none): the document names none."""
    content_type = other_type(dice.variant("webhook_type"), may_be_text=True)
    shown: object = fields
    match dice.variant("webhook_shape"):
        case "array":
            shown = [fields, fields]
        case "camel_case":
            shown = {_camel_case(name): value for name, value in fields.items()}
    return written(shown, dice), json_type if content_type is None else content_type


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def _change(
    target: dict[str, object],
    names: "list[str] | tuple[str, ...]",
    variant: str | None,
    conversions: Mapping[str, Callable[[object], object]] | None = None,
) -> None:
    for name in names:
        if name not in target or variant is None:
            continue
        if variant == "absent":
            del target[name]
        else:
            target[name] = None if variant == "null" else (conversions or {})[variant](target[name])
