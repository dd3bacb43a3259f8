"""Amounts and currencies, exactly."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from iso4217 import Currency

# What the column of an amount holds: 14 digits before the point, 4 behind it.
PLACES = Decimal("0.0001")
GREATEST = Decimal(10) ** 14
CODES = frozenset(each.value for each in Currency)
_AMOUNT = re.compile(r"[+-]?\d{1,14}(\.\d{1,4})?")


class NoMoney(ValueError):
    """This is no amount, or no currency."""


def amount(value: Any) -> str:
    """
    Give an amount as a decimal text. Raises NoMoney.

    Text is taken exactly as it stands, with at most four decimal places; a number is rounded to four: in binary it has
    no exact ones.
    """
    if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
        return str(Decimal(value.strip()))
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = Decimal(str(value))
        if found.is_finite() and abs(found) < GREATEST:
            return format(found.quantize(PLACES, ROUND_HALF_EVEN).normalize(), "f")
    raise NoMoney(f'{str(value)[:80]!r} is no amount; write a number, or text such as "12.50"')


def currency(value: Any) -> str:
    """Give the code of a currency, of ISO 4217. Raises NoMoney."""
    code = value.strip().upper() if isinstance(value, str) else ""
    if code not in CODES:
        raise NoMoney(f"{str(value)[:80]!r} is no currency; write a code of ISO 4217 such as EUR")
    return code
