"""Looks once through a wording, in linear time, for what would make the library's own patterns look many times."""

from __future__ import annotations

import re
from typing import Final

from marketing.templates.errors import Flaw

OPENER: Final = re.compile(r"\{[{%]")
VERBATIM: Final = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
BLANKS: Final = re.compile(r"\s{200}")
ENDS: Final = {name: re.compile(rf"\{{%-?\s{{0,50}}end{name}\s{{0,50}}-?%\}}") for name in ("raw", "doc")}


def check(source: str) -> None:
    """Raise Flaw for a `{{`, `{%` or `{% raw %}` that is not closed, and for one that is full of blanks."""
    at = 0
    while opener := OPENER.search(source, at):
        closer = "}}" if opener.group() == "{{" else "%}"
        end = source.find(closer, opener.end())
        if end < 0:
            raise Flaw(f"`{opener.group()}` is not closed; `{closer}` is missing.", _line(source, opener.start()))
        if BLANKS.search(source, opener.end(), end):
            raise Flaw("There are too many blanks inside of a tag.", _line(source, opener.start()))
        at = end + len(closer)
        if verbatim := VERBATIM.fullmatch(source, opener.start(), at):
            name = verbatim.group(1)
            if (found := ENDS[name].search(source, at)) is None:
                raise Flaw(f"`{{% {name} %}}` has no `{{% end{name} %}}`.", _line(source, opener.start()))
            at = found.end()


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1
