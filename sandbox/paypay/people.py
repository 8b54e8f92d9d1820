"""Invented people, for the KYC register. Any likeness is chance.

Only the names `status`, `eKycDocument`, `residenceType`, `expiryDate` and `selfieImageUrl` are proven; the other
keys of `data`, and all values, are guesses.
"""

import hashlib
from dataclasses import dataclass, field


@dataclass
class Kyc:
    """What PayPay's KYC register holds of one user; `data` is what the reads answer."""

    data: dict[str, object]
    completed: bool = True
    ekyc: bool = True

    def view(self) -> dict[str, object]:
        """Return it as it can be set again over the control API."""
        return {"completed": self.completed, "ekyc": self.ekyc, "data": self.data}


@dataclass(frozen=True)
class _Person:
    last_name: str
    first_name: str
    last_kana: str
    first_kana: str
    birthday: str
    address: tuple[str, str, str, str] = field(repr=False)
    document: str = "MY_NUMBER_CARD"
    residence: tuple[str, str] | None = None


_PEOPLE = (
    _Person("架空", "花子", "カクウ", "ハナコ", "1990-04-01", ("000-0001", "東京都", "架空区見本", "1-2-3")),
    _Person("見本", "太郎", "ミホン", "タロウ", "1985-12-24", ("000-0002", "大阪府", "見本市例町", "4-5")),
    _Person(
        "例示", "さくら", "レイジ", "サクラ", "2001-02-28", ("000-0003", "北海道", "例示市北", "6"), "DRIVERS_LICENSE"
    ),
    _Person(
        "SAMPLE",
        "ALEX",
        "サンプル",
        "アレックス",
        "1995-07-15",
        ("000-0004", "福岡県", "仮想市南", "7-8"),
        "RESIDENCE_CARD",
        ("ENGINEER_SPECIALIST_IN_HUMANITIES", "2029-03-31"),
    ),
)


def invented_kyc(seed: str) -> Kyc:
    """Return the KYC of the invented person that belongs to `seed`, always the same one."""
    person = _PEOPLE[hashlib.sha256(seed.encode("utf-8", "replace")).digest()[0] % len(_PEOPLE)]
    postal_code, prefecture, city, street = person.address
    data: dict[str, object] = {
        "status": "COMPLETED",
        "eKycDocument": person.document,
        "lastName": person.last_name,
        "firstName": person.first_name,
        "lastNameKana": person.last_kana,
        "firstNameKana": person.first_kana,
        "birthday": person.birthday,
        "address": {"postalCode": postal_code, "prefecture": prefecture, "city": city, "street": street},
    }
    if person.residence is not None:
        data["residenceType"], data["expiryDate"] = person.residence
    return Kyc(data)


def masked_phone(seed: str) -> str:
    """Return a `profileIdentifier`: a phone number of which four digits show."""
    digits = int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()[1:5]) % 10_000
    return f"*******{digits:04d}"
