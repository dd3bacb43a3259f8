"""How much a template may cost: counted in nodes, loops and sizes, not in seconds, so that it is always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from liquid.exceptions import ResourceLimitError

Filter = Callable[..., Any]

MAX_SOURCE: Final = 200_000
MAX_OUTPUT: Final = 500_000
MAX_NODES: Final = 50_000
MAX_LOOPS: Final = 5_000
MAX_LOCALS: Final = 1_000_000
MAX_VALUE: Final = 200_000
MAX_ITEMS: Final = 10_000
MAX_BITS: Final = 256
# Characters that filters go through in one message, all together; an item of a list counts as so many.
MAX_WORK: Final = 20_000_000
ITEM: Final = 25

# Filters whose work is more than linear in their input.
MAX_INPUT: Final = {"strip_html": 20_000, "date": 200}


class TooCostly(ResourceLimitError):
    """The template does more than a message needs."""


def guarded(name: str, given: Filter) -> Filter:
    """A filter that refuses inputs and results which only an attack has."""
    asks_context = getattr(given, "with_context", False)

    @wraps(given)
    def limited(value: Any, *args: Any, context: Any, **kwargs: Any) -> Any:
        context.spend(weight(name, value))
        if asks_context:
            kwargs["context"] = context
        for each in (value, *args):
            _check(each, MAX_INPUT.get(name, MAX_VALUE))
        if name in _MULTIPLIES:
            _check_product(name, value, args)
        result = given(value, *args, **kwargs)
        _check(result, MAX_VALUE)
        return result

    limited.with_context = True  # type: ignore[attr-defined]  # asks the library for the context
    return limited


def weight(name: str, value: Any) -> int:
    """How much a filter or an operator has to go through; to find what is there twice, everything once for each."""
    if isinstance(value, str):
        return len(value)
    if not isinstance(value, Sequence):
        return 1
    return len(value) * max(len(value), ITEM) if name == "uniq" else len(value) * ITEM


def _check(value: Any, longest: int) -> None:
    if isinstance(value, str):
        if len(value) > longest:
            raise TooCostly(f"a text is longer than {longest} characters", token=None)
    elif isinstance(value, int):
        if value.bit_length() > MAX_BITS:
            raise TooCostly("a number is too large", token=None)
    elif isinstance(value, Sequence) and len(value) > MAX_ITEMS:
        raise TooCostly(f"a list has more than {MAX_ITEMS} items", token=None)


_MULTIPLIES: Final = frozenset(("replace", "replace_first", "replace_last", "join"))


# The size is known before the work is done: a text of commas whose every comma becomes a book is never made.
def _check_product(name: str, value: Any, args: Sequence[Any]) -> None:
    if name == "join":
        glue = len(str(args[0])) if args else 1
        size = sum(_size(each) + glue for each in value) if isinstance(value, Sequence) else 0
    else:
        text, old, new = str(value), str(args[0]) if args else "", str(args[1]) if len(args) > 1 else ""
        size = len(text) + text.count(old) * len(new)
    if size > MAX_VALUE:
        raise TooCostly(f"a text would be longer than {MAX_VALUE} characters", token=None)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str) else 8
