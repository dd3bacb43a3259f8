"""Liquid as messages have it: no files, no partials, unknown variables are errors, and every cost has a limit."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from liquid import Environment
from liquid.exceptions import FilterArgumentError, LiquidError, UndefinedError
from liquid.template import BoundTemplate
from liquid.undefined import FalsyStrictUndefined

from engine.expressions import as_moment
from marketing.templates import budget, closed, walks
from marketing.templates.errors import CannotRender, Flaw
from marketing.templates.pieces import VariableTag, Wording, WordsTag


class Missing(FalsyStrictUndefined):
    """A variable that is not there: `if` and `default` may ask for it, and to write it is an error that names it."""

    # What `default` looks at.
    force_liquid_default = True

    def __init__(self, name: str, *, token: Any, obj: object = None, hint: str | None = None) -> None:
        """The library's hint is `vars.x is undefined`; what is kept of it is the path."""
        path = hint.removesuffix(" is undefined").strip("'") if hint and hint.endswith(" is undefined") else name
        super().__init__(path, token=token, obj=obj, hint=path)


class Dialect(Environment):
    """What templates may use."""

    template_class = Wording
    block_nesting_limit = 20
    context_depth_limit = 20
    loop_iteration_limit = budget.MAX_LOOPS
    local_namespace_limit = budget.MAX_LOCALS
    output_stream_limit = budget.MAX_OUTPUT

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """The usual tags and filters, without those that read other templates; each filter with its limits."""
        super().setup_tags_and_filters(extra=False)
        self.add_tag(WordsTag)
        self.add_tag(VariableTag)
        for tag in ("include", "render"):
            del self.tags[tag]
        self.filters["date"] = date
        self.filters = {name: budget.guarded(name, given) for name, given in self.filters.items()}


def date(value: Any, form: str = "%Y-%m-%d", zone: Any = "UTC") -> Any:
    """Write a moment (ISO 8601 text, or seconds since 1970) in a zone; what is no moment stays as it is."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        moment: datetime | None = datetime.fromtimestamp(value, UTC)
    else:
        moment = as_moment(value if isinstance(value, datetime) else str(value))
    if moment is None:
        return value
    try:
        return moment.astimezone(ZoneInfo(str(zone or "UTC"))).strftime(str(form))
    except (ZoneInfoNotFoundError, IsADirectoryError) as error:
        raise FilterArgumentError(f"{zone} is no time zone", token=None) from error


# HTML escapes what variables hold; plain text does not. Both refuse what is unknown.
_DIALECTS: Final = {html: Dialect(undefined=Missing, autoescape=html) for html in (False, True)}


@lru_cache(maxsize=500)
def parse(source: str, *, html: bool) -> BoundTemplate:
    """Give the parsed form of a wording, or raise Flaw."""
    if len(source) > budget.MAX_SOURCE:
        raise Flaw(f"It is longer than {budget.MAX_SOURCE} characters.")
    closed.check(source)
    try:
        return walks.weighed(_DIALECTS[html].from_string(source))
    except LiquidError as error:
        raise Flaw(_sentence(said(error)), line_of(error)) from error
    except RecursionError as error:
        raise Flaw("It is nested too deeply.") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise Flaw("It cannot be read as Liquid.") from error


def write(source: str, variables: dict[str, Any], *, html: bool) -> str:
    """Give the text with its variables filled in, or raise CannotRender with the reason and the line."""
    template = parse(source, html=html)
    try:
        text: str = template.render(variables)
    except UndefinedError as error:
        name = said(error)
        raise CannotRender(f"template_missing:{name}", f"There is no `{name}`.", line_of(error)) from error
    except LiquidError as error:
        raise CannotRender("template_error", _sentence(said(error)), line_of(error)) from error
    except RecursionError as error:
        raise CannotRender("template_error", "It is nested too deeply.") from error
    except (ArithmeticError, ValueError, TypeError, LookupError, OSError) as error:
        detail = f"A filter does not fit its value: {error}"[:300]
        raise CannotRender("template_error", _sentence(detail)) from error
    # No text that is stored may hold it, and no provider takes it.
    return text.replace("\0", "")


def said(error: LiquidError) -> str:
    """What an error of the library says, without the drawing around it."""
    return str(error.args[0]) if error.args else type(error).__name__


def line_of(error: LiquidError) -> int | None:
    """The line that an error is at, from 1."""
    token = error.token
    if token is None or token.start_index < 0:
        return None
    return token.source.count("\n", 0, token.start_index) + 1


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
