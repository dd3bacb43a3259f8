"""Expressions that walk through what they are given, in one step that nothing interrupts: each is weighed before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from liquid.ast import Node
from liquid.builtin.expressions.logical import ContainsExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.context import RenderContext
from liquid.expression import Expression
from liquid.template import BoundTemplate

from marketing.templates import budget


class Range(RangeLiteral):
    """A range, no longer than a list may be: reversed, or asked for a member, it is walked through."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> range:
        """Give the range, or raise TooCostly."""
        found = super().evaluate(context)
        # len() cannot say how long some are.
        if found.stop - found.start > budget.MAX_ITEMS:
            raise budget.TooCostly(f"a range has more than {budget.MAX_ITEMS} numbers", token=self.token)
        return found


class Contains(ContainsExpression):
    """A look through a text or a list."""

    __slots__ = ()

    def evaluate(self, context: RenderContext) -> object:
        """Look, or raise TooCostly."""
        context.spend(budget.weight("contains", self.left.evaluate(context)))  # type: ignore[attr-defined]  # a Counted
        return super().evaluate(context)


_WEIGHED: Final[dict[type[Expression], Any]] = {RangeLiteral: Range, ContainsExpression: Contains}


def weighed(template: BoundTemplate) -> BoundTemplate:
    """Give the same template, whose walks are weighed."""
    for expression in _expressions(template):
        expression.__class__ = _WEIGHED.get(type(expression), type(expression))
    return template


def _expressions(template: BoundTemplate) -> Iterator[Expression]:
    context = RenderContext(template)
    nodes: list[Node] = list(template.nodes)
    found: list[Expression] = []
    while nodes:
        node = nodes.pop()
        nodes.extend(node.children(context, include_partials=False))
        found.extend(node.expressions())
    while found:
        expression = found.pop()
        yield expression
        found.extend(expression.children())
