"""What a spreadsheet makes of a cell: ids are other people's texts, and must stay texts."""

import re

# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection"; the wide forms count in Japanese).
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
# Excel reads these as a number or a date, and shows an id as another one: 0012 as 12, 3-4 as March 4th, and a long
# number with zeros at its end.
_NUMBER = re.compile(
    r"0[0-9]+|[0-9]{12,}|[0-9]+[eE][0-9]+|[0-9]{1,4}[-/.:][0-9]{1,4}([-/.:][0-9]{1,4})?"
    r"|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*[-/ ]?[0-9]{1,4}"
)


def cell(text: str) -> str:
    """The text with an apostrophe before it where a spreadsheet would read something else."""
    return f"'{text}" if _FORMULA.match(text) or _NUMBER.fullmatch(text) else text
