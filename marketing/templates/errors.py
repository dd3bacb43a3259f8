"""What can be wrong with a wording, when it is read and when it is filled in."""

from __future__ import annotations

from dataclasses import dataclass


class Flaw(Exception):
    """A wording that is not Liquid, or larger than any message is."""

    def __init__(self, detail: str, line: int | None = None) -> None:
        """Say what is wrong, and in which line."""
        super().__init__(detail)
        self.detail = detail
        self.line = line


class CannotRender(Exception):
    """A message cannot be written; `reason` is the code that stands on the delivery."""

    def __init__(self, reason: str, detail: str, line: int | None = None) -> None:
        """Name the situation; the part is filled in by who knows it."""
        super().__init__(detail)
        self.reason = reason[:255]
        self.detail = detail
        self.line = line
        self.part = ""

    def place(self) -> str:
        """Where: the part and the line."""
        line = "" if self.line is None else f", line {self.line}"
        return f"{self.part}{line}".lstrip(", ")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with one part: `attr` is its path, such as `content.subject` or `locales.de.html`."""

    code: str
    detail: str
    attr: str
    line: int | None = None

    def sentence(self) -> str:
        """The detail with its line."""
        return self.detail if self.line is None else f"Line {self.line}: {self.detail}"
