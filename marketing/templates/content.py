"""The shape of what a message says: parts by channel, and other wordings of them by locale."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from marketing.templates import liquid
from marketing.templates.errors import CannotRender, Finding, Flaw

Parts = Mapping[str, str]

# The parts of each channel's messages; those that are needed, of which one is enough where they stand together.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "email": ("subject", "html", "text", "preheader", "from_name", "reply_to"),
    "sms": ("text",),
    "push": ("title", "body", "image", "deep_link"),
    "whatsapp": ("text",),
    "in_app": ("title", "body", "image", "action_label", "action_url"),
}
NEEDED: Final[dict[str, tuple[frozenset[str], ...]]] = {
    "email": (frozenset(("subject",)), frozenset(("html", "text"))),
    "sms": (frozenset(("text",)),),
    "push": (frozenset(("title", "body")),),
    "whatsapp": (frozenset(("text",)),),
    "in_app": (frozenset(("title", "body")),),
}
HTML: Final = frozenset(("html",))
MANY_LINES: Final = frozenset(("html", "text", "body"))
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
MAX_LOCALES: Final = 50


@dataclass(frozen=True, slots=True)
class Content:
    """A template as it is filled in, stored (with its slug and version) or inline."""

    channel: str
    parts: Parts
    locales: Mapping[str, Parts] = field(default_factory=dict)
    template_id: str = ""
    version: int | None = None

    def wordings(self) -> Iterator[tuple[str, Parts]]:
        """Every set of parts after its path."""
        yield "content", self.parts
        for locale, parts in self.locales.items():
            yield f"locales.{locale}", parts

    def in_locale(self, locale: str) -> tuple[str, dict[str, str]]:
        """The locale that fits best, and the parts in it: de-AT, else de, else the parts as they are; part by part."""
        known = {_plain(name): name for name in self.locales}
        words = _plain(locale).split("-")
        chain = [known[name] for size in range(1, len(words) + 1) if (name := "-".join(words[:size])) in known]
        parts = dict(self.parts)
        for name in chain:
            parts |= self.locales[name]
        return (chain[-1] if chain else ""), parts


def render(content: Content, variables: dict[str, Any], locale: str = "") -> dict[str, str]:
    """Give each part filled in, in the best locale; raise CannotRender, which names the part and the line."""
    _, parts = content.in_locale(locale)
    return {name: _fill(name, source, variables) for name, source in parts.items()}


def flaws(content: Content, *, at: str = "") -> list[Finding]:
    """Everything that is wrong with a content, as far as can be seen without variables."""
    found = list(_missing_parts(content))
    if len(content.locales) > MAX_LOCALES:
        found.append(Finding("invalid", f"There are more than {MAX_LOCALES} locales.", "locales"))
    found += [
        Finding("invalid", f"`{locale}` is no locale; write de or de-AT.", "locales")
        for locale in content.locales
        if not LOCALE.fullmatch(locale)
    ]
    for place, parts in content.wordings():
        for name, source in parts.items():
            found += _part_flaws(content.channel, name, source, f"{place}.{name}")
    return [Finding(each.code, each.detail, f"{at}{each.attr}", each.line) for each in found]


def _fill(name: str, source: str, variables: dict[str, Any]) -> str:
    try:
        text = liquid.write(source, variables, html=name in HTML)
    except CannotRender as error:
        error.part = name
        raise
    except Flaw as flaw:
        broken = CannotRender("template_error", flaw.detail, flaw.line)
        broken.part = name
        raise broken from flaw
    # A line break in a header or a title is the beginning of an attack, or an accident.
    return text if name in MANY_LINES else " ".join(text.split())


def _missing_parts(content: Content) -> Iterator[Finding]:
    for choice in NEEDED[content.channel]:
        if not any(content.parts.get(name, "").strip() for name in choice):
            names = " or ".join(sorted(choice))
            yield Finding("required", f"A message by {content.channel} needs {names}.", "content")


def _part_flaws(channel: str, name: str, source: Any, attr: str) -> Iterator[Finding]:
    if name not in PARTS[channel]:
        known = ", ".join(PARTS[channel])
        yield Finding("unknown_field", f"A message by {channel} has no `{name}`; it has {known}.", attr)
    elif not isinstance(source, str):
        yield Finding("invalid", "This has to be a text.", attr)
    else:
        try:
            liquid.parse(source, html=name in HTML)
        except Flaw as flaw:
            yield Finding("invalid_template", flaw.detail, attr, flaw.line)


def _plain(locale: str) -> str:
    return locale.replace("_", "-").lower()
