"""Code of users in flows: functions that are called by name, and text that is run where it can reach nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

JSON = dict[str, Any]


class CodeFailed(Exception):
    """Code of users did not give a value; `retryable`: it was not its own doing."""

    def __init__(self, code: str, detail: str, *, retryable: bool = False) -> None:
        """Name the situation."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.retryable = retryable


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms code is run: for which tenant, how long it may compute, what time it is, and what chance is."""

    whose: str
    seconds: float
    now: datetime
    seed: str


class Sandbox(Protocol):
    """Runs code that nobody trusts: Python, of which it may know only a part."""

    def run(self, source: str, names: JSON, terms: Terms) -> Any:
        """
        Give the JSON of the code's last expression, or of what it returns, with these names known to it.

        It reaches nothing, and computes the same each time: its clock stands still, and chance follows from the seed.
        Raises CodeFailed or Busy.
        """

    def fault_in(self, source: str) -> str | None:
        """Say what keeps the code from being run at all, with its line; None where nothing does."""


class FunctionLookup(Protocol):
    """Knows the functions that flows may call."""

    def find(self, name: str) -> Callable[..., Any] | None:
        """Give the function of this name, or None when there is none."""
