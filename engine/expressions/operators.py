"""What each operator of a rule means; none of them coerces, and none raises on JSON."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any, Final

from engine.expressions.moments import as_moment

Comparison = Callable[[Any, Any], bool]
NUMBERS: Final = (int, float)


def same(left: Any, right: Any) -> bool:
    """Tell whether two JSON values are equal: 1 is 1.0, but True is not 1, at any depth."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(same(item, right[key]) for key, item in left.items())
    if isinstance(left, datetime) or isinstance(right, datetime):
        return as_moment(left) is not None and as_moment(left) == as_moment(right)
    return bool(left == right)


def _ordered(compare: Comparison) -> Comparison:
    def test(left: Any, right: Any) -> bool:
        if isinstance(left, bool) or isinstance(right, bool):
            return False
        if isinstance(left, NUMBERS) and isinstance(right, NUMBERS):
            return compare(left, right)
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        if isinstance(left, datetime) or isinstance(right, datetime):
            return _moments(compare)(left, right)
        return False

    return test


def _moments(compare: Comparison) -> Comparison:
    def test(left: Any, right: Any) -> bool:
        first, second = as_moment(left), as_moment(right)
        return first is not None and second is not None and compare(first, second)

    return test


def _is_in(left: Any, right: Any) -> bool:
    return isinstance(right, list) and any(same(left, item) for item in right)


def _is_not_in(left: Any, right: Any) -> bool:
    return isinstance(right, list) and not any(same(left, item) for item in right)


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, str):
        return isinstance(right, str) and right in left
    return isinstance(left, list) and any(same(item, right) for item in left)


def _starts_with(left: Any, right: Any) -> bool:
    return isinstance(left, str) and isinstance(right, str) and left.startswith(right)


def is_empty(value: Any) -> bool:
    """Tell whether a value that is there holds nothing: null, "", [] or {}; 0 and false are values."""
    return value is None or (isinstance(value, str | list | Mapping) and not value)


def is_within(value: Any, reach: timedelta, now: datetime | None) -> bool:
    """Tell whether a moment lies no further than `reach` from now, before or after it."""
    moment = as_moment(value)
    return moment is not None and now is not None and abs(moment - now) <= reach


BINARY: Final[dict[str, Comparison]] = {
    "eq": same,
    "ne": lambda left, right: not same(left, right),
    "gt": _ordered(gt),
    "gte": _ordered(ge),
    "lt": _ordered(lt),
    "lte": _ordered(le),
    "in": _is_in,
    "not_in": _is_not_in,
    "contains": _contains,
    "not_contains": lambda left, right: not _contains(left, right),
    "starts_with": _starts_with,
    "before": _moments(lt),
    "after": _moments(gt),
}
UNARY: Final = ("exists", "not_exists", "empty", "not_empty")
COMPILED: Final = ("matches", "within")
NAMES: Final = (*BINARY, *UNARY, *COMPILED)
