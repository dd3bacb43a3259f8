"""Addresses as they are compared: two spellings of one mailbox or number are one address."""

from __future__ import annotations

import re
from typing import Final

_NOT_OF_A_NUMBER: Final = re.compile(r"[^0-9+]")


def normalised(channel: str, address: str) -> str:
    """Give an address as suppressions know it."""
    text = address.strip()
    match channel:
        case "email":
            return text.lower()
        case "sms" | "whatsapp":
            number = _NOT_OF_A_NUMBER.sub("", text.removeprefix("whatsapp:"))
            return f"+{number[2:]}" if number.startswith("00") else number
        case _:
            return text
