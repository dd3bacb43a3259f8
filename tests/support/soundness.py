"""What must hold whatever has happened: rows, events and figures agree, nothing is stranded, no node ran twice."""

from __future__ import annotations

from engine import verify, why
from engine.connections import execute
from engine.sagas import stranded

RAN_TWICE = """
    SELECT aggregate_id, data ->> 'node' FROM stored_events
     WHERE type = 'node_completed' GROUP BY 1, 2 HAVING count(*) > 1
"""
OPEN_STEPS_OF_ENDED = """
    SELECT s.instance_id, s.node_id, s.status FROM execution_steps s JOIN flow_instances i ON i.id = s.instance_id
     WHERE i.status IN ('completed', 'exited') AND s.status IN ('running', 'waiting')
"""
LEFT_BY_ENDED = """
    SELECT i.id FROM flow_instances i
     WHERE i.status IN ('completed', 'exited')
       AND (EXISTS (SELECT FROM timers t WHERE t.instance_id = i.id)
            OR EXISTS (SELECT FROM event_subscriptions s WHERE s.instance_id = i.id AND s.kind <> 'goal')
            OR EXISTS (SELECT FROM activities a WHERE a.instance_id = i.id
                AND a.status IN ('pending', 'running', 'parked')))
"""
# A goal is one conversion of its run, and the log says so.
UNLIKE_THE_LOG = """
    WITH reached AS (
        SELECT DISTINCT aggregate_id::text, data ->> 'name' FROM stored_events WHERE type = 'goal_reached'
    ), counted AS (
        SELECT instance_id::text, name FROM conversions
    )
    (TABLE reached EXCEPT TABLE counted) UNION ALL (TABLE counted EXCEPT TABLE reached)
"""
# What is told of messages and conversions is what there is.
MESSAGES_TALLIED_OTHERWISE = """
    WITH told AS (SELECT tenant_id, subject, kind, sum(n) FROM tallies GROUP BY 1, 2, 3)
    (SELECT tenant_id, channel, 'queued', count(*) FROM deliveries GROUP BY 1, 2 EXCEPT TABLE told) UNION ALL
    (SELECT tenant_id, channel, status, count(*) FROM deliveries WHERE status IN ('clicked', 'skipped', 'cancelled')
      GROUP BY 1, 2, 3 EXCEPT TABLE told)
"""
TALLIED_OTHERWISE = """
    SELECT flow_id, name, count(*), sum(value) FROM conversions GROUP BY 1, 2
    EXCEPT
    SELECT flow_id, subject, sum(n) FILTER (WHERE kind = 'converted'), sum(n) FILTER (WHERE kind = 'value') FROM tallies
     WHERE kind IN ('converted', 'value') GROUP BY 1, 2
"""
# Each gives what should not be there.
STATEMENTS = (
    RAN_TWICE, OPEN_STEPS_OF_ENDED, LEFT_BY_ENDED, UNLIKE_THE_LOG, MESSAGES_TALLIED_OTHERWISE, TALLIED_OTHERWISE,
)  # fmt: skip


def assert_all_sound() -> None:
    """Assert it of everything in the database."""
    assert [each for batch in verify.verify() for each in batch.differences] == []
    assert list(why.stranded()) == []
    assert stranded.find() == []
    for statement in STATEMENTS:
        assert execute(statement).fetchall() == []
