"""Which variables a wording reads, and which of them can be known to be missing before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

from liquid.ast import Node
from liquid.builtin.expressions import BooleanExpression, FilteredExpression, Path
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate

from marketing.templates import liquid
from marketing.templates.content import HTML, Content
from marketing.templates.errors import Finding, Flaw

# What a message can read; `vars` are the node's own.
ROOTS: Final = ("participant", "vars", "entry", "event", "run", "unsubscribe_url", "now")


@dataclass(frozen=True, slots=True)
class Variable:
    """One use of a variable: its path (`vars.first_name`), where it stands, and whether the wording can do without."""

    path: tuple[str, ...]
    attr: str
    line: int
    optional: bool

    def __str__(self) -> str:
        """The path as authors write it."""
        return ".".join(self.path)


def variables_of(content: Content) -> list[Variable]:
    """Every use of a variable in every wording; parts that are not Liquid are left out."""
    return [found for place, parts in content.wordings() for found in _in_parts(place, parts)]


def names_of(content: Content) -> list[str]:
    """The variables of a content, each once, sorted."""
    return sorted({str(each) for each in variables_of(content)})


def unknown_variables(content: Content, given: Collection[str] | None, *, at: str = "") -> list[Finding]:
    """The variables that are sure to be missing when the node's `vars` have these names; None: they are not known."""
    return [
        Finding("unknown_variable", _complaint(each, given), f"{at}{each.attr}", each.line)
        for each in variables_of(content)
        if not each.optional and _is_unknown(each.path, given)
    ]


def unknown_filters(content: Content) -> list[Finding]:
    """The filters that there are not."""
    found = []
    for place, parts in content.wordings():
        for name, template in _parsed(parts):
            for filter_name, spans in template.analyze(include_partials=False).filters.items():
                if filter_name not in template.env.filters:
                    line = _line(parts[name], spans[0].index)
                    detail = f"There is no filter `{filter_name}`."
                    found.append(Finding("invalid_template", detail, f"{place}.{name}", line))
    return found


def _is_unknown(path: tuple[str, ...], given: Collection[str] | None) -> bool:
    if path[0] not in ROOTS:
        return True
    return given is not None and path[0] == "vars" and len(path) > 1 and path[1] not in given


def _complaint(variable: Variable, given: Collection[str] | None) -> str:
    if given is None or variable.path[0] != "vars":
        return f"There is no `{variable}`; messages read {', '.join(ROOTS)}."
    known = ", ".join(sorted(given)) or "none"
    return f"`vars` has no `{variable.path[1]}`; it has {known}."


def _in_parts(place: str, parts: Any) -> Iterator[Variable]:
    for name, template in _parsed(parts):
        optional = set(_optional(template))
        for uses in template.analyze(include_partials=False).globals.values():
            for use in uses:
                path = tuple(segment for segment in use.segments if isinstance(segment, str)) or (str(use),)
                yield Variable(path, f"{place}.{name}", _line(parts[name], use.span.index), path in optional)


def _parsed(parts: Any) -> Iterator[tuple[str, BoundTemplate]]:
    for name, source in parts.items():
        if not isinstance(source, str):
            continue
        try:
            yield name, liquid.parse(source, html=name in HTML)
        except Flaw:
            continue


# What a condition asks for, or a default stands in for, may be missing.
def _optional(template: BoundTemplate) -> Iterator[tuple[str, ...]]:
    context = RenderContext(template)
    nodes: list[Node] = list(template.nodes)
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children(context, include_partials=False))
        for expression in node.expressions():
            yield from _forgiven(expression)


def _forgiven(expression: Expression) -> Iterator[tuple[str, ...]]:
    if isinstance(expression, BooleanExpression):
        yield from _paths(expression)
    elif isinstance(expression, FilteredExpression) and isinstance(expression.left, Path) and _has_default(expression):
        yield _path(expression.left)


def _has_default(expression: FilteredExpression) -> bool:
    filters = expression.filters or []
    return bool(filters) and filters[0].name == "default"


def _paths(expression: Expression) -> Iterator[tuple[str, ...]]:
    if isinstance(expression, Path):
        yield _path(expression)
    for child in expression.children():
        yield from _paths(child)


def _path(path: Path) -> tuple[str, ...]:
    return tuple(segment for segment in path.path if isinstance(segment, str))


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1
