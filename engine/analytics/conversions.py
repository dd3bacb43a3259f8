"""Which goals a run reached for the first time, and in which variants it was by then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.connections import execute
from engine.event_store.events import Event

# What runs reached and how they were split, in the order in which it happened.
PATHS = """
    SELECT aggregate_id, sequence, type, data->>'node', data->>'branch', data->>'name' FROM stored_events
     WHERE aggregate_id = ANY(%s::uuid[])
       AND (type = 'goal_reached' OR type = 'node_completed' AND data->>'type' = 'ab_split' AND data->>'branch' <> ''
            OR type = 'exited' AND data->>'reason' = 'holdout')
     ORDER BY aggregate_id, sequence
"""

# What stands for any goal.
ANY = ""
# The variant of those who are kept out of a flow; no node can have this id.
HOLDOUT = ("%holdout", "holdout")


@dataclass(frozen=True, slots=True)
class FirstGoal:
    """A goal that was reached for the first time, and the (node, variant) pairs that its run had gone through."""

    name: str
    variants: Sequence[tuple[str, str]]


def first_goals(events: Sequence[Event]) -> Iterator[tuple[Event, FirstGoal]]:
    """
    Give what counts as a conversion: the first time that a run reached a goal, and the first time it reached any.

    What happened before is read from the log, which never changes: the answer is the same in every rebuild.
    """
    reached = {(event.aggregate_id, event.sequence): event for event in events if event.type == "goal_reached"}
    if not reached:
        return
    run, known, variants = "", set[str](), list[tuple[str, str]]()
    for aggregate, sequence, kind, node, branch, name in execute(PATHS, [sorted({key[0] for key in reached})]):
        if aggregate != run:
            run, known, variants = aggregate, set(), []
        if kind == "node_completed":
            variants.append((node, branch))
            continue
        if kind == "exited":
            variants.append(HOLDOUT)
            continue
        fresh = {name, ANY} - known
        known |= fresh
        if (event := reached.get((aggregate, sequence))) is not None:
            for goal in sorted(fresh):
                yield event, FirstGoal(goal, tuple(variants))
