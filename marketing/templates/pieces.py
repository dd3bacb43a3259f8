"""What nearly every message consists of, words and variables, written in few steps; the unusual is the library's."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any, Final, TextIO

from liquid.builtin.content import ContentNode, Literal
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.context import RenderContext, builtin
from liquid.exceptions import OutputStreamLimitError
from liquid.expression import Expression
from liquid.output import LimitedStringIO
from liquid.stringify import to_liquid_string
from liquid.template import BoundTemplate
from liquid.token import Token
from liquid.undefined import UNDEFINED
from liquid.utils import ReadOnlyChainMap
from markupsafe import escape

from marketing.templates import budget


class Scope(ReadOnlyChainMap):
    """The names that a template sees, nearest first."""

    def __getitem__(self, key: str) -> object:
        """Look where a name is before asking for it: an error for each place where it is not costs more."""
        for names in self._maps:
            if key in names:
                return names[key]
        raise KeyError(key)


class Counted(RenderContext):
    """A render context that counts nodes, and the work of filters."""

    __slots__ = ("_disabled", "_nodes", "_work")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin with what the library's has."""
        super().__init__(*args, **kwargs)
        self.scope = Scope(self.locals, self.globals, builtin, self.counters)

    def count(self) -> None:
        """Count one piece, and refuse what has too many."""
        self._nodes += 1
        if self._nodes > budget.MAX_NODES:
            raise budget.TooCostly(f"more than {budget.MAX_NODES} pieces are written", token=None)

    def spend(self, work: int) -> None:
        """Add to the work that is done, and refuse what is too much."""
        self._work += work
        if self._work > budget.MAX_WORK:
            raise budget.TooCostly("its filters have too much to do", token=None)

    # Every node of the library's asks for this before it is rendered: literals, tags and blocks all pass here.
    @property
    def disabled_tags(self) -> list[str]:
        """The tags that may not be used here; none, because those that could be are not there at all."""
        self.count()
        return self._disabled

    @disabled_tags.setter
    def disabled_tags(self, given: list[str]) -> None:
        self._disabled, self._nodes, self._work = given, 0, 0

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        """Go straight through objects; lists, lengths and whatever is missing are the library's affair."""
        try:
            found: Any = self.scope[path[0]]  # type: ignore[index]  # no other key is there
            for part in path[1:]:
                if type(found) is not dict:
                    break
                found = found[part]
            else:
                return found
        except (KeyError, TypeError):
            pass
        return super().get(path, token=token, default=default)


class Paper(LimitedStringIO):
    """What is written on; it has an end."""

    def write(self, text: str, /) -> int:
        """Write, or raise OutputStreamLimitError."""
        self.size += len(text) if text.isascii() else len(text.encode())
        if self.size > self.limit:
            raise OutputStreamLimitError("output stream limit reached", token=None)
        return _write(self, text)


class Words(ContentNode):
    """What stands for itself."""

    __slots__ = ()

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        """Write it."""
        context.count()  # type: ignore[attr-defined]  # a Counted
        return buffer.write(self.text)


class Variable(OutputNode):
    """What is filled in; `path` is where it stands if there is nothing else to do."""

    __slots__ = ("path",)

    def __init__(self, token: Token, expression: Expression) -> None:
        """Look whether it is a path and no more."""
        super().__init__(token, expression)
        self.path = _path_of(expression)

    def render(self, context: RenderContext, buffer: TextIO) -> int:
        """Write its value."""
        context.count()  # type: ignore[attr-defined]  # a Counted
        path = self.path
        value = self.expression.evaluate(context) if path is None else context.get(path, token=self.expression.token)
        if type(value) is str:
            return buffer.write(escape(value) if context.autoescape else value)
        return buffer.write(to_liquid_string(value, context.autoescape))


class WordsTag(Literal):
    """Makes Words."""

    node_class = Words


class VariableTag(Output):
    """Makes Variables."""

    node_class = Variable


class Wording(BoundTemplate):
    """A parsed template."""

    context_class = Counted

    def make_globals(self, render_args: Mapping[str, object]) -> Mapping[str, object]:
        """Give all that is known in one place."""
        return {**self.globals, **self.matter, **render_args}

    def _get_buffer(self) -> StringIO:
        return Paper(limit=budget.MAX_OUTPUT)


_write: Final = StringIO.write


def _path_of(expression: Expression) -> list[object] | None:
    if isinstance(expression, FilteredExpression) and not expression.filters and isinstance(expression.left, Path):
        parts = expression.left.path
        return list(parts) if all(isinstance(part, str) for part in parts) else None
    return None
