"""Adding what was counted of a batch to the rows of a build, in one statement per table."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import NamedTuple

from engine.connections import execute
from engine.models.statistics import CohortStatistic, Counted

LONGEST_KEY = 255


class Thing(NamedTuple):
    """What is counted; the fields are the columns of its table."""

    flow_id: str
    day: date
    version: int
    tenant_id: str
    kind: str
    node_id: str = ""
    key: str = ""
    goal: str = ""


Counts = Counter[Thing]

# Rows are added or counted up, sorted by their key; a table without goals has none in its key.
ADD = """
    INSERT INTO {table} AS t (build, flow_id, day, version, tenant_id, kind, node_id, key, {goal} n)
    SELECT %s, c.flow_id, c.day, c.version, c.tenant_id, c.kind, c.node_id, c.key, {goal} c.n
      FROM unnest(%s::uuid[], %s::date[], %s::int[], %s::uuid[], %s::text[], %s::text[], %s::text[], %s::text[],
                  %s::bigint[]) AS c(flow_id, day, version, tenant_id, kind, node_id, key, goal, n)
     ORDER BY c.flow_id, c.day, c.version, c.node_id, c.kind, c.key, c.goal
    ON CONFLICT (flow_id, build, day, version, node_id, kind, key {conflict})
    DO UPDATE SET n = t.n + excluded.n
"""
CLEAR = "DELETE FROM {table} WHERE build = %s"


def add(model: type[Counted], build: int, counts: Counts) -> None:
    """Add the counts to a build's rows of a table; no statement where nothing was counted."""
    if counts:
        columns = list(zip(*counts, strict=True))
        execute(_adding(model), [build, *map(list, columns), list(counts.values())])


def clear(model: type[Counted], build: int) -> None:
    """Delete a build's rows."""
    execute(CLEAR.format(table=model._meta.db_table), [build])  # noqa: SLF001 - Django's own name for public options


def short(key: str | None) -> str:
    """Make a text of any length one that fits."""
    return (key or "")[:LONGEST_KEY]


def _adding(model: type[Counted]) -> str:
    has_goal = issubclass(model, CohortStatistic)
    return ADD.format(
        table=model._meta.db_table,  # noqa: SLF001 - Django's own name for public options
        goal="goal," if has_goal else "",
        conflict=", goal" if has_goal else "",
    )
