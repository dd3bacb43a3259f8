"""The statistics once more, counted over the raw log by SQL alone, to compare the read models with."""

from __future__ import annotations

from collections import Counter
from typing import Any

from engine.analytics.durations import seconds_of
from engine.connections import execute
from engine.event_store.reading import READABLE
from engine.projections import registry, rounds
from engine.projections.lag import status
from tests.support.processes import wait_for

# Each event of a run with the flow of its run, the version it had then, and the day and version of its entry.
FACTS = """
    WITH started AS (
        SELECT aggregate_id AS run, data->>'flow_id' AS flow, recorded_at::date AS entry_day,
               (data->>'version')::int AS entry_version
          FROM stored_events WHERE aggregate_type = 'instance' AND type = 'flow_started'),
    facts AS (
        SELECT s.*, e.sequence, e.type, e.data, e.recorded_at::date AS day, e.recorded_at,
               coalesce((SELECT (m.data->>'to_version')::int FROM stored_events m
                          WHERE m.aggregate_id = e.aggregate_id AND m.type = 'migrated' AND m.sequence <= e.sequence
                          ORDER BY m.sequence DESC LIMIT 1), s.entry_version) AS version
          FROM stored_events e JOIN started s ON s.run = e.aggregate_id)
"""
FLOWS = f"""{FACTS}
    SELECT flow, day::text, version, '', CASE type WHEN 'flow_started' THEN 'entered'
           WHEN 'compensation_completed' THEN 'compensated' ELSE type END, '', count(*)
      FROM facts WHERE type IN ('flow_started', 'completed', 'exited', 'failed', 'retried', 'goal_reached',
                                'compensation_completed', 'compensation_failed')
     GROUP BY 1, 2, 3, 4, 5, 6
"""
NODES = f"""{FACTS}
    SELECT flow, day::text, version, data->>'node', CASE type WHEN 'node_completed' THEN 'completed' ELSE 'failed' END,
           '', count(*) FROM facts WHERE type IN ('node_completed', 'node_failed') GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT flow, day::text, version, data->>'node', 'branch', data->>'branch', count(*)
      FROM facts WHERE type = 'node_completed' AND data->>'branch' <> '' GROUP BY 1, 2, 3, 4, 5, 6
    UNION ALL
    SELECT flow, day::text, version, node, 'entered', '', count(*)
      FROM (SELECT flow, day, version, data->>'entry_node' AS node FROM facts WHERE type = 'flow_started'
            UNION ALL
            SELECT flow, day, version, jsonb_array_elements_text(data->'next') FROM facts WHERE type = 'node_completed')
        AS arrivals GROUP BY 1, 2, 3, 4, 5, 6
"""
# For each run and goal (and any goal) the first time, and the variants that came before it.
COHORTS = f"""{FACTS},
    first_goals AS (
        SELECT run, goal, min(sequence) AS sequence
          FROM facts CROSS JOIN LATERAL (VALUES (data->>'name'), ('')) AS g(goal)
         WHERE type = 'goal_reached' GROUP BY run, goal),
    splits AS (
        SELECT run, data->>'node' AS node, data->>'branch' AS variant, sequence, flow, entry_day, entry_version
          FROM facts WHERE type = 'node_completed' AND data->>'type' = 'ab_split'
        UNION ALL
        SELECT run, '%holdout', 'holdout', sequence, flow, entry_day, entry_version
          FROM facts WHERE type = 'exited' AND data->>'reason' = 'holdout')
    SELECT flow, entry_day::text, entry_version, '', 'entered', '', '', count(*) FROM started GROUP BY 1, 2, 3
    UNION ALL
    SELECT flow, entry_day::text, entry_version, node, 'reached', '', '', count(DISTINCT run)
      FROM (SELECT *, data->>'entry_node' AS node FROM facts WHERE type = 'flow_started'
            UNION ALL
            SELECT *, jsonb_array_elements_text(data->'next') FROM facts WHERE type = 'node_completed') AS arrivals
     GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT flow, entry_day::text, entry_version, '', 'converted', '', goal, count(*)
      FROM first_goals JOIN started USING (run) GROUP BY 1, 2, 3, 7
    UNION ALL
    SELECT flow, entry_day::text, entry_version, node, 'variant', variant, '', count(*)
      FROM splits GROUP BY 1, 2, 3, 4, 6
    UNION ALL
    SELECT flow, entry_day::text, entry_version, node, 'converted', variant, goal, count(*)
      FROM splits JOIN first_goals USING (run) WHERE splits.sequence < first_goals.sequence GROUP BY 1, 2, 3, 4, 6, 7
"""
LIVE = """
    SELECT flow_id, day::text, version, node_id, kind, key, {goal} n FROM {table}
     WHERE build = (SELECT build FROM projection_checkpoints WHERE name = '{name}' AND is_live) AND {which}
"""
TOOK = f"""{FACTS}
    SELECT flow || ' ' || (data->>'node'),
           greatest(0, extract(epoch FROM recorded_at - (data->>'started_at')::timestamptz)::float8)
      FROM facts WHERE type = 'node_completed'
"""
HIDDEN = f"SELECT 1 FROM stored_events WHERE NOT {READABLE} LIMIT 1"


def catch_up() -> None:
    """Wait until everything can be read, and have every projection read it."""
    wait_for(lambda: execute(HIDDEN).fetchone() is None, seconds=60, what="every event to be readable")
    wait_for(_project, seconds=60, what="projections to have read everything")


def assert_equal_to_the_log() -> None:
    """Each row of each statistic is what a count over the log gives, and there is no other row."""
    assert _live("flow_statistics", "flow_statistics") == _counted(FLOWS)
    assert _live("node_statistics", "node_statistics", which="kind <> 'took'") == _counted(NODES)
    assert _live("cohort_statistics", "node_statistics", goal="goal,") == _counted(COHORTS)
    _assert_durations()


def _project() -> bool:
    rounds.run()
    return all(each.is_live and not each.lag_events for each in status(registry.names()))


def _counted(statement: str) -> dict[tuple[Any, ...], int]:
    return {tuple(row[:-1]): row[-1] for row in execute(statement)}


def _live(table: str, name: str, *, goal: str = "", which: str = "true") -> dict[tuple[Any, ...], int]:
    return _counted(LIVE.format(table=table, name=name, goal=goal, which=which))


# Buckets are off by at most half of their width; there are as many as completions.
def _assert_durations() -> None:
    exact: dict[str, list[float]] = {}
    for node, seconds in execute(TOOK):
        exact.setdefault(node, []).append(seconds)
    rough = Counter[str]()
    found: dict[str, list[float]] = {}
    for key, n in _live("node_statistics", "node_statistics", which="kind = 'took'").items():
        node = f"{key[0]} {key[3]}"
        rough[node] += n
        found.setdefault(node, []).extend([seconds_of(int(key[5]))] * n)
    assert rough == {node: len(times) for node, times in exact.items()}
    for node, times in exact.items():
        for one, other in zip(sorted(times), sorted(found[node]), strict=True):
            assert abs(one - other) <= 0.026 * one + 0.001, (node, one, other)
