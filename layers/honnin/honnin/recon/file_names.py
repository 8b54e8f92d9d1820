"""Reads the name of a recon file: pure functions. What they find never ends a file.

Base document, "File Name": `<prefix><id>_<from>_<to>.csv`. The format of `<from>` and `<to>` is not published
(docs/providers.md §1.5). So all formats that a Japanese system may write are read: with and without separators and
times, in UTC, as epoch times, and with a year of two digits or of the Japanese era.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from urllib.parse import unquote, urlsplit

from honnin import times
from honnin.recon.file_types import FILE_TYPES, SENT_AGAIN_FOR
from honnin.wording import Wording

_LONGEST_NAME = 200
# Characters that are safe in an S3 key and in a DynamoDB key without encoding.
_UNSAFE = re.compile(r"[^A-Za-z0-9._:+@=,()-]+")

_PREFIX = re.compile(r"kyc[-_ ]?passport(?:[-_ ]?(risk|account[-_ ]?status))?(?![A-Za-z])", re.IGNORECASE)
_TYPES = {each.prefix.removeprefix("kyc_passport_").replace("_", ""): each.name for each in FILE_TYPES.values()}

# A date that has more than digits: with separators, with the era Reiwa, or with a year of two digits.
_SEPARATED = re.compile(
    r"(?<!\d)(?P<year>20\d\d)[-_./年](?P<month>\d{1,2})[-_./月](?P<day>\d{1,2})日?(?!\d)"
    r"|(?:令和|(?<![A-Za-z])R)(?P<era>\d{1,2})[-_./年](?P<era_month>\d{1,2})[-_./月](?P<era_day>\d{1,2})日?(?!\d)"
    r"|(?:令和|(?<![A-Za-z])R)(?P<e>\d\d)(?P<em>\d\d)(?P<ed>\d\d)(?!\d)"
    r"|(?<!\d)(?P<yy>[2-9]\d)[-./](?P<mm>\d\d)[-./](?P<dd>\d\d)(?!\d)"
    r"|(?<!\d)(?P<digits>\d{6,17})(?!\d)",
    re.IGNORECASE,
)
_REIWA = 2018

# A time after a date. The text after a date may also be another date.
_TIME = re.compile(
    r"[T_\- ]?(?!20\d\d[-_./年]\d{1,2}[-_./月]\d|20\d{6})"
    r"(?P<hour>[01]\d|2[0-4])"
    r"(?:[-_:.時]?(?P<minute>[0-5]\d)(?:[-_:.分]?(?P<second>[0-5]\d))?秒?(?:[.,]\d+)?|(?<=T\d\d)|(?<=t\d\d))(?!\d)",
    re.IGNORECASE,
)
_ZONE = re.compile(r"[ _]?(?P<utc>Z|UTC|GMT)(?![A-Za-z])|(?P<sign>[+-])(?P<h>0\d|1[0-4]):?(?P<m>00|30|45)(?!\d)", re.I)

# Number of digits -> the formats they may have.
_DIGITS = {
    6: ("%y%m%d",),
    8: ("%Y%m%d",),
    10: ("%Y%m%d%H", "%y%m%d%H%M"),
    12: ("%Y%m%d%H%M", "%y%m%d%H%M%S"),
    14: ("%Y%m%d%H%M%S",),
    17: ("%Y%m%d%H%M%S%f",),
}
_PER_SECOND = {10: 1, 13: 1_000, 16: 1_000_000}
_YEARS = range(2020, 2100)

# `from` and `to` may belong to one day, or be the days before and after it.
_LONGEST_SPAN = timedelta(days=2)


@dataclass(frozen=True)
class NameParts:
    """What a file name says; a text is empty if the name does not say it. Days are JST (`yyyy-mm-dd`).

    `day` is the day of the file's data. It is the middle of the first and the last moment, whether these are JST or
    UTC.
    """

    file_type: str = ""
    owner_id: str = ""
    first_day: str = ""
    last_day: str = ""
    day: str = ""


@dataclass(frozen=True)
class _Stamp:
    start: int
    moment: datetime
    is_naive: bool


def file_name(url: str) -> str:
    """The name of the file at a URL, safe in a key. It is taken from the path, or else from the query.

    If characters had to be replaced, a hash keeps different names different. A URL without a name gets a hash as its
    name.
    """
    try:
        parts = urlsplit(url)
        # A "+" stays: in a name it is the sign of a time zone, and a space would be wrong.
        in_query = [unquote(each.partition("=")[2]) for each in parts.query.split("&")]
    except ValueError:
        return _unnamed(url)
    given = unquote(parts.path).rpartition("/")[2]
    # Paths that name the program (`/download?f=…`) or an object without a name (S3: `response-content-disposition`).
    if not read_name(given).day:
        named = [each for each in map(_from_query, in_query) if read_name(each).day and read_name(each).file_type]
        given = named[0] if named else given
    # Only the name of the era would be lost from a date.
    safe = _UNSAFE.sub("-", unicodedata.normalize("NFKC", given).replace("令和", "R"))[:_LONGEST_NAME]
    if not safe.strip("-."):
        return _unnamed(url)
    if safe == given and safe[0].isalnum():
        return safe
    return f"{safe.lstrip('-._') or 'file'}-{_hash(given)[:8]}"


def read_name(name: str) -> NameParts:
    """What a file name says."""
    text = unicodedata.normalize("NFKC", name)
    prefix = _PREFIX.search(text)
    file_type = _TYPES[re.sub(r"[-_ ]", "", prefix[1] or "").lower()] if prefix else ""
    stamps = list(_stamps(text))
    pair = _pair(stamps)
    if not pair:
        return NameParts(file_type)
    first, last = pair
    owner = text[prefix.end() : min(first.start, last.start)].strip("-_. ") if prefix else ""
    middle = first.moment + (last.moment - first.moment) / 2
    days = [times.jst_day(each) for each in (first.moment, last.moment, middle)]
    return NameParts(file_type, owner, *days)


def day_of(parts: NameParts, received_at: datetime) -> str:
    """The JST day under which a file is stored: the day of its name, or else the day before its notification.

    This day decides nothing about a user. A day that is far in the future or long past is misread or forged.
    """
    if parts.day and -SENT_AGAIN_FOR <= _age(parts.day, received_at) <= timedelta(days=366):
        return parts.day
    return times.jst_day(received_at - timedelta(days=1))


def carries(name: str, own_id: str) -> bool:
    """Whether our own id is in a name, and is not a part of another id."""
    found = re.search(rf"(?<![A-Za-z0-9]){re.escape(own_id)}(?![A-Za-z0-9])", unicodedata.normalize("NFKC", name))
    return bool(own_id and found)


def is_foreign(name: str, own_id: str) -> bool:
    """Whether the name contains an owner other than us. It cannot be known if our own id is not set."""
    return bool(own_id and read_name(name).owner_id and not carries(name, own_id))


def warnings(name: str, file_type: str, received_at: datetime, own_id: str) -> tuple[str, ...]:
    """What does not fit together in the file's name, the notification's type and time, and our own id.

    `own_id` is our merchant id or client id, depending on the file type; it is empty if it is not set.
    """
    parts = read_name(name)
    found = []
    if parts.file_type and parts.file_type != file_type:
        found.append(
            Wording(f"the file name is that of a {parts.file_type}", f"ファイル名が {parts.file_type} のものである")
        )
    if is_foreign(name, own_id):
        owner = FILE_TYPES[file_type].owner
        found.append(Wording(f"the {owner} in the file name is not ours", f"ファイル名の {owner} が自社のものではない"))
    if not parts.day:
        found.append(Wording("no day can be read from the file name", "ファイル名から対象日を読み取れない"))
    elif day_of(parts, received_at) != parts.day:
        found.append(
            Wording(
                f"the day {parts.day} in the file name is impossible", f"ファイル名の対象日 {parts.day} はあり得ない"
            )
        )
    elif not timedelta(days=1) <= _age(parts.day, received_at) <= SENT_AGAIN_FOR:
        came = times.jst_day(received_at)
        found.append(
            Wording(
                f"the day in the file name is {parts.day}, but the notification was received on {came} (JST)",
                f"ファイル名の対象日は {parts.day}、通知の受信日は {came}（日本時間）",
            )
        )
    return tuple(found)


def _age(day: str, received_at: datetime) -> timedelta:
    return date.fromisoformat(times.jst_day(received_at)) - date.fromisoformat(day)


def _from_query(value: str) -> str:
    """The name in a value of a query: the end of a path, or the name in a header (`attachment; filename="…"`)."""
    found = re.search(r"""filename\*?=(?:UTF-8'')?"?([^";]+)""", value, re.IGNORECASE)
    return unquote(found[1] if found else value).rpartition("/")[2].strip()


def _unnamed(url: str) -> str:
    return f"unnamed-{_hash(url)[:32]}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _pair(stamps: list[_Stamp]) -> tuple[_Stamp, _Stamp] | None:
    """The first and the last moment. Of all neighbours that can be those of one day, it is the closest pair.

    An id may look like a date, and the time when the file was made may come after the two.
    """
    ordered = [sorted(pair, key=lambda each: each.moment) for pair in pairwise(stamps)]
    near = [pair for pair in ordered if pair[1].moment - pair[0].moment <= _LONGEST_SPAN]
    if near:
        first, last = min(near, key=lambda pair: pair[1].moment - pair[0].moment)
        return first, last
    if len(stamps) != 1:
        return None
    [only] = stamps
    # A time without a zone that is midnight in Japan if it is read as UTC.
    at = only.moment.time()
    if only.is_naive and (at.hour, at.minute, at.second) == (15, 0, 0):
        only = _Stamp(only.start, only.moment + timedelta(hours=9), is_naive=False)
    return only, only


def _stamps(text: str) -> Iterator[_Stamp]:
    """The moments in a text, in order; a day without a time is its first moment in Japan."""
    at = 0
    while found := _SEPARATED.search(text, at):
        at = found.end()
        moment = _moment(found)
        if moment is None:
            continue
        is_day = moment.tzinfo is None and moment.time() == datetime.min.time()
        if is_day and (time := _TIME.match(text, at)):
            moment += timedelta(
                hours=int(time["hour"]), minutes=int(time["minute"] or 0), seconds=int(time["second"] or 0)
            )
            at = time.end()
        if moment.tzinfo is None and (zone := _ZONE.match(text, at)):
            moment, at = moment.replace(tzinfo=_zone(zone)), zone.end()
        yield _Stamp(found.start(), moment if moment.tzinfo else moment.replace(tzinfo=times.JST), not moment.tzinfo)


def _zone(found: re.Match[str]) -> timezone:
    if found["utc"]:
        return UTC
    offset = timedelta(hours=int(found["h"]), minutes=int(found["m"]))
    return timezone(offset if found["sign"] == "+" else -offset)


def _moment(found: re.Match[str]) -> datetime | None:
    """The moment of a match, without a time zone if the text has none; None if it cannot be a moment."""
    if found["digits"]:
        return _of_digits(found["digits"])
    for year, month, day, first in (
        ("year", "month", "day", 0),
        ("era", "era_month", "era_day", _REIWA),
        ("e", "em", "ed", _REIWA),
        ("yy", "mm", "dd", 2000),
    ):
        if found[year]:
            try:
                made = datetime(first + int(found[year]), int(found[month]), int(found[day]))  # noqa: DTZ001 -- not known yet
            except ValueError:
                return None
            return made if made.year in _YEARS else None
    return None


def _of_digits(digits: str) -> datetime | None:
    for pattern in _DIGITS.get(len(digits), ()):
        try:
            moment = datetime.strptime(digits, pattern)  # noqa: DTZ007 -- not known yet
        except ValueError:
            # Some systems write the end of a day as 24:00.
            if not pattern.startswith("%Y%m%d%H") or digits[8:10] != "24" or digits[10:].strip("0"):
                continue
            moment = datetime.strptime(digits[:8], "%Y%m%d") + timedelta(days=1)  # noqa: DTZ007
        if moment.year in _YEARS:
            return moment
    if per_second := _PER_SECOND.get(len(digits)):
        moment = datetime.fromtimestamp(int(digits) / per_second, UTC)
        return moment if moment.year in _YEARS else None
    return None
