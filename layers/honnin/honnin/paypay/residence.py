"""The end of a user's residence period from a KYC answer. It is stored only with `WatchResidencePeriod`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from honnin.observability import count
from honnin.paypay.readings import Rules, Said
from honnin.paypay_facets import KYC_CALLS
from honnin.store import UserStatus
from honnin.times import JST

# docs/providers.md §1.2: the name of the field is known, its format is not published.
_DAY = re.compile(r"(\d{4})\s*[-/.年]?\s*(\d{1,2})\s*[-/.月]?\s*(\d{1,2})\s*日?")


def with_residence(after: UserStatus, said: Iterable[Said], rules: Rules) -> UserStatus:
    """The user with the end of the residence period from these answers, or without one."""
    for each in said:
        if each.answer.call in KYC_CALLS and each.is_success:
            day = residence_ends_on(each.kyc or {}) if rules.watch_residence else None
            after = replace(after, residence_ends_on=day)
    return after


def residence_ends_on(kyc: Mapping[str, Any]) -> str | None:
    """The last day of the period, `yyyy-mm-dd`; None if there is none, or it is no valid day."""
    said = kyc.get("expiryDate")
    if said in (None, ""):
        return None
    day = _day(str(said).strip())
    if day is None:
        count("ResidencePeriodUnreadable")
    return day


def _day(text: str) -> str | None:
    try:
        if found := _DAY.fullmatch(text):
            return date(*map(int, found.groups())).isoformat()
        moment = datetime.fromisoformat(text)
        return (moment.astimezone(JST) if moment.tzinfo else moment).date().isoformat()
    except ValueError:
        return None
