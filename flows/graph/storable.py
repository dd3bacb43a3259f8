"""Whether a value can be kept as a graph: JSON that PostgreSQL takes, not too large, not too deep."""

import json
import re
from collections.abc import Iterator

from flows.graph.problems import Problem

MAX_BYTES = 512 * 1024
MAX_DEPTH = 64

# A NUL as json.dumps writes it: an escape that is not itself escaped.
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


def problems_of(raw: object) -> Iterator[Problem]:
    """Say why the value cannot be kept."""
    try:
        text = json.dumps(raw, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except RecursionError:
        yield _too_deep()
    except UnicodeEncodeError:
        yield Problem("not_a_graph", "The graph holds text that is not valid Unicode.")
    except (TypeError, ValueError):
        yield Problem("not_a_graph", "The graph holds a value that JSON has not, such as NaN.")
    else:
        if size > MAX_BYTES:
            yield Problem("too_large", f"The graph takes {size} bytes; the limit is {MAX_BYTES}.")
        elif "\\u0000" in text and NUL.search(text):
            yield Problem("not_a_graph", "The graph holds a NUL character, which cannot be stored.")
        elif _depth_exceeds(raw, MAX_DEPTH):
            yield _too_deep()


def _too_deep() -> Problem:
    return Problem("too_large", f"The graph is nested more than {MAX_DEPTH} levels deep.")


def _depth_exceeds(raw: object, limit: int) -> bool:
    level = [raw]
    for _ in range(limit):
        level = [
            child
            for value in level
            if isinstance(value, dict | list)
            for child in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True
